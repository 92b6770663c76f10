//! Rule: colours come out as they went in, whatever matrix and range the source has, and the output
//! says which it has itself. Patches of known colours go through all stages; both what a model sees
//! and what a viewer sees is compared with them.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::tools::{run, run_ffmpeg};
use e2e::{Chain, Namespace};

/// Red, green and blue of each patch, of 255: corners of the cube, grays, and what cameras see.
const PATCHES: [[u8; 3]; 16] = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [0, 255, 255],
    [255, 0, 255],
    [255, 255, 0],
    [0, 0, 0],
    [255, 255, 255],
    [128, 128, 128],
    [32, 32, 32],
    [224, 224, 224],
    [233, 185, 160],
    [110, 76, 58],
    [76, 128, 60],
    [60, 100, 180],
    [200, 90, 30],
];
/// The side of a patch, in pixels.
const SIDE: usize = 32;
const COLUMNS: usize = 4;
const WIDTH: usize = SIDE * COLUMNS;
const HEIGHT: usize = SIDE * PATCHES.len() / COLUMNS;

/// How a source says its colours are coded.
#[derive(Clone, Copy, Debug)]
struct Coding {
    /// ffmpeg's name of the matrix.
    matrix: &'static str,
    primaries: &'static str,
    transfer: &'static str,
    /// `tv` for limited, `pc` for full.
    range: &'static str,
}

const CODINGS: [Coding; 4] = [
    Coding { matrix: "smpte170m", primaries: "smpte170m", transfer: "smpte170m", range: "tv" },
    Coding { matrix: "smpte170m", primaries: "smpte170m", transfer: "smpte170m", range: "pc" },
    Coding { matrix: "bt709", primaries: "bt709", transfer: "bt709", range: "tv" },
    Coding { matrix: "bt709", primaries: "bt709", transfer: "bt709", range: "pc" },
];

/// The patches as a picture, rgb24.
fn picture() -> Vec<u8> {
    let mut picture = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            picture.extend(PATCHES[y / SIDE * COLUMNS + x / SIDE]);
        }
    }
    picture
}

/// The colour in the middle of each patch.
fn patches_of(picture: &[u8]) -> Vec<[u8; 3]> {
    (0..PATCHES.len())
        .map(|index| {
            let (x, y) = (index % COLUMNS * SIDE + SIDE / 2, index / COLUMNS * SIDE + SIDE / 2);
            let at = (y * WIDTH + x) * 3;
            [picture[at], picture[at + 1], picture[at + 2]]
        })
        .collect()
}

/// By how much the worst patch is off, in any channel.
fn worst(picture: &[u8]) -> u8 {
    let pairs = patches_of(picture).into_iter().zip(PATCHES);
    pairs.flat_map(|(got, wanted)| [0, 1, 2].map(|c| got[c].abs_diff(wanted[c]))).max().unwrap_or(0)
}

/// Writes some frames of the patches, lossless but for the conversion, tagged as `coding` says.
fn clip(namespace: &Namespace, path: &str, coding: Coding) -> Result<()> {
    let raw = namespace.path("patches.rgb");
    fs::write(&raw, picture().repeat(3))?;
    let Coding { matrix, primaries, transfer, range } = coding;
    let size = format!("{WIDTH}x{HEIGHT}");
    let filter = format!(
        "scale=in_range=pc:out_color_matrix={matrix}:out_range={range}:\
         flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=yuv420p"
    );
    let input = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", "25", "-i", &raw];
    let tags = ["-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer];
    let rest = ["-color_range", range, "-c:v", "libx264", "-qp", "0", path];
    run_ffmpeg(&[input.as_slice(), &["-vf", &filter], &tags, &rest].concat()).map(drop)
}

/// The first frame of a file as rgb24, decoded as a player does that heeds the tags.
fn decoded(namespace: &Namespace, path: &str, matrix: &str, range: &str) -> Result<Vec<u8>> {
    let raw = namespace.path("decoded.rgb");
    let filter = format!(
        "scale=in_color_matrix={matrix}:in_range={range}:out_range=pc:\
         flags=accurate_rnd+full_chroma_int,format=rgb24"
    );
    run_ffmpeg(&["-i", path, "-vf", &filter, "-frames:v", "1", "-f", "rawvideo", &raw])?;
    fs::read(&raw).context("cannot read what was decoded")
}

/// Matrix, range, primaries and transfer of a file, as ffprobe names them.
fn tags(path: &str) -> Result<Vec<String>> {
    let mut probe = Command::new("ffprobe");
    let entries = "stream=color_range,color_space,color_transfer,color_primaries";
    probe.args(["-v", "error", "-select_streams", "v:0", "-of", "default=nk=1:nw=1"]);
    let text = run(probe.args(["-show_entries", entries, path]))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// How the stages convert: by which mode, into which format, and with how large an error at most.
#[derive(Clone, Copy, Debug)]
struct Way {
    mode: &'static str,
    format: &'static str,
    limit: u8,
}

impl Way {
    /// Sends a clip through a worker into a file, without loss but for the conversions.
    fn send(self, namespace: &Namespace, clip: &str, out: &str, codec: &[&str]) -> Result<()> {
        let chain = Chain::new(namespace, clip, out)
            .puller_args(&["--colour", self.mode, "--pix-fmt", self.format])
            .pusher_args(&["--colour", self.mode])
            .pusher_args(codec);
        chain.start(1)?.expect_success()
    }

    /// The matrix and the range that a model takes the frames for.
    fn seen_as(self, coding: Coding) -> (&'static str, &'static str) {
        if self.format.starts_with("yuv") { (coding.matrix, "tv") } else { ("auto", "pc") }
    }
}

/// Sends a clip of the patches through, and checks what a model sees and what a viewer sees.
fn check(way: Way, coding: Coding, namespace: &Namespace, clip: &str) -> Result<()> {
    let seen = namespace.path("seen.nut");
    way.send(namespace, clip, &seen, &["--codec", "rawvideo"])?;
    let (matrix, range) = way.seen_as(coding);
    let model = worst(&decoded(namespace, &seen, matrix, range)?);
    ensure!(model <= way.limit, "{way:?} {coding:?}: a model sees an error of {model}");

    let out = namespace.path("out.mkv");
    way.send(namespace, clip, &out, &["--output-arg", "-qp", "--output-arg", "0"])?;
    let Coding { matrix, primaries, transfer, .. } = coding;
    ensure!(tags(&out)? == ["tv", matrix, transfer, primaries], "{:?}", tags(&out)?);
    let viewer = worst(&decoded(namespace, &out, matrix, "tv")?);
    ensure!(viewer <= way.limit, "{way:?} {coding:?}: a viewer sees an error of {viewer}");
    Ok(())
}

/// Checks every way with sources that are coded so.
fn check_all(coding: Coding) -> Result<()> {
    let namespace = Namespace::new()?;
    let clip_path = namespace.path("clip.mkv");
    clip(&namespace, &clip_path, coding)?;
    for way in [
        Way { mode: "exact", format: "rgb24", limit: 2 },
        Way { mode: "fast", format: "rgb24", limit: 4 },
        Way { mode: "fast", format: "bgr24", limit: 4 },
        Way { mode: "fast", format: "yuv420p", limit: 4 },
    ] {
        check(way, coding, &namespace, &clip_path)?;
    }
    Ok(())
}

#[test]
fn patches_come_out_as_they_went_in() -> Result<()> {
    let threads = CODINGS.map(|coding| thread::spawn(move || check_all(coding)));
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a thread panicked"))??;
    }
    Ok(())
}

/// The measure sees what it is there for: a wrong matrix and a wrong range are far off.
#[test]
fn wrong_tags_would_be_noticed() -> Result<()> {
    let namespace = Namespace::new()?;
    let path = namespace.path("clip.mkv");
    clip(&namespace, &path, CODINGS[2])?;
    ensure!(worst(&decoded(&namespace, &path, "bt709", "tv")?) <= 2);
    ensure!(worst(&decoded(&namespace, &path, "smpte170m", "tv")?) > 20);
    ensure!(worst(&decoded(&namespace, &path, "bt709", "pc")?) > 10);
    Ok(())
}
