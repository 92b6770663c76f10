//! Reads a child's stderr for as long as it lasts, so that the child never blocks on it.
//!
//! `child.rs` starts one thread per child. Each line is cut to a sane length, redacted, logged by
//! the level that ffmpeg gave it, shown to the caller's hook, and kept in a bounded tail. A
//! grandchild that keeps the pipe open does not keep the thread: it ends soon after it is told to.

use std::collections::VecDeque;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Secrets;

const TAIL_LINES_MAX: usize = 100;
const TAIL_BYTES_MAX: usize = 32 << 10;
const LINE_BYTES_MAX: usize = 2048;
/// More lines than this per second are counted instead of logged.
const LINES_PER_SECOND_MAX: u32 = 20;
/// How often the thread looks whether it should end, while the pipe is silent.
const LOOK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Read at most this much more once the thread was told to end.
const LAST_BYTES_MAX: usize = 256 << 10;

/// How serious ffmpeg finds a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details (`verbose`, `debug`, `trace`).
    Debug,
    /// What ffmpeg does (`info`), and lines without a level.
    Info,
    /// Something is odd (`warning`).
    Warning,
    /// Something failed (`error`, `fatal`, `panic`).
    Error,
}

/// One line of a child's stderr, redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// The line without its level: `[rtmp @ 0x5567] Cannot open connection`.
    pub text: String,
}

impl Line {
    /// Takes apart a line as `-loglevel level+info` makes ffmpeg write it:
    /// `[rtmp @ 0x5567] [error] Cannot open connection`.
    pub fn parse(line: &str) -> Self {
        for (at, _) in line.match_indices('[') {
            let Some((word, rest)) = line[at + 1..].split_once(']') else { break };
            let level = match word {
                "quiet" | "panic" | "fatal" | "error" => Level::Error,
                "warning" => Level::Warning,
                "info" => Level::Info,
                "verbose" | "debug" | "trace" => Level::Debug,
                // Only `[name @ address]` stands before a level.
                _ if word.contains(" @ ") => continue,
                _ => break,
            };
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            return Self { level, text: format!("{}{rest}", &line[..at]) };
        }
        Self { level: Level::Info, text: line.to_owned() }
    }
}

/// What a caller wants to do with each line.
pub(super) type Hook = Box<dyn FnMut(&Line) + Send>;

/// The last lines of a child, within limits.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, line: Line) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > TAIL_LINES_MAX || self.bytes > TAIL_BYTES_MAX {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.text.len();
        }
    }
}

/// The thread that reads a child's stderr.
#[derive(Debug)]
pub(super) struct Drain {
    tail: Arc<Mutex<Tail>>,
    stop: Arc<AtomicBool>,
    /// Nothing is ever sent: it disconnects when the thread ends.
    ended: Mutex<Receiver<()>>,
}

impl Drain {
    /// Starts the thread. `name` is the program's, for the log, and lines from the level `logged` on
    /// are in it.
    pub(super) fn start(
        input: impl Read + AsFd + Send + 'static,
        name: String,
        secrets: Secrets,
        hook: Option<Hook>,
        logged: Level,
    ) -> std::io::Result<Self> {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (alive, ended) = sync_channel(0);
        let lines = Lines {
            tail: Arc::clone(&tail),
            name,
            secrets,
            hook,
            logged,
            throttle: Throttle::new(),
        };
        let stop_seen = Arc::clone(&stop);
        thread::Builder::new().name("stderr".to_owned()).spawn(move || {
            drain(input, lines, &stop_seen);
            drop(alive);
        })?;
        Ok(Self { tail, stop, ended: Mutex::new(ended) })
    }

    /// Waits until everything was read, at most `timeout`; then tells the thread to end.
    pub(super) fn finish(&self, timeout: Duration) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The last lines, oldest first.
    pub(super) fn tail(&self) -> Vec<Line> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.lines.iter().cloned().collect()
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The thread's body: reads until the end, an error, or `stop`.
fn drain(mut input: impl Read + AsFd, mut lines: Lines, stop: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    let mut line = Vec::new();
    let mut bytes_after_stop = 0;
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let mut fds = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut fds, Some(&LOOK_INTERVAL)) {
            Ok(0) if stopping => break,
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => break,
        }
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for byte in &buffer[..count] {
            match byte {
                b'\n' | b'\r' => lines.take(&mut line),
                _ if line.len() < LINE_BYTES_MAX => line.push(*byte),
                _ => {} // the rest of a line that is too long
            }
        }
        if stopping {
            bytes_after_stop += count;
            if bytes_after_stop > LAST_BYTES_MAX {
                break;
            }
        }
    }
    lines.take(&mut line);
    lines.throttle.report(&lines.name);
}

/// Warnings that come with every good file, too.
fn is_harmless(line: &Line) -> bool {
    line.text.contains("codec frame size is not set")
}

/// Where lines go.
struct Lines {
    tail: Arc<Mutex<Tail>>,
    name: String,
    secrets: Secrets,
    hook: Option<Hook>,
    /// Where the log begins: what is below goes to its debug level.
    logged: Level,
    throttle: Throttle,
}

impl Lines {
    /// Handles one line, and empties it.
    fn take(&mut self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            line.clear();
            return;
        }
        let parsed = Line::parse(&self.secrets.redact(&text));
        line.clear();
        if parsed.level < self.logged || is_harmless(&parsed) {
            tracing::debug!(program = %self.name, "{}", parsed.text);
        } else if !self.throttle.admits(&self.name) {
            // It is told how many there were.
        } else if parsed.level < Level::Warning {
            tracing::info!(program = %self.name, "{}", parsed.text);
        } else {
            tracing::warn!(program = %self.name, "{}", parsed.text);
        }
        if let Some(hook) = &mut self.hook {
            hook(&parsed);
        }
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).push(parsed);
    }
}

/// Keeps a child that floods stderr from flooding the log.
struct Throttle {
    since: Instant,
    logged: u32,
    suppressed: u64,
}

impl Throttle {
    fn new() -> Self {
        Self { since: Instant::now(), logged: 0, suppressed: 0 }
    }

    /// Whether one more line may be logged now.
    fn admits(&mut self, name: &str) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            self.report(name);
            *self = Self::new();
        }
        if self.logged < LINES_PER_SECOND_MAX {
            self.logged += 1;
            true
        } else {
            self.suppressed += 1;
            false
        }
    }

    /// Says how many lines were left out.
    fn report(&self, name: &str) {
        if self.suppressed > 0 {
            tracing::warn!(program = %name, lines = self.suppressed, "more lines were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_after_the_module_and_taken_out() {
        for (line, level, text) in [
            ("[error] x: no", Level::Error, "x: no"),
            ("[rtmp @ 0x55] [warning] odd", Level::Warning, "[rtmp @ 0x55] odd"),
            ("[info]   Stream #0:0: Video", Level::Info, "  Stream #0:0: Video"),
            ("[debug] d", Level::Debug, "d"),
            ("plain [error] text", Level::Error, "plain text"),
            ("[abc] [error] x", Level::Info, "[abc] [error] x"),
            ("[", Level::Info, "["),
        ] {
            assert_eq!(Line::parse(line), Line { level, text: text.to_owned() });
        }
    }

    #[test]
    fn the_tail_keeps_the_last_lines_within_its_limits() {
        let mut tail = Tail::default();
        for number in 0..500 {
            tail.push(Line { level: Level::Info, text: format!("{number:01000}") });
        }
        assert!(tail.bytes <= TAIL_BYTES_MAX);
        assert_eq!(tail.lines.back().map(|line| line.text.ends_with("499")), Some(true));
    }
}
