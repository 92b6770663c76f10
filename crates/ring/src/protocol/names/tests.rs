//! What holds for the names of rings, and what breaks when a rule is not kept.

use super::{Names, Weak};
use crate::protocol::explorer::{TRAP, assert_breaks, assert_holds};

const ONE_FRAME: Names = Names { has_frame: true, workers: 2, kills: 0, weak: Weak::Nothing };
const NO_FRAME: Names = Names { has_frame: false, ..ONE_FRAME };

#[test]
fn a_stream_comes_through_and_leaves_no_name_behind() {
    assert_holds(&ONE_FRAME);
    assert_holds(&NO_FRAME);
    assert_holds(&Names { workers: 3, ..ONE_FRAME });
}

#[test]
fn a_stream_comes_through_whoever_is_killed() {
    assert_holds(&Names { kills: 2, ..ONE_FRAME });
    assert_holds(&Names { kills: 2, ..NO_FRAME });
}

#[test]
fn an_empty_ring_that_has_ended_may_have_frames_to_come() {
    assert_breaks(&Names { weak: Weak::EmptyIsOver, ..ONE_FRAME }, TRAP);
}

#[test]
fn a_ring_that_is_over_may_have_its_end_to_hand_on() {
    assert_breaks(&Names { weak: Weak::OverIsHandedOn, ..NO_FRAME }, TRAP);
}

#[test]
fn a_name_that_goes_before_the_end_is_handed_on_takes_it_along() {
    assert_breaks(&Names { weak: Weak::NoDebts, kills: 1, ..ONE_FRAME }, TRAP);
}

#[test]
fn an_output_that_is_made_slowly_may_be_wanted_no_more() {
    assert_breaks(&Names { weak: Weak::MadeUnasked, ..ONE_FRAME }, TRAP);
}

#[test]
fn an_output_to_which_somebody_dead_was_about_to_hand_the_end_is_not_made_in_vain() {
    assert_breaks(&Names { weak: Weak::MadeInVain, kills: 1, ..NO_FRAME }, TRAP);
}

#[test]
fn who_joins_a_ring_without_a_name_is_alone_there() {
    let model = Names { weak: Weak::JoinsNameless, ..ONE_FRAME };
    assert_breaks(&model, "somebody is in a ring that nobody else finds");
}

#[test]
fn who_does_not_look_whether_it_is_the_last_takes_the_name_from_others() {
    let model = Names { weak: Weak::TakenInUse, ..ONE_FRAME };
    assert_breaks(&model, "a ring that is in use loses its name");
}

#[test]
fn who_cleans_up_may_keep_the_last_one_out_from_taking_the_name() {
    assert_breaks(&Names { weak: Weak::ReaperWalksOn, ..ONE_FRAME }, TRAP);
}
