//! Rule: `framelane drain` stops all users of a ring in order, and whoever starts next begins anew.

use anyhow::{Result, ensure};
use e2e::chain::{RING_IN, RING_OUT};
use e2e::{Chain, Namespace, RingStat, clips, frame_hashes, wait_until};

#[test]
fn everybody_stops_and_the_next_start_takes_over_the_new_size() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::with_audio(&clip, 300)?;
    let chain = Chain::new(&namespace, &clip, &out)
        .puller_args(&["--realtime", "--size", "64x48"])
        .pusher_args(&["--codec", "rawvideo"]);
    let delivered =
        || RingStat::read(&namespace, RING_OUT).map_or(0, |stat| stat.delivered("pusher"));
    let mut running = chain.start(2)?;
    wait_until("frames", || delivered() >= 5)?;
    let drained = namespace.command("framelane").args(["drain", RING_IN, RING_OUT]).run()?;
    ensure!(drained.code == Some(0), "{}", drained.stderr);
    // Whoever is started by then, as supervisors do, waits until the others have stopped.
    let mut early = chain.worker.start()?;
    running.expect_success()?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());

    // Larger frames than the rings had room for.
    let chain = Chain::new(&namespace, &clip, &out)
        .puller_args(&["--realtime", "--size", "96x64"])
        .pusher_args(&["--codec", "rawvideo"]);
    let mut running = chain.start(1)?;
    wait_until("frames of the new size", || delivered() >= 5)?;
    wait_until("the early worker", || {
        RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.members("worker") == 2)
    })?;
    running.stop()?;
    early.stop()?;
    let frames = frame_hashes(&out, "gray")?;
    ensure!(frames.len() >= 5 && frames.iter().all(|frame| frame.bytes == 96 * 64), "{frames:?}");
    Ok(())
}

/// A lossless ring keeps what is in it for those who come next.
#[test]
fn a_drained_file_goes_on_where_it_was() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::constant_rate(&clip, 60)?;
    let chain = Chain::new(&namespace, &clip, &out).pusher_args(&["--codec", "rawvideo"]);
    // No pusher yet: workers wait for somebody to read what they do.
    let mut puller = chain.puller.start()?;
    let mut worker = chain.worker.start()?;
    wait_until("a full ring", || {
        RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.unfinished("worker") == 8)
    })?;
    let drained = namespace.command("framelane").args(["drain", RING_IN]).run()?;
    ensure!(drained.code == Some(0), "{}", drained.stderr);
    for stage in [&mut puller, &mut worker] {
        stage.expect_success()?;
    }
    let mut worker = chain.worker.start()?;
    let mut pusher = chain.pusher.start()?;
    wait_until("the eight frames", || {
        RingStat::read(&namespace, RING_OUT).is_ok_and(|stat| stat.delivered("pusher") == 8)
    })?;
    for stage in [&mut worker, &mut pusher] {
        stage.stop()?;
    }
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?[..8]);
    Ok(())
}
