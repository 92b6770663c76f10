//! Rule: when the workers fall silent, a live stream goes on with something else, and comes back to
//! them when they do; it never steps back in time.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::chain::RING_OUT;
use e2e::{Chain, FrameHash, Namespace, RingStat, Stage, clips, frame_hashes, wait_until};

const FRAMES: u32 = 200;

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
        .pusher_args(&["--codec", "rawvideo", "--on-starve", remedy, "--starve-after", "300ms"]);
    let mut running = chain.start(1)?;
    let delivered =
        || RingStat::read(&namespace, RING_OUT).map_or(0, |stat| stat.delivered("pusher"));
    wait_until("processed frames", || delivered() >= 25)?;
    running.workers[0].kill()?;
    wait_for_log(&mut running.pusher, "something else is sent")?;
    // Long enough for many of them.
    thread::sleep(Duration::from_secs(1));
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
    ensure!(originals >= 15, "{originals} originals in a second");
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
