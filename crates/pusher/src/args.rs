//! The pusher's command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::BoolishValueParser;
use framelane_media::ffmpeg::{ColourMode, Latency};
use framelane_ring::{GroupName, SegmentName};
use framelane_stage::{LogOptions, parse_bitrate, parse_duration, parse_group, parse_ring};

use crate::starve::OnStarve;

/// Take frames from a ring in order, encode them, and push them to a server or into a file.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// The ring to take frames from.
    #[arg(long, env = "FRAMELANE_RING", value_name = "NAME", value_parser = parse_ring)]
    pub(crate) ring: SegmentName,
    /// Where to push: an RTMP, RTSP or SRT URL, or a file. A file that is there is overwritten, but
    /// not where the source is live, nor where an earlier pusher of the same stream has stopped: what
    /// comes now goes into name-2.mkv beside it.
    #[arg(long, env = "FRAMELANE_OUTPUT", value_name = "URL|FILE")]
    pub(crate) output: String,
    /// The encoder, as ffmpeg calls it; auto finds one of H.264 that works here, hardware first;
    /// rawvideo writes the frames as they are.
    #[arg(long, env = "FRAMELANE_CODEC", default_value = "libx264")]
    pub(crate) codec: String,
    /// The encoder's preset, where it has presets [default: a fast one; veryfast for libx264].
    #[arg(long, env = "FRAMELANE_PRESET")]
    pub(crate) preset: Option<String>,
    /// What the encoder strives for: low (no frame is held back) or normal (it looks ahead, for a
    /// better picture) [default: low for live outputs, normal for files].
    #[arg(long, env = "FRAMELANE_LATENCY")]
    pub(crate) latency: Option<Latency>,
    /// The bit rate, such as 2M or 800k [default: the encoder's choice].
    #[arg(long, env = "FRAMELANE_BITRATE", value_parser = parse_bitrate)]
    pub(crate) bitrate: Option<String>,
    /// The longest time from one key frame to the next.
    #[arg(long, env = "FRAMELANE_GOP", default_value = "2s", value_parser = parse_duration)]
    pub(crate) gop: Duration,
    /// The ordered group to take frames as; a second pusher on the ring needs one of its own.
    #[arg(long, env = "FRAMELANE_GROUP", default_value = "pusher", value_parser = parse_group)]
    pub(crate) group: GroupName,
    /// Pass over a missing frame when a later one has been ready for so long, and send audio whose
    /// frames are that late. Only on drop-oldest rings: a block ring waits for every frame.
    #[arg(long, env = "FRAMELANE_MAX_WAIT", default_value = "500ms", value_parser = parse_duration)]
    pub(crate) max_wait: Duration,
    /// Drop frames that are older than this when their turn comes [default: none is too old].
    #[arg(long, env = "FRAMELANE_MAX_AGE", value_parser = parse_duration)]
    pub(crate) max_age: Option<Duration>,
    /// Send a track of silence when the source has no audio: some servers and players want one.
    #[arg(long, env = "FRAMELANE_SILENT_AUDIO", value_parser = BoolishValueParser::new())]
    pub(crate) silent_audio: bool,
    /// What to send when processed frames stop coming, so that the stream stays. Only on
    /// drop-oldest rings [default: original for live outputs, none for files].
    #[arg(long, env = "FRAMELANE_ON_STARVE", value_name = "REMEDY", value_enum)]
    pub(crate) on_starve: Option<OnStarve>,
    /// For how long processed frames may stay away before something else is sent.
    #[arg(long, env = "FRAMELANE_STARVE_AFTER", default_value = "1s", value_parser = parse_duration)]
    pub(crate) starve_after: Duration,
    /// Colour conversion: fast (right matrix and range, ordinary rounding) or exact.
    #[arg(long, env = "FRAMELANE_COLOUR", value_name = "MODE", default_value = "fast")]
    pub(crate) colour: ColourMode,
    /// Give up after so many failures in a row; 0 tries for ever. A file is tried once.
    #[arg(long, env = "FRAMELANE_MAX_RETRIES", default_value = "0")]
    pub(crate) max_retries: u32,
    /// One more argument for ffmpeg before the output. Repeat it for each.
    #[arg(
        long = "output-arg",
        env = "FRAMELANE_OUTPUT_ARG",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    pub(crate) output_args: Vec<String>,
    /// The ffmpeg to run.
    #[arg(long, env = "FRAMELANE_FFMPEG", value_name = "PATH", default_value = "ffmpeg")]
    pub(crate) ffmpeg: PathBuf,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}
