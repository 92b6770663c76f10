//! Rule: ffmpeg's libraries in the puller give what ffmpeg's process gives: the same frames at the
//! same times, the same sound. Frames of both are compared bit for bit.

use std::{fs, thread};

use anyhow::{Context, Result, anyhow, ensure};
use e2e::framehash::audio_hashes;
use e2e::tools::run_ffmpeg;
use e2e::{Chain, FrameHash, Namespace, clips, frame_hashes};

use crate::bad_input::INPUT;

/// What a chain makes of a clip with one decoder: frames as a model sees them.
fn decoded_by(decoder: &str, clip: &str, options: &[&str]) -> Result<Vec<FrameHash>> {
    let namespace = Namespace::new()?;
    let out = namespace.path("out.nut");
    let chain = Chain::new(&namespace, clip, &out)
        .puller_args(&["--decoder", decoder])
        .puller_args(options)
        .pusher_args(&["--codec", "rawvideo"]);
    chain.start(1)?.expect_success().with_context(|| format!("{decoder}: {clip} {options:?}"))?;
    let format = options.iter().skip_while(|option| **option != "--pix-fmt").nth(1);
    frame_hashes(&out, format.unwrap_or(&"rgb24"))
}

/// Does something with each of several things at the same time: most of a chain's time is waiting.
fn all_at_once<T: Sync>(things: &[T], check: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let check = &check;
        let checks: Vec<_> = things.iter().map(|thing| scope.spawn(move || check(thing))).collect();
        checks
            .into_iter()
            .try_for_each(|check| check.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

/// Sends a clip through both, and compares what comes out.
fn same(clip: &str, options: &[&str]) -> Result<()> {
    let process = decoded_by("ffmpeg", clip, options)?;
    let libraries = decoded_by("libav", clip, options)?;
    ensure!(process.len() > 1, "{clip} {options:?}: {process:?}");
    let differ = process.iter().zip(&libraries).position(|(one, other)| one != other);
    ensure!(
        process.len() == libraries.len() && differ.is_none(),
        "{clip} {options:?}: {} and {} frames, which differ at {differ:?}",
        process.len(),
        libraries.len()
    );
    Ok(())
}

/// A clip of one second by an encoder, from a source that has more colours than tests need.
fn clip(namespace: &Namespace, file: &str, options: &[&str]) -> Result<String> {
    let path = namespace.path(file);
    let source = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1"];
    run_ffmpeg(&[source.as_slice(), options, &[&path]].concat())?;
    Ok(path)
}

#[test]
#[ignore = "needs a puller with ffmpeg's libraries: scripts/test.sh libav"]
fn every_container_and_codec_gives_the_same_frames() -> Result<()> {
    let namespace = Namespace::new()?;
    let encoded = [
        ("a.flv", &["-c:v", "libx264", "-preset", "ultrafast"][..]),
        // Reordered, without times of its own.
        ("a.avi", &["-c:v", "mpeg4", "-bf", "2"]),
        ("a.ts", &["-c:v", "mpeg2video", "-bf", "2", "-output_ts_offset", "1000"]),
        ("a.mjpeg.mkv", &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]),
        ("a.webm", &["-c:v", "libvpx", "-b:v", "1M"]),
        ("deep.mkv", &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv422p10le"]),
        ("a.y4m", &["-pix_fmt", "yuv420p"]),
    ];
    all_at_once(&encoded, |(file, options)| same(&clip(&namespace, file, options)?, &[]))?;
    let made = [
        ("constant.mp4", clips::constant_rate as fn(&str, u32) -> Result<()>),
        ("variable.mkv", clips::variable_rate),
        ("odd.mkv", clips::odd_size),
        ("b_frames.mp4", clips::b_frames),
    ];
    all_at_once(&made, |(file, make)| {
        let path = namespace.path(file);
        make(&path, 30)?;
        same(&path, &[])
    })
}

/// An MP4 of one track with another display matrix: a, b, c and d, in whole numbers.
fn with_matrix(mut mp4: Vec<u8>, matrix: [i32; 4]) -> Result<Vec<u8>> {
    let header = mp4.windows(4).position(|bytes| bytes == b"tkhd").context("no track header")?;
    // Behind the name come version and flags, times, ids, layer and volume: 40 bytes.
    for (value, place) in matrix.into_iter().zip([0, 1, 3, 4]) {
        let at = header + 4 + 40 + place * 4;
        mp4[at..at + 4].copy_from_slice(&(value << 16).to_be_bytes());
    }
    Ok(mp4)
}

/// Turned, mirrored, cut in the container, and made of fields.
#[test]
#[ignore = "needs a puller with ffmpeg's libraries: scripts/test.sh libav"]
fn pictures_of_every_kind_are_shown_as_ffmpeg_shows_them() -> Result<()> {
    let namespace = Namespace::new()?;
    let plain = clip(&namespace, "plain.mp4", &["-c:v", "libx264", "-g", "50", "-bf", "2"])?;
    let mut kinds = Vec::new();
    for degrees in ["90", "180", "270"] {
        let turned = namespace.path(&format!("{degrees}.mp4"));
        let tag = format!("rotate={degrees}");
        run_ffmpeg(&["-i", &plain, "-c", "copy", "-metadata:s:v", &tag, &turned])?;
        kinds.push(turned);
    }
    // Mirrored, which no tag can say: by the container's matrix itself.
    for (file, matrix) in [("mirrored.mp4", [-1, 0, 0, 1]), ("flipped.mp4", [1, 0, 0, -1])] {
        let path = namespace.path(file);
        fs::write(&path, with_matrix(fs::read(&plain)?, matrix)?)?;
        kinds.push(path);
    }
    let trimmed = namespace.path("trimmed.mp4");
    run_ffmpeg(&["-ss", "0.5", "-i", &plain, "-c", "copy", &trimmed])?;
    let fields = ["-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-field_order", "tt"];
    let fields = clip(&namespace, "fields.mpg", &[&["-vf", "setfield=tff"], &fields[..]].concat())?;
    // Another size half-way, as a camera shows that is set anew.
    let [large, small] = [("large.ts", "320x240", "0"), ("small.ts", "160x120", "1")].map(
        |(file, size, offset)| -> Result<Vec<u8>> {
            let options = ["-c:v", "libx264", "-s", size, "-output_ts_offset", offset];
            Ok(fs::read(clip(&namespace, file, &options)?)?)
        },
    );
    let resized = namespace.path("resized.ts");
    fs::write(&resized, [large?, small?].concat())?;
    kinds.extend([trimmed, fields, resized]);
    all_at_once(&kinds, |path| same(path, &[]))
}

#[test]
#[ignore = "needs a puller with ffmpeg's libraries: scripts/test.sh libav"]
fn options_mean_the_same() -> Result<()> {
    let namespace = Namespace::new()?;
    let encoder = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "5"];
    let plain = clip(&namespace, "plain.mp4", &encoder)?;
    let options = [
        &["--pix-fmt", "bgr24"][..],
        &["--pix-fmt", "gray"],
        &["--pix-fmt", "nv12"],
        &["--pix-fmt", "yuv420p"],
        &["--colour", "exact"],
        &["--size", "160x90"],
        &["--fps", "10"],
        &["--fps", "25"],
        &["--fps", "50"],
        &["--realtime", "--on-full", "block"],
        &["--input-arg", "-skip_frame", "--input-arg", "nokey"],
    ];
    all_at_once(&options, |options| same(&plain, options))
}

#[test]
#[ignore = "needs a puller with ffmpeg's libraries: scripts/test.sh libav"]
fn sound_is_the_same() -> Result<()> {
    let namespace = Namespace::new()?;
    all_at_once(&["a.mp4", "a.flv", "a.ts"], |file| {
        let path = namespace.path(file);
        clips::with_audio(&path, 50)?;
        let heard_by = |decoder: &str| {
            let (namespace, out) =
                (Namespace::new()?, namespace.path(&format!("{decoder}-{file}")));
            let chain = Chain::new(&namespace, &path, &out).puller_args(&["--decoder", decoder]);
            chain.start(1)?.expect_success()?;
            audio_hashes(&out)
        };
        let (process, libraries) = (heard_by("ffmpeg")?, heard_by("libav")?);
        // The process leaves out a first packet that it finds to begin too early.
        let more = libraries.len().checked_sub(process.len());
        ensure!(process.len() > 50 && matches!(more, Some(0 | 1)), "{file}: {libraries:?}");
        for (one, other) in process.iter().rev().zip(libraries.iter().rev()) {
            // Times go through clocks of different ticks.
            ensure!((one.pts_us - other.pts_us).abs() <= 1000, "{file}: {one:?} {other:?}");
            ensure!(one.md5 == other.md5, "{file}: {one:?} {other:?}");
        }
        Ok(())
    })
}

/// Only the program ffmpeg knows them; a live input is not tried again and again with them.
#[test]
#[ignore = "needs a puller with ffmpeg's libraries: scripts/test.sh libav"]
fn options_of_the_program_are_refused() -> Result<()> {
    let namespace = Namespace::new()?;
    let path = clip(&namespace, "plain.mp4", &["-c:v", "mpeg4"])?;
    for (args, complaint) in [
        (&["-hwaccel", "auto"][..], "hwaccel"),
        (&["-re"], "-re: ffmpeg's libraries take options with a value"),
        (&["-f", "nothing"], "Unknown input format: 'nothing'"),
    ] {
        let puller = namespace.command("puller").args(["--decoder", "libav", "--input", &path]);
        let args = args.iter().map(|arg| format!("--input-arg={arg}"));
        let finished = puller.args(["--ring", "cam.in"]).args(args).run()?;
        ensure!(finished.code == Some(INPUT), "{finished:?}");
        ensure!(finished.stderr.contains(complaint), "{}", finished.stderr);
    }
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}
