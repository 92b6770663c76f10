//! One ring: a source, consumers in one or two groups, and somebody who reaps.
//!
//! A process that dies may be started again; its seat is cleaned by the reaper, who may die as
//! well, or by the next owner. Groups stay: how they leave is the model `groups`. Who looks for a
//! slot may take any that would do, not only the best one: that is more than the real code does.

mod books;
mod cleaner;
mod consumer;
mod source;
mod state;
mod tests;

use self::books::Line;
use self::cleaner::Clean;
use self::state::{At, Fate, Process, Role, Slot, State, Steps};
use super::explorer::{Model, Step};
use crate::claim::Word;

const SLOTS: u8 = 2;
const GROUPS: usize = 2;
const FRAMES: usize = 3;
const SEATS: u8 = 4;
const SOURCE: usize = 0;
const REAPER: usize = 3;
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
