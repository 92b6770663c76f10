//! Rule: what breaks around the stages does not break them. The server hangs, the camera goes away
//! and comes back as another one, sends garbage; an output fails. What
//! still works goes on, and the rest comes back by itself.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::tools::{ffmpeg, run_ffmpeg};
use e2e::{Chain, Namespace, Process, Publisher, PublisherOptions, RtmpServer, Running, Watcher};

/// Waits that a user would really meet, with `FRAMELANE_TEST_LONG`; else long enough to be noticed.
fn outage(long: u64, short: u64) -> Duration {
    Duration::from_secs(if is_long() { long } else { short })
}

fn is_long() -> bool {
    std::env::var_os("FRAMELANE_TEST_LONG").is_some()
}

fn chain(namespace: &Namespace, server: &RtmpServer) -> Chain {
    Chain::new(namespace, &server.url("source"), &server.url("processed"))
}

fn all_run(running: &mut Running) -> bool {
    running.puller.is_running()
        && running.pusher.is_running()
        && running.workers.iter_mut().all(e2e::Stage::is_running)
}

/// A server that takes nothing for half a minute: nobody dies, and viewers get the stream again.
#[test]
fn a_server_that_hangs_and_wakes() -> Result<()> {
    let (namespace, mut server) = (Namespace::new()?, RtmpServer::start()?);
    if !server.is_own() {
        return Ok(());
    }
    let chain = chain(&namespace, &server).puller_args(&["--stall-timeout", "3s"]);
    let mut running = chain.start(1)?;
    let publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(25)?;
    server.freeze()?;
    thread::sleep(outage(30, 10));
    ensure!(all_run(&mut running), "a stage is gone");
    server.thaw()?;
    drop(publisher);
    let options = PublisherOptions { first: 100_000, ..PublisherOptions::default() };
    let _again = Publisher::start(&server.url("source"), options)?;
    watcher.wait_past(100_050)?;
    ensure!(all_run(&mut running), "a stage is gone");
    running.stop()
}

/// A camera that is away for 20 s and comes back with another size: viewers keep their session, see
/// the last picture meanwhile, and then the new ones at the old size.
#[test]
fn a_camera_that_comes_back_with_another_size() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let mut running = chain(&namespace, &server).start(1)?;
    let publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(25)?;
    publisher.stop()?;
    let before = watcher.seen().len();
    thread::sleep(outage(20, 5));
    watcher.wait_count(before + 51).context("the picture froze")?;
    let options =
        PublisherOptions { width: 1280, height: 720, first: 100_000, ..Default::default() };
    let _again = Publisher::start(&server.url("source"), options)?;
    watcher.wait_past(100_050)?;
    let seen = watcher.seen();
    ensure!(
        seen.iter().all(|frame| frame.session == seen[0].session),
        "the viewer lost the stream"
    );
    // Repeats come, but never an older picture.
    let numbers: Vec<u32> = seen.iter().filter_map(|frame| frame.number).collect();
    ensure!(numbers.is_sorted(), "a step back: {numbers:?}");
    ensure!(all_run(&mut running), "a stage is gone");
    running.stop()
}

/// A publisher whose packets are damaged on the way: the stages decode what can be decoded, and a
/// good stream later is as good as ever.
#[test]
fn a_publisher_that_sends_garbage() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let mut running = chain(&namespace, &server).start(1)?;
    let _viewer = Watcher::start(&server.url("processed"), 640, 360);
    server.wait_awaited("processed")?;
    let clip = namespace.path("clip.flv");
    let source = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=4", "-c:v", "libx264"];
    run_ffmpeg(&[source.as_slice(), &["-g", "10", "-bf", "0", &clip]].concat())?;
    let mut garbage = ffmpeg();
    garbage.args(["-re", "-i", &clip, "-c", "copy", "-bsf:v", "noise=amount=20", "-f", "flv"]);
    let mut garbage = Process::start(garbage.arg(server.url("source")), "the bad publisher")?;
    garbage.wait_exit()?;
    let _good = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_past(100)?;
    ensure!(all_run(&mut running), "a stage is gone");
    running.stop()
}

/// A recording whose disk is full ends, and says so; the live output beside it never notices.
#[test]
fn a_recording_on_a_full_disk_leaves_the_others_alone() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let mut running = chain(&namespace, &server).start(1)?;
    let recording = namespace
        .command("pusher")
        .args(["--ring", e2e::chain::RING_OUT, "--group", "recording"])
        .args(["--output", "/dev/full", "--codec", "rawvideo"])
        .args(["--output-arg", "-f", "--output-arg", "nut"])
        .start()?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    server.wait_awaited("processed")?;
    let _publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let finished = recording.finish()?;
    ensure!(finished.code == Some(4), "{finished:?}");
    ensure!(finished.stderr.contains("No space left on device"), "{finished:?}");
    watcher.wait_count(50)?;
    let seen = watcher.seen();
    ensure!(seen.iter().all(|frame| frame.session == seen[0].session), "the output broke off");
    ensure!(all_run(&mut running), "a stage is gone");
    running.stop()
}
