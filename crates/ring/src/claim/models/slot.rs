//! A slot on the model checker's atomics, with flaws to order, and how models of it are explored.
//! Beside the claim word it has a seq, and a payload that is plain memory: the checker reports any
//! two accesses to it that nothing has put in order.

#![expect(unsafe_code, reason = "the payload is plain memory that several threads use")]
// UNSAFETY: Whether the accesses are in order is what the models ask; the checker panics before one
// that isn't. And it runs the threads of a model one at a time.

use std::collections::BTreeSet;
// Not the checker's own: a count of references isn't modelled here.
use std::sync::{Arc, Mutex, PoisonError};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::claim::{ClaimCell, Swing, Word, swing};

pub(super) const PRODUCER: u8 = 0;
pub(super) const READER: u8 = 1;
pub(super) const OTHER: u8 = 2;
pub(super) const BOTH_GROUPS: u8 = 0b11;
pub(super) const NO_FRAME: u64 = u64::MAX;
pub(super) const HALF_WRITTEN: u64 = 1000;

/// A payload: memory without any order of its own.
pub(super) struct Payload(UnsafeCell<u64>);

// SAFETY: see UNSAFETY above.
unsafe impl Sync for Payload {}

impl Payload {
    pub(super) fn get(&self) -> u64 {
        // SAFETY: see UNSAFETY above.
        self.0.with(|value| unsafe { *value })
    }

    pub(super) fn set(&self, frame: u64) {
        // SAFETY: see UNSAFETY above.
        self.0.with_mut(|value| unsafe { *value = frame });
    }
}

/// What is to be wrong with a slot, so that the models show that they would see it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// An edge doesn't pass on what was done before it.
    NoRelease,
    /// An edge doesn't see what was done before the one that led to it.
    NoAcquire,
    /// An edge is a look and a store, and not one step.
    TwoSteps,
}

/// A slot on the model checker's atomics.
pub(super) struct ModelSlot {
    flaw: Flaw,
    word: AtomicU64,
    pub(super) seq: AtomicU64,
    pub(super) payload: Payload,
}

impl ModelSlot {
    /// A slot with frame 0 in it.
    pub(super) fn new(flaw: Flaw, word: u64) -> Arc<Self> {
        Arc::new(Self {
            flaw,
            word: AtomicU64::new(word),
            seq: AtomicU64::new(0),
            payload: Payload(UnsafeCell::new(0)),
        })
    }

    fn order(&self, order: Ordering) -> Ordering {
        match (self.flaw, order) {
            (Flaw::NoRelease, Ordering::AcqRel) => Ordering::Acquire,
            (Flaw::NoAcquire, Ordering::AcqRel) => Ordering::Release,
            (Flaw::NoAcquire, Ordering::Acquire) => Ordering::Relaxed,
            _ => order,
        }
    }

    /// Goes along an edge, if it is legal.
    pub(super) fn go(&self, edge: impl Fn(Word) -> Option<Word>) -> bool {
        let swing = swing(self, edge);
        assert_ne!(swing, Swing::Contended);
        swing != Swing::Refused
    }

    /// What the producer does with a slot that it has.
    pub(super) fn write_and_publish(&self, frame: u64, groups: u8) {
        self.payload.set(frame);
        self.seq.store(frame, Ordering::Release);
        assert!(self.go(|word| word.publish(PRODUCER, groups)), "nobody took it away");
    }

    /// What who holds the slot sees; it is one frame.
    fn read(&self) -> u64 {
        let frame = self.payload.get();
        assert_eq!(frame, self.seq.load(Ordering::Relaxed), "the frame is of one piece");
        frame
    }

    /// What a consumer does: the frame that it got, if there was one.
    pub(super) fn take(&self, participant: u8, group: u8) -> Option<u64> {
        if !self.go(|word| word.claim(participant, group)) {
            return None;
        }
        let frame = self.read();
        assert!(self.go(|word| word.release(participant)), "who holds a slot can let go");
        Some(frame)
    }

    /// What an observer does: the frame that it saw, if there was one.
    pub(super) fn peek(&self, participant: u8) -> Option<u64> {
        let seen = self.seq.load(Ordering::Relaxed);
        if seen == NO_FRAME || !self.go(|word| word.observe(participant)) {
            return None;
        }
        let same = self.seq.load(Ordering::Relaxed) == seen;
        let frame = same.then(|| self.read());
        assert!(self.go(|word| word.release(participant)), "who holds a slot can let go");
        frame
    }
}

impl ClaimCell for ModelSlot {
    fn load_word(&self, order: Ordering) -> u64 {
        self.word.load(self.order(order))
    }

    fn exchange_word(
        &self,
        before: u64,
        after: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        if self.flaw == Flaw::TwoSteps {
            let now = self.word.load(failure);
            if now == before {
                self.word.store(after, Ordering::Release);
            }
            return if now == before { Ok(now) } else { Err(now) };
        }
        self.word.compare_exchange(before, after, self.order(success), self.order(failure))
    }
}

/// Explores orders with at most `preemptions` switches that nobody asked for, and tells what the
/// model came to in them. Whoever calls compares that with all it should come to: the checker
/// leaves out orders that it takes for equal, and is wrong where one thread only looks.
pub(super) fn explore<T: Ord + Send + 'static>(
    preemptions: usize,
    model: impl Fn() -> T + Send + Sync + 'static,
) -> BTreeSet<T> {
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    let seen = Arc::clone(&outcomes);
    builder.check(move || {
        let outcome = model();
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(outcome);
    });
    std::mem::take(&mut outcomes.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Starts a thread with a slot.
pub(super) fn with_slot<T: 'static>(
    slot: &Arc<ModelSlot>,
    act: impl FnOnce(&ModelSlot) -> T + 'static,
) -> thread::JoinHandle<T> {
    let slot = Arc::clone(slot);
    thread::spawn(move || act(&slot))
}

pub(super) fn ended<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("ends")
}
