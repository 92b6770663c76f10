//! Journal entries: what a participant is about to do, packed into one word of its line.

use crate::layout::COUNTERS;

/// The edges that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountedEdge {
    Publish,
    Overwrite,
    Release,
    Sweep,
}

impl CountedEdge {
    fn code(self) -> u64 {
        match self {
            Self::Publish => 1,
            Self::Overwrite => 2,
            Self::Release => 3,
            Self::Sweep => 4,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        [Self::Publish, Self::Overwrite, Self::Release, Self::Sweep]
            .into_iter()
            .find(|edge| edge.code() == code)
    }
}

/// A journal entry: what is about to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) edge: CountedEdge,
    pub(crate) groups: u8,
    pub(crate) counter: usize,
    pub(crate) slot: u32,
}

impl Entry {
    pub(crate) fn pack(self) -> u64 {
        self.edge.code()
            | (u64::from(self.groups) << 8)
            | ((self.counter as u64) << 16)
            | (u64::from(self.slot) << 32)
    }

    pub(crate) fn unpack(raw: u64) -> Option<Self> {
        let byte = |shift: u32| u8::try_from((raw >> shift) & 0xff).expect("8 bits are left");
        Some(Self {
            edge: CountedEdge::from_code(raw & 0xff)?,
            groups: byte(8),
            counter: Some(usize::from(byte(16))).filter(|&counter| counter < COUNTERS)?,
            slot: u32::try_from(raw >> 32).expect("32 bits are left"),
        })
    }
}
