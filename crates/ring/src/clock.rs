//! The one clock of a ring: CLOCK_MONOTONIC, which all processes of a machine share.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC. Never 0, which stands for "not yet" in shared memory.
pub fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// The same clock as it was at the last tick of the system, some milliseconds ago, for a fraction
/// of the price.
pub(crate) fn recent_ns() -> u64 {
    read(ClockId::MonotonicCoarse)
}

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    (seconds * 1_000_000_000 + nanoseconds).max(1)
}
