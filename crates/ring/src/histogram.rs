//! Latency histograms in shared memory: one writer each, any number of readers.
//!
//! A bucket is a quarter of an octave wide, or one microsecond where that is more: 128 of them reach
//! from 0 to over two hours. A percentile is the end of its bucket, at most a quarter, or one
//! microsecond, above the real value.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::layout::BUCKETS;

/// Counts one duration.
pub(crate) fn record(histogram: &[AtomicU64; BUCKETS], nanoseconds: u64) {
    let bucket = &histogram[bucket_of(nanoseconds / 1000)];
    // One writer: a plain increment would do, were it not for readers in other processes.
    bucket.store(bucket.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

fn bucket_of(microseconds: u64) -> usize {
    if microseconds < 4 {
        return usize::try_from(microseconds).unwrap_or(0);
    }
    let octave = microseconds.ilog2();
    let quarter = (microseconds >> (octave - 2)) & 3;
    let bucket = u64::from(octave - 1) * 4 + quarter;
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The first duration, in microseconds, that no longer falls into a bucket.
fn end_of(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64 + 1;
    }
    let (octave, quarter) = (bucket / 4 + 1, bucket % 4);
    (5 + quarter as u64) << (octave - 2)
}

/// The duration in microseconds below which `share` (0 to 1) of the counts lie, or `None` without
/// counts.
pub(crate) fn percentile(counts: &[u64; BUCKETS], share: f64) -> Option<u64> {
    let total: u64 = counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among counts: a rounding error moves it by nothing that matters"
    )]
    let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0_u64;
    let bucket = counts.iter().position(|count| {
        seen = seen.saturating_add(*count);
        seen >= rank
    })?;
    Some(end_of(bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_contain_what_falls_into_them() {
        for microseconds in (0..10_000).chain([1 << 20, (1 << 33) - 1]) {
            let bucket = bucket_of(microseconds);
            assert!(microseconds < end_of(bucket), "{microseconds} in {bucket}");
            assert!(
                bucket == 0 || microseconds >= end_of(bucket - 1),
                "{microseconds} in {bucket}"
            );
        }
        assert_eq!(bucket_of(u64::MAX / 1000), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_bounds() {
        let mut counts = [0; BUCKETS];
        assert_eq!(percentile(&counts, 0.5), None);
        for microseconds in 1..=1000 {
            counts[bucket_of(microseconds)] += 1;
        }
        let median = percentile(&counts, 0.5).expect("there are counts");
        assert!((500..=600).contains(&median), "{median}");
        assert!(percentile(&counts, 1.0).expect("there are counts") >= 1000);
    }
}
