//! Publishes numbered pictures as a live stream, in real time, as a camera would.
//!
//! The pictures come from [`Picture`] through a pipe; ffmpeg encodes them. Frame n has the number
//! n and the time n / rate, so a test can tell from what comes out at the other end which frames
//! are missing, and how long each took.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::barcode::Picture;
use crate::process::Process;
use crate::tools::{HOW_TO_INSTALL, ffmpeg};
use crate::wait::wait_until;

/// What is published.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The pictures' width, at least 128.
    pub width: usize,
    /// The pictures' height, at least 32.
    pub height: usize,
    /// Frames a second.
    pub rate: u32,
    /// Whether there is sound beside them, in AAC.
    pub audio: bool,
    /// The number of the first picture.
    pub first: u32,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self { width: 640, height: 360, rate: 25, audio: false, first: 0 }
    }
}

/// A live stream that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Publisher {
    encoder: Process,
    feeder: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU32>,
    started: Instant,
    options: PublisherOptions,
}

impl Publisher {
    /// Starts to publish to an RTMP URL.
    ///
    /// # Errors
    /// When ffmpeg can't be started.
    pub fn start(url: &str, options: PublisherOptions) -> Result<Self> {
        let mut command = encoder(&options);
        command.args(["-flvflags", "no_duration_filesize", "-f", "flv", url]);
        let mut encoder = Process::start(command.stdin(Stdio::piped()), "the publisher")
            .context(HOW_TO_INSTALL)?;
        let pipe = encoder.child().stdin.take().context("the publisher has no pipe")?;
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU32::new(0));
        let started = Instant::now();
        let feeder = thread::spawn({
            let (stop, written, options) = (stop.clone(), written.clone(), options.clone());
            move || feed(pipe, &options, started, &stop, &written)
        });
        Ok(Self { encoder, feeder: Some(feeder), stop, written, started, options })
    }

    /// How many frames have been handed to the encoder.
    pub fn written(&self) -> u32 {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits until `count` frames have been handed to the encoder.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_written(&self, count: u32) -> Result<()> {
        wait_until(&format!("{count} published frames"), || self.written() >= count)
    }

    /// When the picture with this number was due.
    pub fn time_of(&self, number: u32) -> Instant {
        let frames = f64::from(number.saturating_sub(self.options.first));
        self.started + Duration::from_secs_f64(frames / f64::from(self.options.rate))
    }

    /// Whether the stream still runs.
    pub fn is_running(&mut self) -> bool {
        self.encoder.try_exit().is_none()
    }

    /// Ends the stream as a camera does that is switched off, and returns how many frames it had.
    ///
    /// # Errors
    /// When ffmpeg doesn't end, or failed.
    pub fn stop(mut self) -> Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.join();
        let status = self.encoder.wait_exit()?;
        ensure!(status.success(), "the publisher failed: {status}");
        Ok(self.written())
    }

    fn join(&mut self) {
        if let Some(feeder) = self.feeder.take() {
            // It can't panic but by a bug of this file, which the test's own checks then show.
            let _ = feeder.join();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A dead reader ends a feeder that waits for the pipe.
        let _ = self.encoder.kill();
        self.join();
    }
}

/// Writes `frames` numbered pictures to a file, as fast as it goes.
///
/// # Errors
/// When ffmpeg fails.
pub fn write_file(path: &str, options: &PublisherOptions, frames: u32) -> Result<()> {
    let mut command = encoder(options);
    let mut encoder = Process::start(command.arg(path).stdin(Stdio::piped()), "ffmpeg")
        .context(HOW_TO_INSTALL)?;
    let mut pipe = encoder.child().stdin.take().context("ffmpeg has no pipe")?;
    let mut picture = Picture::new(options.width, options.height);
    for number in options.first..options.first + frames {
        pipe.write_all(picture.draw(number)).context("ffmpeg broke off")?;
    }
    drop(pipe);
    let status = encoder.wait_exit()?;
    ensure!(status.success(), "ffmpeg failed: {status}");
    Ok(())
}

fn encoder(options: &PublisherOptions) -> Command {
    let (size, rate) = (format!("{}x{}", options.width, options.height), options.rate.to_string());
    let mut command = ffmpeg();
    command.args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", &rate]);
    command.args(["-i", "pipe:0"]);
    if options.audio {
        // Its own clock: ffmpeg would read ahead in a source that never makes it wait.
        command.args([
            "-re",
            "-f",
            "lavfi",
            "-i",
            "sine=f=440:r=44100",
            "-c:a",
            "aac",
            "-shortest",
        ]);
    }
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]);
    command.args(["-pix_fmt", "yuv420p", "-g", &rate, "-threads", "1"]);
    command
}

/// Hands pictures to the encoder, each when it is due, until told to stop or the encoder is gone.
fn feed(
    mut pipe: ChildStdin,
    options: &PublisherOptions,
    started: Instant,
    stop: &AtomicBool,
    written: &AtomicU32,
) {
    let mut picture = Picture::new(options.width, options.height);
    for index in 0_u32.. {
        let due = started + Duration::from_secs_f64(f64::from(index) / f64::from(options.rate));
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed)
            || pipe.write_all(picture.draw(options.first + index)).is_err()
        {
            return;
        }
        written.store(index + 1, Ordering::Relaxed);
    }
}
