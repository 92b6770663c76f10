//! Rule: any program that reads frames on stdin and writes them on stdout is a worker, and one
//! that fails costs no frame.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use e2e::{Chain, Namespace, StageCommand, clips, frame_hashes};

const RAW: [&str; 2] = ["--codec", "rawvideo"];
const FRAMES: u32 = 30;
const PROGRAM_FAILED: i32 = 10;

fn clip(namespace: &Namespace) -> Result<String> {
    let clip = namespace.path("clip.mkv");
    clips::constant_rate(&clip, FRAMES)?;
    Ok(clip)
}

/// A program in Python, as a file that can be run.
fn program(namespace: &Namespace, name: &str, text: &str) -> Result<String> {
    let path = namespace.path(name);
    fs::write(&path, format!("#!/usr/bin/env python3\nimport os, sys\n{text}"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// What comes out of two workers that run `command`, as hashes.
fn through(namespace: &Namespace, clip: &str, options: &[&str]) -> Result<Vec<e2e::FrameHash>> {
    let out = namespace.path("out.nut");
    let chain = Chain::new(namespace, clip, &out).worker_args(options).pusher_args(&RAW);
    chain.start(2)?.expect_success()?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    frame_hashes(&out, "rgb24")
}

/// Runs a worker whose program fails, and returns what it said.
fn fails(worker: &StageCommand) -> Result<String> {
    let mut worker = worker.start()?;
    let status = worker.wait_exit()?;
    ensure!(status.code() == Some(PROGRAM_FAILED), "{status}: {}", worker.log());
    Ok(worker.log())
}

#[test]
fn cat_is_the_identity_in_every_framing() -> Result<()> {
    for framing in ["raw", "lines", "each"] {
        let namespace = Namespace::new()?;
        let clip = clip(&namespace)?;
        let got = through(&namespace, &clip, &["--framing", framing, "--exec", "--", "cat"])?;
        ensure!(got == frame_hashes(&clip, "rgb24")?, "--framing {framing} changed something");
    }
    Ok(())
}

#[test]
fn a_program_that_inverts_equals_the_built_in_operation() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = clip(&namespace)?;
    let invert = program(
        &namespace,
        "invert",
        "size = int(os.environ['FRAMELANE_FRAME_BYTES'])\n\
         assert size == int(os.environ['FRAMELANE_WIDTH']) * int(os.environ['FRAMELANE_HEIGHT']) * 3\n\
         assert os.environ['FRAMELANE_PIX_FMT'] == 'rgb24'\n\
         table = bytes(255 - value for value in range(256))\n\
         while frame := sys.stdin.buffer.read(size):\n\
         \x20   sys.stdout.buffer.write(frame.translate(table))\n\
         \x20   sys.stdout.buffer.flush()\n",
    )?;
    let by_program = through(&namespace, &clip, &["--exec", "--", &invert])?;
    let built_in = through(&namespace, &clip, &["--op", "invert"])?;
    ensure!(by_program == built_in && by_program.len() == FRAMES as usize);
    Ok(())
}

#[test]
fn the_line_before_a_frame_tells_its_seq_and_time() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = clip(&namespace)?;
    let log = namespace.path("lines");
    let copy = program(
        &namespace,
        "copy",
        "while line := sys.stdin.buffer.readline():\n\
         \x20   size = int(line.split(b'bytes=')[1])\n\
         \x20   frame = sys.stdin.buffer.read(size)\n\
         \x20   open(sys.argv[1], 'ab').write(line)\n\
         \x20   sys.stdout.buffer.write(line + frame)\n\
         \x20   sys.stdout.buffer.flush()\n",
    )?;
    through(&namespace, &clip, &["--framing", "lines", "--exec", "--", &copy, &log])?;
    let log = fs::read_to_string(&log)?;
    let mut seqs: Vec<u32> = log
        .lines()
        .filter_map(|line| line.strip_prefix("FRAMELANE seq=")?.split(' ').next()?.parse().ok())
        .collect();
    seqs.sort_unstable();
    ensure!(seqs.into_iter().eq(0..FRAMES), "{log}");
    ensure!(log.lines().all(|line| line.contains(" pts_ns=") && line.contains(" width=")));
    Ok(())
}

#[test]
fn a_program_that_dies_gives_its_frame_to_another_worker() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = clip(&namespace)?;
    let out = namespace.path("out.nut");
    let short = program(
        &namespace,
        "short",
        "sys.stdout.buffer.write(sys.stdin.buffer.read(100))\nsys.exit('out of memory, say')\n",
    )?;
    let chain = Chain::new(&namespace, &clip, &out).pusher_args(&RAW);
    let failing = chain.worker.clone().args(["--exec", "--", &short]);
    let mut puller = chain.puller.start()?;
    let mut pusher = chain.pusher.start()?;
    let said = fails(&failing)?;
    ensure!(said.contains("processing frame 0 failed"), "{said}");
    ensure!(said.contains("wrote 100 of the frame's") && said.contains("out of memory"), "{said}");
    ensure!(said.contains(" INFO out of memory, say"), "its stderr is in the log: {said}");
    chain.worker.start()?.expect_success()?;
    puller.expect_success()?;
    pusher.expect_success()?;
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?);
    Ok(())
}

#[test]
fn a_program_that_is_not_there_or_answers_nonsense_is_named() -> Result<()> {
    for (command, framing, wanted) in [
        ("no-such-program-anywhere", "raw", "no-such-program-anywhere"),
        ("yes", "lines", "where 'FRAMELANE seq=0"),
        ("true", "each", "wrote 0 of"),
        ("yes", "raw", "wrote more than a frame"),
    ] {
        let namespace = Namespace::new()?;
        let clip = clip(&namespace)?;
        let chain = Chain::new(&namespace, &clip, &namespace.path("out.nut")).pusher_args(&RAW);
        let mut stages = chain.start(0)?;
        let failing = chain.worker.clone().args(["--framing", framing, "--exec", "--", command]);
        let said = fails(&failing)?;
        ensure!(said.contains(wanted), "{command}: {said}");
        chain.worker.start()?.expect_success()?;
        stages.expect_success()?;
    }
    Ok(())
}
