//! The pusher: the modules `ordered` and `feed` of the ring.

use super::state::{Pusher, State, Steps};
use super::{GROUP, NONE, PUSHER_SEAT, TwoRings, Weak};

impl TwoRings {
    pub(super) fn pusher(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        match state.pusher {
            Pusher::Left => return,
            Pusher::Dead => {
                if !state.outputs.iter().any(|slot| slot.word.is_held_by(PUSHER_SEAT)) {
                    steps.pusher("is started again", NONE, Pusher::Looks, |_| ());
                }
                return;
            }
            Pusher::Looks => self.looks_around(steps),
            Pusher::PassesOver { settled } => self.passes_over(steps, settled),
            Pusher::AsksNext { .. }
            | Pusher::AsksInput { .. }
            | Pusher::AsksSeq { .. }
            | Pusher::AsksOwn { .. } => self.asks_what_comes(steps),
            at => self.emits(steps, at),
        }
        if state.pusher_deaths > 0 {
            steps.pusher("is killed", NONE, Pusher::Dead, |state| state.pusher_deaths -= 1);
        }
    }

    /// Takes the frame at the cursor, drops a stale one, leaves, or begins to ask what is settled.
    /// That question is asked in vain as long as anything at the cursor is found, so it is broken
    /// off there: the real pusher goes on, finds nothing to pass over, and looks anew.
    fn looks_around(&self, steps: &mut Steps<'_>) {
        let (state, cursor) = (steps.state, steps.state.cursor);
        let mut has_stale = false;
        for slot in 0..self.output_slots {
            let output = state.output(slot);
            if !output.word.is_pending(GROUP) {
                continue;
            }
            if output.seq < cursor {
                has_stale = true;
                let at = Pusher::DropsStale { slot };
                steps.pusher("claims stale slot", slot, at, |state| claim(state, slot));
            } else if output.seq == cursor {
                let at = Pusher::Emits { slot };
                steps.pusher("claims the frame in slot", slot, at, |state| claim(state, slot));
            }
        }
        let end = state.output_end;
        if cursor < end {
            // Read before anything is asked: frames before the end may still be coming.
            let at = match self.weak {
                Weak::OwnRingFirst => Pusher::AsksOwn { settled: end, slot: 0 },
                _ => Pusher::AsksNext { settled: end },
            };
            steps.pusher("reads the end", end, at, |_| ());
        } else if !has_stale {
            steps.pusher("has seen everything, and leaves", end, Pusher::Left, |_| ());
        }
    }

    /// Asks what may still come: the feed's next seq, the feed's slots, and the own slots last.
    fn asks_what_comes(&self, steps: &mut Steps<'_>) {
        let (state, cursor) = (steps.state, steps.state.cursor);
        match state.pusher {
            Pusher::AsksNext { settled } => {
                let settled = settled.min(state.next);
                let at = Pusher::AsksInput { settled, slot: 0 };
                self.goes_on(
                    "asks the feed for its next seq",
                    state.next,
                    (cursor, settled),
                    steps,
                    at,
                );
            }
            Pusher::AsksInput { settled, slot } => {
                let word = state.input(slot).word;
                let at = if word.is_writing() || word.is_free() {
                    self.after_input(settled, slot)
                } else {
                    Pusher::AsksSeq { settled, slot }
                };
                steps.pusher("asks the feed's slot", slot, at, |_| ());
            }
            Pusher::AsksSeq { settled, slot } => {
                let seq = state.input(slot).seq;
                let settled = if seq < cursor { settled } else { settled.min(seq) };
                let at = self.after_input(settled, slot);
                self.goes_on("finds in the feed frame", seq, (cursor, settled), steps, at);
            }
            Pusher::AsksOwn { settled, slot } => {
                let output = state.output(slot);
                let here = if output.word.is_pending(GROUP) { output.seq } else { NONE };
                let settled = settled.min(here);
                let at = self.after_own(settled, slot);
                self.goes_on("asks slot", slot, (cursor, settled), steps, at);
            }
            at => unreachable!("no pusher asks at {at:?}"),
        }
    }

    /// Goes on with the question, unless nothing is to be passed over.
    fn goes_on(
        &self,
        what: &'static str,
        to: u8,
        (cursor, settled): (u8, u8),
        steps: &mut Steps<'_>,
        at: Pusher,
    ) {
        let at = if settled > cursor { at } else { Pusher::Looks };
        steps.pusher(what, to, at, |_| ());
    }

    fn after_input(&self, settled: u8, slot: u8) -> Pusher {
        if slot + 1 < self.input_slots {
            Pusher::AsksInput { settled, slot: slot + 1 }
        } else if self.weak == Weak::OwnRingFirst {
            Pusher::PassesOver { settled }
        } else {
            Pusher::AsksOwn { settled, slot: 0 }
        }
    }

    fn after_own(&self, settled: u8, slot: u8) -> Pusher {
        if slot + 1 < self.output_slots {
            Pusher::AsksOwn { settled, slot: slot + 1 }
        } else if self.weak == Weak::OwnRingFirst {
            Pusher::AsksNext { settled }
        } else {
            Pusher::PassesOver { settled }
        }
    }

    /// Nothing before `settled` can come any more, or so it seems: here every frame does.
    fn passes_over(&self, steps: &mut Steps<'_>, settled: u8) {
        let cursor = steps.state.cursor;
        steps.pusher("passes over all before", settled, Pusher::Looks, |state| {
            let passed = &state.emitted[usize::from(cursor)..usize::from(settled)];
            state.wrong = Some(if passed.contains(&0) {
                "a frame that still comes is passed over"
            } else {
                "a frame that came out is passed over"
            });
            state.cursor = settled;
        });
    }

    fn emits(&self, steps: &mut Steps<'_>, at: Pusher) {
        let cursor_last = self.weak == Weak::CursorLast;
        match at {
            Pusher::Emits { slot } => {
                let then = match self.weak {
                    Weak::CursorLast => Pusher::Releases { slot },
                    _ => Pusher::StoresCursor { slot },
                };
                let seq = steps.state.output(slot).seq;
                steps.pusher("emits frame", seq, then, |state| self.emit(state, seq));
            }
            Pusher::StoresCursor { slot } => {
                let cursor = steps.state.cursor + 1;
                let then = if cursor_last { Pusher::Looks } else { Pusher::Releases { slot } };
                steps.pusher("stores the cursor", cursor, then, |state| state.cursor = cursor);
            }
            Pusher::Releases { slot } => {
                let then = if cursor_last { Pusher::StoresCursor { slot } } else { Pusher::Looks };
                steps.pusher("releases slot", slot, then, |state| release(state, slot));
            }
            Pusher::DropsStale { slot } => {
                let seq = steps.state.output(slot).seq;
                steps.pusher("drops stale frame", seq, Pusher::Looks, |state| {
                    if state.emitted[usize::from(seq)] == 0 {
                        state.wrong = Some("a frame comes after its turn");
                    }
                    release(state, slot);
                });
            }
            at => unreachable!("no pusher emits at {at:?}"),
        }
    }

    /// A frame comes out: in order, and once for each life of the pusher at most.
    fn emit(&self, state: &mut State, seq: u8) {
        let index = usize::from(seq);
        state.emitted[index] += 1;
        let lives = 1 + self.pusher_deaths - state.pusher_deaths;
        if state.emitted[index] > lives {
            state.wrong = Some("a frame comes out twice");
        } else if state.emitted[..index].contains(&0) {
            state.wrong = Some("a frame comes out before an older one");
        }
    }
}

fn claim(state: &mut State, slot: u8) {
    let slot = &mut state.outputs[usize::from(slot)];
    slot.word = slot.word.claim(PUSHER_SEAT, GROUP).expect("nobody else claims");
}

fn release(state: &mut State, slot: u8) {
    let slot = &mut state.outputs[usize::from(slot)];
    slot.word = slot.word.release(PUSHER_SEAT).expect("it is held");
}
