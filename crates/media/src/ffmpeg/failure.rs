//! What the end of an ffmpeg child means. ffmpeg ends with status 1 for everything, so the kind is
//! read from its last lines: the stages decide by it whether to try again, and what to tell.

use std::fmt;
use std::process::ExitStatus;

use super::stderr::{Level, Line};

/// What kind of failure the lines of stderr tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The server says that somebody publishes there already. Passes, or not, with time.
    Busy,
    /// Nobody listens at that address.
    Refused,
    /// User, password or token are wrong, or missing.
    Unauthorized,
    /// The connection was lost, timed out, or the name was not found.
    Network,
    /// There is no such file, stream or device.
    NotFound,
    /// There is something, but nothing that ffmpeg can decode.
    NotMedia,
    /// The input has no video stream.
    NoVideo,
    /// The input has no audio stream although one was asked for.
    NoAudio,
    /// The audio codec can't travel: NUT or the output's container has no tag for it.
    AudioCodec,
    /// This ffmpeg was built without the encoder, or it can't be opened on this machine.
    Encoder,
    /// The output's container has no place for the streams, or its name makes no sense.
    Container,
    /// This ffmpeg does not know an option, a filter, a protocol or a container.
    Option,
    /// Files may not be read or written.
    Permission,
    /// The disk is full.
    DiskFull,
    /// The server answered with an error, or SRS refused, which it does without saying why.
    Refusal,
    /// None of these.
    Unknown,
}

/// Phrases and what they tell. The first that occurs in any line decides: causes stand before the
/// errors that follow from them.
const PHRASES: &[(&str, FailureKind)] = &[
    ("already publishing", FailureKind::Busy),
    ("streambusy", FailureKind::Busy),
    ("stream is busy", FailureKind::Busy),
    ("badname", FailureKind::Busy),
    ("device or resource busy", FailureKind::Busy),
    ("401 unauthorized", FailureKind::Unauthorized),
    ("403 forbidden", FailureKind::Unauthorized),
    ("authorization failed", FailureKind::Unauthorized),
    ("authentication failed", FailureKind::Unauthorized),
    ("authmod=", FailureKind::Unauthorized),
    ("access denied", FailureKind::Unauthorized),
    ("invalid user or password", FailureKind::Unauthorized),
    ("matches no streams", FailureKind::NoAudio), // refined below
    ("no codec tag defined for stream", FailureKind::AudioCodec),
    ("could not find tag for codec", FailureKind::AudioCodec),
    ("codec not currently supported in container", FailureKind::AudioCodec),
    ("unknown encoder", FailureKind::Encoder),
    ("encoder not found", FailureKind::Encoder),
    ("error while opening encoder", FailureKind::Encoder),
    ("could not open encoder", FailureKind::Encoder),
    ("no such filter", FailureKind::Option),
    ("unrecognized option", FailureKind::Option),
    ("option not found", FailureKind::Option),
    ("failed to set value", FailureKind::Option),
    ("error parsing options", FailureKind::Option),
    ("error splitting the argument list", FailureKind::Option),
    ("unknown input format", FailureKind::Option),
    ("requested output format", FailureKind::Option),
    ("unable to find a suitable output format", FailureKind::Option),
    ("unable to choose an output format", FailureKind::Option),
    ("protocol not found", FailureKind::Option),
    ("no space left on device", FailureKind::DiskFull),
    ("connection refused", FailureKind::Refused),
    ("404 not found", FailureKind::NotFound),
    ("server returned 404", FailureKind::NotFound),
    ("streamnotfound", FailureKind::NotFound),
    ("no such file or directory", FailureKind::NotFound),
    ("no such device", FailureKind::NotFound),
    ("is a directory", FailureKind::NotMedia),
    ("permission denied", FailureKind::Permission),
    ("operation not permitted", FailureKind::Permission),
    ("connection timed out", FailureKind::Network),
    ("operation timed out", FailureKind::Network),
    ("failed to resolve hostname", FailureKind::Network),
    ("network is unreachable", FailureKind::Network),
    ("no route to host", FailureKind::Network),
    ("host is unreachable", FailureKind::Network),
    ("connection reset", FailureKind::Network),
    ("broken pipe", FailureKind::Network),
    ("cannot read rtmp handshake", FailureKind::Network),
    ("server error", FailureKind::Refusal),
    ("input/output error", FailureKind::Refusal),
    ("invalid data found when processing input", FailureKind::NotMedia),
    ("moov atom not found", FailureKind::NotMedia),
    ("could not find codec parameters", FailureKind::NotMedia),
    ("does not contain any stream", FailureKind::NoVideo),
    ("end of file", FailureKind::Network),
    ("could not write header", FailureKind::Container),
    // Said of encoders, and of servers that can't be reached when the header is to be written.
    ("error initializing output stream", FailureKind::Encoder),
];

impl FailureKind {
    /// Reads the kind from the lines of stderr. What ffmpeg only tells, as a title, is not looked at:
    /// a source can write there what it likes.
    pub fn classify<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let complaints = lines.into_iter().filter(|line| line.level >= Level::Warning);
        let lines: Vec<String> = complaints.map(|line| line.text.to_ascii_lowercase()).collect();
        for (phrase, kind) in PHRASES.iter().copied() {
            if let Some(line) = lines.iter().find(|line| line.contains(phrase)) {
                let video = line.contains("stream map '");
                let audio = line.contains("stream map '0:a");
                return match kind {
                    Self::NoAudio if video && !audio => Self::NoVideo,
                    Self::Encoder if is_audio_tag_error(&lines) => Self::AudioCodec,
                    kind => kind,
                };
            }
        }
        // "Option rtsp_transport not found."
        let unknown = |line: &String| line.starts_with("option ") && line.ends_with(" not found.");
        if lines.iter().any(unknown) { Self::Option } else { Self::Unknown }
    }

    /// The kind in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Busy => "busy: somebody publishes there already",
            Self::Refused => "connection refused: nobody listens there",
            Self::Unauthorized => "not authorized",
            Self::Network => "network trouble",
            Self::NotFound => "no such file, stream or device",
            Self::NotMedia => "not a video that ffmpeg can read",
            Self::NoVideo => "no video stream",
            Self::NoAudio => "no audio stream",
            Self::AudioCodec => "the audio codec can't be carried",
            Self::Encoder => "the encoder is missing or can't be opened",
            Self::Container => {
                "the output's container can't carry this, or its name makes no sense"
            }
            Self::Option => "this ffmpeg does not know an option, a protocol or a format",
            Self::Permission => "permission denied",
            Self::DiskFull => "the disk is full",
            Self::Refusal => "refused by the server",
            Self::Unknown => "failed",
        }
    }
}

/// A missing tag for copied audio is reported like a failed encoder.
fn is_audio_tag_error(lines: &[String]) -> bool {
    lines.iter().any(|line| line.contains("incompatible with output codec"))
}

/// The end of a child, or of ffmpeg's libraries, as far as it is worth an error. Shown in one line;
/// [`report`](Self::report) says all.
#[derive(Clone, Debug)]
pub struct ChildFailure {
    program: String,
    command_line: String,
    status: Option<ExitStatus>,
    kind: FailureKind,
    tail: Vec<Line>,
}

impl ChildFailure {
    pub(super) fn new(
        program: String,
        command_line: String,
        status: Option<ExitStatus>,
        tail: Vec<Line>,
    ) -> Self {
        let kind = FailureKind::classify(&tail);
        Self { program, command_line, status, kind, tail }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The exit status; `None` when there is none, or it could not be had.
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// The last lines of stderr, redacted, oldest first.
    pub fn tail(&self) -> &[Line] {
        &self.tail
    }

    /// The line that tells most: the last error, or else the last line.
    pub fn telling_line(&self) -> Option<&str> {
        // What ends with dashes would say why behind them.
        let tells = |line: &&&Line| {
            let text = line.text.trim();
            !text.is_empty() && !text.ends_with("--")
        };
        let lines: Vec<&Line> = self.tail.iter().rev().collect();
        let error = lines.iter().filter(|line| line.level == Level::Error).find(tells);
        error.or(lines.iter().find(tells)).map(|line| line.text.trim())
    }

    /// Everything, in several lines: how it ended, the command line, the last lines of stderr.
    pub fn report(&self) -> String {
        let mut out = format!("{self}\n  command: {}", self.command_line);
        for line in &self.tail {
            out.push_str("\n  | ");
            out.push_str(&line.text);
        }
        out
    }
}

impl fmt::Display for ChildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.telling_line().unwrap_or("it said nothing");
        write!(f, "{}: {} (", self.program, self.kind.describe())?;
        if let Some(status) = self.status {
            write!(f, "{status}; ")?;
        }
        write!(f, "{said})")
    }
}

impl std::error::Error for ChildFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(lines: &[&str]) -> FailureKind {
        let lines: Vec<Line> = lines.iter().map(|line| Line::parse(line)).collect();
        FailureKind::classify(&lines)
    }

    #[test]
    fn the_cause_decides_and_not_what_follows_from_it() {
        let refused = [
            "[tcp @ 0x5] [error] Connection to tcp://127.0.0.1:1 failed: Connection refused",
            "[rtmp @ 0x5] [error] Cannot open connection tcp://127.0.0.1:1",
            "[error] rtmp://127.0.0.1:1/live: Connection refused",
        ];
        assert_eq!(kind(&refused), FailureKind::Refused);
        let busy = [
            "[rtmp @ 0x5] [error] Server error: Already publishing",
            "[error] Operation not permitted",
        ];
        assert_eq!(kind(&busy), FailureKind::Busy);
        assert_eq!(kind(&["[error] rtmp://h/a: Input/output error"]), FailureKind::Refusal);
        let rtsp = [
            "[error] Could not write header for output file #0 (incorrect codec parameters ?): \
             Connection refused",
            "[error] Error initializing output stream 0:0 -- ",
        ];
        assert_eq!(kind(&rtsp), FailureKind::Refused);
        assert_eq!(kind(&rtsp[1..]), FailureKind::Encoder);
        let closed = "[error] Could not write header (incorrect codec parameters ?): End of file";
        assert_eq!(kind(&[closed]), FailureKind::Network);
        assert_eq!(kind(&[]), FailureKind::Unknown);
    }

    #[test]
    fn a_title_is_no_failure() {
        let lines = ["[info]     title           : 403 Forbidden", "[error] x: Input/output error"];
        assert_eq!(kind(&lines), FailureKind::Refusal);
    }

    #[test]
    fn streams_that_are_missing_are_told_apart() {
        let audio = "[fatal] Stream map '0:a:0' matches no streams.";
        let video = "[fatal] Stream map '0:V:0' matches no streams.";
        assert_eq!(kind(&[audio]), FailureKind::NoAudio);
        assert_eq!(kind(&[video]), FailureKind::NoVideo);
        assert_eq!(
            kind(&["[nut @ 0x5] [error] No codec tag defined for stream 0"]),
            FailureKind::AudioCodec
        );
    }

    #[test]
    fn inputs_encoders_and_options_are_told_apart() {
        for (line, expected) in [
            ("[error] a.txt: Invalid data found when processing input", FailureKind::NotMedia),
            ("[error] a.mp4: No such file or directory", FailureKind::NotFound),
            ("[fatal] Unknown encoder 'h264_nvenc'", FailureKind::Encoder),
            ("[fatal] Unrecognized option 'fps_mod'.", FailureKind::Option),
            (
                "[rtsp @ 0x1] [error] method DESCRIBE failed: 401 Unauthorized",
                FailureKind::Unauthorized,
            ),
            ("[error] av_interleaved_write_frame(): Broken pipe", FailureKind::Network),
            ("[error] out.flv: No space left on device", FailureKind::DiskFull),
            ("[fatal] Option rtsp_transport not found.", FailureKind::Option),
            (
                "[error] Failed to set value '1' for option 'ss': Option not found",
                FailureKind::Option,
            ),
        ] {
            assert_eq!(kind(&[line]), expected, "{line}");
        }
    }
}
