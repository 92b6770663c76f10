//! Runs a short-lived child to its end and keeps what it wrote to stdout: for `ffmpeg -version`
//! and ffprobe. Output and time are bounded, so a program that is silent or endless can't hang or
//! fill a stage.

use std::fs::File;
use std::io::Read;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::child::{Child, ChildCommand, ChildError};

/// What came of a run.
#[derive(Debug)]
pub(super) struct Captured {
    /// The bytes of stdout, cut at the limit.
    pub(super) stdout: Vec<u8>,
    /// `None` when the time was up.
    pub(super) status: Option<ExitStatus>,
    /// The ended child, for its failure.
    pub(super) child: Child,
}

/// Runs `command` for at most `timeout`, keeping at most `bytes_max` of its stdout.
pub(super) fn capture(
    command: ChildCommand,
    timeout: Duration,
    bytes_max: usize,
) -> Result<Captured, ChildError> {
    let start = Instant::now();
    let mut child = command.pipe_stdout().spawn()?;
    let mut stdout = Vec::new();
    if let Some(pipe) = child.take_stdout() {
        read_until(pipe, start, timeout, bytes_max, &mut stdout);
    }
    let left = timeout.saturating_sub(start.elapsed());
    let status = child.wait_timeout(left).unwrap_or_default();
    if status.is_none() {
        let _ = child.kill();
    }
    Ok(Captured { stdout, status, child })
}

/// Reads to the end, an error, the limit or the deadline, and closes the pipe.
fn read_until(
    mut pipe: File,
    start: Instant,
    timeout: Duration,
    bytes_max: usize,
    out: &mut Vec<u8>,
) {
    let mut buffer = [0; 16 << 10];
    while out.len() < bytes_max {
        let left = timeout.saturating_sub(start.elapsed());
        let Ok(wait) = Timespec::try_from(left) else { return };
        let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match pipe.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(count) => out.extend_from_slice(&buffer[..count]),
        }
    }
    out.truncate(bytes_max);
}
