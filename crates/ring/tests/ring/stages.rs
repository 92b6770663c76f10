//! Stages for tests: sources, workers between two rings, and readers at the end.

use std::time::{Duration, Instant};

use framelane_ring::{
    Forwarded, Job, OrderedConsumer, OrderedFrame, Policy, Relay, RelayOptions, Ring, SegmentName,
    Source, Turn, Work,
};

use crate::fresh::{LONG, config};

/// The source of a ring on which nothing is dropped.
pub(crate) fn lossless_source(name: &SegmentName, slots: u32) -> Source {
    Source::attach(name, &config(Policy::Block, slots)).expect("made")
}

/// A worker; the ring that it takes from is waited for.
pub(crate) fn worker(from: &SegmentName, to: &SegmentName, slots: u32) -> Relay {
    let start = Instant::now();
    let from = Ring::wait(from, || start.elapsed() < LONG).expect("healthy").expect("there");
    let options = RelayOptions {
        group: "worker".parse().expect("a good name"),
        slots: Some(slots),
        payload_capacity: None,
    };
    Relay::attach(from, to, &options).expect("attached").expect("in time")
}

/// The reader at the end.
pub(crate) fn reader(name: &SegmentName) -> OrderedConsumer {
    let ring = Ring::wait(name, || true).expect("healthy").expect("there");
    OrderedConsumer::join(ring, &"pusher".parse().expect("a good name")).expect("joined")
}

/// Claims a frame that must come.
pub(crate) fn take(worker: &mut Relay) -> Job {
    match worker.claim(LONG).expect("healthy") {
        Work::Frame(job) => job,
        other => panic!("expected a frame, got {other:?}"),
    }
}

/// Publishes a frame's bytes as the result.
pub(crate) fn publish_copy(worker: &mut Relay, job: Job) {
    let mut output = worker.acquire(&job, LONG).expect("healthy").expect("the window sees to it");
    output.bytes_mut()[..job.bytes().len()].copy_from_slice(job.bytes());
    let record = *job.record();
    worker.publish(job, output, record).expect("published");
}

/// Passes a frame on as it is.
pub(crate) fn forward(worker: &mut Relay, job: Job) {
    let forwarded = worker.forward(job, LONG).expect("healthy");
    assert!(matches!(forwarded, Forwarded::Done(_)), "there is room: {forwarded:?}");
}

/// The next frame, which must come.
pub(crate) fn next(reader: &mut OrderedConsumer) -> OrderedFrame {
    match reader.next(LONG).expect("healthy") {
        Turn::Frame(frame) => frame,
        other => panic!("expected a frame, got {other:?}"),
    }
}

/// Whether the reader has no frame to take for a moment.
pub(crate) fn waits(reader: &mut OrderedConsumer) -> bool {
    matches!(reader.next(Duration::from_millis(10)).expect("healthy"), Turn::TimedOut)
}
