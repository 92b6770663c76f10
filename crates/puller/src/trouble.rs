//! Why a session with a decoder ended without the stream having ended.

use std::io;
use std::time::Duration;

use framelane_media::ffmpeg::{ChildError, ChildFailure, FailureKind};
use framelane_media::nut::ReadError;
use framelane_ring::RingError;
use framelane_stage::{ExitStatus, Failure};

/// What went wrong in a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// ffmpeg ended, or wrote nonsense; or its libraries failed.
    #[error(transparent)]
    Decoder(Box<ChildFailure>),
    /// No frame came for too long.
    #[error("no frame for {0:?}")]
    Stalled(Duration),
    /// ffmpeg writes something that this program can't use.
    #[error("ffmpeg's output can't be used: {0}")]
    Unusable(String),
    /// There is nothing in the input that could be shown.
    #[error("{0}")]
    NotVideo(String),
    /// ffmpeg could not be started.
    #[error(transparent)]
    Start(ChildError),
    /// A live input has ended without an error.
    #[error("the connection has ended")]
    Ended,
    /// ffmpeg's libraries can't be told what they should be.
    #[cfg(feature = "libav")]
    #[error("{0}")]
    Options(String),
    /// The ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The system.
    #[error("{action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The stage is asked to stop.
    #[error("asked to stop")]
    Stopped,
}

impl Trouble {
    /// What a failed read of ffmpeg's pipe means.
    pub(crate) fn of_read(error: ReadError, stall_timeout: Duration) -> Self {
        match error {
            ReadError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::Stalled(stall_timeout)
            }
            ReadError::Io(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                Self::Stopped
            }
            other => Self::Unusable(other.to_string()),
        }
    }

    /// Whether ffmpeg itself knows better what happened than its pipe does.
    pub(crate) fn is_from_the_pipe(&self) -> bool {
        matches!(self, Self::Unusable(_))
    }

    /// What kind of failure ffmpeg told of.
    pub(crate) fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::Decoder(failure) => Some(failure.kind()),
            _ => None,
        }
    }

    /// Whether another input may do better.
    pub(crate) fn is_of_the_input(&self) -> bool {
        match self {
            Self::Decoder(_)
            | Self::Stalled(_)
            | Self::Unusable(_)
            | Self::NotVideo(_)
            | Self::Ended => true,
            #[cfg(feature = "libav")]
            Self::Options(_) => false,
            Self::Ring(_) | Self::Start(_) | Self::System { .. } | Self::Stopped => false,
        }
    }

    /// Whether trying the same input again can't help, however long one waits.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Decoder(failure) => {
                matches!(failure.kind(), FailureKind::Unauthorized | FailureKind::Option)
            }
            Self::Stalled(_) | Self::Unusable(_) | Self::NotVideo(_) | Self::Ended => false,
            #[cfg(feature = "libav")]
            Self::Options(_) => true,
            Self::Ring(_) | Self::Start(_) | Self::System { .. } | Self::Stopped => true,
        }
    }

    /// The failure of the whole process that this is, for an input as it may be shown.
    pub(crate) fn into_failure(self, input: &str) -> Failure {
        match self {
            Self::Ring(error) => error.into(),
            Self::Start(error) => Failure::new(ExitStatus::Ffmpeg, error),
            other => {
                let source = anyhow::Error::new(other).context(format!("can't pull {input}"));
                Failure::new(ExitStatus::Input, source)
            }
        }
    }
}
