//! What the puller asks of whatever decodes for it. An input is opened first, which may tell what is
//! in it, and then started, with options that heed that.

use std::time::Duration;

use framelane_frame::{Colour, FrameRate, Geometry};
use framelane_media::Secrets;
use framelane_media::ffmpeg::{DecodeOptions, MediaInfo};
use framelane_stage::Shutdown;

use crate::audio_queue::Inlet;
use crate::trouble::Trouble;

/// What every session has in common.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) secrets: Secrets,
    pub(crate) stall_timeout: Duration,
    pub(crate) shutdown: Shutdown,
}

/// An input that is open, or can be.
pub(crate) trait Input {
    /// What is in it, where that is known before the first frame.
    fn info(&self) -> Option<&MediaInfo>;

    /// Decodes it up to its first frame, and from then on passes on its audio if there is a place for
    /// that. `None` when a file ends without a frame.
    fn start(
        self: Box<Self>,
        options: DecodeOptions,
        audio: Option<Inlet>,
    ) -> Result<Option<Box<dyn Decoder>>, Trouble>;
}

/// A session's decoder, from its first frame on.
pub(crate) trait Decoder {
    /// Size and pixel format of the frames.
    fn geometry(&self) -> Geometry;

    /// Makes frames of the pictures from here on, which have this colour: the source's, completed.
    fn convert_from(&mut self, colour: Colour);

    /// Whether ffmpeg does not convert colours, but leaves that to us.
    fn is_converted(&self) -> bool;

    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown.
    fn sample_aspect(&self) -> (u32, u32);

    /// The frame rate that the source declares.
    fn frame_rate(&self) -> Option<FrameRate>;

    /// What is known of the input.
    fn input_info(&self) -> MediaInfo;

    /// Whether there is audio in the input, asked for or not.
    fn sees_audio(&self) -> bool;

    /// Whether the source's clock has stepped back, and timestamps stand still since.
    fn has_stepped_back(&self) -> bool;

    /// Goes on to the next frame: its time at the source, in nanoseconds. `None` is the end.
    fn next_frame(&mut self) -> Result<Option<i64>, Trouble>;

    /// Writes the pixels of that frame into `frame`.
    fn read_frame(&mut self, frame: &mut [u8]) -> Result<(), Trouble>;

    /// Leaves that frame out.
    fn skip_frame(&mut self) -> Result<(), Trouble>;

    /// After the last frame: whether that was the input's end.
    fn finish(&mut self) -> Result<(), Trouble>;

    /// What there is to say about the end, whether or not it counts as a failure.
    fn failure(&mut self) -> Trouble;

    /// Ends the session.
    fn stop(&mut self);
}
