//! How a call ends: one status for each class of failure, and words for this thread's last failure.
//! Every call of the API runs inside [`guard`], which lets no panic out.

#![expect(unsafe_code, reason = "a C function needs its exact name")]
// UNSAFETY: The only unsafe here are the attributes that give functions their names; all begin with
// `fl_`, which nothing else in a program should.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use framelane_ring::{RingError, ShmError};

/// How a call has ended. Numbers once given never change their meaning.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "these are the names that C sees")]
pub enum fl_status {
    /// Done.
    FL_OK = 0,
    /// What was waited for did not come in time: look at your signals, and call again.
    FL_TIMED_OUT = 1,
    /// The stream has ended, or `framelane drain` asks the ring's users to stop: close, and go.
    FL_ENDED = 2,
    /// A NULL pointer, text that is not UTF-8, or a value that makes no sense.
    FL_BAD_ARGUMENT = 3,
    /// The call does not fit what went before: a frame is still held, or none is.
    FL_OUT_OF_TURN = 4,
    /// Another thread is in a call with the same worker or reader.
    FL_BUSY = 5,
    /// The ring can't be trusted or has another layout.
    FL_BAD_RING = 6,
    /// Shared memory has no room for the output ring.
    FL_NO_MEMORY = 7,
    /// A place in the ring is taken by others.
    FL_TAKEN = 8,
    /// A frame, or its metadata, is larger than a slot of the output ring.
    FL_TOO_LARGE = 9,
    /// This participant is none any more: the process forked, or something closed its descriptors.
    /// Close, and open anew.
    FL_LOST = 10,
    /// The operating system refused, or a lock could not be had.
    FL_SYSTEM = 11,
    /// An error in this library. Close what it happened to.
    FL_UNEXPECTED = 12,
}

use fl_status::*;

/// Why a call fails: its status, and a sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: fl_status,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: fl_status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<RingError> for Failure {
    fn from(error: RingError) -> Self {
        Self::new(status_of(&error), error.with_causes())
    }
}

impl From<ShmError> for Failure {
    fn from(error: ShmError) -> Self {
        RingError::from(error).into()
    }
}

fn status_of(error: &RingError) -> fl_status {
    match error {
        RingError::Shm(error) => match error {
            ShmError::BadName { .. } => FL_BAD_ARGUMENT,
            ShmError::TooSmall { .. } => FL_NO_MEMORY,
            ShmError::Forked => FL_LOST,
            ShmError::ForeignOwner { .. } => FL_BAD_RING,
            _ => FL_SYSTEM,
        },
        RingError::BadConfig(_) | RingError::BadGroupName(_) | RingError::BadRecord { .. } => {
            FL_BAD_ARGUMENT
        }
        RingError::PayloadTooLarge { .. } | RingError::MetaTooLarge { .. } => FL_TOO_LARGE,
        RingError::NoSeat(_)
        | RingError::NoGroup(_)
        | RingError::GroupTaken { .. }
        | RingError::GroupKind { .. }
        | RingError::OtherOutput { .. }
        | RingError::HasFeed { .. }
        | RingError::SourceTaken(_) => FL_TAKEN,
        RingError::StillHolding => FL_OUT_OF_TURN,
        RingError::LostSeat(_) => FL_LOST,
        _ => FL_BAD_RING,
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs a call: what it fails with is kept for [`fl_last_error`], and a panic becomes a status.
pub(crate) fn guard(call: impl FnOnce() -> Result<fl_status, Failure>) -> fl_status {
    // What a panic leaves half-done is behind a mutex, which is poisoned then.
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Err(Failure::new(FL_UNEXPECTED, format!("an error in framelane: {said}")))
    });
    outcome.unwrap_or_else(|failure| {
        let message = CString::new(failure.message.replace('\0', " ")).unwrap_or_default();
        // A thread that is ending may have no place for the message any more.
        let _ = LAST_ERROR.try_with(|last| last.replace(message));
        failure.status
    })
}

/// Says what went wrong in this thread's last call that failed, in one line. Never NULL; empty as
/// long as nothing has failed. The text stays valid until another call fails in this thread.
#[unsafe(no_mangle)]
pub extern "C" fn fl_last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Says what an fl_status means. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn fl_status_text(status: c_int) -> *const c_char {
    text_of(status).as_ptr()
}

fn text_of(status: c_int) -> &'static CStr {
    match status {
        0 => c"done",
        1 => c"timed out",
        2 => c"the stream has ended",
        3 => c"bad argument",
        4 => c"call out of turn",
        5 => c"another thread is in a call",
        6 => c"the ring can't be used",
        7 => c"not enough shared memory",
        8 => c"taken by another process",
        9 => c"too large for a slot",
        10 => c"no part in the ring any more",
        11 => c"the system refused",
        12 => c"unexpected failure",
        _ => c"unknown status",
    }
}

/// The version of the library, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn fl_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_words_and_nothing_else_has() {
        let unknown = text_of(-1);
        assert!((0..=FL_UNEXPECTED as c_int).all(|status| text_of(status) != unknown));
        assert_eq!(text_of(FL_UNEXPECTED as c_int + 1), unknown);
    }

    #[test]
    fn a_panic_is_a_status_with_its_message() {
        let status = guard(|| panic!("as {} wanted", "was"));
        assert_eq!(status, FL_UNEXPECTED);
        let words = LAST_ERROR.with_borrow(|last| last.to_string_lossy().into_owned());
        assert_eq!(words, "an error in framelane: as was wanted");
    }
}
