//! Two rings: a source, an input ring, workers with the window, an output ring, and one ordered
//! pusher. Both rings block.
//!
//! What holds inside of one ring is the model `one_ring`; here the dead are reaped edge by edge, in
//! any order, and a worker is started again when both rings are clean of it. Who picks a frame or a
//! slot may take any that would do: that is more than the real code does.

mod pusher;
mod state;
mod tests;
mod worker;

use self::state::{Pusher, Slot, Source, State, Steps, Worker};
use super::explorer::{Model, Step};
use crate::claim::Word;

const MOST_SLOTS: usize = 3;
const MOST_FRAMES: usize = 4;
const MOST_WORKERS: usize = 3;

/// The one group of either ring.
const GROUP: u8 = 0;
/// The source's seat in the input ring; the workers' follow, and are the same in both rings.
const SOURCE_SEAT: u8 = 9;
/// The pusher's seat in the output ring.
const PUSHER_SEAT: u8 = 10;
const NONE: u8 = u8::MAX;

/// The rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weak {
    Nothing,
    /// Workers claim however far a frame is from the cursor.
    NoWindow,
    /// Who gets a frame anew does not look whether its output exists already.
    NoLookBeforeRedoing,
    /// A worker releases its input before it publishes the output.
    ReleaseFirst,
    /// A worker leaves when nothing is pending, whatever others hold.
    HoldersForgotten,
    /// A worker copies the end while it works, but does not look for it again when it leaves.
    EndCopiedOnce,
    /// The source stores the next seq before it publishes a frame.
    NextStoredFirst,
    /// The pusher asks its own ring first what may still come, and its feed after.
    OwnRingFirst,
    /// The pusher stores its cursor after it has released the frame.
    CursorLast,
}

#[derive(Clone, Copy, Debug)]
struct TwoRings {
    workers: usize,
    input_slots: u8,
    output_slots: u8,
    frames: u8,
    /// How often a worker can die.
    deaths: u8,
    /// Whether workers that died are started again.
    restart: bool,
    /// How often the pusher can die; it is started again.
    pusher_deaths: u8,
    weak: Weak,
}

impl TwoRings {
    /// The first seq that workers must not claim yet.
    fn limit(&self, state: &State) -> u8 {
        match self.weak {
            Weak::NoWindow => NONE,
            _ => state.cursor + (self.output_slots - 1).max(1),
        }
    }

    fn source(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        match state.source {
            Source::Acquires if state.next == self.frames => {
                steps.source("stores the end", state.next, Source::Left, |state| {
                    state.input_end = state.next;
                });
            }
            Source::Acquires => {
                let at = |slot| match self.weak {
                    Weak::NextStoredFirst => Source::StoresNext { slot },
                    _ => Source::Publishes { slot },
                };
                for slot in 0..self.input_slots {
                    if let Some(word) = state.input(slot).word.acquire(SOURCE_SEAT) {
                        // Nobody reads the seq of a slot that is being written: two steps in one.
                        steps.source("acquires slot", slot, at(slot), |state| {
                            let seq = state.next;
                            state.inputs[usize::from(slot)] = Slot { word, seq, claims: 0 };
                        });
                    }
                }
            }
            Source::Publishes { slot } => {
                let word = state.input(slot).word.publish(SOURCE_SEAT, 1 << GROUP);
                let at = match self.weak {
                    Weak::NextStoredFirst => Source::Acquires,
                    _ => Source::StoresNext { slot },
                };
                steps.source("publishes slot", slot, at, |state| {
                    state.inputs[usize::from(slot)].word = word.expect("it is being written");
                });
            }
            Source::StoresNext { slot } => {
                let at = match self.weak {
                    Weak::NextStoredFirst => Source::Publishes { slot },
                    _ => Source::Acquires,
                };
                steps.source("stores next", state.next + 1, at, |state| state.next += 1);
            }
            Source::Left => {}
        }
    }

    /// Cleaning up after dead workers and a dead pusher, one edge at a time.
    fn reaps(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        let dead = (0..self.workers).filter(|&worker| state.workers[worker] == Worker::Dead);
        for seat in dead.map(state::seat) {
            for slot in 0..self.input_slots {
                if let Some(after) = state.input(slot).word.give_back(seat, GROUP) {
                    steps.reaper("gives back input slot", slot, |state| {
                        state.inputs[usize::from(slot)].word = after;
                    });
                }
            }
            for slot in 0..self.output_slots {
                let found = state.output(slot);
                if let Some(after) = found.word.abort(seat) {
                    if found.seq == NONE {
                        steps.reaper("aborts output slot", slot, |state| {
                            state.outputs[usize::from(slot)].word = after;
                        });
                    } else {
                        steps.reaper("wipes the seq of output slot", slot, |state| {
                            state.outputs[usize::from(slot)].seq = NONE;
                        });
                    }
                }
            }
        }
        for slot in (0..self.output_slots).filter(|_| state.pusher == Pusher::Dead) {
            if let Some(after) = state.output(slot).word.give_back(PUSHER_SEAT, GROUP) {
                steps.reaper("gives back output slot", slot, |state| {
                    state.outputs[usize::from(slot)].word = after;
                });
            }
        }
    }

    /// The slots of a ring that has this many.
    fn is_free(slots: &[Slot]) -> bool {
        slots.iter().all(|slot| slot.word.is_free())
    }
}

impl Model for TwoRings {
    type State = State;

    fn start(&self) -> State {
        let mut workers = [Worker::Left; MOST_WORKERS];
        workers[..self.workers].fill(Worker::Looks);
        State {
            inputs: [Slot { word: Word::FREE, seq: NONE, claims: 0 }; MOST_SLOTS],
            outputs: [Slot { word: Word::FREE, seq: NONE, claims: 0 }; MOST_SLOTS],
            next: 0,
            input_end: NONE,
            output_end: NONE,
            cursor: 0,
            source: Source::Acquires,
            workers,
            pusher: Pusher::Looks,
            deaths: self.deaths,
            pusher_deaths: self.pusher_deaths,
            emitted: [0; MOST_FRAMES],
            wrong: None,
        }
    }

    fn steps(&self, state: &State) -> Vec<(Step, State)> {
        let mut found = Vec::new();
        let steps = &mut Steps { state, found: &mut found };
        self.source(steps);
        for worker in 0..self.workers {
            self.worker(steps, worker);
        }
        self.pusher(steps);
        self.reaps(steps);
        found
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        let emitted = &state.emitted[..usize::from(self.frames)];
        let lost = state.pusher == Pusher::Left && emitted.contains(&0);
        state.wrong.or_else(|| lost.then_some("a frame is lost"))
    }

    fn is_finished(&self, state: &State) -> bool {
        let gone = |worker: &Worker| matches!(worker, Worker::Left | Worker::Dead);
        state.source == Source::Left
            && state.workers.iter().all(gone)
            && state.pusher == Pusher::Left
            && Self::is_free(&state.inputs)
            && Self::is_free(&state.outputs)
    }
}
