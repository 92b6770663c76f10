//! How a stage ends: one documented exit status per class of failure, and one clear line.
//!
//! Every stage's `main` is a call of [`main_with`]. Scripts and supervisors rely on the numbers,
//! so a number once given never changes its meaning.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use framelane_ring::{RingError, ShmError};

/// The exit statuses of all stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitStatus {
    /// 0: the work is done, or the stage was asked to stop.
    Done,
    /// 1: something that should not happen.
    Unexpected,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: the input can't be opened or decoded.
    Input,
    /// 4: the output is refused or can't be written.
    Output,
    /// 5: ffmpeg is missing or can't be used.
    Ffmpeg,
    /// 6: the ring can't be created or joined: corrupt, of another layout, or not a ring.
    Ring,
    /// 7: there is not enough shared memory.
    SharedMemory,
    /// 8: the part that this process was to play is taken by another process.
    Taken,
    /// 9: a check has found something wrong.
    Unhealthy,
    /// 10: the program that processes the frames has failed.
    Program,
}

impl ExitStatus {
    /// All of them, by number.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Input,
        Self::Output,
        Self::Ffmpeg,
        Self::Ring,
        Self::SharedMemory,
        Self::Taken,
        Self::Unhealthy,
        Self::Program,
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Output => 4,
            Self::Ffmpeg => 5,
            Self::Ring => 6,
            Self::SharedMemory => 7,
            Self::Taken => 8,
            Self::Unhealthy => 9,
            Self::Program => 10,
        }
    }

    /// What it stands for, for `--help` and the documentation.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Done => "done, or asked to stop",
            Self::Unexpected => "unexpected failure",
            Self::Usage => "bad usage",
            Self::Input => "the input can't be opened or decoded",
            Self::Output => "the output is refused or can't be written",
            Self::Ffmpeg => "ffmpeg is missing or can't be used",
            Self::Ring => "the ring can't be created or joined",
            Self::SharedMemory => "not enough shared memory",
            Self::Taken => "the part of this process is taken by another one",
            Self::Unhealthy => "a check has found something wrong",
            Self::Program => "the program that processes the frames has failed",
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        status.code().into()
    }
}

/// Why a stage ends, and with which status.
#[derive(Debug, thiserror::Error)]
#[error("{source:#}")]
pub struct Failure {
    status: ExitStatus,
    source: anyhow::Error,
}

impl Failure {
    /// A failure with the status `status`.
    pub fn new(status: ExitStatus, source: impl Into<anyhow::Error>) -> Self {
        Self { status, source: source.into() }
    }

    /// A failure that is told in one sentence.
    pub fn message(status: ExitStatus, message: impl fmt::Display) -> Self {
        Self { status, source: anyhow::anyhow!("{message}") }
    }

    /// The exit status.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// What happened and why, in one line: `what happened: cause: cause of that`. Line breaks in
    /// messages become spaces.
    pub fn line(&self) -> String {
        format!("{:#}", self.source).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl From<anyhow::Error> for Failure {
    /// An error that nobody gave a status is unexpected.
    fn from(source: anyhow::Error) -> Self {
        Self { status: ExitStatus::Unexpected, source }
    }
}

impl From<std::io::Error> for Failure {
    fn from(source: std::io::Error) -> Self {
        anyhow::Error::from(source).into()
    }
}

impl From<RingError> for Failure {
    fn from(error: RingError) -> Self {
        let status = match &error {
            RingError::Shm(ShmError::TooSmall { .. }) => ExitStatus::SharedMemory,
            RingError::Shm(ShmError::BadName { .. })
            | RingError::BadConfig(_)
            | RingError::BadGroupName(_) => ExitStatus::Usage,
            RingError::SourceTaken(_)
            | RingError::GroupTaken { .. }
            | RingError::GroupKind { .. }
            | RingError::OtherOutput { .. }
            | RingError::HasFeed { .. } => ExitStatus::Taken,
            _ => ExitStatus::Ring,
        };
        Self::new(status, error)
    }
}

impl From<ShmError> for Failure {
    fn from(error: ShmError) -> Self {
        RingError::from(error).into()
    }
}

/// Gives errors an exit status and says what was being done.
pub trait FailureContext<T> {
    /// The failure of doing `what`, with the status `status`.
    ///
    /// # Errors
    /// The error of the result itself, wrapped.
    fn fails_with(self, status: ExitStatus, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> FailureContext<T> for Result<T, E> {
    fn fails_with(self, status: ExitStatus, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure { status, source: error.into().context(what.to_string()) })
    }
}

/// Runs a stage and turns what it returns into its exit status. A failure is told in one line on
/// stderr, `name: what happened: cause`.
pub fn main_with(name: &str, run: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    match run() {
        Ok(()) => ExitStatus::Done.into(),
        Err(failure) => {
            // Stderr may be closed: the status still tells.
            let _ = writeln!(std::io::stderr(), "{name}: {}", failure.line());
            failure.status().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_their_places_in_the_list() {
        for (status, number) in ExitStatus::ALL.into_iter().zip(0..) {
            assert_eq!(status.code(), number);
        }
    }

    #[test]
    fn ring_errors_have_the_status_of_their_class() {
        let taken = Failure::from(RingError::SourceTaken("cam1.in".into()));
        assert_eq!(taken.status(), ExitStatus::Taken);
        let missing = Failure::from(ShmError::NotFound("cam1.in".into()));
        assert_eq!(missing.status(), ExitStatus::Ring);
    }

    #[test]
    fn failures_are_told_in_one_line_with_their_causes() {
        let cause = std::io::Error::other("no\nroute");
        let failure = Err::<(), _>(cause).fails_with(ExitStatus::Input, "can't open a.mp4");
        let failure = failure.expect_err("an error");
        assert_eq!(failure.status(), ExitStatus::Input);
        assert_eq!(failure.line(), "can't open a.mp4: no route");
        assert_eq!(Failure::from(anyhow::anyhow!("x")).status(), ExitStatus::Unexpected);
        assert_eq!(Failure::message(ExitStatus::Taken, "taken").line(), "taken");
    }
}
