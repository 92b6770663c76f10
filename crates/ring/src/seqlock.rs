//! Several words in shared memory that are read as one: a version counts up before and after each
//! change, and is odd in between. It is 0 until they are written for the first time.
//!
//! There is one writer at a time. One that dies in the middle leaves the version odd; the next
//! writer ends that, and until then nobody can read.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread;

/// How often a reader tries again while somebody writes.
const READ_TRIES: u32 = 1000;

/// What a reader finds.
#[derive(Debug)]
pub(crate) enum Content<T> {
    /// Nobody has written yet.
    Unwritten,
    /// What was written last, whole.
    Whole(T),
    /// Somebody is just changing it, or died while doing so.
    Changing,
}

/// Writes by `store`, whose stores may be relaxed.
pub(crate) fn write(version: &AtomicU64, store: impl FnOnce()) {
    let odd = version.load(Ordering::Relaxed) | 1;
    version.store(odd, Ordering::Release);
    fence(Ordering::Release);
    store();
    version.store(odd.wrapping_add(1), Ordering::Release);
}

/// Reads by `load`, whose loads may be relaxed. What it makes of a torn value is thrown away.
pub(crate) fn read<T>(version: &AtomicU64, load: impl Fn() -> T) -> Content<T> {
    for _ in 0..READ_TRIES {
        let before = version.load(Ordering::Acquire);
        if before == 0 {
            return Content::Unwritten;
        }
        let value = load();
        fence(Ordering::Acquire);
        if before.is_multiple_of(2) && version.load(Ordering::Relaxed) == before {
            return Content::Whole(value);
        }
        thread::yield_now();
    }
    Content::Changing
}
