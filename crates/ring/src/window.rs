//! The window: how far past the ordered groups' cursors a ring's producers may run ahead.
//!
//! Workers claim only frames below the limit of their output ring, so whoever gets the oldest
//! missing frame always finds a slot for it there, whichever of them the others hold. A group may
//! still hold the frame before its cursor, so that costs the window one slot: on a block ring one for
//! all, since what a faster group holds lies within the window of the slowest.
//!
//! On a drop-oldest ring the fastest of those who have a limit sets the pace, whether it is an ordered
//! group or a chain of workers further down: a slow one loses frames, and does not hold up the others.
//! There a worker may hold the oldest frame for long while all others below the limit are overwritten:
//! see `relay/standstill.rs`.
//!
//! An ordered group that joins late makes the limit fall: it may wait for a frame that is far
//! behind those that others have got long ago. Frames beyond the limit may be on their way then,
//! and must not stand in the way of that one. So a frame is not published to an ordered group that
//! has no room for it. And a worker takes frames beyond the limit nevertheless where they fill its
//! input ring while one below the limit is still to come to it: that one needs their slots.

use std::sync::atomic::Ordering;

use crate::Policy;
use crate::claim::{GROUPS, bits};
use crate::groups::NO_LIMIT;
use crate::ring::Ring;
use crate::seq::Seq;

impl Ring {
    /// The first seq that this ring's producers must not claim yet; [`NO_LIMIT`] when they may
    /// claim any. For a block ring that nobody reads yet they may claim nothing.
    pub(crate) fn limit(&self) -> u64 {
        let (mut slowest, mut fastest, mut ordered) = (NO_LIMIT, 0, 0);
        // Further down the chain others may be the ones who set the pace.
        let mut downstream = NO_LIMIT;
        let mut is_read = false;
        for group in (0..GROUPS).filter(|&group| self.is_group_used(group)) {
            is_read = true;
            if self.is_group_ordered(group) {
                let cursor = self.group(group).cursor.load(Ordering::Acquire);
                (slowest, fastest) = (cursor.min(slowest), cursor.max(fastest));
                ordered += 1;
            } else {
                let limit = self.group(group).limit.load(Ordering::Acquire);
                downstream = self.pace(downstream, limit);
            }
        }
        let (cursor, held) = match self.policy() {
            Policy::Block if !is_read => return 0,
            Policy::Block => (slowest, 1),
            Policy::DropOldest => (fastest, ordered),
        };
        if ordered == 0 {
            return downstream;
        }
        self.pace(downstream, cursor.saturating_add(self.room_beside(held)))
    }

    /// The limit of two that counts: that of the slowest reader where nothing may be lost, that of
    /// the fastest where a slow one must not hold up the others. No limit doesn't count.
    fn pace(&self, one: u64, other: u64) -> u64 {
        let (lower, higher) = (one.min(other), one.max(other));
        if self.policy() == Policy::Block || higher == NO_LIMIT { lower } else { higher }
    }

    /// Whether an ordered group, or a chain of workers further down, has no frame here to go on with.
    pub(crate) fn starves(&self) -> bool {
        let has_limit = |group| {
            let limit = self.group(group).limit.load(Ordering::Acquire);
            self.is_group_ordered(group) || limit != NO_LIMIT
        };
        let has_none = |group| (0..self.slots()).all(|slot| !self.word(slot).is_pending(group));
        (0..GROUPS).filter(|&group| self.is_group_used(group) && has_limit(group)).any(has_none)
    }

    /// How many slots a producer of a drop-oldest ring could take, and how many are being written.
    pub(crate) fn takeable_and_written(&self) -> (usize, usize) {
        let words = || (0..self.slots()).map(|slot| self.word(slot));
        let takeable = words().filter(|word| word.is_free() || word.is_only_pending());
        (takeable.count(), words().filter(|word| word.is_writing()).count())
    }

    /// How many frames from its cursor on an ordered group has room for, when `held` slots are held
    /// by groups that are done with the frame.
    fn room_beside(&self, held: u64) -> u64 {
        u64::from(self.slots()).saturating_sub(held).max(1)
    }

    /// The groups among `active` that have room for a frame, on a block ring.
    pub(crate) fn with_room(&self, active: u8, seq: Seq) -> u8 {
        let limit = |group| {
            let cursor = self.group(group).cursor.load(Ordering::Acquire);
            cursor.saturating_add(self.room_beside(1))
        };
        bits(active.into())
            .filter(|&group| !self.is_group_ordered(group) || seq.raw() < limit(group))
            .fold(0, |groups, group| groups | (1 << group))
    }

    /// Whether a producer has to wait until a reader has freed a slot.
    pub(crate) fn is_full(&self) -> bool {
        self.policy() == Policy::Block && !(0..self.slots()).any(|slot| self.word(slot).is_free())
    }

    /// Whether a frame is in the ring, or was taken from it in its turn by every ordered group.
    pub(crate) fn has_seen(&self, seq: Seq) -> bool {
        // A free slot counts, too: it holds a frame that was published and dealt with.
        let in_slot = (0..self.slots()).any(|slot| {
            let word = self.word(slot);
            // The same word before and after: what is being wiped after its writer's death was
            // never here.
            !word.is_writing() && self.seq(slot) == Some(seq) && self.word(slot) == word
        });
        let mut ordered = (0..GROUPS).filter(|&group| self.is_group_ordered(group)).peekable();
        let has_ordered = ordered.peek().is_some();
        let passed = |group: u8| self.group(group).cursor.load(Ordering::Acquire) > seq.raw();
        in_slot || (has_ordered && ordered.all(passed))
    }
}
