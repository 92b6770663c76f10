//! What a pointer that was given out leads to: state behind a lock that never waits, so that two
//! threads in one call, or a call after one that panicked, are a status and not a race.

#![expect(unsafe_code, reason = "handles are owned by C")]
// UNSAFETY: A handle is a box that was leaked by `give` and is freed by `take`, once. In between it
// is only ever borrowed shared; the mutex says who may change it.

use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::argument;
use crate::status::{Failure, fl_status};

/// State that C holds by a pointer.
#[derive(Debug)]
pub(crate) struct Handle<T>(Mutex<T>);

// C may use a handle from any thread.
impl<T: Send> Handle<T> {
    /// Gives a state away: it lives until [`Handle::take`].
    pub(crate) fn give(state: T) -> *mut Self {
        Box::into_raw(Box::new(Self(Mutex::new(state))))
    }

    /// Enters the state, alone.
    ///
    /// # Safety
    /// The pointer is NULL, or one of [`Handle::give`] that was not taken back.
    pub(crate) unsafe fn enter<'a>(
        pointer: *const Self,
        what: &str,
    ) -> Result<MutexGuard<'a, T>, Failure> {
        // SAFETY: the caller's promise; handles are never borrowed mutably.
        let handle = unsafe { argument::reference(pointer, what) }?;
        handle.0.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let message = format!("another thread is in a call with the same {what}");
                Failure::new(fl_status::FL_BUSY, message)
            }
            TryLockError::Poisoned(_) => {
                let message = format!("an earlier call broke the {what}: close it");
                Failure::new(fl_status::FL_UNEXPECTED, message)
            }
        })
    }

    /// Takes a state back, and drops it.
    ///
    /// # Safety
    /// As [`Handle::enter`]; no call is under way, and none comes after.
    pub(crate) unsafe fn take(pointer: *mut Self) {
        if !pointer.is_null() {
            // SAFETY: the caller's promise: this is the box that `give` leaked.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
