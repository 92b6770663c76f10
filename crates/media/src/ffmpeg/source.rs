//! What an input is by the look of its URL: a live stream or something with an end, and how its
//! protocol wants to be told a timeout.

use std::path::Path;

/// What kind of input a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputKind {
    /// RTMP and its variants.
    Rtmp,
    /// RTSP, with or without TLS.
    Rtsp,
    /// SRT, TCP, UDP or RTP: a stream that comes by itself.
    Transport,
    /// HTTP: a file or a live stream, nobody knows before it ends.
    Http,
    /// A file, a device, or anything else.
    File,
}

impl InputKind {
    /// Looks at the scheme of `input`. What has none is a file.
    pub fn of(input: &str) -> Self {
        let scheme = input.split_once("://").map(|(scheme, _)| scheme).or_else(|| {
            // ffmpeg takes "udp:..." as well; a drive or a path may contain a colon too.
            input.split_once(':').map(|(scheme, _)| scheme)
        });
        match scheme.unwrap_or_default().to_ascii_lowercase().as_str() {
            "rtmp" | "rtmps" | "rtmpt" | "rtmpts" | "rtmpe" | "rtmpte" => Self::Rtmp,
            "rtsp" | "rtsps" => Self::Rtsp,
            "srt" | "udp" | "rtp" | "tcp" => Self::Transport,
            "http" | "https" => Self::Http,
            _ => Self::File,
        }
    }

    /// Whether the input is live: it goes on whether or not somebody reads, and its loss is not
    /// its end.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Rtmp | Self::Rtsp | Self::Transport)
    }
}

/// The file that an input or an output names, if it is there. ffmpeg takes `file:` before a path.
pub fn existing_file(named: &str) -> Option<&Path> {
    let path = Path::new(named.strip_prefix("file:").unwrap_or(named));
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::InputKind;

    #[test]
    fn schemes_tell_live_streams_from_files() {
        for (input, kind, live) in [
            ("rtmp://h/live/a", InputKind::Rtmp, true),
            ("RTMPS://h/live/a", InputKind::Rtmp, true),
            ("rtsp://u:p@h/1", InputKind::Rtsp, true),
            ("srt://h:9000?mode=caller", InputKind::Transport, true),
            ("udp:239.0.0.1:1234", InputKind::Transport, true),
            ("https://h/a.mp4", InputKind::Http, false),
            ("clip.mp4", InputKind::File, false),
            ("/a:b/rtmp/c.mp4", InputKind::File, false),
            ("file:rtmp.mp4", InputKind::File, false),
            ("", InputKind::File, false),
        ] {
            assert_eq!(
                (InputKind::of(input), InputKind::of(input).is_live()),
                (kind, live),
                "{input}"
            );
        }
    }
}
