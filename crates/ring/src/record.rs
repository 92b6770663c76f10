//! Records: what travels with a frame's payload, in its slot. What is read back is not trusted: every
//! size is checked against the slot, and every picture against its payload.

use std::sync::atomic::{AtomicU32, Ordering};

use framelane_frame::{Geometry, PixelFormat};

use crate::clock::recent_ns;
use crate::ring::Ring;
use crate::{RingError, Seq};

const DISCONTINUITY: u8 = 1;
const UNPROCESSED: u8 = 2;

/// Bits for each group's count of claims, which stops at the highest number they can hold.
const CLAIM_BITS: u32 = 4;
const CLAIMS_MAX: u32 = (1 << CLAIM_BITS) - 1;

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
    /// Writes what is known of a frame that is about to be published. Its sizes have been checked
    /// against the slot.
    pub(crate) fn write_record(&self, slot: u32, seq: Seq, record: &Record) {
        let cells = self.record(slot);
        let bytes = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let picture = record.geometry.map(|geometry| {
            let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
            let stride = u16::try_from(geometry.stride()).unwrap_or(u16::MAX);
            (side(geometry.width()), side(geometry.height()), stride, geometry.format().code())
        });
        let (width, height, stride, pixel_format) = picture.unwrap_or_default();
        let flags = (if record.discontinuity { DISCONTINUITY } else { 0 })
            | (if record.unprocessed { UNPROCESSED } else { 0 });
        cells.pts_ns.store(record.pts_ns, Ordering::Relaxed);
        cells.received_ns.store(record.received_ns, Ordering::Relaxed);
        cells.published_ns.store(recent_ns(), Ordering::Relaxed);
        cells.payload_bytes.store(bytes(record.payload_bytes), Ordering::Relaxed);
        cells.meta_bytes.store(bytes(record.meta_bytes), Ordering::Relaxed);
        cells.epoch.store(record.epoch, Ordering::Relaxed);
        cells.claims.store(0, Ordering::Relaxed);
        cells.width.store(width, Ordering::Relaxed);
        cells.height.store(height, Ordering::Relaxed);
        cells.stride.store(stride, Ordering::Relaxed);
        cells.pixel_format.store(pixel_format, Ordering::Relaxed);
        cells.flags.store(flags, Ordering::Relaxed);
        cells.seq.store(seq.raw(), Ordering::Release);
    }

    /// Reads a slot's record, and trusts none of it.
    pub(crate) fn read_record(&self, slot: u32) -> Result<Record, RingError> {
        let cells = self.record(slot);
        let size = |cell: &AtomicU32, most: usize, what: &str| {
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
        let (width, height) = (
            u32::from(cells.width.load(Ordering::Relaxed)),
            u32::from(cells.height.load(Ordering::Relaxed)),
        );
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
        let shift = u32::from(group) * CLAIM_BITS;
        let count = |claims: u32| (claims >> shift) & CLAIMS_MAX;
        let add = |claims: u32| (count(claims) < CLAIMS_MAX).then(|| claims + (1 << shift));
        let claims = &self.record(slot).claims;
        let before = claims.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        u8::try_from(before.map_or(CLAIMS_MAX, |before| count(before) + 1)).expect("a few bits")
    }

    /// Takes back the count of a claim that its living holder gives back.
    pub(crate) fn uncount_claim(&self, slot: u32, group: u8) {
        let shift = u32::from(group) * CLAIM_BITS;
        let subtract =
            |claims: u32| ((claims >> shift) & CLAIMS_MAX > 0).then(|| claims - (1 << shift));
        let claims = &self.record(slot).claims;
        let _ = claims.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }
}
