//! The source of a ring: frames that come from Python.

use std::sync::atomic::{AtomicBool, Ordering};

use framelane_frame::{FrameRate, Geometry, PixelFormat};
use framelane_ring::{
    Descriptor, Policy, Record, RingConfig, RingError, SegmentName, Source, VideoTrack, WriteGrant,
    monotonic_ns,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::claim::Claim;
use crate::error::{closed, nothing_in_hand, raise};
use crate::owned::Owned;
use crate::patience::{seconds, wait_for};
use crate::pixels::{Views, shape_of};
use crate::warnings;

/// Room for metadata in each slot, as the puller has it.
const META_CAPACITY: usize = 4096;

/// Numbers and publishes frames.
#[pyclass(frozen, module = "framelane._native")]
pub(crate) struct Writer {
    ring: String,
    geometry: Geometry,
    stopped: AtomicBool,
    place: Owned<Place>,
}

/// A place in the ring, and what is in hand there.
struct Place {
    views: Views,
    held: Option<(WriteGrant, Py<Claim>)>,
    source: Source,
}

#[pymethods]
impl Writer {
    #[new]
    #[pyo3(signature = (ring, width, height, pix_fmt, slots, on_full, fps=None))]
    fn new(
        ring: &str,
        width: u32,
        height: u32,
        pix_fmt: &str,
        slots: u32,
        on_full: &str,
        fps: Option<(u32, u32)>,
    ) -> PyResult<Self> {
        let bad = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
        let format: PixelFormat = pix_fmt.parse().map_err(|error| bad(&error))?;
        let geometry = Geometry::new(width, height, format).map_err(|error| bad(&error))?;
        let frame_rate = match fps {
            Some((numerator, denominator)) => {
                let what = format!("fps is {numerator}/{denominator}: that is no frame rate");
                Some(FrameRate::new(numerator, denominator).ok_or_else(|| bad(&what))?)
            }
            None => None,
        };
        let policy: Policy = on_full.parse().map_err(raise)?;
        let name = SegmentName::new(ring).map_err(|error| raise(error.into()))?;
        let payload_capacity = geometry.payload_bytes();
        let config = RingConfig { slots, payload_capacity, meta_capacity: META_CAPACITY, policy };
        let source = Source::attach(&name, &config).map_err(raise);
        Python::attach(warnings::tell)?;
        let source = source?;
        let (colour, _) = framelane_frame::Colour::default().or_guess(height);
        let descriptor = Descriptor {
            source: format!("python process {}", std::process::id()),
            live: policy == Policy::DropOldest,
            video: Some(VideoTrack { frame_rate, ..VideoTrack::new(geometry, colour) }),
            audio: None,
        };
        source.ring().set_descriptor(&descriptor).map_err(raise)?;
        let place = Place { source, held: None, views: Views::default() };
        let stopped = AtomicBool::new(false);
        Ok(Self { ring: ring.to_owned(), geometry, stopped, place: Owned::new(Some(place)) })
    }

    /// Room for the next frame, as a `kind` of array, and the claim on it; None when there is none
    /// and `stop` was called.
    #[pyo3(signature = (kind, timeout=None))]
    fn acquire<'py>(
        &self,
        kind: &Bound<'py, PyType>,
        timeout: Option<f64>,
    ) -> PyResult<Option<(Py<Claim>, Bound<'py, PyAny>)>> {
        let py = kind.py();
        let grant = wait_for(
            py,
            || self.wanted(py),
            seconds(timeout)?,
            |patience| {
                let mut place = self.place.lock_detached()?;
                let source = &mut place.as_mut().ok_or_else(|| closed(&self.ring))?.source;
                if source.ring().is_draining() {
                    return Err(raise(RingError::Draining(self.ring.clone())));
                }
                let grant = source.acquire(patience).map_err(raise)?;
                let stopped = self.stopped.load(Ordering::Acquire);
                Ok((grant.is_some() || stopped).then_some(grant))
            },
        )?;
        let Some(grant) = grant else { return Ok(None) };
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let shape = shape_of(Some(&self.geometry), self.geometry.payload_bytes());
        let array = place.views.lend(kind, place.source.ring(), grant.slot(), &shape, true)?;
        let record = Record::of_picture(self.geometry, 0);
        let claim = Claim::new(py, grant.seq(), record, false, &[], META_CAPACITY)?;
        place.held = Some((grant, claim.clone_ref(py)));
        Ok(Some((claim, array)))
    }

    /// Publishes the frame in hand, and tells its seq.
    #[pyo3(signature = (pts_ns, meta=None))]
    fn publish(&self, py: Python<'_>, pts_ns: i64, meta: Option<&[u8]>) -> PyResult<u64> {
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let (grant, _) = place.held.as_mut().ok_or_else(nothing_in_hand)?;
        let meta = meta.unwrap_or_default();
        let Some(room) = grant.meta_mut().get_mut(..meta.len()) else {
            return Err(PyValueError::new_err(format!(
                "{META_CAPACITY} bytes of metadata travel with a frame, not {}",
                meta.len()
            )));
        };
        room.copy_from_slice(meta);
        let grant = place.let_go()?;
        let record = Record {
            received_ns: monotonic_ns(),
            epoch: place.source.ring().epoch(),
            meta_bytes: meta.len(),
            ..Record::of_picture(self.geometry, pts_ns)
        };
        grant.commit(record).map(framelane_ring::Seq::number).map_err(raise)
    }

    /// Gives up the frame in hand: nothing is published.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        place.let_go().map(drop)
    }

    /// When the newest frame in the ring is shown, and its age, both in nanoseconds: where this goes
    /// on; an unknown age is 0. None when there is none.
    fn last_frame(&self, py: Python<'_>) -> PyResult<Option<(i64, u64)>> {
        let place = self.place.lock(py)?;
        let last = place.as_ref().ok_or_else(|| closed(&self.ring))?.source.last_frame();
        let age = |received_ns| match received_ns {
            0 => 0,
            _ => monotonic_ns().saturating_sub(received_ns),
        };
        Ok(last.map(|(pts_ns, received_ns)| (pts_ns, age(received_ns))))
    }

    /// Ends the waiting: `acquire` returns None unless there is room. May be called from a signal
    /// handler.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Ends the stream if `end` says so, and leaves the ring.
    fn close(&self, py: Python<'_>, end: bool) -> PyResult<()> {
        // A fork has left already.
        if let Ok(mut place) = self.place.lock(py)
            && let Some(place) = place.take()
            && end
        {
            place.source.end();
        }
        warnings::tell(py)
    }
}

impl Writer {
    /// What is waited for, for an error.
    fn wanted(&self, py: Python<'_>) -> String {
        let place = self.place.lock(py).ok();
        let ring = place.as_ref().and_then(|place| place.as_ref()).map(|place| place.source.ring());
        // A lossless stream begins with its first reader.
        let unread = ring.is_some_and(|ring| {
            ring.policy() == Policy::Block && ring.snapshot().is_ok_and(|it| it.groups.is_empty())
        });
        let hint = if unread { " (it has no reader yet)" } else { "" };
        format!("free slot on ring '{}'{hint}", self.ring)
    }
}

impl Place {
    /// Takes the array's memory back, and then the slot.
    fn let_go(&mut self) -> PyResult<WriteGrant> {
        let (_, claim) = self.held.as_ref().ok_or_else(nothing_in_hand)?;
        claim.get().end();
        self.views.take_back().map_err(raise)?;
        self.held.take().map(|(grant, _)| grant).ok_or_else(nothing_in_hand)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.held.is_some() && self.let_go().is_err() {
            // Somebody may still write to the slot: it must stay held until this process ends.
            std::mem::forget(self.held.take());
        }
    }
}
