//! What two stages with their rings look like between two steps.

use super::{FIRSTS, MOST_FRAMES, MOST_SECONDS, MOST_SLOTS};
use crate::claim::Word;
use crate::protocol::explorer;

const FIRST_STAGE: [&str; FIRSTS] = ["worker A", "worker B"];
const SECOND_STAGE: [&str; MOST_SECONDS] = ["worker C", "worker D"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) word: Word,
    pub(super) seq: u8,
}

/// What a worker of the first stage does next; slots are those of the ring between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum First {
    ReadsLimit,
    Claims { limit: u8 },
    Acquires { seq: u8 },
    Publishes { slot: u8 },
}

/// What a worker of the second stage does next. `output` is a slot of the last ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Second {
    ReadsLimit,
    HandsLimitOn { limit: u8 },
    Looks { limit: u8 },
    Acquires { slot: u8 },
    ReadsGroups { slot: u8, output: u8 },
    Publishes { slot: u8, output: u8, groups: u8 },
    Releases { slot: u8 },
}

/// What the sink does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sink {
    Looks,
    StoresCursor { slot: u8 },
    Releases { slot: u8 },
}

/// What the reader that comes late does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Absent,
    Joins,
    Looks,
    StoresCursor { slot: u8 },
    Releases { slot: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The next frame that the source's ring gives out.
    pub(super) next: u8,
    /// The limit that the first stage keeps to.
    pub(super) handed_on: u8,
    pub(super) betweens: [Slot; MOST_SLOTS],
    pub(super) lasts: [Slot; MOST_SLOTS],
    pub(super) firsts: [First; FIRSTS],
    pub(super) seconds: [Second; MOST_SECONDS],
    pub(super) sink: Sink,
    /// Only a sink that is ordered moves it.
    pub(super) sink_cursor: u8,
    pub(super) reader: Reader,
    pub(super) is_reader_active: bool,
    pub(super) cursor: u8,
    /// How often the sink got each frame. Known to the checker, not to the rings.
    pub(super) sunk: [u8; MOST_FRAMES],
    pub(super) wrong: Option<&'static str>,
}

impl State {
    pub(super) fn between(&self, slot: u8) -> Slot {
        self.betweens[usize::from(slot)]
    }

    pub(super) fn last(&self, slot: u8) -> Slot {
        self.lasts[usize::from(slot)]
    }
}

/// Collects what can happen next.
pub(super) type Steps<'a> = explorer::Steps<'a, State>;

impl Steps<'_> {
    pub(super) fn first(
        &mut self,
        worker: usize,
        (what, to): (&'static str, u8),
        at: First,
        change: impl FnOnce(&mut State),
    ) {
        self.add(FIRST_STAGE[worker], (what, to), |state| {
            state.firsts[worker] = at;
            change(state);
        });
    }

    pub(super) fn second(
        &mut self,
        worker: usize,
        (what, to): (&'static str, u8),
        at: Second,
        change: impl FnOnce(&mut State),
    ) {
        self.add(SECOND_STAGE[worker], (what, to), |state| {
            state.seconds[worker] = at;
            change(state);
        });
    }

    pub(super) fn sink(
        &mut self,
        what: &'static str,
        to: u8,
        at: Sink,
        change: impl FnOnce(&mut State),
    ) {
        self.add("sink", (what, to), |state| {
            state.sink = at;
            change(state);
        });
    }

    pub(super) fn reader(
        &mut self,
        what: &'static str,
        to: u8,
        at: Reader,
        change: impl FnOnce(&mut State),
    ) {
        self.add("reader", (what, to), |state| {
            state.reader = at;
            change(state);
        });
    }
}
