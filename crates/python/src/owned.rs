//! What belongs to the process that made it. A fork inherits a lock as it was at that moment, held by
//! a thread that the fork does not have: it must not wait for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use framelane_ring::ShmError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use crate::error::raise;

/// How many forks lie between the first process and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Something that one thread of one process uses at a time, once it is there.
pub(crate) struct Owned<T> {
    forks: u64,
    inner: Mutex<Option<T>>,
}

impl<T> Owned<T> {
    pub(crate) fn new(inner: Option<T>) -> Self {
        Self { forks: FORKS.load(Ordering::Relaxed), inner: Mutex::new(inner) }
    }

    /// Waits until no other thread uses it, without the interpreter's lock.
    ///
    /// # Errors
    /// `ForkedError` in a fork.
    pub(crate) fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<T>>> {
        self.check()?;
        Ok(self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }

    /// The same, for code that runs without the interpreter's lock.
    ///
    /// # Errors
    /// `ForkedError` in a fork.
    pub(crate) fn lock_detached(&self) -> PyResult<MutexGuard<'_, Option<T>>> {
        self.check()?;
        Ok(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check(&self) -> PyResult<()> {
        let is_here = self.forks == FORKS.load(Ordering::Relaxed);
        if is_here { Ok(()) } else { Err(raise(ShmError::Forked.into())) }
    }
}

/// Has forks counted from now on.
pub(crate) fn count_forks(py: Python<'_>) -> PyResult<()> {
    let arguments = PyDict::new(py);
    arguments.set_item("after_in_child", wrap_pyfunction!(note_fork, py)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&arguments)).map(drop)
}

#[pyfunction]
fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
