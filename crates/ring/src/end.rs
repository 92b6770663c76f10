//! The end of a stream: a number, the seq after the last one.
//!
//! The source stores it once; a worker copies it to its output ring as soon as it sees it, before
//! the frames have come. What is over when is a question of its own:
//!
//! | question | asked by |
//! |---|---|
//! | [`end`](Ring::end): has the source said how many frames there are? | all |
//! | [`is_empty`](Ring::is_empty): is every slot free? More may come from upstream | `is_over`; who follows a feed without a name |
//! | [`is_over`](Ring::is_over): that, and nothing may come? | who takes the ring's name |
//! | [`end_went_to`](Ring::end_went_to): has this group finished, and to which ring did it pass the end? | a worker that comes late |
//!
//! A group that passes frames on owes the end to its output ring from when its first worker joins
//! until one of them has handed it on. The debt outlives the group, since groups of a live ring go
//! with their last member, and keeps the ring's name: the next worker of the group finds the end
//! there. To which ring it was paid is remembered for as long as the group has its bit.

use std::sync::atomic::Ordering;

use crate::Seq;
use crate::failpoint::failpoint;
use crate::feed::Upstream;
use crate::ring::Ring;

impl Ring {
    /// The seq after the last one, once the stream has ended.
    pub fn end(&self) -> Option<Seq> {
        Seq::from_raw(self.header().end.load(Ordering::Acquire))
    }

    /// Stores the end, if nobody has, and tells everybody.
    pub(crate) fn store_end(&self, end: Seq) {
        let stored = self.header().end.compare_exchange(
            Seq::NONE,
            end.raw(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        failpoint("end.stored");
        if stored.is_ok() {
            self.ring_everybody();
        }
    }

    /// Notes that a group has to hand the end on.
    pub(crate) fn owe_end(&self, group: u8) {
        self.header().owing_groups.fetch_or(1 << group, Ordering::SeqCst);
    }

    /// Notes to which ring a group hands the end on. It is so noted before it does: a ring without an
    /// end keeps its name, and so nobody comes too late for it.
    pub(crate) fn note_handing_on(&self, group: u8, to: &Self) {
        let [instance, _] = to.instance();
        self.group(group).handed_on.store(instance, Ordering::Release);
        failpoint("end.noted");
    }

    /// Notes that a group's bit is another group's by now, which has handed nothing on.
    pub(crate) fn forget_handing_on(&self, group: u8) {
        self.group(group).handed_on.store(0, Ordering::Release);
    }

    /// Notes that a group owes the end to nobody.
    pub(crate) fn settle_end(&self, group: u8) {
        let owing = &self.header().owing_groups;
        if owing.load(Ordering::Acquire) & 1 << group != 0 {
            owing.fetch_and(!(1 << group), Ordering::SeqCst);
        }
        failpoint("end.settled");
    }

    /// Whether some group has yet to hand the end on: this ring alone knows of it then.
    pub(crate) fn owes_end(&self) -> bool {
        self.header().owing_groups.load(Ordering::SeqCst) & 0xff != 0
    }

    /// Whether this group has.
    pub(crate) fn group_owes_end(&self, group: u8) -> bool {
        self.header().owing_groups.load(Ordering::SeqCst) & 1 << group != 0
    }

    /// The ring to which a group of this name has handed the end on, by the first word of its
    /// instance, once the group has done its part. It may have had one bit after the other.
    pub(crate) fn end_went_to(&self, name: &[u64; 4]) -> Option<u64> {
        let end = self.end()?;
        let handed_on = |group| self.group(group).handed_on.load(Ordering::Acquire);
        let ring = self.bits_of(name).map(handed_on).find(|&instance| instance != 0)?;
        let done =
            self.has_come_to(end) && !self.bits_of(name).any(|group| self.is_group_busy(group));
        done.then_some(ring)
    }

    /// Whether every slot is free, but for what waits for groups that have left.
    pub(crate) fn is_empty(&self) -> bool {
        let active = self.header().active_groups.load(Ordering::Acquire);
        (0..self.slots()).map(|slot| self.word(slot)).all(|word| {
            let gone = u64::from(word.pending_groups()) & active == 0;
            word.is_free() || (word.is_only_pending() && gone)
        })
    }

    /// Whether the stream has ended, nothing may still arrive, and nothing is left in the slots.
    pub fn is_over(&self) -> bool {
        self.end().is_some_and(|end| self.has_come_to(end)) && self.is_empty()
    }

    /// Whether no frame before `end` may still arrive.
    fn has_come_to(&self, end: Seq) -> bool {
        let coming = Upstream::default().first_arriving(self, Seq::FIRST);
        coming.is_ok_and(|coming| coming >= end)
    }
}
