//! The decoder that costs least: ffmpeg's libraries in this process, which leave pictures where
//! frames can be made of them at once.

use std::time::{Duration, Instant};

use framelane_conversion::Conversion;
use framelane_frame::{Colour, FrameRate, Geometry};
use framelane_media::ffmpeg::libav::{self, DecodedPicture, Event, LibavError};
use framelane_media::ffmpeg::{DecodeOptions, MediaInfo, audio_codec_is_supported};
use framelane_stage::Shutdown;

use crate::audio_queue::Inlet;
use crate::decoder::{Context, Decoder, Input};
use crate::trouble::Trouble;

/// An open input.
pub(crate) struct LibraryInput {
    input: libav::Input,
    shutdown: Shutdown,
}

impl LibraryInput {
    /// Opens an input, and looks what is in it.
    pub(crate) fn open(options: &DecodeOptions, context: &Context) -> Result<Self, Trouble> {
        let Context { secrets, stall_timeout, shutdown } = context.clone();
        let stop = shutdown.clone();
        let stop = move || stop.requested();
        let input = libav::Input::open(options, &secrets, stall_timeout, stop)?;
        Ok(Self { input, shutdown })
    }
}

impl Input for LibraryInput {
    fn info(&self) -> Option<&MediaInfo> {
        Some(self.input.info())
    }

    fn start(
        self: Box<Self>,
        options: DecodeOptions,
        mut audio: Option<Inlet>,
    ) -> Result<Option<Box<dyn Decoder>>, Trouble> {
        let Self { mut input, shutdown } = *self;
        input.start(&options, audio.is_some())?;
        // Sound belongs to a session, which there is none without a picture.
        let mut early = Vec::new();
        let first_ns = next_picture(&mut input, |pts_ns, bytes| early.push((pts_ns, bytes)))?;
        let Some((first_ns, picture)) = first_ns.zip(input.picture()) else {
            return if options.live { Err(lost(&mut input)) } else { Ok(None) };
        };
        if let (Some(inlet), Some(audio)) = (&mut audio, input.audio()) {
            inlet.begin(audio, (1, audio.sample_rate.max(1)));
            early.into_iter().for_each(|(pts_ns, bytes)| inlet.put(pts_ns, bytes));
        }
        let Some(pictures) = picture.geometry() else {
            let what = "a size or pixel format that no ring can hold";
            return Err(Trouble::Unusable(what.to_owned()));
        };
        let decoder = LibraryDecoder {
            pictures,
            sample_aspect: picture.sample_aspect(),
            conversion: None,
            audio,
            first_ns: Some(first_ns),
            pace: options.realtime.then(|| Pace::new(shutdown)),
            input,
            options,
        };
        Ok(Some(Box::new(decoder)))
    }
}

/// A decoder in this process, from its first picture on.
struct LibraryDecoder {
    input: libav::Input,
    options: DecodeOptions,
    /// What the decoder and the filters give.
    pictures: Geometry,
    sample_aspect: (u32, u32),
    conversion: Option<Conversion>,
    audio: Option<Inlet>,
    /// The time of the first picture, which was needed to know what pictures are like.
    first_ns: Option<i64>,
    pace: Option<Pace>,
}

impl Decoder for LibraryDecoder {
    fn geometry(&self) -> Geometry {
        self.pictures.with_format(self.options.format)
    }

    fn convert_from(&mut self, colour: Colour) {
        let colour = self.options.picture_colour(colour);
        self.conversion = colour.and_then(|colour| Conversion::new(self.geometry(), colour));
    }

    fn is_converted(&self) -> bool {
        self.options.is_converted()
    }

    fn sample_aspect(&self) -> (u32, u32) {
        self.sample_aspect
    }

    fn frame_rate(&self) -> Option<FrameRate> {
        self.input.info().video.as_ref()?.frame_rate
    }

    fn input_info(&self) -> MediaInfo {
        self.input.info().clone()
    }

    fn sees_audio(&self) -> bool {
        self.input.audio_codec().is_some_and(|codec| audio_codec_is_supported(&codec))
    }

    fn has_stepped_back(&self) -> bool {
        // It does not stand still: the timeline sees the step.
        false
    }

    fn next_frame(&mut self) -> Result<Option<i64>, Trouble> {
        let next_ns = match self.first_ns.take() {
            Some(first_ns) => Some(first_ns),
            None => next_picture(&mut self.input, |pts_ns, bytes| {
                if let Some(audio) = &mut self.audio {
                    audio.put(pts_ns, bytes);
                }
            })?,
        };
        let Some(pts_ns) = next_ns else { return Ok(None) };
        let geometry = self.input.picture().and_then(|picture| picture.geometry());
        if geometry != Some(self.pictures) {
            let got = geometry.map_or("something else".to_owned(), |got| got.to_string());
            return Err(Trouble::Unusable(format!("a picture of {got} is no {}", self.pictures)));
        }
        if let Some(pace) = &mut self.pace {
            pace.wait_for(pts_ns)?;
        }
        Ok(Some(pts_ns))
    }

    fn read_frame(&mut self, frame: &mut [u8]) -> Result<(), Trouble> {
        let short = || Trouble::Unusable("a picture without its planes".to_owned());
        let picture = self.input.picture().ok_or_else(short)?;
        let Some(conversion) = &self.conversion else {
            return copy(&picture, self.pictures, frame).ok_or_else(short);
        };
        let planes = picture.planes().try_into().map_err(|_| short())?;
        conversion
            .write_frame_of(planes, frame)
            .map_err(|error| Trouble::Unusable(error.to_string()))
    }

    fn skip_frame(&mut self) -> Result<(), Trouble> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }

    fn failure(&mut self) -> Trouble {
        lost(&mut self.input)
    }

    fn stop(&mut self) {}
}

impl From<LibavError> for Trouble {
    fn from(error: LibavError) -> Self {
        match error {
            LibavError::Failed(failure) => Self::Decoder(failure),
            LibavError::NoVideo => Self::NotVideo(error.to_string()),
            LibavError::Stalled(patience) => Self::Stalled(patience),
            LibavError::Stopped => Self::Stopped,
            LibavError::System(source) => Self::System { action: "preparing to read", source },
            LibavError::Argument(_) => Self::Options(format!("{error}: use --decoder ffmpeg")),
            other => Self::Unusable(other.to_string()),
        }
    }
}

/// Goes on to the next picture, and passes on the packets of audio before it.
fn next_picture(
    input: &mut libav::Input,
    mut pass_on: impl FnMut(i64, Vec<u8>),
) -> Result<Option<i64>, Trouble> {
    loop {
        match input.next_event()? {
            None => return Ok(None),
            Some(Event::Picture { pts_ns }) => return Ok(Some(pts_ns)),
            Some(Event::Audio { pts_ns, bytes }) => pass_on(pts_ns, bytes.to_vec()),
        }
    }
}

/// Why there is no more of a live input.
fn lost(input: &mut libav::Input) -> Trouble {
    input.read_error().map_or(Trouble::Ended, Trouble::from)
}

/// Copies a picture into a frame of the same format, whose rows follow each other.
fn copy(picture: &DecodedPicture<'_>, geometry: Geometry, frame: &mut [u8]) -> Option<()> {
    let planes = picture.planes();
    let packed = geometry.planes();
    if planes.len() != packed.len() {
        return None;
    }
    for (from, to) in planes.iter().zip(packed) {
        let rows = frame.get_mut(to.range())?.chunks_exact_mut(to.stride);
        for (from, to) in from.bytes.chunks(from.stride).zip(rows) {
            to.copy_from_slice(from.get(..to.len())?);
        }
    }
    Some(())
}

/// Reads no faster than the source plays.
struct Pace {
    shutdown: Shutdown,
    start: Option<(Instant, i64)>,
}

impl Pace {
    fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, start: None }
    }

    /// Waits until it is time for a picture.
    fn wait_for(&mut self, pts_ns: i64) -> Result<(), Trouble> {
        let (start, first_ns) = *self.start.get_or_insert_with(|| (Instant::now(), pts_ns));
        let after =
            Duration::from_nanos(u64::try_from(pts_ns.saturating_sub(first_ns)).unwrap_or(0));
        let early = after.saturating_sub(start.elapsed());
        if self.shutdown.sleep(early) { Ok(()) } else { Err(Trouble::Stopped) }
    }
}
