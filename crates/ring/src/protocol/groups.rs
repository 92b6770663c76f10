//! Groups: one leaves a ring, and another one takes its bit, while a producer publishes.
//!
//! Bit 0 belongs to a group that stays, bit 1 to group X, which leaves in order or by the death of
//! its member; group Y takes the bit after it. Nothing is overwritten, and a claim and its release
//! are one step: the model `one_ring` has both. Who is dead is cleaned up after step by step, in its
//! own line; the cleaner may die as well.

mod state;
mod sweep;
mod tests;

use self::state::{At, Edge, Line, Slot, State, Steps};
use super::explorer::{Model, Step};
use crate::claim::Word;

const SLOTS: u8 = 2;
const STAYS: u8 = 0;
const LEAVES: u8 = 1;
const PRODUCER: usize = 0;
/// The member of the group that has bit 1 at first.
const X: usize = 1;
/// The member of the group that takes bit 1 after it.
const Y: usize = 2;
/// A consumer of the group that stays.
const OTHER_SEAT: u8 = 3;
const NONE: u8 = u8::MAX;

/// The rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weak {
    Nothing,
    /// Who takes a bit does not wait until nobody is at an edge with it.
    NoQuiet,
    /// Who takes a bit does not clear what is left of it.
    LeftoversKept,
    /// A producer does not look at the active groups again after it wrote down what it publishes.
    NoSecondLook,
    /// Nobody clears what is published to a group after it has left.
    NobodySweeps,
    /// Who sweeps does not care for what somebody dead was about to sweep.
    SweepBeforeSettled,
}

#[derive(Clone, Copy, Debug)]
struct Groups {
    slots: u8,
    frames: u8,
    deaths: u8,
    /// Whether another group takes the bit.
    taken_again: bool,
    weak: Weak,
}

fn seat(process: usize) -> u8 {
    u8::try_from(process).expect("a few processes")
}

impl Groups {
    fn producer(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        match state.at[PRODUCER] {
            At::Acquires if state.published == self.frames => {
                steps.go("has published all", NONE, At::Gone, |_| ());
            }
            At::Acquires => {
                let free = (0..self.slots).find(|&slot| state.word(slot).is_free());
                match free.and_then(|slot| state.word(slot).acquire(0).map(|word| (slot, word))) {
                    Some((slot, word)) => {
                        steps.go("acquires slot", slot, At::ReadsActive { slot }, |state| {
                            state.slot(slot).word = word;
                            state.slot(slot).seq = state.published;
                        });
                    }
                    None => self.wants_to_sweep(steps),
                }
            }
            At::ReadsActive { slot } => {
                let groups = state.active;
                steps.go(
                    "reads the active groups",
                    groups,
                    At::WritesDown { slot, groups },
                    |_| (),
                );
            }
            At::WritesDown { slot, groups } => {
                let at = match self.weak {
                    Weak::NoSecondLook => At::Publishes { slot, reign: state.reign },
                    _ => At::LooksAgain { slot },
                };
                steps.write_down(Edge::Publish, slot, groups, at);
            }
            At::LooksAgain { slot } => {
                let groups = state.lines[PRODUCER].journal.map_or(0, |entry| entry.groups);
                let at = if groups == state.active {
                    At::Publishes { slot, reign: state.reign }
                } else {
                    At::ReadsActive { slot }
                };
                steps.go("looks at the active groups again", state.active, at, |_| ());
            }
            At::Publishes { slot, reign } => {
                let groups = state.lines[PRODUCER].journal.map_or(0, |entry| entry.groups);
                let after = state.word(slot).publish(0, groups);
                steps.go("publishes slot", slot, At::Copies, |state| {
                    state.slot(slot).word = after.expect("it is being written");
                    state.slot(slot).reign = reign;
                    state.published += 1;
                });
            }
            At::Copies => steps.go("copies its counters", NONE, At::Closes, |state| {
                state.lines[PRODUCER].copy();
            }),
            At::Closes => steps.go("closes its journal", NONE, At::Acquires, |state| {
                state.lines[PRODUCER].journal = None;
            }),
            _ => self.sweeps(steps),
        }
    }

    fn member(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        match state.at[me] {
            At::Member => {
                self.claims(steps, me);
                if me == X {
                    steps.go("wants to leave", NONE, At::WantsToLeave, |_| ());
                }
            }
            At::WantsToLeave if state.tables == NONE => {
                steps.go("locks the tables", NONE, At::Deactivates, |state| {
                    state.tables = seat(me);
                });
            }
            At::Deactivates => {
                let at = At::Sweeps { slot: 0, joins: false };
                steps.go("clears the active bit", NONE, at, |state| {
                    state.active &= !(1 << LEAVES);
                    state.reign = 0;
                });
            }
            At::FreesBit => steps.go("frees the bit", NONE, At::FreesEntry, |state| {
                state.used = false;
            }),
            At::FreesEntry => steps.go("frees its entry, and unlocks", NONE, At::Gone, |state| {
                state.entered[me] = false;
                state.tables = NONE;
            }),
            // Only one that no dead member claims.
            At::Joins if state.tables == NONE && !state.used && !state.entered[X] => {
                let at = match self.weak {
                    Weak::NoQuiet => At::Sweeps { slot: 0, joins: true },
                    _ => At::WaitsForQuiet { seat: 0, swept: false },
                };
                steps.go("locks the tables", NONE, at, |state| state.tables = seat(me));
            }
            At::WaitsForQuiet { seat, swept } => self.waits_for_quiet(steps, seat, swept),
            At::Enters => steps.go("enters", NONE, At::Activates, |state| {
                if state.imbalance() != 0 {
                    state.wrong = Some("a group starts with counts of the one before");
                }
                state.entered[me] = true;
                state.used = true;
            }),
            At::Activates => {
                steps.go("sets the active bit, and unlocks", NONE, At::Member, |state| {
                    state.active |= 1 << LEAVES;
                    state.reign = seat(me);
                    state.tables = NONE;
                })
            }
            _ => self.sweeps(steps),
        }
    }

    /// Nobody may be between writing down an edge with the bit and having counted it.
    fn waits_for_quiet(&self, steps: &mut Steps<'_>, other: u8, swept: bool) {
        let journal = steps.state.lines[usize::from(other)].journal;
        if journal.is_some_and(|entry| entry.groups & (1 << LEAVES) != 0) {
            return;
        }
        let at = match (usize::from(other) < Y, swept) {
            (true, _) => At::WaitsForQuiet { seat: other + 1, swept },
            (false, false) if self.weak == Weak::LeftoversKept => At::Enters,
            (false, false) => At::Sweeps { slot: 0, joins: true },
            (false, true) => At::Enters,
        };
        steps.go("sees no edge of the bit in line", other, at, |_| ());
    }

    /// A member claims and releases a frame of its group.
    fn claims(&self, steps: &mut Steps<'_>, me: usize) {
        for slot in 0..self.slots {
            let word = steps.state.word(slot).claim(seat(me), LEAVES);
            if let Some(after) = word.and_then(|word| word.release(seat(me))) {
                steps.go("claims slot", slot, At::Member, |state| {
                    if state.slot(slot).reign != seat(me) {
                        state.wrong = Some("a frame of the old group goes to the new one");
                    }
                    state.slot(slot).word = after;
                    state.delivered += 1;
                });
            }
        }
    }

    fn dies(&self, steps: &mut Steps<'_>, me: usize) {
        if steps.state.deaths > 0 {
            steps.go("is killed", NONE, At::Dead, |state| {
                state.deaths -= 1;
                if state.tables == seat(me) {
                    state.tables = NONE;
                }
            });
        }
    }
}

impl Model for Groups {
    type State = State;

    fn start(&self) -> State {
        let joins = if self.taken_again { At::Joins } else { At::Gone };
        State {
            slots: [Slot { word: Word::FREE, seq: NONE, reign: 0 }; SLOTS as usize],
            active: (1 << STAYS) | (1 << LEAVES),
            used: true,
            reign: seat(X),
            tables: NONE,
            lines: [Line::default(); 3],
            at: [At::Acquires, At::Member, joins],
            entered: [true, true, false],
            published: 0,
            delivered: 0,
            deaths: self.deaths,
            wrong: None,
        }
    }

    fn steps(&self, state: &State) -> Vec<(Step, State)> {
        let mut found = Vec::new();
        for process in [PRODUCER, X, Y] {
            let steps = &mut Steps { state, process, found: &mut found };
            match state.at[process] {
                At::Gone => continue,
                At::Dead | At::DeadCloses | At::DeadSettled => self.cleans(steps),
                _ if process == PRODUCER => self.producer(steps),
                _ => self.member(steps, process),
            }
            if state.at[process] != At::Dead {
                self.dies(steps, process);
            }
        }
        let steps = &mut Steps { state, process: usize::from(OTHER_SEAT), found: &mut found };
        for slot in 0..self.slots {
            let word = state.word(slot).claim(OTHER_SEAT, STAYS);
            if let Some(after) = word.and_then(|word| word.release(OTHER_SEAT)) {
                steps.add("claims slot", slot, |state| state.slot(slot).word = after);
            }
        }
        found
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        let unbalanced = self.is_finished(state) && state.imbalance() != 0;
        state.wrong.or_else(|| unbalanced.then_some("the books are wrong"))
    }

    fn is_finished(&self, state: &State) -> bool {
        let done = |word: Word| !word.is_writing() && word.pending_groups() & state.active == 0;
        state.at[PRODUCER] == At::Gone
            && state.at[X] == At::Gone
            && matches!(state.at[Y], At::Gone | At::Member)
            && state.slots.iter().all(|slot| done(slot.word))
    }
}
