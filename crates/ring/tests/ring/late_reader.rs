//! A reader in order that comes late, behind one stage of workers or two: what is in their hands by
//! then neither takes the room of the frame that it waits for, nor gets lost.

use std::time::Duration;

use framelane_ring::{Consumer, Relay, Ring, SegmentName, Work};

use crate::fresh::{LONG, Namespace, claim, publish};
use crate::stages::{forward, lossless_source, next, publish_copy, reader, take, waits, worker};

/// A reader that takes what comes, in whichever order.
fn recorder(name: &SegmentName) -> Consumer {
    let ring = Ring::wait(name, || true).expect("healthy").expect("there");
    Consumer::join(ring, &"recorder".parse().expect("a good name")).expect("joined")
}

/// Claims the frame that is expected to be the next one, and passes it on.
fn pass_on(worker: &mut Relay, number: u64) {
    let job = take(worker);
    assert_eq!(job.seq().number(), number);
    forward(worker, job);
}

#[test]
fn nothing_is_claimed_for_a_block_ring_that_nobody_reads_yet() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 2);
    let mut worker = worker(&from, &to, 2);
    assert!(publish(&mut source, LONG));
    let moment = Duration::from_millis(10);
    assert!(matches!(worker.claim(moment).expect("healthy"), Work::TimedOut));
    let _reader = reader(&to);
    assert!(matches!(worker.claim(LONG).expect("healthy"), Work::Frame(_)));
}

#[test]
fn frames_in_hand_do_not_take_its_room() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = lossless_source(&from, 4);
    let mut workers: Vec<_> = (0..3).map(|_| worker(&from, &to, 2)).collect();
    let mut recorder = recorder(&to);
    let in_hand = workers.iter_mut().map(|worker| {
        assert!(publish(&mut source, LONG));
        take(worker)
    });
    let in_hand: Vec<_> = in_hand.collect();
    let mut late = reader(&to);
    // The oldest comes last: what the others publish must not fill the ring for the new reader.
    for (worker, job) in workers.iter_mut().zip(in_hand).rev() {
        let number = job.seq().number();
        publish_copy(worker, job);
        assert_eq!(claim(&mut recorder).seq().number(), number);
    }
    // The one that there is room for comes to it, and then the next that it did not miss.
    let frame = next(&mut late);
    assert_eq!(frame.seq().number(), 0);
    frame.done().expect("done");
    assert!(publish(&mut source, LONG));
    // It sees that the others won't come, and moves on.
    assert!(waits(&mut late));
    pass_on(&mut workers[0], 3);
    assert_eq!(next(&mut late).seq().number(), 3, "the first that was claimed after it joined");
}

#[test]
fn frames_between_two_stages_let_the_one_through_that_it_waits_for() {
    let namespace = Namespace::new();
    let [from, between, to] = ["cam.in", "cam.mid", "cam.out"].map(|name| namespace.name(name));
    let mut source = lossless_source(&from, 4);
    let [mut slow, mut fast] = [(); 2].map(|()| worker(&from, &between, 2));
    let mut second = worker(&between, &to, 2);
    let mut recorder = recorder(&to);
    // Nothing is there yet, but from now on the first stage knows how far it may go.
    assert!(matches!(second.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    assert!(publish(&mut source, LONG));
    let oldest = take(&mut slow);
    for number in [1, 2] {
        assert!(publish(&mut source, LONG));
        pass_on(&mut fast, number);
    }

    // It waits for the oldest, which has no slot yet, and has no room for those that have.
    let mut late = reader(&to);
    pass_on(&mut second, 1);
    assert_eq!(claim(&mut recorder).seq().number(), 1);
    forward(&mut slow, oldest);
    pass_on(&mut second, 0);
    assert_eq!(claim(&mut recorder).seq().number(), 0);
    let frame = next(&mut late);
    assert_eq!(frame.seq().number(), 0);
    frame.done().expect("done");
    // The one after it is missing, and the one after that has waited.
    assert!(waits(&mut late));
    pass_on(&mut second, 2);
    assert_eq!(claim(&mut recorder).seq().number(), 2);
    assert_eq!(next(&mut late).seq().number(), 2);
}

#[test]
fn frames_that_only_wait_for_their_turn_stay() {
    let namespace = Namespace::new();
    let [from, between, to] = ["cam.in", "cam.mid", "cam.out"].map(|name| namespace.name(name));
    let mut source = lossless_source(&from, 4);
    let mut first = [(); 2].map(|()| worker(&from, &between, 2));
    let mut second = worker(&between, &to, 2);
    let mut recorder = recorder(&to);
    assert!(matches!(second.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    for number in 0..2 {
        assert!(publish(&mut source, LONG));
        pass_on(&mut first[0], number);
    }
    let [third, _fourth] = first.each_mut().map(|worker| {
        assert!(publish(&mut source, LONG));
        take(worker)
    });

    // It is slow with the first one; the ring between is full, and frames wait to get into it.
    let mut late = reader(&to);
    pass_on(&mut second, 0);
    assert_eq!(claim(&mut recorder).seq().number(), 0);
    let slow = next(&mut late);
    forward(&mut first[0], third);
    assert!(matches!(second.claim(Duration::ZERO).expect("healthy"), Work::TimedOut));
    slow.done().expect("done");
    pass_on(&mut second, 1);
    assert_eq!(next(&mut late).seq().number(), 1, "none is missing");
}
