//! Under drop-oldest the stream stays live: the oldest frame that nobody holds goes first, what is
//! held is never touched, and every drop is counted.

use std::thread;
use std::time::Duration;

use framelane_ring::{Claim, OrderedConsumer, Policy, Turn};

use crate::fresh::{LONG, check, check_bytes, claim, config, consumer, on_both, publish, source};

#[test]
fn the_oldest_pending_frame_is_overwritten_and_counted() {
    on_both(&config(Policy::DropOldest, 3), |ring| {
        let mut reader = consumer(ring, "workers");
        let mut numbers = source(ring);
        for _ in 0..5 {
            assert!(publish(&mut numbers, Duration::ZERO));
        }
        let seen: Vec<_> = (0..3).map(|_| check(&claim(&mut reader))).collect();
        assert_eq!(seen, [2, 3, 4]);
        let books = &ring.snapshot().expect("readable").groups[0].books;
        assert_eq!((books.published, books.delivered), (5, 3));
        assert_eq!(books.dropped["overrun"], 2);
        assert!(books.balance());
    });
}

#[test]
fn what_is_held_is_not_overwritten_and_the_frame_without_a_slot_is_counted() {
    on_both(&config(Policy::DropOldest, 1), |ring| {
        let mut reader = consumer(ring, "workers");
        let mut numbers = source(ring);
        assert!(publish(&mut numbers, Duration::ZERO));
        let held = claim(&mut reader);
        assert!(!publish(&mut numbers, Duration::ZERO));
        numbers.skip().expect("nothing is held");
        assert_eq!(check(&held), 0);
        drop(held);
        assert!(publish(&mut numbers, Duration::ZERO));
        assert_eq!(check(&claim(&mut reader)), 2);
        assert_eq!(ring.snapshot().expect("readable").totals["no_slot"], 1);
    });
}

#[test]
fn frames_older_than_the_limit_are_dropped_at_the_claim() {
    on_both(&config(Policy::DropOldest, 3), |ring| {
        let mut reader = consumer(ring, "workers");
        reader.set_max_age(Some(Duration::from_secs(3600)));
        let mut numbers = source(ring);
        let mut grant = numbers.acquire(LONG).expect("healthy").expect("a slot");
        grant.bytes_mut().fill(0);
        let old = framelane_ring::Record { received_ns: 1, payload_bytes: 1, ..Default::default() };
        grant.commit(old).expect("published");
        assert!(publish(&mut numbers, Duration::ZERO));
        // CLOCK_MONOTONIC starts at boot, so the first frame is as old as the machine is up.
        let up = Duration::from_nanos(framelane_ring::monotonic_ns());
        reader.set_max_age(Some(up / 2));
        assert_eq!(check(&claim(&mut reader)), 1);
        let books = &ring.snapshot().expect("readable").groups[0].books;
        assert_eq!((books.dropped["aged"], books.balance()), (1, true));
    });
}

#[test]
fn an_ordered_reader_of_a_fast_source_sees_rising_numbers_and_the_gaps_add_up() {
    const FRAMES: u64 = 20_000;
    on_both(&config(Policy::DropOldest, 4), |ring| {
        let group = "pusher".parse().expect("a good name");
        let mut reader =
            OrderedConsumer::join(ring.reopen().expect("open"), &group).expect("joined");
        let mut numbers = source(ring);
        let (mut seen, mut gaps, mut next) = (0, 0, 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while numbers.next_seq().number() < FRAMES {
                    if !publish(&mut numbers, Duration::ZERO) {
                        numbers.skip().expect("nothing is held");
                    }
                }
                numbers.end();
            });
            while let Turn::Frame(frame) = reader.next(LONG).expect("healthy") {
                let number = check_bytes(frame.seq().number(), frame.bytes());
                assert!(number >= next, "{number} after {next}");
                gaps += number - next;
                next = number + 1;
                seen += 1;
                frame.done().expect("done");
            }
        });
        gaps += FRAMES - next;
        let snapshot = ring.snapshot().expect("readable");
        let books = &snapshot.groups[0].books;
        assert!(books.balance(), "{books:?}");
        assert_eq!(books.delivered, seen);
        assert_eq!(gaps, books.dropped_total() + snapshot.totals["no_slot"], "{books:?}");
        assert_eq!(snapshot.totals["missing"], gaps);
    });
}

#[test]
fn an_ordered_reader_that_comes_back_does_not_step_back() {
    on_both(&config(Policy::DropOldest, 4), |ring| {
        let group = "pusher".parse().expect("a good name");
        let join = || OrderedConsumer::join(ring.reopen().expect("open"), &group).expect("joined");
        let mut first = join();
        let mut numbers = source(ring);
        for expected in 0..3 {
            assert!(publish(&mut numbers, LONG));
            let Ok(Turn::Frame(frame)) = first.next(LONG) else { panic!("a frame is there") };
            assert_eq!(frame.seq().number(), expected);
            frame.done().expect("done");
        }
        let cursor = first.cursor();
        drop(first);
        let _other = consumer(ring, "other");
        assert_eq!(join().cursor(), cursor, "its place is remembered");
    });
}

#[test]
fn a_group_that_leaves_drops_what_waited_for_it() {
    on_both(&config(Policy::DropOldest, 4), |ring| {
        let leaving = consumer(ring, "leaving");
        let mut staying = consumer(ring, "staying");
        let mut numbers = source(ring);
        assert!(publish(&mut numbers, LONG) && publish(&mut numbers, LONG));
        drop(leaving);
        assert_eq!(check(&claim(&mut staying)), 0);
        assert_eq!(check(&claim(&mut staying)), 1);
        let snapshot = ring.snapshot().expect("readable");
        assert_eq!(snapshot.groups.len(), 1);
        assert_eq!(snapshot.slots_free, 4, "nothing waits for a group that has left");
        let mut back = consumer(ring, "leaving");
        assert!(matches!(back.claim(Duration::ZERO), Ok(Claim::TimedOut)));
        let snapshot = ring.snapshot().expect("readable");
        let books =
            &snapshot.groups.iter().find(|group| group.name == "leaving").expect("there").books;
        assert_eq!((books.published, books.balance()), (0, true), "its books start anew");
    });
}
