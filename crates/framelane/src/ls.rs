//! `framelane ls`: the rings of this namespace, one line each.

use framelane_ring::{Ring, SegmentName, list_segments};
use framelane_stage::Failure;

use crate::output::say;
use crate::report::megabytes;

pub(crate) fn run() -> Result<(), Failure> {
    let (names, _) = list_segments(&SegmentName::namespace()?)?;
    say!(
        "{:<24} {:<11} {:>5} {:>9} {:>9} {:>6} {:>6}",
        "RING",
        "POLICY",
        "SLOTS",
        "MB",
        "NEXT",
        "USERS",
        "STATE"
    )?;
    for name in names {
        match Ring::open(&name).and_then(|ring| Ok((ring.snapshot()?, ring))) {
            Ok((snapshot, _)) => {
                let users = snapshot.participants.iter().filter(|seat| seat.alive).count();
                let state = match (snapshot.end, snapshot.draining) {
                    (Some(_), _) => "ended",
                    (None, true) => "drain",
                    (None, false) => "open",
                };
                say!(
                    "{:<24} {:<11} {:>5} {:>9.1} {:>9} {users:>6} {state:>6}",
                    snapshot.ring,
                    snapshot.policy.to_string(),
                    snapshot.slots,
                    megabytes(snapshot.segment_bytes),
                    snapshot.next,
                )?;
            }
            Err(error) => say!("{:<24} {error}", name.ring())?,
        }
    }
    Ok(())
}
