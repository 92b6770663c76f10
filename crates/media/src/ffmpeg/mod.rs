//! ffmpeg as the stages use it: one process that decodes for the puller, one that encodes for the
//! pusher.
//!
//! [`Ffmpeg::find`] first; then [`probe`] for files, [`DecodeOptions`] or [`EncodeOptions`] for the
//! arguments, and [`ChildCommand`] to run them. What a child says on stderr comes back as
//! [`Line`]s while it runs, and as a [`ChildFailure`] with a [`FailureKind`] when it has ended.
//! Versions 4.2 to 8 are covered.
//!
//! With the feature `libav`, `libav` does in this process what the puller's child does.

mod capture;
mod carry;
mod channel;
mod child;
mod decode;
mod encode;
mod encoder;
mod failure;
mod input_lines;
#[cfg(feature = "libav")]
pub mod libav;
mod probe;
mod source;
mod spawn;
mod stderr;
mod version;

pub use channel::OutputPipe;
pub use child::{Child, ChildCommand, ChildError};
pub use decode::{ColourMode, DecodeOptions, audio_codec_is_supported, source_time_ns};
pub use encode::{AudioMode, EncodeOptions, OutputKind, RAW_CODEC};
pub use encoder::{Latency, encoder_works, find_encoder};
pub use failure::{ChildFailure, FailureKind};
pub use input_lines::InputLines;
pub use probe::{AudioInfo, MediaInfo, ProbeError, VideoInfo, parse as parse_probe, probe};
pub use source::{InputKind, existing_file};
pub use stderr::{Level, Line};
pub use version::{Ffmpeg, FfmpegError, Version};
