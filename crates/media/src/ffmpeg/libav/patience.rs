//! How long to wait, and whether to wait at all: what the libraries ask while they wait.

#![expect(unsafe_code, reason = "the libraries hand back a pointer")]
// UNSAFETY: the pointer is the one that was given to them with the callback.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Patience from one picture to the next.
pub(super) struct Patience {
    longest: Duration,
    since: Mutex<Option<Instant>>,
    stop: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").field("longest", &self.longest).finish_non_exhaustive()
    }
}

impl Patience {
    /// Counts from now on.
    pub(super) fn new(longest: Duration, stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { longest, since: Mutex::new(Some(Instant::now())), stop: Box::new(stop) }
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// Begins to count, unless it does already.
    pub(super) fn begin(&self) {
        self.since().get_or_insert_with(Instant::now);
    }

    /// What was waited for is there.
    pub(super) fn end(&self) {
        *self.since() = None;
    }

    /// Whether there is no more waiting at all.
    pub(super) fn is_stopped(&self) -> bool {
        (self.stop)()
    }

    /// Whether it has taken too long.
    pub(super) fn is_exhausted(&self) -> bool {
        self.since().is_some_and(|since| since.elapsed() >= self.longest)
    }

    /// What the libraries call: whether to give up.
    pub(super) extern "C" fn is_over(patience: *mut c_void) -> c_int {
        // SAFETY: it is the one of the input, which lives as long as the input does.
        let patience = unsafe { &*patience.cast::<Self>() };
        (patience.is_exhausted() || patience.is_stopped()).into()
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
