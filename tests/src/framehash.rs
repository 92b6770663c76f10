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
    let [frames] = hashes(path, [&pictures(pix_fmt)])?;
    Ok(frames)
}

/// The packets of sound in a file, as they are.
///
/// # Errors
/// When ffmpeg can't read it.
pub fn audio_hashes(path: &str) -> Result<Vec<FrameHash>> {
    let [packets] = hashes(path, [&SOUND])?;
    Ok(packets)
}

/// What `frame_hashes` and `audio_hashes` return, in one reading of the file.
///
/// # Errors
/// When ffmpeg can't decode it, or one of them is not there.
pub fn frame_and_audio_hashes(path: &str, pix_fmt: &str) -> Result<[Vec<FrameHash>; 2]> {
    hashes(path, [&pictures(pix_fmt), &SOUND])
}

const SOUND: [&str; 4] = ["-map", "0:a:0", "-c:a", "copy"];

fn pictures(pix_fmt: &str) -> Vec<&str> {
    let mut args = vec!["-map", "0:v:0", "-c:v", "rawvideo", "-pix_fmt", pix_fmt];
    args.extend(["-enc_time_base:v", "1:1000000"]);
    args.extend(keep_every_frame());
    args
}

/// The frames or packets of each stream that is asked for.
fn hashes<const N: usize>(path: &str, streams: [&[&str]; N]) -> Result<[Vec<FrameHash>; N]> {
    let (input, output) = (["-copyts", "-i", path], ["-f", "framemd5", "-"]);
    parse(&run_ffmpeg(&[&input, streams.concat().as_slice(), &output].concat())?)
}

/// Reads ffmpeg's list: `stream, dts, pts, duration, size, hash`, after lines with `#`.
fn parse<const N: usize>(text: &str) -> Result<[Vec<FrameHash>; N]> {
    let mut ticks = [(1, 1); N];
    let mut frames = [const { Vec::new() }; N];
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let odd = || format!("an odd line: {line}");
        if let Some(base) = line.strip_prefix("#tb ") {
            let (stream, base) = base.split_once(':').with_context(odd)?;
            let ticks = ticks.get_mut(stream.parse::<usize>()?).with_context(odd)?;
            *ticks = fraction(base).with_context(odd)?;
        } else if !line.starts_with('#') {
            let (stream, rest) = line.split_once(',').with_context(odd)?;
            let stream: usize = stream.parse()?;
            let ticks = *ticks.get(stream).with_context(odd)?;
            frames[stream].push(frame(rest, ticks).with_context(odd)?);
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
    let [_, pts, _, bytes, md5, ..] = fields.as_slice() else { return None };
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
        let list = "#version: 2\n#tb 0: 1001/30000\n#tb 1: 1/48000\n#stream#, dts, pts\n\
                    0,          0,          0,        1,   230400, aa\n\
                    1,         48,         48,     1024,      400, cc\n\
                    0,          1,          1,        1,   230400, bb\n";
        let [frames, packets] = parse(list).expect("a list");
        assert_eq!((frames[0].pts_us, frames[1].pts_us), (0, 33_367));
        assert_eq!((frames[1].bytes, frames[1].md5.as_str()), (230_400, "bb"));
        assert_eq!((packets.len(), packets[0].pts_us, packets[0].bytes), (1, 1_000, 400));
    }
}
