//! The language of the target `ring_scribble`: what programs do with two rings, and what a broken
//! peer writes into their segments meanwhile.
//!
//! Most of a segment is payload and room for later. So places and values are named in the terms of
//! the layout, and only some writes go anywhere: a fuzzer would look long for a claim word.

use arbitrary::Arbitrary;

const GROUP_TABLE: u64 = 8192;
const GROUP_BYTES: u64 = 512;
const SEAT_TABLE: u64 = 12288;
const SEAT_BYTES: u64 = 3072;
const SLOT_TABLE: u64 = 181_248;
const SLOT_BYTES: u64 = 128;

/// One step of a script.
#[derive(Clone, Debug, Arbitrary)]
pub(crate) enum Step {
    /// Takes a slot to write, published or given up by a later step.
    Acquire,
    /// Publishes the slot that was acquired.
    Commit { payload_bytes: u8, meta_bytes: u8 },
    /// Gives up the slot that was acquired.
    Abort,
    /// Acquires and publishes at once.
    Publish { payload_bytes: u8 },
    /// Leaves a number out.
    Skip,
    /// Ends the stream.
    End,
    /// Claims a frame for a group that is shared.
    Claim { wait: bool },
    /// Ends the claim well.
    Release,
    /// Puts the claimed frame back.
    GiveBack,
    /// Takes the next frame in order; from the relay's output if `far`.
    Next { far: bool, wait: bool },
    /// The frame in order was dealt with.
    Done,
    /// The output did not take the frame in order.
    Unsent,
    /// Looks at the newest frame.
    Newest,
    /// Looks at the frame with this number.
    Numbered(u64),
    /// Passes a frame on to the second ring.
    Relay,
    /// Looks for a frame to pass on, and passes over it.
    RelaySkip,
    /// Leaves and joins again: each joiner cleans up after the dead that the script made up.
    Rejoin(Who),
    /// Reads the monitors' numbers.
    Snapshot,
    /// Writes the descriptor and reads it back.
    Describe,
    /// Asks all to finish, or takes that back.
    Drain(bool),
    /// Takes a group off the ring.
    Forget,
    /// The broken peer writes a word.
    Scribble { far: bool, place: Place, value: Value },
    /// The broken peer writes bytes anywhere.
    Smear { far: bool, offset: u32, bytes: Vec<u8> },
}

/// Who leaves and joins again.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub(crate) enum Who {
    Source,
    Consumer,
    Ordered,
    Observer,
}

/// A word of a segment, by its place in the layout.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub(crate) enum Place {
    /// The header's first 46 words: all of its fields but the doorbells.
    Header { word: u8 },
    /// A doorbell.
    Bell { bell: u8, word: u8 },
    /// The descriptor area.
    Descriptor { word: u8 },
    /// A group's entry.
    Group { group: u8, word: u8 },
    /// A participant's line up to its counters.
    Seat { seat: u8, word: u8 },
    /// A slot's claim word.
    Claim { slot: u8 },
    /// A slot's record.
    Record { slot: u8, word: u8 },
}

/// A value that is written into a word.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub(crate) enum Value {
    Any(u64),
    Small(u8),
    Ones {
        but: u8,
    },
    /// A claim word.
    Claim {
        writing: bool,
        held: u8,
        pending: u8,
    },
    /// A participant's entry.
    Entry {
        role: u8,
        group: u8,
        pid: u8,
    },
    /// A journal's entry.
    Journal {
        edge: u8,
        groups: u8,
        counter: u8,
        slot: u8,
    },
    /// A seq.
    Seq {
        lineage: u16,
        number: u8,
    },
}

impl Place {
    /// The word's offset in the segment.
    pub(crate) fn offset(self) -> u64 {
        match self {
            Self::Header { word } => 56 + u64::from(word % 46) * 8,
            Self::Bell { bell, word } => 1024 + u64::from(bell % 9) * 64 + u64::from(word % 8) * 8,
            Self::Descriptor { word } => 4096 + u64::from(word) * 8,
            Self::Group { group, word } => {
                GROUP_TABLE + u64::from(group % 8) * GROUP_BYTES + u64::from(word % 17) * 8
            }
            Self::Seat { seat, word } => {
                SEAT_TABLE + u64::from(seat % 55) * SEAT_BYTES + u64::from(word % 32) * 8
            }
            Self::Claim { slot } => SLOT_TABLE + u64::from(slot % 4) * SLOT_BYTES,
            Self::Record { slot, word } => {
                SLOT_TABLE + u64::from(slot % 4) * SLOT_BYTES + 8 + u64::from(word % 7) * 8
            }
        }
    }
}

impl Value {
    /// The value as it is written.
    pub(crate) fn word(self) -> u64 {
        match self {
            Self::Any(word) => word,
            Self::Small(word) => word.into(),
            Self::Ones { but } => u64::MAX - u64::from(but),
            Self::Claim { writing, held, pending } => {
                (u64::from(writing) << 63) | (1 << (8 + held % 55)) | u64::from(pending)
            }
            Self::Entry { role, group, pid } => {
                (u64::from(role) % 5) | (u64::from(group) << 8) | (u64::from(pid) << 32)
            }
            Self::Journal { edge, groups, counter, slot } => {
                (u64::from(edge) % 6)
                    | (u64::from(groups) << 8)
                    | (u64::from(counter % 12) << 16)
                    | (u64::from(slot) << 32)
            }
            Self::Seq { lineage, number } => (u64::from(lineage) << 48) | u64::from(number),
        }
    }
}
