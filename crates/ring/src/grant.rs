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
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use framelane_frame::{Geometry, PixelFormat};
use framelane_shm::ShmError;

use crate::books::{Counter, DropReason, Tally};
use crate::failpoint::failpoint;
use crate::ring::Ring;
use crate::seat::{Hold, Seat};
use crate::{Policy, RingError, Seq, monotonic_ns};

const DISCONTINUITY: u32 = 1;
const UNPROCESSED: u32 = 2;

/// What travels with a frame's payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Presentation time on the source's timeline, in nanoseconds.
    pub pts_ns: i64,
    /// When the frame's first byte arrived, CLOCK_MONOTONIC in nanoseconds; 0 if that is unknown.
    pub received_ns: u64,
    /// The source's epoch: it grows when the source reconnects or changes its format.
    pub epoch: u32,
    /// First frame after a jump of the source's own clock.
    pub discontinuity: bool,
    /// Passed on by a worker that did not process it.
    pub unprocessed: bool,
    /// Size and pixel format; `None` when the payload is no picture.
    pub geometry: Option<Geometry>,
    /// Bytes of the payload.
    pub payload_bytes: usize,
    /// Bytes of metadata.
    pub meta_bytes: usize,
}

impl Record {
    /// The record of a picture that fills its payload exactly.
    pub fn of_picture(geometry: Geometry, pts_ns: i64) -> Self {
        let payload_bytes = geometry.payload_bytes();
        Self { pts_ns, geometry: Some(geometry), payload_bytes, ..Self::default() }
    }
}

impl Ring {
    fn write_record(&self, slot: u32, seq: Seq, record: &Record) {
        let cells = self.record(slot);
        let side = |side: Option<u32>| side.unwrap_or(0);
        let geometry = record.geometry.as_ref();
        let flags = (if record.discontinuity { DISCONTINUITY } else { 0 })
            | (if record.unprocessed { UNPROCESSED } else { 0 });
        let stride = geometry.and_then(|geometry| u32::try_from(geometry.stride()).ok());
        cells.pts_ns.store(record.pts_ns, Ordering::Relaxed);
        cells.received_ns.store(record.received_ns, Ordering::Relaxed);
        cells.published_ns.store(monotonic_ns(), Ordering::Relaxed);
        cells.claims.store(0, Ordering::Relaxed);
        cells.epoch.store(record.epoch, Ordering::Relaxed);
        cells.flags.store(flags, Ordering::Relaxed);
        cells.width.store(side(geometry.map(Geometry::width)), Ordering::Relaxed);
        cells.height.store(side(geometry.map(Geometry::height)), Ordering::Relaxed);
        cells.stride.store(side(stride), Ordering::Relaxed);
        cells.pixel_format.store(side(geometry.map(|g| g.format().code())), Ordering::Relaxed);
        cells.payload_bytes.store(record.payload_bytes as u64, Ordering::Relaxed);
        cells.meta_bytes.store(record.meta_bytes as u64, Ordering::Relaxed);
        cells.seq.store(seq.raw(), Ordering::Release);
    }

    /// Reads a slot's record, and trusts none of it.
    pub(crate) fn read_record(&self, slot: u32) -> Result<Record, RingError> {
        let cells = self.record(slot);
        let size = |cell: &std::sync::atomic::AtomicU64, most: usize, what: &str| {
            let stated = cell.load(Ordering::Relaxed);
            usize::try_from(stated).ok().filter(|&bytes| bytes <= most).ok_or_else(|| {
                self.corrupt(format!("slot {slot} states {stated} bytes of {what}, {most} fit"))
            })
        };
        let payload_bytes = size(&cells.payload_bytes, self.payload_capacity(), "payload")?;
        let meta_bytes = size(&cells.meta_bytes, self.meta_capacity(), "metadata")?;
        let flags = cells.flags.load(Ordering::Relaxed);
        Ok(Record {
            pts_ns: cells.pts_ns.load(Ordering::Relaxed),
            received_ns: cells.received_ns.load(Ordering::Relaxed),
            epoch: cells.epoch.load(Ordering::Relaxed),
            discontinuity: flags & DISCONTINUITY != 0,
            unprocessed: flags & UNPROCESSED != 0,
            geometry: self.read_geometry(slot, payload_bytes)?,
            payload_bytes,
            meta_bytes,
        })
    }

    fn read_geometry(
        &self,
        slot: u32,
        payload_bytes: usize,
    ) -> Result<Option<Geometry>, RingError> {
        let cells = self.record(slot);
        let code = cells.pixel_format.load(Ordering::Relaxed);
        if code == 0 {
            return Ok(None);
        }
        let (width, height) =
            (cells.width.load(Ordering::Relaxed), cells.height.load(Ordering::Relaxed));
        let geometry = PixelFormat::from_code(code)
            .and_then(|format| Geometry::new(width, height, format).ok())
            .filter(|geometry| geometry.payload_bytes() == payload_bytes);
        geometry.map(Some).ok_or_else(|| {
            self.corrupt(format!(
                "slot {slot} states a picture of {width}x{height} in format {code} with \
                 {payload_bytes} bytes"
            ))
        })
    }

    /// Counts a claim of a group on a slot, and tells how often it has been claimed.
    pub(crate) fn count_claim(&self, slot: u32, group: u8) -> u8 {
        let shift = u32::from(group) * 8;
        let lane = |claims: u64| u8::try_from((claims >> shift) & 0xff).expect("8 bits are left");
        let add = |claims: u64| (lane(claims) < u8::MAX).then(|| claims + (1 << shift));
        let claims = &self.record(slot).claims;
        let before = claims.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        before.map_or(u8::MAX, |before| lane(before) + 1)
    }

    /// Takes back the count of a claim that its living holder gives back.
    fn uncount_claim(&self, slot: u32, group: u8) {
        let shift = u32::from(group) * 8;
        let subtract = |claims: u64| ((claims >> shift) & 0xff > 0).then(|| claims - (1 << shift));
        let claims = &self.record(slot).claims;
        let _ = claims.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }
}

/// The right to write one slot. Nothing is published unless it is committed.
#[must_use = "a grant publishes only when it is committed"]
#[derive(Debug)]
pub struct WriteGrant {
    hold: Hold,
    slot: u32,
    seq: Seq,
    /// The groups that were known when it was decided that there is room for the frame.
    known: u8,
    finished: bool,
}

impl WriteGrant {
    pub(crate) fn new(hold: Hold, slot: u32, seq: Seq) -> Self {
        Self { hold, slot, seq, known: u8::MAX, finished: false }
    }

    /// Keeps the frame from groups that set a limit and joined after it was claimed upstream.
    pub(crate) fn for_groups(mut self, known: u8) -> Self {
        self.known = known;
        self
    }

    /// The seq that the frame will have.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The slot, for [`Ring::payload_view`].
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

    /// Publishes the frame to all active groups.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the record states more than the slot holds, or when somebody
    /// took the slot away against the protocol, [`ShmError::Forked`] in a forked child; nothing is
    /// published then.
    pub fn commit(mut self, record: Record) -> Result<Seq, RingError> {
        let seat = self.hold.seat();
        let ring = seat.ring();
        if ring.segment().lost_by_fork() {
            return Err(ShmError::Forked.into());
        }
        ring.check_room(&record)?;
        if record.geometry.is_some_and(|geometry| geometry.payload_bytes() != record.payload_bytes)
        {
            let what = "a picture must fill its payload exactly";
            return Err(RingError::BadConfig(what.to_owned()));
        }
        if !ring.is_written_by(self.slot, seat.id()) {
            return Err(ring.corrupt(format!("slot {} was taken from its writer", self.slot)));
        }
        ring.write_record(self.slot, self.seq, &record);
        failpoint("record.written");
        seat.note_age(record.received_ns);
        seat.note_hold();
        let published = ring.publish_counted(seat.id(), self.slot, self.seq, self.known)?;
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

    /// The slot, for [`Ring::payload_view`].
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
        seat.note_hold();
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
