//! The window: how far past the ordered groups' cursors a ring's producers may run ahead.
//!
//! Workers claim only frames below the limit, so whoever gets the oldest missing frame always
//! finds a slot for it in the output ring, whatever the others hold. An ordered group may still
//! hold the frame before its cursor, so it costs the window one slot.
//!
//! That holds only for groups that were there when a frame was claimed. So nothing is claimed for
//! a block ring that nobody reads yet, and a frame is not published to a group that sets a limit
//! but joined after the claim: a block ring full of frames beyond its limit would stand still.

use std::sync::atomic::Ordering;

use crate::Policy;
use crate::claim::{GROUPS, bits};
use crate::groups::NO_LIMIT;
use crate::ring::Ring;
use crate::seq::Seq;

/// What a ring's producers may claim from their feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first seq that must not be claimed yet; [`NO_LIMIT`] when any may.
    pub(crate) limit: u64,
    /// The groups that the limit takes into account, one bit for each.
    pub(crate) groups: u8,
}

impl Ring {
    /// The window as it is now.
    pub(crate) fn window(&self) -> Window {
        let groups = (0..GROUPS)
            .filter(|&group| self.is_group_used(group))
            .fold(0, |groups, group| groups | (1 << group));
        if groups == 0 && self.policy() == Policy::Block {
            return Window { limit: 0, groups };
        }
        Window { limit: self.limit_of(groups), groups }
    }

    fn limit_of(&self, groups: u8) -> u64 {
        let of_kind = |ordered: bool| {
            bits(groups.into()).filter(move |&group| self.is_group_ordered(group) == ordered)
        };
        let cursors =
            || of_kind(true).map(|group| self.group(group).cursor.load(Ordering::Acquire));
        let cursor = match self.policy() {
            Policy::Block => cursors().min(),
            Policy::DropOldest => cursors().max(),
        };
        let ordered = cursors().count() as u64;
        let window = u64::from(self.slots()).saturating_sub(ordered).max(1);
        let own = cursor.map_or(NO_LIMIT, |cursor| cursor.saturating_add(window));
        // Further down the chain others may be the ones who set the pace.
        let downstream =
            of_kind(false).map(|group| self.group(group).limit.load(Ordering::Acquire)).min();
        downstream.map_or(own, |limit| limit.min(own))
    }

    /// The groups to which a frame must not be published that was claimed when the window took
    /// only the groups `known` into account.
    pub(crate) fn groups_that_came_too_late(&self, known: u8) -> u8 {
        if self.policy() == Policy::DropOldest {
            return 0;
        }
        let limits = |group: u8| {
            self.is_group_ordered(group)
                || self.group(group).limit.load(Ordering::Acquire) != NO_LIMIT
        };
        bits((!known).into())
            .filter(|&group| limits(group))
            .fold(0, |groups, group| groups | (1 << group))
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
