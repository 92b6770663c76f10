//! The one owner of an input of libav.h: every call of it, and every look at what it points to.

#![expect(unsafe_code, reason = "ffmpeg's libraries are C")]
// UNSAFETY: an input is opened once and closed once, by its owner, and used by one thread at a time.
// What it points to is valid until its next event, for which it is borrowed mutably.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use framelane_frame::{
    Colour, FrameRate, Geometry, Matrix, PictureRows, Primaries, Range, Transfer,
};

use super::patience::Patience;
use super::sys;
use crate::ffmpeg::Version;
use crate::ffmpeg::probe::{AudioInfo, MediaInfo, VideoInfo, set_full_range_by_format};
use crate::nut::AudioStream;

/// The release of ffmpeg that the libraries are of.
pub(super) fn version() -> Version {
    // SAFETY: returns a number.
    let libavformat = unsafe { sys::avformat_version() } >> 16;
    // That of ffmpeg 4 is 58, and so on.
    Version { major: libavformat.saturating_sub(54), minor: 0 }
}

/// An open input, or one that could not be opened.
#[derive(Debug)]
pub(super) struct RawInput {
    input: NonNull<sys::Input>,
    patience: Arc<Patience>,
    event: sys::Event,
    /// What the event is.
    last: Option<Next>,
}

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Picture {
        pts_ns: i64,
    },
    Audio {
        pts_ns: i64,
    },
    /// The end; `broken` when the input could not be read any further.
    End {
        broken: bool,
    },
}

/// What is in an input.
#[derive(Debug, Default)]
pub(super) struct Description {
    pub(super) info: MediaInfo,
    /// What the packets of audio are.
    pub(super) audio: Option<AudioStream>,
    /// How to turn pictures; all zero when not at all.
    pub(super) display_matrix: [i32; 9],
}

// SAFETY: what is called keeps no state of a thread.
unsafe impl Send for RawInput {}

impl RawInput {
    /// Opens an input. `None` without memory; the number is negative where it could not be opened.
    pub(super) fn open(
        url: &CStr,
        options: &[CString],
        patience: Patience,
    ) -> Option<(Self, c_int)> {
        let mut words: Vec<*const c_char> = options.iter().map(|word| word.as_ptr()).collect();
        words.push(ptr::null());
        let patience = Arc::new(patience);
        let mut input = ptr::null_mut();
        // SAFETY: the strings live until the call returns, the patience as long as the input.
        let opened = unsafe {
            let waited = Arc::as_ptr(&patience).cast_mut().cast();
            let (out, words) = (&raw mut input, words.as_ptr());
            sys::framelane_open(out, url.as_ptr(), words, Patience::is_over, waited)
        };
        // SAFETY: pointers and numbers, which may all be zero.
        let event = unsafe { mem::zeroed() };
        let input = NonNull::new(input)?;
        Some((Self { input, patience, event, last: None }, opened))
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Opens the decoder of the video, of which there has to be one.
    pub(super) fn start(&mut self, filters: &CStr, with_audio: bool) -> c_int {
        // SAFETY: the input is open, and the filters are copied.
        unsafe { sys::framelane_start(self.input.as_ptr(), filters.as_ptr(), with_audio.into()) }
    }

    /// Goes on to the next event. A negative error is libav's.
    pub(super) fn next(&mut self) -> Result<Next, c_int> {
        self.last = None;
        // SAFETY: the input is open; without a decoder the call fails.
        let next = unsafe { sys::framelane_next(self.input.as_ptr(), &raw mut self.event) };
        let pts_ns = self.event.pts_ns;
        let next = match next {
            sys::PICTURE => Next::Picture { pts_ns },
            sys::AUDIO => Next::Audio { pts_ns },
            error if error < 0 => return Err(error),
            _ => Next::End { broken: self.event.error != 0 },
        };
        self.last = Some(next);
        Ok(next)
    }

    /// The packet of audio, if that is what came last.
    pub(super) fn packet(&self) -> &[u8] {
        let Some(Next::Audio { .. }) = self.last else { return &[] };
        // SAFETY: the packet is there until the next event.
        unsafe { bytes_at(self.event.data[0], number(self.event.bytes)) }
    }

    /// The picture, if that is what came last.
    pub(super) fn picture(&self) -> Option<DecodedPicture<'_>> {
        matches!(self.last, Some(Next::Picture { .. })).then_some(DecodedPicture(&self.event))
    }

    /// ffmpeg's name of the codec of the audio that there is by now.
    pub(super) fn audio_codec(&self) -> Option<String> {
        let mut name: sys::Name = [0; sys::NAME_BYTES];
        // SAFETY: the input is open.
        unsafe { sys::framelane_audio_codec(self.input.as_ptr(), &raw mut name) };
        (name[0] != 0).then(|| text(&name))
    }

    /// What is in the input.
    pub(super) fn describe(&self) -> Description {
        // SAFETY: a pointer, texts and numbers, which may all be zero.
        let mut found: sys::Description = unsafe { mem::zeroed() };
        // SAFETY: the input is open.
        unsafe { sys::framelane_describe(self.input.as_ptr(), &raw mut found) };
        let video = (found.video_codec[0] != 0).then(|| video(&found));
        let (audio, stream) = (found.audio_codec[0] != 0).then(|| audio(&found)).unzip();
        let info = MediaInfo { video, audio };
        Description { info, audio: stream, display_matrix: found.display_matrix }
    }
}

impl Drop for RawInput {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; nothing borrows from it any more.
        unsafe { sys::framelane_close(self.input.as_ptr()) };
    }
}

/// A picture where the decoder has put it.
#[derive(Debug)]
pub struct DecodedPicture<'input>(&'input sys::Event);

impl DecodedPicture<'_> {
    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown.
    pub fn sample_aspect(&self) -> (u32, u32) {
        pair(self.0.sample_aspect)
    }

    /// Size and pixel format. `None` when no ring could hold such frames.
    pub fn geometry(&self) -> Option<Geometry> {
        let format = text(&self.0.pixel_format).parse().ok()?;
        Geometry::new(positive(self.0.width), positive(self.0.height), format).ok()
    }

    /// The planes, in the order of [`Geometry::planes`]. Empty when there is no geometry.
    pub fn planes(&self) -> Vec<PictureRows<'_>> {
        let packed = self.geometry().map(|geometry| geometry.planes()).unwrap_or_default();
        let rows = packed.iter().zip(self.0.data).zip(self.0.stride);
        rows.map_while(|((plane, start), stride)| {
            let stride = usize::try_from(stride).ok().filter(|&stride| stride >= plane.stride)?;
            // SAFETY: libav's pictures have whole rows, all but for the padding of the last.
            let bytes = unsafe { bytes_at(start, stride * (plane.rows - 1) + plane.stride) };
            Some(PictureRows { bytes, stride })
        })
        .collect()
    }
}

fn video(found: &sys::Description) -> VideoInfo {
    let pixel_format = text(&found.pixel_format);
    let mut colour = Colour {
        matrix: Matrix::from_name(&text(&found.matrix)),
        range: Range::from_name(&text(&found.range)),
        primaries: Primaries::from_name(&text(&found.primaries)),
        transfer: Transfer::from_name(&text(&found.transfer)),
    };
    set_full_range_by_format(&mut colour, &pixel_format);
    let rate = pair(found.frame_rate);
    VideoInfo {
        codec: text(&found.video_codec),
        width: positive(found.width),
        height: positive(found.height),
        pixel_format,
        frame_rate: FrameRate::new(rate.0, rate.1),
        colour,
        rotation: whole(found.rotation),
        interlaced: found.interlaced != 0,
        sample_aspect: pair(found.sample_aspect),
    }
}

fn audio(found: &sys::Description) -> (AudioInfo, AudioStream) {
    let (sample_rate, channels) = (positive(found.sample_rate), positive(found.channels));
    // SAFETY: the stream's own set-up, which is copied while the input is open.
    let set_up = unsafe { bytes_at(found.codec_specific, number(found.codec_specific_bytes)) };
    let stream = AudioStream {
        tag: found.audio_tag.to_le_bytes().to_vec(),
        sample_rate,
        channels,
        codec_specific_data: set_up.to_vec(),
    };
    (AudioInfo { codec: text(&found.audio_codec), sample_rate, channels }, stream)
}

/// Whole degrees, 0 to 359.
fn whole(degrees: f64) -> u32 {
    let degrees = if degrees.is_finite() { degrees.round().rem_euclid(360.0) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 360")]
    let degrees = degrees as u32;
    degrees
}

fn positive(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn number(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

fn pair([first, second]: [i32; 2]) -> (u32, u32) {
    match (positive(first), positive(second)) {
        (0, _) | (_, 0) => (0, 0),
        pair => pair,
    }
}

/// A text that ends with a 0, if it is one.
fn text(bytes: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(bytes).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

/// # Safety
/// Null, or so many bytes that live long enough.
unsafe fn bytes_at<'bytes>(start: *const u8, bytes: usize) -> &'bytes [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: as above.
    unsafe { slice::from_raw_parts(start, bytes) }
}
