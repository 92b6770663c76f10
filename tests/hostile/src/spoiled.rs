//! A small ring that gets spoiled: a real segment of its own, and a way to write into it behind
//! everybody's back, as a broken peer would.
//!
//! The segment is a file, which is written to and not mapped: what another process could do to
//! the ring, and no way to harm this one but through the ring.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use framelane_ring::{NAMESPACE_VARIABLE, Policy, RingConfig, SegmentName, Source};

/// What the spoiled rings are made with: as small as they get.
pub(crate) fn config(policy: Policy) -> RingConfig {
    RingConfig { slots: 4, payload_capacity: 64, meta_capacity: 16, policy }
}

/// The name of a ring that no other process has, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnName(SegmentName);

impl OwnName {
    /// `scripts/fuzz.sh` chooses the namespace, to clean up behind a target that crashed.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let namespace = std::env::var(NAMESPACE_VARIABLE).unwrap_or_else(|_| format!("fuzz-{pid}"));
        let ring = format!("r{pid}-{count}");
        Self(SegmentName::in_namespace(&namespace, &ring).expect("a good name"))
    }

    pub(crate) fn get(&self) -> &SegmentName {
        &self.0
    }

    fn path(&self) -> PathBuf {
        self.0.path()
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        // A ring that is over has removed itself.
        let _ = fs::remove_file(self.path());
    }
}

/// A hand in a ring's segment that keeps to no protocol.
#[derive(Debug)]
pub(crate) struct Vandal {
    file: File,
    bytes: u64,
}

impl Vandal {
    /// Makes the ring, and opens its file.
    pub(crate) fn of_new_ring(name: &OwnName, policy: Policy) -> Self {
        drop(Source::attach(name.get(), &config(policy)).expect("a ring can be made"));
        Self::of_ring(name)
    }

    /// Opens the file of a ring that is there.
    pub(crate) fn of_ring(name: &OwnName) -> Self {
        let file = OpenOptions::new().write(true).open(name.path()).expect("the segment is there");
        let bytes = file.metadata().expect("it has a size").len();
        Self { file, bytes }
    }

    /// Writes as many of the bytes as lie within the segment.
    pub(crate) fn write(&self, offset: u64, data: &[u8]) {
        let room = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let data = &data[..data.len().min(room)];
        self.file.write_all_at(data, offset).expect("the segment can be written");
    }
}
