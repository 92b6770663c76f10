//! Who reads the last ring: the modules `consumer`, `ordered` and `groups` of the ring.

use super::state::{Reader, Sink, Slot, Steps};
use super::{NONE, READER, READER_SEAT, SINK, SINK_SEAT, TwoStages};

impl TwoStages {
    pub(super) fn sink(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        match state.sink {
            Sink::Looks => {
                for slot in 0..self.last_slots {
                    let Slot { word, seq } = state.last(slot);
                    let is_next = !self.is_sink_ordered || seq == state.sink_cursor;
                    if let Some(after) = word.claim(SINK_SEAT, SINK).filter(|_| is_next) {
                        steps.sink("claims frame", seq, Sink::StoresCursor { slot }, |state| {
                            state.lasts[usize::from(slot)].word = after;
                            state.sunk[usize::from(seq)] += 1;
                        });
                    }
                }
            }
            Sink::StoresCursor { slot } => {
                let seq = state.last(slot).seq;
                steps.sink("is done with frame", seq, Sink::Releases { slot }, |state| {
                    if self.is_sink_ordered {
                        state.sink_cursor = seq + 1;
                    }
                });
            }
            Sink::Releases { slot } => {
                let after = state.last(slot).word.release(SINK_SEAT).expect("it is held");
                steps.sink("releases slot", slot, Sink::Looks, |state| {
                    state.lasts[usize::from(slot)].word = after;
                });
            }
        }
    }

    pub(super) fn reader(&self, steps: &mut Steps<'_>) {
        let state = steps.state;
        match state.reader {
            Reader::Absent => {
                let first = self.first_arriving(state, 0);
                // What an ordered sink has behind it has passed.
                let cursor = first.max(state.sink_cursor);
                steps.reader("asks for its first frame", cursor, Reader::Joins, |state| {
                    state.cursor = cursor;
                });
            }
            Reader::Joins => {
                steps.reader("becomes active at", state.cursor, Reader::Looks, |state| {
                    state.is_reader_active = true;
                });
            }
            Reader::Looks => self.reads(steps),
            Reader::StoresCursor { slot } => {
                let seq = state.last(slot).seq;
                steps.reader("is done with frame", seq, Reader::Releases { slot }, |state| {
                    state.cursor = seq + 1;
                });
            }
            Reader::Releases { slot } => {
                let after = state.last(slot).word.release(READER_SEAT).expect("it is held");
                steps.reader("releases slot", slot, Reader::Looks, |state| {
                    state.lasts[usize::from(slot)].word = after;
                });
            }
        }
    }

    /// Claims the frame at the cursor, or passes over what can't come any more.
    fn reads(&self, steps: &mut Steps<'_>) {
        let (state, cursor) = (steps.state, steps.state.cursor);
        let pending: Vec<u8> =
            (0..self.last_slots).filter(|&slot| state.last(slot).word.is_pending(READER)).collect();
        for &slot in &pending {
            if state.last(slot).seq == cursor {
                let after = state.last(slot).word.claim(READER_SEAT, READER);
                let at = Reader::StoresCursor { slot };
                steps.reader("claims frame", cursor, at, |state| {
                    state.lasts[usize::from(slot)].word = after.expect("it is pending");
                });
            }
        }
        let here = pending.iter().map(|&slot| state.last(slot).seq).min().unwrap_or(NONE);
        let settled = self.first_arriving(state, cursor).min(here);
        if settled > cursor {
            steps.reader("passes over all before", settled, Reader::Looks, |state| {
                state.cursor = settled;
            });
        }
    }
}
