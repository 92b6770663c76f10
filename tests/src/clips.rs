//! Makes the video files that the tests use. Short and small: each takes a fraction of a second.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::publisher::{self, PublisherOptions};
use crate::tools::{keep_every_frame, run_ffmpeg};

/// H.264 tagged as BT.601 limited range, so that nobody has to guess.
const TAGGED_H264: [&str; 14] = [
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-colorspace",
    "smpte170m",
    "-color_primaries",
    "smpte170m",
    "-color_trc",
    "smpte170m",
    "-color_range",
    "tv",
];

/// H.264 in RGB: on the way to rgb24 or bgr24, ffmpeg has to convert no colours.
const RGB_H264: [&str; 4] = ["-c:v", "libx264rgb", "-preset", "ultrafast"];

/// An MP4 in RGB with a constant frame rate that is no whole number, 30000/1001.
///
/// # Errors
/// When ffmpeg fails.
pub fn constant_rate(path: &str, frames: u32) -> Result<()> {
    make(path, "testsrc2=s=320x240:r=30000/1001", frames, &RGB_H264)
}

/// A Matroska file in RGB whose frames come at uneven times.
///
/// # Errors
/// When ffmpeg fails.
pub fn variable_rate(path: &str, frames: u32) -> Result<()> {
    // Frame n lies at 40 ms * n, pushed by up to 31 ms: uneven, and strictly rising.
    let source = "testsrc2=s=320x240:r=25,settb=1/1000,setpts='N*40+mod(N*N*7,32)'";
    let mut options = vec!["-enc_time_base", "1:1000"];
    options.extend(keep_every_frame());
    options.extend(RGB_H264);
    make(path, source, frames, &options)
}

/// Lossless RGB with an odd width and an odd height.
///
/// # Errors
/// When ffmpeg fails.
pub fn odd_size(path: &str, frames: u32) -> Result<()> {
    make(path, "testsrc2=s=321x241:r=25,format=gbrp", frames, &["-c:v", "ffv1"])
}

/// H.264 with B-frames: decoded in another order than shown.
///
/// # Errors
/// When ffmpeg fails.
pub fn b_frames(path: &str, frames: u32) -> Result<()> {
    let mut options = TAGGED_H264.to_vec();
    options.extend(["-preset", "medium", "-bf", "3", "-b_strategy", "0", "-g", "30"]);
    make(path, "testsrc2=s=320x240:r=25", frames, &options)
}

/// A file that is a video in every respect but has no frame.
///
/// # Errors
/// When it can't be written.
pub fn no_frames(path: &str) -> Result<()> {
    fs::write(path, "YUV4MPEG2 W64 H48 F25:1 Ip A0:0 C420jpeg\n").context("cannot write a clip")
}

/// Video with AAC beside it, `frames` of it at 25 frames a second.
///
/// # Errors
/// When ffmpeg fails.
pub fn with_audio(path: &str, frames: u32) -> Result<()> {
    let duration = format!("sine=f=440:r=44100:d={}", f64::from(frames) / 25.0);
    let mut options = vec!["-f", "lavfi", "-i", &duration, "-c:a", "aac"];
    options.extend(TAGGED_H264);
    make(path, "testsrc2=s=320x240:r=25", frames, &options)
}

/// Pictures that say their own number, 0 to `frames` - 1, at 25 frames a second.
///
/// # Errors
/// When ffmpeg fails.
pub fn numbered(path: &str, frames: u32, width: usize, height: usize) -> Result<()> {
    let options = PublisherOptions { width, height, ..PublisherOptions::default() };
    publisher::write_file(path, &options, frames)
}

/// Cuts a file short, to `percent` of its bytes.
///
/// # Errors
/// When it can't be read or written.
pub fn cut_short(path: &str, percent: usize) -> Result<()> {
    let mut bytes = fs::read(path).with_context(|| format!("cannot read {path}"))?;
    bytes.truncate(bytes.len() * percent / 100);
    fs::write(Path::new(path), bytes).with_context(|| format!("cannot write {path}"))
}

fn make(path: &str, source: &str, frames: u32, options: &[&str]) -> Result<()> {
    let frames = frames.to_string();
    let mut args = vec!["-f", "lavfi", "-i", source];
    args.extend(options);
    args.extend(["-frames:v", &frames, path]);
    run_ffmpeg(&args).map(drop)
}
