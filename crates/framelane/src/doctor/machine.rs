//! The machine: shared memory, limits, the clock, and what earlier runs have left.

use std::fs;

use framelane_frame::Geometry;
use framelane_ring::{
    Ring, RingConfig, RingError, SHM_FOLDER, SegmentName, ShmError, list_segments,
};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::Finding;

const MIB: u64 = 1 << 20;
/// What the puller's ring of audio takes, with some room.
const AUDIO_MIB: u64 = 5;

/// A stage has a ring or two, an ffmpeg and its pipes, and a log open.
const FILES_NEEDED: u64 = 64;

/// Whether two rings of frames like these fit.
pub(super) fn memory(geometry: &Geometry, slots: u32) -> Finding {
    const WHAT: &str = "shared memory";
    let ring =
        RingConfig { slots, payload_capacity: geometry.payload_bytes(), ..RingConfig::default() };
    let ring_bytes = match ring.segment_bytes() {
        Ok(bytes) => bytes as u64,
        Err(error) => return Finding::bad(WHAT, error.to_string()),
    };
    let needed = (2 * ring_bytes).div_ceil(MIB) + AUDIO_MIB;
    if let Err(error) = access(SHM_FOLDER, AccessFlags::W_OK) {
        let text =
            format!("{SHM_FOLDER} can't be written to: {error}: mount it writable, mode 1777");
        return Finding::bad(WHAT, text);
    }
    let space = match statvfs(SHM_FOLDER) {
        Ok(space) => space,
        Err(error) => return Finding::bad(WHAT, format!("{SHM_FOLDER} can't be asked: {error}")),
    };
    let mib = |blocks: u64| blocks.saturating_mul(space.fragment_size()) / MIB;
    let (free, total) = (mib(space.blocks_available()), mib(space.blocks()));
    let text = format!(
        "{free} of {total} MiB free; two rings of {slots} slots of {geometry}, and one of \
         audio, take {needed} MiB"
    );
    if free >= needed {
        return Finding::good(WHAT, text);
    }
    let wanted = total - free + needed;
    Finding::bad(
        WHAT,
        format!(
            "{text}: fewer --slots, a smaller --size, docker run --shm-size={wanted}m, or \
             mount -o remount,size={wanted}m {SHM_FOLDER}"
        ),
    )
}

/// Whether a process may open as many files as a stage needs.
pub(super) fn files() -> Finding {
    const WHAT: &str = "open files";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((limit, _)) if limit >= FILES_NEEDED => Finding::good(WHAT, format!("up to {limit}")),
        Ok((limit, _)) => {
            let text = format!("up to {limit}, a stage may need {FILES_NEEDED}: ulimit -n 1024");
            Finding::bad(WHAT, text)
        }
        Err(error) => Finding::odd(WHAT, format!("the limit can't be asked for: {error}")),
    }
}

/// Whether the clock that every frame is stamped with is a fast one.
pub(super) fn clock() -> Finding {
    const WHAT: &str = "clock";
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    match fs::read_to_string(path) {
        Ok(source) if ["hpet", "acpi_pm", "jiffies"].contains(&source.trim()) => {
            let text = format!("{}, a slow or coarse one: latencies are less exact", source.trim());
            Finding::odd(WHAT, text)
        }
        Ok(source) => Finding::good(WHAT, source.trim()),
        Err(_) => Finding::odd(WHAT, "the kernel does not say which one it uses"),
    }
}

/// Whether there are rings that nobody uses.
pub(super) fn leftovers() -> Finding {
    const WHAT: &str = "rings";
    let listed = SegmentName::namespace().and_then(|namespace| list_segments(&namespace));
    let (names, private) = match listed {
        Ok(listed) => listed,
        Err(error) => return Finding::bad(WHAT, error.to_string()),
    };
    let is_used = |name: &&SegmentName| match Ring::open(name).and_then(|ring| ring.snapshot()) {
        Ok(snapshot) => snapshot.participants.iter().any(|seat| seat.alive),
        // For whoever has it to say.
        Err(RingError::Shm(ShmError::ForeignOwner { .. })) => true,
        Err(_) => false,
    };
    let (used, unused): (Vec<_>, Vec<_>) = names.iter().partition(is_used);
    if unused.is_empty() && private.is_empty() {
        return Finding::good(WHAT, format!("{} in use, none left over", used.len()));
    }
    let shown = |names: Vec<&SegmentName>| {
        names.into_iter().map(SegmentName::ring).collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "{} in use; nobody uses {}: framelane gc",
        used.len(),
        if unused.is_empty() { "a half-made one".to_owned() } else { shown(unused) }
    );
    Finding::odd(WHAT, text)
}
