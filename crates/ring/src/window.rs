//! The window: how far past the ordered groups' cursors a ring's producers may run ahead.
//!
//! Workers claim only frames below the limit, so whoever gets the oldest missing frame always
//! finds a slot for it in the output ring, whatever the others hold. An ordered group may still
//! hold the frame before its cursor, so it costs the window one slot.

use std::sync::atomic::Ordering;

use crate::Policy;
use crate::claim::GROUPS;
use crate::groups::NO_LIMIT;
use crate::ring::Ring;
use crate::seq::Seq;

impl Ring {
    /// The first seq that producers of this ring must not claim from their feed yet; the largest
    /// number when there is no limit.
    pub(crate) fn limit(&self) -> u64 {
        let used = || (0..GROUPS).filter(|&group| self.is_group_used(group));
        let cursors: Vec<u64> = used()
            .filter(|&group| self.is_group_ordered(group))
            .map(|group| self.group(group).cursor.load(Ordering::Acquire))
            .collect();
        let ordered = u64::try_from(cursors.len()).unwrap_or(u64::MAX);
        let window = u64::from(self.slots()).saturating_sub(ordered).max(1);
        let cursor = match self.policy() {
            Policy::Block => cursors.into_iter().min(),
            Policy::DropOldest => cursors.into_iter().max(),
        };
        let own = cursor.map_or(NO_LIMIT, |cursor| cursor.saturating_add(window));
        // Further down the chain others may be the ones who set the pace.
        let downstream = used()
            .filter(|&group| !self.is_group_ordered(group))
            .map(|group| self.group(group).limit.load(Ordering::Acquire))
            .min();
        downstream.map_or(own, |limit| limit.min(own))
    }

    /// Whether a frame is in the ring, or was taken from it in its turn by every ordered group.
    pub(crate) fn has_seen(&self, seq: Seq) -> bool {
        // A free slot counts, too: it holds a frame that was published and dealt with.
        let in_slot = (0..self.slots())
            .any(|slot| self.seq(slot) == Some(seq) && !self.word(slot).is_writing());
        let mut ordered = (0..GROUPS).filter(|&group| self.is_group_ordered(group)).peekable();
        let has_ordered = ordered.peek().is_some();
        let passed = |group: u8| self.group(group).cursor.load(Ordering::Acquire) > seq.raw();
        in_slot || (has_ordered && ordered.all(passed))
    }
}
