//! Whatever one thread does to a ring, it answers and counts like a plain model of it, on the heap
//! and in a real segment, under both policies; and what somebody holds never changes.

mod model;

use std::collections::BTreeMap;
use std::time::Duration;

use framelane_ring::{
    Claim, Consumer, DropReason, Observer, Policy, ReadGrant, Record, Ring, RingConfig, RingError,
    ShmError, Source, WriteGrant,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fresh::{Namespace, pattern, source};
use model::{Answer, Books, GROUPS, MEMBERS, Op, Reference};

const BYTES: usize = 48;
const CASES: u32 = 512;
const OPS: usize = 60;

fn op() -> impl Strategy<Value = Op> {
    let member = 0..MEMBERS;
    let group = 0..GROUPS;
    prop_oneof![
        16 => Just(Op::Acquire),
        24 => Just(Op::Commit),
        2 => Just(Op::Abort),
        1 => Just(Op::Skip),
        1 => Just(Op::End),
        12 => (member.clone(), group.clone()).prop_map(|(member, group)| Op::Join { member, group }),
        3 => member.clone().prop_map(|member| Op::Leave { member }),
        24 => member.clone().prop_map(|member| Op::Claim { member }),
        16 => member.clone().prop_map(|member| Op::Release { member }),
        4 => member.clone().prop_map(|member| Op::GiveBack { member }),
        4 => (member, 0..DropReason::ALL.len())
            .prop_map(|(member, reason)| Op::DropAs { member, reason }),
        2 => group.prop_map(|group| Op::Forget { group }),
        3 => Just(Op::Observe),
        3 => Just(Op::Unobserve),
    ]
}

/// A ring and everybody who uses it.
struct Live<'ring> {
    ring: &'ring Ring,
    source: Option<Source>,
    writing: Option<WriteGrant>,
    /// A consumer that has left may still have its frame.
    members: [(Option<Consumer>, Option<ReadGrant>); MEMBERS],
    observer: Option<Observer>,
    observed: Option<ReadGrant>,
}

impl<'ring> Live<'ring> {
    fn new(ring: &'ring Ring) -> Self {
        Self {
            ring,
            source: Some(source(ring)),
            writing: None,
            members: Default::default(),
            observer: None,
            observed: None,
        }
    }

    fn apply(&mut self, op: Op) -> Result<Answer, RingError> {
        match op {
            Op::Acquire => self.acquire(),
            Op::Commit => self.writing.take().map_or(Ok(Answer::Idle), commit),
            Op::Abort => Ok(done(self.writing.take())),
            Op::Skip => self
                .source
                .as_mut()
                .map_or(Ok(Answer::Idle), |source| source.skip().map(|()| Answer::Done)),
            Op::End => Ok(self.end()),
            Op::Join { member, group } => self.join(member, group),
            Op::Leave { member } => Ok(done(self.members[member].0.take())),
            Op::Claim { member } => self.claim(member),
            Op::Release { member } => self.finish(member, ReadGrant::release),
            Op::GiveBack { member } => self.finish(member, ReadGrant::give_back),
            Op::DropAs { member, reason } => {
                self.finish(member, |frame| frame.drop_as(DropReason::ALL[reason]))
            }
            Op::Forget { group } => {
                self.ring.reopen()?.forget_group(&name(group).parse()?).map(|()| Answer::Done)
            }
            Op::Observe => self.observe(),
            Op::Unobserve if self.observed.is_some() => Ok(done(self.observed.take())),
            Op::Unobserve => Ok(done(self.observer.take())),
        }
    }

    fn acquire(&mut self) -> Result<Answer, RingError> {
        let Some(source) = &mut self.source else { return Ok(Answer::Idle) };
        let Some(grant) = source.acquire(Duration::ZERO)? else { return Ok(Answer::Nothing) };
        let number = grant.seq().number();
        self.writing = Some(grant);
        Ok(Answer::Frame(number))
    }

    /// Ends the stream. No frame may come after that, so the source leaves, too.
    fn end(&mut self) -> Answer {
        if self.writing.is_some() {
            return Answer::Idle;
        }
        done(self.source.take().map(|source| source.end()))
    }

    fn join(&mut self, member: usize, group: usize) -> Result<Answer, RingError> {
        let (consumer, frame) = &mut self.members[member];
        if consumer.is_some() || frame.is_some() {
            return Ok(Answer::Idle);
        }
        *consumer = Some(Consumer::join(self.ring.reopen()?, &name(group).parse()?)?);
        Ok(Answer::Done)
    }

    fn claim(&mut self, member: usize) -> Result<Answer, RingError> {
        let (Some(consumer), held) = &mut self.members[member] else { return Ok(Answer::Idle) };
        Ok(match consumer.claim(Duration::ZERO)? {
            Claim::Frame(frame) => {
                assert!(!frame.is_redelivered() && !frame.is_poison(), "nobody has died");
                let number = frame.seq().number();
                *held = Some(frame);
                Answer::Frame(number)
            }
            Claim::Ended => Answer::Ended,
            Claim::TimedOut => Answer::Nothing,
        })
    }

    fn finish(
        &mut self,
        member: usize,
        finish: impl FnOnce(ReadGrant) -> Result<(), RingError>,
    ) -> Result<Answer, RingError> {
        let Some(frame) = self.members[member].1.take() else { return Ok(Answer::Idle) };
        finish(frame).map(|()| Answer::Done)
    }

    fn observe(&mut self) -> Result<Answer, RingError> {
        let Some(observer) = &mut self.observer else {
            self.observer = Some(Observer::join(self.ring.reopen()?)?);
            return Ok(Answer::Done);
        };
        let Some(frame) = observer.newest(None)? else { return Ok(Answer::Nothing) };
        let number = frame.seq().number();
        self.observed = Some(frame);
        Ok(Answer::Frame(number))
    }

    /// Every frame in anybody's hands.
    fn held(&self) -> impl Iterator<Item = &ReadGrant> {
        self.members.iter().filter_map(|(_, frame)| frame.as_ref()).chain(&self.observed)
    }
}

fn name(group: usize) -> String {
    format!("group{group}")
}

fn done<T>(what: Option<T>) -> Answer {
    if what.is_some() { Answer::Done } else { Answer::Idle }
}

fn commit(mut grant: WriteGrant) -> Result<Answer, RingError> {
    let number = grant.seq().number();
    for (byte, value) in grant.bytes_mut().iter_mut().zip(pattern(number)) {
        *byte = value;
    }
    let pts_ns = i64::try_from(number).expect("small");
    let record = Record { pts_ns, payload_bytes: BYTES, ..Record::default() };
    grant.commit(record).map(|seq| Answer::Frame(seq.number()))
}

/// The answers that come as errors.
fn answer(result: Result<Answer, RingError>) -> Answer {
    match result {
        Ok(answer) => answer,
        Err(RingError::StillHolding) => Answer::StillHolding,
        Err(RingError::Shm(ShmError::NotFound(_))) => Answer::Gone,
        Err(RingError::GroupTaken { .. }) => Answer::GroupTaken,
        Err(RingError::UnknownGroup { .. }) => Answer::UnknownGroup,
        Err(error) => panic!("a healthy ring says: {error}"),
    }
}

/// Compares everything that can be seen of both.
fn compare(live: &Live<'_>, reference: &Reference) -> Result<(), TestCaseError> {
    for frame in live.held() {
        let number = frame.seq().number();
        let record = (frame.record().pts_ns, frame.bytes().len());
        prop_assert_eq!(record, (i64::try_from(number).expect("small"), BYTES));
        let is_whole = frame.bytes().iter().copied().eq(pattern(number).take(BYTES));
        prop_assert!(is_whole, "frame {} has changed in the hands of its holder", number);
    }
    let snapshot = live.ring.snapshot().expect("readable");
    let mut books = BTreeMap::new();
    for group in snapshot.groups {
        prop_assert!(group.books.exact && group.books.balance(), "{:?}", group.books);
        prop_assert!(!group.ordered && group.durable == (snapshot.policy == Policy::Block));
        let seen = Books {
            members: group.members,
            published: group.books.published,
            delivered: group.books.delivered,
            dropped: group.books.dropped,
            pending: group.books.pending,
            held: group.books.held,
        };
        prop_assert!(books.insert(group.name, seen).is_none(), "one group for each name");
    }
    let expected = reference.books().into_iter().map(|(group, books)| (name(group), books));
    prop_assert_eq!(books, expected.collect());
    let slots = (snapshot.slots_free as usize, snapshot.slots_writing as usize);
    prop_assert_eq!(slots, (reference.slots_free(), reference.slots_written()));
    prop_assert_eq!((snapshot.next, snapshot.end), (reference.next, reference.end));
    prop_assert_eq!(snapshot.participants.len(), reference.participants());
    let mut totals = snapshot.totals;
    totals.retain(|_, count| *count > 0);
    let expected = [
        ("no_slot", reference.no_slot),
        ("aborted", reference.aborted),
        ("given_back", reference.given_back),
    ];
    prop_assert_eq!(totals, expected.into_iter().filter(|(_, count)| *count > 0).collect());
    Ok(())
}

fn run(ring: &Ring, mut reference: Reference, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut live = Live::new(ring);
    for (step, &op) in ops.iter().enumerate() {
        let (expected, seen) = (reference.apply(op), answer(live.apply(op)));
        prop_assert_eq!(seen, expected, "step {}, {:?}", step, op);
        compare(&live, &reference)?;
    }
    Ok(())
}

fn config(policy: Policy, slots: u32) -> RingConfig {
    RingConfig { slots, payload_capacity: BYTES, meta_capacity: 0, policy }
}

/// Runs random sequences, and says the shortest one that goes wrong.
fn check(test: impl Fn(u32, &[Op]) -> Result<(), TestCaseError>) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let sequences = (1_u32..=4, prop::collection::vec(op(), OPS / 2..=OPS));
    let outcome = TestRunner::new(config).run(&sequences, |(slots, ops)| test(slots, &ops));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn check_on_heap(policy: Policy) {
    check(|slots, ops| {
        let ring = Ring::on_heap(&config(policy, slots)).expect("made");
        run(&ring, Reference::new(policy, slots as usize, false), ops)
    });
}

fn check_in_segment(policy: Policy) {
    check(|slots, ops| {
        let namespace = Namespace::new();
        let name = namespace.name("ring");
        drop(Source::attach(&name, &config(policy, slots)).expect("made"));
        let ring = Ring::open(&name).expect("there");
        run(&ring, Reference::new(policy, slots as usize, true), ops)
    });
}

#[test]
fn a_lossless_ring_on_the_heap_is_like_its_model() {
    check_on_heap(Policy::Block);
}

#[test]
fn a_live_ring_on_the_heap_is_like_its_model() {
    check_on_heap(Policy::DropOldest);
}

#[test]
fn a_lossless_ring_in_a_segment_is_like_its_model() {
    check_in_segment(Policy::Block);
}

#[test]
fn a_live_ring_in_a_segment_is_like_its_model() {
    check_in_segment(Policy::DropOldest);
}
