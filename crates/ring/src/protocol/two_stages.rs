//! Two stages of workers in a row, a sink that is there from the start, and an ordered reader that
//! joins the last ring late, while frames of any age are on their way. All rings block.
//!
//! Nobody dies here; what a death changes is in the models `one_ring` and `two_rings`. The source's
//! ring is but a number, since it gives out its frames in order, and what may still come is asked
//! in one step.

mod first;
mod readers;
mod second;
mod state;
mod tests;

use self::state::{First, Reader, Second, Sink, Slot, State, Steps};
use super::explorer::{Model, Step};
use crate::claim::Word;

const MOST_SLOTS: usize = 2;
const MOST_FRAMES: usize = 3;
const FIRSTS: usize = 2;
const MOST_SECONDS: usize = 2;

/// The group of the ring between the stages, and those of the last one.
const SECOND_STAGE: u8 = 0;
const SINK: u8 = 0;
const READER: u8 = 1;
/// The seats of the last ring's consumers; those of the workers are before them.
const SINK_SEAT: u8 = 4;
const READER_SEAT: u8 = 5;
const NONE: u8 = u8::MAX;

/// The rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weak {
    Nothing,
    /// The second stage leaves frames beyond the limit where they are, whatever they keep out.
    BeyondLeft,
    /// It takes them from any full ring.
    BeyondAlways,
    /// Frames are published to readers whether they have room for them or not.
    RoomForgotten,
}

#[derive(Clone, Copy, Debug)]
struct TwoStages {
    between_slots: u8,
    last_slots: u8,
    frames: u8,
    seconds: usize,
    /// Whether the sink takes frames in order, too.
    is_sink_ordered: bool,
    weak: Weak,
}

impl TwoStages {
    /// How many frames from its cursor on an ordered group has room for.
    fn room(&self) -> u8 {
        (self.last_slots - 1).max(1)
    }

    /// The last ring's limit.
    fn limit(&self, state: &State) -> u8 {
        let sink = self.is_sink_ordered.then_some(state.sink_cursor);
        let reader = state.is_reader_active.then_some(state.cursor);
        sink.into_iter().chain(reader).min().map_or(NONE, |cursor| cursor + self.room())
    }

    /// The smallest seq from `from` on that may still come to the ring between.
    fn first_from_above(state: &State, from: u8) -> u8 {
        let in_hand = state.firsts.iter().filter_map(|first| match first {
            First::Acquires { seq } => Some(*seq),
            First::Publishes { slot } => Some(state.between(*slot).seq),
            First::ReadsLimit | First::Claims { .. } => None,
        });
        in_hand.filter(|&seq| seq >= from).min().unwrap_or(NONE).min(state.next)
    }

    /// The smallest seq from `from` on that may still come to the last ring.
    fn first_arriving(&self, state: &State, from: u8) -> u8 {
        let between = (0..self.between_slots)
            .map(|slot| state.between(slot))
            .filter(|slot| !slot.word.is_free() && slot.seq >= from)
            .map(|slot| slot.seq);
        between.min().unwrap_or(NONE).min(Self::first_from_above(state, from))
    }
}

impl Model for TwoStages {
    type State = State;

    fn start(&self) -> State {
        State {
            next: 0,
            handed_on: 0,
            betweens: [Slot { word: Word::FREE, seq: NONE }; MOST_SLOTS],
            lasts: [Slot { word: Word::FREE, seq: NONE }; MOST_SLOTS],
            firsts: [First::ReadsLimit; FIRSTS],
            seconds: [Second::ReadsLimit; MOST_SECONDS],
            sink: Sink::Looks,
            sink_cursor: 0,
            reader: Reader::Absent,
            is_reader_active: false,
            cursor: 0,
            sunk: [0; MOST_FRAMES],
            wrong: None,
        }
    }

    fn steps(&self, state: &State) -> Vec<(Step, State)> {
        let mut found = Vec::new();
        let steps = &mut Steps { state, found: &mut found };
        (0..FIRSTS).for_each(|worker| self.first(steps, worker));
        (0..self.seconds).for_each(|worker| self.second(steps, worker));
        self.sink(steps);
        self.reader(steps);
        found
    }

    fn violation(&self, state: &State) -> Option<&'static str> {
        let twice = state.sunk.iter().any(|&times| times > 1);
        state.wrong.or_else(|| twice.then_some("the sink gets a frame twice"))
    }

    /// The sink has got every frame, and the reader is past the last one.
    fn is_finished(&self, state: &State) -> bool {
        state.sunk[..usize::from(self.frames)].iter().all(|&times| times == 1)
            && state.is_reader_active
            && state.cursor == self.frames
            && state.betweens.iter().chain(&state.lasts).all(|slot| slot.word.is_free())
    }
}
