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
        // SYNC POINT: `wait` raises its bit before its own fence.
        fence(Ordering::SeqCst);
        if self.waiters.load(Ordering::Relaxed) == 0 {
            return;
        }
        // Losing the race for this to another ringer is no loss: both wake somebody below, and who
        // is woken looks even if it finds no token.
        let add = |tokens| (tokens < cap).then_some(tokens + 1);
        let _ = self.tokens.fetch_update(Ordering::Release, Ordering::Relaxed, add);
        // Nothing waits on a word that can't be woken; there is no error to act upon.
        let _ = futex::wake(&self.tokens, futex::Flags::empty(), 1);
    }

    /// Rings for everybody who waits.
    pub fn ring_all(&self) {
        fence(Ordering::SeqCst);
        let waiters = self.waiters.load(Ordering::Relaxed).count_ones();
        if waiters > 0 {
            self.tokens.store(waiters, Ordering::Release);
            let _ = futex::wake(&self.tokens, futex::Flags::empty(), i32::MAX.unsigned_abs());
        }
    }

    /// Waits as `participant` until the bell is rung or `timeout` has passed, but not at all if
    /// `ready` says, after the wish to be woken is known, that there is something to do.
    pub fn wait(&self, participant: u8, timeout: Duration, ready: impl FnOnce() -> bool) -> Wake {
        let bit = 1_u64 << (participant & 63);
        self.waiters.fetch_or(bit, Ordering::Relaxed);
        // SYNC POINT: `ring` changes a claim word before its own fence.
        fence(Ordering::SeqCst);
        let wake = if ready() { Wake::Look } else { self.sleep(timeout) };
        self.waiters.fetch_and(!bit, Ordering::Relaxed);
        wake
    }

    /// Clears the bit of a participant that died while it waited.
    pub fn forget(&self, participant: u8) {
        self.waiters.fetch_and(!(1_u64 << (participant & 63)), Ordering::Relaxed);
    }

    /// Who waits, one bit for each participant.
    pub fn waiters(&self) -> u64 {
        self.waiters.load(Ordering::Relaxed)
    }

    fn sleep(&self, timeout: Duration) -> Wake {
        let deadline = Instant::now() + timeout;
        loop {
            let tokens = self.tokens.load(Ordering::Acquire);
            if tokens > 0 {
                let taken = self.tokens.compare_exchange_weak(
                    tokens,
                    tokens - 1,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                if taken.is_ok() {
                    return Wake::Look;
                }
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::TimedOut;
            }
            let Ok(timespec) = futex::Timespec::try_from(left) else { return Wake::TimedOut };
            match futex::wait(&self.tokens, futex::Flags::empty(), 0, Some(&timespec)) {
                Ok(()) => {
                    let take = |tokens: u32| tokens.checked_sub(1);
                    let _ = self.tokens.fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
                    return Wake::Look;
                }
                Err(Errno::AGAIN) => {}
                Err(Errno::TIMEDOUT) => return Wake::TimedOut,
                // A signal: the caller has to see whether it is asked to stop.
                Err(_) => return Wake::Look,
            }
        }
    }
}

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
                std::hint::spin_loop();
            }
        }
        waiter.join().expect("the waiter ends");
        assert!(done.load(Ordering::Acquire));
    }
}
