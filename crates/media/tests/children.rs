//! Rule: no child outlives its stage, blocks it, or tells its secrets.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use framelane_frame::{FrameRate, Geometry, PixelFormat};
use framelane_media::Secrets;
use framelane_media::ffmpeg::{ChildCommand, ChildError, FailureKind, OutputPipe};
use framelane_media::nut::{VideoParameters, WriteError, Writer};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

fn sh(script: &str) -> ChildCommand {
    ChildCommand::new("sh").args(["-c", script])
}

/// Whether a process is there and has not ended.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn wait_until_gone(pid: u32) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < LONG, "process {pid} stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_pid(mut pipe: impl Read) -> u32 {
    let mut text = String::new();
    let mut byte = [0];
    while pipe.read(&mut byte).expect("readable") == 1 && byte[0] != b'\n' {
        text.push(char::from(byte[0]));
    }
    text.parse().expect("a process id")
}

#[test]
fn a_flood_on_stderr_does_not_block_the_child_and_only_its_end_is_kept() {
    let mut child = sh("yes '[error] flood' | head -n 200000 >&2; echo '[error] last' >&2; exit 3")
        .spawn()
        .expect("sh");
    assert_eq!(child.wait_timeout(LONG).expect("reaped").and_then(|s| s.code()), Some(3));
    let failure = child.failure();
    assert!(failure.tail().len() <= 100);
    assert_eq!(failure.telling_line(), Some("last"));
    assert_eq!(failure.kind(), FailureKind::Unknown);
}

#[test]
fn a_child_that_ignores_term_is_killed_with_its_whole_group() {
    let mut child = sh("trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1; done")
        .pipe_stdout()
        .spawn()
        .expect("sh");
    let grandchild = read_pid(child.take_stdout().expect("asked for"));
    assert!(is_alive(grandchild));
    let status = child.stop(SHORT).expect("reaped");
    assert!(!status.success());
    wait_until_gone(grandchild);
}

#[test]
fn a_child_that_heeds_term_ends_by_itself() {
    let mut child = sh("trap 'exit 7' TERM; echo 1; while :; do sleep 0.01; done")
        .pipe_stdout()
        .spawn()
        .expect("sh");
    read_pid(child.take_stdout().expect("asked for"));
    assert_eq!(child.stop(LONG).expect("reaped").code(), Some(7));
    assert_eq!(child.stop(LONG).expect("known").code(), Some(7));
}

#[test]
fn a_stopped_child_is_killed_all_the_same() {
    let mut child = sh("kill -STOP $$").spawn().expect("sh");
    assert!(!child.stop(SHORT).expect("reaped").success());
}

#[test]
fn a_dropped_child_is_gone() {
    let child = ChildCommand::new("sleep").args(["1000"]).spawn().expect("sleep");
    let pid = child.id();
    drop(child);
    assert!(!is_alive(pid));
}

#[test]
fn a_child_dies_with_the_thread_that_started_it() {
    let child =
        std::thread::spawn(|| ChildCommand::new("sleep").args(["1000"]).spawn().expect("sleep"));
    let mut child = child.join().expect("started");
    assert!(child.wait_timeout(LONG).expect("reaped").is_some());
}

#[test]
fn a_grandchild_that_keeps_stderr_open_does_not_hang_the_failure() {
    let mut child = sh("setsid sleep 1000 & echo $!; echo '[error] gone' >&2; sleep 0.1; exit 1")
        .pipe_stdout()
        .spawn()
        .expect("sh");
    let grandchild = read_pid(child.take_stdout().expect("asked for"));
    child.wait_timeout(LONG).expect("reaped").expect("ended");
    let failure = child.failure();
    assert_eq!(failure.telling_line(), Some("gone"));
    // It left the group, so it is for this test to end.
    std::process::Command::new("kill").arg(grandchild.to_string()).status().expect("kill runs");
}

#[test]
fn only_the_child_it_is_for_gets_the_extra_pipe() {
    let pipe = OutputPipe::new().expect("a pipe");
    let fd = pipe.child_fd();
    let bystander = ChildCommand::new("sleep").args(["1000"]).spawn().expect("sleep");
    let mut child = sh(&format!("echo 42 >&{fd}")).output_pipe(pipe).spawn().expect("sh");
    let mut text = String::new();
    // Ends only when nobody else holds the writing end.
    child.take_pipe().expect("asked for").read_to_string(&mut text).expect("readable");
    assert_eq!(text, "42\n");
    drop(bystander);
}

#[test]
fn secrets_are_in_no_line_no_command_and_no_failure() {
    let url = "rtmp://user:hunter2@host/live/key-1234?token=t0ken";
    let mut secrets = Secrets::default();
    secrets.add_output(url);
    let (sender, lines) = std::sync::mpsc::channel();
    let command = sh("echo \"[error] $0: Input/output error; key-1234 t0ken\" >&2; exit 1")
        .args([url, "-headers", "Authorization: Bearer abc", "-passphrase", "xyz123"])
        .secrets(secrets)
        .on_line(move |line| drop(sender.send(line.text.clone())));
    let shown = format!("{command:?}");
    let mut child = command.spawn().expect("sh");
    child.wait_timeout(LONG).expect("reaped");
    let failure = child.failure();
    let heard: String = lines.into_iter().collect();
    for text in [shown, heard, failure.to_string(), failure.report()] {
        for secret in ["hunter2", "key-1234", "t0ken", "Bearer", "xyz123"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(!text.is_empty());
    }
}

#[test]
fn a_missing_program_is_told_apart() {
    let missing = ChildCommand::new("/nonexistent/ffmpeg").spawn().expect_err("missing");
    assert!(matches!(missing, ChildError::NotFound { .. }));
}

#[test]
fn a_child_reads_a_socket_as_its_stdin_and_writes_to_one_as_its_stdout() {
    let mut child = sh("cat").socket_stdin().socket_stdout().spawn().expect("sh");
    let (mut to, mut from) =
        (child.take_stdin().expect("asked for"), child.take_stdout().expect("asked for"));
    let sent = vec![7; 3 << 20];
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || to.write_all(&sent)
    });
    let mut got = Vec::new();
    from.read_to_end(&mut got).expect("readable");
    writer.join().expect("no panic").expect("written");
    assert!(got == sent, "{} bytes came back", got.len());
    assert!(child.wait_timeout(LONG).expect("reaped").is_some_and(|status| status.success()));
}

#[test]
fn a_reader_that_goes_with_bytes_unread_breaks_the_pipe() {
    let parameters = VideoParameters {
        geometry: Geometry::new(640, 360, PixelFormat::Yuv420p).expect("a valid size"),
        sample_aspect: (1, 1),
        frame_rate: FrameRate::new(25, 1).expect("a valid rate"),
    };
    let mut child = sh("head -c 100000 >/dev/null").socket_stdin().spawn().expect("sh");
    let stdin = child.take_stdin().expect("asked for");
    let mut writer = Writer::create(stdin, &parameters, None).expect("the header is written");
    let frame = vec![0; parameters.geometry.payload_bytes()];
    let error = (0..100).find_map(|n| writer.write_video(n * 40_000_000, &frame).err());
    assert!(error.as_ref().is_some_and(WriteError::is_broken_pipe), "{error:?}");
}
