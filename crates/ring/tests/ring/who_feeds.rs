//! Who may publish to a ring: the workers of one group of one other ring, or one source. And how far
//! the readers of several branches hold up those who feed them.

use framelane_ring::{
    Consumer, Policy, Relay, RelayOptions, Ring, RingError, SegmentName, Source, Turn, Work,
};

use crate::fresh::{LONG, Namespace, config, publish};
use crate::stages::{forward, lossless_source, next, reader, take, worker};

/// A worker of another group than the usual one.
fn attach(from: &SegmentName, to: &SegmentName, group: &str) -> Result<Relay, RingError> {
    let options = RelayOptions {
        group: group.parse().expect("a good name"),
        slots: None,
        payload_capacity: None,
    };
    let from = Ring::open(from).expect("there");
    Relay::attach(from, to, &options).map(|relay| relay.expect("in time"))
}

#[test]
fn workers_of_one_group_publish_to_one_ring() {
    let namespace = Namespace::new();
    let [from, to, other] = ["cam.in", "a", "b"].map(|name| namespace.name(name));
    let _source = lossless_source(&from, 4);
    let first = worker(&from, &to, 4);
    let refused = attach(&from, &other, "worker").expect_err("half of the frames would go there");
    assert!(matches!(refused, RingError::OtherOutput { .. }), "{refused}");
    assert!(matches!(Ring::open(&other), Err(RingError::Shm(_))), "made in vain, and gone");
    let refused =
        Consumer::join(Ring::open(&from).expect("there"), &"worker".parse().expect("good"));
    assert!(matches!(refused, Err(RingError::GroupKind { .. })), "its frames would be missing");
    drop(attach(&from, &to, "worker").expect("the same ring"));
    drop(attach(&from, &other, "other").expect("a group of its own"));
    drop(first);
    // Of those who are gone nothing is left that could be in the way of several new ones.
    let _new = [0, 1].map(|_| attach(&from, &other, "worker").expect("nobody publishes elsewhere"));
}

#[test]
fn a_group_is_of_workers_or_of_readers() {
    let namespace = Namespace::new();
    let [from, to] = ["cam.in", "cam.out"].map(|name| namespace.name(name));
    let _source = lossless_source(&from, 4);
    let join =
        || Consumer::join(Ring::open(&from).expect("there"), &"worker".parse().expect("good"));
    let reader = join().expect("the first");
    let readers = [reader, join().expect("another reader")];
    let refused = attach(&from, &to, "worker").expect_err("what they take would be missing");
    assert!(matches!(refused, RingError::GroupKind { .. }), "{refused}");
    drop(readers);
    let worker = attach(&from, &to, "worker").expect("they are gone");
    assert!(matches!(join(), Err(RingError::GroupKind { .. })));
    drop(worker);
    drop([0, 1].map(|_| join().expect("they are gone")));
}

#[test]
fn a_ring_has_one_feed_as_long_as_that_lives() {
    let namespace = Namespace::new();
    let [one, two, to] = ["cam1.in", "cam2.in", "out"].map(|name| namespace.name(name));
    let _sources = [lossless_source(&one, 4), lossless_source(&two, 4)];
    let first = worker(&one, &to, 4);
    for (from, group) in [(&two, "worker"), (&one, "other")] {
        let refused = attach(from, &to, group).expect_err("its frames would be taken for old ones");
        assert!(matches!(refused, RingError::HasFeed { .. }), "{refused}");
    }
    let refused = Source::attach(&to, &config(Policy::Block, 4)).expect_err("numbered already");
    assert!(matches!(refused, RingError::HasFeed { .. }), "{refused}");
    let refused = attach(&one, &two, "third").expect_err("it has a source");
    assert!(matches!(refused, RingError::SourceTaken(_)), "{refused}");
    drop(first);
    attach(&two, &to, "worker").expect("nobody is left of the old feed");
}

/// Frames would wait for a group whose first worker was refused, and the ring for its end.
#[test]
fn a_worker_that_is_refused_leaves_no_group() {
    for policy in [Policy::Block, Policy::DropOldest] {
        let namespace = Namespace::new();
        let [from, to] = ["cam.in", "cam.out"].map(|name| namespace.name(name));
        let source = Source::attach(&from, &config(policy, 4)).expect("made");
        let mut first = worker(&from, &to, 4);
        // The second time its name is known already.
        for _ in 0..2 {
            attach(&from, &to, "other").expect_err("it has a feed");
            let groups = source.ring().snapshot().expect("readable").groups;
            let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
            assert_eq!(names, ["worker"], "{policy}");
        }
        // Nor is it a reader for which another source begins.
        let other = Source::attach(&namespace.name("cam2.in"), &config(policy, 4)).expect("made");
        attach(&namespace.name("cam2.in"), &to, "worker").expect_err("it has a feed");
        assert!(other.ring().snapshot().expect("readable").groups.is_empty(), "{policy}");
        source.end();
        drop(source);
        assert!(matches!(first.claim(LONG), Ok(Work::Ended)), "{policy}");
        drop(first);
        assert!(Ring::open(&from).is_err(), "{policy}: it waits for somebody to hand the end on");
    }
}

/// Two branches of a live stream: a reader behind one, and a second stage whose own reader stands
/// still behind the other.
#[test]
fn a_branch_that_stands_still_does_not_hold_up_another() {
    let namespace = Namespace::new();
    let [from, between, to] = ["cam.in", "cam.mid", "cam.out"].map(|name| namespace.name(name));
    let mut source = Source::attach(&from, &config(Policy::DropOldest, 4)).expect("made");
    let (mut first, mut second) = (worker(&from, &between, 4), worker(&between, &to, 4));
    let (mut reads, _stands_still) = (reader(&between), reader(&to));
    for _ in 0..20 {
        assert!(publish(&mut source, LONG));
        let job = take(&mut first);
        forward(&mut first, job);
        if let Work::Frame(job) = second.claim(std::time::Duration::ZERO).expect("healthy") {
            forward(&mut second, job);
        }
        next(&mut reads).done().expect("done");
    }
    source.end();
    assert!(matches!(first.claim(LONG).expect("healthy"), Work::Ended));
    assert!(matches!(reads.next(LONG).expect("healthy"), Turn::Ended));
}
