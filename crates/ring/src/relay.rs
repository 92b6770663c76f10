//! The relay: what makes a process a worker. It takes frames from one ring, and publishes what
//! became of them to another, in the only order that loses nothing.
//!
//! A frame is claimed below the window, processed, published with its seq, and only then released
//! upstream. Whoever dies in between leaves the frame to another worker, who first looks whether
//! the output is there already.

mod attach;
mod handover;
mod standstill;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub use self::attach::{Attached, RelayOptions};
use crate::consumer::{Consumer, Found};
use crate::feed::Feed;
use crate::grant::WriteGrant;
use crate::groups::NO_LIMIT;
use crate::job::Job;
use crate::producer::Producer;
use crate::record::Record;
use crate::ring::Ring;
use crate::seat::LOOK_INTERVAL;
use crate::{RingError, Seq};

/// What a wait for work led to.
#[derive(Debug)]
pub enum Work {
    /// A frame to process.
    Frame(Job),
    /// The stream has ended, and so has this worker's part in it.
    Ended,
    /// Nothing came in time.
    TimedOut,
}

/// What an attempt to pass a frame on led to.
#[derive(Debug)]
#[must_use = "a job that found no room is given back when it is dropped"]
pub enum Forwarded {
    /// The frame is in the output ring, marked as unprocessed.
    Done(Seq),
    /// There was no room in time. The frame is still in hand.
    TimedOut(Job),
}

/// A worker's place in both rings.
#[derive(Debug)]
pub struct Relay {
    input: Consumer,
    output: Producer,
    feed: Feed,
    /// The version of the input's descriptor that the output has.
    described: u64,
    /// Since when a live stream stands still, as far as this worker sees.
    still_since: Option<Instant>,
}

impl Relay {
    /// The input ring.
    pub fn input(&self) -> &Ring {
        self.input.ring()
    }

    /// The output ring.
    pub fn output(&self) -> &Ring {
        self.output.ring()
    }

    /// Whether the users of either ring are asked to finish what they hold and stop.
    pub fn is_draining(&self) -> bool {
        self.input().is_draining() || self.output().is_draining()
    }

    /// Claims the oldest frame within the window, waiting at most `patience`. Frames beyond it are
    /// claimed where they stand in the way of older ones, and where a live stream stands still without
    /// them.
    ///
    /// # Errors
    /// As [`Consumer::claim`].
    pub fn claim(&mut self, patience: Duration) -> Result<Work, RingError> {
        let start = Instant::now();
        loop {
            self.output.seat().look_around()?;
            // At once, not when the last frame is done: a live reader need not wait for a worker
            // that sleeps with a frame in hand.
            self.copy_end()?;
            let limit = self.hand_limit_on();
            let found = self.take(limit)?;
            let is_beyond = matches!(found, Found::Beyond);
            match found {
                Found::Frame(grant) => {
                    // Whatever fails from here on, the frame goes to another worker.
                    let job = Job { input: Some(grant) };
                    // What is said of a frame is there before its output is.
                    if self.copy_descriptor()? {
                        match self.unless_done(job)? {
                            Some(job) => return Ok(Work::Frame(job)),
                            None => continue,
                        }
                    }
                }
                Found::Ended => {
                    // The end may have been stored since it was looked for above, and this worker
                    // may be the last one to see it.
                    if self.copy_end()? {
                        return Ok(Work::Ended);
                    }
                }
                Found::Beyond | Found::Nothing => {}
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Work::TimedOut);
            }
            if is_beyond {
                self.wait_for_window(left, limit);
            } else {
                self.input.wait_for_frame(left, limit);
            }
        }
    }

    /// Claims the oldest frame that may be processed. Those that no worker survives are passed on as
    /// they are; one that finds no room in time is given back.
    ///
    /// # Errors
    /// As [`Relay::claim`] and [`Relay::forward`].
    pub fn claim_harmless(&mut self, patience: Duration) -> Result<Work, RingError> {
        let start = Instant::now();
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let job = match self.claim(left)? {
                Work::Frame(job) if job.is_poison() => job,
                work => return Ok(work),
            };
            if let Forwarded::TimedOut(_) = self.forward(job, left)? {
                return Ok(Work::TimedOut);
            }
        }
    }

    /// Takes a slot of the output ring for a job's frame, waiting at most `patience`. The job's
    /// frame stays held meanwhile; monitors are told that the worker waits, since who waits for others
    /// does not hang.
    ///
    /// # Errors
    /// [`RingError::StillHolding`] when the last output is still out; otherwise as
    /// [`Relay::claim`].
    pub fn acquire(
        &mut self,
        job: &Job,
        patience: Duration,
    ) -> Result<Option<WriteGrant>, RingError> {
        let seq = self.feed.localise(job.seq());
        let output = self.output.acquire(seq, patience.min(LOOK_INTERVAL));
        if !matches!(output, Ok(None)) {
            return output;
        }
        self.wait_for_room(job, seq, patience.saturating_sub(LOOK_INTERVAL))
    }

    #[cold]
    fn wait_for_room(
        &mut self,
        job: &Job,
        seq: Seq,
        mut patience: Duration,
    ) -> Result<Option<WriteGrant>, RingError> {
        loop {
            job.waits();
            if patience.is_zero() {
                return Ok(None);
            }
            let step = patience.min(LOOK_INTERVAL);
            if let Some(output) = self.output.acquire(seq, step)? {
                return Ok(Some(output));
            }
            patience -= step;
        }
    }

    /// Publishes a job's output, and only then releases its input.
    ///
    /// # Errors
    /// As [`WriteGrant::commit`]; the input is given back then.
    pub fn publish(
        &mut self,
        mut job: Job,
        output: WriteGrant,
        record: Record,
    ) -> Result<Seq, RingError> {
        let seq = output.commit(record)?;
        job.take().release()?;
        Ok(seq)
    }

    /// Passes a job's frame on as it is, metadata included, and marks it as unprocessed: what
    /// becomes of a frame that no worker survives. Waits at most `patience` for a slot.
    ///
    /// # Errors
    /// [`RingError::PayloadTooLarge`] when the output's slots are smaller than the frame; otherwise
    /// as [`Relay::acquire`] and [`Relay::publish`]. The frame is given back then.
    pub fn forward(&mut self, job: Job, patience: Duration) -> Result<Forwarded, RingError> {
        match self.acquire(&job, patience)? {
            Some(output) => self.forward_into(job, output).map(Forwarded::Done),
            None => Ok(Forwarded::TimedOut(job)),
        }
    }

    /// The same, into a slot that was acquired already.
    ///
    /// # Errors
    /// As [`Relay::forward`].
    pub fn forward_into(&mut self, job: Job, mut output: WriteGrant) -> Result<Seq, RingError> {
        let record = Record { unprocessed: true, ..*job.record() };
        self.output.ring().check_room(&record)?;
        output.bytes_mut()[..record.payload_bytes].copy_from_slice(job.bytes());
        output.meta_mut()[..record.meta_bytes].copy_from_slice(job.meta());
        self.publish(job, output, record)
    }

    /// Gives a job's frame to another worker because it could not be processed here. A frame that
    /// fails again and again is treated as one that kills its workers.
    ///
    /// # Errors
    /// As [`ReadGrant::fail`](crate::ReadGrant::fail).
    pub fn fail(&mut self, mut job: Job) -> Result<(), RingError> {
        let failed = job.take().fail();
        self.wake_window();
        failed
    }

    /// Puts a job's frame back for another worker: what dropping the job does, with its errors.
    ///
    /// # Errors
    /// As [`ReadGrant::give_back`](crate::ReadGrant::give_back).
    pub fn give_back(&mut self, mut job: Job) -> Result<(), RingError> {
        let given = job.take().give_back();
        self.wake_window();
        given
    }

    /// Ends a job without an output: readers of the output ring won't wait for it.
    ///
    /// # Errors
    /// As [`ReadGrant::release`](crate::ReadGrant::release).
    pub fn skip(&mut self, mut job: Job) -> Result<(), RingError> {
        job.take().release()?;
        self.output.ring().ring_groups(0xff);
        Ok(())
    }

    /// Takes the oldest frame below `limit`; any, where those beyond stand in the way, or where a live
    /// stream stands still without them.
    fn take(&mut self, limit: u64) -> Result<Found, RingError> {
        let found = self.input.take(limit)?;
        let is_beyond = matches!(found, Found::Beyond);
        if self.has_stood_still(is_beyond && limit > 0)
            || (is_beyond && self.input.keeps_out_a_frame_below(limit)?)
        {
            return self.input.take(NO_LIMIT);
        }
        Ok(found)
    }

    /// The limit of the output ring in the input ring's numbers, which those who feed us keep to.
    fn limit(&self) -> u64 {
        let first = self.feed.localise(Seq::FIRST).raw();
        // An output ring that still finishes an older lineage lets nothing of this one in, but
        // for the first frames, which its reader comes to next.
        match self.output.ring().limit() {
            NO_LIMIT => NO_LIMIT,
            limit => limit.saturating_sub(first),
        }
    }

    /// Tells those who feed us the limit.
    fn hand_limit_on(&self) -> u64 {
        let (input, group) = (self.input.ring(), self.input.group());
        loop {
            let limit = self.limit();
            if input.group(group).limit.load(Ordering::Relaxed) == limit {
                return limit;
            }
            // Looked at again: it may have fallen since, and who was stopped in between would undo
            // what others have told.
            input.set_limit(group, limit);
            input.ring_producers();
        }
    }

    /// Releases a frame whose output exists already: its last worker died between publishing the
    /// one and releasing the other.
    fn unless_done(&self, mut job: Job) -> Result<Option<Job>, RingError> {
        let local = self.feed.localise(job.seq());
        if job.is_redelivered() && self.output.ring().has_seen(local) {
            job.take().release()?;
            return Ok(None);
        }
        Ok(Some(job))
    }

    /// Wakes the workers that wait for the window: a frame that is below the limit is to be had again.
    fn wake_window(&self) {
        self.output.ring().ring_producers();
    }

    fn wait_for_window(&self, timeout: Duration, limit: u64) {
        let bell = &self.output.ring().header().producers_bell;
        // Somebody may have given back the very frame that the window waits for.
        let ready = || self.limit() > limit || self.input.oldest_pending(limit).is_some();
        bell.wait(self.output.seat().id(), timeout.min(LOOK_INTERVAL), ready);
    }
}
