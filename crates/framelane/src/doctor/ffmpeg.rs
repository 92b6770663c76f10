//! The local ffmpeg: its version, its encoders of H.264, and whether it speaks RTMP.

use std::path::Path;
use std::process::{Command, Stdio};

use framelane_media::ffmpeg::{Ffmpeg, working_encoders};

use super::Finding;

pub(super) fn look(program: &Path) -> Vec<Finding> {
    let ffmpeg = match Ffmpeg::find(program) {
        Ok(ffmpeg) => ffmpeg,
        Err(error) => return vec![Finding::bad("ffmpeg", error.to_string())],
    };
    let version = Finding::good("ffmpeg", format!("version {}", ffmpeg.version()));
    vec![version, encoders(&ffmpeg), protocols(ffmpeg.program()), probe(&ffmpeg)]
}

fn encoders(ffmpeg: &Ffmpeg) -> Finding {
    const WHAT: &str = "encoders";
    let working: Vec<&str> = working_encoders(ffmpeg).collect();
    match working.first() {
        Some(_) if working.contains(&"libx264") => Finding::good(WHAT, working.join(", ")),
        Some(first) => {
            let text = format!("no libx264, but {}: push with --codec {first}", working.join(", "));
            Finding::odd(WHAT, text)
        }
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
