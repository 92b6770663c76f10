//! The claim word: the whole truth about a slot, and every legal change of it.
//!
//! ```text
//! bit 63      writing
//! bits 8..62  held[p]     participant p holds this slot
//! bits 0..7   pending[g]  group g has still to claim this frame
//! ```
//!
//! An edge is a pure function from a word to the next one, or to nothing where it is not legal.
//! [`swing`] applies an edge as one compare-and-swap with AcqRel: what a holder did to the payload
//! happens before whatever the next holder does. There is no I/O here and no memory but the word,
//! so the edges can be explored by a model checker.

use std::sync::atomic::{AtomicU64, Ordering};

/// Groups of consumers that a ring can have.
pub const GROUPS: u8 = 8;

/// Participants that can be attached to a ring at a time.
pub const SEATS: u8 = 55;

const WRITING: u64 = 1 << 63;
const HELD: u64 = ((1 << SEATS) - 1) << GROUPS;
const PENDING: u64 = (1 << GROUPS) - 1;

/// How often [`swing`] tries before it calls the peer broken: far more than all participants
/// together could need.
const TRIES: u32 = 10_000;

/// The numbers of the bits that are set, in order.
pub(crate) fn bits(mut set: u64) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros())?;
        set &= set - 1;
        u8::try_from(lowest).ok()
    })
}

/// The value of a claim word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    /// The word of a free slot.
    pub(crate) const FREE: Self = Self(0);

    pub(crate) fn is_free(self) -> bool {
        self == Self::FREE
    }

    pub(crate) fn is_writing(self) -> bool {
        self.0 & WRITING != 0
    }

    pub(crate) fn is_pending(self, group: u8) -> bool {
        self.0 & pending(group) != 0
    }

    /// One bit for each group that has still to claim the frame.
    pub(crate) fn pending_groups(self) -> u8 {
        u8::try_from(self.0 & PENDING).expect("8 bits are left")
    }

    pub(crate) fn is_held_by(self, participant: u8) -> bool {
        self.0 & held(participant) != 0
    }

    /// Whether only groups have the slot, so that a producer may overwrite it.
    pub(crate) fn is_only_pending(self) -> bool {
        self.0 & PENDING != 0 && self.0 & !PENDING == 0
    }

    /// The participants that hold the slot.
    pub(crate) fn holders(self) -> impl Iterator<Item = u8> {
        bits((self.0 & HELD) >> GROUPS)
    }

    /// Producer: takes a free slot to write.
    pub(crate) fn acquire(self, participant: u8) -> Option<Self> {
        self.is_free().then_some(Self(WRITING | held(participant)))
    }

    /// Producer under drop-oldest: takes a slot that nobody holds from the groups that wait.
    pub(crate) fn overwrite(self, participant: u8) -> Option<Self> {
        self.is_only_pending().then_some(Self(WRITING | held(participant)))
    }

    /// Producer: gives what it wrote to `groups`.
    pub(crate) fn publish(self, participant: u8, groups: u8) -> Option<Self> {
        (self.0 == WRITING | held(participant)).then_some(Self(u64::from(groups)))
    }

    /// Producer, or who cleans up after it: gives up what was not finished.
    pub(crate) fn abort(self, participant: u8) -> Option<Self> {
        (self.0 == WRITING | held(participant)).then_some(Self::FREE)
    }

    /// Consumer: takes the frame for its group.
    pub(crate) fn claim(self, participant: u8, group: u8) -> Option<Self> {
        let legal = self.is_pending(group) && !self.is_writing() && !self.is_held_by(participant);
        legal.then_some(Self((self.0 & !pending(group)) | held(participant)))
    }

    /// Consumer or observer: lets go.
    pub(crate) fn release(self, participant: u8) -> Option<Self> {
        let legal = self.is_held_by(participant) && !self.is_writing();
        legal.then_some(Self(self.0 & !held(participant)))
    }

    /// Consumer, or who cleans up after it: puts the frame back for its group.
    pub(crate) fn give_back(self, participant: u8, group: u8) -> Option<Self> {
        self.release(participant).map(|word| Self(word.0 | pending(group)))
    }

    /// Observer: holds a slot that nobody writes, so that nobody will.
    pub(crate) fn observe(self, participant: u8) -> Option<Self> {
        let legal = !self.is_writing() && !self.is_held_by(participant);
        legal.then_some(Self(self.0 | held(participant)))
    }

    /// Whoever holds the tables lock: a group that is no longer active won't claim the frame.
    pub(crate) fn sweep(self, group: u8) -> Option<Self> {
        let legal = self.is_pending(group) && !self.is_writing();
        legal.then_some(Self(self.0 & !pending(group)))
    }
}

fn held(participant: u8) -> u64 {
    debug_assert!(participant < SEATS);
    (1 << (participant + GROUPS)) & HELD
}

fn pending(group: u8) -> u64 {
    debug_assert!(group < GROUPS);
    (1 << group) & PENDING
}

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swing {
    /// The word was `before` and is `after`.
    Done {
        /// The word that the edge started from.
        before: Word,
        /// The word that it led to.
        after: Word,
    },
    /// The edge is not legal from the word that was found.
    Refused,
    /// The word never stood still: no sane set of peers does that.
    Contended,
}

/// The claim word of a slot, or a stand-in for it in a model checker.
pub(crate) trait ClaimCell {
    fn load_word(&self, order: Ordering) -> u64;
    fn exchange_word(
        &self,
        before: u64,
        after: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64>;

    /// Reads the word; sees what was done before the edge that led to it.
    fn look(&self) -> Word {
        Word(self.load_word(Ordering::Acquire))
    }

    /// Goes from `before` to `after` if the word is still `before`, else tells what it is now.
    fn exchange(&self, before: Word, after: Word) -> Result<(), Word> {
        self.exchange_word(before.0, after.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(Word)
    }
}

impl ClaimCell for AtomicU64 {
    fn load_word(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn exchange_word(
        &self,
        before: u64,
        after: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.compare_exchange(before, after, success, failure)
    }
}

/// Takes the word along `edge`, looking again as long as others change it in between.
pub(crate) fn swing(cell: &impl ClaimCell, edge: impl Fn(Word) -> Option<Word>) -> Swing {
    let mut before = cell.look();
    for _ in 0..TRIES {
        let Some(after) = edge(before) else { return Swing::Refused };
        match cell.exchange(before, after) {
            Ok(()) => return Swing::Done { before, after },
            Err(now) => before = now,
        }
    }
    Swing::Contended
}

#[cfg(test)]
mod models;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_WORDS: [u64; 8] = [
        0,
        1,
        PENDING,
        WRITING | (1 << 8),
        1 << 8,
        (1 << 8) | 2,
        (1 << 62) | (1 << 8),
        WRITING | (1 << 62),
    ];

    #[test]
    fn the_bits_do_not_overlap_and_fill_the_word() {
        assert_eq!(WRITING ^ HELD ^ PENDING, u64::MAX);
        assert_eq!(held(SEATS - 1), 1 << 62);
    }

    #[test]
    fn a_frame_goes_round() {
        let word = Word::FREE.acquire(3).and_then(|word| word.publish(3, 0b11)).expect("legal");
        assert_eq!(word.pending_groups(), 0b11);
        let word = word.claim(4, 0).and_then(|word| word.claim(5, 1)).expect("legal");
        assert_eq!(word.holders().collect::<Vec<_>>(), [4, 5]);
        assert_eq!(word.release(5).and_then(|word| word.release(4)), Some(Word::FREE));
    }

    #[test]
    fn nobody_touches_a_slot_that_is_written_but_its_writer() {
        for writer in [0, SEATS - 1] {
            let word = Word::FREE.acquire(writer).expect("legal");
            let other = (writer + 1) % SEATS;
            assert_eq!(word.acquire(other), None);
            assert_eq!(word.overwrite(other), None);
            assert_eq!(word.publish(other, 1), None);
            assert_eq!(word.abort(other), None);
            assert_eq!(word.observe(other), None);
            assert!((0..GROUPS).all(|group| word.claim(other, group).is_none()));
        }
    }

    #[test]
    fn what_is_held_is_never_overwritten() {
        for raw in ALL_WORDS {
            let overwritable = Word(raw).overwrite(9).is_some();
            assert_eq!(overwritable, raw & !PENDING == 0 && raw != 0, "{raw:x}");
        }
    }

    #[test]
    fn giving_back_undoes_a_claim() {
        let word = Word(0b101);
        assert_eq!(word.claim(7, 2).and_then(|word| word.give_back(7, 2)), Some(word));
        assert_eq!(word.release(7), None);
        assert_eq!(word.give_back(7, 2), None);
    }
}
