//! Producers: they acquire slots and publish frames.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use framelane_shm::ShmError;

use crate::entry::Role;
use crate::failpoint::failpoint;
use crate::grant::WriteGrant;
use crate::ring::Ring;
use crate::seat::{Hold, LOOK_INTERVAL, Seat};
use crate::{Policy, RingError, Seq, monotonic_ns};

/// How often an overwrite is tried anew because a consumer was faster.
const OVERWRITE_TRIES: u32 = 64;

/// A participant that publishes frames.
#[derive(Debug)]
pub(crate) struct Producer {
    seat: Arc<Seat>,
    /// The slot of the frame before, if it was a free one.
    last: Option<u32>,
}

impl Producer {
    pub(crate) fn join(ring: Ring) -> Result<Self, RingError> {
        Ok(Self { seat: Arc::new(Seat::join(ring, Role::Producer)?), last: None })
    }

    pub(crate) fn ring(&self) -> &Ring {
        self.seat.ring()
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Takes a slot for the frame `seq`, waiting at most `patience`; `None` when there was none.
    pub(crate) fn acquire(
        &mut self,
        seq: Seq,
        patience: Duration,
    ) -> Result<Option<WriteGrant>, RingError> {
        let start = Instant::now();
        let hold = self.seat.hold()?;
        loop {
            let now_ns = self.seat.look_around()?;
            if let Some(slot) = self.take_slot(&hold, now_ns)? {
                return Ok(Some(WriteGrant::new(hold, slot, seq)));
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.wait_for_slot(left.min(LOOK_INTERVAL));
        }
    }

    fn take_slot(&mut self, hold: &Hold, now_ns: u64) -> Result<Option<u32>, RingError> {
        let policy = self.ring().policy();
        if policy == Policy::Block && !self.ring().has_groups() {
            return Ok(None);
        }
        if let Some(slot) = self.take_free(hold, now_ns)? {
            return Ok(Some(slot));
        }
        if policy == Policy::DropOldest
            && let Some(slot) = self.take_oldest(hold, now_ns)?
        {
            return Ok(Some(slot));
        }
        self.sweep_at_once()?;
        self.take_free(hold, monotonic_ns())
    }

    /// Frees the slots that wait for groups which have left, unless the tables are locked: whoever
    /// has locked them may be stopped, and the next try comes soon.
    fn sweep_at_once(&self) -> Result<(), RingError> {
        let (ring, id) = (self.seat.ring(), self.seat.id());
        match ring.with_tool(|tool| ring.sweep_inactive(tool, id, Duration::ZERO)) {
            Err(RingError::Shm(ShmError::LockHeld { .. })) => Ok(()),
            other => other,
        }
    }

    /// Takes the lowest free slot, which is the likeliest to be in a cache still, but not the one of
    /// the frame before unless there is no other.
    fn take_free(&mut self, hold: &Hold, now_ns: u64) -> Result<Option<u32>, RingError> {
        let (ring, id, last) = (self.seat.ring(), self.seat.id(), self.last);
        // That frame is what observers see until there is a newer one, also if this producer dies
        // while it writes.
        let others = (0..ring.slots()).filter(|slot| Some(*slot) != last);
        for slot in others.chain(last) {
            if ring.word(slot).is_free() {
                hold.starts_at(now_ns);
                if ring.swing(slot, |word| word.acquire(id))?.is_some() {
                    failpoint("acquire.edge");
                    self.last = Some(slot);
                    return Ok(Some(slot));
                }
            }
        }
        Ok(None)
    }

    /// Overwrites the oldest frame that nobody holds.
    fn take_oldest(&self, hold: &Hold, now_ns: u64) -> Result<Option<u32>, RingError> {
        let (ring, id) = (self.seat.ring(), self.seat.id());
        for _ in 0..OVERWRITE_TRIES {
            let overwritable = (0..ring.slots())
                .map(|slot| (slot, ring.word(slot)))
                .filter(|(_, word)| word.is_only_pending());
            let Some((slot, word)) = overwritable.min_by_key(|(slot, _)| ring.seq(*slot)) else {
                return Ok(None);
            };
            hold.starts_at(now_ns);
            if ring.overwrite_counted(id, slot, word)? {
                // Who waits for this very seq has to learn that it won't come.
                ring.ring_groups(word.pending_groups());
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    fn wait_for_slot(&self, timeout: Duration) {
        let ring = self.seat.ring();
        let ready = || {
            let waits_for_group = ring.policy() == Policy::Block && !ring.has_groups();
            !waits_for_group
                && (0..ring.slots()).map(|slot| ring.word(slot)).any(|word| {
                    word.is_free()
                        || (ring.policy() == Policy::DropOldest && word.is_only_pending())
                })
        };
        ring.header().producers_bell.wait(self.seat.id(), timeout, ready);
    }
}

impl Ring {
    /// The highest seq in any slot that nobody writes; what a slot in writing says is not so yet.
    pub(crate) fn highest_seq(&self) -> Option<Seq> {
        (0..self.slots())
            .filter(|&slot| !self.word(slot).is_writing())
            .filter_map(|slot| self.seq(slot))
            .max()
    }

    /// The seq after the last one that was published.
    pub(crate) fn next_seq(&self) -> Seq {
        Seq::from_raw(self.header().next.load(Ordering::Acquire)).unwrap_or(Seq::FIRST)
    }
}
