//! What a worker does: `Relay::attach`, a claim with the end handed on, and the drop of both seats.

use super::state::{Frame, Output, Steps, Worker};
use super::{Names, Weak};

impl Names {
    pub(super) fn worker(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        match state.workers[me] {
            Worker::Absent => self.waits_for_input(steps, me),
            Worker::Opened => self.may_be_late(steps, me),
            Worker::JoinsInput => self.joins_input(steps, me),
            Worker::OpensOutput | Worker::MakesOutput | Worker::LooksAgain(_) => {
                self.gets_output(steps, me);
            }
            Worker::JoinsOutput(output) => {
                let there = state.output.linked && state.output.instance == output;
                if there || self.weak == Weak::JoinsNameless {
                    steps.worker(me, "joins the output", Worker::Works(output), |state| {
                        if !there {
                            state.wrong = Some("somebody is in a ring that nobody else finds");
                        }
                    });
                } else {
                    self.gives_up(steps, me);
                }
            }
            Worker::Works(output) => self.works(steps, me, output),
            Worker::StoresEnd(output) => {
                let at = Worker::Pays(output);
                steps.worker(me, "stores the end", at, |state| {
                    // It is in that ring, whatever has the name by now.
                    state.output.end |= state.output.instance == output;
                });
            }
            Worker::Pays(output) => {
                let at = Worker::Works(output);
                steps.worker(me, "owes no end", at, |state| state.input.owes = false);
            }
            Worker::Publishes(output) => {
                steps.worker(me, "publishes", Worker::Releases(output), |state| {
                    // Who finds a frame again looks whether the output has it, or had it.
                    state.output.frame |= !state.has_got;
                });
            }
            Worker::Releases(output) => {
                steps.worker(me, "releases", Worker::Works(output), |state| {
                    state.input.frame = Frame::Done;
                });
            }
            Worker::LeavesInput(output) => {
                let at = output.map_or(Worker::Absent, |_| Worker::LeavesOutput);
                steps.worker(me, "looks whether it was the last", at, |state| {
                    self.take_input(state);
                });
            }
            Worker::LeavesOutput => {
                steps.worker(me, "looks whether it was the last there", Worker::Gone, |state| {
                    Self::take_output(state);
                });
            }
            Worker::Gone => {}
        }
    }

    fn waits_for_input(&self, steps: &mut Steps<'_>, me: usize) {
        if steps.state.input.linked {
            steps.worker(me, "finds the input", Worker::Opened, |_| ());
        }
    }

    fn may_be_late(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        if !self.wants(state, state.output.linked.then_some(state.output.instance)) {
            steps.worker(me, "is too late", Worker::Gone, |state| {
                state.input.owes = false;
                self.take_input(state);
            });
        } else {
            steps.worker(me, "is not late", Worker::JoinsInput, |_| ());
        }
    }

    fn joins_input(&self, steps: &mut Steps<'_>, me: usize) {
        if !steps.state.input.linked {
            steps.worker(me, "finds the input gone", Worker::Absent, |_| ());
            return;
        }
        steps.worker(me, "joins the input", Worker::OpensOutput, |state| {
            (0..state.dead.len()).for_each(|dead| state.clean(dead));
            (state.input.owes, state.input.has_group) = (true, true);
        });
    }

    fn gets_output(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        let instance = state.output.instance;
        match state.workers[me] {
            Worker::LooksAgain(output) => {
                let wanted = self.weak == Weak::MadeUnasked || self.wants(state, Some(output));
                let vain = !wanted || (self.weak == Weak::MadeInVain && !self.wants(state, None));
                if vain && instance == output && Self::take_vain(&mut state.clone()) {
                    let at = Worker::LeavesInput(None);
                    steps.worker(me, "has made it in vain", at, |state| {
                        Self::take_vain(state);
                    });
                } else {
                    let at = Worker::JoinsOutput(output);
                    steps.worker(me, "has looked again", at, |_| ());
                }
            }
            _ if state.output.linked && self.wants(state, Some(instance)) => {
                let at = Worker::JoinsOutput(instance);
                steps.worker(me, "finds the output", at, |_| ());
            }
            _ if state.output.linked => {
                let at = Worker::LeavesInput(None);
                steps.worker(me, "finds an output that was made in vain", at, |state| {
                    Self::take_vain(state);
                });
            }
            Worker::OpensOutput if !self.wants(state, None) => self.gives_up(steps, me),
            Worker::OpensOutput => {
                steps.worker(me, "wants an output", Worker::MakesOutput, |_| ());
            }
            _ => {
                let at = Worker::LooksAgain(instance + 1);
                steps.worker(me, "makes the output", at, |state| {
                    state.output = Output {
                        instance: instance + 1,
                        linked: true,
                        end: false,
                        frame: false,
                        has_group: false,
                    };
                });
            }
        }
    }

    /// Leaves the input, to wait for it anew.
    fn gives_up(&self, steps: &mut Steps<'_>, me: usize) {
        let at = Worker::LeavesInput(None);
        steps.worker(me, "finds no output", at, |_| ());
    }

    fn works(&self, steps: &mut Steps<'_>, me: usize, output: u8) {
        let state = steps.state;
        for dead in (0..state.dead.len()).filter(|&dead| state.dead[dead]) {
            steps.worker(me, "cleans up after a dead worker", Worker::Works(output), |state| {
                state.clean(dead);
            });
        }
        if state.input.end && !state.output.end {
            let at = Worker::StoresEnd(output);
            steps.worker(me, "notes where the end goes", at, |state| {
                state.input.handed_on = output;
            });
        } else if state.input.end && state.input.owes {
            steps.worker(me, "finds the end handed on", Worker::Pays(output), |_| ());
        } else if state.input.end && state.input.frame == Frame::Done {
            let at = Worker::LeavesInput(Some(output));
            steps.worker(me, "gives its id back", at, |_| ());
        }
        if state.input.frame == Frame::Pending && state.output.has_group {
            steps.worker(me, "claims", Worker::Publishes(output), |state| {
                state.input.frame = Frame::Held;
            });
        }
    }

    /// A SIGKILL. Another worker is started for it.
    pub(super) fn killer(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        let worker = state.workers[me];
        if state.kills == self.kills || matches!(worker, Worker::Absent | Worker::Gone) {
            return;
        }
        steps.worker(me, "is killed", Worker::Absent, |state| {
            state.kills += 1;
            state.dead[me] |= worker.is_in_input();
            if matches!(worker, Worker::Publishes(_) | Worker::Releases(_)) {
                state.input.frame = Frame::HeldByDead;
            }
        });
    }
}
