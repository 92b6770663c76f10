//! What ffmpeg's libraries say, read like a child's stderr.

#![expect(unsafe_code, reason = "ffmpeg's libraries are C")]
// UNSAFETY: the libraries are told a descriptor that is open until they are told another.

use std::io::{self, PipeWriter};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::sys;
use crate::Secrets;
use crate::ffmpeg::stderr::{Drain, Level, Line};

const NOWHERE: RawFd = -1;

/// How long the last lines may take through a pipe that is closed.
const ENDING_TAKES: Duration = Duration::from_secs(1);

/// Where the libraries write to: they have one log in a process, and the newest input gets it.
static TARGET: Mutex<RawFd> = Mutex::new(NOWHERE);

/// The log of one input.
#[derive(Debug)]
pub(super) struct Log {
    writer: Option<PipeWriter>,
    drain: Drain,
}

impl Log {
    /// Takes over the log.
    pub(super) fn start(secrets: &Secrets) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // Nothing waits for a log: what finds no room is lost.
        fcntl_setfl(&writer, fcntl_getfl(&writer)? | OFlags::NONBLOCK)?;
        let drain =
            Drain::start(reader, "libav".to_owned(), secrets.clone(), None, Level::Warning)?;
        let mut target = TARGET.lock().unwrap_or_else(PoisonError::into_inner);
        *target = writer.as_raw_fd();
        // SAFETY: open until `close` tells them another.
        unsafe { sys::framelane_log_to(*target) };
        drop(target);
        Ok(Self { writer: Some(writer), drain })
    }

    /// Ends the log. The last lines, oldest first.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        self.close();
        self.drain.finish(ENDING_TAKES);
        self.drain.tail()
    }

    fn close(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        let mut target = TARGET.lock().unwrap_or_else(PoisonError::into_inner);
        if *target == writer.as_raw_fd() {
            *target = NOWHERE;
            // SAFETY: no descriptor at all.
            unsafe { sys::framelane_log_to(NOWHERE) };
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}
