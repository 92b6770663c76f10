//! Models of the claim word: in every order in which its users can meet, with every value that weak
//! memory lets them see, a frame goes to one member of each group, no bit is lost, and nobody
//! touches a payload that somebody else may be writing.
//!
//! What runs are the edges and [`swing`] themselves, on the model checker's atomics; see
//! [`slot`]. Each model also lists what it comes to in one order or another, so that none is held
//! for explored that was not.

mod slot;

use std::collections::BTreeSet;
// Not the checker's own: a count of references isn't modelled here.
use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{HELD, WRITING, Word, held};
use crate::claim::ClaimCell;
use slot::{
    BOTH_GROUPS, Flaw, HALF_WRITTEN, ModelSlot, NO_FRAME, OTHER, PRODUCER, READER, ended, explore,
    with_slot,
};

/// A producer publishes frame 1 while two members of one group look for it.
fn two_members_of_a_group(flaw: Flaw) -> BTreeSet<[Option<u64>; 2]> {
    explore(3, move || {
        let slot = ModelSlot::new(flaw, WRITING | held(PRODUCER));
        let members = [READER, OTHER].map(|id| with_slot(&slot, move |slot| slot.take(id, 0)));
        slot.write_and_publish(1, 0b1);
        let got = members.map(ended);
        let waits = if got == [None, None] { Word(0b1) } else { Word::FREE };
        assert_eq!(slot.look(), waits);
        got
    })
}

#[test]
fn a_frame_goes_to_one_member_of_a_group_whole() {
    let outcomes = two_members_of_a_group(Flaw::None);
    assert_eq!(outcomes, [[None, None], [None, Some(1)], [Some(1), None]].into());
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_acquire_a_consumer_would_read_a_frame_that_is_being_written() {
    two_members_of_a_group(Flaw::NoAcquire);
}

/// Two members of one group look for a frame that is there.
fn two_members_claim(flaw: Flaw) -> BTreeSet<[bool; 2]> {
    explore(3, move || {
        let slot = ModelSlot::new(flaw, 0b1);
        let members = [READER, OTHER]
            .map(|id| with_slot(&slot, move |slot| slot.go(|word| word.claim(id, 0))));
        members.map(ended)
    })
}

#[test]
fn one_of_two_members_gets_a_frame_that_is_there() {
    assert_eq!(two_members_claim(Flaw::None), [[false, true], [true, false]].into());
}

#[test]
fn in_two_steps_both_members_of_a_group_would_get_it() {
    assert!(two_members_claim(Flaw::TwoSteps).contains(&[true, true]));
}

#[test]
fn a_frame_goes_to_each_of_two_groups() {
    let outcomes = explore(3, || {
        let slot = ModelSlot::new(Flaw::None, WRITING | held(PRODUCER));
        let members = [(READER, 0), (OTHER, 1)]
            .map(|(id, group)| with_slot(&slot, move |slot| slot.take(id, group)));
        slot.write_and_publish(1, BOTH_GROUPS);
        let got = members.map(ended);
        let word = slot.look();
        assert_eq!(got.map(|frame| frame.is_none()), [0, 1].map(|group| word.is_pending(group)));
        assert_eq!(word.holders().count(), 0);
        got
    });
    let came = [None, Some(1)];
    assert_eq!(outcomes, came.iter().flat_map(|&one| came.map(|other| [one, other])).collect());
}

/// What a producer does under drop-oldest with a slot where frame 0 waits for group 0.
fn overwrite(slot: &ModelSlot) -> bool {
    let taken = slot.go(|word| word.overwrite(PRODUCER));
    if taken {
        slot.write_and_publish(1, 0b1);
    }
    taken
}

#[test]
fn a_frame_is_claimed_or_overwritten_and_a_reader_sees_no_mixture() {
    let outcomes = explore(3, || {
        let slot = ModelSlot::new(Flaw::None, 0b1);
        let producer = with_slot(&slot, overwrite);
        let frame = slot.take(READER, 0);
        let taken = ended(producer);
        assert_eq!(slot.look(), if frame.is_some() { Word::FREE } else { Word(0b1) });
        (taken, frame)
    });
    assert_eq!(outcomes, [(false, Some(0)), (true, None), (true, Some(1))].into());
}

/// Participant 1 of group 0 has died with the frame, participant 2 of group 1 is done with it.
fn requeue_beside_a_release(flaw: Flaw) -> BTreeSet<u64> {
    explore(3, move || {
        let slot = ModelSlot::new(flaw, held(READER) | held(OTHER));
        let reaper = with_slot(&slot, |slot| slot.go(|word| word.give_back(READER, 0)));
        assert!(slot.go(|word| word.release(OTHER)));
        assert!(ended(reaper));
        slot.look().0
    })
}

#[test]
fn what_a_dead_member_held_is_given_back_while_another_group_lets_go() {
    assert_eq!(requeue_beside_a_release(Flaw::None), [0b1].into());
}

#[test]
fn in_two_steps_a_bit_would_be_lost() {
    let lost = [held(READER), held(OTHER) | 0b1];
    assert_eq!(requeue_beside_a_release(Flaw::TwoSteps), [0b1].into_iter().chain(lost).collect());
}

/// Two readers let go, and a producer that waits takes the slot as soon as it is free. They claim
/// it here, too: the checker is blind to what a thread does before its first atomic access.
fn last_release_before_a_write(flaw: Flaw) -> BTreeSet<[Option<u64>; 2]> {
    explore(2, move || {
        let slot = ModelSlot::new(flaw, u64::from(BOTH_GROUPS));
        let readers = [(READER, 0), (OTHER, 1)]
            .map(|(id, group)| with_slot(&slot, move |slot| slot.take(id, group)));
        while !slot.go(|word| word.acquire(PRODUCER)) {
            thread::yield_now();
        }
        slot.write_and_publish(1, 0b100);
        assert_eq!(slot.look(), Word(0b100));
        readers.map(ended)
    })
}

#[test]
fn what_a_reader_reads_comes_before_what_the_next_producer_writes() {
    assert_eq!(last_release_before_a_write(Flaw::None), [[Some(0), Some(0)]].into());
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_release_a_producer_would_write_while_a_reader_reads() {
    last_release_before_a_write(Flaw::NoRelease);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_acquire_a_producer_would_write_while_a_reader_reads() {
    last_release_before_a_write(Flaw::NoAcquire);
}

#[test]
fn a_sweep_takes_the_bit_of_its_group_alone() {
    let outcomes = explore(2, || {
        let slot = ModelSlot::new(Flaw::None, WRITING | held(PRODUCER));
        let sweeper = with_slot(&slot, |slot| slot.go(|word| word.sweep(1)));
        let members = [(READER, 0), (OTHER, 1)]
            .map(|(id, group)| with_slot(&slot, move |slot| slot.take(id, group).is_some()));
        slot.write_and_publish(1, BOTH_GROUPS);
        let ([staying, leaving], swept) = (members.map(ended), ended(sweeper));
        let word = slot.look();
        assert_ne!(staying, word.is_pending(0), "the other group's frame came or waits");
        assert_eq!(word.0 & (HELD | WRITING), 0);
        [leaving, swept, word.is_pending(1)]
    });
    let one_of_three = [[false, false, true], [false, true, false], [true, false, false]];
    assert_eq!(outcomes, one_of_three.into(), "claimed, swept, or still waiting");
}

#[test]
fn what_is_observed_is_not_overwritten() {
    let outcomes = explore(3, || {
        let slot = ModelSlot::new(Flaw::None, 0b1);
        let producer = with_slot(&slot, overwrite);
        let seen = slot.peek(OTHER);
        let taken = ended(producer);
        assert_eq!(slot.look(), Word(0b1), "the frame, or the next one, waits");
        (taken, seen)
    });
    let all = [(false, Some(0)), (true, None), (true, Some(0)), (true, Some(1))];
    assert_eq!(outcomes, all.into());
}

/// A producer gives up a frame that it has half written while an observer looks for one.
fn abort_beside_an_observer(wipes_first: bool) -> BTreeSet<(bool, Option<u64>)> {
    explore(3, move || {
        let slot = ModelSlot::new(Flaw::None, 0);
        let producer = with_slot(&slot, move |slot| {
            if !slot.go(|word| word.acquire(PRODUCER)) {
                return false;
            }
            slot.payload.set(HALF_WRITTEN);
            let wipe = || slot.seq.store(NO_FRAME, Ordering::Release);
            if wipes_first {
                wipe();
            }
            assert!(slot.go(|word| word.abort(PRODUCER)));
            if !wipes_first {
                wipe();
            }
            true
        });
        let seen = slot.peek(OTHER);
        let aborted = ended(producer);
        assert!(slot.look().is_free());
        (aborted, seen)
    })
}

#[test]
fn an_observer_never_sees_what_was_given_up() {
    let outcomes = abort_beside_an_observer(true);
    assert_eq!(outcomes, [(false, Some(0)), (true, None), (true, Some(0))].into());
}

#[test]
#[should_panic(expected = "of one piece")]
fn freed_before_its_seq_is_wiped_a_half_written_frame_would_be_seen() {
    abort_beside_an_observer(false);
}

/// A dead participant's id is reaped while a newcomer takes it; the flag is the kernel's lock. Tells
/// whether the newcomer came in, and whether the reaper found anything to give back.
fn newcomer_beside_a_reaper(reaper_locks: bool) -> BTreeSet<(bool, bool)> {
    explore(3, move || {
        let slot = ModelSlot::new(Flaw::None, held(READER));
        let is_locked = Arc::new(AtomicBool::new(false));
        let reaper = with_slot(&slot, {
            let is_locked = Arc::clone(&is_locked);
            move |slot| {
                if reaper_locks && is_locked.swap(true, Ordering::AcqRel) {
                    return false;
                }
                let reaped = slot.go(|word| word.give_back(READER, 0));
                if reaper_locks {
                    is_locked.store(false, Ordering::Release);
                }
                reaped
            }
        });
        // Who finds the id locked tries the next one; who comes in has the lock while it lives.
        let has_come = !is_locked.swap(true, Ordering::AcqRel);
        if has_come {
            slot.go(|word| word.give_back(READER, 0));
            assert_eq!(slot.take(READER, 0), Some(0), "the newcomer gets the dead one's frame");
        }
        let reaped = ended(reaper);
        assert_eq!(slot.look(), if has_come { Word::FREE } else { Word(0b1) });
        (has_come, reaped)
    })
}

#[test]
fn a_reaper_takes_nothing_from_the_next_owner_of_an_id() {
    let outcomes = newcomer_beside_a_reaper(true);
    assert_eq!(outcomes, [(false, true), (true, false), (true, true)].into());
}

#[test]
#[should_panic(expected = "who holds a slot can let go")]
fn without_the_lock_a_reaper_would_take_the_frame_of_the_next_owner() {
    newcomer_beside_a_reaper(false);
}
