//! Runs ffmpeg and ffprobe for the harness itself, and knows how the installed version spells its
//! options.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// How to get what the tests need; every message about a missing program ends with it.
pub const HOW_TO_INSTALL: &str = "run scripts/setup.sh test";

/// A quiet ffmpeg that asks nothing and overwrites files.
pub fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"]);
    command
}

/// Runs ffmpeg with these arguments to its end and returns what it printed.
///
/// # Errors
/// When ffmpeg is missing or fails; the message has the arguments and ffmpeg's own words.
pub fn run_ffmpeg<S: AsRef<OsStr>>(args: &[S]) -> Result<String> {
    run(ffmpeg().args(args))
}

/// Runs a command to its end without input and returns what it printed.
///
/// # Errors
/// When it is missing or fails.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}: {HOW_TO_INSTALL}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}: {}", output.status, words.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The options that make ffmpeg keep each frame and its time: `-fps_mode` came with 5.1.
pub fn keep_every_frame() -> [&'static str; 2] {
    static NEW: OnceLock<bool> = OnceLock::new();
    let new = *NEW.get_or_init(|| {
        let version = run(Command::new("ffmpeg").arg("-version")).unwrap_or_default();
        version.split_whitespace().nth(2).is_none_or(knows_fps_mode)
    });
    if new { ["-fps_mode", "passthrough"] } else { ["-vsync", "passthrough"] }
}

fn knows_fps_mode(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 1),
        (Some(Ok(major)), _) => major > 5,
        // A build from git has no number: take it for a new one.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::knows_fps_mode;

    #[test]
    fn versions_are_told_apart() {
        for (version, new) in [
            ("4.4.2-0ubuntu0.22.04.1", false),
            ("5.0.1", false),
            ("5.1.9-0+deb12u1", true),
            ("7.0.2-static", true),
            ("8", true),
            ("N-109542-g0bf1b8a", true),
        ] {
            assert_eq!(knows_fps_mode(version), new, "{version}");
        }
    }
}
