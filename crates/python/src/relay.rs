//! A worker's place in two rings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use framelane_ring::{
    Attached, Job, Record, Relay as Rings, RelayOptions, RingError, SegmentName, Work, WriteGrant,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::claim::Claim;
use crate::error::{nothing_in_hand, raise};
use crate::owned::Owned;
use crate::patience::{looks_for, seconds, wait_for, wanted_frame};
use crate::pixels::{Views, shape_of};
use crate::warnings;

/// Takes frames from one ring, and publishes what became of them to another.
#[pyclass(frozen, module = "framelane._native")]
pub(crate) struct Relay {
    from: SegmentName,
    to: SegmentName,
    options: RelayOptions,
    stopped: AtomicBool,
    place: Owned<Place>,
}

/// A place in both rings, and what is in hand there.
struct Place {
    input: Views,
    output: Views,
    grant: Option<WriteGrant>,
    held: Option<(Job, Py<Claim>)>,
    rings: Rings,
}

/// What a step of waiting for work led to.
enum Step {
    Frame(Job),
    Over,
}

#[pymethods]
impl Relay {
    #[new]
    #[pyo3(signature = (from_ring, to_ring, group, slots=None))]
    fn new(from_ring: &str, to_ring: &str, group: &str, slots: Option<u32>) -> PyResult<Self> {
        let name = |name| SegmentName::new(name).map_err(|error| raise(error.into()));
        let group = group.parse().map_err(raise)?;
        if from_ring == to_ring {
            let text = format!("a worker can't take from and publish to the same ring '{to_ring}'");
            return Err(PyValueError::new_err(text));
        }
        Ok(Self {
            from: name(from_ring)?,
            to: name(to_ring)?,
            options: RelayOptions { group, slots, payload_capacity: None },
            stopped: AtomicBool::new(false),
            place: Owned::new(None),
        })
    }

    /// The next frame and its array, a `kind`; None when the stream has ended, or `stop` was called.
    /// Frames that kill their workers are passed on without being seen here.
    #[pyo3(signature = (kind, timeout=None))]
    fn claim<'py>(
        &self,
        kind: &Bound<'py, PyType>,
        timeout: Option<f64>,
    ) -> PyResult<Option<(Py<Claim>, Bound<'py, PyAny>)>> {
        let py = kind.py();
        let step =
            wait_for(py, || self.wanted(py), seconds(timeout)?, |patience| self.step(patience))?;
        let Step::Frame(job) = step else { return Ok(None) };
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let record = *job.record();
        let shape = shape_of(record.geometry.as_ref(), record.payload_bytes);
        let array = place.input.lend(kind, place.rings.input(), job.slot(), &shape, false)?;
        let (redelivered, room) = (job.is_redelivered(), place.rings.output().meta_capacity());
        let claim = Claim::new(py, job.seq(), record, redelivered, job.meta(), room)?;
        place.held = Some((job, claim.clone_ref(py)));
        Ok(Some((claim, array)))
    }

    /// Room for the output of the frame in hand, as a `kind`, an array of the same shape; None when
    /// there is none and `stop` was called.
    #[pyo3(signature = (kind, timeout=None))]
    fn acquire<'py>(
        &self,
        kind: &Bound<'py, PyType>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = kind.py();
        if !self.reserve(py, seconds(timeout)?)? {
            return Ok(None);
        }
        let mut place = self.place.lock(py)?;
        let Place { output, grant: Some(grant), held: Some((job, _)), rings, .. } =
            place.as_mut().ok_or_else(nothing_in_hand)?
        else {
            return Err(nothing_in_hand());
        };
        let record = job.record();
        let shape = shape_of(record.geometry.as_ref(), record.payload_bytes);
        output.lend(kind, rings.output(), grant.slot(), &shape, true).map(Some)
    }

    /// Publishes the output, and then releases the frame. `meta` travels with the output; without
    /// it, the frame's own metadata does.
    #[pyo3(signature = (meta=None))]
    fn publish(&self, py: Python<'_>, meta: Option<&[u8]>) -> PyResult<()> {
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let (Some(grant), Some((job, _))) = (&mut place.grant, &place.held) else {
            return Err(nothing_in_hand());
        };
        let meta = meta.unwrap_or(job.meta());
        let capacity = grant.meta_mut().len();
        let Some(room) = grant.meta_mut().get_mut(..meta.len()) else {
            let (ring, bytes) = (place.rings.output().name(), meta.len());
            return Err(PyValueError::new_err(format!(
                "ring '{ring}' carries {capacity} bytes of metadata a frame, not {bytes}"
            )));
        };
        room.copy_from_slice(meta);
        let record = Record { meta_bytes: meta.len(), ..*job.record() };
        let (job, grant) = place.let_go()?;
        let grant = grant.ok_or_else(nothing_in_hand)?;
        place.rings.publish(job, grant, record).map(|_| ()).map_err(raise)
    }

    /// Publishes the frame in hand as it is. Where it has no room and `stop` was called, it is given
    /// to another worker.
    #[pyo3(signature = (timeout=None))]
    fn forward(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        if !self.reserve(py, seconds(timeout)?)? {
            return self.give_back(py);
        }
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let (job, grant) = place.let_go()?;
        let grant = grant.ok_or_else(nothing_in_hand)?;
        place.rings.forward_into(job, grant).map(|_| ()).map_err(raise)
    }

    /// Ends the claim on the frame in hand without an output: readers won't wait for one.
    fn skip(&self, py: Python<'_>) -> PyResult<()> {
        self.end_without_output(py, |rings, job| rings.skip(job))
    }

    /// Gives the frame in hand to another worker.
    fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        self.end_without_output(py, |_, job| {
            drop(job);
            Ok(())
        })
    }

    /// Gives the frame in hand to another worker, because it could not be processed here.
    fn fail(&self, py: Python<'_>) -> PyResult<()> {
        self.end_without_output(py, |rings, job| rings.fail(job))
    }

    /// Ends the waiting: `claim` returns None from now on, and `acquire` unless there is room. May be
    /// called from a signal handler.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Leaves both rings; a frame in hand is given back.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop();
        // A fork has left already.
        if let Ok(mut place) = self.place.lock(py) {
            drop(place.take());
        }
        warnings::tell(py)
    }
}

impl Relay {
    /// What is waited for, for an error.
    fn wanted(&self, py: Python<'_>) -> String {
        wanted_frame(&self.from, self.place.lock(py).is_ok_and(|place| place.is_some()))
    }

    fn step(&self, patience: Duration) -> PyResult<Option<Step>> {
        if self.stopped.load(Ordering::Acquire) {
            return Ok(Some(Step::Over));
        }
        let mut place = self.place.lock_detached()?;
        if place.is_none() {
            let attached = Rings::wait(&self.from, &self.to, &self.options, looks_for(patience));
            let rings = match attached.map_err(raise)? {
                Attached::Ready(rings) => *rings,
                Attached::TooLate => return Ok(Some(Step::Over)),
                Attached::Stopped => return Ok(None),
            };
            let (input, output) = (Views::default(), Views::default());
            *place = Some(Place { input, output, grant: None, held: None, rings });
        }
        let Some(place) = place.as_mut() else { return Ok(None) };
        if place.rings.is_draining() {
            return Ok(Some(Step::Over));
        }
        Ok(match place.rings.claim_harmless(patience).map_err(raise)? {
            Work::Frame(job) => Some(Step::Frame(job)),
            Work::Ended => Some(Step::Over),
            Work::TimedOut => None,
        })
    }

    /// Takes an output slot for the frame in hand, unless it has one. False when there is none and
    /// the worker is asked to stop.
    fn reserve(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<bool> {
        let step = |patience| {
            let mut place = self.place.lock_detached()?;
            let place = place.as_mut().ok_or_else(nothing_in_hand)?;
            if place.grant.is_none() {
                let (job, _) = place.held.as_ref().ok_or_else(nothing_in_hand)?;
                place.grant = place.rings.acquire(job, patience).map_err(raise)?;
            }
            let stopped = self.stopped.load(Ordering::Acquire) || place.rings.is_draining();
            Ok((place.grant.is_some() || stopped).then_some(place.grant.is_some()))
        };
        let wanted = || format!("free slot on ring '{}'", self.to.ring());
        wait_for(py, wanted, timeout, step)
    }

    fn end_without_output(
        &self,
        py: Python<'_>,
        end: impl FnOnce(&mut Rings, Job) -> Result<(), RingError>,
    ) -> PyResult<()> {
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let (job, grant) = place.let_go()?;
        drop(grant);
        end(&mut place.rings, job).map_err(raise)
    }
}

impl Place {
    /// Takes the arrays' memory back, and then what is in hand.
    fn let_go(&mut self) -> PyResult<(Job, Option<WriteGrant>)> {
        let (_, claim) = self.held.as_ref().ok_or_else(nothing_in_hand)?;
        claim.get().end();
        self.input.take_back().map_err(raise)?;
        self.output.take_back().map_err(raise)?;
        let (job, _) = self.held.take().ok_or_else(nothing_in_hand)?;
        Ok((job, self.grant.take()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.held.is_some() && self.let_go().is_err() {
            // Somebody may still look at the slots: they must stay held until this process ends.
            std::mem::forget((self.held.take(), self.grant.take()));
        }
    }
}
