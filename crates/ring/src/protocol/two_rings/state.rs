//! What two rings with their users look like between two steps.

use super::{MOST_FRAMES, MOST_SLOTS, MOST_WORKERS};
use crate::claim::Word;
use crate::protocol::explorer;

const WORKERS: [&str; MOST_WORKERS] = ["worker A", "worker B", "worker C"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) word: Word,
    pub(super) seq: u8,
    /// How often the frame was claimed; counted in the input ring.
    pub(super) claims: u8,
}

/// What the source does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Acquires,
    Publishes { slot: u8 },
    StoresNext { slot: u8 },
    Left,
}

/// A frame that a worker holds, in its slot of the input ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) slot: u8,
    pub(super) seq: u8,
}

/// What a worker does next. `output` is a slot of the output ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Looks,
    Claims {
        slot: u8,
        limit: u8,
    },
    Counts {
        slot: u8,
        limit: u8,
    },
    Uncounts {
        slot: u8,
    },
    GivesBack {
        slot: u8,
    },
    LooksForOutput {
        job: Job,
        output: u8,
    },
    Acquires {
        job: Job,
    },
    ReleasesFirst {
        job: Job,
        output: u8,
    },
    WritesSeq {
        job: Job,
        output: u8,
    },
    Publishes {
        job: Job,
        output: u8,
    },
    Releases {
        job: Job,
    },
    /// Looks whether the group is done.
    Asks {
        slot: u8,
    },
    CopiesEnd,
    Dead,
    Left,
}

/// What the pusher does next. `settled` is the smallest seq it has found so far that may still
/// come: what is below it and after the cursor never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pusher {
    Looks,
    AsksNext { settled: u8 },
    AsksInput { settled: u8, slot: u8 },
    AsksSeq { settled: u8, slot: u8 },
    AsksOwn { settled: u8, slot: u8 },
    PassesOver { settled: u8 },
    Emits { slot: u8 },
    StoresCursor { slot: u8 },
    Releases { slot: u8 },
    DropsStale { slot: u8 },
    Dead,
    Left,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) inputs: [Slot; MOST_SLOTS],
    pub(super) outputs: [Slot; MOST_SLOTS],
    /// The input ring's next seq.
    pub(super) next: u8,
    pub(super) input_end: u8,
    pub(super) output_end: u8,
    pub(super) cursor: u8,
    pub(super) source: Source,
    pub(super) workers: [Worker; MOST_WORKERS],
    pub(super) pusher: Pusher,
    pub(super) deaths: u8,
    pub(super) pusher_deaths: u8,
    /// How often each frame came out. Known to the checker, not to the rings.
    pub(super) emitted: [u8; MOST_FRAMES],
    pub(super) wrong: Option<&'static str>,
}

impl State {
    pub(super) fn input(&self, slot: u8) -> Slot {
        self.inputs[usize::from(slot)]
    }

    pub(super) fn output(&self, slot: u8) -> Slot {
        self.outputs[usize::from(slot)]
    }
}

/// The seat of a worker, in both rings.
pub(super) fn seat(worker: usize) -> u8 {
    u8::try_from(worker).expect("a few workers")
}

/// Collects what can happen next.
pub(super) type Steps<'a> = explorer::Steps<'a, State>;

impl Steps<'_> {
    pub(super) fn source(
        &mut self,
        what: &'static str,
        to: u8,
        at: Source,
        change: impl FnOnce(&mut State),
    ) {
        self.add("source", (what, to), |state| {
            state.source = at;
            change(state);
        });
    }

    pub(super) fn worker(
        &mut self,
        worker: usize,
        (what, to): (&'static str, u8),
        at: Worker,
        change: impl FnOnce(&mut State),
    ) {
        self.add(WORKERS[worker], (what, to), |state| {
            state.workers[worker] = at;
            change(state);
        });
    }

    pub(super) fn pusher(
        &mut self,
        what: &'static str,
        to: u8,
        at: Pusher,
        change: impl FnOnce(&mut State),
    ) {
        self.add("pusher", (what, to), |state| {
            state.pusher = at;
            change(state);
        });
    }

    pub(super) fn reaper(&mut self, what: &'static str, to: u8, change: impl FnOnce(&mut State)) {
        self.add("reaper", (what, to), change);
    }
}
