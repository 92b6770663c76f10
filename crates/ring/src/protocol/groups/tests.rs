//! What holds for groups that come and go, and what breaks when a rule is not kept.

use super::{Groups, Weak};
use crate::protocol::explorer::{TRAP, assert_breaks, assert_holds};

/// One group leaves, and another one takes its bit.
const TAKEN: Groups =
    Groups { slots: 2, frames: 3, deaths: 0, taken_again: true, weak: Weak::Nothing };

/// One group leaves a ring with a single slot, and nobody takes its bit.
const LEFT: Groups = Groups { slots: 1, taken_again: false, ..TAKEN };

#[test]
fn no_group_gets_or_loses_what_belongs_to_another() {
    assert_holds(&TAKEN);
}

#[test]
fn two_deaths_at_any_step_of_leaving_joining_and_publishing_change_nothing() {
    assert_holds(&Groups { deaths: 2, ..TAKEN });
}

#[test]
fn what_is_published_to_a_group_that_left_holds_nobody_up() {
    assert_holds(&Groups { deaths: 2, ..LEFT });
}

#[test]
fn taking_a_bit_at_once_mixes_the_books_of_two_groups() {
    let model = Groups { weak: Weak::NoQuiet, ..TAKEN };
    assert_breaks(&model, "a group starts with counts of the one before");
}

#[test]
fn taking_a_bit_with_its_leftovers_gives_a_group_the_frames_of_another() {
    let model = Groups { weak: Weak::LeftoversKept, ..TAKEN };
    assert_breaks(&model, "a frame of the old group goes to the new one");
}

#[test]
fn publishing_without_a_second_look_mixes_the_books_of_two_groups() {
    let model = Groups { weak: Weak::NoSecondLook, ..TAKEN };
    assert_breaks(&model, "a group starts with counts of the one before");
}

#[test]
fn without_a_sweep_a_slot_leaks() {
    assert_breaks(&Groups { weak: Weak::NobodySweeps, ..LEFT }, TRAP);
}

#[test]
fn sweeping_what_the_dead_may_have_swept_counts_it_twice() {
    let model = Groups { weak: Weak::SweepBeforeSettled, deaths: 1, ..LEFT };
    assert_breaks(&model, "the books are wrong");
}
