//! What can go wrong with a segment, in words that say what to do about it.

use std::io;

/// Why a segment could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShmError {
    /// The name has characters or a length that a segment can't have.
    #[error("'{name}' can't name a ring: {reason}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A segment of this name is there already.
    #[error("there is already a segment '{0}'")]
    Exists(String),
    /// No segment has this name.
    #[error("there is no segment '{0}'")]
    NotFound(String),
    /// Another user made the segment, and could change it under whoever maps it.
    #[error(
        "segment '{name}' belongs to user {owner}, not to user {user} or root: run all stages as \
         one user, or have its owner remove it (framelane gc)"
    )]
    ForeignOwner {
        /// The segment.
        name: String,
        /// The id of the user who made it.
        owner: u32,
        /// The id of the user that this process runs as.
        user: u32,
    },
    /// The file system of shared memory can't hold the segment.
    #[error(
        "shared memory is too small: the ring needs {needed_mib} MiB, {folder} has {free_mib} MiB \
         free; use fewer --slots or smaller frames, or enlarge it (docker run --shm-size={wanted_mib}m, \
         or mount -o remount,size={wanted_mib}m {folder})"
    )]
    TooSmall {
        /// What the segment needs, in MiB, rounded up.
        needed_mib: u64,
        /// What is free, in MiB, rounded down.
        free_mib: u64,
        /// A size for the whole file system that would do, in MiB.
        wanted_mib: u64,
        /// Where shared memory is mounted.
        folder: &'static str,
    },
    /// The process forked: the segment stayed with the parent.
    #[error("this process is a fork: the ring stayed with the parent, attach again in the child")]
    Forked,
    /// A lock could not be had in time.
    #[error("the {what} lock of the segment has been held for {waited_ms} ms{holder}")]
    LockHeld {
        /// Which lock.
        what: &'static str,
        /// How long this process waited, in milliseconds.
        waited_ms: u128,
        /// " by process N" where it is known, else nothing.
        holder: String,
    },
    /// The operating system refused.
    #[error("{action} failed")]
    Os {
        /// What was tried.
        action: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ShmError {
    /// An [`ShmError::Os`] for a failed `action`.
    pub(crate) fn os(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Os { action: action.into(), source }
    }
}
