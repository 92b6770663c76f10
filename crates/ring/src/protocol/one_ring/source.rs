//! The source: the modules `source`, `producer` and `grant` of the ring.

use super::books::Edge;
use super::{At, NONE, OneRing, SLOTS, Steps, Weak};

impl OneRing {
    pub(super) fn source(&self, steps: &mut Steps<'_>, at: At) {
        match at {
            At::Numbers { slot, first } => self.numbers(steps, slot, first),
            At::StoresFirst => {
                steps.go("stores where it begins", NONE, At::Acquires, |state| {
                    if self.weak != Weak::FirstNotStored {
                        state.next = state.next.max(state.processes[super::SOURCE].first);
                    }
                });
            }
            At::Acquires => self.acquires(steps),
            At::Writes { slot, seq, half } => {
                let then = match half {
                    0 => At::Writes { slot, seq, half: 1 },
                    _ => At::WritesDown { slot, seq },
                };
                steps.go("writes half of slot", slot, then, |state| {
                    state.slot(slot).halves[usize::from(half)] = seq;
                });
            }
            At::WritesDown { slot, seq } => {
                self.write_down(steps, Edge::Publish, (slot, seq), self.groups());
            }
            At::WritesRecord(entry) => {
                steps.go("writes the record of slot", entry.slot, At::Swings(entry), |state| {
                    state.slot(entry.slot).seq = entry.seq
                });
            }
            At::StoresNext { seq } => {
                steps.go("stores next after", seq, At::Acquires, |state| {
                    state.next = state.next.max(seq + 1);
                });
            }
            _ => unreachable!("no source is at {at:?}"),
        }
    }

    /// The first seq of a new source: one past every frame that is in a slot, or in the header.
    fn numbers(&self, steps: &mut Steps<'_>, slot: u8, first: u8) {
        if slot == SLOTS || self.weak == Weak::NextFromHeader {
            steps.go("reads next in the header", NONE, At::StoresFirst, |state| {
                state.processes[super::SOURCE].first = first.max(state.next);
            });
            return;
        }
        let found = steps.state.slots[usize::from(slot)];
        let counts = !found.word.is_writing() || self.weak == Weak::NextFromWriting;
        let first = if counts && found.seq != NONE { first.max(found.seq + 1) } else { first };
        steps.go("looks at the seq in slot", slot, At::Numbers { slot: slot + 1, first }, |_| ());
    }

    fn acquires(&self, steps: &mut Steps<'_>) {
        let (state, seat) = (steps.state, steps.seat());
        if state.next_seq() >= self.frames {
            // Having stored the end, the source has nothing left to do but leave.
            if state.end == NONE {
                steps.add("stores the end", state.next, |state| state.end = state.next);
            } else {
                steps.leave();
            }
            return;
        }
        for slot in 0..SLOTS {
            let word = state.word(slot);
            if let Some(after) = word.acquire(seat) {
                let then = At::Writes { slot, seq: state.next_seq(), half: 0 };
                steps.go("acquires slot", slot, then, |state| state.slot(slot).word = after);
            } else if self.drop_oldest && word.is_only_pending() {
                let seq = state.slots[usize::from(slot)].seq;
                self.write_down(steps, Edge::Overwrite, (slot, seq), word.pending_groups());
            }
        }
    }
}

impl Steps<'_> {
    /// Leaves in order: the entry goes, then the lock.
    pub(super) fn leave(&mut self) {
        let (process, seat) = (self.process, self.seat());
        self.go("leaves seat", seat, At::Left, |state| {
            state.line(seat).role = None;
            state.unlock_all(process);
            state.processes[process].seat = NONE;
            state.processes[process].first = 0;
        });
    }
}
