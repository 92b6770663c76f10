//! What is known of a frame in hand, and whether it still is.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use framelane_ring::{Record, Seq, ShmError, monotonic_ns};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{ClaimEnded, raise};

/// A claim on a frame: what travels with the pixels.
#[pyclass(frozen, module = "framelane._native")]
pub(crate) struct Claim {
    record: Record,
    seq: u64,
    redelivered: bool,
    meta: Py<PyBytes>,
    meta_capacity: usize,
    alive: AtomicBool,
    /// The process that made the claim; its forks don't have it.
    process: u32,
}

impl Claim {
    pub(crate) fn new(
        py: Python<'_>,
        seq: Seq,
        record: Record,
        redelivered: bool,
        meta: &[u8],
        meta_capacity: usize,
    ) -> PyResult<Py<Self>> {
        let meta = PyBytes::new(py, meta).unbind();
        let (seq, alive, process) = (seq.number(), AtomicBool::new(true), process::id());
        Py::new(py, Self { record, seq, redelivered, meta, meta_capacity, alive, process })
    }

    /// Marks the claim as ended.
    pub(crate) fn end(&self) {
        self.alive.store(false, Ordering::Release);
    }
}

#[pymethods]
impl Claim {
    /// Raises unless the frame is still in hand, in this process.
    fn check(&self) -> PyResult<()> {
        if self.process != process::id() {
            return Err(raise(ShmError::Forked.into()));
        }
        if !self.alive.load(Ordering::Acquire) {
            let seq = self.seq;
            return Err(ClaimEnded::new_err(format!(
                "the claim on frame {seq} has ended: copy what you keep, with array.copy()"
            )));
        }
        Ok(())
    }

    /// The source's number of the frame.
    #[getter]
    fn seq(&self) -> u64 {
        self.seq
    }

    /// Presentation time on the source's timeline, in nanoseconds.
    #[getter]
    fn pts_ns(&self) -> i64 {
        self.record.pts_ns
    }

    /// Seconds since the frame's first byte arrived; None when that is unknown.
    #[getter]
    fn age(&self) -> Option<f64> {
        let received_ns = self.record.received_ns;
        let age = std::time::Duration::from_nanos(monotonic_ns().saturating_sub(received_ns));
        (received_ns != 0).then_some(age.as_secs_f64())
    }

    /// The source's epoch: it grows when the source reconnects or changes its format.
    #[getter]
    fn epoch(&self) -> u32 {
        self.record.epoch
    }

    /// Whether the source's own clock jumped before this frame.
    #[getter]
    fn discontinuity(&self) -> bool {
        self.record.discontinuity
    }

    /// Whether a worker before passed the frame on without processing it.
    #[getter]
    fn unprocessed(&self) -> bool {
        self.record.unprocessed
    }

    /// Whether somebody claimed the frame before and did not finish it.
    #[getter]
    fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// Width in pixels; None when the payload is no picture.
    #[getter]
    fn width(&self) -> Option<u32> {
        self.record.geometry.map(|geometry| geometry.width())
    }

    /// Height in pixels; None when the payload is no picture.
    #[getter]
    fn height(&self) -> Option<u32> {
        self.record.geometry.map(|geometry| geometry.height())
    }

    /// How the pixels lie in memory, in ffmpeg's words; None when the payload is no picture.
    #[getter]
    fn pix_fmt(&self) -> Option<&'static str> {
        self.record.geometry.map(|geometry| geometry.format().name())
    }

    /// The metadata that travels with the frame.
    #[getter]
    fn meta(&self, py: Python<'_>) -> Py<PyBytes> {
        self.meta.clone_ref(py)
    }

    /// How many bytes of metadata can travel with what becomes of the frame.
    #[getter]
    fn meta_capacity(&self) -> usize {
        self.meta_capacity
    }
}
