//! `framelane check`: whether a ring is healthy, as an exit status for supervisors and probes.

use std::time::Duration;

use anyhow::anyhow;
use framelane_ring::{GroupSnapshot, Ring, SeatSnapshot, SegmentName};
use framelane_stage::{ExitStatus, Failure};

use crate::report::seconds;

/// Whose holds are looked at: everybody's, unless something is said here.
#[derive(Debug, clap::Args)]
pub(crate) struct Whose {
    /// Look at what this process holds only.
    #[arg(long)]
    pid: Option<u32>,
    /// Look at what members of this group hold only.
    #[arg(long)]
    group: Option<String>,
}

impl Whose {
    fn is_everybody(&self) -> bool {
        self.pid.is_none() && self.group.is_none()
    }

    fn includes(&self, seat: &SeatSnapshot) -> bool {
        self.pid.is_none_or(|pid| pid == seat.pid)
            && self.group.as_ref().is_none_or(|group| seat.group.as_ref() == Some(group))
    }
}

/// Fails when somebody has held a slot for longer than `max_hold`, or, where everybody is looked at,
/// when books don't balance.
pub(crate) fn run(ring: &str, max_hold: Duration, whose: &Whose) -> Result<(), Failure> {
    let snapshot = Ring::open(&SegmentName::new(ring)?)?.snapshot()?;
    let mut complaints = Vec::new();
    for seat in snapshot.participants.iter().filter(|seat| whose.includes(seat)) {
        if let Some(held) = seat.held_seconds.filter(|held| *held > max_hold.as_secs_f64()) {
            complaints.push(format!("process {} has held a slot for {}", seat.pid, seconds(held)));
        }
    }
    let unbalanced = |group: &&GroupSnapshot| group.books.exact && !group.books.balance();
    for group in snapshot.groups.iter().filter(|group| whose.is_everybody() && unbalanced(group)) {
        complaints.push(format!("the books of group {} don't balance", group.name));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    let source = anyhow!("ring '{ring}': {}", complaints.join("; "));
    Err(Failure::new(ExitStatus::Unhealthy, source))
}
