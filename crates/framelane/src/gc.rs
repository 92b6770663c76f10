//! `framelane gc`: removes what the dead left. A ring that anybody uses is never touched.

use std::fs;
use std::io::ErrorKind::{NotFound, PermissionDenied};
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use framelane_ring::{Ring, RingError, SegmentName, ShmError, list_segments};
use framelane_stage::{ExitStatus, Failure};

use crate::output::say;

/// A segment in the making is linked into place within moments; what is older was left behind.
const MAKING_TAKES: Duration = Duration::from_secs(60);

/// Removes the named rings, or with none named all that are unused, and private files that
/// creators left behind. What can't be removed keeps nothing else from being removed.
pub(crate) fn run(rings: &[String]) -> Result<(), Failure> {
    let namespace = SegmentName::namespace()?;
    let (all, private) = list_segments(&namespace)?;
    let names = if rings.is_empty() {
        all
    } else {
        rings.iter().map(|ring| SegmentName::new(ring)).collect::<Result<_, _>>()?
    };
    let mut failed = Vec::new();
    for name in &names {
        match remove(name) {
            Ok(done) => say!("{done}")?,
            // Others' rings are none of our business, unless one is asked for.
            Err(RingError::Shm(ShmError::ForeignOwner { owner, .. })) if rings.is_empty() => {
                say!("kept {}: it belongs to user {owner}", name.ring())?;
            }
            Err(error) => failed.push(format!("{}: {:#}", name.ring(), anyhow!(error))),
        }
    }
    let (old, young): (Vec<_>, Vec<_>) = private.iter().partition(|file| is_old(file));
    for file in young.into_iter().filter(|_| rings.is_empty()) {
        say!("kept {}: made within a minute, it may become a ring", file.display())?;
    }
    for file in old {
        match fs::remove_file(file) {
            Ok(()) => say!("removed {}", file.display())?,
            // Another user's, or gone by now.
            Err(error) if matches!(error.kind(), PermissionDenied | NotFound) => {}
            Err(error) => failed.push(format!("{}: {error}", file.display())),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let source = anyhow!("not removed: {}", failed.join("; "));
    Err(Failure::new(ExitStatus::Ring, source))
}

/// Removes a ring unless somebody is attached to it. Tells what became of it.
fn remove(name: &SegmentName) -> Result<String, RingError> {
    let ring = name.ring();
    let removed = match Ring::open(name) {
        Ok(open) => open.remove_if_unused(),
        Err(
            RingError::NotARing(..) | RingError::LayoutVersion { .. } | RingError::Corrupt { .. },
        ) => Ring::remove_unreadable(name),
        Err(error) => Err(error),
    };
    match removed {
        Ok(true) => Ok(format!("removed {ring}")),
        Ok(false) => Ok(format!("kept {ring}: it is in use")),
        Err(RingError::Shm(ShmError::NotFound(_))) => Ok(format!("there is no ring {ring}")),
        Err(error) => Err(error),
    }
}

fn is_old(file: &Path) -> bool {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|when| when.elapsed().is_ok_and(|age| age > MAKING_TAKES))
}
