//! The puller's command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use clap::builder::BoolishValueParser;
use framelane_frame::{FrameRate, PixelFormat};
use framelane_media::ffmpeg::{ColourMode, InputKind, existing_file};
use framelane_ring::{Policy, SegmentName};
use framelane_stage::{LogOptions, parse_duration, parse_ring, parse_size, parse_slots};

/// Decode a live stream or a file, and publish every frame to a ring in shared memory.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// What to pull: an RTMP, RTSP or SRT URL, a file, or anything else that ffmpeg reads. Given
    /// several times, the next one is tried when one fails; a file among live inputs is shown at
    /// its own pace while they are away.
    #[arg(long = "input", env = "FRAMELANE_INPUT", value_name = "URL|FILE", required = true)]
    pub(crate) inputs: Vec<String>,
    /// The ring to publish to; made if it isn't there.
    #[arg(long, env = "FRAMELANE_RING", value_name = "NAME", value_parser = parse_ring)]
    pub(crate) ring: SegmentName,
    /// The size of the frames [default: the source's, or that of the ring if it is there already].
    #[arg(long, env = "FRAMELANE_SIZE", value_name = "WxH", value_parser = parse_size)]
    pub(crate) size: Option<(u32, u32)>,
    /// Make the frame rate constant, by dropping and repeating frames [default: as it comes].
    #[arg(long, env = "FRAMELANE_FPS", value_name = "N[/D]")]
    pub(crate) fps: Option<FrameRate>,
    /// The pixel format of the frames: rgb24, bgr24, gray, yuv420p or nv12.
    #[arg(long, env = "FRAMELANE_PIX_FMT", value_name = "FORMAT", default_value = "rgb24")]
    pub(crate) pix_fmt: PixelFormat,
    /// Slots of the ring: how many frames it holds.
    #[arg(long, env = "FRAMELANE_SLOTS", default_value = "8", value_parser = parse_slots)]
    pub(crate) slots: u32,
    /// What to do when the ring is full: block (nothing is lost) or drop-oldest (it stays live)
    /// [default: drop-oldest for live inputs and with --realtime, else block].
    #[arg(long, env = "FRAMELANE_ON_FULL", value_name = "POLICY")]
    pub(crate) on_full: Option<Policy>,
    /// Read a file no faster than it plays.
    #[arg(long, env = "FRAMELANE_REALTIME", value_parser = BoolishValueParser::new())]
    pub(crate) realtime: bool,
    /// Colour conversion: fast (right matrix and range, ordinary rounding) or exact.
    #[arg(long, env = "FRAMELANE_COLOUR", value_name = "MODE", default_value = "fast")]
    pub(crate) colour: ColourMode,
    /// Leave the audio out.
    #[arg(long, env = "FRAMELANE_NO_AUDIO", value_parser = BoolishValueParser::new())]
    pub(crate) no_audio: bool,
    /// Start ffmpeg anew when no frame has come for so long.
    #[arg(long, env = "FRAMELANE_STALL_TIMEOUT", default_value = "10s", value_parser = parse_duration)]
    pub(crate) stall_timeout: Duration,
    /// Give up after so many failures in a row; 0 tries for ever. A file is tried once.
    #[arg(long, env = "FRAMELANE_MAX_RETRIES", default_value = "0")]
    pub(crate) max_retries: u32,
    /// One more argument for ffmpeg before the input, such as -rtsp_transport. Repeat it for each.
    #[arg(
        long = "input-arg",
        env = "FRAMELANE_INPUT_ARG",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    pub(crate) input_args: Vec<String>,
    /// Who decodes: ffmpeg, a process of its own; or libav, ffmpeg's libraries in this process, where
    /// the puller was built with them.
    #[arg(long, env = "FRAMELANE_DECODER", value_name = "NAME", default_value_t)]
    pub(crate) decoder: DecoderChoice,
    /// The ffmpeg to run; ffprobe is looked for beside it.
    #[arg(long, env = "FRAMELANE_FFMPEG", value_name = "PATH", default_value = "ffmpeg")]
    pub(crate) ffmpeg: PathBuf,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

impl Arguments {
    /// Whether an input goes on without us, so that frames can't wait.
    pub(crate) fn is_live(&self, input: &str) -> bool {
        InputKind::of(input).is_live()
    }

    /// Whether any of the inputs goes on without us: then only the operator ends the stream.
    pub(crate) fn is_any_live(&self) -> bool {
        self.inputs.iter().any(|input| self.is_live(input))
    }

    /// Whether an input is a file that is shown while live ones are away.
    pub(crate) fn stands_in(&self, input: &str) -> bool {
        self.is_any_live() && existing_file(input).is_some()
    }

    /// What to do when the ring is full.
    pub(crate) fn policy(&self) -> Policy {
        let paced = self.realtime || self.is_any_live();
        let usual = if paced { Policy::DropOldest } else { Policy::Block };
        self.on_full.unwrap_or(usual)
    }
}

/// Who is to decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DecoderChoice {
    #[default]
    Ffmpeg,
    #[cfg(feature = "libav")]
    Libav,
}

impl FromStr for DecoderChoice {
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

impl fmt::Display for DecoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ffmpeg => "ffmpeg",
            #[cfg(feature = "libav")]
            Self::Libav => "libav",
        })
    }
}
