//! What a ring's groups look like between two steps.

use super::{LEAVES, SLOTS};
use crate::claim::Word;
use crate::protocol::explorer::Step;

const NAMES: [&str; 4] = ["producer", "group X", "group Y", "other group"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) word: Word,
    pub(super) seq: u8,
    /// Which group had bit 1 when the frame was published; 0 for none.
    pub(super) reign: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Edge {
    Publish,
    Sweep,
}

/// What a participant writes down before a counted edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) edge: Edge,
    pub(super) slot: u8,
    pub(super) seq: u8,
    pub(super) groups: u8,
    /// The counter for bit 1 after the edge.
    after: u8,
}

/// A participant's line: the counters for bit 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) journal: Option<Entry>,
    published: u8,
    dropped: u8,
}

impl Line {
    pub(super) fn copy(&mut self) {
        let Some(entry) = self.journal.filter(|entry| entry.groups & (1 << LEAVES) != 0) else {
            return;
        };
        *self.counter(entry.edge) = entry.after;
    }

    fn counter(&mut self, edge: Edge) -> &mut u8 {
        match edge {
            Edge::Publish => &mut self.published,
            Edge::Sweep => &mut self.dropped,
        }
    }
}

/// What a process does next, or what is done in the line of a dead one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    Acquires,
    ReadsActive {
        slot: u8,
    },
    WritesDown {
        slot: u8,
        groups: u8,
    },
    LooksAgain {
        slot: u8,
    },
    Publishes {
        slot: u8,
        reign: u8,
    },
    Copies,
    Closes,
    Member,
    WantsToLeave,
    Deactivates,
    FreesBit,
    FreesEntry,
    Joins,
    WaitsForQuiet {
        seat: u8,
        swept: bool,
    },
    Enters,
    Activates,
    /// Whoever clears the bits of an inactive group.
    Sweeps {
        slot: u8,
        joins: bool,
    },
    SweepsSlot {
        slot: u8,
        joins: bool,
    },
    SweepCopies {
        slot: u8,
        joins: bool,
    },
    SweepCloses {
        slot: u8,
        joins: bool,
    },
    Dead,
    DeadCloses,
    DeadSettled,
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) slots: [Slot; SLOTS as usize],
    pub(super) active: u8,
    /// Whether bit 1 belongs to a group.
    pub(super) used: bool,
    /// Whose group is active on bit 1; known to the checker.
    pub(super) reign: u8,
    /// Who has the tables lock.
    pub(super) tables: u8,
    pub(super) lines: [Line; 3],
    pub(super) at: [At; 3],
    pub(super) entered: [bool; 3],
    pub(super) published: u8,
    /// Frames that were claimed through bit 1.
    pub(super) delivered: u8,
    pub(super) deaths: u8,
    pub(super) wrong: Option<&'static str>,
}

impl State {
    pub(super) fn word(&self, slot: u8) -> Word {
        self.slots[usize::from(slot)].word
    }

    pub(super) fn slot(&mut self, slot: u8) -> &mut Slot {
        &mut self.slots[usize::from(slot)]
    }

    /// Published less delivered, dropped and pending, for bit 1.
    pub(super) fn imbalance(&self) -> i32 {
        let pending = self.slots.iter().filter(|slot| slot.word.is_pending(LEAVES)).count();
        let books: i32 =
            self.lines.iter().map(|line| i32::from(line.published) - i32::from(line.dropped)).sum();
        books - i32::from(self.delivered) - i32::try_from(pending).expect("a few slots")
    }
}

/// Collects what a process can do next.
pub(super) struct Steps<'a> {
    pub(super) state: &'a State,
    pub(super) process: usize,
    pub(super) found: &'a mut Vec<(Step, State)>,
}

impl Steps<'_> {
    pub(super) fn add(&mut self, what: &'static str, to: u8, change: impl FnOnce(&mut State)) {
        let mut next = self.state.clone();
        change(&mut next);
        self.found.push((Step { who: NAMES[self.process], what, to }, next));
    }

    /// A step that leads the process to `at`.
    pub(super) fn go(
        &mut self,
        what: &'static str,
        to: u8,
        at: At,
        change: impl FnOnce(&mut State),
    ) {
        let process = self.process;
        self.add(what, to, |state| {
            state.at[process] = at;
            change(state);
        });
    }

    /// Writes down a counted edge.
    pub(super) fn write_down(&mut self, edge: Edge, slot: u8, groups: u8, at: At) {
        let process = self.process;
        self.go("writes down an edge of slot", slot, at, |state| {
            let seq = state.slot(slot).seq;
            let line = &mut state.lines[process];
            let after = *line.counter(edge) + 1;
            line.journal = Some(Entry { edge, slot, seq, groups, after });
        });
    }
}
