//! The source, the reader at the end, and one who looks for the dead from outside: the modules
//! `source`, `ordered` and `recovery`.

use super::state::{Frame, Reader, Reaper, Steps};
use super::{Names, Weak};

impl Names {
    pub(super) fn source(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        if !state.is_source_here {
            return;
        }
        if state.input.frame == Frame::ToCome {
            steps.add("source", ("publishes", 0), |state| state.input.frame = Frame::Pending);
        }
        // Between two stages the end is there before the frames.
        if !state.input.end {
            steps.add("source", ("ends the stream", 0), |state| state.input.end = true);
        }
        if state.input.end && state.input.frame != Frame::ToCome {
            steps.add("source", ("leaves", 0), |state| {
                state.is_source_here = false;
                self.take_input(state);
            });
        }
    }

    pub(super) fn reader(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        let instance = state.output.instance;
        match state.reader {
            Reader::Waits => {
                if state.output.linked {
                    let at = Reader::Joins { output: instance };
                    steps.add("reader", ("finds the output", instance), |state| state.reader = at);
                }
            }
            Reader::Joins { output } => {
                let there = state.output.linked && instance == output;
                let at = if there { Reader::Reads { output } } else { Reader::Waits };
                steps.add("reader", ("joins the output", output), |state| {
                    state.reader = at;
                    state.output.has_group |= there;
                });
            }
            Reader::Reads { output } => {
                if state.output.frame {
                    steps.add("reader", ("takes the frame", output), |state| {
                        (state.output.frame, state.has_got) = (false, true);
                    });
                }
                if state.output.end && state.has_got == self.has_frame {
                    steps.add("reader", ("gives its id back", output), |state| {
                        state.reader = Reader::Leaves;
                    });
                }
            }
            Reader::Leaves => {
                steps.add("reader", ("looks whether it was the last", 0), |state| {
                    state.reader = Reader::Gone;
                    Self::take_output(state);
                });
            }
            Reader::Gone => {}
        }
    }

    /// It may look at any time, for as long as the reader does.
    pub(super) fn reaper(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        match state.reaper {
            Reaper::Idle => {
                let has_entry = |me: &usize| state.workers[*me].is_in_input() || state.dead[*me];
                let reading = matches!(state.reader, Reader::Reads { .. });
                for worker in (0..state.workers.len()).filter(|me| reading && has_entry(me)) {
                    let worker = u8::try_from(worker).expect("few");
                    steps.add("reaper", ("sees the entry of worker", worker), |state| {
                        state.reaper = Reaper::Saw { worker };
                    });
                }
            }
            Reaper::Saw { worker } => {
                let lives = state.workers[usize::from(worker)].is_in_input();
                let at = if lives { Reaper::Idle } else { Reaper::Locked { worker } };
                steps.add("reaper", ("tries the lock of worker", worker), |state| {
                    state.reaper = at;
                });
            }
            Reaper::Locked { worker } => {
                steps.add("reaper", ("cleans up and unlocks worker", worker), |state| {
                    state.clean(usize::from(worker));
                    state.reaper = Reaper::Leaves;
                });
            }
            Reaper::Leaves => {
                steps.add("reaper", ("looks whether it kept the last one out", 0), |state| {
                    state.reaper = Reaper::Idle;
                    if self.weak != Weak::ReaperWalksOn {
                        self.take_input(state);
                    }
                });
            }
        }
    }
}
