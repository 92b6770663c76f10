//! What ffmpeg itself says of its input, read off its stderr.
//!
//! The puller feeds the lines of a live input to [`InputLines`]: size, colour and codecs are there
//! before the first frame is decoded, without a second connection to the source. What changes
//! later is told there, too, and nowhere else.

use framelane_frame::{Colour, FrameRate, Matrix, Primaries, Range, Transfer};

use super::probe::{AudioInfo, MediaInfo, VideoInfo, ratio, set_full_range_by_format};

/// A step back of the source's clock that ffmpeg's own correction would turn into standstill, in
/// ticks of the output: microseconds for frames.
const STEP_BACK_TICKS: i64 = 1_000_000;

/// Collects the facts from the lines between `Input #0` and the first that is about something
/// else.
///
/// ```
/// use framelane_media::ffmpeg::InputLines;
/// let mut lines = InputLines::default();
/// for line in [
///     "Input #0, flv, from 'rtmp://host/live/a':",
///     "  Stream #0:0: Video: h264 (High), yuv420p(tv, bt709), 1280x720, 25 fps, 1k tbn",
///     "  Stream #0:1: Audio: aac (LC), 44100 Hz, stereo, fltp",
///     "Stream mapping:",
/// ] {
///     lines.feed(line);
/// }
/// assert!(lines.is_complete());
/// assert_eq!(lines.info().video.as_ref().map(|video| video.height), Some(720));
/// ```
#[derive(Clone, Debug, Default)]
pub struct InputLines {
    info: MediaInfo,
    inside: bool,
    complete: bool,
    late_audio: bool,
    stepped_back: bool,
}

impl InputLines {
    /// Takes one line, without its level.
    pub fn feed(&mut self, line: &str) {
        let line = line.trim();
        if self.complete {
            // `New audio stream 0:1 at pos:24160 and DTS:3.2s`
            self.late_audio |= line.contains("New audio stream 0:");
            self.stepped_back |= step_back(line).is_some_and(|ticks| ticks > STEP_BACK_TICKS);
            return;
        }
        if line.starts_with("Input #0, ") {
            self.inside = true;
        } else if ["Stream mapping:", "Output #", "Input #"].iter().any(|s| line.starts_with(s)) {
            self.complete = self.inside;
        } else if self.inside && line.starts_with("Stream #0:") {
            self.stream(line);
        }
    }

    /// Whether all lines about the input have passed.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether there is audio, from the start or since.
    pub fn sees_audio(&self) -> bool {
        self.info.audio.is_some() || self.late_audio
    }

    /// Whether the source's clock has stepped back. ffmpeg gives the last timestamp again, and
    /// again, until the source has caught up: only a new ffmpeg follows the new clock.
    pub fn has_stepped_back(&self) -> bool {
        self.stepped_back
    }

    /// What is known so far. There is no rotation and no duration in it.
    pub fn info(&self) -> &MediaInfo {
        &self.info
    }

    fn stream(&mut self, line: &str) {
        if let Some((_, facts)) = line.split_once(": Video: ") {
            if self.info.video.is_none() && !facts.contains("(attached pic)") {
                self.info.video = Some(video(facts));
            }
        } else if let Some((_, facts)) = line.split_once(": Audio: ")
            && self.info.audio.is_none()
        {
            self.info.audio = Some(audio(facts));
        }
    }
}

/// `Non-monotonous DTS in output stream 0:0; previous: 5460, current: 3000; changing to 5461. ...`;
/// newer versions write `Non-monotonic DTS`.
fn step_back(line: &str) -> Option<i64> {
    let (_, facts) = line.split_once("Non-monoton")?;
    let number = |name: &str| {
        let (_, rest) = facts.split_once(name)?;
        rest.split([',', ';']).next()?.trim().parse::<i64>().ok()
    };
    number("previous:")?.checked_sub(number("current:")?)
}

/// Splits at commas outside of parentheses and brackets.
fn parts(facts: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    facts
        .split(|c: char| {
            match c {
                '(' | '[' => depth = depth.saturating_add(1),
                ')' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .collect()
}

fn first_word(text: &str) -> String {
    text.split([' ', '(', ',']).next().unwrap_or_default().to_owned()
}

/// `h264 (High), yuv420p(tv, bt709, progressive), 1280x720 [SAR 1:1 DAR 16:9], 25 fps, 1k tbn`
fn video(facts: &str) -> VideoInfo {
    let parts = parts(facts);
    let mut info = VideoInfo { codec: first_word(facts), ..VideoInfo::default() };
    if let Some(format) = parts.get(1) {
        info.pixel_format = first_word(format);
        let details = format.split_once('(').map_or("", |(_, details)| details);
        info.interlaced = details.contains("top first")
            || details.contains("bottom first")
            || details.contains("top coded first")
            || details.contains("bottom coded first");
        info.colour = colour(details.trim_end_matches(')'));
        set_full_range_by_format(&mut info.colour, &info.pixel_format);
    }
    for part in parts.iter().skip(2) {
        let word = part.split(' ').next().unwrap_or_default();
        if let Some((width, height)) = ratio(word, 'x').filter(|_| info.width == 0) {
            (info.width, info.height) = (width, height);
        }
        if let Some((_, aspect)) = part.split_once("SAR ") {
            let aspect = aspect.split([' ', ']']).next().unwrap_or_default();
            info.sample_aspect = ratio(aspect, ':').unwrap_or((0, 0));
        }
        if let Some(rate) = part.strip_suffix(" fps") {
            info.frame_rate = frame_rate(rate);
        }
    }
    info
}

/// The rate as a fraction: ffmpeg prints two decimals, which 1001 ths are recognised by.
fn frame_rate(text: &str) -> Option<FrameRate> {
    let exact = match text {
        "23.98" => FrameRate::new(24000, 1001),
        "29.97" => FrameRate::new(30000, 1001),
        "59.94" => FrameRate::new(60000, 1001),
        "119.88" => FrameRate::new(120_000, 1001),
        _ => None,
    };
    exact.or_else(|| {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if decimals.len() > 2 {
            return None;
        }
        let whole: u32 = whole.parse().ok()?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().ok()?;
        match hundredths {
            0 => FrameRate::new(whole, 1),
            _ => FrameRate::new(whole.checked_mul(100)?.checked_add(hundredths)?, 100),
        }
    })
}

/// `tv, bt709/unknown/bt709, progressive`: range, then one name for all three or three names in
/// the order matrix, primaries, transfer.
fn colour(details: &str) -> Colour {
    let mut colour = Colour::default();
    for word in details.split(',').map(str::trim) {
        if colour.range == Range::Unknown {
            colour.range = Range::from_name(word);
        }
        let names: Vec<&str> = word.split('/').collect();
        let (matrix, primaries, transfer) = match names[..] {
            [all] => (all, all, all),
            [matrix, primaries, transfer] => (matrix, primaries, transfer),
            _ => continue,
        };
        let found = Colour {
            matrix: Matrix::from_name(matrix),
            primaries: Primaries::from_name(primaries),
            transfer: Transfer::from_name(transfer),
            range: colour.range,
        };
        if colour.matrix == Matrix::Unknown && found.matrix != Matrix::Unknown {
            colour = found;
        }
    }
    colour
}

/// `aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s`
fn audio(facts: &str) -> AudioInfo {
    let mut info = AudioInfo { codec: first_word(facts), ..AudioInfo::default() };
    for part in parts(facts) {
        if let Some(rate) = part.strip_suffix(" Hz") {
            info.sample_rate = rate.parse().unwrap_or(0);
        }
        info.channels = match part {
            "mono" => 1,
            "stereo" => 2,
            "5.1" | "5.1(side)" => 6,
            "7.1" => 8,
            other => other
                .strip_suffix(" channels")
                .and_then(|count| count.parse().ok())
                .unwrap_or(info.channels),
        };
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video_of(line: &str) -> VideoInfo {
        let mut lines = InputLines::default();
        lines.feed("Input #0, flv, from 'x':");
        lines.feed(line);
        lines.info().video.clone().unwrap_or_default()
    }

    #[test]
    fn lines_of_several_versions_are_read() {
        let video = video_of(
            "  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709/unknown/bt709, progressive), 1280x720 [SAR 1:1 DAR 16:9], 1205 kb/s, 29.97 fps, 29.97 tbr, 30k tbn (default)",
        );
        assert_eq!((video.codec.as_str(), video.width, video.height), ("h264", 1280, 720));
        assert_eq!((video.colour.matrix, video.colour.range), (Matrix::Bt709, Range::Limited));
        assert_eq!(video.colour.primaries, Primaries::Unknown);
        assert_eq!(video.frame_rate, FrameRate::new(30000, 1001));
        assert_eq!(video.sample_aspect, (1, 1));

        let video = video_of(
            "    Stream #0:1: Video: mjpeg, yuvj422p(pc, bt470bg/unknown/unknown), 640x480, 12.5 fps",
        );
        // A codec without a profile has its comma right behind it.
        assert_eq!(video.codec, "mjpeg");
        assert_eq!((video.colour.matrix, video.colour.range), (Matrix::Bt470bg, Range::Full));
        assert_eq!(video.frame_rate, FrameRate::new(1250, 100));

        let video = video_of(
            "  Stream #0:0: Video: h264 (Main), yuv420p(top first), 720x576 [SAR 16:15 DAR 4:3], 25 fps",
        );
        assert_eq!((video.colour, video.interlaced), (Colour::default(), true));
    }

    #[test]
    fn audio_that_turns_up_later_is_seen() {
        let mut lines = InputLines::default();
        for line in ["Input #0, flv, from 'x':", "Stream #0:0: Video: h264, 64x64", "Output #0"] {
            lines.feed(line);
        }
        assert!(lines.is_complete() && !lines.sees_audio());
        lines.feed("New audio stream 0:1 at pos:24160 and DTS:3.2s");
        assert!(lines.sees_audio());
    }

    #[test]
    fn a_clock_that_steps_back_is_told_from_one_that_jitters() {
        let mut lines = InputLines::default();
        for line in ["Input #0, mpegts, from 'x':", "Stream #0:0: Video: h264, 64x64", "Output #0"]
        {
            lines.feed(line);
        }
        lines.feed("Non-monotonous DTS in output stream 0:0; previous: 5460000, current: 5420000; changing to 5460001.");
        assert!(!lines.has_stepped_back());
        lines.feed("[vost#0:0/rawvideo @ 0x1] Non-monotonic DTS; previous: 102000000, current: 20000000; changing to 102000001.");
        assert!(lines.has_stepped_back());
    }

    #[test]
    fn outputs_are_not_taken_for_inputs_and_nonsense_is_left_out() {
        let mut lines = InputLines::default();
        lines.feed("Output #0, nut, to 'pipe:1':");
        lines.feed("  Stream #0:0: Video: rawvideo, rgb24, 4x4");
        assert!(!lines.is_complete() && lines.info().video.is_none());
        for line in
            ["Stream #0:0: Video: ", "Stream #0:0: Video: ,,((,x,0x0,99999999999x1", "Stream #0:"]
        {
            assert_eq!(video_of(line).width, 0);
        }
    }
}
