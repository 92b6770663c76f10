//! Two rings with workers in between: whatever order the workers finish in, the reader at the end
//! gets every frame once, in order, and the end of the stream arrives.

use std::thread;
use std::time::{Duration, Instant};

use framelane_ring::{
    Claim, Consumer, Descriptor, Forwarded, OrderedConsumer, Policy, Record, Relay, RelayOptions,
    Ring, SegmentName, Seq, Source, Turn, Work,
};

use crate::fresh::{LONG, Namespace, check_bytes, config, publish};

const FRAMES: u64 = 1500;

fn options(slots: u32) -> RelayOptions {
    RelayOptions {
        group: "worker".parse().expect("a good name"),
        slots: Some(slots),
        payload_capacity: None,
    }
}

fn attach(from: &SegmentName, to: &SegmentName, slots: u32) -> Relay {
    let start = Instant::now();
    let from = Ring::wait(from, || start.elapsed() < LONG).expect("healthy").expect("there");
    let relay = Relay::attach(from, to, &options(slots)).expect("attached");
    relay.expect("in time")
}

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
        let mut output =
            relay.acquire(&job, LONG).expect("healthy").expect("the window sees to it");
        output.bytes_mut()[..job.bytes().len()].copy_from_slice(job.bytes());
        let record = *job.record();
        relay.publish(job, output, record).expect("published");
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

fn reader(name: &SegmentName) -> OrderedConsumer {
    let ring = Ring::wait(name, || true).expect("healthy").expect("there");
    OrderedConsumer::join(ring, &"pusher".parse().expect("a good name")).expect("joined")
}

fn source(name: &SegmentName, slots: u32) -> Source {
    Source::attach(name, &config(Policy::Block, slots)).expect("made")
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
    let seen = thread::scope(|scope| {
        scope.spawn(|| feed(source(&from, input_slots)));
        for worker in 0..workers as u64 {
            let (from, to) = (&from, &to);
            scope.spawn(move || work(&mut attach(from, to, output_slots), 7 + worker));
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
    let relays: Vec<_> = (0..3).map(|_| attach(&from, &to, 4)).collect();
    let mut reader = reader(&to);
    let seen = thread::scope(|scope| {
        for (worker, mut relay) in (0..).zip(relays) {
            scope.spawn(move || work(&mut relay, 11 + worker));
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
        scope.spawn(|| feed(source(&from, 4)));
        scope.spawn(|| {
            let mut relay = attach(&from, &to, 4);
            while let Work::Frame(job) = relay.claim(LONG).expect("healthy") {
                if job.seq().number().is_multiple_of(3) {
                    relay.skip(job).expect("skipped");
                    continue;
                }
                let mut output = relay.acquire(&job, LONG).expect("healthy").expect("a slot");
                output.bytes_mut()[..job.bytes().len()].copy_from_slice(job.bytes());
                let record = *job.record();
                relay.publish(job, output, record).expect("published");
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
    let mut source = source(&from, 4);
    let mut first = attach(&from, &to, 4);
    let mut reader = reader(&to);
    for _ in 0..3 {
        assert!(publish(&mut source, LONG));
    }
    source.end();
    drop(source);
    // The first worker hands the end on, and leaves with frames still to be done.
    let Ok(Work::Frame(job)) = first.claim(LONG) else { panic!("a frame is there") };
    drop((job, first));
    let seen = thread::scope(|scope| {
        scope.spawn(|| work(&mut attach(&from, &to, 4), 1));
        read_to_the_end(&mut reader)
    });
    assert_eq!(seen, [0, 1, 2]);
}

/// The last one out of the input ring leaves it behind for the next worker, who alone can still
/// tell the readers of the output that the stream has ended.
#[test]
fn the_end_outlives_an_only_worker_that_leaves_before_it_hands_it_on() {
    for policy in [Policy::Block, Policy::DropOldest] {
        let namespace = Namespace::new();
        let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
        let mut source = Source::attach(&from, &config(policy, 4)).expect("made");
        let mut only = attach(&from, &to, 4);
        let mut reader = reader(&to);
        assert!(publish(&mut source, LONG));
        let Ok(Work::Frame(job)) = only.claim(LONG) else { panic!("a frame is there") };
        source.end();
        drop(source);
        assert!(matches!(only.forward(job, LONG), Ok(Forwarded::Done(_))));
        drop(only);
        let seen = thread::scope(|scope| {
            scope.spawn(|| work(&mut attach(&from, &to, 4), 1));
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
    let seen = thread::scope(|scope| {
        scope.spawn(|| feed(source(&names[0], 4)));
        for worker in 0..4 {
            let (from, to) = (&names[worker / 2], &names[worker / 2 + 1]);
            scope.spawn(move || work(&mut attach(from, to, 3), 13 + worker as u64));
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
        let mut source = Source::attach(&from, &config(Policy::Block, 4)).expect("made");
        let mut relay = attach(&from, &to, 4);
        let reader = reader_at_the_end.get_or_insert_with(|| reader(&to));
        // The window opens for a new lineage once the reader has seen that the old one is over.
        assert!(matches!(reader.next(Duration::ZERO), Ok(Turn::TimedOut)));
        for _ in 0..2 {
            assert!(publish(&mut source, LONG));
            let Ok(Work::Frame(job)) = relay.claim(LONG) else { panic!("a frame is there") };
            let mut output = relay.acquire(&job, LONG).expect("healthy").expect("a slot");
            output.bytes_mut()[..job.bytes().len()].copy_from_slice(job.bytes());
            let record = *job.record();
            relay.publish(job, output, record).expect("published");
            let Ok(Turn::Frame(frame)) = reader.next(LONG) else { panic!("a frame is there") };
            assert_eq!(frame.seq().lineage(), round);
            seen.push(frame.seq());
            frame.done().expect("done");
        }
        // The feed vanishes without having ended: an operator removed it.
        drop((source, relay));
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
    let mut source = source(&from, 4);
    let mut relays = [attach(&from, &to, 4), attach(&from, &to, 4)];
    let mut reader = reader(&to);
    let [first, second] = relays.each_mut().map(|relay| {
        assert!(publish(&mut source, LONG));
        let Ok(Work::Frame(job)) = relay.claim(LONG) else { panic!("a frame is there") };
        job
    });
    assert!(matches!(reader.next(Duration::ZERO), Ok(Turn::TimedOut)));
    std::fs::remove_file(from.path()).expect("it has a name");
    assert!(matches!(relays[1].forward(second, LONG), Ok(Forwarded::Done(_))));
    assert!(matches!(reader.next(Duration::from_millis(100)), Ok(Turn::TimedOut)));
    assert!(matches!(relays[0].forward(first, LONG), Ok(Forwarded::Done(_))));
    source.end();
    thread::scope(|scope| {
        scope.spawn(|| work(&mut relays[0], 1));
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

#[test]
fn nothing_is_claimed_for_a_block_ring_that_nobody_reads_yet() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = source(&from, 2);
    let mut relay = attach(&from, &to, 2);
    assert!(publish(&mut source, LONG));
    let moment = Duration::from_millis(10);
    assert!(matches!(relay.claim(moment).expect("healthy"), Work::TimedOut));
    let _reader = reader(&to);
    assert!(matches!(relay.claim(LONG).expect("healthy"), Work::Frame(_)));
}

#[test]
fn frames_in_hand_when_an_ordered_reader_joins_do_not_take_its_room() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = source(&from, 4);
    let mut relays: Vec<_> = (0..3).map(|_| attach(&from, &to, 2)).collect();
    let ring = Ring::wait(&to, || true).expect("healthy").expect("there");
    let mut recorder =
        Consumer::join(ring, &"recorder".parse().expect("a good name")).expect("joined");
    let jobs: Vec<_> = relays
        .iter_mut()
        .map(|relay| {
            assert!(publish(&mut source, LONG));
            let Work::Frame(job) = relay.claim(LONG).expect("healthy") else { panic!("a frame") };
            job
        })
        .collect();
    let mut late = reader(&to);
    // The oldest comes last: what the others publish must not fill the ring for the new reader.
    for (relay, job) in relays.iter_mut().zip(jobs).rev() {
        let number = job.seq().number();
        let output = relay.acquire(&job, LONG).expect("healthy").expect("there is room");
        let record = *job.record();
        relay.publish(job, output, record).expect("published");
        let Claim::Frame(frame) = recorder.claim(LONG).expect("healthy") else { panic!("a frame") };
        assert_eq!(frame.seq().number(), number);
    }
    // The one that there is room for comes to it, and then the next that it did not miss.
    let Turn::Frame(frame) = late.next(LONG).expect("healthy") else { panic!("a frame") };
    assert_eq!(frame.seq().number(), 0);
    frame.done().expect("done");
    assert!(publish(&mut source, LONG));
    // It sees that the others won't come, and moves on.
    assert!(matches!(late.next(Duration::from_millis(10)).expect("healthy"), Turn::TimedOut));
    pass_on(&mut relays[0], 3);
    let Turn::Frame(frame) = late.next(LONG).expect("healthy") else { panic!("a frame") };
    assert_eq!(frame.seq().number(), 3, "the first that was claimed after it joined");
}

/// Claims the frame that is expected to be the next one, and passes it on.
fn pass_on(relay: &mut Relay, number: u64) {
    let Work::Frame(job) = relay.claim(LONG).expect("healthy") else { panic!("a frame") };
    assert_eq!(job.seq().number(), number);
    let forwarded = relay.forward(job, LONG).expect("healthy");
    assert!(matches!(forwarded, Forwarded::Done(_)), "there is room");
}

#[test]
fn frames_between_two_stages_let_the_one_through_that_a_late_reader_waits_for() {
    let namespace = Namespace::new();
    let [from, between, to] = ["cam.in", "cam.mid", "cam.out"].map(|name| namespace.name(name));
    let mut source = source(&from, 4);
    let mut slow = attach(&from, &between, 2);
    let mut fast = attach(&from, &between, 2);
    let mut second = attach(&between, &to, 2);
    let ring = Ring::wait(&to, || true).expect("healthy").expect("there");
    let recorder = "recorder".parse().expect("a good name");
    let mut recorder = Consumer::join(ring, &recorder).expect("joined");
    let mut is_recorded = |number| match recorder.claim(LONG).expect("healthy") {
        Claim::Frame(frame) => assert_eq!(frame.seq().number(), number),
        other => panic!("{other:?} instead of a frame"),
    };
    // Nothing is there yet, but from now on the first stage knows how far it may go.
    assert!(matches!(second.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    assert!(publish(&mut source, LONG));
    let Work::Frame(oldest) = slow.claim(LONG).expect("healthy") else { panic!("a frame") };
    for number in [1, 2] {
        assert!(publish(&mut source, LONG));
        pass_on(&mut fast, number);
    }

    // It waits for the oldest, which has no slot yet, and has no room for those that have.
    let mut late = reader(&to);
    pass_on(&mut second, 1);
    is_recorded(1);
    let forwarded = slow.forward(oldest, LONG).expect("healthy");
    assert!(matches!(forwarded, Forwarded::Done(_)), "there is room");
    pass_on(&mut second, 0);
    is_recorded(0);
    let Turn::Frame(frame) = late.next(LONG).expect("healthy") else { panic!("a frame") };
    assert_eq!(frame.seq().number(), 0);
    frame.done().expect("done");
    // The one after it is missing, and the one after that has waited.
    assert!(matches!(late.next(Duration::from_millis(10)).expect("healthy"), Turn::TimedOut));
    pass_on(&mut second, 2);
    is_recorded(2);
    let Turn::Frame(frame) = late.next(LONG).expect("healthy") else { panic!("a frame") };
    assert_eq!(frame.seq().number(), 2);
}

#[test]
fn frames_that_only_wait_for_their_turn_stay_for_a_late_reader() {
    let namespace = Namespace::new();
    let [from, between, to] = ["cam.in", "cam.mid", "cam.out"].map(|name| namespace.name(name));
    let mut source = source(&from, 4);
    let mut first: Vec<_> = (0..2).map(|_| attach(&from, &between, 2)).collect();
    let mut second = attach(&between, &to, 2);
    let ring = Ring::wait(&to, || true).expect("healthy").expect("there");
    let mut recorder =
        Consumer::join(ring, &"recorder".parse().expect("a good name")).expect("joined");
    assert!(matches!(second.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    for number in 0..2 {
        assert!(publish(&mut source, LONG));
        pass_on(&mut first[0], number);
    }
    let in_hand = first.iter_mut().map(|relay| {
        assert!(publish(&mut source, LONG));
        let Work::Frame(job) = relay.claim(LONG).expect("healthy") else { panic!("a frame") };
        job
    });
    let in_hand: Vec<_> = in_hand.collect();

    // It is slow with the first one; the ring between is full, and frames wait to get into it.
    let mut late = reader(&to);
    pass_on(&mut second, 0);
    assert!(matches!(recorder.claim(LONG).expect("healthy"), Claim::Frame(_)));
    let Turn::Frame(slow) = late.next(LONG).expect("healthy") else { panic!("a frame") };
    let mut in_hand = first.iter_mut().zip(in_hand);
    let (relay, job) = in_hand.next().expect("the first of two");
    assert!(matches!(relay.forward(job, LONG).expect("healthy"), Forwarded::Done(_)));
    assert!(matches!(second.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    slow.done().expect("done");
    pass_on(&mut second, 1);
    let Turn::Frame(frame) = late.next(LONG).expect("healthy") else { panic!("a frame") };
    assert_eq!(frame.seq().number(), 1, "none is missing");
}

/// Rule: a frame that is passed on keeps its bytes, its seq and its metadata, says that nobody
/// processed it, and leaves the input ring only when it is in the output ring.
#[test]
fn a_forwarded_frame_is_what_it_was_but_for_its_mark() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = source(&from, 4);
    let mut relay = attach(&from, &to, 1);
    let to = Ring::open(&to).expect("made by the relay");
    let mut reader = Consumer::join(to, &"reader".parse().expect("a good name")).expect("joined");
    for number in 0..2_u8 {
        let mut output = source.acquire(LONG).expect("healthy").expect("a slot");
        output.bytes_mut()[..3].fill(number);
        output.meta_mut()[..2].copy_from_slice(&[0xfe, number]);
        let record = Record { pts_ns: 7, payload_bytes: 3, meta_bytes: 2, ..Record::default() };
        output.commit(record).expect("published");
    }
    let claim = |relay: &mut Relay| match relay.claim(LONG).expect("healthy") {
        Work::Frame(job) => job,
        other => panic!("{other:?}"),
    };
    let job = claim(&mut relay);
    let seq = job.seq();
    let done = relay.forward(job, LONG).expect("healthy");
    assert!(matches!(done, Forwarded::Done(published) if published == seq), "{done:?}");
    let Claim::Frame(frame) = reader.claim(LONG).expect("healthy") else { panic!("no frame") };
    assert_eq!((frame.seq(), frame.bytes(), frame.meta()), (seq, &[0; 3][..], &[0xfe, 0][..]));
    assert!(frame.record().unprocessed);
    assert_eq!(frame.record().pts_ns, 7);

    // The reader still has the only slot: there is no room, and the job stays in hand.
    let job = claim(&mut relay);
    let timed_out = relay.forward(job, Duration::from_millis(1)).expect("healthy");
    let Forwarded::TimedOut(job) = timed_out else { panic!("{timed_out:?}") };
    assert_eq!((job.seq(), job.bytes()), (seq.next(), &[1; 3][..]));
    frame.release().expect("released");
    let done = relay.forward(job, LONG).expect("healthy");
    assert!(matches!(done, Forwarded::Done(_)), "{done:?}");
}

#[test]
fn what_the_source_says_of_its_frames_is_there_before_they_are() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = source(&from, 4);
    let mut relay = attach(&from, &to, 4);
    let mut reader = reader(&to);
    // Said after the worker has come, and said anew while it works.
    for said in ["a camera", "another camera"] {
        let descriptor = Descriptor { source: said.to_owned(), ..Descriptor::default() };
        source.ring().set_descriptor(&descriptor).expect("written");
        assert!(publish(&mut source, LONG));
        let Work::Frame(job) = relay.claim(LONG).expect("healthy") else { panic!("no frame") };
        let Forwarded::Done(_) = relay.forward(job, LONG).expect("healthy") else {
            panic!("no room")
        };
        let Turn::Frame(frame) = reader.next(LONG).expect("healthy") else { panic!("no frame") };
        assert_eq!(reader.ring().descriptor().expect("readable"), Some(descriptor));
        frame.done().expect("done");
    }
}
