//! The local ffmpeg: its version, its encoder of H.264, and whether it speaks RTMP.

use std::path::Path;
use std::process::{Command, Stdio};

use framelane_media::ffmpeg::{Ffmpeg, encoder_works, find_encoder};

use super::Finding;

pub(super) fn look(program: &Path) -> Vec<Finding> {
    let ffmpeg = match Ffmpeg::find(program) {
        Ok(ffmpeg) => ffmpeg,
        Err(error) => return vec![Finding::bad("ffmpeg", error.to_string())],
    };
    let version = Finding::good("ffmpeg", format!("version {}", ffmpeg.version()));
    vec![version, encoder(&ffmpeg), protocols(ffmpeg.program()), probe(&ffmpeg)]
}

fn encoder(ffmpeg: &Ffmpeg) -> Finding {
    const WHAT: &str = "encoder";
    if encoder_works(ffmpeg, "libx264") {
        return Finding::good(WHAT, "libx264");
    }
    match find_encoder(ffmpeg) {
        Some(other) => Finding::odd(
            WHAT,
            format!("libx264 does not work, {other} does: push with --codec {other}"),
        ),
        None => {
            let text = "none of H.264 works: install an ffmpeg with libx264, or push with the --codec \
                        of another one";
            Finding::bad(WHAT, text)
        }
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
