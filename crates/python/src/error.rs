//! Errors of the rings as Python exceptions, with what was measured and what to type.

use framelane_ring::{RingError, ShmError};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::{PyErr, create_exception};

create_exception!(
    framelane,
    FramelaneError,
    PyRuntimeError,
    "A ring can't be used; the message says what to do about it."
);
create_exception!(
    framelane,
    ForkedError,
    FramelaneError,
    "The process forked: the ring stayed with the parent. Attach again in the child."
);

create_exception!(
    framelane,
    ClaimEnded,
    FramelaneError,
    "The array's frame is no longer in hand; its memory belongs to somebody else by now."
);

create_exception!(framelane, TimedOut, PyTimeoutError, "What was waited for did not come in time.");

create_exception!(
    framelane,
    NoPlace,
    FramelaneError,
    "All of a ring's places are taken: each frame in hand needs one."
);

/// The exception for an error of a ring.
pub(crate) fn raise(error: RingError) -> PyErr {
    let text = error.with_causes();
    match error {
        RingError::Shm(ShmError::Forked) => ForkedError::new_err(text),
        RingError::NoSeat(_) => NoPlace::new_err(text),
        RingError::Shm(ShmError::BadName { .. })
        | RingError::BadConfig(_)
        | RingError::BadGroupName(_)
        | RingError::MetaTooLarge { .. } => PyValueError::new_err(text),
        _ => FramelaneError::new_err(text),
    }
}

/// The exception for a call that needs what was closed, perhaps by another thread.
pub(crate) fn closed(ring: &str) -> PyErr {
    FramelaneError::new_err(format!("this place on ring '{ring}' was closed"))
}

/// The exception for a call that needs a frame in hand when there is none.
pub(crate) fn nothing_in_hand() -> PyErr {
    FramelaneError::new_err("there is no frame in hand: claim one first")
}
