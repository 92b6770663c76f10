//! Waiting without the interpreter's lock, and with an ear for Ctrl-C.

use std::mem;
use std::time::{Duration, Instant};

use framelane_ring::{Ring, RingError, SegmentName, ShmError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::TimedOut;
use crate::warnings;

/// How long the interpreter may stay deaf to signals.
const SLICE: Duration = Duration::from_millis(100);

/// Calls `step` with a moment's patience, again and again, until it has something.
///
/// # Errors
/// [`TimedOut`] after `timeout`, `KeyboardInterrupt`, what the step meets, or what Python's log
/// raises when it is told what the rings warn of.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    what: impl Fn() -> String,
    timeout: Option<Duration>,
    mut step: impl FnMut(Duration) -> PyResult<Option<T>> + Send,
) -> PyResult<T> {
    let start = Instant::now();
    loop {
        let left = timeout.map_or(SLICE, |timeout| timeout.saturating_sub(start.elapsed()));
        let found = py.detach(|| step(left.min(SLICE)));
        warnings::tell(py)?;
        if let Some(found) = found? {
            return Ok(found);
        }
        py.check_signals()?;
        if left.is_zero() {
            let waited = start.elapsed().as_secs_f64();
            return Err(TimedOut::new_err(format!("no {} within {waited:.1} s", what())));
        }
    }
}

/// A frame of a ring, as what is waited for, and why none can come before there is a place in it.
pub(crate) fn wanted_frame(ring: &SegmentName, has_place: bool) -> String {
    let name = ring.ring();
    if has_place {
        return format!("frame on ring '{name}'");
    }
    let why = match Ring::open(ring) {
        Err(RingError::Shm(ShmError::NotFound(_))) => "there is no such ring",
        _ => "the users of an earlier stream have to finish first",
    };
    format!("frame on ring '{name}' ({why})")
}

/// Whether to look again for what is not there yet: once at least, and for as long as `patience`.
pub(crate) fn looks_for(patience: Duration) -> impl FnMut() -> bool {
    let start = Instant::now();
    let mut first = true;
    move || mem::take(&mut first) || start.elapsed() < patience
}

/// A time-out in seconds, as Python gives it; `None` waits for ever.
pub(crate) fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let parse = |seconds| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| PyValueError::new_err(format!("{seconds} is no time in seconds")))
    };
    timeout.filter(|&seconds| seconds != f64::INFINITY).map(parse).transpose()
}
