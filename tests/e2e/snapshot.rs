//! Rule: `framelane snapshot` writes the newest frame of a ring as a PNG, and the same frame of
//! another ring beside it, while the stages go on.

use std::fs;

use anyhow::{Result, ensure};
use e2e::chain::{RING_IN, RING_OUT};
use e2e::tools::run_ffmpeg;
use e2e::{Chain, Namespace, wait_until};

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

#[test]
fn a_frame_stands_beside_what_the_worker_made_of_it() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mp4"), namespace.path("out.mp4"));
    let source = format!("testsrc2=s={WIDTH}x{HEIGHT}:r=25:d=60");
    run_ffmpeg(&["-f", "lavfi", "-i", &source, "-preset", "ultrafast", &clip])?;
    let chain = Chain::new(&namespace, &clip, &out)
        .puller_args(&["--realtime"])
        .worker_args(&["--op", "invert"]);
    let mut running = chain.start(1)?;
    wait_until("the worker's ring", || namespace.segment(RING_OUT).exists())?;

    let picture = namespace.path("both.png");
    let take = ["snapshot", RING_OUT, &picture, "--beside", RING_IN];
    let taken = namespace.command("framelane").args(take).run()?;
    ensure!(taken.code == Some(0), "{}", taken.stderr);

    let raw = namespace.path("both.rgb");
    run_ffmpeg(&["-i", &picture, "-pix_fmt", "rgb24", "-f", "rawvideo", &raw])?;
    let bytes = fs::read(&raw)?;
    ensure!(bytes.len() == 2 * WIDTH * HEIGHT * 3, "{} bytes", bytes.len());
    for row in bytes.chunks_exact(2 * WIDTH * 3) {
        let (frame, output) = row.split_at(WIDTH * 3);
        let negative = frame.iter().map(|sample| u8::MAX - sample);
        ensure!(output.iter().copied().eq(negative), "{frame:?} has become {output:?}");
    }
    ensure!(bytes.iter().any(|sample| *sample != bytes[0]), "the picture is empty");

    let other = namespace.path("both.jpg");
    let refused = namespace.command("framelane").args(["snapshot", RING_OUT, &other]).run()?;
    ensure!(refused.code == Some(2), "{:?}", refused.code);
    ensure!(refused.stderr.contains("give it the extension .png"), "{}", refused.stderr);
    running.stop()
}
