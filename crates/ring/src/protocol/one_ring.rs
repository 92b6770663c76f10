//! One ring: a source, consumers in one or two groups, and somebody who reaps.
//!
//! A process that dies may be started again; its seat is cleaned by the reaper, who may die as
//! well, or by the next owner. Groups stay: how they leave is the model `groups`. Who looks for a
//! slot may take any that would do, not only the best one: that is more than the real code does.

mod books;
mod cleaner;
mod consumer;
mod source;
#[cfg(test)]
mod tests;

use self::books::{Entry, Line};
use self::cleaner::Clean;
use super::explorer::{Model, Step};
use crate::claim::Word;

const SLOTS: u8 = 2;
const GROUPS: usize = 2;
const FRAMES: usize = 3;
const SEATS: u8 = 4;
const SOURCE: usize = 0;
const REAPER: usize = 3;
const NAMES: [&str; 4] = ["source", "consumer A", "consumer B", "reaper"];

/// No seq, no seat, no process.
const NONE: u8 = u8::MAX;

/// The rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weak {
    Nothing,
    /// A new source counts from the header alone.
    NextFromHeader,
    /// A new source counts what is still being written, too.
    NextFromWriting,
    /// A new source does not store where it begins.
    FirstNotStored,
    /// A consumer reads the end after it has looked at the slots.
    EndReadLast,
    /// A consumer leaves when nothing is pending, whatever others hold.
    HoldersForgotten,
    /// A reaper sees that a lock is free, but does not take it.
    ReaperWithoutLock,
    /// A reaper takes back the slots before it settles the books.
    BooksLast,
    /// Counters are bumped after their edge, and nothing is written down before.
    NoJournal,
    /// Who joins writes its own entry before it cleans.
    EntryFirst,
    /// Who discards a slot leaves the seq in its record.
    SeqNotWiped,
}

#[derive(Clone, Copy, Debug)]
struct OneRing {
    frames: u8,
    /// The group of each consumer.
    members: &'static [u8],
    drop_oldest: bool,
    deaths: u8,
    /// Whether the members' books are kept, too.
    books: bool,
    /// Whether consumers that died are started again; a source always is.
    restart: bool,
    weak: Weak,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Source,
    Member(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    word: Word,
    seq: u8,
    /// The two halves of the payload: each holds the seq of the frame it belongs to.
    halves: [u8; 2],
}

/// What became of a frame in a group. Known to the checker, not to the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Unborn,
    Published,
    Delivered,
    Dropped,
}

/// Where a process is: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
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
    WritesRecord {
        slot: u8,
        seq: u8,
    },
    WritesDown {
        slot: u8,
        seq: u8,
    },
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
struct Process {
    at: At,
    seat: u8,
    /// Where a source began.
    first: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    slots: [Slot; SLOTS as usize],
    next: u8,
    end: u8,
    lines: [Line; SEATS as usize],
    /// Which process has the lock of a seat.
    locks: [u8; SEATS as usize],
    processes: [Process; 4],
    deaths: u8,
    fates: [[Fate; FRAMES]; GROUPS],
    wrong: Option<&'static str>,
}

/// Collects what a process can do next.
struct Steps<'a> {
    state: &'a State,
    process: usize,
    found: &'a mut Vec<(Step, State)>,
}

impl Steps<'_> {
    fn add(&mut self, what: &'static str, to: u8, change: impl FnOnce(&mut State)) {
        let mut next = self.state.clone();
        change(&mut next);
        self.found.push((Step { who: NAMES[self.process], what, to }, next));
    }

    /// A step that leads the process to `at`.
    fn go(&mut self, what: &'static str, to: u8, at: At, change: impl FnOnce(&mut State)) {
        let process = self.process;
        self.add(what, to, |state| {
            state.processes[process].at = at;
            change(state);
        });
    }

    fn seat(&self) -> u8 {
        self.state.processes[self.process].seat
    }
}

impl State {
    fn word(&self, slot: u8) -> Word {
        self.slots[usize::from(slot)].word
    }

    fn set_word(&mut self, slot: u8, word: Word) {
        self.slot(slot).word = word;
        if word.is_free() {
            // Nobody reads what lies in a free slot, but for the seq.
            self.slot(slot).halves = [NONE; 2];
        }
    }

    fn slot(&mut self, slot: u8) -> &mut Slot {
        &mut self.slots[usize::from(slot)]
    }

    fn line(&mut self, seat: u8) -> &mut Line {
        &mut self.lines[usize::from(seat)]
    }

    /// The kernel drops the locks of a process that is gone.
    fn unlock_all(&mut self, process: usize) {
        for lock in self.locks.iter_mut().filter(|lock| usize::from(**lock) == process) {
            *lock = NONE;
        }
    }
}

impl OneRing {
    fn role(&self, process: usize) -> Option<Role> {
        match process {
            SOURCE => Some(Role::Source),
            REAPER => None,
            consumer => Some(Role::Member(self.members[consumer - 1])),
        }
    }

    /// One bit for each group.
    fn groups(&self) -> u8 {
        self.members.iter().fold(0, |groups, group| groups | (1 << group))
    }

    /// The source has two seats to choose from, and each consumer may get another one's.
    fn seats(&self, process: usize) -> std::ops::Range<u8> {
        let consumers = u8::try_from(self.members.len()).expect("two at most");
        if process == SOURCE { 0..2 } else { 2..2 + consumers }
    }

    fn starts(&self, steps: &mut Steps<'_>) {
        let (state, process) = (steps.state, steps.process);
        let wanted = if process == SOURCE { state.end == NONE } else { self.restart };
        for seat in self.seats(process).filter(|_| wanted) {
            if state.locks[usize::from(seat)] == NONE {
                let first = Clean::first(self.weak);
                let at = match self.weak {
                    Weak::EntryFirst => At::Enters,
                    _ => At::Cleans { seat, next: first },
                };
                steps.go("is started again, and locks seat", seat, at, |state| {
                    state.locks[usize::from(seat)] = u8::try_from(process).expect("small");
                    state.processes[process].seat = seat;
                });
            }
        }
    }

    fn dies(&self, steps: &mut Steps<'_>) {
        let (state, process) = (steps.state, steps.process);
        let at = if process == REAPER { At::Looks } else { At::Away };
        if state.deaths > 0 && state.processes[process].at != at {
            steps.go("is killed", NONE, at, |state| {
                state.deaths -= 1;
                state.unlock_all(process);
                state.processes[process].seat = NONE;
                state.processes[process].first = 0;
            });
        }
    }
}

impl Model for OneRing {
    type State = State;

    fn start(&self) -> State {
        let slot = Slot { word: Word::FREE, seq: NONE, halves: [NONE; 2] };
        let mut state = State {
            slots: [slot; SLOTS as usize],
            next: 0,
            end: NONE,
            lines: [Line::default(); SEATS as usize],
            locks: [NONE; SEATS as usize],
            processes: [Process { at: At::Left, seat: NONE, first: 0 }; 4],
            deaths: self.deaths,
            fates: [[Fate::Unborn; FRAMES]; GROUPS],
            wrong: None,
        };
        state.processes[REAPER].at = At::Looks;
        for process in 0..=self.members.len() {
            let seat = self.seats(process).start + u8::from(process == 2);
            let at = if process == SOURCE { At::Acquires } else { At::Looks };
            state.processes[process] = Process { at, seat, first: 0 };
            state.locks[usize::from(seat)] = u8::try_from(process).expect("small");
            state.line(seat).role = self.role(process);
        }
        state
    }

    fn steps(&self, state: &State) -> Vec<(Step, State)> {
        let mut found = Vec::new();
        for process in SOURCE..=REAPER {
            let steps = &mut Steps { state, process, found: &mut found };
            match state.processes[process].at {
                At::Left => continue,
                At::Away => {
                    self.starts(steps);
                    continue;
                }
                At::Cleans { seat, next } => self.cleans(steps, seat, next),
                At::Enters => self.enters(steps),
                At::Swings(entry) => self.swings(steps, entry),
                At::Copies(entry) => self.copies(steps, entry),
                At::Closes(entry, happened) => self.closes(steps, entry, happened),
                at if process == SOURCE => self.source(steps, at),
                _ if process == REAPER => self.reaps(steps),
                at => self.consumer(steps, at),
            }
            self.dies(steps);
        }
        found
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        state.wrong.or_else(|| if self.is_over(state) { self.unbalanced(state) } else { None })
    }

    fn is_finished(&self, state: &State) -> bool {
        self.is_over(state)
    }
}

impl OneRing {
    /// Everybody is gone, and everything is free.
    fn is_over(&self, state: &State) -> bool {
        let gone = |process: &Process| matches!(process.at, At::Left | At::Away);
        state.end != NONE
            && state.processes[..REAPER].iter().all(gone)
            && state.processes[REAPER].at == At::Looks
            && state.lines.iter().all(|line| !line.has_left_something())
            && state.slots.iter().all(|slot| slot.word.is_free())
    }
}
