//! A segment that lies: every number of the header spoiled in turn, and every claim word set to
//! nonsense. What follows is an error or an outcome, never a panic or an access out of bounds.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use framelane_ring::{
    LAYOUT_VERSION, OrderedConsumer, Policy, Relay, RelayOptions, Ring, RingError, Source, Turn,
};

use crate::fresh::{LONG, Namespace, config, consumer, publish};

/// Writes into a segment behind everybody's back.
fn spoil(namespace: &Namespace, offset: u64, bytes: &[u8]) {
    spoil_ring(namespace, "ring", offset, bytes);
}

fn spoil_ring(namespace: &Namespace, ring: &str, offset: u64, bytes: &[u8]) {
    let path = format!("/dev/shm/{}", namespace.name(ring));
    let file = OpenOptions::new().write(true).open(path).expect("the segment is there");
    file.write_all_at(bytes, offset).expect("written");
}

fn made(namespace: &Namespace) -> Source {
    Source::attach(&namespace.name("ring"), &config(Policy::DropOldest, 4)).expect("made")
}

#[test]
fn every_spoiled_number_of_the_header_is_refused_when_the_ring_is_opened() {
    let offsets = [(0, 8), (8, 4), (12, 4), (32, 8), (40, 8), (48, 8), (56, 4)];
    for (offset, bytes) in offsets {
        for value in [0_u64, 1 << 20, u64::MAX >> 1, u64::MAX] {
            let namespace = Namespace::new();
            drop(made(&namespace));
            let value = &value.to_le_bytes()[..bytes];
            spoil(&namespace, offset, value);
            let name = namespace.name("ring");
            let what = format!("{value:x?} at {offset}");
            match Ring::open(&name) {
                Err(
                    RingError::NotARing(..)
                    | RingError::LayoutVersion { .. }
                    | RingError::Corrupt { .. },
                ) => {}
                // 0 stands for block, which is as good a policy as any.
                Ok(_) if offset == 56 && value.iter().all(|&byte| byte == 0) => {}
                // 0 bytes of metadata may take as many pages as 16.
                Ok(_) if offset == 48 && value.iter().all(|&byte| byte == 0) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}

#[test]
fn another_layout_version_is_named_in_the_error() {
    let namespace = Namespace::new();
    drop(made(&namespace));
    spoil(&namespace, 8, &77_u32.to_le_bytes());
    let error = Ring::open(&namespace.name("ring")).expect_err("another version");
    let message = error.to_string();
    assert!(message.contains("77") && message.contains(&LAYOUT_VERSION.to_string()), "{message}");
}

#[test]
fn segments_that_are_no_rings_are_refused() {
    for bytes in [0, 1, 4095, 4096, 1 << 20] {
        let namespace = Namespace::new();
        let path = format!("/dev/shm/{}", namespace.name("ring"));
        std::fs::write(&path, vec![0xa5; bytes]).expect("written");
        assert!(Ring::open(&namespace.name("ring")).is_err(), "{bytes} bytes of nonsense");
    }
}

const FIRST_CLAIM_WORD: u64 = 181_248;
const FEED_LINEAGE: u64 = 200;
const NEXT: u64 = 64;

/// The claim word of a frame that is pending for group 0, and held by `participant`.
fn pending_and_held_by(participant: u64) -> [u8; 8] {
    (1_u64 | (1 << (8 + participant))).to_le_bytes()
}

#[test]
fn a_claim_that_its_holder_knows_nothing_of_is_an_error_and_no_endless_loop() {
    let namespace = Namespace::new();
    let mut source = made(&namespace);
    let group = "pusher".parse().expect("a good name");
    let ring = source.ring().reopen().expect("open");
    let mut ordered = OrderedConsumer::join(ring, &group).expect("joined as participant 1");
    for _ in 0..2 {
        assert!(publish(&mut source, LONG));
    }
    let Turn::Frame(frame) = ordered.next(LONG).expect("a healthy ring") else {
        panic!("a frame is there")
    };
    frame.done().expect("released");
    // The cursor has passed the frame, so its turn is over: it would be dropped, but for the claim.
    spoil(&namespace, FIRST_CLAIM_WORD, &pending_and_held_by(1));
    let outcome = ordered.next(Duration::ZERO);
    assert!(matches!(outcome, Err(RingError::Corrupt { .. })), "{outcome:?}");
}

#[test]
fn a_feed_at_the_end_of_all_numbers_does_not_lead_a_cursor_in_circles() {
    let namespace = Namespace::new();
    let source = made(&namespace);
    let options = RelayOptions {
        group: "workers".parse().expect("a good name"),
        slots: None,
        payload_capacity: None,
    };
    let input = source.ring().reopen().expect("open");
    let relay = Relay::attach(input, &namespace.name("out"), &options).expect("attached");
    let relay = relay.expect("the stream has not ended");
    let group = "pusher".parse().expect("a good name");
    let output = relay.output().reopen().expect("open");
    let mut ordered = OrderedConsumer::join(output, &group).expect("joined");
    spoil_ring(&namespace, "out", FEED_LINEAGE, &0xffff_u64.to_le_bytes());
    spoil(&namespace, NEXT, &0xffff_ffff_ffff_u64.to_le_bytes());
    let outcome = ordered.next(Duration::ZERO).expect("no error");
    assert!(matches!(outcome, Turn::TimedOut), "{outcome:?}");
}

#[test]
fn garbage_in_every_table_is_an_error_or_an_outcome() {
    const TABLES: std::ops::Range<u64> = 64..(16 * 1024);
    const SEATS_AND_SLOTS: std::ops::Range<u64> = (12 * 1024)..(190 * 1024);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..60 {
        let namespace = Namespace::new();
        let mut source = made(&namespace);
        let mut reader = consumer(source.ring(), "workers");
        let group = "pusher".parse().expect("a good name");
        let mut ordered =
            OrderedConsumer::join(source.ring().reopen().expect("open"), &group).expect("joined");
        for _ in 0..40 {
            let range = if round % 2 == 0 { TABLES } else { SEATS_AND_SLOTS };
            let offset = range.start + random() % (range.end - range.start);
            spoil(&namespace, offset & !7, &random().to_le_bytes());
            let patience = Duration::from_millis(1);
            if let Ok(Some(grant)) = source.acquire(patience) {
                let _ = grant.commit(framelane_ring::Record::default());
            }
            let _ = reader.claim(patience);
            let _ = ordered.next(patience);
            let _ = source.ring().snapshot();
        }
    }
    // The machinery itself is unharmed.
    let namespace = Namespace::new();
    let mut source = made(&namespace);
    assert!(publish(&mut source, LONG));
}
