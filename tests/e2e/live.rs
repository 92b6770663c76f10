//! Rule: a live stream comes out in order, no frame twice, and every frame that is missing is in
//! the books.

use std::env;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::chain::{RING_IN, RING_OUT};
use e2e::tools::{ffmpeg, run};
use e2e::{
    Chain, Namespace, Process, Publisher, PublisherOptions, RingStat, RtmpServer, Watcher,
    order_of, wait_until,
};

use crate::timeline::{span_ms, times_us};

/// How many frames the long test watches: 15 s of them, or 60.
fn frames_to_watch() -> u32 {
    if env::var_os("FRAMELANE_TEST_LONG").is_some() { 1500 } else { 375 }
}

#[test]
fn comes_out_in_order_and_none_twice() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let options = PublisherOptions { audio: true, ..PublisherOptions::default() };
    let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
        .pusher_args(&["--on-starve", "none"]);
    let mut running = chain.start(2)?;
    let publisher = Publisher::start(&server.url("source"), options)?;
    server.wait_published("processed")?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(1)?;
    let first = watcher.last().unwrap_or_default();
    watcher.wait_past(first + frames_to_watch())?;
    let seen = watcher.seen();
    let order = order_of(&seen)?;
    let breaks: Vec<usize> =
        (1..seen.len()).filter(|&at| seen[at].session != seen[at - 1].session).collect();
    ensure!(breaks.is_empty(), "the stream broke off after {breaks:?} of {} frames", seen.len());
    // The viewer came later than the stages: it can miss fewer frames than they dropped in all.
    let (taken, emitted) =
        (RingStat::read(&namespace, RING_IN)?, RingStat::read(&namespace, RING_OUT)?);
    let dropped = taken.dropped("worker") + taken.total("no_slot") + emitted.dropped("pusher");
    ensure!(u64::from(order.missing) <= dropped, "{order:?}, {dropped} dropped");
    ensure!(running.puller.is_running() && running.pusher.is_running());
    running.stop()?;
    publisher.stop().map(drop)
}

/// A worker that is too slow makes the ring drop frames. The pusher writes a file, so that what it
/// emitted is known from the first frame to the last.
#[test]
fn what_is_dropped_is_what_is_missing() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let out = namespace.path("out.flv");
    let chain = Chain::new(&namespace, &server.url("source"), &out)
        .worker_args(&["--delay", "70ms"])
        .puller_args(&["--slots", "4"]);
    let mut running = chain.start(1)?;
    let options = PublisherOptions::default();
    let publisher = Publisher::start(&server.url("source"), options.clone())?;
    publisher.wait_written(250)?;
    publisher.stop()?;

    // The camera is off: what is in the rings comes out, and then the books stand still.
    wait_until("the last frame's way through the rings", || {
        let (Ok(taken), Ok(emitted)) =
            (RingStat::read(&namespace, RING_IN), RingStat::read(&namespace, RING_OUT))
        else {
            return false;
        };
        taken.next() > 0
            && taken.unfinished("worker") == 0
            && emitted.unfinished("pusher") == 0
            && emitted.next() == taken.next()
    })?;
    let (taken, emitted) =
        (RingStat::read(&namespace, RING_IN)?, RingStat::read(&namespace, RING_OUT)?);
    running.stop()?;

    let delivered = usize::try_from(emitted.delivered("pusher"))?;
    let watcher = Watcher::start(&out, 640, 360);
    watcher.wait_count(delivered)?;
    let order = order_of(watcher.seen().get(..delivered).unwrap_or_default())?;
    // The first ones may have been processed before the pusher was there.
    let before_pusher = taken.delivered("worker") - emitted.published("pusher");
    ensure!(before_pusher <= 10, "{before_pusher} were published to nobody: {}", emitted.json());
    let dropped = taken.dropped("worker") + taken.total("no_slot") + emitted.dropped("pusher");
    ensure!(dropped > 0, "a worker of 14 frames a second kept up with 25");
    // Every frame that the puller got is in the ring: the last one, which is never dropped, has the
    // ring's last seq, and the ring's first one is what a viewer gets first, a key frame.
    let (first, last) = (i64::from(order.first), i64::from(order.last));
    let ring_first = last + 1 - i64::try_from(taken.next())?;
    ensure!(ring_first % i64::from(options.rate) == 0, "{order:?}: {}", taken.json());
    // The worker came a little later, and what it was offered first can be dropped, too.
    let before_worker = taken.next() - taken.total("no_slot") - taken.published("worker");
    let before_first = first - ring_first - i64::try_from(before_worker)?;
    ensure!(before_first >= 0, "{order:?} begins before the worker was there: {}", taken.json());
    let missing = i64::from(order.missing) + before_first;
    let gone = i64::try_from(dropped + before_pusher)?;
    ensure!(missing == gone, "{order:?}, {dropped} + {before_pusher}: {}", taken.json());
    Ok(())
}

/// Rule: the puller waits for a stream that is not there yet, and comes back to one that went.
#[test]
fn the_camera_goes_and_comes_back() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
        .puller_args(&["--stall-timeout", "3s"])
        .pusher_args(&["--on-starve", "none"]);
    let mut running = chain.start(1)?;
    let pids = [running.puller.pid(), running.workers[0].pid(), running.pusher.pid()];
    let publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(10)?;
    publisher.stop()?;
    let options = PublisherOptions { first: 100_000, ..PublisherOptions::default() };
    let _again = Publisher::start(&server.url("source"), options)?;
    watcher.wait_past(100_010)?;
    order_of(&watcher.seen())?;
    ensure!(running.puller.is_running() && running.workers[0].is_running());
    ensure!(running.pusher.is_running(), "{pids:?}");
    running.stop()
}

/// Whether the stream has sound now, as a new viewer would find.
fn is_heard(url: &str) -> bool {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-rw_timeout", "5000000", "-analyzeduration", "1500000"]);
    probe.args(["-select_streams", "a", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]);
    run(probe.arg(url)).is_ok_and(|text| text.contains("aac"))
}

/// Rule: a camera that has no sound at first and has it later is heard later, and the pictures
/// never wait for it.
#[test]
fn sound_that_comes_with_the_next_connection_is_heard() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
        .puller_args(&["--stall-timeout", "3s"]);
    let mut running = chain.start(1)?;
    let mute = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(10)?;
    ensure!(!is_heard(&server.url("processed")), "sound from nowhere");
    mute.stop()?;
    let options = PublisherOptions { audio: true, first: 100_000, ..PublisherOptions::default() };
    let _loud = Publisher::start(&server.url("source"), options)?;
    watcher.wait_past(100_010)?;
    wait_until("sound", || is_heard(&server.url("processed")))?;
    watcher.wait_past(watcher.last().unwrap_or_default() + 50)?;
    ensure!(running.puller.is_running() && running.pusher.is_running());
    running.stop()
}

/// Rule: RTMP counts milliseconds in 24 bits, and in 32 from 16777.216 s on.
#[test]
fn the_24_bit_limit_of_rtmp_is_no_limit() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let out = namespace.path("out.nut");
    let chain =
        Chain::new(&namespace, &server.url("source"), &out).pusher_args(&["--codec", "rawvideo"]);
    let mut running = chain.start(1)?;
    let mut camera = ffmpeg();
    camera.args([
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=160x120:r=25:d=11",
        "-bf",
        "0",
        "-g",
        "25",
    ]);
    camera.args(["-c:v", "libx264", "-tune", "zerolatency", "-output_ts_offset", "16772"]);
    camera.args(["-flvflags", "no_duration_filesize", "-f", "flv", &server.url("source")]);
    Process::start(&mut camera, "the camera")?.wait_exit()?;
    running.stop()?;
    let times = times_us(&out)?;
    // Frames of the first moments may be dropped.
    let span = span_ms(&times, 1_500)?;
    ensure!((5_000..11_500).contains(&span), "{span} ms: {times:?}");
    Ok(())
}
