//! The one clock of a ring: CLOCK_MONOTONIC, which all processes of a machine share.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC. Never 0, which stands for "not yet" in shared memory.
pub fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// The same clock as it was at the last tick of the system, some milliseconds ago, for a fraction
/// of the price.
pub(crate) fn recent_ns() -> u64 {
    read(ClockId::MonotonicCoarse)
}

/// By how much two readings of [`recent_ns`] may be too far apart.
pub(crate) fn tick_ns() -> u64 {
    nanoseconds(clock_getres(ClockId::MonotonicCoarse))
}

fn read(clock: ClockId) -> u64 {
    nanoseconds(clock_gettime(clock)).max(1)
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
