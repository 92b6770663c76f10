//! `framelane check`: whether a ring is healthy, as an exit status for supervisors and probes.

use std::time::Duration;

use anyhow::anyhow;
use framelane_ring::{Ring, SegmentName};
use framelane_stage::{ExitStatus, Failure};

use crate::report::seconds;

/// Fails when somebody, or the process `pid` alone, has held a slot for longer than `max_hold`, or
/// when books don't balance.
pub(crate) fn run(ring: &str, max_hold: Duration, pid: Option<u32>) -> Result<(), Failure> {
    let snapshot = Ring::open(&SegmentName::new(ring)?)?.snapshot()?;
    let mut complaints = Vec::new();
    for seat in snapshot.participants.iter().filter(|seat| pid.is_none_or(|pid| pid == seat.pid)) {
        if let Some(held) = seat.held_seconds.filter(|held| *held > max_hold.as_secs_f64()) {
            complaints.push(format!("process {} has held a slot for {}", seat.pid, seconds(held)));
        }
    }
    for group in snapshot.groups.iter().filter(|group| group.books.exact && !group.books.balance())
    {
        complaints.push(format!("the books of group {} don't balance", group.name));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    let source = anyhow!("ring '{ring}': {}", complaints.join("; "));
    Err(Failure::new(ExitStatus::Unhealthy, source))
}
