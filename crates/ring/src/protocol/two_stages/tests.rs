//! What holds for two stages, and what breaks when a rule is not kept.

use super::{TwoStages, Weak};
use crate::protocol::explorer::{TRAP, assert_breaks, assert_holds};

const NARROW: TwoStages = TwoStages {
    between_slots: 1,
    last_slots: 2,
    frames: 3,
    seconds: 1,
    is_sink_ordered: false,
    weak: Weak::Nothing,
};

#[test]
fn a_reader_may_join_late_whatever_is_on_its_way() {
    assert_holds(&NARROW);
}

#[test]
fn one_slot_in_either_ring_is_enough() {
    assert_holds(&TwoStages { last_slots: 1, ..NARROW });
}

#[test]
fn there_may_be_two_workers_in_either_stage() {
    assert_holds(&TwoStages { seconds: 2, frames: 2, ..NARROW });
}

#[test]
fn two_ordered_readers_need_no_more_room_than_one() {
    assert_holds(&TwoStages { is_sink_ordered: true, ..NARROW });
    assert_holds(&TwoStages { is_sink_ordered: true, last_slots: 1, ..NARROW });
}

#[test]
fn what_is_beyond_a_limit_that_fell_fills_the_ring_between() {
    assert_breaks(&TwoStages { weak: Weak::BeyondLeft, ..NARROW }, TRAP);
}

#[test]
fn taking_what_is_beyond_the_limit_from_any_full_ring_costs_a_reader_frames() {
    let model = TwoStages { weak: Weak::BeyondAlways, ..NARROW };
    assert_breaks(&model, "a reader misses a frame that was in nobody's way");
}

#[test]
fn what_a_reader_has_no_room_for_fills_the_last_ring() {
    assert_breaks(&TwoStages { weak: Weak::RoomForgotten, ..NARROW }, TRAP);
}
