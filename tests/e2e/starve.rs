//! Rule: when the workers fall silent, a live stream goes on with something else, and comes back to
//! them when they do; it never steps back in time.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result, ensure};
use e2e::chain::RING_OUT;
use e2e::{Chain, FrameHash, Namespace, RingStat, Stage, clips, frame_hashes, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const FRAMES: u32 = 300;

/// A frame of the clip as rgb24.
const FRAME_BYTES: u64 = 320 * 240 * 3;

/// What was sent as a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Processed,
    Original,
    /// The same picture many times.
    Repeated,
}

/// Sends a clip in real time through one worker that inverts it, kills that worker in the middle,
/// starts another one when something else was sent for a while, and returns what came out.
fn with_a_gap(remedy: &str) -> Result<Vec<(FrameHash, Kind)>> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::constant_rate(&clip, FRAMES)?;
    let chain = Chain::new(&namespace, &clip, &out)
        .puller_args(&["--realtime"])
        .worker_args(&["--op", "invert"])
        .pusher_args(&["--codec", "rawvideo", "--on-starve", remedy, "--starve-after", "1500ms"]);
    let mut running = chain.start(1)?;
    let delivered =
        || RingStat::read(&namespace, RING_OUT).map_or(0, |stat| stat.delivered("pusher"));
    wait_until("processed frames", || delivered() >= 25)?;
    running.workers[0].kill()?;
    wait_for_log(&mut running.pusher, "something else is sent")?;
    let bytes = || fs::metadata(&out).map_or(0, |file| file.len());
    let before = bytes();
    wait_until("many of them", || bytes() > before + 20 * FRAME_BYTES)?;
    running.workers[0] = chain.worker.start()?;
    wait_for_log(&mut running.pusher, "frames are back")?;
    running.expect_success()?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    kinds(&frame_hashes(&clip, "rgb24")?, frame_hashes(&out, "rgb24")?)
}

/// Waits until a stage says this, or has ended without.
fn wait_for_log(stage: &mut Stage, text: &str) -> Result<()> {
    wait_until(text, || !stage.is_running() || stage.log().contains(text))?;
    ensure!(stage.log().contains(text), "the stage has ended, and has not said '{text}'");
    Ok(())
}

fn kinds(originals: &[FrameHash], sent: Vec<FrameHash>) -> Result<Vec<(FrameHash, Kind)>> {
    let originals: HashSet<&str> = originals.iter().map(|frame| frame.md5.as_str()).collect();
    let mut times = HashMap::<String, u32>::new();
    for frame in &sent {
        *times.entry(frame.md5.clone()).or_default() += 1;
    }
    let kind = |frame: &FrameHash| match times.get(&frame.md5) {
        _ if originals.contains(frame.md5.as_str()) => Kind::Original,
        Some(&times) if times > 5 => Kind::Repeated,
        _ => Kind::Processed,
    };
    Ok(sent.into_iter().map(|frame| (frame.clone(), kind(&frame))).collect())
}

/// The kinds in their order, without repetitions, and that time only goes forward.
fn order(frames: &[(FrameHash, Kind)]) -> Result<Vec<Kind>> {
    for pair in frames.windows(2) {
        ensure!(pair[0].0.pts_us < pair[1].0.pts_us, "a step back: {pair:?}");
    }
    let mut kinds: Vec<Kind> = frames.iter().map(|(_, kind)| *kind).collect();
    kinds.dedup();
    Ok(kinds)
}

#[test]
fn originals_take_the_place_of_processed_frames() -> Result<()> {
    let frames = with_a_gap("original")?;
    let kinds = order(&frames)?;
    ensure!(kinds == [Kind::Processed, Kind::Original, Kind::Processed], "{kinds:?}");
    let originals = frames.iter().filter(|(_, kind)| *kind == Kind::Original).count();
    ensure!(originals >= 15, "{originals} originals");
    Ok(())
}

#[test]
fn the_last_frame_or_a_slate_is_shown_again_and_again() -> Result<()> {
    for remedy in ["hold", "slate"] {
        let frames = with_a_gap(remedy)?;
        let kinds = order(&frames)?;
        ensure!(kinds == [Kind::Processed, Kind::Repeated, Kind::Processed], "{remedy}: {kinds:?}");
    }
    Ok(())
}

/// A server that takes whatever comes.
struct Sink {
    port: u16,
    /// How many bytes came through each connection.
    received: Arc<Mutex<Vec<usize>>>,
}

impl Sink {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let received = Arc::<Mutex<Vec<usize>>>::default();
        let counts = Arc::clone(&received);
        thread::spawn(move || {
            let lock = || counts.lock().expect("nobody panics with it");
            for mut stream in listener.incoming().flatten() {
                lock().push(0);
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                    *lock().last_mut().expect("this connection") += bytes;
                }
            }
        });
        Ok(Self { port, received })
    }

    fn connections(&self) -> Vec<usize> {
        self.received.lock().expect("nobody panics with it").clone()
    }
}

/// The workers are gone, and then the server is for a moment, and then the pusher.
#[test]
fn stand_ins_go_on_when_the_encoder_or_the_pusher_dies() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::constant_rate(&clip, 1000)?;
    let sink = Sink::start()?;
    let chain = Chain::new(&namespace, &clip, &format!("tcp://127.0.0.1:{}", sink.port))
        .puller_args(&["--realtime"])
        .pusher_args(&["--preset", "ultrafast", "--starve-after", "300ms"]);
    let mut running = chain.start(1)?;
    wait_until("the first pictures", || {
        sink.connections().first().is_some_and(|&bytes| bytes > 0)
    })?;
    running.workers[0].kill()?;
    wait_for_log(&mut running.pusher, "something else is sent")?;
    let pid = running.pusher.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let encoder = children.split_whitespace().next().context("no encoder")?.parse()?;
    kill(Pid::from_raw(encoder), Signal::SIGKILL)?;
    let wait_for_more = |connection: usize| {
        wait_until(&format!("stand-ins through connection {connection}"), || {
            sink.connections().get(connection).is_some_and(|&bytes| bytes > 10_000)
        })
    };
    wait_for_more(1)?;
    running.pusher.kill()?;
    running.pusher = chain.pusher.start()?;
    wait_for_more(2)?;
    running.puller.stop()?;
    running.pusher.stop()
}
