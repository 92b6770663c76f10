//! Counted edges and what becomes of frames: the module `books` of the ring.

use super::{At, Fate, NONE, OneRing, Role, SOURCE, State, Steps, Weak};
use crate::claim::Word;

pub(super) const TAKEN_AWAY: &str = "a slot is taken from its living holder";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Edge {
    Publish,
    Overwrite,
    Release,
}

/// What a participant writes down before a counted edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) edge: Edge,
    pub(super) slot: u8,
    pub(super) seq: u8,
    pub(super) groups: u8,
    /// The counters after the edge.
    pub(super) after: [u8; super::GROUPS],
    /// The word that an overwrite starts from.
    expected: Word,
}

/// A participant's line: counters for published, dropped and delivered frames of each group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) role: Option<Role>,
    pub(super) journal: Option<Entry>,
    pub(super) counters: [[u8; super::GROUPS]; 3],
}

impl Line {
    pub(super) fn has_left_something(&self) -> bool {
        self.role.is_some() || self.journal.is_some()
    }

    pub(super) fn copy(&mut self, entry: Entry) {
        for group in (0..super::GROUPS).filter(|group| entry.groups & (1 << group) != 0) {
            self.counters[entry.edge.counter()][group] = entry.after[group];
        }
    }
}

impl Edge {
    fn counter(self) -> usize {
        match self {
            Self::Publish => 0,
            Self::Overwrite => 1,
            Self::Release => 2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publishes slot",
            Self::Overwrite => "overwrites slot",
            Self::Release => "releases slot",
        }
    }
}

impl State {
    /// Notes what became of a frame.
    pub(super) fn decide(&mut self, groups: u8, seq: u8, fate: Fate) {
        let before = if fate == Fate::Published { Fate::Unborn } else { Fate::Published };
        for group in (0..super::GROUPS).filter(|group| groups & (1 << group) != 0) {
            let Some(old) = self.fates[group].get_mut(usize::from(seq)) else {
                self.wrong = Some("a frame has a seq that nobody gave");
                return;
            };
            if *old != before {
                self.wrong = Some(match fate {
                    Fate::Published => "a seq is given twice",
                    _ => "a frame is dealt with twice in a group",
                });
            }
            *old = fate;
        }
        let skipped = |fates: &[Fate]| {
            fates.windows(2).any(|two| two[0] == Fate::Unborn && two[1] != Fate::Unborn)
        };
        if self.fates.iter().any(|fates| skipped(fates)) {
            self.wrong = Some("a seq is skipped");
        }
    }
}

impl OneRing {
    /// Writes down a counted edge; the next step is the edge, or a publish's record.
    pub(super) fn write_down(
        &self,
        steps: &mut Steps<'_>,
        edge: Edge,
        (slot, seq): (u8, u8),
        groups: u8,
    ) {
        let seat = steps.seat();
        let counters = steps.state.lines[usize::from(seat)].counters[edge.counter()];
        let expected = steps.state.word(slot);
        let after = counters.map(|counter| counter + 1);
        let entry = Entry { edge, slot, seq, groups, after, expected };
        let journal = (self.weak != Weak::NoJournal).then_some(entry);
        let then = if edge == Edge::Publish { At::WritesRecord(entry) } else { At::Swings(entry) };
        steps.go("writes down an edge of slot", slot, then, |state| {
            state.line(seat).journal = journal;
        });
    }

    /// The counted edge itself.
    pub(super) fn swings(&self, steps: &mut Steps<'_>, entry: Entry) {
        let (word, seat) = (steps.state.word(entry.slot), steps.seat());
        let after = match entry.edge {
            Edge::Publish => word.publish(seat, entry.groups),
            Edge::Overwrite if word != entry.expected => None,
            Edge::Overwrite => word.overwrite(seat),
            Edge::Release => word.release(seat),
        };
        match after {
            Some(after) => steps.go(entry.edge.name(), entry.slot, At::Copies(entry), |state| {
                let old = state.slots[usize::from(entry.slot)].seq;
                match entry.edge {
                    Edge::Publish => state.decide(entry.groups, entry.seq, Fate::Published),
                    Edge::Overwrite => state.decide(entry.groups, old, Fate::Dropped),
                    Edge::Release => state.decide(entry.groups, old, Fate::Delivered),
                }
                state.set_word(entry.slot, after);
            }),
            None => {
                steps.go("comes too late for slot", entry.slot, At::Closes(entry, false), |state| {
                    if entry.edge != Edge::Overwrite {
                        state.wrong = Some(TAKEN_AWAY);
                    }
                })
            }
        }
    }

    pub(super) fn copies(&self, steps: &mut Steps<'_>, entry: Entry) {
        let seat = steps.seat();
        steps.go("copies its counters", seat, At::Closes(entry, true), |state| {
            state.line(seat).copy(entry);
        });
    }

    pub(super) fn closes(&self, steps: &mut Steps<'_>, entry: Entry, happened: bool) {
        let (seat, slot) = (steps.seat(), entry.slot);
        let at = match entry.edge {
            Edge::Publish => At::StoresNext { seq: entry.seq },
            Edge::Overwrite if happened => {
                At::Writes { slot, seq: steps.state.next_seq(), half: 0 }
            }
            Edge::Overwrite => At::Acquires,
            Edge::Release => At::Looks,
        };
        steps.go("closes its journal", seat, at, |state| state.line(seat).journal = None);
    }

    /// A promise about the whole stream that was not kept, once all is over.
    pub(super) fn unbalanced(&self, state: &State) -> Option<&'static str> {
        debug_assert!(state.processes[SOURCE].seat == NONE);
        for &group in self.members {
            let group = usize::from(group);
            let fates = &state.fates[group][..usize::from(self.frames)];
            if fates.iter().any(|fate| matches!(fate, Fate::Unborn | Fate::Published)) {
                return Some("a frame is lost");
            }
            let count = |wanted| fates.iter().filter(|&&fate| fate == wanted).count();
            if !self.books {
                continue;
            }
            let real = [fates.len(), count(Fate::Dropped), count(Fate::Delivered)];
            let sum = |counter: usize| -> usize {
                state.lines.iter().map(|line| usize::from(line.counters[counter][group])).sum()
            };
            if [sum(0), sum(1), sum(2)] != real {
                return Some("the books are wrong");
            }
        }
        None
    }
}
