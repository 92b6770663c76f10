//! Two rings with workers in between: whatever order the workers finish in, the reader at the end
//! gets every frame once, in order, and the end of the stream arrives.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use framelane_ring::{
    Claim, Consumer, Descriptor, Forwarded, OrderedConsumer, Policy, Record, Relay, RelayOptions,
    Ring, Seq, Source, Turn, Work,
};

use crate::fresh::{LONG, Namespace, check_bytes, claim, config, consumer, publish};
use crate::stages::{forward, lossless_source, next, publish_copy, reader, take, waits, worker};

const FRAMES: u64 = 1500;

/// Copies frames until the end, taking longer for some than for others.
fn work(relay: &mut Relay, pace: u64) {
    loop {
        let job = match relay.claim(LONG).expect("healthy") {
            Work::Frame(job) => job,
            Work::Ended => return,
            Work::TimedOut => panic!("nothing came"),
        };
        let number = job.seq().number();
        thread::sleep(Duration::from_micros(number * pace % 400));
        publish_copy(relay, job);
    }
}

fn read_to_the_end(reader: &mut OrderedConsumer) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        match reader.next(LONG).expect("healthy") {
            Turn::Frame(frame) => {
                seen.push(check_bytes(frame.seq().number(), frame.bytes()));
                frame.done().expect("done");
            }
            Turn::Ended => return seen,
            Turn::TimedOut => panic!("nothing came"),
        }
    }
}

fn feed(mut source: Source) {
    while source.next_seq().number() < FRAMES {
        if !publish(&mut source, LONG) {
            source.skip().expect("nothing is held");
        }
    }
    source.end();
}

fn through_workers(workers: usize, input_slots: u32, output_slots: u32) {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    // Who comes when the stream is over would wait for the next one.
    let all_there = Barrier::new(workers);
    let seen = thread::scope(|scope| {
        scope.spawn(|| feed(lossless_source(&from, input_slots)));
        for pace in 7..7 + workers as u64 {
            let (from, to, all_there) = (&from, &to, &all_there);
            scope.spawn(move || {
                let mut worker = worker(from, to, output_slots);
                all_there.wait();
                work(&mut worker, pace);
            });
        }
        read_to_the_end(&mut reader(&to))
    });
    assert!(seen.into_iter().eq(0..FRAMES), "{workers} workers, {output_slots} slots");
    assert_eq!(namespace.segments(), Vec::<String>::new(), "both rings are over");
}

#[test]
fn order_is_restored_with_as_many_workers_as_slots() {
    through_workers(4, 4, 4);
}

#[test]
fn order_is_restored_with_more_workers_than_slots() {
    through_workers(5, 3, 2);
}

#[test]
fn one_slot_is_enough() {
    through_workers(2, 1, 1);
}

#[test]
fn a_live_stream_stays_in_order_and_every_gap_is_counted() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let source = Source::attach(&from, &config(Policy::DropOldest, 3)).expect("made");
    let workers: Vec<_> = (0..3).map(|_| worker(&from, &to, 4)).collect();
    let mut reader = reader(&to);
    let seen = thread::scope(|scope| {
        for (pace, mut worker) in (11..).zip(workers) {
            scope.spawn(move || work(&mut worker, pace));
        }
        scope.spawn(|| feed(source));
        read_to_the_end(&mut reader)
    });
    let missing = reader.ring().snapshot().expect("readable").totals["missing"];
    assert!(seen.is_sorted_by(|one, next| one < next), "in order, none twice");
    assert_eq!(seen.len() as u64 + missing, FRAMES);
}

#[test]
fn a_worker_that_skips_a_frame_holds_up_nobody() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let seen = thread::scope(|scope| {
        scope.spawn(|| feed(lossless_source(&from, 4)));
        scope.spawn(|| {
            let mut worker = worker(&from, &to, 4);
            while let Work::Frame(job) = worker.claim(LONG).expect("healthy") {
                if job.seq().number().is_multiple_of(3) {
                    worker.skip(job).expect("skipped");
                } else {
                    publish_copy(&mut worker, job);
                }
            }
        });
        read_to_the_end(&mut reader(&to))
    });
    assert!(seen.into_iter().eq((0..FRAMES).filter(|number| !number.is_multiple_of(3))));
}

#[test]
fn a_worker_that_comes_after_the_end_finishes_what_is_left() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut first = worker(&from, &to, 4);
    let mut reader = reader(&to);
    for _ in 0..3 {
        assert!(publish(&mut source, LONG));
    }
    source.end();
    drop(source);
    // The first worker hands the end on, and leaves with frames still to be done.
    let job = take(&mut first);
    drop((job, first));
    let seen = thread::scope(|scope| {
        scope.spawn(|| work(&mut worker(&from, &to, 4), 1));
        read_to_the_end(&mut reader)
    });
    assert_eq!(seen, [0, 1, 2]);
}

/// The end comes to the ring between two stages before its frames do. A worker that was killed before
/// it had made its output must not make the next one believe that all is done.
#[test]
fn a_second_stage_that_starts_late_and_dies_young_is_replaced() {
    let namespace = Namespace::new();
    let [from, between, to] = ["cam.in", "cam.mid", "cam.out"].map(|name| namespace.name(name));
    let mut source = lossless_source(&from, 4);
    let mut first = worker(&from, &between, 4);
    for _ in 0..3 {
        assert!(publish(&mut source, LONG));
    }
    source.end();
    drop(source);
    assert!(matches!(first.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    // It has joined, and what it would do next fails: there is no room for such an output.
    let options = RelayOptions {
        group: "worker".parse().expect("a good name"),
        slots: Some(4),
        payload_capacity: Some(1 << 50),
    };
    let middle = Ring::open(&between).expect("made by the first");
    assert!(Relay::attach(middle, &to, &options).is_err());
    let seen = thread::scope(|scope| {
        scope.spawn(|| work(&mut first, 1));
        scope.spawn(|| work(&mut worker(&between, &to, 4), 1));
        read_to_the_end(&mut reader(&to))
    });
    assert_eq!(seen, [0, 1, 2]);
}

/// The same with nothing to wait for: the next worker alone can still tell the end.
#[test]
fn the_end_of_a_stream_without_frames_outlives_a_worker_that_made_no_output() {
    for policy in [Policy::Block, Policy::DropOldest] {
        let namespace = Namespace::new();
        let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
        let source = Source::attach(&from, &config(policy, 4)).expect("made");
        let group = "worker".parse().expect("a good name");
        let options = RelayOptions { group, slots: Some(4), payload_capacity: Some(1 << 50) };
        assert!(Relay::attach(Ring::open(&from).expect("there"), &to, &options).is_err());
        source.end();
        drop(source);
        let mut next = worker(&from, &to, 4);
        let mut reader = reader(&to);
        work(&mut next, 1);
        drop(next);
        assert_eq!(read_to_the_end(&mut reader), [0; 0], "{policy:?}");
    }
}

/// A worker that comes when its group has done its part makes no ring that nobody waits for, also
/// while other groups are at it.
#[test]
fn a_worker_that_comes_too_late_makes_no_output() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut others = consumer(source.ring(), "others");
    let mut only = worker(&from, &to, 4);
    let mut reader = reader(&to);
    assert!(publish(&mut source, LONG));
    source.end();
    drop(source);
    work(&mut only, 1);
    drop(only);
    assert_eq!(read_to_the_end(&mut reader), [0]);
    drop(reader);
    assert!(Ring::open(&to).is_err(), "it was left behind");
    let options = RelayOptions {
        group: "worker".parse().expect("a good name"),
        slots: Some(4),
        payload_capacity: None,
    };
    let late = Relay::attach(Ring::open(&from).expect("the others need it"), &to, &options);
    assert!(late.expect("healthy").is_none());
    assert!(Ring::open(&to).is_err(), "it was made anew");
    assert_eq!(claim(&mut others).seq().number(), 0);
    drop(others);
    assert_eq!(namespace.segments(), Vec::<String>::new());
}

/// The last one out of the input ring leaves it behind for the next worker, who alone can still
/// tell the readers of the output that the stream has ended.
#[test]
fn the_end_outlives_an_only_worker_that_leaves_before_it_hands_it_on() {
    for policy in [Policy::Block, Policy::DropOldest] {
        let namespace = Namespace::new();
        let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
        let mut source = Source::attach(&from, &config(policy, 4)).expect("made");
        let mut only = worker(&from, &to, 4);
        let mut reader = reader(&to);
        assert!(publish(&mut source, LONG));
        let job = take(&mut only);
        source.end();
        drop(source);
        forward(&mut only, job);
        drop(only);
        let seen = thread::scope(|scope| {
            scope.spawn(|| work(&mut worker(&from, &to, 4), 1));
            read_to_the_end(&mut reader)
        });
        assert_eq!(seen, [0], "{policy:?}");
        drop(reader);
        for name in [from, to] {
            assert!(Ring::open(&name).is_err(), "{policy:?}: {} was left behind", name.ring());
        }
    }
}

#[test]
fn workers_in_a_row_keep_order_and_pass_the_end_on() {
    let namespace = Namespace::new();
    let names = ["cam.in", "cam.mid", "cam.out"].map(|ring| namespace.name(ring));
    let all_there = Barrier::new(4);
    let seen = thread::scope(|scope| {
        scope.spawn(|| feed(lossless_source(&names[0], 4)));
        for (from, to, pace) in [(0, 1, 13), (0, 1, 14), (1, 2, 15), (1, 2, 16)] {
            let (from, to, all_there) = (&names[from], &names[to], &all_there);
            scope.spawn(move || {
                let mut worker = worker(from, to, 3);
                all_there.wait();
                work(&mut worker, pace);
            });
        }
        read_to_the_end(&mut reader(&names[2]))
    });
    assert!(seen.into_iter().eq(0..FRAMES));
}

#[test]
fn a_new_feed_starts_a_new_lineage_that_comes_after_the_old_one() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut seen = Vec::new();
    let mut reader_at_the_end = None;
    for round in 0..2_u16 {
        let mut source = lossless_source(&from, 4);
        let mut worker = worker(&from, &to, 4);
        let reader = reader_at_the_end.get_or_insert_with(|| reader(&to));
        // The window opens for a new lineage once the reader has seen that the old one is over.
        assert!(matches!(reader.next(Duration::ZERO), Ok(Turn::TimedOut)));
        for _ in 0..2 {
            assert!(publish(&mut source, LONG));
            let job = take(&mut worker);
            publish_copy(&mut worker, job);
            let frame = next(reader);
            assert_eq!(frame.seq().lineage(), round);
            seen.push(frame.seq());
            frame.done().expect("done");
        }
        // The feed vanishes without having ended: an operator removed it.
        drop((source, worker));
        assert!(Ring::open(&from).expect("there").remove_if_unused().expect("asked"));
    }
    assert_eq!(seen, [Seq::new(0, 0), Seq::new(0, 1), Seq::new(1, 0), Seq::new(1, 1)]);
}

/// The names of rings may be removed under those who use them, as systemd's logind does when their
/// user logs out.
#[test]
fn frames_in_hand_are_waited_for_when_the_name_of_their_ring_is_gone() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut workers = [worker(&from, &to, 4), worker(&from, &to, 4)];
    let mut reader = reader(&to);
    let [first, second] = workers.each_mut().map(|worker| {
        assert!(publish(&mut source, LONG));
        take(worker)
    });
    assert!(matches!(reader.next(Duration::ZERO), Ok(Turn::TimedOut)));
    std::fs::remove_file(from.path()).expect("it has a name");
    forward(&mut workers[1], second);
    assert!(waits(&mut reader));
    forward(&mut workers[0], first);
    source.end();
    thread::scope(|scope| {
        scope.spawn(|| work(&mut workers[0], 1));
        assert_eq!(read_to_the_end(&mut reader), [0, 1]);
    });
}

#[test]
fn a_consumer_on_its_own_can_read_next_to_the_workers() {
    let namespace = Namespace::new();
    let name = namespace.name("cam.in");
    let mut source = Source::attach(&name, &config(Policy::DropOldest, 4)).expect("made");
    let group = "side".parse().expect("a good name");
    let consumer = Consumer::join(source.ring().reopen().expect("open"), &group).expect("joined");
    assert!(publish(&mut source, LONG));
    drop(consumer);
    assert!(publish(&mut source, LONG));
}

/// Rule: a frame that is passed on keeps its bytes, its seq and its metadata, says that nobody
/// processed it, and leaves the input ring only when it is in the output ring.
#[test]
fn a_forwarded_frame_is_what_it_was_but_for_its_mark() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut worker = worker(&from, &to, 1);
    let to = Ring::open(&to).expect("made by the relay");
    let mut reader = Consumer::join(to, &"reader".parse().expect("a good name")).expect("joined");
    for number in 0..2_u8 {
        let mut output = source.acquire(LONG).expect("healthy").expect("a slot");
        output.bytes_mut()[..3].fill(number);
        output.meta_mut()[..2].copy_from_slice(&[0xfe, number]);
        let record = Record { pts_ns: 7, payload_bytes: 3, meta_bytes: 2, ..Record::default() };
        output.commit(record).expect("published");
    }
    let job = take(&mut worker);
    let seq = job.seq();
    let done = worker.forward(job, LONG).expect("healthy");
    assert!(matches!(done, Forwarded::Done(published) if published == seq), "{done:?}");
    let Claim::Frame(frame) = reader.claim(LONG).expect("healthy") else { panic!("no frame") };
    assert_eq!((frame.seq(), frame.bytes(), frame.meta()), (seq, &[0; 3][..], &[0xfe, 0][..]));
    assert!(frame.record().unprocessed);
    assert_eq!(frame.record().pts_ns, 7);

    // The reader still has the only slot: there is no room, and the job stays in hand.
    let job = take(&mut worker);
    let timed_out = worker.forward(job, Duration::from_millis(1)).expect("healthy");
    let Forwarded::TimedOut(job) = timed_out else { panic!("{timed_out:?}") };
    assert_eq!((job.seq(), job.bytes()), (seq.next(), &[1; 3][..]));
    frame.release().expect("released");
    forward(&mut worker, job);
}

#[test]
fn what_the_source_says_of_its_frames_is_there_before_they_are() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut worker = worker(&from, &to, 4);
    let mut reader = reader(&to);
    // Said after the worker has come, and said anew while it works.
    for said in ["a camera", "another camera"] {
        let descriptor = Descriptor { source: said.to_owned(), ..Descriptor::default() };
        source.ring().set_descriptor(&descriptor).expect("written");
        assert!(publish(&mut source, LONG));
        let job = take(&mut worker);
        forward(&mut worker, job);
        let frame = next(&mut reader);
        assert_eq!(reader.ring().descriptor().expect("readable"), Some(descriptor));
        frame.done().expect("done");
    }
}
