//! Who decodes: a child process, or ffmpeg's libraries in this one where the puller was built with
//! them.

use framelane_media::ffmpeg::{DecodeOptions, Ffmpeg};
use framelane_stage::{ExitStatus, Failure};

use crate::args::{Arguments, DecoderChoice};
use crate::decoder::{Context, Input};
#[cfg(feature = "libav")]
use crate::libraries::LibraryInput;
use crate::process::ProcessInput;
use crate::trouble::Trouble;

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
            DecoderChoice::Ffmpeg => Ffmpeg::find(&args.ffmpeg)
                .map(Self::Process)
                .map_err(|error| Failure::new(ExitStatus::Ffmpeg, error)),
            #[cfg(feature = "libav")]
            DecoderChoice::Libav => Ok(Self::Libraries),
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
