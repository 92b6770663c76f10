//! The ordered consumer: it takes frames strictly by seq, and holds only the one in hand.
//!
//! Its cursor stands in the group's entry, so that a successor goes on where it stopped. It is
//! stored after the frame was dealt with and before the claim ends: at worst one frame is taken
//! again after a death, and none is lost.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::books::{DropReason, Tally};
use crate::clock::{recent_ns, tick_ns};
use crate::consumer::Consumer;
use crate::entry::Membership;
use crate::failpoint::failpoint;
use crate::feed::Upstream;
use crate::grant::ReadGrant;
use crate::group_name::GroupName;
use crate::ring::Ring;
use crate::seat::LOOK_INTERVAL;
use crate::{Policy, RingError, Seq};

/// How many seqs that were passed over are remembered, to tell a late frame from a copy.
const REMEMBERED: usize = 4096;

/// How many frames and gaps are passed over in one call before it looks at the clock: a segment
/// that lies may always have another one.
const TURN_TRIES: u64 = 1000;

const HAS_GRANT: &str = "a frame has its grant until it is done";

/// What a wait for the next frame led to.
#[derive(Debug)]
pub enum Turn {
    /// The next frame in order.
    Frame(OrderedFrame),
    /// The stream has ended, and every frame had its turn.
    Ended,
    /// The next frame did not come in time.
    TimedOut,
}

/// The one member of an ordered group.
#[derive(Debug)]
pub struct OrderedConsumer {
    consumer: Consumer,
    upstream: Upstream,
    max_wait: Option<Duration>,
    passed_over: BTreeSet<Seq>,
}

/// A frame whose turn it is.
#[derive(Debug)]
#[must_use = "a frame that is not done is given back"]
pub struct OrderedFrame {
    grant: Option<ReadGrant>,
    group: u8,
}

/// What lies in the ring's slots for the group.
#[derive(Debug, Default)]
struct Ready {
    /// The oldest frame at or after the cursor, its slot, and since when it is there.
    first: Option<(Seq, u32, u64)>,
    /// A slot with a frame before the cursor.
    stale: Option<u32>,
    /// The oldest frame that a dead predecessor still holds.
    held: Option<Seq>,
}

impl OrderedConsumer {
    /// Becomes the member of an ordered group, which is made if it isn't there.
    ///
    /// # Errors
    /// [`RingError::GroupTaken`] when it has a living member, [`RingError::GroupKind`] when the
    /// group is shared; otherwise as [`Consumer::join`].
    pub fn join(ring: Ring, group: &GroupName) -> Result<Self, RingError> {
        Ok(Self {
            consumer: Consumer::join_as(ring, group, Membership::Ordered)?,
            upstream: Upstream::default(),
            max_wait: None,
            passed_over: BTreeSet::new(),
        })
    }

    /// Passes over frames that are not there when a later one has been ready for so long. Only on
    /// drop-oldest rings; a block ring waits for as long as a frame may come.
    pub fn set_max_wait(&mut self, max_wait: Option<Duration>) {
        self.max_wait = max_wait.filter(|_| self.ring().policy() == Policy::DropOldest);
    }

    /// Drops frames that are older than this when their turn comes.
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.consumer.set_max_age(max_age);
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        self.consumer.ring()
    }

    /// The seq that is waited for.
    pub fn cursor(&self) -> Seq {
        let cursor = self.ring().group(self.consumer.group()).cursor.load(Ordering::Acquire);
        Seq::from_raw(cursor).unwrap_or(Seq::FIRST)
    }

    /// Takes the next frame, waiting at most `patience`. Frames that can no longer arrive are
    /// passed over and counted.
    ///
    /// # Errors
    /// As [`Consumer::claim`].
    pub fn next(&mut self, patience: Duration) -> Result<Turn, RingError> {
        if self.consumer.seat().is_holding() {
            return Err(RingError::StillHolding);
        }
        let start = Instant::now();
        for tries in 0_u64.. {
            if tries >= TURN_TRIES && start.elapsed() >= patience {
                break;
            }
            let now_ns = self.consumer.seat().look_around()?;
            // Read before anything is looked for: frames before the end may still be coming.
            let end = self.ring().end();
            let cursor = self.cursor();
            let ready = self.look(cursor);
            if let Some(slot) = ready.stale {
                self.drop_stale(slot, cursor, now_ns)?;
                continue;
            }
            if end.is_some_and(|end| cursor >= end) {
                return Ok(Turn::Ended);
            }
            if let Some(frame) = self.take_turn(cursor, &ready, now_ns)? {
                return Ok(Turn::Frame(frame));
            }
            if self.cursor() == cursor && !self.pass_over(cursor, end)? {
                let left = patience.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Ok(Turn::TimedOut);
                }
                self.wait(left, cursor)?;
            }
        }
        Ok(Turn::TimedOut)
    }

    fn look(&self, cursor: Seq) -> Ready {
        let (ring, group) = (self.ring(), self.consumer.group());
        let mut ready = Ready::default();
        for slot in (0..ring.slots()).filter(|&slot| ring.is_in_group(slot, group)) {
            let Some(seq) = ring.seq(slot) else { continue };
            if !ring.word(slot).is_pending(group) {
                ready.held = Some(ready.held.map_or(seq, |held| held.min(seq)));
            } else if seq < cursor {
                ready.stale = Some(slot);
            } else if ready.first.is_none_or(|(first, _, _)| seq < first) {
                let since = ring.record(slot).published_ns.load(Ordering::Relaxed);
                ready.first = Some((seq, slot, since));
            }
        }
        ready
    }

    /// Claims the frame at the cursor, if it is there and worth having.
    fn take_turn(
        &mut self,
        cursor: Seq,
        ready: &Ready,
        now_ns: u64,
    ) -> Result<Option<OrderedFrame>, RingError> {
        let Some((_, slot, _)) = ready.first.filter(|(seq, _, _)| *seq == cursor) else {
            return Ok(None);
        };
        let Some(mut grant) = self.consumer.claim_slot(slot, cursor.next().raw(), now_ns)? else {
            return Ok(None);
        };
        if grant.seq() != cursor {
            // The slot holds an even older frame by now: the next look drops it.
            grant.give_back()?;
            return Ok(None);
        }
        if let Some(reason) = self.consumer.judge(&mut grant) {
            // As with a frame that is emitted: the cursor first, or the frame could be booked twice.
            self.set_cursor(cursor, cursor.next());
            grant.drop_as(reason)?;
            return Ok(None);
        }
        Ok(Some(OrderedFrame { grant: Some(grant), group: self.consumer.group() }))
    }

    /// Drops a frame whose turn is over: a copy of one that was delivered, or one that is late.
    fn drop_stale(&mut self, slot: u32, cursor: Seq, now_ns: u64) -> Result<(), RingError> {
        if let Some(grant) = self.consumer.claim_slot(slot, cursor.raw(), now_ns)? {
            let late = self.passed_over.remove(&grant.seq());
            grant.drop_as(if late { DropReason::Late } else { DropReason::Duplicate })?;
        }
        Ok(())
    }

    /// Moves the cursor past what won't come, or has been waited for long enough. `false` when
    /// there is nothing to do but wait.
    fn pass_over(&mut self, cursor: Seq, end: Option<Seq>) -> Result<bool, RingError> {
        // Upstream first, the own ring last: see the module `feed`.
        let coming = self.upstream.first_arriving(self.consumer.ring(), cursor)?;
        let ready = self.look(cursor);
        let here = ready.first.map(|(seq, _, _)| seq);
        let held = ready.held.filter(|seq| *seq >= cursor);
        let known = [Some(coming), here, held, end].into_iter().flatten();
        let settled = known.min().unwrap_or(coming);
        let (target, tally) = match (ready.first, self.max_wait) {
            _ if settled > cursor => (settled, Tally::Missing),
            (Some((seq, _, since)), Some(max_wait)) if seq > cursor => {
                // At least so long: both readings are as old as the last tick of the clock.
                let waited = recent_ns().saturating_sub(since).saturating_sub(tick_ns());
                if Duration::from_nanos(waited) < max_wait {
                    return Ok(false);
                }
                (seq, Tally::TimedOut)
            }
            _ => return Ok(false),
        };
        let passed = if target.lineage() == cursor.lineage() {
            target.number() - cursor.number()
        } else {
            0
        };
        self.ring().tally(self.consumer.seat().id(), tally, passed);
        if tally == Tally::TimedOut {
            for step in 0..passed.min(REMEMBERED as u64) {
                self.passed_over.insert(cursor.advanced(step));
            }
            while self.passed_over.len() > REMEMBERED {
                self.passed_over.pop_first();
            }
        }
        self.set_cursor(cursor, target);
        Ok(true)
    }

    fn set_cursor(&self, from: Seq, to: Seq) {
        let ring = self.ring();
        ring.group(self.consumer.group()).cursor.store(to.raw(), Ordering::Release);
        if to > from {
            ring.ring_producers();
        }
    }

    fn wait(&self, left: Duration, cursor: Seq) -> Result<(), RingError> {
        // Who died upstream may have held the very frame that is waited for.
        self.upstream.reap()?;
        self.upstream.wake_idle();
        let ring = self.ring();
        let ready = || {
            let ready = self.look(cursor);
            let is_over = ring.end().is_some_and(|end| cursor >= end);
            is_over || ready.stale.is_some() || ready.first.is_some_and(|(seq, _, _)| seq == cursor)
        };
        let bell = &ring.header().group_bells[usize::from(self.consumer.group())];
        bell.wait(self.consumer.seat().id(), left.min(self.wait_slice()), ready);
        Ok(())
    }

    fn wait_slice(&self) -> Duration {
        self.max_wait.map_or(LOOK_INTERVAL, |max_wait| {
            max_wait.clamp(Duration::from_millis(1), LOOK_INTERVAL)
        })
    }
}

impl OrderedFrame {
    /// The frame was dealt with: the cursor moves on, and the claim ends.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn done(mut self) -> Result<(), RingError> {
        self.advance(ReadGrant::release)
    }

    /// The frame is not wanted: the cursor moves on, and the frame counts as dropped.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn drop_as(mut self, reason: DropReason) -> Result<(), RingError> {
        self.advance(|grant| grant.drop_as(reason))
    }

    /// Puts the frame back because it could not be processed: as [`ReadGrant::fail`].
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn fail(mut self) -> Result<(), RingError> {
        self.grant.take().expect(HAS_GRANT).fail()
    }

    fn advance(
        &mut self,
        end_claim: impl FnOnce(ReadGrant) -> Result<(), RingError>,
    ) -> Result<(), RingError> {
        let grant = self.grant.take().expect(HAS_GRANT);
        let ring = grant.seat().ring();
        ring.group(self.group).cursor.store(grant.seq().next().raw(), Ordering::Release);
        failpoint("cursor.stored");
        ring.ring_producers();
        end_claim(grant)
    }
}

impl Deref for OrderedFrame {
    type Target = ReadGrant;

    fn deref(&self) -> &ReadGrant {
        self.grant.as_ref().expect(HAS_GRANT)
    }
}

impl Drop for OrderedFrame {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            // A corrupt word is found again by the next call that can return an error.
            let _ = grant.give_back();
        }
    }
}
