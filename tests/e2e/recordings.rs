//! Rule: no recording is lost. What can't go on in the same file, after a change of size or a new
//! pusher, goes into one beside it, and the source itself is never written over.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::chain::RING_OUT;
use e2e::tools::run_ffmpeg;
use e2e::{Chain, Namespace, RingStat, clips, frame_hashes, wait_until};

use crate::flaky_camera::FlakyCamera;

/// A chain from a clip that goes on for a while, whose output is written as it comes.
fn endless(namespace: &Namespace, out: &str) -> Result<Chain> {
    let clip = namespace.path("clip.mkv");
    clips::constant_rate(&clip, 150)?;
    Ok(Chain::new(namespace, &clip, out).puller_args(&["--realtime", "--slots", "64"]))
}

fn wait_for_frames(namespace: &Namespace, frames: u64) -> Result<()> {
    wait_until("frames", || {
        RingStat::read(namespace, RING_OUT).is_ok_and(|stat| stat.delivered("pusher") >= frames)
    })
}

#[test]
fn pictures_of_another_size_go_into_a_file_beside_the_first() -> Result<()> {
    for extension in ["mkv", "mov"] {
        let namespace = Namespace::new()?;
        let [out, beside] = ["out", "out-2"].map(|stem| format!("{stem}.{extension}"));
        let chain = endless(&namespace, &namespace.path(&out))?;
        let sized = |size| chain.clone().puller_args(&["--size", size]);
        let mut running = sized("64x48").start(1)?;
        wait_for_frames(&namespace, 5)?;
        running.puller.stop()?;
        running.puller = sized("32x24").puller.start()?;
        running.expect_success()?;
        for (file, pixels) in [(out, 64 * 48), (beside, 32 * 24)] {
            let frames = frame_hashes(&namespace.path(&file), "gray")?;
            ensure!(frames.len() >= 5, "{file}: {} frames", frames.len());
            ensure!(frames.iter().all(|frame| frame.bytes == pixels), "{file}: {frames:?}");
        }
    }
    Ok(())
}

#[test]
fn what_a_killed_pusher_has_recorded_is_kept() -> Result<()> {
    for policy in ["block", "drop-oldest"] {
        let namespace = Namespace::new()?;
        let out = namespace.path("out.nut");
        // What an earlier job has left is written over, as ever.
        fs::write(&out, "old")?;
        let chain = endless(&namespace, &out)?
            .puller_args(&["--on-full", policy])
            .pusher_args(&["--codec", "rawvideo"]);
        let mut running = chain.start(1)?;
        wait_for_frames(&namespace, 15)?;
        running.pusher.kill()?;
        running.pusher = chain.pusher.start()?;
        running.expect_success()?;
        let [clip, first, second] = ["clip.mkv", "out.nut", "out-2.nut"]
            .map(|file| frame_hashes(&namespace.path(file), "rgb24"));
        let (clip, first, second) = (clip?, first?, second?);
        // A live ring's reader comes when some frames have gone by.
        for (name, part) in [("first", &first), ("second", &second)] {
            ensure!(part.len() >= 10, "{policy}: {} frames are in the {name} part", part.len());
            let is_run = clip.windows(part.len()).any(|run| run == part);
            ensure!(is_run, "{policy}: the {name} part: {part:?}");
        }
        ensure!(first.last().map(|it| it.pts_us) < second.first().map(|it| it.pts_us), "{policy}");
    }
    Ok(())
}

/// An MP4 is of no use before its index is written, at its end.
#[test]
fn an_mp4_of_a_killed_pusher_can_be_played() -> Result<()> {
    let namespace = Namespace::new()?;
    let out = namespace.path("out.mp4");
    let chain = endless(&namespace, &out)?;
    let mut running = chain.start(1)?;
    wait_for_frames(&namespace, 15)?;
    running.pusher.kill()?;
    running.pusher = chain.pusher.start()?;
    running.expect_success()?;
    for file in ["out.mp4", "out-2.mp4"] {
        let frames = || frame_hashes(&namespace.path(file), "gray").unwrap_or_default().len();
        wait_until(&format!("a whole {file}"), || frames() >= 10)?;
    }
    Ok(())
}

/// A camera that has been on for ten minutes.
fn camera(namespace: &Namespace) -> Result<FlakyCamera> {
    let clip = namespace.path("clip.ts");
    let source = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2", "-g", "5"];
    run_ffmpeg(&[source.as_slice(), &["-output_ts_offset", "600", &clip]].concat())?;
    FlakyCamera::start(&fs::read(&clip)?, Duration::from_secs(2))
}

/// What was live can't be had once more, whoever asks for the same file. The recording starts at 0,
/// whatever the camera's clock says.
#[test]
fn a_live_recording_is_never_written_over() -> Result<()> {
    let namespace = Namespace::new()?;
    let [out, beside] = ["out.mkv", "out-2.mkv"].map(|file| namespace.path(file));
    fs::write(&out, "last week's")?;
    let camera = camera(&namespace)?;
    let mut running = Chain::new(&namespace, &camera.url(), &out).start(1)?;
    wait_for_frames(&namespace, 15)?;
    running.stop()?;
    ensure!(fs::read(&out)? == b"last week's", "it was written over");
    let frames = frame_hashes(&beside, "gray")?;
    ensure!(frames.len() >= 10, "it was not recorded");
    ensure!(frames[0].pts_us == 0, "it starts at {} µs", frames[0].pts_us);
    Ok(())
}

/// A playlist names files of its own, which a new pusher keeps.
#[test]
fn a_playlist_goes_on_where_the_last_pusher_stopped() -> Result<()> {
    let namespace = Namespace::new()?;
    let [out, first] = ["out.m3u8", "out0.ts"].map(|file| namespace.path(file));
    let camera = camera(&namespace)?;
    let segments = ["-hls_list_size", "0", "-hls_time", "0.2"];
    let segments: Vec<String> = segments.iter().map(|it| format!("--output-arg={it}")).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let chain = Chain::new(&namespace, &camera.url(), &out).pusher_args(&segments);
    let mut running = chain.start(1)?;
    let listed = || fs::read_to_string(&out).unwrap_or_default().matches(".ts").count();
    wait_until("some segments", || listed() >= 3)?;
    running.pusher.stop()?;
    let (before, kept) = (listed(), fs::read(&first)?);
    running.pusher = chain.pusher.start()?;
    wait_until("more segments", || listed() >= before + 3)?;
    running.stop()?;
    ensure!(fs::read(&first)? == kept, "the first segment was written over");
    ensure!(fs::read_to_string(&out)?.contains("out0.ts"), "it has lost the first segment");
    Ok(())
}

/// However the file is named, and from whichever folder.
#[test]
fn the_source_is_not_written_over() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::constant_rate(&clip, 20)?;
    let before = fs::read(&clip)?;
    fs::create_dir(namespace.path("folder"))?;
    let output = format!("file:{}/../clip.mkv", namespace.path("folder"));
    let chain = Chain::new(&namespace, "clip.mkv", &output);
    let puller = chain.puller.in_folder(namespace.folder()).start()?;
    let worker = chain.worker.start()?;
    let pusher = chain.pusher.run()?;
    ensure!(pusher.code == Some(4), "{}", pusher.stderr);
    ensure!(pusher.stderr.contains("it is the file that is being read"), "{}", pusher.stderr);
    ensure!(fs::read(&clip)? == before, "it was written over");
    // Another one takes the stream to its end.
    let mut elsewhere = Chain::new(&namespace, "", &namespace.path("other.mkv")).pusher.start()?;
    for mut stage in [puller, worker] {
        stage.expect_success()?;
    }
    elsewhere.expect_success()?;
    Ok(())
}
