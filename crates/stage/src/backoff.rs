//! How long to wait before the next try: doubling up to a cap, with some jitter, so that stages
//! which lost the same server don't come back all at once. The puller and the pusher use it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The first delay of [`Backoff::default`].
const FIRST: Duration = Duration::from_millis(500);
/// The longest delay of [`Backoff::default`].
const CAP: Duration = Duration::from_secs(30);
/// Delays are longer or shorter by up to this many thousandths.
const JITTER_PERMILLE: u64 = 200;

/// A growing delay. [`reset`](Self::reset) it when a try has succeeded.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
    tries: u32,
    /// Seeded by the system for each instance: good enough to spread tries.
    random: RandomState,
}

impl Default for Backoff {
    /// From 500 ms to 30 s.
    fn default() -> Self {
        Self::new(FIRST, CAP)
    }
}

impl Backoff {
    /// Delays from `first` to `cap`, before jitter.
    pub fn new(first: Duration, cap: Duration) -> Self {
        let first = first.min(cap);
        Self { first, cap, next: first, tries: 0, random: RandomState::new() }
    }

    /// How long to wait now. Each call doubles the next delay; all vary by up to 20 %.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.cap);
        self.tries = self.tries.saturating_add(1);
        let mut hasher = self.random.build_hasher();
        hasher.write_u32(self.tries);
        let permille = 1000 - JITTER_PERMILLE + hasher.finish() % (2 * JITTER_PERMILLE + 1);
        let nanos = delay.as_nanos().saturating_mul(permille.into()) / 1000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Calls of [`next_delay`](Self::next_delay) since the start or the last reset.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Starts over with the first delay.
    pub fn reset(&mut self) {
        self.next = self.first;
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_start_over() {
        let mut backoff = Backoff::default();
        for base_ms in [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000] {
            let delay = backoff.next_delay();
            let base = Duration::from_millis(base_ms);
            assert!(delay >= base * 8 / 10 && delay <= base * 12 / 10, "{delay:?} for {base:?}");
        }
        assert_eq!(backoff.tries(), 8);
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(600));
    }

    #[test]
    fn two_instances_differ_and_extremes_do_not_overflow() {
        let delays = || {
            let mut backoff = Backoff::default();
            (0..8).map(|_| backoff.next_delay()).collect::<Vec<_>>()
        };
        assert_ne!(delays(), delays());
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        endless.next_delay();
        endless.next_delay();
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).next_delay(), Duration::ZERO);
    }
}
