//! The pusher's ffmpeg: from NUT on stdin to a server or a file.
//!
//! What stands here is what made the first frame come out after milliseconds instead of seconds,
//! with the right timestamps and colours. The NUT input is never read with `-fflags nobuffer`: that
//! loses the first frame.

use std::time::Duration;

use framelane_frame::{Colour, FrameRate, Geometry, Range, Transfer};

use super::decode::{ColourMode, scaler_matrix};
use super::encoder::{Family, Latency};
use super::source::InputKind;
use super::version::Ffmpeg;

/// The codec that writes frames as they are, uncompressed, with their timestamps.
pub const RAW_CODEC: &str = "rawvideo";

/// The frame rate that GOPs are counted by when none is declared.
const USUAL_RATE: u32 = 25;

/// Where encoded video goes, by the look of its URL or file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// RTMP over TCP, with or without TLS.
    Rtmp,
    /// RTSP.
    Rtsp,
    /// MPEG-TS over SRT, UDP or TCP.
    Transport,
    /// A file in a container whose ffmpeg name this is.
    File(&'static str),
    /// Left to ffmpeg's own guess.
    Other,
}

impl OutputKind {
    /// Looks at the scheme, then at the extension.
    pub fn of(output: &str) -> Self {
        match InputKind::of(output) {
            InputKind::Rtmp => return Self::Rtmp,
            InputKind::Rtsp => return Self::Rtsp,
            InputKind::Transport => return Self::Transport,
            InputKind::Http => return Self::Other,
            InputKind::File => {}
        }
        let extension =
            output.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("flv") => Self::File("flv"),
            Some("mp4" | "m4v") => Self::File("mp4"),
            Some("mkv") => Self::File("matroska"),
            Some("ts") => Self::File("mpegts"),
            Some("nut") => Self::File("nut"),
            Some("mov") => Self::File("mov"),
            Some("webm") => Self::File("webm"),
            Some("avi") => Self::File("avi"),
            _ => Self::Other,
        }
    }

    /// Whether somebody watches while it is written. What is not is a recording.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Rtmp | Self::Rtsp | Self::Transport)
    }

    /// The muxer and its options.
    fn args(self, output: &str) -> Vec<&'static str> {
        match self {
            Self::Rtmp => {
                let mut args = vec!["-rw_timeout", "3000000"];
                if output.to_ascii_lowercase().starts_with("rtmp://") {
                    // A server that hangs is noticed when the buffers are full: small ones.
                    args.extend(["-send_buffer_size", "65536"]);
                }
                args.extend(["-flvflags", "no_duration_filesize", "-f", "flv"]);
                args
            }
            Self::Rtsp => vec!["-rtsp_transport", "tcp", "-f", "rtsp"],
            Self::Transport => vec!["-f", "mpegts"],
            Self::File(muxer) => vec!["-f", muxer],
            Self::Other => Vec::new(),
        }
    }
}

/// What becomes of the audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioMode {
    /// The packets are copied as they are.
    Copy,
    /// They are decoded, and encoded as AAC.
    Aac,
}

/// What to encode, how, and to where.
#[derive(Clone, Debug)]
pub struct EncodeOptions {
    /// The output, a URL or a file. An existing file is overwritten.
    pub output: String,
    /// Further output options; they come last, and so win.
    pub output_args: Vec<String>,
    /// ffmpeg's name of the encoder, or [`RAW_CODEC`].
    pub codec: String,
    /// The encoder's preset, for encoders that have presets. `None` takes a usual one.
    pub preset: Option<String>,
    /// The bit rate as ffmpeg takes it: `2M`, `800k`. `None` leaves it to the encoder.
    pub bitrate: Option<String>,
    /// The longest time from one key frame to the next.
    pub gop: Duration,
    /// The declared frame rate.
    pub frame_rate: Option<FrameRate>,
    /// Whether the bit rate is a limit, as it is for somebody who watches meanwhile.
    pub live: bool,
    /// What to strive for.
    pub latency: Latency,
    /// Size and pixel format of the frames.
    pub geometry: Geometry,
    /// The colour of the frames: the range says how YUV frames are, RGB and gray are full range.
    pub colour: Colour,
    /// How exact to convert.
    pub colour_mode: ColourMode,
    /// What to do with the audio in the NUT stream, if there is any.
    pub audio: Option<AudioMode>,
}

impl EncodeOptions {
    /// Encodes to `output` by x264, with everything else at its default.
    pub fn new(output: impl Into<String>, geometry: Geometry, colour: Colour) -> Self {
        let output = output.into();
        let live = OutputKind::of(&output).is_live();
        Self {
            live,
            latency: if live { Latency::Low } else { Latency::Normal },
            output,
            output_args: Vec::new(),
            codec: "libx264".to_owned(),
            preset: None,
            bitrate: None,
            gop: Duration::from_secs(2),
            frame_rate: None,
            geometry,
            colour,
            colour_mode: ColourMode::Fast,
            audio: None,
        }
    }

    /// Matrix and range of the yuv420p pictures that the pipe carries, for the stage to make of the
    /// frames; `None` where the pipe carries the frames themselves.
    pub fn picture_colour(&self) -> Option<Colour> {
        let colour = Colour { range: Range::Limited, ..self.complete_colour() };
        self.is_converted().then_some(colour)
    }

    /// Odd sides are left to ffmpeg, which pads them before it converts.
    fn is_converted(&self) -> bool {
        let even =
            self.geometry.width().is_multiple_of(2) && self.geometry.height().is_multiple_of(2);
        let rgb = self.geometry.format().is_rgb();
        rgb && even && self.codec != RAW_CODEC && self.colour_mode == ColourMode::Fast
    }

    /// The arguments for ffmpeg: NUT comes from stdin.
    pub fn args(&self, ffmpeg: &Ffmpeg) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        // -y: without it ffmpeg would ask on stdin, where the frames are.
        let start = "-y -nostdin -hide_banner -nostats -loglevel level+info -probesize 32 -copyts";
        extend(&mut args, &start.split(' ').collect::<Vec<_>>());
        extend(&mut args, self.family().device_args());
        extend(&mut args, &["-f", "nut", "-i", "pipe:0", "-map", "0"]);
        if self.codec == RAW_CODEC {
            extend(&mut args, &["-c:v", "copy"]);
        } else {
            self.video_args(&mut args, ffmpeg);
        }
        match self.audio {
            Some(AudioMode::Copy) => extend(&mut args, &["-c:a", "copy"]),
            Some(AudioMode::Aac) => extend(&mut args, &["-c:a", "aac"]),
            None => {}
        }
        if self.latency == Latency::Low && self.family().has_zerolatency() {
            // Encoders that look ahead need the default: with this they die at once.
            extend(&mut args, &["-max_interleave_delta", "100000"]);
        }
        extend(&mut args, &OutputKind::of(&self.output).args(&self.output));
        args.extend(self.output_args.iter().cloned());
        args.push(self.output.clone());
        args
    }

    fn video_args(&self, args: &mut Vec<String>, ffmpeg: &Ffmpeg) {
        extend(args, &["-vf", &self.filters(), "-c:v", &self.codec]);
        let family = self.family();
        if let Some(usual) = family.usual_preset() {
            extend(args, &["-preset", self.preset.as_deref().unwrap_or(usual)]);
        }
        extend(args, family.latency_args(self.latency));
        extend(args, family.closed_gop_args());
        if let Some(bitrate) = &self.bitrate {
            extend(args, &["-b:v", bitrate]);
            if self.live {
                extend(args, &["-maxrate", bitrate, "-bufsize", bitrate]);
            }
        }
        self.gop_args(args);
        extend(args, &ffmpeg.fps_mode_args());
        extend(args, &["-enc_time_base", "1:1000"]);
        let colour = self.complete_colour();
        for (option, name) in [
            ("-colorspace", colour.matrix.name()),
            ("-color_primaries", colour.primaries.name()),
            ("-color_trc", transfer_option(colour.transfer)),
            ("-color_range", Range::Limited.name()),
        ] {
            if let Some(name) = name {
                extend(args, &[option, name]);
            }
        }
    }

    /// Key frames by count, for encoders that plan by it, and by time, for frame rates that are
    /// not what was declared. The time of the last forced one is compared, since timestamps may
    /// start anywhere.
    fn gop_args(&self, args: &mut Vec<String>) {
        let (numerator, denominator) =
            self.frame_rate.map_or((USUAL_RATE, 1), |rate| (rate.numerator(), rate.denominator()));
        // Rounded up, so that the time comes first: rounded down, both would make a key frame.
        let frames = self
            .gop
            .as_millis()
            .saturating_mul(numerator.into())
            .div_ceil(1000 * u128::from(denominator));
        let frames = frames.clamp(1, 10_000).to_string();
        let seconds = self.gop.as_secs_f64();
        let expression = format!("expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+{seconds}))");
        extend(args, &["-g", &frames, "-force_key_frames", &expression]);
    }

    fn complete_colour(&self) -> Colour {
        self.colour.or_guess(self.geometry.height()).0
    }

    /// Conversion to limited-range 4:2:0 with even sides, as far as it is still needed.
    fn filters(&self) -> String {
        if self.is_converted() {
            return self.family().input_filter().to_owned();
        }
        let format = self.geometry.format();
        let mut filters = Vec::new();
        if self.geometry.width() % 2 == 1 || self.geometry.height() % 2 == 1 {
            // Before the conversion, or a column of chroma would be lost.
            filters.push("pad=ceil(iw/2)*2:ceil(ih/2)*2".to_owned());
        }
        let colour = self.complete_colour();
        let in_range = if format.is_yuv() { colour.range } else { Range::Full };
        if in_range == Range::Full || !format.is_yuv() {
            let mut scale = vec!["in_range=pc".to_owned()];
            if let Some(matrix) = scaler_matrix(colour.matrix).filter(|_| format.is_rgb()) {
                scale.push(format!("out_color_matrix={matrix}"));
            }
            scale.push("out_range=tv".to_owned());
            scale.push(match self.colour_mode {
                ColourMode::Fast => "flags=bicubic".to_owned(),
                ColourMode::Exact => {
                    "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp".to_owned()
                }
            });
            filters.push(format!("scale={}", scale.join(":")));
        }
        filters.push(self.family().input_filter().to_owned());
        filters.join(",")
    }

    fn family(&self) -> Family {
        Family::of(&self.codec)
    }
}

/// An encoder option's name of a transfer function: two of those that ffmpeg prints it does not take.
fn transfer_option(transfer: Transfer) -> Option<&'static str> {
    match transfer {
        Transfer::Gamma22 => Some("gamma22"),
        Transfer::Gamma28 => Some("gamma28"),
        other => other.name(),
    }
}

fn extend(args: &mut Vec<String>, words: &[&str]) {
    args.extend(words.iter().map(|word| (*word).to_owned()));
}

#[cfg(test)]
mod tests {
    use framelane_frame::PixelFormat;

    use super::*;
    use crate::ffmpeg::Version;

    fn options(output: &str, width: u32, format: PixelFormat) -> EncodeOptions {
        let geometry = Geometry::new(width, 720, format).expect("valid");
        EncodeOptions::new(output, geometry, Colour::default())
    }

    fn joined(options: &EncodeOptions) -> String {
        options.args(&Ffmpeg::assume("ffmpeg", Version::NEWEST)).join(" ")
    }

    #[test]
    fn a_live_output_is_encoded_for_latency_and_tagged() {
        let mut options = options("rtmp://h/live/a", 1280, PixelFormat::Rgb24);
        options.audio = Some(AudioMode::Copy);
        options.bitrate = Some("2M".to_owned());
        options.frame_rate = FrameRate::new(30000, 1001);
        options.colour_mode = ColourMode::Exact;
        assert_eq!(
            joined(&options),
            "-y -nostdin -hide_banner -nostats -loglevel level+info -probesize 32 -copyts -f nut \
             -i pipe:0 -map 0 -vf scale=in_range=pc:out_color_matrix=bt709:out_range=tv:\
             flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,format=yuv420p -c:v libx264 \
             -preset veryfast -tune zerolatency -b:v 2M -maxrate 2M -bufsize 2M -g 60 \
             -force_key_frames expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+2)) \
             -fps_mode passthrough -enc_time_base 1:1000 -colorspace bt709 -color_primaries bt709 \
             -color_trc bt709 -color_range tv -c:a copy -max_interleave_delta 100000 \
             -rw_timeout 3000000 -send_buffer_size 65536 -flvflags no_duration_filesize -f flv \
             rtmp://h/live/a"
        );
    }

    #[test]
    fn recordings_keep_look_ahead_and_the_default_interleaving() {
        let args = joined(&options("out.mp4", 1280, PixelFormat::Rgb24));
        assert!(!args.contains("zerolatency") && !args.contains("max_interleave_delta"));
        assert!(args.ends_with("-f mp4 out.mp4"), "{args}");
    }

    #[test]
    fn ffmpeg_converts_what_is_not_converted_already_and_pads_odd_sides() {
        let args = joined(&options("a.flv", 1281, PixelFormat::Nv12));
        assert!(args.contains("-vf pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv420p"), "{args}");
        let args = joined(&options("a.flv", 1280, PixelFormat::Rgb24));
        assert!(args.contains("-vf format=yuv420p"), "{args}");
        let args = joined(&options("a.flv", 1281, PixelFormat::Rgb24));
        assert!(args.contains("(ih/2)*2,scale=in_range=pc:out_color_matrix=bt709:"), "{args}");
        let mut full = options("a.flv", 1280, PixelFormat::Yuv420p);
        full.colour.range = Range::Full;
        assert!(joined(&full).contains("scale=in_range=pc:out_range=tv:flags=bicubic,format"));
    }

    #[test]
    fn each_encoder_is_told_what_it_knows() {
        let mut options = options("rtmp://h/live/a", 1280, PixelFormat::Rgb24);
        options.codec = "h264_vaapi".to_owned();
        let args = joined(&options);
        assert!(args.contains("-vaapi_device /dev/dri/renderD128 -f nut -i pipe:0"), "{args}");
        assert!(args.contains("format=nv12,hwupload -c:v h264_vaapi -bf 0 -g 50"), "{args}");
        options.codec = "libx264".to_owned();
        options.latency = Latency::Normal;
        options.preset = Some("slow".to_owned());
        let args = joined(&options);
        assert!(args.contains("-preset slow -g 50") && !args.contains("interleave"), "{args}");
        options.codec = "libx265".to_owned();
        assert!(joined(&options).contains("-x265-params open-gop=0"));
    }

    #[test]
    fn raw_frames_are_copied() {
        let mut options = options("out.nut", 1281, PixelFormat::Rgb24);
        options.codec = RAW_CODEC.to_owned();
        options.output_args = vec!["-t".to_owned(), "1".to_owned()];
        let args = joined(&options);
        assert!(args.ends_with("-map 0 -c:v copy -f nut -t 1 out.nut"), "{args}");
    }

    #[test]
    fn outputs_are_known_by_scheme_and_extension() {
        for (output, kind) in [
            ("rtmps://h/a/b", OutputKind::Rtmp),
            ("srt://h:1", OutputKind::Transport),
            ("rtsp://h/a", OutputKind::Rtsp),
            ("a.TS", OutputKind::File("mpegts")),
            ("a.mkv", OutputKind::File("matroska")),
            ("http://h/a.flv", OutputKind::Other),
            ("noextension", OutputKind::Other),
        ] {
            assert_eq!(OutputKind::of(output), kind, "{output}");
        }
    }
}
