//! Plays a live stream and notes which numbered frames come, and when.
//!
//! It stays on the stream like a patient viewer: when the server ends the connection, because the
//! publisher or the server itself is gone, it connects again. Each connection is a session. A
//! server that keeps the last group of pictures may show some again to a new session, so order is
//! a promise within one.

use std::io::Read;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::barcode;
use crate::process::Process;
use crate::tools::{ffmpeg, keep_every_frame};
use crate::wait::wait_until;

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// A frame that came out.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The number in the picture; none when it could not be read.
    pub number: Option<u32>,
    /// When it came.
    pub at: Instant,
    /// Which connection it came over, counted from 0.
    pub session: u32,
}

/// What the frames of a stream add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Frames that came.
    pub count: u32,
    /// The lowest number.
    pub first: u32,
    /// The highest number.
    pub last: u32,
    /// Numbers in between that never came.
    pub missing: u32,
}

/// A viewer of a stream. Dropping it ends it.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    width: usize,
    rows: usize,
    stop: AtomicBool,
    player: Mutex<Option<Process>>,
    seen: Mutex<Vec<Seen>>,
    /// Connections tried.
    sessions: AtomicU32,
}

impl Watcher {
    /// Starts to watch a stream, or a file, of pictures of this size.
    pub fn start(url: &str, width: usize, height: usize) -> Self {
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            width,
            rows: barcode::rows(height),
            stop: AtomicBool::new(false),
            player: Mutex::default(),
            seen: Mutex::default(),
            sessions: AtomicU32::new(0),
        });
        let thread = thread::spawn({
            let shared = shared.clone();
            move || shared.watch()
        });
        Self { shared, thread: Some(thread) }
    }

    /// The frames that have come so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The highest number that has come so far.
    pub fn last(&self) -> Option<u32> {
        lock(&self.shared.seen).iter().filter_map(|seen| seen.number).max()
    }

    /// Waits until `count` frames have come.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_count(&self, count: usize) -> Result<()> {
        wait_until(&format!("{count} frames of {}", self.shared.url), || {
            lock(&self.shared.seen).len() >= count
        })
        .with_context(|| self.progress())
    }

    /// Waits until a frame with a number above `number` has come.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_past(&self, number: u32) -> Result<()> {
        wait_until(&format!("frame {number} of {}", self.shared.url), || {
            self.last().is_some_and(|last| last > number)
        })
        .with_context(|| self.progress())
    }

    /// What a message says of a viewer who waits in vain.
    fn progress(&self) -> String {
        let seen = lock(&self.shared.seen);
        let sessions = self.shared.sessions.load(Ordering::Relaxed);
        let age = seen.last().map(|frame| frame.at.elapsed());
        format!("{} frames over {sessions} connections, the last {age:?} ago", seen.len())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Ends the read that the thread waits in, and if it was about to start a player, then the
        // thread sees the flag before it does.
        lock(&self.shared.player).take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn watch(&self) {
        for session in 0.. {
            let Some(pipe) = self.play() else { return };
            self.sessions.store(session + 1, Ordering::Relaxed);
            self.note(pipe, session);
            thread::sleep(PAUSE);
        }
    }

    /// Starts a player; none when it is time to stop.
    fn play(&self) -> Option<ChildStdout> {
        let mut player = lock(&self.player);
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let mut process =
            Process::start(self.command().stdout(Stdio::piped()), "the player").ok()?;
        let pipe = process.child().stdout.take();
        *player = Some(process);
        pipe
    }

    fn command(&self) -> Command {
        let filter = format!("crop=iw:{}:0:0,format=gray", self.rows);
        let mut command = ffmpeg();
        // A server may keep a viewer of a dead stream for ever. No guess at the frame rate: it
        // would cost seconds before the first frame.
        if self.url.contains("://") {
            command.args(["-rw_timeout", "15000000"]);
        }
        command.args([
            "-analyzeduration",
            "1000000",
            "-fpsprobesize",
            "0",
            "-threads",
            "1",
            "-i",
            &self.url,
            "-an",
        ]);
        command.args(["-vf", &filter]).args(keep_every_frame());
        command.args(["-threads", "1", "-f", "rawvideo", "pipe:1"]);
        command.stdin(Stdio::null());
        command
    }

    fn note(&self, mut pipe: ChildStdout, session: u32) {
        let mut strip = vec![0; self.width * self.rows];
        while pipe.read_exact(&mut strip).is_ok() {
            let number = barcode::read(&strip, self.width);
            lock(&self.seen).push(Seen { number, at: Instant::now(), session });
        }
    }
}

/// Checks that within each session the numbers rise, none twice, all of them readable, and adds
/// them up over all sessions.
///
/// # Errors
/// When a frame can't be read, comes twice, or comes after a later one.
pub fn order_of(seen: &[Seen]) -> Result<Order> {
    let mut order = Order { first: u32::MAX, ..Order::default() };
    let mut before: Option<(u32, u32)> = None;
    let mut numbers = Vec::new();
    for (index, frame) in seen.iter().enumerate() {
        let Some(number) = frame.number else {
            bail!("frame {index} of {} can't be read (the one before: {before:?})", seen.len());
        };
        if let Some((session, last)) = before
            && session == frame.session
            && last >= number
        {
            bail!("frame {number} came after frame {last}, in session {session}");
        }
        before = Some((frame.session, number));
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    order.count = u32::try_from(numbers.len())?;
    if let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) {
        (order.first, order.last) = (first, last);
        order.missing = last - first + 1 - order.count;
    }
    Ok(order)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(numbers: &[(u32, u32)]) -> Vec<Seen> {
        let at = Instant::now();
        numbers
            .iter()
            .map(|&(session, number)| Seen { number: Some(number), at, session })
            .collect()
    }

    #[test]
    fn gaps_are_counted_and_repeats_refused() {
        let order = order_of(&frames(&[(0, 3), (0, 4), (0, 7), (1, 7), (1, 9)])).expect("in order");
        assert_eq!(order, Order { count: 4, first: 3, last: 9, missing: 3 });
        assert!(order_of(&frames(&[(0, 3), (0, 3)])).is_err());
        assert!(order_of(&frames(&[(0, 3), (0, 2)])).is_err());
    }
}
