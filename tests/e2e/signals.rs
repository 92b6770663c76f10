//! Rule: a stage that is asked to stop finishes the frame in hand, releases everything and exits
//! with 0. What the killed leave behind, `framelane gc` removes.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::binaries::binary;
use e2e::chain::{RING_IN, RING_OUT};
use e2e::tools::run_ffmpeg;
use e2e::{Chain, Namespace, Process, RingStat, Running, clips, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::flaky_camera::FlakyCamera;

/// A chain in the middle of a file that is read in real time: it flows for a long while.
fn flowing(namespace: &Namespace) -> Result<(Chain, Running)> {
    let (clip, out) = (namespace.path("clip.flv"), namespace.path("out.flv"));
    clips::numbered(&clip, 2000, 160, 120)?;
    let chain = Chain::new(namespace, &clip, &out).puller_args(&["--realtime"]);
    let running = chain.start(2)?;
    wait_until("frames that come out", || {
        RingStat::read(namespace, RING_OUT).is_ok_and(|stat| stat.delivered("pusher") > 5)
    })?;
    Ok((chain, running))
}

#[test]
fn term_ends_every_stage_well() -> Result<()> {
    let namespace = Namespace::new()?;
    let (_, mut running) = flowing(&namespace)?;
    running.stop()
}

#[test]
fn interrupt_ends_every_stage_well() -> Result<()> {
    let namespace = Namespace::new()?;
    let (_, mut running) = flowing(&namespace)?;
    for stage in [&mut running.pusher, &mut running.workers[0], &mut running.puller] {
        stage.signal(Signal::SIGINT)?;
        stage.expect_success()?;
    }
    Ok(())
}

/// A second signal ends a stage at once, with the status that shells expect, also while it waits for
/// an encoder that does not end.
#[test]
fn a_second_signal_ends_a_stage_at_once() -> Result<()> {
    let namespace = Namespace::new()?;
    let (_, running) = flowing(&namespace)?;
    // The encoder sleeps, so the pusher can't finish its stream.
    let encoders = format!("/proc/{0}/task/{0}/children", running.pusher.pid());
    let encoder = Pid::from_raw(std::fs::read_to_string(encoders)?.trim().parse()?);
    kill(encoder, Signal::SIGSTOP)?;
    running.pusher.signal(Signal::SIGTERM)?;
    wait_until("the first to be heard", || running.pusher.log().contains("asked to stop"))?;
    running.pusher.signal(Signal::SIGINT)?;
    let code = running.pusher.finish()?.code;
    // It would go on when it wakes, and finish the recording.
    kill(encoder, Signal::SIGKILL)?;
    ensure!(code == Some(128 + 2), "status {code:?}");
    Ok(())
}

/// A stage that waits for a ring that never comes still listens.
#[test]
fn term_ends_a_stage_that_waits_for_its_ring() -> Result<()> {
    let namespace = Namespace::new()?;
    let chain = Chain::new(&namespace, "/nowhere", &namespace.path("out.flv"));
    for command in [&chain.worker, &chain.pusher] {
        let mut stage = command.start()?;
        wait_until("its first line in the log", || !stage.log().is_empty())?;
        stage.stop()?;
    }
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

/// A worker that is stopped gives its frames to the others: nothing is held by the departed.
#[test]
fn a_stopped_worker_leaves_nothing_behind() -> Result<()> {
    let namespace = Namespace::new()?;
    let (_, mut running) = flowing(&namespace)?;
    running.workers.remove(1).stop()?;
    let before = RingStat::read(&namespace, RING_OUT)?.delivered("pusher");
    wait_until("frames by the other worker", || {
        RingStat::read(&namespace, RING_OUT)
            .is_ok_and(|stat| stat.delivered("pusher") > before + 20)
    })?;
    ensure!(RingStat::read(&namespace, RING_IN)?.members("worker") == 1);
    running.stop()
}

#[test]
fn gc_removes_what_the_killed_left() -> Result<()> {
    let namespace = Namespace::new()?;
    let (_, mut running) = flowing(&namespace)?;
    let gc = namespace.command("framelane").args(["gc"]);
    ensure!(gc.run()?.code == Some(0));
    ensure!(namespace.segment(RING_IN).exists(), "a ring in use was removed");
    running.puller.kill()?;
    running.pusher.kill()?;
    for worker in &mut running.workers {
        worker.kill()?;
    }
    ensure!(!namespace.leftovers().is_empty());
    let finished = gc.run()?;
    ensure!(finished.code == Some(0), "{}", finished.stderr);
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn a_stage_whose_terminal_is_gone_goes_on() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.ts");
    run_ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", &clip])?;
    let camera = FlakyCamera::start(&fs::read(&clip)?, Duration::ZERO)?;
    let mut command = Command::new(binary("puller")?);
    command
        .args(["--input", &camera.url(), "--ring", RING_IN])
        .env("FRAMELANE_NAMESPACE", namespace.name())
        .stderr(File::options().write(true).open("/dev/full")?);
    let mut puller = Process::start(&mut command, "puller")?;
    // It says something about each that is lost.
    wait_until("connection after connection", || {
        camera.connections() >= 4 || puller.try_exit().is_some()
    })?;
    ensure!(puller.try_exit().is_none(), "it is gone");
    puller.signal(Signal::SIGTERM)?;
    ensure!(puller.wait_exit()?.success(), "it did not end well");
    Ok(())
}
