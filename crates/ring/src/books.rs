//! The books: counters that balance after any death.
//!
//! For each group, `published = delivered + dropped + pending + held` at any moment. A counter that
//! is bumped after its edge is wrong when the process dies in between. So each participant writes
//! down what it is about to do before a counted edge: the edge, the slot, and what the counters
//! will be. Whoever cleans up after it looks in the claim word whether the edge happened, and then
//! copies the counters, or doesn't. A line of counters has one writer: the owner of the id.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::claim::{Word, bits};
use crate::failpoint::failpoint;
use crate::journal::{CountedEdge, Entry};
use crate::layout::COUNTERS;
use crate::ring::Ring;
use crate::{Policy, Record, RingError, Seq};

/// How often a publish starts over because groups came or went: more than all participants
/// together could need.
const PUBLISH_TRIES: u32 = 10_000;

/// What a group's counters count. The numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Published,
    Delivered,
    Dropped(DropReason),
}

/// Why a frame that was published to a group was not delivered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// A producer had no free slot and overwrote it (drop-oldest).
    Overrun,
    /// It was older than the consumer's maximum age.
    Aged,
    /// It killed too many of its consumers and nobody could pass it on, or its record can't be read.
    Poison,
    /// The group left, or was forgotten.
    Left,
    /// It came after its turn had been given up.
    Late,
    /// It had been delivered before: a copy made when a worker died late.
    Duplicate,
    /// The consumer's output did not take it.
    Unsent,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::Overrun,
        Self::Aged,
        Self::Poison,
        Self::Left,
        Self::Late,
        Self::Duplicate,
        Self::Unsent,
    ];

    /// The reason's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Aged => "aged",
            Self::Poison => "poison",
            Self::Left => "left",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Unsent => "unsent",
        }
    }
}

impl Counter {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Published => 0,
            Self::Delivered => 1,
            Self::Dropped(DropReason::Overrun) => 2,
            Self::Dropped(DropReason::Aged) => 3,
            Self::Dropped(DropReason::Poison) => 4,
            Self::Dropped(DropReason::Left) => 5,
            Self::Dropped(DropReason::Late) => 6,
            Self::Dropped(DropReason::Duplicate) => 7,
            Self::Dropped(DropReason::Unsent) => 8,
        }
    }
}

/// Counters of a participant that belong to no group. The numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Frames that never got a slot.
    NoSlot,
    /// Slots that were acquired and given up.
    Aborted,
    /// Claims that were given back by their living holder.
    GivenBack,
    /// Claims that were given back for a dead holder.
    Redelivered,
    /// Seqs that an ordered group passed over because they could no longer arrive.
    Missing,
    /// Seqs that an ordered group passed over because it had waited long enough.
    TimedOut,
    /// Frames that were passed on unprocessed.
    Forwarded,
}

impl Tally {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::NoSlot => 0,
            Self::Aborted => 1,
            Self::GivenBack => 2,
            Self::Redelivered => 3,
            Self::Missing => 4,
            Self::TimedOut => 5,
            Self::Forwarded => 6,
        }
    }
}

fn members(groups: u8) -> impl Iterator<Item = usize> {
    bits(groups.into()).map(usize::from)
}

fn bump(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

impl Ring {
    /// Counts something that no balance depends on.
    pub(crate) fn tally(&self, id: u8, tally: Tally, by: u64) {
        bump(&self.line(id).tallies[tally.index()], by);
    }

    /// Publishes a slot to all active groups that have room for the frame, and tells which those
    /// were. `None` when the slot is not `id`'s to publish. The record is written just before the
    /// edge: both are in one cache line, which others may be looking at.
    pub(crate) fn publish_counted(
        &self,
        id: u8,
        slot: u32,
        seq: Seq,
        record: &Record,
    ) -> Result<Option<u8>, RingError> {
        let Some(groups) = self.write_down_publish(id, slot, seq) else {
            self.settle_own(id, false);
            return Err(self.corrupt("the active groups never stand still"));
        };
        failpoint("publish.journal");
        self.write_record(slot, seq, record);
        failpoint("record.written");
        let done = self.swing(slot, |word| word.publish(id, groups))?.is_some();
        failpoint("publish.edge");
        self.settle_own(id, done);
        failpoint("publish.settled");
        if done {
            self.header().next.fetch_max(seq.next().raw(), Ordering::AcqRel);
            failpoint("publish.next");
        }
        Ok(done.then_some(groups))
    }

    /// Writes down a publish to the active groups that have room, and tells which those are; `None`
    /// when they never stand still.
    fn write_down_publish(&self, id: u8, slot: u32, seq: Seq) -> Option<u8> {
        let active = &self.header().active_groups;
        let now = || u8::try_from(active.load(Ordering::SeqCst) & 0xff).expect("8 bits are left");
        // A source needs no window: its frames come in order, and wait for slots.
        let in_window = self.has_feed() && self.policy() == Policy::Block;
        let with_room = |active| if in_window { self.with_room(active, seq) } else { active };
        (0..PUBLISH_TRIES).find_map(|_| {
            let active = now();
            let groups = with_room(active);
            let counter = Counter::Published.index();
            let entry = Entry { edge: CountedEdge::Publish, groups, counter, slot };
            self.foretell(id, entry, seq);
            // SYNC POINT: who takes a group's bit anew waits until no journal has the bit. Either
            // it sees this entry, or this look sees that the group has left. An exchange, since a
            // fence takes four times as long.
            self.line(id).journal_edge.swap(entry.pack(), Ordering::SeqCst);
            // The same bit may be another group's by now, with less room.
            (now() == active && with_room(active) == groups).then_some(groups)
        })
    }

    /// Takes a slot from the groups in `expected`, counting a drop for each of them.
    pub(crate) fn overwrite_counted(
        &self,
        id: u8,
        slot: u32,
        expected: Word,
    ) -> Result<bool, RingError> {
        let counter = Counter::Dropped(DropReason::Overrun).index();
        let groups = expected.pending_groups();
        let seq = self.seq(slot).unwrap_or(Seq::FIRST);
        self.write_down(id, Entry { edge: CountedEdge::Overwrite, groups, counter, slot }, seq);
        let edge = |word: Word| if word == expected { word.overwrite(id) } else { None };
        let done = self.swing(slot, edge)?.is_some();
        failpoint("overwrite.edge");
        self.settle_own(id, done);
        Ok(done)
    }

    /// Lets go of a slot and counts that for its group. `None` when `id` did not hold it.
    pub(crate) fn release_counted(
        &self,
        id: u8,
        slot: u32,
        group: u8,
        counter: Counter,
        seq: Seq,
    ) -> Result<Option<Word>, RingError> {
        let (groups, counter) = (1 << group, counter.index());
        self.write_down(id, Entry { edge: CountedEdge::Release, groups, counter, slot }, seq);
        failpoint("release.journal");
        let done = self.swing(slot, |word| word.release(id))?;
        failpoint("release.edge");
        self.settle_own(id, done.is_some());
        failpoint("release.settled");
        Ok(done.map(|(_, after)| after))
    }

    /// Clears the bit of a group that is no longer active. The caller holds the tables lock.
    pub(crate) fn sweep_counted(&self, id: u8, slot: u32, group: u8) -> Result<bool, RingError> {
        let (groups, counter) = (1 << group, Counter::Dropped(DropReason::Left).index());
        let Some(seq) = self.seq(slot) else { return Ok(false) };
        self.write_down(id, Entry { edge: CountedEdge::Sweep, groups, counter, slot }, seq);
        let done = self.swing(slot, |word| word.sweep(group))?.is_some();
        self.settle_own(id, done);
        Ok(done)
    }

    /// Writes down a counted edge, before it happens.
    fn write_down(&self, id: u8, entry: Entry, seq: Seq) {
        self.foretell(id, entry, seq);
        // SYNC POINT: `settle`, after this process is dead, reads the entry first.
        self.line(id).journal_edge.store(entry.pack(), Ordering::Release);
    }

    /// Writes down what the counters will be after an edge, and of which frame.
    fn foretell(&self, id: u8, entry: Entry, seq: Seq) {
        let line = self.line(id);
        for group in members(entry.groups) {
            let count = line.counters[group][entry.counter].load(Ordering::Relaxed);
            line.journal_after[group].store(count.wrapping_add(1), Ordering::Relaxed);
        }
        line.journal_seq.store(seq.raw(), Ordering::Relaxed);
    }

    fn settle_own(&self, id: u8, happened: bool) {
        let line = self.line(id);
        if happened && let Some(entry) = Entry::unpack(line.journal_edge.load(Ordering::Relaxed)) {
            self.copy_counters(id, entry);
        }
        line.journal_edge.store(0, Ordering::Release);
    }

    fn copy_counters(&self, id: u8, entry: Entry) {
        let line = self.line(id);
        for group in members(entry.groups) {
            let after = line.journal_after[group].load(Ordering::Relaxed);
            line.counters[group][entry.counter].store(after, Ordering::Relaxed);
        }
    }

    /// Closes the journal of a dead participant, whose id the caller has locked, before its slots
    /// are touched: the claim word tells whether its last counted edge happened.
    pub(crate) fn settle(&self, id: u8) {
        let line = self.line(id);
        let entry = Entry::unpack(line.journal_edge.load(Ordering::Acquire));
        if let Some(entry) = entry.filter(|entry| entry.slot < self.slots()) {
            let seq = Seq::from_raw(line.journal_seq.load(Ordering::Relaxed));
            let word = self.word(entry.slot);
            let happened = match entry.edge {
                CountedEdge::Publish | CountedEdge::Release => !word.is_held_by(id),
                CountedEdge::Overwrite => word.is_writing() && word.is_held_by(id),
                CountedEdge::Sweep => {
                    word.pending_groups() & entry.groups == 0 || self.seq(entry.slot) != seq
                }
            };
            if happened {
                self.copy_counters(id, entry);
                if entry.edge == CountedEdge::Publish
                    && let Some(seq) = seq
                {
                    self.header().next.fetch_max(seq.next().raw(), Ordering::AcqRel);
                }
            }
        }
        line.journal_edge.store(0, Ordering::Release);
    }

    /// Whether anybody is between writing down a counted edge of `group` and having counted it; a
    /// producer may be so because it read the active groups earlier.
    pub(crate) fn is_at_an_edge(&self, group: u8) -> bool {
        (0..crate::claim::SEATS).any(|id| {
            let entry = Entry::unpack(self.line(id).journal_edge.load(Ordering::Acquire));
            entry.is_some_and(|entry| entry.groups & (1 << group) != 0)
        })
    }

    /// Whether somebody else wrote down that it sweeps this slot. To who holds the tables lock, that
    /// one is dead, and its books are not settled yet: the word has to stay as it is until then,
    /// or the same frame would be counted twice.
    pub(crate) fn is_sweep_unsettled(&self, id: u8, slot: u32, group: u8) -> bool {
        (0..crate::claim::SEATS).filter(|&other| other != id).any(|other| {
            let entry = Entry::unpack(self.line(other).journal_edge.load(Ordering::Acquire));
            entry.is_some_and(|entry| {
                entry.edge == CountedEdge::Sweep
                    && entry.slot == slot
                    && entry.groups & (1 << group) != 0
            })
        })
    }

    /// The sums over all participants of one group's counters.
    pub(crate) fn counter_sums(&self, group: u8) -> [u64; COUNTERS] {
        let mut sums = [0_u64; COUNTERS];
        for id in 0..crate::claim::SEATS {
            let counters = &self.line(id).counters[usize::from(group)];
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum = sum.wrapping_add(counter.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_entries_unpack_to_what_was_packed_and_nonsense_to_nothing() {
        let entry = Entry { edge: CountedEdge::Sweep, groups: 0x80, counter: 8, slot: 1023 };
        let back = Entry::unpack(entry.pack()).expect("a real entry");
        assert_eq!(
            (back.edge, back.groups, back.counter, back.slot),
            (CountedEdge::Sweep, 0x80, 8, 1023)
        );
        assert!(Entry::unpack(0).is_none());
        assert!(Entry::unpack(9).is_none());
        assert!(Entry::unpack(1 | (200 << 16)).is_none(), "a counter that doesn't exist");
    }

    #[test]
    fn each_reason_has_its_own_counter() {
        let mut indices: Vec<_> =
            DropReason::ALL.iter().map(|&reason| Counter::Dropped(reason).index()).collect();
        indices.extend([Counter::Published.index(), Counter::Delivered.index()]);
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), DropReason::ALL.len() + 2);
        assert!(indices.iter().all(|&index| index < COUNTERS));
    }
}
