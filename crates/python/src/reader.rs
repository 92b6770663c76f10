//! A plain reader of one ring: it looks at frames and passes nothing on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use framelane_ring::{FrameInHand, ReaderOptions, Reading, SegmentName, Take};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::claim::Claim;
use crate::error::{nothing_in_hand, raise};
use crate::owned::Owned;
use crate::patience::{looks_for, seconds, wait_for, wanted_frame};
use crate::pixels::{Views, shape_of};
use crate::warnings;

/// A place in a ring, to take frames from it.
#[pyclass(frozen, module = "framelane._native")]
pub(crate) struct Reader {
    ring: SegmentName,
    options: ReaderOptions,
    stopped: AtomicBool,
    place: Owned<Place>,
}

/// A place in the ring, and what is in hand there.
struct Place {
    views: Views,
    held: Option<(FrameInHand, Py<Claim>)>,
    reader: framelane_ring::Reader,
}

/// What a step of waiting for a frame led to.
enum Step {
    Frame(FrameInHand),
    Over,
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (ring, group, max_age=None, ordered=false, newest=false))]
    fn new(
        ring: &str,
        group: &str,
        max_age: Option<f64>,
        ordered: bool,
        newest: bool,
    ) -> PyResult<Self> {
        let take = match (ordered, newest) {
            (false, false) => Take::Shared,
            (true, false) => Take::Ordered,
            (false, true) => Take::Newest,
            (true, true) => {
                let text = "ordered gives every frame, and newest passes over most: choose one";
                return Err(PyValueError::new_err(text));
            }
        };
        Ok(Self {
            ring: SegmentName::new(ring).map_err(|error| raise(error.into()))?,
            options: ReaderOptions {
                take,
                group: group.parse().map_err(raise)?,
                max_age: seconds(max_age)?,
            },
            stopped: AtomicBool::new(false),
            place: Owned::new(None),
        })
    }

    /// The next frame and its array, a `kind`; None when the stream has ended, or `stop` was called.
    #[pyo3(signature = (kind, timeout=None))]
    fn claim<'py>(
        &self,
        kind: &Bound<'py, PyType>,
        timeout: Option<f64>,
    ) -> PyResult<Option<(Py<Claim>, Bound<'py, PyAny>)>> {
        let py = kind.py();
        let step =
            wait_for(py, || self.wanted(py), seconds(timeout)?, |patience| self.step(patience))?;
        let Step::Frame(grant) = step else { return Ok(None) };
        let mut place = self.place.lock(py);
        // Another thread may have closed this since, or there is no memory for the array: nobody has
        // seen the frame then.
        let shown = match place.as_deref_mut() {
            Ok(Some(place)) => place.show(kind, &grant).map(|shown| (place, shown)),
            Ok(None) => Err(nothing_in_hand()),
            Err(error) => Err(error.clone_ref(py)),
        };
        match shown {
            Ok((place, (claim, array))) => {
                place.held = Some((grant, claim.clone_ref(py)));
                Ok(Some((claim, array)))
            }
            Err(error) => {
                grant.give_back().map_err(raise)?;
                Err(error)
            }
        }
    }

    /// Ends the claim on the frame in hand.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py)?.release().map_err(raise)
    }

    /// Gives the frame in hand to another member of the group.
    fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py)?.give_back().map_err(raise)
    }

    /// Gives the frame in hand to another member, because it could not be processed here.
    fn fail(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py)?.fail().map_err(raise)
    }

    /// Ends the waiting: `claim` returns None from now on. May be called from a signal handler.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Leaves the ring; a frame in hand is given back.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop();
        // A fork has left already.
        if let Ok(mut place) = self.place.lock(py) {
            drop(place.take());
        }
        warnings::tell(py)
    }
}

impl Reader {
    /// What is waited for, for an error.
    fn wanted(&self, py: Python<'_>) -> String {
        wanted_frame(&self.ring, self.place.lock(py).is_ok_and(|place| place.is_some()))
    }

    fn step(&self, patience: Duration) -> PyResult<Option<Step>> {
        if self.stopped.load(Ordering::Acquire) {
            return Ok(Some(Step::Over));
        }
        let mut place = self.place.lock_detached()?;
        let Some(place) = place.as_mut() else {
            let reader =
                framelane_ring::Reader::wait(&self.ring, &self.options, looks_for(patience));
            *place = reader.map_err(raise)?.map(|reader| Place {
                reader,
                views: Views::default(),
                held: None,
            });
            return Ok(None);
        };
        Ok(match place.reader.claim(patience).map_err(raise)? {
            Reading::Frame(frame) => Some(Step::Frame(frame)),
            Reading::Ended => Some(Step::Over),
            Reading::TimedOut => None,
        })
    }

    fn take(&self, py: Python<'_>) -> PyResult<FrameInHand> {
        let mut place = self.place.lock(py)?;
        let place = place.as_mut().ok_or_else(nothing_in_hand)?;
        let (_, claim) = place.held.as_ref().ok_or_else(nothing_in_hand)?;
        claim.get().end();
        place.views.take_back().map_err(raise)?;
        place.held.take().map(|(grant, _)| grant).ok_or_else(nothing_in_hand)
    }
}

impl Place {
    /// The array of a frame that was claimed, a `kind`, and its claim.
    fn show<'py>(
        &mut self,
        kind: &Bound<'py, PyType>,
        grant: &FrameInHand,
    ) -> PyResult<(Py<Claim>, Bound<'py, PyAny>)> {
        let record = *grant.record();
        let shape = shape_of(record.geometry.as_ref(), record.payload_bytes);
        let array = self.views.lend(kind, self.reader.ring(), grant.slot(), &shape, false)?;
        let redelivered = grant.is_redelivered();
        let claim = Claim::new(kind.py(), grant.seq(), record, redelivered, grant.meta(), 0)?;
        Ok((claim, array))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((grant, claim)) = self.held.take() else { return };
        claim.get().end();
        if self.views.take_back().is_err() {
            // Somebody may still look at the slot: it must stay held until this process ends.
            std::mem::forget(grant);
            return;
        }
        // A corrupt word is found again by whoever can return an error.
        let _ = grant.give_back();
    }
}
