//! What a ring with its users looks like between two steps.

use super::books::{Entry, Line};
use super::cleaner::Clean;
use super::{FRAMES, GROUPS, NONE, SEATS, SLOTS};
use crate::claim::Word;
use crate::protocol::explorer::Step;

const NAMES: [&str; 4] = ["source", "consumer A", "consumer B", "reaper"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Source,
    Member(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) word: Word,
    pub(super) seq: u8,
    /// The two halves of the payload: each holds the seq of the frame it belongs to.
    pub(super) halves: [u8; 2],
}

/// What became of a frame in a group. Known to the checker, not to the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Unborn,
    Published,
    Delivered,
    Dropped,
}

/// Where a process is: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// Not started, or dead.
    Away,
    Left,
    Enters,
    Cleans {
        seat: u8,
        next: Clean,
    },
    /// The source looks for its first seq.
    Numbers {
        slot: u8,
        first: u8,
    },
    StoresFirst,
    Acquires,
    Writes {
        slot: u8,
        seq: u8,
        half: u8,
    },
    WritesDown {
        slot: u8,
        seq: u8,
    },
    WritesRecord(Entry),
    StoresNext {
        seq: u8,
    },
    /// Whoever is at a counted edge.
    Swings(Entry),
    Copies(Entry),
    Closes(Entry, bool),
    /// A consumer that looks for a frame; also the reaper that looks for the dead.
    Looks,
    Reads {
        slot: u8,
        half: u8,
    },
    /// A consumer that looks whether its group is done.
    Asks {
        slot: u8,
    },
    AsksHolders {
        slot: u8,
        word: Word,
    },
    AsksAgain {
        slot: u8,
        word: Word,
    },
    AsksEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) at: At,
    pub(super) seat: u8,
    /// Where a source began.
    pub(super) first: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) slots: [Slot; SLOTS as usize],
    pub(super) next: u8,
    pub(super) end: u8,
    pub(super) lines: [Line; SEATS as usize],
    /// Which process has the lock of a seat.
    pub(super) locks: [u8; SEATS as usize],
    pub(super) processes: [Process; 4],
    pub(super) deaths: u8,
    pub(super) fates: [[Fate; FRAMES]; GROUPS],
    pub(super) wrong: Option<&'static str>,
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
            state.processes[process].at = at;
            change(state);
        });
    }

    pub(super) fn seat(&self) -> u8 {
        self.state.processes[self.process].seat
    }
}

impl State {
    pub(super) fn word(&self, slot: u8) -> Word {
        self.slots[usize::from(slot)].word
    }

    pub(super) fn set_word(&mut self, slot: u8, word: Word) {
        self.slot(slot).word = word;
        if word.is_free() {
            // Nobody reads what lies in a free slot, but for the seq.
            self.slot(slot).halves = [NONE; 2];
        }
    }

    /// The seq of the source's next frame.
    pub(super) fn next_seq(&self) -> u8 {
        self.processes[super::SOURCE].first.max(self.next)
    }

    pub(super) fn slot(&mut self, slot: u8) -> &mut Slot {
        &mut self.slots[usize::from(slot)]
    }

    pub(super) fn line(&mut self, seat: u8) -> &mut Line {
        &mut self.lines[usize::from(seat)]
    }

    /// The kernel drops the locks of a process that is gone.
    pub(super) fn unlock_all(&mut self, process: usize) {
        for lock in self.locks.iter_mut().filter(|lock| usize::from(**lock) == process) {
            *lock = NONE;
        }
    }
}
