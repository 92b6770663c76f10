//! `framelane gc`: removes what the dead left. A ring that anybody uses is never touched.

use std::fs;
use std::path::Path;
use std::time::Duration;

use framelane_ring::{Ring, RingError, SegmentName, ShmError, list_segments};
use framelane_stage::Failure;

/// A segment in the making is linked into place within moments; what is older was left behind.
const MAKING_TAKES: Duration = Duration::from_secs(60);

/// Removes the named rings, or with none named all that are unused, and private files that
/// creators left behind.
pub(crate) fn run(rings: &[String]) -> Result<(), Failure> {
    let namespace = SegmentName::namespace()?;
    let (all, private) = list_segments(&namespace)?;
    let names = if rings.is_empty() {
        all
    } else {
        rings.iter().map(|ring| SegmentName::new(ring)).collect::<Result<_, _>>()?
    };
    for name in &names {
        println!("{}", remove(name)?);
    }
    for file in private.iter().filter(|file| is_old(file)) {
        fs::remove_file(file).map_err(anyhow::Error::from)?;
        println!("removed {}", file.display());
    }
    Ok(())
}

/// Removes a ring unless somebody is attached to it. Tells what became of it.
fn remove(name: &SegmentName) -> Result<String, Failure> {
    let ring = name.ring();
    match Ring::open(name) {
        Ok(open) if open.remove_if_unused()? => Ok(format!("removed {ring}")),
        Ok(_) => Ok(format!("kept {ring}: it is in use")),
        // Nobody can be attached to what is no ring of this layout, as far as this program knows.
        Err(
            RingError::NotARing(..) | RingError::LayoutVersion { .. } | RingError::Corrupt { .. },
        ) => {
            fs::remove_file(name.path()).map_err(anyhow::Error::from)?;
            Ok(format!("removed {ring}"))
        }
        Err(RingError::Shm(ShmError::NotFound(_))) => Ok(format!("there is no ring {ring}")),
        Err(error) => Err(error.into()),
    }
}

fn is_old(file: &Path) -> bool {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|when| when.elapsed().is_ok_and(|age| age > MAKING_TAKES))
}
