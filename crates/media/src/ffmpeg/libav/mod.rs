//! ffmpeg's libraries in this process: what [`DecodeOptions`] say is opened, decoded and filtered
//! here instead of by a child, and pictures are looked at where the decoder has put them.
//!
//! The libraries take the options and the filters that the child would take, so what comes out is
//! the same. What they have to say becomes [`Line`](super::Line)s and a [`ChildFailure`], as a
//! child's stderr does. What is missing is the wall between a hostile stream and this process: a
//! decoder that crashes takes it along.

mod log;
mod options;
mod patience;
mod raw;
mod sys;

use std::io;
use std::time::Duration;

use super::decode::DecodeOptions;
use super::failure::ChildFailure;
use super::probe::MediaInfo;
use crate::Secrets;
use crate::nut::AudioStream;
use log::Log;
use options::{c_string, filters_of, words_of};
use patience::Patience;
use raw::{Description, Next, RawInput, version};

pub use raw::DecodedPicture;

/// Why nothing more comes from an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibavError {
    /// It can't be opened, read or decoded.
    #[error(transparent)]
    Failed(Box<ChildFailure>),
    /// There is nothing to decode.
    #[error("it has no video stream")]
    NoVideo,
    /// Nothing came for too long.
    #[error("nothing for {0:?}")]
    Stalled(Duration),
    /// The stage is asked to stop.
    #[error("asked to stop")]
    Stopped,
    /// Among the input's arguments is something that only the program ffmpeg has a use for.
    #[error("{0}: ffmpeg's libraries take options with a value and nothing else")]
    Argument(String),
    /// The system.
    #[error("preparing to read")]
    System(#[source] io::Error),
}

/// What comes next from an input.
#[derive(Debug)]
pub enum Event<'input> {
    /// A picture, as the filters have made it: see [`Input::picture`].
    Picture {
        /// Its time at the source, in nanoseconds.
        pts_ns: i64,
    },
    /// A packet of the first audio stream, as it is.
    Audio {
        /// Its time at the source, in nanoseconds.
        pts_ns: i64,
        /// The packet.
        bytes: &'input [u8],
    },
}

/// An input that is open.
#[derive(Debug)]
pub struct Input {
    raw: RawInput,
    log: Log,
    url: String,
    found: Description,
    broken: bool,
}

impl Input {
    /// Opens the input of `options`, and looks what is in it. From now on nothing takes longer than
    /// `patience` to the next picture, and everything ends soon after `stop` has become true.
    ///
    /// # Errors
    /// [`LibavError`].
    pub fn open(
        options: &DecodeOptions,
        secrets: &Secrets,
        patience: Duration,
        stop: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self, LibavError> {
        let words = words_of(options, version())?;
        let url = c_string(&options.input)?;
        let log = Log::start(secrets).map_err(LibavError::System)?;
        let (raw, opened) = RawInput::open(&url, &words, Patience::new(patience, stop))
            .ok_or_else(|| LibavError::System(io::ErrorKind::OutOfMemory.into()))?;
        let url = secrets.redact(&options.input).into_owned();
        let mut input = Self { raw, log, url, found: Description::default(), broken: false };
        input.check(opened)?;
        input.found = input.raw.describe();
        Ok(input)
    }

    /// What was in the input when it was opened.
    pub fn info(&self) -> &MediaInfo {
        &self.found.info
    }

    /// What the packets of audio are.
    pub fn audio(&self) -> Option<&AudioStream> {
        self.found.audio.as_ref()
    }

    /// ffmpeg's name of the codec of the audio that there is by now: a live stream's may turn up
    /// late.
    pub fn audio_codec(&self) -> Option<String> {
        self.raw.audio_codec()
    }

    /// Opens the decoder. Packets of audio come, too, if they are asked for.
    ///
    /// # Errors
    /// [`LibavError::Failed`]; [`LibavError::NoVideo`].
    pub fn start(&mut self, options: &DecodeOptions, with_audio: bool) -> Result<(), LibavError> {
        let video = self.found.info.video.as_ref().ok_or(LibavError::NoVideo)?;
        let filters = filters_of(options, video.rotation, &self.found.display_matrix)?;
        let started = self.raw.start(&filters, with_audio);
        self.check(started)
    }

    /// The next picture or packet. `None` is the end. To be called after [`start`](Self::start).
    ///
    /// # Errors
    /// [`LibavError`], after which nothing more comes.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, LibavError> {
        self.raw.patience().begin();
        match self.raw.next() {
            Ok(Next::Picture { pts_ns }) => {
                self.raw.patience().end();
                Ok(Some(Event::Picture { pts_ns }))
            }
            Ok(Next::Audio { pts_ns }) => {
                Ok(Some(Event::Audio { pts_ns, bytes: self.raw.packet() }))
            }
            Ok(Next::End { broken }) => {
                self.broken = broken;
                Ok(None)
            }
            Err(_) => Err(self.explain()),
        }
    }

    /// The picture that came last, if nothing has come since.
    pub fn picture(&self) -> Option<DecodedPicture<'_>> {
        self.raw.picture()
    }

    fn check(&mut self, result: i32) -> Result<(), LibavError> {
        if result < 0 { Err(self.explain()) } else { Ok(()) }
    }

    /// After the end: why the input could not be read any further, if it could not.
    pub fn read_error(&mut self) -> Option<LibavError> {
        self.broken.then(|| self.explain())
    }

    /// Why a call has failed: what the libraries have said of it last.
    fn explain(&mut self) -> LibavError {
        let patience = self.raw.patience();
        if patience.is_stopped() {
            return LibavError::Stopped;
        }
        if patience.is_exhausted() {
            return LibavError::Stalled(patience.longest());
        }
        let (name, url) = ("libav".to_owned(), self.url.clone());
        LibavError::Failed(Box::new(ChildFailure::new(name, url, None, self.log.finish())))
    }
}
