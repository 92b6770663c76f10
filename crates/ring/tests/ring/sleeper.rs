//! Rule: a live stream goes on without a worker that sleeps with a frame in hand.

use std::time::Duration;

use framelane_ring::{Policy, Source, Work};

use crate::fresh::{LONG, Namespace, config, publish};
use crate::stages::{next, publish_copy, reader, take, waits, worker};

/// A worker sleeps with the oldest frame in hand until the source is further ahead than either ring
/// is long: the others go on without it, and what it brings at last is late.
#[test]
fn a_live_stream_goes_on_far_beyond_a_sleeping_worker() {
    let namespace = Namespace::new();
    let (from, to) = (namespace.name("cam.in"), namespace.name("cam.out"));
    let mut source = Source::attach(&from, &config(Policy::DropOldest, 3)).expect("made");
    let [mut sleeper, mut other] = [(); 2].map(|()| worker(&from, &to, 4));
    let mut reader = reader(&to);
    reader.set_max_wait(Some(Duration::from_millis(10)));
    assert!(publish(&mut source, LONG));
    let asleep = take(&mut sleeper);
    for _ in 0..20 {
        assert!(publish(&mut source, LONG));
    }
    for expected in 19..=20 {
        let job = take(&mut other);
        assert_eq!(job.seq().number(), expected);
        publish_copy(&mut other, job);
        // While there is something to go on with, the window holds.
        if expected == 19 {
            assert!(matches!(other.claim(Duration::ZERO), Ok(Work::TimedOut)));
        }
        let frame = next(&mut reader);
        assert_eq!(frame.seq().number(), expected);
        frame.done().expect("done");
    }
    publish_copy(&mut sleeper, asleep);
    assert!(waits(&mut reader));
    let books = reader.ring().snapshot().expect("readable").groups.remove(0).books;
    assert_eq!((books.dropped["late"], books.balance()), (1, true), "{books:?}");
}
