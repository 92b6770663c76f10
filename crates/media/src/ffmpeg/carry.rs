//! Which codecs of audio a container takes as they are. What it doesn't take has to become AAC,
//! which every one of them takes.
//!
//! ffmpeg itself finds out only when it writes the header, and then it is gone. So the codecs that
//! are known to work are listed for each container that is picky, and for the others it is
//! believed to take everything.

use super::encode::OutputKind;

/// Sample rates of MP3 that FLV has a number for.
const FLV_MP3_RATES: [u32; 4] = [11_025, 22_050, 44_100, 48_000];

/// A codec, by the tag that it has in NUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Aac,
    Mp2,
    Mp3,
    Ac3,
    Opus,
    Other,
}

impl Codec {
    /// NUT tags have two or four bytes; the short ones may be padded.
    fn of(tag: &[u8]) -> Self {
        if tag == b"Opus" {
            return Self::Opus;
        }
        match tag {
            [0xff, 0, rest @ ..] if is_padding(rest) => Self::Aac,
            [0x50, 0, rest @ ..] if is_padding(rest) => Self::Mp2,
            [0x55, 0, rest @ ..] if is_padding(rest) => Self::Mp3,
            [0, 0x20, rest @ ..] if is_padding(rest) => Self::Ac3,
            _ => Self::Other,
        }
    }
}

fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|&byte| byte == 0)
}

impl OutputKind {
    /// Whether audio with this tag in NUT can be copied to such an output.
    pub fn carries(self, tag: &[u8], sample_rate: u32) -> bool {
        let codec = Codec::of(tag);
        match self {
            Self::Rtmp | Self::File("flv") => {
                let mp3 = codec == Codec::Mp3 && FLV_MP3_RATES.contains(&sample_rate);
                codec == Codec::Aac || mp3
            }
            Self::Transport | Self::File("mpegts") => codec != Codec::Other,
            Self::File("mp4") => {
                matches!(codec, Codec::Aac | Codec::Mp3 | Codec::Ac3 | Codec::Opus)
            }
            Self::Rtsp | Self::File(_) | Self::Other => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OutputKind;

    #[test]
    fn each_container_has_its_codecs() {
        let (aac, mp3, opus, pcm) = ([0xff, 0, 0, 0], [0x55, 0], *b"Opus", *b"PSD\x10");
        let flv = OutputKind::of("rtmp://h/live/a");
        assert!(flv.carries(&aac, 96_000) && flv.carries(&mp3, 44_100));
        assert!(!flv.carries(&mp3, 32_000) && !flv.carries(&opus, 48_000));
        assert!(!OutputKind::of("a.flv").carries(&pcm, 44_100));
        assert!(OutputKind::of("a.mkv").carries(&pcm, 44_100));
        assert!(OutputKind::of("a.ts").carries(&opus, 48_000));
        assert!(!OutputKind::of("a.mp4").carries(&pcm, 48_000));
    }
}
