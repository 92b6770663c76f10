//! Rule: on the way from a file to a file no frame is lost, none changed, none moved in time.
//!
//! What comes out is compared with ffmpeg's own decode of the same file, byte for byte and
//! microsecond for microsecond.

use std::collections::HashSet;
use std::fs;

use anyhow::{Result, ensure};
use e2e::framehash::audio_hashes;
use e2e::{Chain, Namespace, clips, frame_hashes};

const RAW: [&str; 2] = ["--codec", "rawvideo"];

/// Sends `clip` through three workers and compares what comes out.
fn comes_out_as_it_went_in(namespace: &Namespace, clip: &str, pix_fmt: &str) -> Result<usize> {
    let out = namespace.path("out.nut");
    let chain =
        Chain::new(namespace, clip, &out).puller_args(&["--pix-fmt", pix_fmt]).pusher_args(&RAW);
    chain.start(3)?.expect_success()?;
    let (wanted, got) = (frame_hashes(clip, pix_fmt)?, frame_hashes(&out, pix_fmt)?);
    ensure!(got.len() == wanted.len(), "{} frames of {}", got.len(), wanted.len());
    for (index, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
        ensure!(got == wanted, "frame {index}: {got:?} instead of {wanted:?}");
    }
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(got.len())
}

#[test]
fn constant_frame_rate() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mp4");
    clips::constant_rate(&clip, 90)?;
    ensure!(comes_out_as_it_went_in(&namespace, &clip, "rgb24")? == 90);
    Ok(())
}

#[test]
fn variable_frame_rate() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::variable_rate(&clip, 90)?;
    ensure!(comes_out_as_it_went_in(&namespace, &clip, "rgb24")? == 90);
    Ok(())
}

#[test]
fn odd_size() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::odd_size(&clip, 40)?;
    ensure!(comes_out_as_it_went_in(&namespace, &clip, "rgb24")? == 40);
    Ok(())
}

#[test]
fn b_frames() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::b_frames(&clip, 90)?;
    ensure!(comes_out_as_it_went_in(&namespace, &clip, "yuv420p")? == 90);
    Ok(())
}

#[test]
fn one_frame() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mp4");
    clips::constant_rate(&clip, 1)?;
    ensure!(comes_out_as_it_went_in(&namespace, &clip, "bgr24")? == 1);
    Ok(())
}

#[test]
fn no_frames() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.y4m"), namespace.path("out.nut"));
    clips::no_frames(&clip)?;
    Chain::new(&namespace, &clip, &out).pusher_args(&RAW).start(3)?.expect_success()?;
    // No file, or one that has a header and nothing more: one frame alone has 9216 bytes.
    let bytes = fs::metadata(&out).map_or(0, |file| file.len());
    ensure!(bytes < 4096, "{bytes} bytes");
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

/// Rule: sound goes around the model, unchanged and in step with the pictures.
#[test]
fn sound_comes_out_as_it_went_in() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::with_audio(&clip, 100)?;
    Chain::new(&namespace, &clip, &out).pusher_args(&RAW).start(2)?.expect_success()?;
    let (wanted, got) = (audio_hashes(&clip)?, audio_hashes(&out)?);
    let first_picture = frame_hashes(&clip, "rgb24")?.first().map_or(0, |frame| frame.pts_us);
    // Times in a file may be rounded to its own unit, at worst a millisecond.
    let near = |one: i64, other: i64| (one - other).abs() <= 1000;
    let known: HashSet<&str> = wanted.iter().map(|packet| packet.md5.as_str()).collect();
    ensure!(got.iter().all(|packet| known.contains(packet.md5.as_str())), "a changed packet");
    // Only what was to be heard before the first picture may be missing.
    let early = wanted.len().saturating_sub(got.len());
    for (got, wanted) in got.iter().zip(wanted.iter().skip(early)) {
        ensure!(
            got.md5 == wanted.md5 && near(got.pts_us, wanted.pts_us),
            "{got:?} instead of {wanted:?}"
        );
    }
    for packet in wanted.iter().take(early) {
        ensure!(packet.pts_us < first_picture, "missing: {packet:?}");
    }
    Ok(())
}

/// Rule: a chain of workers keeps the frames' order and loses none.
#[test]
fn two_workers_in_a_row() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, 40)?;
    let puller = namespace.command("puller").args(["--input", &clip, "--ring", "cam.in"]);
    let first = namespace.command("worker").args(["--from", "cam.in", "--to", "cam.half"]);
    let second = namespace.command("worker").args(["--from", "cam.half", "--to", "cam.out"]);
    let pusher = namespace.command("pusher").args(["--ring", "cam.out", "--output", &out]);
    let mut stages = vec![pusher.args(RAW).start()?];
    // Inverted twice is what it was.
    for worker in [&first, &first, &second, &second] {
        stages.push(worker.clone().args(["--op", "invert"]).start()?);
    }
    stages.push(puller.start()?);
    for stage in &mut stages {
        stage.expect_success()?;
    }
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?);
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}
