//! What comes in through pointers: checked for NULL and UTF-8 before it is used.

#![expect(unsafe_code, reason = "C passes pointers")]
// UNSAFETY: A pointer that is not NULL is taken at C's word: it leads to what its type says. That is
// each function's `# Safety`, and the most that any C API can check.

use std::ffi::{CStr, c_char};
use std::time::{Duration, Instant};

use crate::status::{Failure, fl_status};

/// How long a wait goes on before the ring is asked whether it is being drained.
const STEP: Duration = Duration::from_millis(100);

fn null(what: &str) -> Failure {
    Failure::new(fl_status::FL_BAD_ARGUMENT, format!("{what} is NULL"))
}

/// What a pointer leads to.
///
/// # Safety
/// It is NULL, or leads to a `T` that lives as long as the result and is not written meanwhile.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// Where a result goes. It may hold anything before, and is written at once, so that it is never
/// left as it was.
///
/// # Safety
/// It is NULL, or leads to room for a `T` that nobody else uses as long as the result lives.
pub(crate) unsafe fn out<'a, T>(
    pointer: *mut T,
    value: T,
    what: &str,
) -> Result<&'a mut T, Failure> {
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { pointer.write(value) };
    // SAFETY: as above; there is a value by now.
    Ok(unsafe { &mut *pointer })
}

/// A text, which may be missing.
///
/// # Safety
/// It is NULL, or leads to a string with a zero at its end that lives as long as the result.
pub(crate) unsafe fn optional_text<'a>(
    pointer: *const c_char,
    what: &str,
) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    let bad = |_| Failure::new(fl_status::FL_BAD_ARGUMENT, format!("{what} is not UTF-8"));
    text.to_str().map(Some).map_err(bad)
}

/// A text that has to be there.
///
/// # Safety
/// As [`optional_text`].
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    unsafe { optional_text(pointer, what) }?.ok_or_else(|| null(what))
}

/// A wait's length.
pub(crate) fn patience(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into())
}

/// Says once that there is time, and then for as long as there is.
pub(crate) fn time_left(timeout_ms: u32) -> impl FnMut() -> bool {
    let start = Instant::now();
    let mut first = true;
    move || std::mem::take(&mut first) || start.elapsed() < patience(timeout_ms)
}

/// Waits in steps: between them a request to stop is seen.
pub(crate) fn in_steps<T>(
    timeout_ms: u32,
    mut step: impl FnMut(Duration) -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let start = Instant::now();
    loop {
        let left = patience(timeout_ms).saturating_sub(start.elapsed());
        if let found @ Some(_) = step(left.min(STEP))? {
            return Ok(found);
        }
        if left <= STEP {
            return Ok(None);
        }
    }
}
