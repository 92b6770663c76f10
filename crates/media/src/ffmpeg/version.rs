//! Finds ffmpeg and learns its version, on which the spelling of some options depends.
//!
//! Every stage that needs ffmpeg calls [`Ffmpeg::find`] first, so that a missing or broken one is
//! told before anything else is done.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::capture::capture;
use super::child::{ChildCommand, ChildError};
use super::failure::ChildFailure;

/// A program that says nothing for so long is not ffmpeg.
const TIMEOUT: Duration = Duration::from_secs(10);
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// Why there is no usable ffmpeg.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FfmpegError {
    /// There is no such program.
    #[error(
        "{} was not found: install ffmpeg (apt-get install ffmpeg), or say where it is with --ffmpeg PATH",
        program.display()
    )]
    NotFound {
        /// What was looked for.
        program: PathBuf,
    },
    /// It is there, and can't be run.
    #[error("{} can't be run: say where ffmpeg is with --ffmpeg PATH", program.display())]
    NotRunnable {
        /// What was to be run.
        program: PathBuf,
        /// Why not.
        #[source]
        source: ChildError,
    },
    /// It ran, and failed.
    #[error("{} -version failed", program.display())]
    Failed {
        /// What was run.
        program: PathBuf,
        /// How it ended.
        #[source]
        source: Box<ChildFailure>,
    },
    /// It ran, and is something else.
    #[error("{} is not ffmpeg: its -version does not say so", program.display())]
    NotFfmpeg {
        /// What was run.
        program: PathBuf,
    },
}

/// A release of ffmpeg. Builds from its repository that don't name one count as the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The number before the first dot.
    pub major: u32,
    /// The number after it.
    pub minor: u32,
}

impl Version {
    /// Newer than all releases.
    pub const NEWEST: Self = Self { major: u32::MAX, minor: 0 };

    /// Reads the first line of `ffmpeg -version`; `None` when it is not ffmpeg's.
    pub fn parse(output: &str) -> Option<Self> {
        let word = output.strip_prefix("ffmpeg version ")?.split_whitespace().next()?;
        let mut numbers = word.trim_start_matches('n').splitn(3, ['.', '-']);
        let major = numbers.next().and_then(|number| number.parse().ok());
        let minor = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        // "N-112345-gabcdef" and "git-2024-01-01-abcdef" name no release.
        Some(major.map_or(Self::NEWEST, |major| Self { major, minor }))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEWEST {
            f.write_str("from git")
        } else {
            write!(f, "{}.{}", self.major, self.minor)
        }
    }
}

/// An ffmpeg that runs.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    program: PathBuf,
    version: Version,
}

impl Ffmpeg {
    /// Runs `program -version`. A name without a slash is looked for on PATH.
    ///
    /// # Errors
    /// [`FfmpegError`], which says what to do.
    pub fn find(program: impl AsRef<Path>) -> Result<Self, FfmpegError> {
        let program = program.as_ref().to_owned();
        let command = ChildCommand::new(&program).args(["-hide_banner", "-version"]);
        let mut captured = match capture(command, TIMEOUT, OUTPUT_BYTES_MAX) {
            Ok(captured) => captured,
            Err(ChildError::NotFound { .. }) => return Err(FfmpegError::NotFound { program }),
            Err(source) => return Err(FfmpegError::NotRunnable { program, source }),
        };
        if !captured.status.is_some_and(|status| status.success()) {
            let source = Box::new(captured.child.failure());
            return Err(FfmpegError::Failed { program, source });
        }
        match Version::parse(&String::from_utf8_lossy(&captured.stdout)) {
            Some(version) => Ok(Self { program, version }),
            None => Err(FfmpegError::NotFfmpeg { program }),
        }
    }

    /// One that is known to be there, without running it.
    pub fn assume(program: impl AsRef<Path>, version: Version) -> Self {
        Self { program: program.as_ref().to_owned(), version }
    }

    /// What to run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The ffprobe that came with it: `ffprobe` in the same place, with the same ending.
    pub fn ffprobe(&self) -> PathBuf {
        let name = self.program.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let beside = self.program.with_file_name(name.replacen("ffmpeg", "ffprobe", 1));
        // A wrapper of another name has no ffprobe beside it: the one on PATH then.
        if name.contains("ffmpeg") { beside } else { PathBuf::from("ffprobe") }
    }

    /// The output option that keeps frames and timestamps as they come. The old name is gone in
    /// newer versions, the new one is unknown to older ones.
    pub fn fps_mode_args(&self) -> [&'static str; 2] {
        let new = self.version >= Version { major: 5, minor: 1 };
        [if new { "-fps_mode" } else { "-vsync" }, "passthrough"]
    }

    /// The input option for the time after which a silent RTSP connection is given up. In version
    /// 4 `-timeout` meant to wait for somebody to connect.
    pub fn rtsp_timeout_option(&self) -> &'static str {
        if self.version.major >= 5 { "-timeout" } else { "-stimeout" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_and_of_git_are_read() {
        for (word, version) in [
            ("5.1.9-0+deb12u1", Version { major: 5, minor: 1 }),
            ("4.4.2-0ubuntu0.22.04.1", Version { major: 4, minor: 4 }),
            ("n7.0.2", Version { major: 7, minor: 0 }),
            ("8.0", Version { major: 8, minor: 0 }),
            ("6-static", Version { major: 6, minor: 0 }),
            ("N-112345-gabcdef", Version::NEWEST),
            ("git-2024-01-01-abcdef", Version::NEWEST),
        ] {
            let line = format!("ffmpeg version {word} Copyright (c) 2000-2026");
            assert_eq!(Version::parse(&line), Some(version), "{word}");
        }
        assert_eq!(Version::parse("bash: no"), None);
    }

    #[test]
    fn options_follow_the_version() {
        let old = Ffmpeg::assume("/opt/ffmpeg-4/ffmpeg", Version { major: 4, minor: 4 });
        assert_eq!(old.fps_mode_args(), ["-vsync", "passthrough"]);
        assert_eq!(old.rtsp_timeout_option(), "-stimeout");
        assert_eq!(old.ffprobe(), Path::new("/opt/ffmpeg-4/ffprobe"));
        let new = Ffmpeg::assume("ffmpeg", Version::NEWEST);
        assert_eq!(new.fps_mode_args(), ["-fps_mode", "passthrough"]);
        assert_eq!(new.ffprobe(), Path::new("ffprobe"));
    }

    #[test]
    fn what_is_missing_or_something_else_is_told_apart() {
        assert!(matches!(Ffmpeg::find("/nonexistent/ffmpeg"), Err(FfmpegError::NotFound { .. })));
        assert!(matches!(Ffmpeg::find("true"), Err(FfmpegError::NotFfmpeg { .. })));
        assert!(matches!(Ffmpeg::find("false"), Err(FfmpegError::Failed { .. })));
        assert!(matches!(Ffmpeg::find("/dev/null"), Err(FfmpegError::NotRunnable { .. })));
        assert!(Ffmpeg::find("ffmpeg").is_ok());
    }
}
