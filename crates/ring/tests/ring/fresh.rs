//! Fresh rings for tests: on the heap, or in a namespace of their own that is removed afterwards.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use framelane_ring::{
    Claim, Consumer, Policy, ReadGrant, Record, Ring, RingConfig, SegmentName, Source,
};

/// Long enough for any wait that is meant to end well.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) const PAYLOAD: usize = 5000;

pub(crate) fn config(policy: Policy, slots: u32) -> RingConfig {
    RingConfig { slots, payload_capacity: PAYLOAD, meta_capacity: 16, policy }
}

/// A namespace whose segments are removed when it is dropped.
pub(crate) struct Namespace(String);

impl Namespace {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("ringtest-{}-{count}", std::process::id()))
    }

    pub(crate) fn name(&self, ring: &str) -> SegmentName {
        SegmentName::in_namespace(&self.0, ring).expect("a good name")
    }

    /// The names of the segments that are there.
    pub(crate) fn segments(&self) -> Vec<String> {
        let files = fs::read_dir("/dev/shm").expect("readable").flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        names.filter(|name| name.contains(&self.0)).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for segment in self.segments() {
            let _ = fs::remove_file(format!("/dev/shm/{segment}"));
        }
    }
}

/// Runs a test on both kinds of ring.
pub(crate) fn on_both(config: &RingConfig, test: impl Fn(&Ring)) {
    test(&Ring::on_heap(config).expect("made"));
    let namespace = Namespace::new();
    let name = namespace.name("ring");
    drop(Source::attach(&name, config).expect("made"));
    test(&Ring::open(&name).expect("there"));
}

pub(crate) fn source(ring: &Ring) -> Source {
    Source::join(ring.reopen().expect("open")).expect("no other source")
}

pub(crate) fn consumer(ring: &Ring, group: &str) -> Consumer {
    let group = group.parse().expect("a good name");
    Consumer::join(ring.reopen().expect("open"), &group).expect("joined")
}

/// The bytes that the frame with this number must have.
pub(crate) fn pattern(number: u64) -> impl Iterator<Item = u8> {
    (0..PAYLOAD as u64).map(move |index| {
        let mixed = (number << 20 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.to_le_bytes()[7]
    })
}

/// Publishes one frame; `false` when there was no slot in time.
pub(crate) fn publish(source: &mut Source, patience: Duration) -> bool {
    let Some(mut grant) = source.acquire(patience).expect("a healthy ring") else { return false };
    let number = grant.seq().number();
    for (byte, value) in grant.bytes_mut().iter_mut().zip(pattern(number)) {
        *byte = value;
    }
    let pts_ns = i64::try_from(number).expect("small") * 40_000_000;
    let record = Record { pts_ns, payload_bytes: PAYLOAD, ..Record::default() };
    grant.commit(record).expect("published");
    true
}

/// Checks that a frame is whole.
pub(crate) fn check(frame: &ReadGrant) -> u64 {
    check_bytes(frame.seq().number(), frame.bytes())
}

pub(crate) fn check_bytes(number: u64, bytes: &[u8]) -> u64 {
    assert!(bytes.iter().copied().eq(pattern(number)), "frame {number} is torn");
    number
}

/// Claims a frame that must come.
pub(crate) fn claim(consumer: &mut Consumer) -> ReadGrant {
    match consumer.claim(LONG).expect("a healthy ring") {
        Claim::Frame(frame) => frame,
        other => panic!("expected a frame, got {other:?}"),
    }
}
