//! Rule: pictures of every kind come to the model upright, progressive and in 8 bits, and to the
//! viewer in the right shape; what can't be kept is done openly, never by a silent resize.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::tools::{run, run_ffmpeg};
use e2e::{Chain, Namespace, clips, frame_hashes};

const WIDTH: usize = 320;

/// Sends a clip into a file; a `.nut` gets the frames as a model sees them.
fn send(namespace: &Namespace, clip: &str, out: &str, puller: &[&str]) -> Result<()> {
    let codec: &[&str] =
        if out.ends_with(".nut") { &["--codec", "rawvideo"] } else { &["--preset", "ultrafast"] };
    let chain = Chain::new(namespace, clip, out).puller_args(puller).pusher_args(codec);
    chain.start(1)?.expect_success()
}

/// Width, height and shape of a pixel, as ffprobe prints them: `320,180,4:3`.
fn shape(path: &str) -> Result<String> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]);
    let entries = "stream=width,height,sample_aspect_ratio";
    let text = run(probe.args(["-show_entries", entries, path]))?;
    Ok(text.trim().trim_end_matches(',').to_owned())
}

/// The colour of the pixel in the middle of the first frame.
fn middle(namespace: &Namespace, path: &str) -> Result<[u8; 3]> {
    let raw = namespace.path("middle.rgb");
    let filter = "crop=2:2,format=rgb24";
    run_ffmpeg(&["-i", path, "-vf", filter, "-frames:v", "1", "-f", "rawvideo", &raw])?;
    let bytes = fs::read(&raw)?;
    bytes.first_chunk().copied().context("no pixel")
}

#[test]
fn a_phone_held_upright_gives_upright_frames() -> Result<()> {
    let namespace = Namespace::new()?;
    let (flat, turned) = (namespace.path("flat.mp4"), namespace.path("turned.mp4"));
    run_ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=0.4", &flat])?;
    run_ffmpeg(&["-i", &flat, "-c", "copy", "-metadata:s:v", "rotate=90", &turned])?;
    let (seen, out) = (namespace.path("seen.nut"), namespace.path("out.mp4"));
    send(&namespace, &turned, &seen, &[])?;
    ensure!(shape(&seen)?.starts_with("180,320"), "{}", shape(&seen)?);
    // ffmpeg turns it when it decodes, too.
    let (wanted, got) = (frame_hashes(&turned, "gray")?, frame_hashes(&seen, "gray")?);
    ensure!(got.len() == wanted.len() && got.len() == 10, "{} frames", got.len());
    send(&namespace, &turned, &out, &[])?;
    ensure!(shape(&out)?.starts_with("180,320"), "{}", shape(&out)?);
    Ok(())
}

/// Pixels that are not square stay as they are, and the output says so; a model that wants square
/// ones asks for a size.
#[test]
fn pixels_that_are_not_square_keep_their_shape() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.mkv"));
    let source = ["-f", "lavfi", "-i", "testsrc2=s=240x180:r=25:d=0.4", "-vf", "setsar=4/3"];
    run_ffmpeg(&[source.as_slice(), &[&clip]].concat())?;
    ensure!(shape(&clip)? == "240,180,4:3", "{}", shape(&clip)?);
    send(&namespace, &clip, &out, &[])?;
    ensure!(shape(&out)? == "240,180,4:3", "{}", shape(&out)?);
    send(&namespace, &clip, &out, &["--size", "320x180"])?;
    ensure!(shape(&out)? == "320,180,1:1", "{}", shape(&out)?);
    Ok(())
}

/// How much each line of a file's pictures differs from the next, of 255, on average. The pictures
/// are of upright bars: whole ones have no difference at all.
fn combing(namespace: &Namespace, path: &str) -> Result<u64> {
    let raw = namespace.path("lines.gray");
    run_ffmpeg(&["-i", path, "-pix_fmt", "gray", "-f", "rawvideo", &raw])?;
    let bytes = fs::read(&raw)?;
    let lines: Vec<&[u8]> = bytes.chunks_exact(WIDTH).collect();
    let pairs = lines.chunks_exact(2).flat_map(|pair| pair[0].iter().zip(pair[1]));
    let sum: u64 = pairs.map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
    Ok(sum / (lines.len() * WIDTH / 2) as u64)
}

/// Interlaced pictures are made whole, one for each, at their own times.
#[test]
fn interlaced_pictures_become_whole_ones() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, seen) = (namespace.path("clip.mkv"), namespace.path("seen.nut"));
    // Bars that move from field to field.
    let bars = "nullsrc=s=320x180:r=50:d=2,\
                geq=lum='255*lt(mod(X+4*N,64),32)':cb=128:cr=128,interlace=lowpass=0";
    run_ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        bars,
        "-flags",
        "+ilme+ildct",
        "-field_order",
        "tt",
        "-qp",
        "1",
        &clip,
    ])?;
    let before = combing(&namespace, &clip)?;
    ensure!(before > 20, "the clip is not interlaced: {before}");
    send(&namespace, &clip, &seen, &[])?;
    let after = combing(&namespace, &seen)?;
    ensure!(after < 2, "still interlaced: {after} of {before}");
    let (wanted, got) = (frame_hashes(&clip, "gray")?, frame_hashes(&seen, "gray")?);
    let times = |frames: &[e2e::FrameHash]| -> Vec<i64> {
        frames.iter().map(|frame| frame.pts_us).collect()
    };
    ensure!(times(&got) == times(&wanted), "{:?} {:?}", times(&got), times(&wanted));
    Ok(())
}

/// Ten bits become eight, and what is transparent shows its colour.
#[test]
fn deep_and_transparent_pictures_keep_their_colours() -> Result<()> {
    let namespace = Namespace::new()?;
    let (deep, seen) = (namespace.path("deep.mkv"), namespace.path("seen.nut"));
    let colour = "color=c=0x336699:s=320x180:r=25:d=0.2";
    run_ffmpeg(&["-f", "lavfi", "-i", colour, "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", &deep])?;
    send(&namespace, &deep, &seen, &[])?;
    let pixel = middle(&namespace, &seen)?;
    let off = pixel.iter().zip([0x33_u8, 0x66, 0x99]).map(|(got, wanted)| got.abs_diff(wanted));
    ensure!(off.max() <= Some(3), "{pixel:?}");

    let transparent = namespace.path("transparent.mov");
    let colour = "color=c=red@0.5:s=320x180:r=25:d=0.2,format=rgba";
    run_ffmpeg(&["-f", "lavfi", "-i", colour, "-c:v", "png", &transparent])?;
    send(&namespace, &transparent, &seen, &[])?;
    let pixel = middle(&namespace, &seen)?;
    ensure!(pixel[0] >= 252 && pixel[1] <= 3 && pixel[2] <= 3, "{pixel:?}");
    Ok(())
}

/// A model sees an odd size as it is; encoders that want even sides get a line more.
#[test]
fn odd_sides_are_padded_for_the_encoder_alone() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, seen, out) =
        (namespace.path("clip.mkv"), namespace.path("seen.nut"), namespace.path("out.flv"));
    clips::odd_size(&clip, 3)?;
    send(&namespace, &clip, &seen, &[])?;
    ensure!(shape(&seen)?.starts_with("321,241"), "{}", shape(&seen)?);
    send(&namespace, &clip, &out, &[])?;
    ensure!(shape(&out)?.starts_with("322,242"), "{}", shape(&out)?);
    Ok(())
}
