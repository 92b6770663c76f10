//! Models of the doorbell: in every order in which ringers and waiters can meet, with every value
//! that weak memory lets them see, no wake-up is lost. Nobody sleeps with a time limit here, so that
//! a lost one is a standstill.
//!
//! What runs is the code of the doorbell itself, on the model checker's atomics. The kernel's part
//! is modelled by its promise: looking at the word and going to sleep is one step for who wakes.

use std::collections::VecDeque;
// Not the checker's own: a count of references isn't modelled here, and after a standstill it
// couldn't be dropped.
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::*;

const FOR_EVER: Duration = Duration::from_secs(3600);

/// Those who sleep on the futex word, in the order in which they are woken.
#[derive(Default)]
struct Sleepers {
    queue: VecDeque<u32>,
    tickets: u32,
}

/// A doorbell on the model checker's atomics.
struct ModelBell {
    waiters: AtomicU64,
    tokens: AtomicU32,
    sleepers: Mutex<Sleepers>,
    woken: Condvar,
    has_fences: bool,
}

impl ModelBell {
    fn new(has_fences: bool) -> Self {
        Self {
            waiters: AtomicU64::new(0),
            tokens: AtomicU32::new(0),
            sleepers: Mutex::new(Sleepers::default()),
            woken: Condvar::new(),
            has_fences,
        }
    }
}

impl BellCells for ModelBell {
    fn fence(&self, order: Ordering) {
        if self.has_fences {
            fence(order);
        }
    }

    fn load_waiters(&self, order: Ordering) -> u64 {
        self.waiters.load(order)
    }

    fn raise_waiters(&self, bits: u64, order: Ordering) {
        self.waiters.fetch_or(bits, order);
    }

    fn lower_waiters(&self, bits: u64, order: Ordering) {
        self.waiters.fetch_and(!bits, order);
    }

    fn load_tokens(&self, order: Ordering) -> u32 {
        self.tokens.load(order)
    }

    fn store_tokens(&self, tokens: u32, order: Ordering) {
        self.tokens.store(tokens, order);
    }

    fn exchange_tokens(&self, before: u32, after: u32, order: Ordering) -> Result<(), u32> {
        self.tokens.compare_exchange_weak(before, after, order, Ordering::Relaxed).map(|_| ())
    }

    fn sleep(&self, _left: Duration) -> Result<(), Errno> {
        let mut sleepers = self.sleepers.lock().expect("not poisoned");
        if self.tokens.load(Ordering::Relaxed) != 0 {
            return Err(Errno::AGAIN);
        }
        let ticket = sleepers.tickets;
        sleepers.tickets += 1;
        sleepers.queue.push_back(ticket);
        while sleepers.queue.contains(&ticket) {
            sleepers = self.woken.wait(sleepers).expect("not poisoned");
        }
        Ok(())
    }

    fn wake(&self, most: u32) {
        let mut sleepers = self.sleepers.lock().expect("not poisoned");
        let count = sleepers.queue.len().min(most.try_into().unwrap_or(usize::MAX));
        sleepers.queue.drain(..count);
        self.woken.notify_all();
    }
}

/// Explores all orders with at most `preemptions` switches that nobody asked for.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Frames that are ready, as the claim words would tell, and the bell that is rung for them.
struct Queue {
    ready: AtomicU32,
    bell: ModelBell,
}

impl Queue {
    fn new(has_fences: bool) -> Arc<Self> {
        Arc::new(Self { ready: AtomicU32::new(0), bell: ModelBell::new(has_fences) })
    }

    fn publish(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
        ring(&self.bell, 2);
    }

    /// What a consumer does: looks, and waits when there was nothing, for as long as it takes.
    fn take_one(&self, participant: u8) {
        while !self.try_take() {
            let ready = || self.ready.load(Ordering::Acquire) > 0;
            wait(&self.bell, participant, FOR_EVER, ready);
        }
    }

    fn try_take(&self) -> bool {
        let mut ready = self.ready.load(Ordering::Acquire);
        while ready > 0 {
            let order = (Ordering::AcqRel, Ordering::Acquire);
            match self.ready.compare_exchange(ready, ready - 1, order.0, order.1) {
                Ok(_) => return true,
                Err(now) => ready = now,
            }
        }
        false
    }
}

fn one_waiter_one_ringer(has_fences: bool) {
    explore(3, move || {
        let queue = Queue::new(has_fences);
        let ringer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.publish()
        });
        queue.take_one(5);
        ringer.join().expect("ends");
        assert_eq!(queue.bell.load_waiters(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_waiter_is_woken_by_what_comes_while_it_goes_to_sleep() {
    one_waiter_one_ringer(true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fences_a_wake_up_would_be_lost() {
    one_waiter_one_ringer(false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn rung_before_the_edge_a_wake_up_would_be_lost() {
    explore(3, || {
        let queue = Queue::new(true);
        let ringer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                ring(&queue.bell, 2);
                queue.ready.fetch_add(1, Ordering::AcqRel);
            }
        });
        queue.take_one(5);
        ringer.join().expect("ends");
    });
}

#[test]
fn two_rings_wake_two_waiters() {
    explore(2, || {
        let queue = Queue::new(true);
        let waiters = [1, 2].map(|participant| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take_one(participant))
        });
        queue.publish();
        queue.publish();
        for waiter in waiters {
            waiter.join().expect("ends");
        }
    });
}

#[test]
fn two_ringers_at_once_wake_two_waiters() {
    explore(1, || {
        let queue = Queue::new(true);
        let others = [0, 1].map(|role| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || if role == 0 { queue.publish() } else { queue.take_one(1) })
        });
        let last = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.take_one(2)
        });
        queue.publish();
        for other in others {
            other.join().expect("ends");
        }
        last.join().expect("ends");
    });
}

#[test]
fn ringing_for_all_wakes_all_also_beside_a_single_ring() {
    explore(2, || {
        let queue = Queue::new(true);
        let ended = Arc::new(AtomicU32::new(0));
        let waiters = [1, 2].map(|participant| {
            let (queue, ended) = (Arc::clone(&queue), Arc::clone(&ended));
            thread::spawn(move || {
                while ended.load(Ordering::Acquire) == 0 {
                    let ready = || ended.load(Ordering::Acquire) != 0;
                    wait(&queue.bell, participant, FOR_EVER, ready);
                }
            })
        });
        ring(&queue.bell, 2);
        ended.store(1, Ordering::Release);
        ring_all(&queue.bell);
        for waiter in waiters {
            waiter.join().expect("ends");
        }
    });
}
