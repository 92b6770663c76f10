//! The names of two rings, from when the first worker comes until they are gone: a source's ring, the
//! ring that the workers of one group make of it, and a reader that waits for that one.
//!
//! What [`crate::life`] does under the life lock is one step here. Workers may be killed between any
//! two steps, and others come. Frames are but one, or none; the end may be there before it, as it is
//! in a ring between two stages.

mod others;
mod state;
mod tests;
mod worker;

use self::state::{Frame, Input, Output, Reader, Reaper, State, Steps, Worker};
use super::explorer::{Model, Step};

const MOST_WORKERS: usize = 3;

/// The rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weak {
    Nothing,
    /// A worker takes an empty ring that has ended for one that is over.
    EmptyIsOver,
    /// It takes a ring that is over for one whose end was handed on.
    OverIsHandedOn,
    /// Workers owe the end to nobody.
    NoDebts,
    /// A worker does not look again whether its output is wanted, once it has made it.
    MadeUnasked,
    /// It then takes the output away though somebody died who was about to hand the end on to it.
    MadeInVain,
    /// Who joins does not look whether the ring still has its name.
    JoinsNameless,
    /// Who leaves last does not look whether it is the last.
    TakenInUse,
    /// Who cleans up leaves the name to others, though it kept the last one out from taking it.
    ReaperWalksOn,
}

#[derive(Clone, Copy, Debug)]
struct Names {
    /// Whether the stream has a frame at all.
    has_frame: bool,
    workers: usize,
    /// How many of them may be killed.
    kills: u8,
    weak: Weak,
}

impl Names {
    /// Whether anybody has an id in the input ring, or seems to.
    fn is_input_in_use(state: &State) -> bool {
        let reaping = matches!(state.reaper, Reaper::Locked { .. });
        state.is_source_here || reaping || state.workers.iter().any(|worker| worker.is_in_input())
    }

    fn is_output_in_use(state: &State) -> bool {
        let reading = matches!(state.reader, Reader::Reads { .. });
        let instance = state.output.instance;
        reading || state.workers.iter().any(|worker| worker.output() == Some(instance))
    }

    /// The input ring's name goes, if the last one out may take it.
    fn take_input(&self, state: &mut State) {
        let Input { end, frame, owes, has_group, .. } = state.input;
        let owes = owes && self.weak != Weak::NoDebts;
        let is_over = end && frame == Frame::Done && has_group && !owes;
        let in_use = Self::is_input_in_use(state);
        if !is_over || (in_use && self.weak != Weak::TakenInUse) {
            return;
        }
        if in_use && state.input.linked {
            state.wrong = Some("a ring that is in use loses its name");
        }
        state.input.linked = false;
    }

    /// The same for the output ring.
    fn take_output(state: &mut State) {
        let Output { end, has_group, frame, .. } = state.output;
        let is_over = end && has_group && !frame && state.input.frame == Frame::Done;
        if is_over && !Self::is_output_in_use(state) {
            state.output.linked = false;
        }
    }

    /// Whether an output ring, the one of this instance or a new one, is still wanted.
    fn wants(&self, state: &State, output: Option<u8>) -> bool {
        let Input { end, frame, handed_on, has_group, .. } = state.input;
        let is_empty = matches!(frame, Frame::ToCome | Frame::Done);
        match self.weak {
            Weak::EmptyIsOver => !(has_group && end && is_empty) || output.is_some(),
            Weak::OverIsHandedOn => !(has_group && end && frame == Frame::Done) || output.is_some(),
            _ => {
                let is_done = end && handed_on != 0 && frame == Frame::Done;
                !is_done || output == Some(handed_on)
            }
        }
    }

    /// An output ring that was made in vain goes, unless somebody has come to it.
    fn take_vain(state: &mut State) -> bool {
        let untouched = !(state.output.end || state.output.has_group);
        let taken = untouched && !Self::is_output_in_use(state);
        if taken {
            state.output.linked = false;
        }
        taken
    }
}

impl Model for Names {
    type State = State;

    fn start(&self) -> State {
        let mut workers = [Worker::Gone; MOST_WORKERS];
        workers[..self.workers].fill(Worker::Absent);
        State {
            input: Input {
                linked: true,
                end: false,
                frame: if self.has_frame { Frame::ToCome } else { Frame::Done },
                owes: false,
                handed_on: 0,
                has_group: false,
            },
            output: Output {
                instance: 0,
                linked: false,
                end: false,
                frame: false,
                has_group: false,
            },
            is_source_here: true,
            workers,
            dead: [false; MOST_WORKERS],
            reader: Reader::Waits,
            reaper: Reaper::Idle,
            has_got: false,
            kills: 0,
            wrong: None,
        }
    }

    fn steps(&self, state: &State) -> Vec<(Step, State)> {
        let mut found = Vec::new();
        let steps = &mut Steps { state, found: &mut found };
        self.source(steps);
        (0..self.workers).for_each(|worker| self.worker(steps, worker));
        (0..self.workers).for_each(|worker| self.killer(steps, worker));
        self.reader(steps);
        self.reaper(steps);
        found
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        state.wrong
    }

    /// The reader has got everything, and nobody is left. Names are gone, unless somebody was killed
    /// before it could take one: then they wait for who comes next.
    fn is_finished(&self, state: &State) -> bool {
        let gone = !state.input.linked && !state.output.linked;
        state.reader == Reader::Gone
            && state.has_got == self.has_frame
            && !state.is_source_here
            && state.workers.iter().all(|worker| !worker.is_in_input())
            && (gone || state.kills > 0)
    }
}
