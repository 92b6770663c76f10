//! The local ffmpeg: its version, its encoders, and whether it speaks RTMP.

use std::path::Path;
use std::process::{Command, Stdio};

use framelane_media::ffmpeg::Ffmpeg;

use super::Finding;

/// Encoders that make a stream which servers and players take, the usual one first.
const ENCODERS: [&str; 9] = [
    "libx264",
    "h264_nvenc",
    "h264_vaapi",
    "h264_qsv",
    "h264_v4l2m2m",
    "libopenh264",
    "libx265",
    "libvpx-vp9",
    "libsvtav1",
];

pub(super) fn look(program: &Path) -> Vec<Finding> {
    let ffmpeg = match Ffmpeg::find(program) {
        Ok(ffmpeg) => ffmpeg,
        Err(error) => return vec![Finding::bad("ffmpeg", error.to_string())],
    };
    let version = Finding::good("ffmpeg", format!("version {}", ffmpeg.version()));
    vec![version, encoders(ffmpeg.program()), protocols(ffmpeg.program()), probe(&ffmpeg)]
}

fn encoders(program: &Path) -> Finding {
    let listed = answer(program, "-encoders");
    // ` V....D libx264   H.264 / AVC`
    let names: Vec<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let found: Vec<&str> = ENCODERS.into_iter().filter(|name| names.contains(name)).collect();
    match found.first() {
        Some(&"libx264") => Finding::good("encoders", found.join(", ")),
        Some(first) => {
            let text = format!("no libx264, but {}: push with --codec {first}", found.join(", "));
            Finding::odd("encoders", text)
        }
        None => Finding::bad("encoders", "none that servers take: install an ffmpeg with libx264"),
    }
}

fn protocols(program: &Path) -> Finding {
    let listed = answer(program, "-protocols");
    let speaks = |name: &str| listed.split_whitespace().any(|word| word == name);
    let names = ["rtmp", "rtmps", "srt", "https"];
    let found: Vec<&str> = names.into_iter().filter(|name| speaks(name)).collect();
    if speaks("rtmp") {
        Finding::good("protocols", found.join(", "))
    } else {
        Finding::bad("protocols", "this ffmpeg does not speak RTMP: install another one")
    }
}

fn probe(ffmpeg: &Ffmpeg) -> Finding {
    let program = ffmpeg.ffprobe();
    if answer(&program, "-version").starts_with("ffprobe") {
        Finding::good("ffprobe", program.display().to_string())
    } else {
        let text = format!("{} can't be run: it comes with ffmpeg", program.display());
        Finding::bad("ffprobe", text)
    }
}

/// What a program prints when it is asked; nothing when it can't be run.
fn answer(program: &Path, question: &str) -> String {
    let output = Command::new(program)
        .args(["-hide_banner", question])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
