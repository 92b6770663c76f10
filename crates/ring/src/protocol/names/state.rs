//! What the two rings and those who use them look like between two steps.

use super::MOST_WORKERS;
use crate::protocol::explorer;

const WORKER: [&str; MOST_WORKERS] = ["worker A", "worker B", "worker C"];

/// Where the stream's frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Frame {
    ToCome,
    Pending,
    Held,
    HeldByDead,
    Done,
}

/// The source's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Input {
    pub(super) linked: bool,
    pub(super) end: bool,
    pub(super) frame: Frame,
    /// Whether the workers have yet to hand the end on.
    pub(super) owes: bool,
    /// The output to which they hand it on; 0 before.
    pub(super) handed_on: u8,
    pub(super) has_group: bool,
}

/// The workers' ring: the one of this name that was made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Output {
    /// How many were made so far.
    pub(super) instance: u8,
    pub(super) linked: bool,
    pub(super) end: bool,
    /// Whether the frame waits in it.
    pub(super) frame: bool,
    pub(super) has_group: bool,
}

/// What a worker does next. The number is that of the output
/// that it has found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    /// It was not started, or waits for a ring.
    Absent,
    /// It has opened the input ring.
    Opened,
    JoinsInput,
    OpensOutput,
    /// There was none, and one is wanted.
    MakesOutput,
    LooksAgain(u8),
    JoinsOutput(u8),
    Works(u8),
    /// It has noted that it hands the end on.
    StoresEnd(u8),
    /// It has stored the end in the output.
    Pays(u8),
    Publishes(u8),
    Releases(u8),
    /// It has given its id in the input back, and has yet to look whether it was the last one.
    LeavesInput(Option<u8>),
    LeavesOutput,
    /// It has seen the end, or has come too late.
    Gone,
}

impl Worker {
    /// Whether it has an id in the input ring.
    pub(super) fn is_in_input(self) -> bool {
        match self {
            Self::Absent | Self::Opened | Self::JoinsInput | Self::Gone => false,
            Self::LeavesInput(_) | Self::LeavesOutput => false,
            Self::OpensOutput | Self::MakesOutput => true,
            Self::LooksAgain(_) | Self::JoinsOutput(_) | Self::Works(_) => true,
            Self::StoresEnd(_) | Self::Pays(_) => true,
            Self::Publishes(_) | Self::Releases(_) => true,
        }
    }

    /// The output ring in which it has an id.
    pub(super) fn output(self) -> Option<u8> {
        match self {
            Self::Works(output) | Self::StoresEnd(output) => Some(output),
            Self::Pays(output) | Self::Publishes(output) => Some(output),
            Self::Releases(output) => Some(output),
            Self::LeavesInput(output) => output,
            _ => None,
        }
    }
}

/// What the reader of the output does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Waits,
    Joins {
        output: u8,
    },
    Reads {
        output: u8,
    },
    /// It has given its id back.
    Leaves,
    Gone,
}

/// What one does who looks for the dead in the input ring without being in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reaper {
    Idle,
    /// It has seen that this worker's entry is taken.
    Saw {
        worker: u8,
    },
    /// It has that worker's lock.
    Locked {
        worker: u8,
    },
    /// It has unlocked it again.
    Leaves,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) is_source_here: bool,
    pub(super) workers: [Worker; MOST_WORKERS],
    /// Whether an entry in the input ring is that of a dead worker.
    pub(super) dead: [bool; MOST_WORKERS],
    pub(super) reader: Reader,
    pub(super) reaper: Reaper,
    /// Whether the reader has got the frame. Known to the checker, not to the rings.
    pub(super) has_got: bool,
    pub(super) kills: u8,
    pub(super) wrong: Option<&'static str>,
}

impl State {
    /// Cleans up after a dead worker.
    pub(super) fn clean(&mut self, worker: usize) {
        if self.dead[worker] && self.input.frame == Frame::HeldByDead {
            self.input.frame = Frame::Pending;
        }
        self.dead[worker] = false;
    }
}

/// Collects what can happen next.
pub(super) type Steps<'a> = explorer::Steps<'a, State>;

impl Steps<'_> {
    pub(super) fn worker(
        &mut self,
        worker: usize,
        what: &'static str,
        at: Worker,
        change: impl FnOnce(&mut State),
    ) {
        self.add(WORKER[worker], (what, 0), |state| {
            state.workers[worker] = at;
            change(state);
        });
    }
}
