//! What holds for two rings, and what breaks when a rule is not kept.

use super::{TwoRings, Weak};
use crate::protocol::explorer::{TRAP, assert_breaks, assert_holds};

/// Two workers, of which one may die.
const RELAY: TwoRings = TwoRings {
    workers: 2,
    input_slots: 2,
    output_slots: 2,
    frames: 3,
    deaths: 1,
    restart: false,
    pusher_deaths: 0,
    weak: Weak::Nothing,
};

/// One worker, started again when it dies.
const SINGLE: TwoRings = TwoRings { workers: 1, restart: true, ..RELAY };

#[test]
fn every_frame_comes_out_once_and_in_order_whoever_finishes_first() {
    assert_holds(&TwoRings { deaths: 0, ..RELAY });
}

#[test]
fn a_frame_survives_its_worker_and_goes_to_another() {
    assert_holds(&RELAY);
}

#[test]
fn there_may_be_more_workers_than_slots() {
    assert_holds(&TwoRings { workers: 3, frames: 2, deaths: 0, ..RELAY });
}

#[test]
fn there_may_be_more_output_slots_than_workers() {
    assert_holds(&TwoRings { output_slots: 3, frames: 2, ..RELAY });
}

#[test]
fn a_worker_may_come_back() {
    assert_holds(&TwoRings { frames: 2, restart: true, ..RELAY });
}

#[test]
fn a_lonely_worker_may_die_twice() {
    assert_holds(&TwoRings { deaths: 2, ..SINGLE });
}

#[test]
fn a_new_pusher_goes_on_where_the_old_one_stopped() {
    assert_holds(&TwoRings { pusher_deaths: 1, ..SINGLE });
}

#[test]
fn without_the_window_the_oldest_frame_finds_no_slot() {
    assert_breaks(&TwoRings { weak: Weak::NoWindow, deaths: 0, ..RELAY }, TRAP);
}

#[test]
fn redoing_without_a_look_leaves_a_copy_in_the_ring() {
    assert_breaks(&TwoRings { weak: Weak::NoLookBeforeRedoing, ..SINGLE }, TRAP);
}

#[test]
fn releasing_before_publishing_loses_a_frame() {
    let model = TwoRings { weak: Weak::ReleaseFirst, ..RELAY };
    assert_breaks(&model, "a frame that still comes is passed over");
}

#[test]
fn leaving_while_another_holds_leaves_a_frame_behind() {
    assert_breaks(&TwoRings { weak: Weak::HoldersForgotten, frames: 2, ..RELAY }, TRAP);
}

#[test]
fn leaving_without_looking_for_the_end_again_leaves_the_pusher_behind() {
    let model = TwoRings { weak: Weak::EndCopiedOnce, frames: 1, deaths: 0, ..RELAY };
    assert_breaks(&model, TRAP);
}

#[test]
fn storing_the_next_seq_before_publishing_loses_a_frame() {
    let model = TwoRings { weak: Weak::NextStoredFirst, ..RELAY };
    assert_breaks(&model, "a frame that still comes is passed over");
}

#[test]
fn asking_the_own_ring_before_the_feed_loses_a_frame() {
    let model = TwoRings { weak: Weak::OwnRingFirst, ..RELAY };
    assert_breaks(&model, "a frame that still comes is passed over");
}

#[test]
fn storing_the_cursor_after_releasing_forgets_what_came_out() {
    let model = TwoRings { weak: Weak::CursorLast, deaths: 0, pusher_deaths: 1, ..SINGLE };
    assert_breaks(&model, "a frame that came out is passed over");
}
