//! Under block nothing is lost, torn, doubled or overwritten, and the end reaches everybody.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use framelane_ring::{Claim, Observer, Policy, RingError};

use crate::fresh::{LONG, check, claim, config, consumer, on_both, publish, source};

#[test]
fn the_members_of_a_group_share_every_frame_exactly_once() {
    const FRAMES: u64 = 2000;
    on_both(&config(Policy::Block, 3), |ring| {
        let mut members: Vec<_> = (0..3).map(|_| consumer(ring, "workers")).collect();
        let mut other = consumer(ring, "other");
        let mut numbers = source(ring);
        let seen = Mutex::new(Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                while numbers.next_seq().number() < FRAMES {
                    assert!(publish(&mut numbers, LONG));
                }
                numbers.end();
            });
            for member in &mut members {
                let seen = &seen;
                scope.spawn(move || {
                    while let Claim::Frame(frame) = member.claim(LONG).expect("healthy") {
                        seen.lock().expect("not poisoned").push(check(&frame));
                    }
                });
            }
            let mut next = 0;
            while let Claim::Frame(frame) = other.claim(LONG).expect("healthy") {
                assert_eq!(check(&frame), next, "one member alone sees frames in order");
                next += 1;
            }
            assert_eq!(next, FRAMES);
        });
        let mut seen = seen.into_inner().expect("not poisoned");
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..FRAMES));
        for group in ring.snapshot().expect("readable").groups {
            assert!(group.books.exact && group.books.balance(), "{:?}", group.books);
            assert_eq!((group.books.published, group.books.delivered), (FRAMES, FRAMES));
        }
    });
}

#[test]
fn a_block_ring_waits_for_its_first_group_and_keeps_frames_for_an_absent_one() {
    on_both(&config(Policy::Block, 2), |ring| {
        let mut numbers = source(ring);
        assert!(!publish(&mut numbers, Duration::from_millis(10)), "nobody to publish to");
        drop(consumer(ring, "workers"));
        assert!(publish(&mut numbers, LONG) && publish(&mut numbers, LONG));
        assert!(!publish(&mut numbers, Duration::from_millis(10)), "full, and nothing overwritten");
        let mut back = consumer(ring, "workers");
        assert_eq!(check(&claim(&mut back)), 0);
        assert_eq!(check(&claim(&mut back)), 1);
    });
}

#[test]
fn a_write_grant_that_is_not_committed_publishes_nothing_and_uses_up_no_seq() {
    on_both(&config(Policy::Block, 2), |ring| {
        let (mut numbers, mut reader) = (source(ring), consumer(ring, "workers"));
        let mut grant = numbers.acquire(LONG).expect("healthy").expect("a slot");
        grant.bytes_mut().fill(0xff);
        drop(grant);
        assert!(matches!(reader.claim(Duration::ZERO), Ok(Claim::TimedOut)));
        assert!(publish(&mut numbers, LONG));
        assert_eq!(check(&claim(&mut reader)), 0);
    });
}

#[test]
fn a_frame_that_is_given_back_goes_to_another_member_and_counts_once() {
    on_both(&config(Policy::Block, 2), |ring| {
        let (mut one, mut two) = (consumer(ring, "workers"), consumer(ring, "workers"));
        let mut numbers = source(ring);
        assert!(publish(&mut numbers, LONG));
        claim(&mut one).give_back().expect("given back");
        let frame = claim(&mut two);
        assert!(!frame.is_redelivered(), "who gives back has not died");
        assert_eq!(check(&frame), 0);
        drop(frame);
        let books = &ring.snapshot().expect("readable").groups[0].books;
        assert_eq!((books.published, books.delivered, books.balance()), (1, 1, true));
    });
}

#[test]
fn a_panic_in_the_middle_of_a_frame_gives_it_to_another_member() {
    on_both(&config(Policy::Block, 2), |ring| {
        let (mut one, mut two) = (consumer(ring, "workers"), consumer(ring, "workers"));
        assert!(publish(&mut source(ring), LONG));
        let crashed = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _frame = claim(&mut one);
                    std::panic::resume_unwind(Box::new("the model crashed"));
                })
                .join()
        });
        assert!(crashed.is_err());
        assert_eq!(check(&claim(&mut two)), 0);
    });
}

#[test]
fn one_participant_holds_one_frame_at_a_time() {
    on_both(&config(Policy::Block, 2), |ring| {
        let mut reader = consumer(ring, "workers");
        let mut numbers = source(ring);
        assert!(publish(&mut numbers, LONG) && publish(&mut numbers, LONG));
        let _held = claim(&mut reader);
        assert!(matches!(reader.claim(LONG), Err(RingError::StillHolding)));
    });
}

/// Also where the reader keeps up, so that every slot is free each time.
#[test]
fn a_frame_that_is_not_finished_does_not_take_the_place_of_the_newest_one() {
    on_both(&config(Policy::Block, 3), |ring| {
        let mut reader = consumer(ring, "workers");
        let mut observer = Observer::join(ring.reopen().expect("open")).expect("joined");
        let mut numbers = source(ring);
        for number in 0..5 {
            assert!(publish(&mut numbers, LONG));
            claim(&mut reader).release().expect("healthy");
            drop(numbers.acquire(LONG).expect("healthy").expect("a free slot"));
            let newest = observer.newest(None).expect("healthy").expect("still in its slot");
            assert_eq!(check(&newest), number);
        }
    });
}

#[test]
fn an_observer_sees_the_newest_frame_and_consumes_none() {
    on_both(&config(Policy::Block, 3), |ring| {
        let mut reader = consumer(ring, "workers");
        let mut observer = Observer::join(ring.reopen().expect("open")).expect("joined");
        assert!(observer.newest(None).expect("healthy").is_none(), "nothing was published yet");
        let mut numbers = source(ring);
        assert!(publish(&mut numbers, LONG) && publish(&mut numbers, LONG));
        for _ in 0..2 {
            drop(claim(&mut reader));
        }
        let newest = observer.newest(None).expect("healthy").expect("still in its slot");
        assert_eq!(check(&newest), 1);
        let seq = newest.seq();
        drop(newest);
        assert!(observer.newest(Some(seq)).expect("healthy").is_none());
    });
}

#[test]
fn a_second_source_is_refused_and_a_new_one_goes_on_numbering() {
    on_both(&config(Policy::Block, 4), |ring| {
        let mut reader = consumer(ring, "workers");
        let mut first = source(ring);
        assert!(publish(&mut first, LONG));
        let second = framelane_ring::Source::join(ring.reopen().expect("open"));
        assert!(matches!(second, Err(RingError::SourceTaken(_))));
        first.skip().expect("nothing is held");
        drop(first);
        assert!(publish(&mut source(ring), LONG));
        let numbers: Vec<_> = (0..2).map(|_| check(&claim(&mut reader))).collect();
        assert_eq!(numbers, [0, 2], "the seq that was skipped is used up");
    });
}

#[test]
fn a_frame_that_no_reader_survives_is_dropped_and_counted() {
    on_both(&config(Policy::Block, 4), |ring| {
        let mut reader = consumer(ring, "readers");
        let mut numbers = source(ring);
        assert!(publish(&mut numbers, LONG) && publish(&mut numbers, LONG));
        for _ in 0..3 {
            let frame = claim(&mut reader);
            assert_eq!(check(&frame), 0);
            frame.fail().expect("given back");
        }
        assert_eq!(check(&claim(&mut reader)), 1);
        let books = &ring.snapshot().expect("readable").groups[0].books;
        assert_eq!((books.dropped["poison"], books.delivered), (1, 1), "{books:?}");
    });
}
