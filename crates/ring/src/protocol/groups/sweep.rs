//! Sweeping the bits of a group that has left, and cleaning up after the dead.

use super::state::{At, Edge, Steps};
use super::{Groups, LEAVES, NONE, PRODUCER, Weak, X, seat};

impl Groups {
    /// A producer without a free slot sweeps, if there is anything to.
    pub(super) fn wants_to_sweep(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        let inactive = state.active & (1 << LEAVES) == 0;
        let left = (0..self.slots).any(|slot| state.word(slot).is_pending(LEAVES));
        if inactive && left && state.tables == NONE && self.weak != Weak::NobodySweeps {
            let at = At::Sweeps { slot: 0, joins: false };
            steps.go("locks the tables to sweep", NONE, at, |state| {
                state.tables = seat(PRODUCER);
            });
        }
    }

    pub(super) fn sweeps(&self, steps: &mut Steps<'_>) {
        let (state, me) = (steps.state, steps.process);
        match state.at[me] {
            At::Sweeps { slot, joins } if slot < self.slots => {
                let wanted = state.word(slot).is_pending(LEAVES) && !self.is_left(steps, slot);
                if wanted {
                    let at = At::SweepsSlot { slot, joins };
                    steps.write_down(Edge::Sweep, slot, 1 << LEAVES, at);
                } else {
                    let at = At::Sweeps { slot: slot + 1, joins };
                    steps.go("finds nothing to sweep in slot", slot, at, |_| ());
                }
            }
            At::Sweeps { joins, .. } => self.has_swept(steps, joins),
            At::SweepsSlot { slot, joins } => match state.word(slot).sweep(LEAVES) {
                Some(after) => {
                    let at = At::SweepCopies { slot, joins };
                    steps.go("sweeps slot", slot, at, |state| {
                        if state.slot(slot).reign == state.reign && state.reign != 0 {
                            state.wrong = Some("a living group's frame is swept away");
                        }
                        state.slot(slot).word = after;
                    });
                }
                None => {
                    let at = At::SweepCloses { slot, joins };
                    steps.go("finds slot swept", slot, at, |_| ());
                }
            },
            At::SweepCopies { slot, joins } => {
                let at = At::SweepCloses { slot, joins };
                steps.go("copies its counters", NONE, at, |state| state.lines[me].copy());
            }
            At::SweepCloses { slot, joins } => {
                let at = At::Sweeps { slot: slot + 1, joins };
                steps.go("closes its journal", NONE, at, |state| state.lines[me].journal = None);
            }
            // It waits for a lock, for another group to leave, or for a slot.
            _ => {}
        }
    }

    /// Whether somebody dead was about to sweep the slot: its books tell by the word whether it did,
    /// and are settled first.
    fn is_left(&self, steps: &Steps<'_>, slot: u8) -> bool {
        let sweeping = |other: usize| {
            let journal = steps.state.lines[other].journal;
            journal.is_some_and(|entry| entry.edge == Edge::Sweep && entry.slot == slot)
        };
        self.weak != Weak::SweepBeforeSettled
            && (0..3).any(|other| other != steps.process && sweeping(other))
    }

    fn has_swept(&self, steps: &mut Steps<'_>, joins: bool) {
        let at = match (steps.process, joins) {
            (PRODUCER, _) => At::Acquires,
            (_, false) => At::FreesBit,
            (_, true) if self.weak == Weak::NoQuiet => At::Enters,
            (_, true) => At::WaitsForQuiet { seat: 0, swept: true },
        };
        steps.go("has swept all slots", NONE, at, |state| {
            if at == At::Acquires {
                state.tables = NONE;
            }
        });
    }

    /// Cleans up after a dead process, in its own line.
    pub(super) fn cleans(&self, steps: &mut Steps<'_>) {
        let (state, me) = (steps.state, steps.process);
        match (state.at[me], state.lines[me].journal) {
            (At::Dead, Some(entry)) => {
                let found = state.slots[usize::from(entry.slot)];
                let happened = match entry.edge {
                    Edge::Publish => !found.word.is_held_by(seat(me)),
                    Edge::Sweep => !found.word.is_pending(LEAVES) || found.seq != entry.seq,
                };
                steps.go("dead: its books are settled", NONE, At::DeadCloses, |state| {
                    if happened {
                        state.lines[me].copy();
                    }
                });
            }
            (At::DeadCloses, _) => {
                steps.go("dead: its journal is closed", NONE, At::DeadSettled, |state| {
                    state.lines[me].journal = None;
                });
            }
            _ if me == PRODUCER => {
                let held = (0..self.slots).find(|&slot| state.word(slot).is_held_by(seat(me)));
                steps.go("dead: discarded, and started again", NONE, At::Acquires, |state| {
                    if let Some(slot) = held {
                        let after = state.word(slot).abort(seat(me));
                        state.slot(slot).seq = NONE;
                        state.slot(slot).word = after.expect("it is being written");
                    }
                });
            }
            _ => {
                let at = match (state.entered[me], me) {
                    (true, _) => At::WantsToLeave,
                    (false, X) => At::Gone,
                    (false, _) => At::Joins,
                };
                steps.go("dead: its member has to leave", NONE, at, |_| ());
            }
        }
    }
}
