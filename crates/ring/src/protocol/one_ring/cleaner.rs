//! Cleaning up after the dead: the modules `recovery` and `seat` of the ring.

use super::books::Edge;
use super::{At, NONE, OneRing, REAPER, Role, SEATS, SLOTS, SOURCE, Steps, Weak};

/// What a cleaner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Clean {
    Settle,
    StoreNext(u8),
    Close,
    TakeBack,
    Abort(u8),
    Unlock,
}

impl Clean {
    pub(super) fn first(weak: Weak) -> Self {
        if weak == Weak::BooksLast { Self::TakeBack } else { Self::Settle }
    }
}

impl OneRing {
    /// The reaper locks the seat of somebody dead.
    pub(super) fn reaps(&self, steps: &mut Steps<'_>) {
        for seat in 0..SEATS {
            let index = usize::from(seat);
            if steps.state.locks[index] == NONE && steps.state.lines[index].has_left_something() {
                let at = At::Cleans { seat, next: Clean::first(self.weak) };
                steps.go("locks the seat of the dead", seat, at, |state| {
                    if self.weak != Weak::ReaperWithoutLock {
                        state.locks[index] = u8::try_from(REAPER).expect("small");
                    }
                });
            }
        }
    }

    /// One step of cleaning up; who joins cleans its seat the same way.
    pub(super) fn cleans(&self, steps: &mut Steps<'_>, seat: u8, next: Clean) {
        let at = |next| At::Cleans { seat, next };
        match next {
            Clean::Settle => self.settles(steps, seat),
            Clean::StoreNext(seq) => {
                steps.go("stores next after", seq, at(Clean::Close), |state| {
                    state.next = state.next.max(seq + 1);
                });
            }
            Clean::Close => {
                steps.go("closes the journal of", seat, at(Clean::TakeBack), |state| {
                    state.line(seat).journal = None;
                });
            }
            Clean::TakeBack => self.takes_back(steps, seat),
            Clean::Abort(slot) => {
                // Whoever the slot belongs to by now: a real reaper looks at the word alone.
                let after = steps.state.word(slot).abort(seat);
                steps.go("aborts slot", slot, at(Clean::TakeBack), |state| {
                    state.set_word(slot, after.unwrap_or(state.word(slot)));
                });
            }
            Clean::Unlock => {
                steps.go("unlocks seat", seat, At::Looks, |state| state.unlock_all(REAPER));
            }
        }
    }

    /// The claim word tells whether the dead one's last counted edge happened.
    fn settles(&self, steps: &mut Steps<'_>, seat: u8) {
        let at = |next| At::Cleans { seat, next };
        let Some(entry) = steps.state.lines[usize::from(seat)].journal else {
            return self.takes_back(steps, seat);
        };
        let word = steps.state.word(entry.slot);
        let happened = match entry.edge {
            Edge::Publish | Edge::Release => !word.is_held_by(seat),
            Edge::Overwrite => word.is_writing() && word.is_held_by(seat),
        };
        let then = match entry.edge {
            Edge::Publish if happened => Clean::StoreNext(entry.seq),
            _ => Clean::Close,
        };
        steps.go("settles the books of", seat, at(then), |state| {
            if happened {
                state.line(seat).copy(entry);
            }
        });
    }

    fn takes_back(&self, steps: &mut Steps<'_>, seat: u8) {
        let at = |next| At::Cleans { seat, next };
        let role = steps.state.lines[usize::from(seat)].role;
        let Some(slot) = (0..SLOTS).find(|&slot| steps.state.word(slot).is_held_by(seat)) else {
            // Nobody else gives this seat a slot, so this is known without a look.
            return match self.weak {
                Weak::BooksLast if steps.state.lines[usize::from(seat)].journal.is_some() => {
                    self.settles(steps, seat);
                }
                _ => self.frees_entry(steps, seat),
            };
        };
        let word = steps.state.word(slot);
        if word.is_writing() {
            steps.go("wipes the seq of slot", slot, at(Clean::Abort(slot)), |state| {
                if self.weak != Weak::SeqNotWiped {
                    state.slot(slot).seq = NONE;
                }
            });
        } else {
            let after = match role {
                Some(Role::Member(group)) => word.give_back(seat, group),
                _ => word.release(seat),
            };
            steps.go("gives back slot", slot, at(Clean::TakeBack), |state| {
                state.set_word(slot, after.expect("held, and not written"));
            });
        }
    }

    fn frees_entry(&self, steps: &mut Steps<'_>, seat: u8) {
        let keeps = steps.process != REAPER && self.weak == Weak::EntryFirst;
        let then = match steps.process {
            REAPER => At::Cleans { seat, next: Clean::Unlock },
            SOURCE if keeps => At::Numbers { slot: 0, first: 0 },
            _ if keeps => At::Looks,
            _ => At::Enters,
        };
        steps.go("frees the entry of", seat, then, |state| {
            if !keeps {
                state.line(seat).role = None;
            }
        });
    }

    /// Who joins writes its own entry, once the seat is clean.
    pub(super) fn enters(&self, steps: &mut Steps<'_>) {
        let (seat, role) = (steps.seat(), self.role(steps.process));
        let at = match (self.weak, steps.process) {
            (Weak::EntryFirst, _) => At::Cleans { seat, next: Clean::first(self.weak) },
            (_, SOURCE) => At::Numbers { slot: 0, first: 0 },
            _ => At::Looks,
        };
        steps.go("enters seat", seat, at, |state| state.line(seat).role = role);
    }
}
