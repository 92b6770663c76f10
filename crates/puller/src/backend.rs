//! Who decodes: a child process, or ffmpeg's libraries in this one where the puller was built with
//! them.

use std::fmt;
use std::str::FromStr;

use framelane_media::ffmpeg::{DecodeOptions, Ffmpeg};
use framelane_stage::{ExitStatus, Failure};

use crate::args::Arguments;
use crate::decoder::{Context, Input};
#[cfg(feature = "libav")]
use crate::libraries::LibraryInput;
use crate::process::ProcessInput;
use crate::trouble::Trouble;

/// What a user can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    Ffmpeg,
    #[cfg(feature = "libav")]
    Libav,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "ffmpeg" => Ok(Self::Ffmpeg),
            #[cfg(feature = "libav")]
            "libav" => Ok(Self::Libav),
            #[cfg(not(feature = "libav"))]
            "libav" => Err("this puller was built without ffmpeg's libraries: \
                            `make build LIBAV=1` builds one with them"
                .to_owned()),
            _ => Err(format!("'{name}' is no decoder: use ffmpeg or libav")),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ffmpeg => "ffmpeg",
            #[cfg(feature = "libav")]
            Self::Libav => "libav",
        })
    }
}

/// Who decodes.
pub(crate) enum Backend {
    Process(Ffmpeg),
    #[cfg(feature = "libav")]
    Libraries,
}

impl Backend {
    /// The one that is asked for.
    ///
    /// # Errors
    /// When there is no ffmpeg to run.
    pub(crate) fn new(args: &Arguments) -> Result<Self, Failure> {
        match args.decoder {
            Choice::Ffmpeg => Ffmpeg::find(&args.ffmpeg)
                .map(Self::Process)
                .map_err(|error| Failure::new(ExitStatus::Ffmpeg, error)),
            #[cfg(feature = "libav")]
            Choice::Libav => Ok(Self::Libraries),
        }
    }

    /// Opens the input of `options`.
    pub(crate) fn open(
        &self,
        options: &DecodeOptions,
        context: &Context,
    ) -> Result<Box<dyn Input>, Trouble> {
        Ok(match self {
            Self::Process(ffmpeg) => Box::new(ProcessInput::open(ffmpeg, options, context)?),
            #[cfg(feature = "libav")]
            Self::Libraries => Box::new(LibraryInput::open(options, context)?),
        })
    }
}
