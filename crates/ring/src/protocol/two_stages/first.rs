//! A worker of the first stage: it claims from the source's ring, which gives out its frames in
//! order, and keeps to the limit that the second stage hands on.

use super::state::{First, Slot, Steps};
use super::{SECOND_STAGE, TwoStages};

impl TwoStages {
    pub(super) fn first(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        let seat = u8::try_from(me).expect("a few workers");
        match state.firsts[me] {
            First::ReadsLimit => {
                let at = First::Claims { limit: state.handed_on };
                steps.first(me, ("reads the limit", state.handed_on), at, |_| ());
            }
            First::Claims { limit } if state.next < limit.min(self.frames) => {
                let at = First::Acquires { seq: state.next };
                steps.first(me, ("claims frame", state.next), at, |state| state.next += 1);
            }
            First::Claims { limit } if state.handed_on != limit => {
                steps.first(me, ("looks again", limit), First::ReadsLimit, |_| ());
            }
            First::Claims { .. } => {}
            First::Acquires { seq } => {
                for slot in 0..self.between_slots {
                    if let Some(word) = state.between(slot).word.acquire(seat) {
                        // Nobody reads the seq of a slot that is being written: two steps in one.
                        steps.first(
                            me,
                            ("acquires slot", slot),
                            First::Publishes { slot },
                            |state| {
                                state.betweens[usize::from(slot)] = Slot { word, seq };
                            },
                        );
                    }
                }
            }
            First::Publishes { slot } => {
                let Slot { word, seq } = state.between(slot);
                let after = word.publish(seat, 1 << SECOND_STAGE);
                steps.first(me, ("publishes frame", seq), First::ReadsLimit, |state| {
                    state.betweens[usize::from(slot)].word = after.expect("it is being written");
                });
            }
        }
    }
}
