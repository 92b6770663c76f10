//! The puller's ffmpeg: from any input to raw frames, and audio packets, as NUT on two pipes.
//!
//! The options cure what plain command lines suffer from: rounded timestamps, audio and video
//! shifted against each other, a hidden frame of delay, a leak, and latency from decoder threads.
//! Both pipes carry timestamps that are later than the source's: [`source_time_ns`]. Where the stage
//! can make the frames by itself, the pipe carries the pictures that it makes them of.

use std::os::fd::RawFd;
use std::thread;
use std::time::Duration;

use framelane_frame::{Colour, FrameRate, Matrix, PixelFormat, Range};

use super::source::InputKind;
use super::version::Ffmpeg;

/// What is added to every timestamp on both pipes. NUT can't say less than 0, and ffmpeg would
/// shift each pipe on its own to get there. ffmpeg takes up to a minute before a wrap of MPEG-TS's
/// clock for times before 0.
const TS_OFFSET: Duration = Duration::from_secs(100);

/// How much of a live input to look at before its first frame, in microseconds: RTMP announces
/// audio also where there is none.
const LIVE_ANALYSIS_US: &str = "1500000";
/// The same where nothing but video comes: RTMP has what a decoder needs before the first picture.
const VIDEO_ANALYSIS_US: &str = "100000";

/// The time that a frame or packet has at the source, by the one that it has on either pipe; both in
/// nanoseconds.
pub fn source_time_ns(piped_ns: i64) -> i64 {
    piped_ns.saturating_sub(i64::try_from(TS_OFFSET.as_nanos()).expect("seconds, not years"))
}

/// How exact colour conversions are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ColourMode {
    /// The right matrix and range with ordinary rounding: errors up to 4 of 255.
    #[default]
    Fast,
    /// Accurate rounding and full chroma by ffmpeg: errors of quantisation alone, for many times
    /// the CPU time.
    Exact,
}

impl std::str::FromStr for ColourMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "fast" => Ok(Self::Fast),
            "exact" => Ok(Self::Exact),
            _ => Err(format!("'{name}' is not a colour mode: use fast or exact")),
        }
    }
}

impl std::fmt::Display for ColourMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Exact => "exact",
        })
    }
}

/// Whether audio in this codec can go through both NUT pipes. With another one ffmpeg would exit,
/// and take the video with it.
pub fn audio_codec_is_supported(codec: &str) -> bool {
    const SUPPORTED: [&str; 9] =
        ["aac", "mp3", "mp2", "ac3", "opus", "vorbis", "flac", "speex", "adpcm_swf"];
    SUPPORTED.contains(&codec) || codec.starts_with("pcm_")
}

/// What to decode, and into what.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// The input, a URL or a file.
    pub input: String,
    /// Further input options; they come last, and so win.
    pub input_args: Vec<String>,
    /// Whether the input is live: then latency counts for more than throughput.
    pub live: bool,
    /// Whether to read a file no faster than it plays.
    pub realtime: bool,
    /// How many threads decode a file.
    pub threads: usize,
    /// Width and height of the frames, in pixels; `None` leaves the source's.
    pub size: Option<(u32, u32)>,
    /// Whether to make whole pictures of those that consist of two fields. It delays frames by one.
    pub deinterlace: bool,
    /// The pixel format of the frames.
    pub format: PixelFormat,
    /// Whether the source's pictures are 4:2:0 in 8 bits, as those of nearly all video are:
    /// carrying yuv420p then loses nothing.
    pub subsampled: bool,
    /// The source's colour, completed by [`Colour::or_guess`]. `None` leaves it to ffmpeg, which
    /// heeds tags and takes everything untagged for BT.601; right for RGB sources, and for live
    /// ones until their [`InputLines`](super::InputLines) have been read.
    pub colour: Option<Colour>,
    /// How exact to convert.
    pub colour_mode: ColourMode,
    /// A constant frame rate to make, by dropping and repeating frames; `None` leaves time alone.
    pub frame_rate: Option<FrameRate>,
    /// Whether a live input is known to have nothing but video, so that there is nothing else to
    /// look out for.
    pub only_video: bool,
    /// The descriptor for copied audio packets, of an [`OutputPipe`](super::OutputPipe).
    pub audio_fd: Option<RawFd>,
    /// When to give up a silent connection, where the protocol knows such a thing. ffmpeg takes
    /// about twice as long.
    pub io_timeout: Duration,
}

impl DecodeOptions {
    /// Decodes `input` as it is, with everything else at its default.
    pub fn new(input: impl Into<String>, format: PixelFormat) -> Self {
        let input = input.into();
        Self {
            live: InputKind::of(&input).is_live(),
            only_video: false,
            input,
            input_args: Vec::new(),
            realtime: false,
            threads: half_of_the_cores(),
            size: None,
            deinterlace: false,
            format,
            subsampled: true,
            colour: None,
            colour_mode: ColourMode::Fast,
            frame_rate: None,
            audio_fd: None,
            io_timeout: Duration::from_secs(5),
        }
    }

    /// The arguments for ffmpeg: video goes to stdout, audio to `audio_fd`.
    pub fn args(&self, ffmpeg: &Ffmpeg) -> Vec<String> {
        let start = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"];
        let mut args: Vec<String> = start.map(str::to_owned).into();
        args.extend(self.input_options(ffmpeg));
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        if self.realtime {
            add(&["-re"]);
        }
        add(&["-copyts"]);
        args.extend(self.input_args.iter().cloned());
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        let offset = TS_OFFSET.as_secs().to_string();
        let muxer = ["-output_ts_offset", &offset, "-write_index", "0", "-f", "nut"];
        // V leaves out cover pictures.
        add(&["-i", &self.input, "-map", "0:V:0", "-vf", &self.filters()]);
        add(&["-c:v", "rawvideo", "-threads", "1"]);
        add(&ffmpeg.fps_mode_args());
        add(&["-enc_time_base", "1:1000000"]);
        add(&muxer);
        add(&["pipe:1"]);
        if let Some(fd) = self.audio_fd {
            add(&["-map", "0:a:0", "-c:a", "copy", "-flush_packets", "1"]);
            add(&muxer);
            add(&[&format!("pipe:{fd}")]);
        }
        args
    }

    /// How to read and decode the input: options of demuxer, protocol and decoder, each with its
    /// value.
    pub(super) fn input_options(&self, ffmpeg: &Ffmpeg) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        let timeout_us = self.io_timeout.as_micros().to_string();
        match InputKind::of(&self.input) {
            InputKind::Rtmp | InputKind::Http => add(&["-rw_timeout", &timeout_us]),
            InputKind::Rtsp => {
                // UDP loses packets, and frames are then smeared until the next key frame.
                let timeout = ffmpeg.rtsp_timeout_option();
                add(&["-rtsp_flags", "prefer_tcp", timeout, &timeout_us]);
            }
            // Their timeouts mean different things; the stall timeout of the puller is enough.
            InputKind::Transport | InputKind::File => {}
        }
        if self.live {
            // Frame threads would hold back as many frames as there are cores.
            add(&["-fpsprobesize", "0", "-thread_type", "slice"]);
            // A stream that is announced and doesn't come would be waited for; 5 s by default.
            let quick = self.only_video && InputKind::of(&self.input) == InputKind::Rtmp;
            let analysis = if quick { VIDEO_ANALYSIS_US } else { LIVE_ANALYSIS_US };
            add(&["-analyzeduration", analysis]);
        } else {
            add(&["-threads", &self.threads.to_string()]);
        }
        args
    }

    /// Whether the pipe carries yuv420p pictures, for the stage to make the frames of.
    pub fn is_converted(&self) -> bool {
        self.subsampled && self.colour_mode == ColourMode::Fast && self.format.is_rgb()
    }

    /// Matrix and range of the pictures in the pipe; `None` where the pipe carries the frames
    /// themselves. `colour` is the source's as it is known by now, completed.
    pub fn picture_colour(&self, colour: Colour) -> Option<Colour> {
        self.is_converted().then(|| Colour { range: self.piped_range(), ..colour })
    }

    /// The range of what is in the pipe. Pictures to convert keep the source's, where it is known.
    fn piped_range(&self) -> Range {
        match self.colour {
            Some(colour) if self.is_converted() => colour.range,
            None if self.is_converted() => Range::Limited,
            _ => self.format.range(),
        }
    }

    fn piped_format(&self) -> PixelFormat {
        if self.is_converted() { PixelFormat::Yuv420p } else { self.format }
    }

    /// The filters: fields are joined while they are next to each other, and frames dropped before
    /// they are converted.
    pub(super) fn filters(&self) -> String {
        let mut filters = Vec::new();
        if self.deinterlace {
            filters.push("bwdif=mode=send_frame:deint=interlaced".to_owned());
        }
        if let Some(rate) = self.frame_rate {
            filters.push(format!("fps={rate}"));
        }
        let mut scale = Vec::new();
        if let Some((width, height)) = self.size {
            scale.push(format!("{width}:{height}"));
        }
        scale.extend(self.colour_options());
        scale.push(match self.colour_mode {
            ColourMode::Fast => "flags=bilinear".to_owned(),
            ColourMode::Exact => "flags=bilinear+accurate_rnd+full_chroma_int".to_owned(),
        });
        filters.push(format!("scale={}", scale.join(":")));
        filters.push(format!("format={}", self.piped_format()));
        filters.join(",")
    }

    /// What the scaler is told of matrix and range.
    fn colour_options(&self) -> Vec<String> {
        let (format, range) = (self.piped_format(), self.piped_range());
        let mut options: Vec<String> = Vec::new();
        if let Some(colour) = self.colour {
            // YUV and gray stay in the source's matrix.
            if let Some(matrix) = scaler_matrix(colour.matrix).filter(|_| format.is_rgb()) {
                options.push(format!("in_color_matrix={matrix}"));
            }
            options.extend(colour.range.name().map(|name| format!("in_range={name}")));
        }
        options.extend(range.name().map(|name| format!("out_range={name}")));
        options
    }
}

/// Decoding is the lesser part of the work: threads for all cores would take turns with those of
/// models and encoders.
fn half_of_the_cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// The scale filter's name of a matrix: it calls BT.2020 by a shorter name than the rest of ffmpeg.
pub(super) fn scaler_matrix(matrix: Matrix) -> Option<&'static str> {
    match matrix {
        Matrix::Bt2020nc => Some("bt2020"),
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::Version;

    fn joined(options: &DecodeOptions, major: u32) -> String {
        options.args(&Ffmpeg::assume("ffmpeg", Version { major, minor: 4 })).join(" ")
    }

    #[test]
    fn a_live_input_is_read_for_latency_and_its_audio_copied() {
        let mut options = DecodeOptions::new("rtmp://h/live/a", PixelFormat::Rgb24);
        options.audio_fd = Some(7);
        options.size = Some((640, 360));
        options.colour = Some(Colour::default().or_guess(720).0);
        let of_video = DecodeOptions { only_video: true, ..options.clone() };
        assert!(joined(&of_video, 7).contains("-analyzeduration 100000 "));
        assert_eq!(
            joined(&options, 7),
            "-nostdin -hide_banner -nostats -loglevel level+info -rw_timeout 5000000 \
             -fpsprobesize 0 -thread_type slice -analyzeduration 1500000 -copyts -i rtmp://h/live/a -map 0:V:0 -vf \
             scale=640:360:in_range=tv:out_range=tv:flags=bilinear,format=yuv420p -c:v rawvideo -threads 1 -fps_mode passthrough \
             -enc_time_base 1:1000000 -output_ts_offset 100 -write_index 0 -f nut pipe:1 \
             -map 0:a:0 -c:a copy -flush_packets 1 -output_ts_offset 100 -write_index 0 -f nut pipe:7"
        );
    }

    #[test]
    fn options_follow_the_protocol_and_the_version() {
        let rtsp = DecodeOptions::new("rtsp://h/1", PixelFormat::Nv12);
        assert!(joined(&rtsp, 4).contains("-rtsp_flags prefer_tcp -stimeout 5000000"));
        assert!(joined(&rtsp, 8).contains("-rtsp_flags prefer_tcp -timeout 5000000"));
        assert!(joined(&rtsp, 4).contains("-vsync passthrough"));
        let mut file = DecodeOptions::new("a b.mp4", PixelFormat::Yuv420p);
        file.realtime = true;
        file.threads = 3;
        file.frame_rate = FrameRate::new(30000, 1001);
        let args = joined(&file, 8);
        assert!(args.contains("-threads 3 -re -copyts -i a b.mp4"), "{args}");
        assert!(args.contains("fps=30000/1001,scale=out_range=tv:flags=bilinear,format=yuv420p"));
        assert!(!args.contains("timeout") && !args.contains("fpsprobesize"));
    }

    #[test]
    fn pictures_to_convert_keep_matrix_and_range_and_others_become_frames_at_once() {
        let mut options = DecodeOptions::new("a.mp4", PixelFormat::Bgr24);
        assert!(joined(&options, 8).contains("scale=out_range=tv:flags=bilinear,format=yuv420p"));
        let full = Colour { matrix: Matrix::Bt709, range: Range::Full, ..Colour::default() };
        options.colour = Some(full);
        let args = joined(&options, 8);
        assert!(args.contains("scale=in_range=pc:out_range=pc:flags=bilinear,format=yuv420p"));
        assert_eq!(options.picture_colour(full), Some(full));
        let exact = DecodeOptions { colour_mode: ColourMode::Exact, ..options.clone() };
        for unlike in [exact, DecodeOptions { subsampled: false, ..options }] {
            let args = joined(&unlike, 8);
            assert!(args.contains("scale=in_color_matrix=bt709:in_range=pc:out_range=pc:"));
            assert!(args.contains(",format=bgr24 "), "{args}");
            assert_eq!(unlike.picture_colour(full), None);
        }
    }

    #[test]
    fn yuv_and_gray_keep_their_matrix() {
        let mut options = DecodeOptions::new("a.mp4", PixelFormat::Gray);
        options.colour = Some(Colour::default().or_guess(720).0);
        assert!(joined(&options, 8).contains("scale=in_range=tv:out_range=pc:flags"));
        options.format = PixelFormat::Nv12;
        assert!(joined(&options, 8).contains("scale=in_range=tv:out_range=tv:flags"));
    }
}
