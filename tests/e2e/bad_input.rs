//! Rule: what can't work ends with one clear line and its documented exit status, and leaves
//! nothing behind. Here: the input, the output, ffmpeg, and the command line.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::tools::{run, run_ffmpeg};
use e2e::{Chain, Finished, Namespace, StageCommand, clips, frame_hashes, ports, wait_until};

/// The documented exit statuses.
pub(crate) const USAGE: i32 = 2;
pub(crate) const INPUT: i32 = 3;
const OUTPUT: i32 = 4;
const NO_FFMPEG: i32 = 5;

/// Checks how a stage ended: its status, one line that has all of `words`, no panic.
pub(crate) fn fails(command: &StageCommand, status: i32, words: &[&str]) -> Result<()> {
    let Finished { code, stderr, .. } = command.run()?;
    ensure!(code == Some(status), "status {code:?} instead of {status}: {stderr}");
    let has_words = |line: &str| words.iter().all(|word| line.contains(word));
    ensure!(stderr.lines().any(has_words), "no line has {words:?}: {stderr}");
    ensure!(!stderr.contains("panicked"), "{stderr}");
    Ok(())
}

fn puller(namespace: &Namespace, input: &str) -> StageCommand {
    namespace.command("puller").args(["--input", input, "--ring", "cam.in"])
}

/// Checks that a puller fails with this input and makes no ring.
fn input_fails(input: &str, extra: &[&str], words: &[&str]) -> Result<()> {
    let namespace = Namespace::new()?;
    fails(&puller(&namespace, input).args(extra), INPUT, words)?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

/// A folder with an executable script called `ffmpeg`, and the real ffprobe beside it.
fn fake_ffmpeg(namespace: &Namespace, script: &str) -> Result<String> {
    let folder = namespace.folder().join("fake");
    fs::create_dir(&folder)?;
    let path = folder.join("ffmpeg");
    fs::write(&path, format!("#!/bin/bash\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    symlink(real("ffprobe")?, folder.join("ffprobe"))?;
    Ok(path.to_string_lossy().into_owned())
}

fn real(program: &str) -> Result<String> {
    let path = run(Command::new("sh").args(["-c", &format!("command -v {program}")]))?;
    Ok(path.trim().to_owned())
}

#[test]
fn a_file_that_is_not_there() -> Result<()> {
    input_fails("/nowhere/clip.mp4", &[], &["/nowhere/clip.mp4"])
}

#[test]
fn another_input_takes_the_place_of_one_that_is_not_there() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::constant_rate(&clip, 20)?;
    let chain = Chain::new(&namespace, "/nonexistent/clip.mp4", &out)
        .puller_args(&["--input", &clip])
        .pusher_args(&["--codec", "rawvideo"]);
    chain.start(1)?.expect_success()?;
    let frames = frame_hashes(&out, "gray")?.len();
    ensure!(frames == 20, "{frames} frames");
    let neither = puller(&namespace, "/nonexistent/a.mp4").args(["--input", "/nonexistent/b.mp4"]);
    fails(&neither, INPUT, &["can't pull /nonexistent/b.mp4"])
}

#[test]
fn a_server_that_is_not_there() -> Result<()> {
    let port = ports::closed()?;
    let url = format!("rtmp://127.0.0.1:{}/live/cam", port.number());
    input_fails(&url, &["--max-retries", "1"], &["127.0.0.1"])
}

#[test]
fn a_file_that_is_no_video() -> Result<()> {
    let folder = Namespace::new()?;
    let path = folder.path("letter.mp4");
    fs::write(&path, "Dear reader,\n".repeat(1000))?;
    input_fails(&path, &[], &["letter.mp4"])
}

#[test]
fn a_file_without_its_index() -> Result<()> {
    let folder = Namespace::new()?;
    let path = folder.path("clip.mp4");
    clips::constant_rate(&path, 30)?;
    clips::cut_short(&path, 50)?;
    input_fails(&path, &[], &["clip.mp4"])
}

/// What is in a file that breaks off in the middle still comes out, and everybody ends.
#[test]
fn a_file_that_breaks_off() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, 40)?;
    clips::cut_short(&clip, 50)?;
    let chain = Chain::new(&namespace, &clip, &out).pusher_args(&["--codec", "rawvideo"]);
    let mut running = chain.start(1)?;
    running.workers[0].expect_success()?;
    running.pusher.expect_success()?;
    let code = running.puller.finish()?.code;
    ensure!(matches!(code, Some(0 | INPUT)), "status {code:?}");
    let frames = frame_hashes(&out, "rgb24")?.len();
    ensure!((1..40).contains(&frames), "{frames} frames");
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn a_secret_in_the_address_is_not_shown() -> Result<()> {
    let (namespace, port) = (Namespace::new()?, ports::closed()?);
    let url = format!("rtmp://me:hunter2@127.0.0.1:{}/live/cam?key=hunter3", port.number());
    let finished = puller(&namespace, &url).args(["--max-retries", "1"]).run()?;
    ensure!(finished.code == Some(INPUT), "{}", finished.stderr);
    let shown = finished.stderr + &finished.stdout;
    ensure!(!shown.contains("hunter2") && !shown.contains("hunter3"), "{shown}");
    Ok(())
}

#[test]
fn no_ffmpeg() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::odd_size(&clip, 5)?;
    let missing = ["--ffmpeg", "/nowhere/ffmpeg"];
    let process = ["--decoder", "ffmpeg"];
    fails(&puller(&namespace, &clip).args(process).args(missing), NO_FFMPEG, &["/nowhere/ffmpeg"])?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    // The pusher gets a ring with frames, in case it looks at that first.
    let _puller = puller(&namespace, &clip).start()?;
    let pusher =
        namespace.command("pusher").args(["--ring", "cam.in", "--output", "out.flv"]).args(missing);
    fails(&pusher, NO_FFMPEG, &["/nowhere/ffmpeg"])
}

#[test]
fn an_ffmpeg_that_floods_its_log() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, 20)?;
    let script = format!(
        "yes 'warning: a line that says nothing at all' | head -c 20000000 >&2\nexec {} \"$@\"",
        real("ffmpeg")?
    );
    let fake = fake_ffmpeg(&namespace, &script)?;
    let chain = Chain::new(&namespace, &clip, &out)
        .puller_args(&["--ffmpeg", &fake])
        .pusher_args(&["--codec", "rawvideo", "--ffmpeg", &fake]);
    chain.start(1)?.expect_success()?;
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?);
    Ok(())
}

#[test]
fn an_ffmpeg_that_goes_silent() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, pid_file) = (namespace.path("clip.mkv"), namespace.path("pid"));
    clips::odd_size(&clip, 5)?;
    let script = format!(
        "[[ $* == *-version* ]] && exec {} \"$@\"\necho $$ >{pid_file}\nexec sleep 1000",
        real("ffmpeg")?
    );
    let fake = fake_ffmpeg(&namespace, &script)?;
    let options = ["--ffmpeg", &fake, "--stall-timeout", "3s", "--max-retries", "1"];
    let process = ["--decoder", "ffmpeg"];
    fails(&puller(&namespace, &clip).args(process).args(options), INPUT, &[])?;
    let pid = fs::read_to_string(&pid_file).context("it was never started")?;
    let process = Path::new("/proc").join(pid.trim());
    wait_until("the end of the silent ffmpeg", || !process.exists())?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn an_output_that_is_refused() -> Result<()> {
    let (namespace, port) = (Namespace::new()?, ports::closed()?);
    let clip = namespace.path("clip.mkv");
    clips::odd_size(&clip, 40)?;
    let url = format!("rtmp://127.0.0.1:{}/live/out", port.number());
    let _puller = puller(&namespace, &clip).start()?;
    let pusher = namespace.command("pusher").args(["--ring", "cam.in", "--output", &url]);
    fails(&pusher.args(["--max-retries", "1"]), OUTPUT, &["127.0.0.1"])
}

#[test]
fn an_output_that_is_the_input() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    let source = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", &clip];
    run_ffmpeg(&source)?;
    let before = fs::read(&clip)?;
    let mut chain = Chain::new(&namespace, &clip, &clip);
    chain.worker = chain.worker.args(["--op", "invert"]);
    let running = chain.start(1)?;
    let finished = running.pusher.finish()?;
    ensure!(finished.code == Some(4), "{finished:?}");
    ensure!(finished.stderr.contains("the file that is being read"), "{finished:?}");
    ensure!(fs::read(&clip)? == before, "the input was written over");
    Ok(())
}

#[test]
fn sizes_that_no_ring_can_have() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::odd_size(&clip, 5)?;
    for size in ["0x0", "16385x16385", "640", "640x", "-1x-1", "99999999999999999999x1"] {
        let size = format!("--size={size}");
        fails(&puller(&namespace, &clip).args([size]), USAGE, &["size"])?;
    }
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn options_that_make_no_sense() -> Result<()> {
    let namespace = Namespace::new()?;
    for (program, options) in [
        ("puller", vec!["--ring", "cam.in"]),
        ("puller", vec!["--input", "x.mp4", "--ring", "cam.in", "--pix-fmt", "purple"]),
        ("puller", vec!["--input", "x.mp4", "--ring", "cam.in", "--fps", "0"]),
        ("puller", vec!["--input", "x.mp4", "--ring", "cam.in", "--slots", "0"]),
        ("worker", vec!["--from", "cam.in"]),
        ("worker", vec!["--from", "cam.in", "--to", "cam.out", "--op", "magic"]),
        ("worker", vec!["--from", "cam.in", "--to", "cam.in"]),
        ("pusher", vec!["--ring", "cam.out"]),
        ("pusher", vec!["--ring", "cam.out", "--output", "x.flv", "--max-wait", "soon"]),
    ] {
        fails(&namespace.command(program).args(&options), USAGE, &[])?;
    }
    Ok(())
}
