//! How numbers and times are printed for people.

/// Bytes as MB (10^6).
#[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
pub(crate) fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// A number of seconds as people say it.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
