//! ffmpeg's video encoders: what each has to be told, and which one works on this machine.
//!
//! An encoder that is not known here gets no options but those that all of them have.

use std::time::Duration;

use super::capture::capture;
use super::child::ChildCommand;
use super::version::Ffmpeg;

/// Encoders of H.264, which every server and player takes: those that leave the processor alone
/// first.
const CANDIDATES: [&str; 6] =
    ["h264_nvenc", "h264_qsv", "h264_vaapi", "h264_v4l2m2m", "libx264", "libopenh264"];

/// How long an encoder may take to show that it works.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an encoder strives for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Latency {
    /// Each frame comes out before the next one goes in.
    Low,
    /// It may look ahead, for a better picture at the same bit rate.
    Normal,
}

impl std::str::FromStr for Latency {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "low" => Ok(Self::Low),
            "normal" => Ok(Self::Normal),
            _ => Err(format!("'{name}' is not a latency: use low or normal")),
        }
    }
}

/// Encoders that take the same options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    X264,
    X265,
    Nvenc,
    Qsv,
    Vaapi,
    V4l2,
    Vpx,
    Aom,
    SvtAv1,
    Other,
}

impl Family {
    pub(super) fn of(codec: &str) -> Self {
        match codec {
            "libx264" | "libx264rgb" => Self::X264,
            "libx265" => Self::X265,
            "libvpx" | "libvpx-vp9" => Self::Vpx,
            "libaom-av1" => Self::Aom,
            "libsvtav1" => Self::SvtAv1,
            _ if codec.ends_with("_nvenc") => Self::Nvenc,
            _ if codec.ends_with("_qsv") => Self::Qsv,
            _ if codec.ends_with("_vaapi") => Self::Vaapi,
            _ if codec.ends_with("_v4l2m2m") => Self::V4l2,
            _ => Self::Other,
        }
    }

    /// What comes before the input.
    pub(super) fn device_args(self) -> &'static [&'static str] {
        match self {
            Self::Vaapi => &["-vaapi_device", "/dev/dri/renderD128"],
            _ => &[],
        }
    }

    /// The last filters: into the format that it takes, where it takes it.
    pub(super) fn input_filter(self) -> &'static str {
        match self {
            Self::Vaapi => "format=nv12,hwupload",
            Self::Qsv | Self::V4l2 => "format=nv12",
            _ => "format=yuv420p",
        }
    }

    /// The preset that is taken when none is asked for; `None` for those without presets.
    pub(super) fn usual_preset(self) -> Option<&'static str> {
        match self {
            Self::X264 | Self::X265 | Self::Qsv => Some("veryfast"),
            // The name that drivers of all ages know.
            Self::Nvenc => Some("fast"),
            Self::SvtAv1 => Some("10"),
            Self::Vaapi | Self::V4l2 | Self::Vpx | Self::Aom | Self::Other => None,
        }
    }

    /// Whether `-tune zerolatency` is known to it.
    pub(super) fn has_zerolatency(self) -> bool {
        matches!(self, Self::X264 | Self::X265)
    }

    /// What makes it keep pace, and, for low latency, hold no frame back.
    pub(super) fn latency_args(self, latency: Latency) -> &'static [&'static str] {
        match (self, latency) {
            (Self::X264 | Self::X265, Latency::Low) => &["-tune", "zerolatency"],
            (Self::Nvenc, Latency::Low) => &["-zerolatency", "1", "-delay", "0", "-bf", "0"],
            (Self::Qsv, Latency::Low) => &["-async_depth", "1", "-bf", "0"],
            (Self::Vaapi, Latency::Low) => &["-bf", "0"],
            (Self::Vpx, Latency::Low) => {
                &["-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"]
            }
            // By default it is slower than any stream.
            (Self::Vpx, Latency::Normal) => &["-deadline", "good", "-cpu-used", "5"],
            (Self::Aom, Latency::Low) => {
                &["-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"]
            }
            (Self::Aom, Latency::Normal) => &["-cpu-used", "6"],
            _ => &[],
        }
    }

    /// What makes groups of pictures closed, so that a viewer can start with any of them: the
    /// others close them by default.
    pub(super) fn closed_gop_args(self) -> &'static [&'static str] {
        match self {
            Self::X265 => &["-x265-params", "open-gop=0:log-level=warning"],
            _ => &[],
        }
    }
}

/// The first encoder of H.264 that works here, found by encoding some frames with each. `None`
/// when there is none.
pub fn find_encoder(ffmpeg: &Ffmpeg) -> Option<&'static str> {
    CANDIDATES.into_iter().find(|codec| encoder_works(ffmpeg, codec))
}

/// Whether an encoder can be opened, and encodes. Being listed by ffmpeg means only that it was
/// compiled in.
pub fn encoder_works(ffmpeg: &Ffmpeg, codec: &str) -> bool {
    let family = Family::of(codec);
    let mut args = vec!["-nostdin", "-hide_banner", "-loglevel", "error"];
    args.extend(family.device_args());
    // Some hardware takes nothing smaller.
    args.extend(["-f", "lavfi", "-i", "color=s=320x256:r=25", "-frames:v", "3"]);
    args.extend(["-vf", family.input_filter(), "-c:v", codec]);
    args.extend(family.latency_args(Latency::Low));
    args.extend(["-f", "null", "-"]);
    let command = ChildCommand::new(ffmpeg.program()).args(args);
    capture(command, PROBE_TIMEOUT, 0)
        .is_ok_and(|captured| captured.status.is_some_and(|status| status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_is_one_that_encodes() {
        let ffmpeg = Ffmpeg::find("ffmpeg").expect("ffmpeg is installed");
        assert!(encoder_works(&ffmpeg, "libx264"));
        assert!(!encoder_works(&ffmpeg, "nonsense"));
        let found = find_encoder(&ffmpeg).expect("there is libx264");
        assert!(encoder_works(&ffmpeg, found));
    }

    #[test]
    fn families_are_known_by_name() {
        for (codec, family) in [
            ("hevc_nvenc", Family::Nvenc),
            ("h264_vaapi", Family::Vaapi),
            ("libvpx-vp9", Family::Vpx),
            ("mpeg4", Family::Other),
        ] {
            assert_eq!(Family::of(codec), family, "{codec}");
        }
    }
}
