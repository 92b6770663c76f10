//! Readers: one kind for all ways to take frames from a ring.

use std::time::{Duration, Instant};

use framelane_ring::{
    FrameInHand, Policy, Reader, ReaderOptions, Reading, SegmentName, Source, Take,
};

use crate::fresh::{LONG, Namespace, check, config, publish};
use crate::stages::{forward, lossless_source, take, worker};

fn read(name: &SegmentName, take: Take) -> Reader {
    let group = format!("{take:?}").parse().expect("a good name");
    let options = ReaderOptions { take, group, max_age: None };
    Reader::wait(name, &options, || true).expect("joined").expect("there")
}

/// The next frame, which must come.
fn frame(reader: &mut Reader) -> FrameInHand {
    let start = Instant::now();
    while start.elapsed() < LONG {
        match reader.claim(LONG).expect("healthy") {
            Reading::Frame(frame) => return frame,
            Reading::TimedOut => {}
            Reading::Ended => panic!("the stream has ended"),
        }
    }
    panic!("no frame came");
}

/// What is left to read, to the end.
fn rest(reader: &mut Reader) -> Vec<u64> {
    let mut numbers = Vec::new();
    let start = Instant::now();
    while start.elapsed() < LONG {
        match reader.claim(LONG).expect("healthy") {
            Reading::Frame(frame) => {
                numbers.push(check(&frame));
                frame.release().expect("released");
            }
            Reading::TimedOut => {}
            Reading::Ended => return numbers,
        }
    }
    panic!("no end came after {numbers:?}");
}

#[test]
fn behind_workers_an_ordered_reader_restores_the_order_and_a_shared_one_does_not() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut workers = [worker(&from, &to, 4), worker(&from, &to, 4)];
    let [mut shared, mut ordered] = [Take::Shared, Take::Ordered].map(|take| read(&to, take));
    assert!(publish(&mut source, LONG) && publish(&mut source, LONG));
    source.end();
    let [first, second] = workers.each_mut().map(take);
    forward(&mut workers[1], second);
    let early = frame(&mut shared);
    assert_eq!(check(&early), 1);
    early.release().expect("released");
    forward(&mut workers[0], first);
    drop(workers);
    assert_eq!((rest(&mut shared), rest(&mut ordered)), (vec![0], vec![0, 1]));
}

#[test]
fn the_newest_frame_is_read_once_and_taken_from_nobody() {
    for policy in [Policy::Block, Policy::DropOldest] {
        let namespace = Namespace::new();
        let name = namespace.name("cam.in");
        let mut source = Source::attach(&name, &config(policy, 4)).expect("made");
        let [mut newest, mut shared] = [Take::Newest, Take::Shared].map(|take| read(&name, take));
        for wanted in [2, 3] {
            while source.next_seq().number() <= wanted {
                assert!(publish(&mut source, LONG));
            }
            let seen = frame(&mut newest);
            assert_eq!(check(&seen), wanted, "{policy}");
            // Given back or released: it has seen it.
            drop(seen);
            let again = newest.claim(Duration::ZERO).expect("healthy");
            assert!(matches!(again, Reading::TimedOut), "{policy}: {again:?}");
        }
        source.end();
        assert_eq!(rest(&mut shared), [0, 1, 2, 3], "{policy}");
        assert_eq!(rest(&mut newest), [0; 0], "{policy}");
    }
}

#[test]
fn a_frame_that_no_ordered_reader_survives_is_dropped_and_counted() {
    let namespace = Namespace::new();
    let name = namespace.name("cam.in");
    let mut source = lossless_source(&name, 4);
    let mut reader = read(&name, Take::Ordered);
    assert!(publish(&mut source, LONG) && publish(&mut source, LONG));
    for _ in 0..3 {
        // What is given back by will does not count.
        frame(&mut reader).give_back().expect("given back");
        let deadly = frame(&mut reader);
        assert_eq!(check(&deadly), 0);
        deadly.fail().expect("given back");
    }
    assert_eq!(check(&frame(&mut reader)), 1);
    let books = &source.ring().snapshot().expect("readable").groups[0].books;
    assert_eq!(books.dropped["poison"], 1, "{books:?}");
}

#[test]
fn a_drain_ends_every_reader() {
    let namespace = Namespace::new();
    let name = namespace.name("cam.in");
    let source = lossless_source(&name, 4);
    let readers = [Take::Shared, Take::Ordered, Take::Newest].map(|take| read(&name, take));
    source.ring().set_draining(true).expect("asked");
    for mut reader in readers {
        assert_eq!(rest(&mut reader), [0; 0]);
    }
}
