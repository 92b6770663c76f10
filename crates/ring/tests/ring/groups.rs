//! Groups, places and names: who may join, and what is left when everybody is gone.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use framelane_ring::{Consumer, OrderedConsumer, Policy, Ring, RingError, Source, Turn};

use crate::fresh::{LONG, Namespace, check, claim, config, consumer, on_both, publish, source};

/// Where the header has its layout version.
const LAYOUT_VERSION_OFFSET: u64 = 8;

#[test]
fn an_ordered_group_has_one_member_and_keeps_its_cursor_for_the_next() {
    on_both(&config(Policy::Block, 4), |ring| {
        let group = "pusher".parse().expect("a good name");
        let join = || OrderedConsumer::join(ring.reopen().expect("open"), &group);
        let mut first = join().expect("joined");
        assert!(matches!(join(), Err(RingError::GroupTaken { .. })));
        let shared = Consumer::join(ring.reopen().expect("open"), &group);
        assert!(matches!(shared, Err(RingError::GroupKind { .. })));
        let mut numbers = source(ring);
        for _ in 0..3 {
            assert!(publish(&mut numbers, LONG));
        }
        let Ok(Turn::Frame(frame)) = first.next(LONG) else { panic!("a frame is there") };
        frame.done().expect("done");
        let Ok(Turn::Frame(frame)) = first.next(LONG) else { panic!("a frame is there") };
        drop(frame);
        drop(first);
        let mut second = join().expect("the place is free again");
        for expected in [1, 2] {
            let Ok(Turn::Frame(frame)) = second.next(LONG) else { panic!("a frame is there") };
            assert_eq!(frame.seq().number(), expected, "what was not done is given again");
            frame.done().expect("done");
        }
    });
}

#[test]
fn a_ring_takes_8_groups_and_55_participants_and_then_says_so() {
    on_both(&config(Policy::Block, 2), |ring| {
        let mut all: Vec<_> =
            (0..8).map(|group| consumer(ring, &format!("group{group}"))).collect();
        let ninth = "group8".parse().expect("a good name");
        let refused = Consumer::join(ring.reopen().expect("open"), &ninth);
        assert!(matches!(refused, Err(RingError::NoGroup(_))));
        all.extend((8..55).map(|_| consumer(ring, "group0")));
        let group = "group0".parse().expect("a good name");
        let refused = Consumer::join(ring.reopen().expect("open"), &group);
        assert!(matches!(refused, Err(RingError::NoSeat(_))));
        assert_eq!(ring.snapshot().expect("readable").participants.len(), 55);
        all.pop();
        assert!(Consumer::join(ring.reopen().expect("open"), &group).is_ok());
    });
}

#[test]
fn a_ring_that_ended_and_is_empty_loses_its_name_to_the_last_one_out() {
    let namespace = Namespace::new();
    let name = namespace.name("ring");
    let mut numbers = Source::attach(&name, &config(Policy::Block, 4)).expect("made");
    let mut reader = consumer(numbers.ring(), "workers");
    assert!(publish(&mut numbers, LONG));
    numbers.end();
    drop(numbers);
    assert!(matches!(Source::attach(&name, &config(Policy::Block, 4)), Err(RingError::Ended(_))));
    assert_eq!(check(&claim(&mut reader)), 0);
    assert_eq!(namespace.segments().len(), 1);
    drop(reader);
    assert_eq!(namespace.segments(), Vec::<String>::new());
    assert!(Source::attach(&name, &config(Policy::Block, 4)).is_ok(), "a new ring can be made");
}

#[test]
fn a_ring_that_has_not_ended_stays_when_everybody_leaves() {
    let namespace = Namespace::new();
    let name = namespace.name("ring");
    let mut numbers = Source::attach(&name, &config(Policy::DropOldest, 4)).expect("made");
    let instance = numbers.ring().instance();
    assert!(publish(&mut numbers, LONG));
    drop(numbers);
    let again = Source::attach(&name, &config(Policy::DropOldest, 4)).expect("joined");
    assert_eq!((again.ring().instance(), again.next_seq().number()), (instance, 1));
    drop(again);
    assert!(Ring::open(&name).expect("there").remove_if_unused().expect("asked"));
    assert!(Ring::open(&name).is_err());
}

/// Who is asked to stop is told so until all have stopped; then the ring is as good as new, or gone
/// if nobody can miss what is in it.
#[test]
fn a_ring_that_is_drained_on_request_is_forgotten_or_goes_on() {
    for policy in [Policy::Block, Policy::DropOldest] {
        let namespace = Namespace::new();
        let name = namespace.name("ring");
        let mut numbers = Source::attach(&name, &config(policy, 4)).expect("made");
        let reader = consumer(numbers.ring(), "workers");
        assert!(publish(&mut numbers, LONG));
        numbers.ring().set_draining(true).expect("a flag");
        drop(numbers);
        let again = Source::attach(&name, &config(policy, 4));
        assert!(
            matches!(again, Err(RingError::Draining(_))),
            "the reader has not stopped: {again:?}"
        );
        drop(reader);
        let next = Source::attach(&name, &config(policy, 4)).expect("joined or made");
        let kept = next.next_seq().number();
        assert_eq!(kept, if policy == Policy::Block { 1 } else { 0 }, "{policy:?}");
        assert!(!next.ring().is_draining(), "{policy:?}: those who were asked have stopped");
    }
}

#[test]
fn what_another_version_has_in_use_is_not_removed() {
    let namespace = Namespace::new();
    let name = namespace.name("ring");
    let numbers = Source::attach(&name, &config(Policy::Block, 4)).expect("made");
    let file = OpenOptions::new().write(true).open(name.path()).expect("there");
    file.write_all_at(&[0xff], LAYOUT_VERSION_OFFSET).expect("written");
    assert!(matches!(Ring::open(&name), Err(RingError::LayoutVersion { .. })));
    assert!(!Ring::remove_unreadable(&name).expect("asked"));
    assert!(name.path().exists());
    drop(numbers);
    assert!(Ring::remove_unreadable(&name).expect("asked"));
    assert!(!name.path().exists());
}
