//! A worker of the second stage: the modules `relay`, `window` and `books` of the ring.

use super::state::{Second, State, Steps};
use super::{FIRSTS, NONE, READER, SECOND_STAGE, SINK, Slot, TwoStages, Weak};

impl TwoStages {
    pub(super) fn second(&self, steps: &mut Steps<'_>, me: usize) {
        let state = steps.state;
        let seat = u8::try_from(FIRSTS + me).expect("a few workers");
        match state.seconds[me] {
            Second::ReadsLimit => {
                let limit = self.limit(state);
                let at = match state.handed_on == limit {
                    true => Second::Looks { limit },
                    false => Second::HandsLimitOn { limit },
                };
                steps.second(me, ("reads the limit", limit), at, |_| ());
            }
            Second::HandsLimitOn { limit } => {
                steps.second(me, ("hands on the limit", limit), Second::ReadsLimit, |state| {
                    state.handed_on = limit;
                });
            }
            Second::Looks { limit } => self.looks(steps, me, limit),
            Second::Acquires { slot } => {
                for output in 0..self.last_slots {
                    if let Some(word) = state.last(output).word.acquire(seat) {
                        let at = Second::ReadsGroups { slot, output };
                        steps.second(me, ("acquires output slot", output), at, |state| {
                            let seq = state.between(slot).seq;
                            state.lasts[usize::from(output)] = Slot { word, seq };
                        });
                    }
                }
            }
            Second::ReadsGroups { slot, output } => {
                let groups = self.groups_for(state, state.between(slot).seq);
                let at = Second::Publishes { slot, output, groups };
                steps.second(me, ("decides on groups", groups), at, |_| ());
            }
            Second::Publishes { slot, output, groups } => {
                let after = state.last(output).word.publish(seat, groups);
                let seq = state.between(slot).seq;
                steps.second(me, ("publishes frame", seq), Second::Releases { slot }, |state| {
                    state.lasts[usize::from(output)].word = after.expect("it is being written");
                });
            }
            Second::Releases { slot } => {
                let after = state.between(slot).word.release(seat).expect("it is held");
                steps.second(me, ("releases slot", slot), Second::ReadsLimit, |state| {
                    state.betweens[usize::from(slot)].word = after;
                });
            }
        }
    }

    /// Claims the oldest frame below the limit; any, if others keep one out that is.
    fn looks(&self, steps: &mut Steps<'_>, me: usize, limit: u8) {
        let state = steps.state;
        let seat = u8::try_from(FIRSTS + me).expect("a few workers");
        let oldest = |limit| {
            (0..self.between_slots)
                .filter(|&slot| state.between(slot).word.is_pending(SECOND_STAGE))
                .filter(|&slot| state.between(slot).seq < limit)
                .min_by_key(|&slot| state.between(slot).seq)
        };
        let below = oldest(limit);
        let keeps_out = Self::first_from_above(state, 0) < limit;
        let is_full = (0..self.between_slots).all(|slot| !state.between(slot).word.is_free());
        let takes_beyond = is_full
            && match self.weak {
                Weak::BeyondLeft => false,
                Weak::BeyondAlways => true,
                _ => keeps_out,
            };
        if let Some(slot) = below.or_else(|| oldest(NONE).filter(|_| takes_beyond)) {
            let Slot { word, seq } = state.between(slot);
            let after = word.claim(seat, SECOND_STAGE);
            steps.second(me, ("claims frame", seq), Second::Acquires { slot }, |state| {
                state.betweens[usize::from(slot)].word = after.expect("it is pending");
                if below.is_none() && !keeps_out {
                    state.wrong = Some("a reader misses a frame that was in nobody's way");
                }
            });
        } else if self.limit(state) != limit {
            steps.second(me, ("looks again", limit), Second::ReadsLimit, |_| ());
        }
    }

    /// The groups that a frame is published to. That this is looked at once more, after the journal
    /// is open, is in the model `groups`.
    fn groups_for(&self, state: &State, seq: u8) -> u8 {
        let has_room = |cursor| seq < cursor + self.room() || self.weak == Weak::RoomForgotten;
        let sink = !self.is_sink_ordered || has_room(state.sink_cursor);
        let reader = state.is_reader_active && has_room(state.cursor);
        (u8::from(sink) << SINK) | (u8::from(reader) << READER)
    }
}
