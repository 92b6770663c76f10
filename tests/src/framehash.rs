//! What is in a file, as ffmpeg itself sees it: a hash and a time for each frame or packet.

use anyhow::{Context, Result};

use crate::tools::{keep_every_frame, run_ffmpeg};

/// A frame, or a packet of sound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FrameHash {
    /// Its time in microseconds.
    pub pts_us: i64,
    /// Its size in bytes.
    pub bytes: u64,
    /// The MD5 of its bytes.
    pub md5: String,
}

/// Decodes the video of a file to `pix_fmt` and returns its frames in order.
///
/// # Errors
/// When ffmpeg can't decode it.
pub fn frame_hashes(path: &str, pix_fmt: &str) -> Result<Vec<FrameHash>> {
    let mut args = vec!["-copyts", "-i", path, "-map", "0:v:0", "-c:v", "rawvideo"];
    args.extend(["-pix_fmt", pix_fmt, "-enc_time_base", "1:1000000"]);
    args.extend(keep_every_frame());
    args.extend(["-f", "framemd5", "-"]);
    parse(&run_ffmpeg(&args)?)
}

/// The packets of sound in a file, as they are.
///
/// # Errors
/// When ffmpeg can't read it.
pub fn audio_hashes(path: &str) -> Result<Vec<FrameHash>> {
    let args = ["-copyts", "-i", path, "-map", "0:a:0", "-c:a", "copy", "-f", "framemd5", "-"];
    parse(&run_ffmpeg(&args)?)
}

/// Reads ffmpeg's list: `stream, dts, pts, duration, size, hash`, after lines with `#`.
fn parse(text: &str) -> Result<Vec<FrameHash>> {
    let mut ticks = (1, 1);
    let mut frames = Vec::new();
    for line in text.lines() {
        if let Some(base) = line.strip_prefix("#tb 0:") {
            ticks = fraction(base).with_context(|| format!("an odd time base: {line}"))?;
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            frames.push(frame(line, ticks).with_context(|| format!("an odd line: {line}"))?);
        }
    }
    Ok(frames)
}

fn fraction(text: &str) -> Option<(i64, i64)> {
    let (top, bottom) = text.trim().split_once('/')?;
    Some((top.parse().ok()?, bottom.parse().ok()?))
}

fn frame(line: &str, (top, bottom): (i64, i64)) -> Option<FrameHash> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [_, _, pts, _, bytes, md5, ..] = fields.as_slice() else { return None };
    let pts: i64 = pts.parse().ok()?;
    // Rounded to the nearest, as ffmpeg does.
    let pts_us = (pts * top * 1_000_000 * 2 + bottom).div_euclid(bottom * 2);
    Some(FrameHash { pts_us, bytes: bytes.parse().ok()?, md5: (*md5).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_in_microseconds_of_any_base() {
        let list = "#version: 2\n#tb 0: 1001/30000\n#stream#, dts, pts\n\
                    0,          0,          0,        1,   230400, aa\n\
                    0,          1,          1,        1,   230400, bb\n";
        let frames = parse(list).expect("a list");
        assert_eq!((frames[0].pts_us, frames[1].pts_us), (0, 33_367));
        assert_eq!((frames[1].bytes, frames[1].md5.as_str()), (230_400, "bb"));
    }
}
