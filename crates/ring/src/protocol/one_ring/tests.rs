//! What holds for one ring, and what breaks when a rule is not kept.

use super::super::explorer::{TRAP, assert_breaks, assert_holds};
use super::{OneRing, Weak};

/// Two consumers of one group.
const SHARED: OneRing = OneRing {
    frames: 2,
    members: &[0, 0],
    drop_oldest: false,
    books: false,
    deaths: 1,
    restart: false,
    weak: Weak::Nothing,
};

/// One consumer, started again when it dies.
const SINGLE: OneRing = OneRing { members: &[0], books: true, restart: true, ..SHARED };

/// Two groups.
const GROUPS: OneRing = OneRing { members: &[0, 1], restart: true, ..SHARED };

const LIVE: OneRing = OneRing { drop_oldest: true, ..SINGLE };

#[test]
fn a_shared_frame_goes_to_one_member_whoever_dies() {
    assert_holds(&SHARED);
}

#[test]
fn a_frame_goes_to_every_group_whoever_dies() {
    assert_holds(&GROUPS);
}

#[test]
fn two_deaths_lose_nothing_and_the_books_balance() {
    assert_holds(&OneRing { deaths: 2, ..SINGLE });
}

#[test]
fn more_frames_than_slots_come_through_a_death() {
    assert_holds(&OneRing { frames: 3, ..SINGLE });
}

#[test]
fn what_is_overwritten_is_counted_through_two_deaths() {
    assert_holds(&OneRing { deaths: 2, ..LIVE });
}

#[test]
fn more_overwritten_frames_than_slots_are_counted_through_a_death() {
    assert_holds(&OneRing { frames: 3, ..LIVE });
}

#[test]
fn without_the_highest_seq_in_the_slots_a_seq_is_given_twice() {
    assert_breaks(&OneRing { weak: Weak::NextFromHeader, ..SINGLE }, "a seq is given twice");
}

#[test]
fn counting_what_is_still_written_skips_a_seq() {
    assert_breaks(&OneRing { weak: Weak::NextFromWriting, ..SINGLE }, "a seq is skipped");
}

#[test]
fn without_storing_where_a_source_begins_a_seq_is_given_twice() {
    let model = OneRing { weak: Weak::FirstNotStored, deaths: 2, ..SINGLE };
    assert_breaks(&model, "a seq is given twice");
}

#[test]
fn reading_the_end_after_the_slots_leaves_a_frame_behind() {
    assert_breaks(&OneRing { weak: Weak::EndReadLast, deaths: 0, ..SHARED }, TRAP);
}

#[test]
fn leaving_while_another_holds_leaves_a_frame_behind() {
    assert_breaks(&OneRing { weak: Weak::HoldersForgotten, ..SHARED }, TRAP);
}

#[test]
fn reaping_without_the_lock_robs_the_living() {
    let model = OneRing { weak: Weak::ReaperWithoutLock, ..SINGLE };
    assert_breaks(&model, "a slot is taken from its living holder");
}

#[test]
fn settling_the_books_after_the_slots_takes_an_unpublished_frame_for_published() {
    assert_breaks(&OneRing { weak: Weak::BooksLast, ..SINGLE }, "a seq is skipped");
}

#[test]
fn without_a_journal_the_books_are_wrong() {
    assert_breaks(&OneRing { weak: Weak::NoJournal, ..SINGLE }, "the books are wrong");
}

#[test]
fn entering_before_cleaning_gives_a_frame_to_the_wrong_group() {
    let model = OneRing { weak: Weak::EntryFirst, deaths: 2, ..GROUPS };
    assert_breaks(&model, "a frame is dealt with twice in a group");
}

#[test]
fn discarding_without_wiping_the_seq_skips_it() {
    let model = OneRing { weak: Weak::SeqNotWiped, deaths: 2, ..SINGLE };
    assert_breaks(&model, "a seq is skipped");
}
