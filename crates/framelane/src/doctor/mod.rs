//! `framelane doctor`: whether this machine has what the stages need, with numbers, and what to do
//! where it doesn't.

mod ffmpeg;
mod machine;
mod server;

use std::fmt;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use framelane_frame::{Geometry, PixelFormat};
use framelane_stage::{ExitStatus, Failure, parse_size, parse_slots};

use crate::output::say;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A server that the stages are to reach, as an RTMP URL. Repeat it for each.
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
    /// The size of the frames that the rings are to hold.
    #[arg(long, value_name = "WxH", default_value = "1920x1080", value_parser = parse_size)]
    size: (u32, u32),
    /// Slots of each of the two rings.
    #[arg(long, default_value = "8", value_parser = parse_slots)]
    slots: u32,
    /// The ffmpeg that the stages run.
    #[arg(long, env = "FRAMELANE_FFMPEG", value_name = "PATH", default_value = "ffmpeg")]
    ffmpeg: PathBuf,
}

/// How a finding is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// It works, but somebody should know.
    Odd,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    what: &'static str,
    text: String,
}

impl Finding {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what, text: text.into() }
    }

    fn odd(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Odd, what, text: text.into() }
    }

    fn bad(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, what, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Odd => "odd",
            Verdict::Bad => "BAD",
        };
        write!(f, "{verdict:<4} {:<14} {}", self.what, self.text)
    }
}

/// Prints a line for each thing that was looked at.
///
/// # Errors
/// [`ExitStatus::Unhealthy`] when something is missing that the stages can't do without.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let (width, height) = options.size;
    let geometry = Geometry::new(width, height, PixelFormat::Rgb24)
        .map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let mut findings = ffmpeg::look(&options.ffmpeg);
    findings.push(machine::memory(&geometry, options.slots));
    findings.push(machine::files());
    findings.push(machine::clock());
    findings.push(machine::leftovers());
    findings.extend(options.urls.iter().map(|url| server::look(url)));
    for finding in &findings {
        say!("{finding}")?;
    }
    if findings.iter().any(|finding| finding.verdict == Verdict::Bad) {
        let source = anyhow!("what is marked BAD has to change");
        return Err(Failure::new(ExitStatus::Unhealthy, source));
    }
    Ok(())
}
