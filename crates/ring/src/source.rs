//! The source of a ring: the one producer that numbers the frames.

use std::sync::atomic::Ordering;
use std::time::Duration;

use framelane_shm::SegmentName;

use crate::books::Tally;
use crate::failpoint::failpoint;
use crate::grant::WriteGrant;
use crate::layout::SOURCE_BYTE;
use crate::producer::Producer;
use crate::ring::Ring;
use crate::{RingConfig, RingError, Seq};

/// A producer that gives frames their seq. A ring has at most one; a kernel lock sees to it.
#[derive(Debug)]
pub struct Source {
    producer: Producer,
    /// Where this source began; a header that says less was spoiled.
    first: Seq,
}

impl Source {
    /// Makes the ring, or joins the one that is there and goes on with its numbers.
    ///
    /// # Errors
    /// [`RingError::SourceTaken`] when another source lives, [`RingError::HasFeed`] when workers
    /// publish to the ring, [`RingError::Ended`] when the ring of an earlier stream still has users,
    /// [`RingError::Draining`] when they are asked to stop, [`RingError::PayloadTooLarge`] when an
    /// existing ring's slots are too small; otherwise what creating and opening can meet.
    pub fn attach(name: &SegmentName, config: &RingConfig) -> Result<Self, RingError> {
        let ring = Ring::create_or_open(name, config, |_| (), |_| false, |_| true)?;
        let source = Self::join(ring)?;
        let (ring, slots, policy) =
            (source.ring().name(), source.ring().slots(), source.ring().policy());
        if (slots, policy) != (config.slots, config.policy) {
            tracing::warn!(ring, slots, %policy, "the ring is there already, and stays as it is");
        }
        Ok(source)
    }

    /// Becomes the source of a ring that is open already.
    ///
    /// # Errors
    /// [`RingError::SourceTaken`] when another source lives, [`RingError::HasFeed`] when workers
    /// publish to the ring, [`RingError::Ended`] when the stream has ended.
    pub fn join(ring: Ring) -> Result<Self, RingError> {
        if ring.end().is_some() {
            return Err(RingError::Ended(ring.name().to_owned()));
        }
        let producer = Producer::join(ring)?;
        lock_source(&producer)?;
        let ring = producer.ring();
        // Another source may have ended the stream since.
        if ring.end().is_some() {
            return Err(RingError::Ended(ring.name().to_owned()));
        }
        // What a source that died was writing is discarded.
        ring.reap()?;
        // It may have published a frame whose successor it did not store: what the slots say counts,
        // too.
        let first = ring.highest_seq().map_or(Seq::FIRST, Seq::next).max(ring.next_seq());
        // Stored before anything is acquired, so that the next source counts from it as well.
        ring.header().next.fetch_max(first.raw(), Ordering::AcqRel);
        failpoint("source.numbered");
        Ok(Self { producer, first })
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        self.producer.ring()
    }

    /// The seq that the next frame gets.
    pub fn next_seq(&self) -> Seq {
        // The last grant may have been committed or given up since; the header knows.
        self.first.max(self.ring().next_seq())
    }

    /// Presentation time and arrival of the newest frame in the ring, both in nanoseconds: where a
    /// source that takes over goes on. `None` when nothing was published yet.
    pub fn last_frame(&self) -> Option<(i64, u64)> {
        let ring = self.ring();
        let newest = (0..ring.slots())
            .filter(|&slot| !ring.word(slot).is_writing())
            .filter_map(|slot| ring.seq(slot).map(|seq| (seq, slot)))
            .max();
        let record = ring.read_record(newest?.1).ok()?;
        Some((record.pts_ns, record.received_ns))
    }

    /// Starts a new epoch: the source has reconnected, or its format has changed.
    pub fn start_epoch(&mut self) -> u32 {
        self.ring().header().epoch.fetch_add(1, Ordering::Relaxed);
        self.ring().epoch()
    }

    /// Takes a slot for the next frame, waiting at most `patience`; `None` when there was none.
    /// The seq is used up only by a commit, or by [`Source::skip`].
    ///
    /// # Errors
    /// [`RingError::StillHolding`] when the last grant is still out, [`RingError::LostSeat`] and
    /// [`RingError::Corrupt`].
    pub fn acquire(&mut self, patience: Duration) -> Result<Option<WriteGrant>, RingError> {
        let next = self.next_seq();
        self.producer.acquire(next, patience)
    }

    /// Uses up a seq for a frame that found no slot: readers won't wait for it.
    ///
    /// # Errors
    /// [`RingError::StillHolding`] when a grant for this very seq is out.
    pub fn skip(&mut self) -> Result<(), RingError> {
        if self.producer.seat().is_holding() {
            return Err(RingError::StillHolding);
        }
        let ring = self.producer.ring();
        ring.header().next.fetch_max(self.next_seq().next().raw(), Ordering::AcqRel);
        ring.tally(self.producer.seat().id(), Tally::NoSlot, 1);
        ring.ring_groups(0xff);
        Ok(())
    }

    /// Ends the stream for good: no frame may come after those that were published.
    pub fn end(&self) {
        self.ring().store_end(self.ring().next_seq());
    }
}

/// Makes a producer the source, under the lock under which a ring gets a feed: it has one of the two.
fn lock_source(producer: &Producer) -> Result<(), RingError> {
    let ring = producer.ring();
    ring.with_tool(|tool| {
        ring.with_tables(tool, || {
            if ring.has_feed() {
                let feed = ring.feed().map_or_else(|| "another".to_owned(), |feed| feed.ring);
                return Err(RingError::HasFeed { ring: ring.name().to_owned(), feed });
            }
            if !producer.seat().try_lock_also(SOURCE_BYTE)? {
                return Err(RingError::SourceTaken(ring.name().to_owned()));
            }
            Ok(())
        })
    })
}
