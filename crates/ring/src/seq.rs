//! The number that orders frames: given once by the source, kept through every stage.
//!
//! A ring that takes its frames from another one may outlive it. Then the numbers of the new feed
//! start at 0 again, and what tells them from the old ones is the *lineage* in the upper 16 bits:
//! it grows by one for each new feed. At a source it is 0. So one 64-bit comparison orders all
//! frames that ever pass through a ring.

use std::fmt;

const NUMBER_BITS: u32 = 48;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// The position of a frame in a ring's stream: lineage and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// The first of all.
    pub const FIRST: Self = Self(0);

    /// What stands in a record that holds no frame, and larger than every real one.
    pub(crate) const NONE: u64 = u64::MAX;

    /// The last of all. A hostile peer can lead there; beyond it lies what means no frame, and a
    /// cursor that was put there would begin again.
    const LAST: u64 = Self::NONE - 1;

    /// The frame with a number (the lower 48 bits count) in a lineage.
    pub fn new(lineage: u16, number: u64) -> Self {
        let raw = (u64::from(lineage) << NUMBER_BITS) | (number & NUMBER_MASK);
        Self(raw.min(Self::LAST))
    }

    /// The value as it stands in shared memory; `None` when no frame is meant.
    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        (raw != Self::NONE).then_some(Self(raw))
    }

    pub(crate) fn raw(self) -> u64 {
        self.0
    }

    /// How many feeds the ring had before the one this frame came from.
    pub fn lineage(self) -> u16 {
        u16::try_from(self.0 >> NUMBER_BITS).expect("16 bits are left")
    }

    /// The number the source gave; what users see as a frame's seq.
    pub fn number(self) -> u64 {
        self.0 & NUMBER_MASK
    }

    /// The next number of the same lineage.
    #[must_use]
    pub fn next(self) -> Self {
        self.advanced(1)
    }

    /// The frame `by` numbers later. A source of 1000 frames a second would run for 8900 years
    /// before this could reach the next lineage.
    #[must_use]
    pub(crate) fn advanced(self, by: u64) -> Self {
        Self(self.0.saturating_add(by).min(Self::LAST))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_lineage_comes_after_everything_old() {
        assert!(Seq::new(1, 0) > Seq::new(0, NUMBER_MASK));
        assert!(Seq::new(1, 1) > Seq::new(1, 0));
        assert_eq!((Seq::new(7, 9).lineage(), Seq::new(7, 9).next().number()), (7, 10));
        assert_eq!(Seq::from_raw(Seq::NONE), None);
    }

    #[test]
    fn no_seq_is_the_mark_of_a_record_without_a_frame() {
        for last in [Seq::new(u16::MAX, NUMBER_MASK), Seq::new(0, 0).advanced(u64::MAX)] {
            assert_eq!(Seq::from_raw(last.raw()), Some(last));
            assert_eq!(last.next(), last);
        }
    }
}
