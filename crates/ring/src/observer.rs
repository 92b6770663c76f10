//! Observers: they look at the newest frame without taking it from anybody.

use std::sync::Arc;

use crate::entry::Role;
use crate::grant::ReadGrant;
use crate::ring::Ring;
use crate::seat::Seat;
use crate::{RingError, Seq};

/// How often the newest frame is looked for anew because it was overwritten meanwhile.
const TRIES: u32 = 100;

/// A participant that sees frames and consumes none. It holds a frame while it looks at it, so
/// that nobody writes there; it should not look for long.
#[derive(Debug)]
pub struct Observer {
    seat: Arc<Seat>,
}

impl Observer {
    /// Joins a ring as an observer.
    ///
    /// # Errors
    /// [`RingError::NoSeat`] when the ring is full, `NotFound` when it just lost its name.
    pub fn join(ring: Ring) -> Result<Self, RingError> {
        Ok(Self { seat: Arc::new(Seat::join(ring, Role::Observer)?) })
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        self.seat.ring()
    }

    /// The newest frame, also if every group is done with it, unless it isn't newer than `after`.
    ///
    /// # Errors
    /// [`RingError::StillHolding`] when the last grant is still out, [`RingError::LostSeat`], and
    /// [`RingError::Corrupt`] when the frame's record can't be trusted.
    pub fn newest(&mut self, after: Option<Seq>) -> Result<Option<ReadGrant>, RingError> {
        self.find(|seq| after.is_none_or(|after| seq > after))
    }

    /// The frame with this number, if it is still in a slot.
    ///
    /// # Errors
    /// As [`Observer::newest`].
    pub fn numbered(&mut self, number: u64) -> Result<Option<ReadGrant>, RingError> {
        self.find(|seq| seq.number() == number)
    }

    /// Holds the newest frame that is `wanted`.
    fn find(&mut self, wanted: impl Fn(Seq) -> bool) -> Result<Option<ReadGrant>, RingError> {
        let now_ns = self.seat.look_around()?;
        let (ring, id) = (self.seat.ring(), self.seat.id());
        for _ in 0..TRIES {
            let newest = (0..ring.slots())
                .filter(|&slot| !ring.word(slot).is_writing())
                .filter_map(|slot| ring.seq(slot).map(|seq| (seq, slot)))
                .filter(|(seq, _)| wanted(*seq))
                .max();
            let Some((seq, slot)) = newest else { return Ok(None) };
            let hold = self.seat.hold()?;
            hold.starts_at(now_ns);
            if ring.swing(slot, |word| word.observe(id))?.is_none() {
                continue;
            }
            // What was written here since the look is another frame.
            let same = ring.seq(slot) == Some(seq);
            let record = ring.read_record(slot);
            let held = record.as_ref().copied().unwrap_or_default();
            let grant = ReadGrant::new(hold, slot, None, seq, held, 1);
            if same {
                return record.map(|_| Some(grant));
            }
        }
        Ok(None)
    }
}
