//! Rule: a stage tells systemd that it is ready, and that it lives for as long as frames move or
//! there are none to move. One whose model hangs falls silent.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::chain::RING_IN;
use e2e::{Chain, Namespace, RingStat, StageCommand, clips, wait_until};

/// Ten times as long as a sign of life takes.
const SILENCE: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

/// A stage's line to systemd.
struct Line(UnixDatagram);

impl Line {
    fn of(stage: StageCommand, namespace: &Namespace) -> Result<(StageCommand, Self)> {
        let path = namespace.path("notify");
        let socket = UnixDatagram::bind(&path)?;
        let stage = stage.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
        Ok((stage, Self(socket)))
    }

    /// The next message, if one comes in time.
    fn hear(&self, patience: Duration) -> Result<Option<String>> {
        self.0.set_read_timeout(Some(patience))?;
        let mut buffer = [0; 256];
        match self.0.recv(&mut buffer) {
            Ok(count) => Ok(Some(String::from_utf8_lossy(&buffer[..count]).trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("the line is dead"),
        }
    }
}

#[test]
fn every_stage_says_that_it_is_ready_and_lives_while_it_waits() -> Result<()> {
    for name in ["puller", "worker", "pusher"] {
        let namespace = Namespace::new()?;
        let chain = Chain::new(&namespace, "rtmp://127.0.0.1:1/none", &namespace.path("out.flv"));
        let stage = match name {
            "puller" => chain.puller,
            "worker" => chain.worker,
            _ => chain.pusher,
        };
        let (stage, line) = Line::of(stage, &namespace)?;
        let mut running = stage.start()?;
        let mut first = None;
        wait_until("its first word", || {
            first = line.hear(LONG).ok().flatten();
            first.is_some()
        })?;
        ensure!(first.as_deref() == Some("READY=1"), "{name}: {first:?}, {}", running.log());
        let mut shortest = LONG;
        for _ in 0..5 {
            let before = Instant::now();
            ensure!(line.hear(LONG)?.as_deref() == Some("WATCHDOG=1"), "{name}: {}", running.log());
            shortest = shortest.min(before.elapsed());
        }
        ensure!(shortest < SILENCE, "{name} gives a sign every {shortest:?}");
        running.stop()?;
    }
    Ok(())
}

#[test]
fn a_worker_whose_model_hangs_falls_silent() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::constant_rate(&clip, 10)?;
    let chain = Chain::new(&namespace, &clip, &namespace.path("out.flv"));
    let hanging = chain.worker.clone().args(["--exec", "--", "sleep", "1000"]);
    let (hanging, line) = Line::of(hanging, &namespace)?;
    let mut others = chain.start(0)?;
    let mut worker = hanging.start()?;
    wait_until("a frame in its hand", || {
        RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.held("worker") == 1)
    })?;
    wait_until("silence", || line.hear(SILENCE).is_ok_and(|said| said.is_none()))?;
    worker.kill()?;
    others.workers.push(chain.worker.start()?);
    others.expect_success()
}
