//! Doorbells: counting semaphores on a futex word, in shared memory.
//!
//! A doorbell wakes; it never decides. Who is woken looks at the claim words again, and looks
//! again after a timeout, since a token can die with the process that took it. Three rules keep it
//! cheap and safe against the death of anybody:
//!
//! - no system call when nobody waits: the ringer looks at the waiters first;
//! - who waits is one bit for each participant, so that a reaper can clear a dead one's bit;
//! - tokens are capped, so that rings without a waiter don't add up to a storm of wake-ups.
//!
//! The futex is a shared one and its layout doesn't depend on the C library. Order of a wake-up:
//! the ringer changes a claim word, then looks for waiters; a waiter raises its bit, then looks at
//! the claim words. Both have a sequentially consistent fence in between, so at least one of them
//! sees the other.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::futex;

/// How often a change of the tokens is tried: more than all participants together could need.
const TRIES: u32 = 10_000;

/// A doorbell: 64 bytes, one cache line. All zeroes is a doorbell that nobody waits for.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Doorbell {
    waiters: AtomicU64,
    tokens: AtomicU32,
    reserved: [AtomicU32; 13],
}

const _: () = assert!(size_of::<Doorbell>() == 64);

/// Why a wait came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There is something to look at: it was rung, or the condition held already.
    Look,
    /// Nobody rang in time.
    TimedOut,
}

impl Doorbell {
    /// Rings once: wakes one waiter if there is any. `cap` limits the tokens that can pile up.
    pub fn ring(&self, cap: u32) {
        ring(self, cap);
    }

    /// Rings for everybody who waits.
    pub fn ring_all(&self) {
        ring_all(self);
    }

    /// Waits as `participant` until the bell is rung or `timeout` has passed, but not at all if
    /// `ready` says, after the wish to be woken is known, that there is something to do.
    pub fn wait(&self, participant: u8, timeout: Duration, ready: impl FnOnce() -> bool) -> Wake {
        wait(self, participant, timeout, ready)
    }

    /// Clears the bit of a participant that died while it waited.
    pub fn forget(&self, participant: u8) {
        self.lower_waiters(bit_of(participant), Ordering::Relaxed);
    }

    /// Who waits, one bit for each participant.
    pub fn waiters(&self) -> u64 {
        self.load_waiters(Ordering::Relaxed)
    }
}

/// What a doorbell is made of, or a stand-in for it in a model checker: each function is one atomic
/// access, one fence, or one system call.
trait BellCells {
    fn fence(&self, order: Ordering);
    fn load_waiters(&self, order: Ordering) -> u64;
    fn raise_waiters(&self, bits: u64, order: Ordering);
    fn lower_waiters(&self, bits: u64, order: Ordering);
    fn load_tokens(&self, order: Ordering) -> u32;
    fn store_tokens(&self, tokens: u32, order: Ordering);
    /// Goes from `before` to `after` if there are `before` tokens, else tells how many there are.
    fn exchange_tokens(&self, before: u32, after: u32, order: Ordering) -> Result<(), u32>;
    /// Sleeps until woken, for `left` at most, unless there is a token.
    fn sleep(&self, left: Duration) -> Result<(), Errno>;
    /// Wakes at most `most` of those who sleep.
    fn wake(&self, most: u32);
}

impl BellCells for Doorbell {
    fn fence(&self, order: Ordering) {
        fence(order);
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

    fn sleep(&self, left: Duration) -> Result<(), Errno> {
        // A time that doesn't fit is as good as none.
        let limit = futex::Timespec::try_from(left).ok();
        futex::wait(&self.tokens, futex::Flags::empty(), 0, limit.as_ref())
    }

    fn wake(&self, most: u32) {
        // Nothing waits on a word that can't be woken; there is no error to act upon.
        let _ = futex::wake(&self.tokens, futex::Flags::empty(), most);
    }
}

fn bit_of(participant: u8) -> u64 {
    1 << (participant & 63)
}

/// Changes the number of tokens, if there is a change to make. Gives up when the number never
/// stands still: no sane set of peers does that, and a wrong one only costs a look.
fn change_tokens(cells: &impl BellCells, order: Ordering, change: impl Fn(u32) -> Option<u32>) {
    let mut tokens = cells.load_tokens(Ordering::Relaxed);
    for _ in 0..TRIES {
        let Some(changed) = change(tokens) else { return };
        match cells.exchange_tokens(tokens, changed, order) {
            Ok(()) => return,
            Err(now) => tokens = now,
        }
    }
}

fn ring(cells: &impl BellCells, cap: u32) {
    // SYNC POINT: `wait` raises its bit before its own fence.
    cells.fence(Ordering::SeqCst);
    if cells.load_waiters(Ordering::Relaxed) == 0 {
        return;
    }
    // A token that doesn't fit is no loss: somebody is woken below, and who is woken looks even if
    // it finds no token.
    change_tokens(cells, Ordering::Release, |tokens| (tokens < cap).then(|| tokens + 1));
    cells.wake(1);
}

fn ring_all(cells: &impl BellCells) {
    cells.fence(Ordering::SeqCst);
    let waiters = cells.load_waiters(Ordering::Relaxed).count_ones();
    if waiters > 0 {
        cells.store_tokens(waiters, Ordering::Release);
        cells.wake(i32::MAX.unsigned_abs());
    }
}

fn wait(
    cells: &impl BellCells,
    participant: u8,
    timeout: Duration,
    ready: impl FnOnce() -> bool,
) -> Wake {
    cells.raise_waiters(bit_of(participant), Ordering::Relaxed);
    // SYNC POINT: `ring` changes a claim word before its own fence.
    cells.fence(Ordering::SeqCst);
    let wake = if ready() { Wake::Look } else { sleep(cells, timeout) };
    cells.lower_waiters(bit_of(participant), Ordering::Relaxed);
    wake
}

fn sleep(cells: &impl BellCells, timeout: Duration) -> Wake {
    let start = Instant::now();
    loop {
        let tokens = cells.load_tokens(Ordering::Acquire);
        if tokens > 0 && cells.exchange_tokens(tokens, tokens - 1, Ordering::Acquire).is_ok() {
            return Wake::Look;
        }
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Wake::TimedOut;
        }
        match cells.sleep(left) {
            Ok(()) => {
                change_tokens(cells, Ordering::Acquire, |tokens| tokens.checked_sub(1));
                return Wake::Look;
            }
            Err(Errno::AGAIN) => {}
            Err(Errno::TIMEDOUT) => return Wake::TimedOut,
            // A signal: the caller has to see whether it is asked to stop.
            Err(_) => return Wake::Look,
        }
    }
}

#[cfg(test)]
mod models;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::Segment;

    fn bell(segment: &Segment) -> &Doorbell {
        segment.memory().at::<Doorbell>(0).expect("in bounds")
    }

    #[test]
    fn ringing_for_nobody_leaves_no_token() {
        let segment = Segment::heap(4096);
        for _ in 0..10 {
            bell(&segment).ring(8);
        }
        assert_eq!(bell(&segment).wait(3, Duration::ZERO, || false), Wake::TimedOut);
        assert_eq!(bell(&segment).waiters(), 0);
    }

    #[test]
    fn a_number_of_tokens_that_nobody_could_have_rung_is_left_alone() {
        let segment = Segment::heap(4096);
        bell(&segment).waiters.store(1, Ordering::Relaxed);
        bell(&segment).tokens.store(u32::MAX, Ordering::Relaxed);
        bell(&segment).ring(8);
        assert_eq!(bell(&segment).tokens.load(Ordering::Relaxed), u32::MAX);
    }

    #[test]
    fn a_waiter_that_finds_work_does_not_sleep() {
        let segment = Segment::heap(4096);
        assert_eq!(bell(&segment).wait(0, Duration::from_secs(3600), || true), Wake::Look);
    }

    #[test]
    fn every_edge_is_seen_by_a_waiter_with_an_endless_timeout() {
        const ROUNDS: u32 = 20_000;
        let segment = Arc::new(Segment::heap(4096));
        let done = Arc::new(AtomicBool::new(false));
        let waiter = std::thread::spawn({
            let (segment, done) = (Arc::clone(&segment), Arc::clone(&done));
            move || {
                let published = segment.memory().at::<AtomicU32>(128).expect("in bounds");
                for round in 1..=ROUNDS {
                    while published.load(Ordering::Acquire) < round {
                        let ready = || published.load(Ordering::Acquire) >= round;
                        bell(&segment).wait(1, Duration::from_secs(3600), ready);
                    }
                    segment
                        .memory()
                        .at::<AtomicU32>(132)
                        .expect("in bounds")
                        .store(round, Ordering::Release);
                }
                done.store(true, Ordering::Release);
            }
        });
        let published = segment.memory().at::<AtomicU32>(128).expect("in bounds");
        let seen = segment.memory().at::<AtomicU32>(132).expect("in bounds");
        for round in 1..=ROUNDS {
            published.store(round, Ordering::Release);
            bell(&segment).ring(8);
            while seen.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
        }
        waiter.join().expect("the waiter ends");
        assert!(done.load(Ordering::Acquire));
    }
}
