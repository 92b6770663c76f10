//! Grants: the right to write or read one slot, and the only way to its bytes.
//!
//! A [`WriteGrant`] publishes only on [`commit`](WriteGrant::commit); dropped, it gives the slot
//! up, so that a half-written frame is never seen. A [`ReadGrant`] releases when it is dropped; in
//! a panicking thread it gives the frame back instead, and another consumer gets it.

#![expect(unsafe_code, reason = "a granted slot's bytes become a slice here")]
// UNSAFETY: A slice exists only inside a grant, while the claim word says that this participant
// holds the slot: alone, when it writes; with other readers, when it reads. The ranges are checked
// against the mapping. A peer that ignores the protocol can spoil the bytes, nothing else.

use std::slice;
use std::thread;
use std::time::Duration;

use framelane_shm::ShmError;

use crate::books::{Counter, DropReason, Tally};
use crate::failpoint::failpoint;
use crate::record::Record;
use crate::seat::{Hold, Seat};
use crate::{Policy, RingError, Seq, monotonic_ns};

/// The right to write one slot. Nothing is published unless it is committed.
#[must_use = "a grant publishes only when it is committed"]
#[derive(Debug)]
pub struct WriteGrant {
    hold: Hold,
    slot: u32,
    seq: Seq,
    finished: bool,
}

impl WriteGrant {
    pub(crate) fn new(hold: Hold, slot: u32, seq: Seq) -> Self {
        Self { hold, slot, seq, finished: false }
    }

    /// The seq that the frame will have.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The slot, for [`crate::Ring::payload_view`].
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The whole room for the payload: as many bytes as the ring's capacity. It holds whatever was
    /// there before.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let ring = self.hold.seat().ring();
        let (offset, bytes) = (ring.plan().payload(self.slot), ring.payload_capacity());
        let start = ring.memory().range(offset, bytes).expect("the plan fits the segment");
        // SAFETY: the claim word says that this participant alone has the slot until the grant is
        // finished, and the grant is borrowed mutably; the range was checked against the mapping.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), bytes) }
    }

    /// The whole room for metadata.
    pub fn meta_mut(&mut self) -> &mut [u8] {
        let ring = self.hold.seat().ring();
        let (offset, bytes) = (ring.plan().meta(self.slot), ring.meta_capacity());
        let start = ring.memory().range(offset, bytes).expect("the plan fits the segment");
        // SAFETY: as in `bytes_mut`.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), bytes) }
    }

    /// Publishes the frame to all active groups that have room for it.
    ///
    /// # Errors
    /// [`RingError::PayloadTooLarge`] and [`RingError::MetaTooLarge`] when the record states more
    /// than the slot holds, [`RingError::BadRecord`] when its picture does not fill the payload,
    /// [`RingError::Corrupt`] when somebody took the slot away against the protocol,
    /// [`ShmError::Forked`] in a forked child; nothing is published then.
    pub fn commit(mut self, record: Record) -> Result<Seq, RingError> {
        let seat = self.hold.seat();
        let ring = seat.ring();
        if ring.segment().lost_by_fork() {
            return Err(ShmError::Forked.into());
        }
        ring.check_room(&record)?;
        let payload = record.payload_bytes;
        if let Some(picture) = record.geometry.map(|geometry| geometry.payload_bytes())
            && picture != payload
        {
            return Err(RingError::BadRecord { ring: ring.name().to_owned(), picture, payload });
        }
        if !ring.is_written_by(self.slot, seat.id()) {
            return Err(ring.corrupt(format!("slot {} was taken from its writer", self.slot)));
        }
        let published = ring.publish_counted(seat.id(), self.slot, self.seq, &record)?;
        let groups = published
            .ok_or_else(|| ring.corrupt(format!("slot {} was taken from its writer", self.slot)))?;
        if record.unprocessed {
            ring.tally(seat.id(), Tally::Forwarded, 1);
        }
        ring.ring_groups(groups);
        if groups == 0 {
            ring.ring_producers();
        }
        failpoint("publish.rung");
        // After the frame is out: nobody waits for the histograms.
        let now_ns = monotonic_ns();
        seat.note_age(record.received_ns, now_ns);
        seat.note_hold(now_ns);
        self.finished = true;
        Ok(self.seq)
    }
}

impl Drop for WriteGrant {
    fn drop(&mut self) {
        let seat = self.hold.seat();
        if !self.finished && !seat.ring().segment().lost_by_fork() {
            // A word that is not ours any more needs no giving up.
            let _ = seat.ring().discard(seat.id(), self.slot);
        }
    }
}

/// The right to read one slot, until it is dropped.
#[derive(Debug)]
pub struct ReadGrant {
    hold: Hold,
    slot: u32,
    /// The group for which the frame was claimed; `None` for an observer.
    group: Option<u8>,
    seq: Seq,
    record: Record,
    claims: u8,
    poison: bool,
    finished: bool,
}

impl ReadGrant {
    pub(crate) fn new(
        hold: Hold,
        slot: u32,
        group: Option<u8>,
        seq: Seq,
        record: Record,
        claims: u8,
    ) -> Self {
        Self { hold, slot, group, seq, record, claims, poison: false, finished: false }
    }

    /// The frame's seq.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// What travels with the payload.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The slot, for [`crate::Ring::payload_view`].
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// How long ago the frame's first byte arrived; `None` when that is unknown.
    pub fn age(&self) -> Option<Duration> {
        let received_ns = self.record.received_ns;
        (received_ns != 0).then(|| Duration::from_nanos(monotonic_ns().saturating_sub(received_ns)))
    }

    /// Whether somebody claimed the frame before and died, so that its output may exist already.
    pub fn is_redelivered(&self) -> bool {
        self.claims > 1
    }

    /// Whether the frame has killed so many consumers that it must not be processed again.
    pub fn is_poison(&self) -> bool {
        self.poison
    }

    /// Notes that the holder waits for others.
    pub(crate) fn waits(&self) {
        self.hold.waits();
    }

    /// The seat that holds the frame.
    pub(crate) fn seat(&self) -> &Seat {
        self.hold.seat()
    }

    pub(crate) fn deaths(&self) -> u8 {
        self.claims.saturating_sub(1)
    }

    pub(crate) fn mark_poison(&mut self) {
        self.poison = true;
    }

    /// The payload.
    pub fn bytes(&self) -> &[u8] {
        let ring = self.hold.seat().ring();
        self.slice(ring.plan().payload(self.slot), self.record.payload_bytes)
    }

    /// The metadata that travels with the frame.
    pub fn meta(&self) -> &[u8] {
        let ring = self.hold.seat().ring();
        self.slice(ring.plan().meta(self.slot), self.record.meta_bytes)
    }

    fn slice(&self, offset: usize, bytes: usize) -> &[u8] {
        let ring = self.hold.seat().ring();
        let start = ring.memory().range(offset, bytes).expect("the plan fits the segment");
        // SAFETY: the claim word says that this participant holds the slot until the grant is
        // finished, so nobody writes it; the range was checked against the mapping, and the sizes
        // against the slot's capacity when the record was read.
        unsafe { slice::from_raw_parts(start.as_ptr(), bytes) }
    }

    /// Puts the frame back for another member of the group.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn give_back(mut self) -> Result<(), RingError> {
        if let Some(group) = self.group {
            self.hold.seat().ring().uncount_claim(self.slot, group);
        }
        self.put_back()
    }

    /// Puts the frame back because it could not be processed. That counts as a death of its
    /// holder would: a frame that fails again and again is treated as one that kills.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn fail(mut self) -> Result<(), RingError> {
        self.put_back()
    }

    /// Ends the claim and counts the frame as dropped.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn drop_as(mut self, reason: DropReason) -> Result<(), RingError> {
        self.finish(Counter::Dropped(reason))
    }

    /// Ends the claim and counts the frame as delivered; what a drop does, with its errors.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn release(mut self) -> Result<(), RingError> {
        self.finish(Counter::Delivered)
    }

    fn put_back(&mut self) -> Result<(), RingError> {
        let seat = self.hold.seat();
        let ring = seat.ring();
        self.finished = true;
        let Some(group) = self.group else {
            return ring.swing(self.slot, |word| word.release(seat.id())).map(|_| ());
        };
        if ring.swing(self.slot, |word| word.give_back(seat.id(), group))?.is_some() {
            failpoint("give_back.edge");
            ring.tally(seat.id(), Tally::GivenBack, 1);
            ring.ring_group(group);
        }
        Ok(())
    }

    fn finish(&mut self, counter: Counter) -> Result<(), RingError> {
        let seat = self.hold.seat();
        let ring = seat.ring();
        self.finished = true;
        if self.group.is_some() {
            seat.note_age(self.record.received_ns, seat.held_since_ns());
        }
        seat.note_hold(monotonic_ns());
        let after = match self.group {
            Some(group) => ring.release_counted(seat.id(), self.slot, group, counter, self.seq)?,
            None => ring.swing(self.slot, |word| word.release(seat.id()))?.map(|(_, after)| after),
        };
        let overwritable = ring.policy() == Policy::DropOldest;
        if after.is_some_and(|word| word.is_free() || (overwritable && word.is_only_pending())) {
            ring.ring_producers();
        }
        if ring.end().is_some() {
            // Those who wait for their group to be done with the last frame look again.
            ring.ring_everybody();
        }
        Ok(())
    }
}

impl Drop for ReadGrant {
    fn drop(&mut self) {
        if self.finished || self.hold.seat().ring().segment().lost_by_fork() {
            return;
        }
        // A corrupt word is found again by the next call that can return an error.
        let _ = if thread::panicking() { self.put_back() } else { self.finish(Counter::Delivered) };
    }
}
