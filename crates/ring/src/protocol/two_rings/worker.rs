//! A worker: the modules `relay` and `consumer` of the ring.

use super::state::{Job, State, Steps, Worker, seat};
use super::{GROUP, NONE, TwoRings, Weak};

impl TwoRings {
    pub(super) fn worker(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        match state.workers[me] {
            Worker::Left => return,
            Worker::Dead => return self.starts_again(steps, me),
            Worker::Looks => self.looks(steps, me),
            // Again: it may have been stored after this worker looked for it.
            Worker::CopiesEnd => copies_end(steps, me, Worker::Left),
            Worker::Asks { slot } => self.asks(steps, me, slot),
            Worker::Claims { .. }
            | Worker::Counts { .. }
            | Worker::Uncounts { .. }
            | Worker::GivesBack { .. } => self.claims(steps, me),
            _ => self.works(steps, me),
        }
        if state.deaths > 0 {
            steps.worker(me, ("is killed", seat(me)), Worker::Dead, |state| state.deaths -= 1);
        }
    }

    /// Both rings are clean of the dead worker, and another one takes its seats.
    fn starts_again(&self, steps: &mut Steps<'_>, me: usize) {
        let held = |slots: &[super::Slot]| slots.iter().any(|slot| slot.word.is_held_by(seat(me)));
        if self.restart && !held(&steps.state.inputs) && !held(&steps.state.outputs) {
            steps.worker(me, ("is started again", seat(me)), Worker::Looks, |_| ());
        }
    }

    /// Reads the limit and picks a frame below it; who reads the limit earlier sees less.
    fn looks(&self, steps: &mut Steps<'_>, me: usize) {
        let (state, limit) = (steps.state, self.limit(steps.state));
        for slot in 0..self.input_slots {
            let input = state.input(slot);
            if input.word.is_pending(GROUP) && input.seq < limit {
                let at = Worker::Claims { slot, limit };
                steps.worker(me, ("picks slot", slot), at, |_| ());
            }
        }
        if state.input_end == NONE {
            return;
        }
        if state.output_end == NONE {
            copies_end(steps, me, Worker::Looks);
        }
        // The end is read before the slots: who stores it during the scan may publish before.
        steps.worker(me, ("reads the end", state.input_end), Worker::Asks { slot: 0 }, |_| ());
    }

    /// Looks whether a frame is pending for the group, or held by one of its members.
    fn asks(&self, steps: &mut Steps<'_>, me: usize, slot: u8) {
        let word = steps.state.input(slot).word;
        let held = word.holders().next().is_some() && self.weak != Weak::HoldersForgotten;
        let at = if !word.is_writing() && (word.is_pending(GROUP) || held) {
            Worker::Looks
        } else if slot + 1 < self.input_slots {
            Worker::Asks { slot: slot + 1 }
        } else if self.weak == Weak::EndCopiedOnce {
            Worker::Left
        } else {
            Worker::CopiesEnd
        };
        steps.worker(me, ("asks slot", slot), at, |_| ());
    }

    fn claims(&self, steps: &mut Steps<'_>, me: usize) {
        match steps.state.workers[me] {
            Worker::Claims { slot, limit } => {
                match steps.state.input(slot).word.claim(seat(me), GROUP) {
                    Some(after) => {
                        let at = Worker::Counts { slot, limit };
                        steps.worker(me, ("claims slot", slot), at, |state| {
                            state.inputs[usize::from(slot)].word = after;
                        });
                    }
                    None => {
                        steps.worker(me, ("comes too late for slot", slot), Worker::Looks, |_| ())
                    }
                }
            }
            Worker::Counts { slot, limit } => {
                let input = steps.state.input(slot);
                let job = Job { slot, seq: input.seq };
                let at = if input.seq >= limit {
                    Worker::Uncounts { slot }
                } else if input.claims > 0 && self.weak != Weak::NoLookBeforeRedoing {
                    Worker::LooksForOutput { job, output: 0 }
                } else {
                    Worker::Acquires { job }
                };
                steps.worker(me, ("counts its claim of frame", input.seq), at, |state| {
                    state.inputs[usize::from(slot)].claims += 1;
                });
            }
            Worker::Uncounts { slot } => {
                let at = Worker::GivesBack { slot };
                steps.worker(me, ("takes back its count in slot", slot), at, |state| {
                    state.inputs[usize::from(slot)].claims -= 1;
                });
            }
            Worker::GivesBack { slot } => {
                let after = steps.state.input(slot).word.give_back(seat(me), GROUP);
                steps.worker(me, ("gives back slot", slot), Worker::Looks, |state| {
                    state.inputs[usize::from(slot)].word = after.expect("it is held");
                });
            }
            at => unreachable!("no worker claims at {at:?}"),
        }
    }

    fn works(&self, steps: &mut Steps<'_>, me: usize) {
        match steps.state.workers[me] {
            Worker::LooksForOutput { job, output } => self.looks_for_output(steps, me, job, output),
            Worker::Acquires { job } => {
                for output in 0..self.output_slots {
                    if let Some(after) = steps.state.output(output).word.acquire(seat(me)) {
                        let at = match self.weak {
                            Weak::ReleaseFirst => Worker::ReleasesFirst { job, output },
                            _ => Worker::WritesSeq { job, output },
                        };
                        steps.worker(me, ("acquires output slot", output), at, |state| {
                            state.outputs[usize::from(output)].word = after;
                        });
                    }
                }
            }
            Worker::ReleasesFirst { job, output } => {
                let at = Worker::WritesSeq { job, output };
                steps.worker(me, ("releases frame", job.seq), at, |state| release(state, me, job));
            }
            Worker::WritesSeq { job, output } => {
                let at = Worker::Publishes { job, output };
                steps.worker(me, ("writes the seq of output slot", output), at, |state| {
                    state.outputs[usize::from(output)].seq = job.seq;
                });
            }
            Worker::Publishes { job, output } => {
                let after = steps.state.output(output).word.publish(seat(me), 1 << GROUP);
                let at = match self.weak {
                    Weak::ReleaseFirst => Worker::Looks,
                    _ => Worker::Releases { job },
                };
                steps.worker(me, ("publishes frame", job.seq), at, |state| {
                    state.outputs[usize::from(output)].word = after.expect("it is being written");
                });
            }
            Worker::Releases { job } => {
                let at = Worker::Looks;
                steps.worker(me, ("releases frame", job.seq), at, |state| release(state, me, job));
            }
            at => unreachable!("no worker works at {at:?}"),
        }
    }

    /// Looks whether the frame is in the output ring, or was taken from it in its turn.
    fn looks_for_output(&self, steps: &mut Steps<'_>, me: usize, job: Job, output: u8) {
        let state = steps.state;
        if output == self.output_slots {
            let passed = state.cursor > job.seq;
            let at = if passed { Worker::Releases { job } } else { Worker::Acquires { job } };
            steps.worker(me, ("reads the cursor", state.cursor), at, |_| ());
            return;
        }
        let found = state.output(output);
        let at = if found.seq == job.seq && !found.word.is_writing() {
            Worker::Releases { job }
        } else {
            Worker::LooksForOutput { job, output: output + 1 }
        };
        steps.worker(me, ("looks for its output in slot", output), at, |_| ());
    }
}

fn copies_end(steps: &mut Steps<'_>, me: usize, at: Worker) {
    let end = steps.state.input_end;
    steps.worker(me, ("copies the end", end), at, |state| state.output_end = end);
}

fn release(state: &mut State, me: usize, job: Job) {
    let slot = &mut state.inputs[usize::from(job.slot)];
    slot.word = slot.word.release(seat(me)).expect("it is held");
    if slot.word.is_free() {
        // Nobody reads it before it is set anew.
        slot.claims = 0;
    }
}
