//! Rule: nothing piles up, however often a source breaks off, and another input stands in for it.

use std::collections::HashMap;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use e2e::tools::run_ffmpeg;
use e2e::{Chain, Namespace, frame_hashes, wait_until};

use crate::flaky_camera::FlakyCamera;

/// What a process has open and running.
#[derive(Debug, PartialEq, Eq, PartialOrd)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    segments: usize,
}

impl Holdings {
    fn of(pid: u32, namespace: &Namespace) -> Result<Self> {
        let count = |folder: &str| {
            let path = format!("/proc/{pid}/{folder}");
            fs::read_dir(&path).map(Iterator::count).with_context(|| path)
        };
        let segments = namespace.leftovers().len();
        Ok(Self { descriptors: count("fd")?, threads: count("task")?, segments })
    }
}

/// A camera that breaks off after a few frames, again and again: the puller comes back each time, and
/// holds no more descriptors, threads, processes and segments than at first.
#[test]
fn reconnects_leave_nothing_behind() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.ts");
    run_ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", "-g", "5", &clip])?;
    let camera = FlakyCamera::start(&fs::read(&clip)?, Duration::ZERO)?;
    let chain = Chain::new(&namespace, &camera.url(), &namespace.path("out.ts"));
    let mut running = chain.start(1)?;
    let pid = running.puller.pid();
    let reconnects = if env::var_os("FRAMELANE_TEST_LONG").is_some() { 200 } else { 12 };
    wait_until("the first reconnects", || camera.connections() >= 4)?;
    let before = Holdings::of(pid, &namespace)?;
    for wanted in 4..reconnects {
        wait_until(&format!("reconnect {wanted}"), || camera.connections() > wanted)?;
    }
    // It is between two connections now and then: what counts is that it is as before at all.
    wait_until("the puller to hold no more than at first", || {
        Holdings::of(pid, &namespace).is_ok_and(|now| now <= before)
    })
    .with_context(|| format!("{before:?} became {:?}", Holdings::of(pid, &namespace)))?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    ensure!(children.split_whitespace().count() <= 1, "children: {children}");
    ensure!(running.puller.is_running(), "the puller is gone");
    running.stop()
}

#[test]
fn a_file_is_shown_while_the_camera_is_away() -> Result<()> {
    let namespace = Namespace::new()?;
    let [clip, slate, out] = ["clip.ts", "slate.mkv", "out.nut"].map(|file| namespace.path(file));
    run_ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", "-g", "5", &clip])?;
    run_ffmpeg(&["-f", "lavfi", "-i", "color=white:s=160x120:r=25:d=0.4", "-c:v", "ffv1", &slate])?;
    let camera = FlakyCamera::start(&fs::read(&clip)?, Duration::ZERO)?;
    let chain = Chain::new(&namespace, &camera.url(), &out)
        .puller_args(&["--input", &slate, "--slots", "64"])
        .pusher_args(&["--codec", "rawvideo"]);
    let mut running = chain.start(1)?;
    // The first connection only shows that there is no sound.
    wait_until("the file to be shown twice", || camera.connections() >= 5)?;
    running.stop()?;
    let frames = frame_hashes(&out, "gray")?;
    // All of the file's frames are the same.
    let mut times = HashMap::<&str, u32>::new();
    frames.iter().for_each(|frame| *times.entry(&frame.md5).or_default() += 1);
    let (white, _) = times.into_iter().max_by_key(|(_, times)| *times).context("no frames")?;
    let is_slate: Vec<bool> = frames.iter().map(|frame| frame.md5 == white).collect();
    let turns = is_slate.chunk_by(|one, next| one == next).count();
    ensure!(turns >= 4, "{turns} turns of camera and file: {is_slate:?}");
    ensure!(frames.is_sorted_by(|one, next| one.pts_us < next.pts_us), "{frames:?}");
    // At its own pace: 10 frames of 40 ms. The pusher may have come in the middle of the first turn.
    let shown = frames.iter().zip(&is_slate).skip_while(|(_, slate)| **slate);
    let shown = shown.skip_while(|(_, slate)| !**slate).take_while(|(_, slate)| **slate);
    let shown: Vec<i64> = shown.map(|(frame, _)| frame.pts_us).collect();
    let span_ms = (shown.last().unwrap_or(&0) - shown.first().unwrap_or(&0)) / 1000;
    ensure!((300..=400).contains(&span_ms), "{} frames in {span_ms} ms", shown.len());
    Ok(())
}
