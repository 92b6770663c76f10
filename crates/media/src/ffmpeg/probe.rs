//! What an input contains, as ffprobe says it.
//!
//! The puller asks for files before it makes a ring; a live input is never probed, which would
//! cost seconds: there [`InputLines`](super::InputLines) reads the same facts off ffmpeg's own
//! stderr. [`parse`] is apart from the process and believes nothing: a field of another type, out
//! of range or missing is left out.

use std::path::Path;
use std::time::Duration;

use framelane_frame::{
    Colour, FrameRate, Geometry, Matrix, PixelFormat, Primaries, Range, Transfer,
};
use serde_json::Value;

use super::capture::capture;
use super::child::{ChildCommand, ChildError};
use super::failure::ChildFailure;
use crate::Secrets;

const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Why an input could not be probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// ffprobe could not be started.
    #[error("the input can't be probed")]
    Start(#[source] ChildError),
    /// ffprobe can't read the input.
    #[error("the input can't be read")]
    Failed(#[source] Box<ChildFailure>),
    /// ffprobe did not end in time.
    #[error("the input did not answer within {0:?}")]
    Timeout(Duration),
    /// What ffprobe wrote is not what it should be.
    #[error("ffprobe's answer can't be understood")]
    Answer(#[source] serde_json::Error),
}

/// What an input contains. Only the streams that would be used: the first video stream that is
/// not a cover picture, and the first audio stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaInfo {
    /// The video stream.
    pub video: Option<VideoInfo>,
    /// The audio stream.
    pub audio: Option<AudioInfo>,
}

/// A video stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoInfo {
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// Width in pixels as coded, before any rotation; 0 when unknown.
    pub width: u32,
    /// Height in pixels as coded, before any rotation; 0 when unknown.
    pub height: u32,
    /// ffmpeg's name of the pixel format that the decoder gives.
    pub pixel_format: String,
    /// The declared frame rate, when it is a sane one.
    pub frame_rate: Option<FrameRate>,
    /// The colour as tagged.
    pub colour: Colour,
    /// How ffmpeg turns the picture, in degrees: 0, 90, 180 or 270, or an odd angle.
    pub rotation: u32,
    /// Whether the pictures are interlaced.
    pub interlaced: bool,
    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown.
    pub sample_aspect: (u32, u32),
}

impl VideoInfo {
    /// Width and height in pixels after ffmpeg has turned the picture upright.
    pub fn display_size(&self) -> (u32, u32) {
        if self.rotation % 180 == 90 {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }

    /// The geometry of decoded frames, if the size is a valid one.
    pub fn geometry(&self, format: PixelFormat) -> Option<Geometry> {
        let (width, height) = self.display_size();
        Geometry::new(width, height, format).ok()
    }

    /// Whether the decoder gives 4:2:0 in 8 bits.
    pub fn is_subsampled(&self) -> bool {
        ["yuv420p", "yuvj420p", "nv12", "nv21"].contains(&self.pixel_format.as_str())
    }

    /// Whether the decoder gives red, green and blue: then there is no matrix to choose.
    pub fn is_rgb(&self) -> bool {
        let name = self.pixel_format.as_str();
        ["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "rgba", "bgra", "pal8", "mono", "x2"]
            .iter()
            .any(|start| name.starts_with(start))
    }
}

/// An audio stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioInfo {
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// Samples per second; 0 when unknown.
    pub sample_rate: u32,
    /// Channels; 0 when unknown.
    pub channels: u32,
}

/// Runs `ffprobe` on `input`, with `input_args` before it, for at most `timeout`.
///
/// # Errors
/// [`ProbeError`]. An input without a video stream is not an error here.
pub fn probe(
    ffprobe: &Path,
    input: &str,
    input_args: &[String],
    secrets: &Secrets,
    timeout: Duration,
) -> Result<MediaInfo, ProbeError> {
    let command = ChildCommand::new(ffprobe)
        .args(["-hide_banner", "-loglevel", "level+error", "-of", "json", "-show_streams"])
        .args(input_args)
        .args(["-i", input])
        .secrets(secrets.clone());
    let mut captured = capture(command, timeout, OUTPUT_BYTES_MAX).map_err(ProbeError::Start)?;
    match captured.status {
        None => Err(ProbeError::Timeout(timeout)),
        Some(status) if status.success() => parse(&captured.stdout),
        Some(_) => Err(ProbeError::Failed(Box::new(captured.child.failure()))),
    }
}

/// Reads the answer of `ffprobe -of json -show_streams`.
///
/// # Errors
/// [`ProbeError::Answer`] when it is not JSON. Fields that make no sense are left out.
pub fn parse(answer: &[u8]) -> Result<MediaInfo, ProbeError> {
    let answer: Value = serde_json::from_slice(answer).map_err(ProbeError::Answer)?;
    let streams = answer["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = |kind: &str| {
        streams.iter().find(|stream| {
            let cover = number(&stream["disposition"]["attached_pic"]).unwrap_or(0) != 0;
            stream["codec_type"] == kind && !cover
        })
    };
    Ok(MediaInfo {
        video: first("video").map(video),
        audio: first("audio").map(|stream| AudioInfo {
            codec: text(&stream["codec_name"]),
            sample_rate: number(&stream["sample_rate"]).unwrap_or(0),
            channels: number(&stream["channels"]).unwrap_or(0),
        }),
    })
}

fn video(stream: &Value) -> VideoInfo {
    let pixel_format = text(&stream["pix_fmt"]);
    let mut colour = Colour {
        matrix: Matrix::from_name(&text(&stream["color_space"])),
        range: Range::from_name(&text(&stream["color_range"])),
        primaries: Primaries::from_name(&text(&stream["color_primaries"])),
        transfer: Transfer::from_name(&text(&stream["color_transfer"])),
    };
    set_full_range_by_format(&mut colour, &pixel_format);
    let field_order = text(&stream["field_order"]);
    VideoInfo {
        codec: text(&stream["codec_name"]),
        width: number(&stream["width"]).unwrap_or(0),
        height: number(&stream["height"]).unwrap_or(0),
        pixel_format,
        frame_rate: rate(&stream["avg_frame_rate"]).or_else(|| rate(&stream["r_frame_rate"])),
        colour,
        rotation: rotation(stream),
        interlaced: ["tt", "bb", "tb", "bt"].contains(&field_order.as_str()),
        sample_aspect: ratio(&text(&stream["sample_aspect_ratio"]), ':').unwrap_or((0, 0)),
    }
}

/// The `yuvj` formats are full range by their name, whatever else is or isn't said.
pub(super) fn set_full_range_by_format(colour: &mut Colour, pixel_format: &str) {
    if pixel_format.starts_with("yuvj") {
        colour.range = Range::Full;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A whole number, which ffprobe writes with or without quotes.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

fn rate(value: &Value) -> Option<FrameRate> {
    value.as_str()?.parse().ok()
}

/// Two numbers with `mark` between them, neither of them 0.
pub(super) fn ratio(text: &str, mark: char) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(mark)?;
    let pair: (u32, u32) = (first.parse().ok()?, second.parse().ok()?);
    (pair.0 != 0 && pair.1 != 0).then_some(pair)
}

/// The rotation from the display matrix, or from the tag of older versions.
fn rotation(stream: &Value) -> u32 {
    let side_data = stream["side_data_list"].as_array().map(Vec::as_slice).unwrap_or_default();
    let angle = side_data.iter().find_map(|entry| entry["rotation"].as_i64());
    // The matrix counts the other way round than the tag; only right angles matter to the size.
    let tag = || stream["tags"]["rotate"].as_str().and_then(|text| text.parse().ok());
    u32::try_from(angle.or_else(tag).unwrap_or(0).rem_euclid(360)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_tagged_stream_is_read() {
        let answer = br#"{"streams":[
            {"codec_type":"video","codec_name":"mjpeg","disposition":{"attached_pic":1}},
            {"codec_type":"audio","codec_name":"aac","sample_rate":"44100","channels":2},
            {"codec_type":"video","codec_name":"h264","width":1280,"height":720,
             "pix_fmt":"yuv420p","avg_frame_rate":"30000/1001","r_frame_rate":"60/1",
             "color_space":"bt709","color_range":"tv","color_primaries":"bt709",
             "color_transfer":"bt709","field_order":"tt","sample_aspect_ratio":"4:3",
             "side_data_list":[{"x":1},{"rotation":-90}]}]}"#;
        let info = parse(answer).expect("valid");
        let video = info.video.expect("there is one");
        assert_eq!((video.codec.as_str(), video.display_size()), ("h264", (720, 1280)));
        assert_eq!(video.frame_rate, FrameRate::new(30000, 1001));
        assert_eq!((video.colour.matrix, video.colour.range), (Matrix::Bt709, Range::Limited));
        assert_eq!((video.interlaced, video.sample_aspect, video.rotation), (true, (4, 3), 270));
        let audio = info.audio.expect("there is one");
        assert_eq!((audio.codec.as_str(), audio.sample_rate, audio.channels), ("aac", 44100, 2));
    }

    #[test]
    fn nonsense_is_left_out_and_never_panics() {
        for answer in [
            "null",
            "[]",
            "{}",
            "{\"streams\":3}",
            "{\"streams\":[null,1,\"a\"]}",
            r#"{"streams":[{"codec_type":"video","width":-1,"height":1e30,"sample_rate":[],
                "avg_frame_rate":"0/0","r_frame_rate":"90000/1",
                "side_data_list":[{"rotation":1e99}],"sample_aspect_ratio":"0:1"}]}"#,
            r#"{"streams":[{"codec_type":"video","side_data_list":[{"rotation":-9223372036854775808}]}]}"#,
        ] {
            let info = parse(answer.as_bytes()).expect("JSON");
            if let Some(video) = info.video {
                assert_eq!((video.width, video.frame_rate), (0, None));
                assert_eq!(video.geometry(PixelFormat::Gray), None);
            }
        }
        for answer in [&b""[..], b"{", b"\xff", &[b'['; 1000]] {
            assert!(matches!(parse(answer), Err(ProbeError::Answer(_))));
        }
    }

    #[test]
    fn formats_are_known_by_their_names() {
        let video =
            |name: &str| VideoInfo { pixel_format: name.to_owned(), ..VideoInfo::default() };
        assert!(video("gbrp10le").is_rgb() && video("bgr0").is_rgb() && video("pal8").is_rgb());
        assert!(!video("yuv420p").is_rgb() && !video("gray").is_rgb() && !video("nv12").is_rgb());
        assert!(video("yuvj420p").is_subsampled() && video("nv12").is_subsampled());
        assert!(!video("yuv420p10le").is_subsampled() && !video("yuv444p").is_subsampled());
        let mut colour = Colour::default();
        set_full_range_by_format(&mut colour, "yuvj420p");
        assert_eq!(colour.range, Range::Full);
    }
}
