//! What can go wrong with a ring, in words that say what to do about it.

use std::error::Error;
use std::iter;

use framelane_shm::{OutOfBounds, ShmError};

use crate::claim::{GROUPS, SEATS};

/// Why a ring could not be made, joined or used. "Nothing there yet" is no error but an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The segment, its locks or its name.
    #[error(transparent)]
    Shm(#[from] ShmError),
    /// A number that a ring can't be made with.
    #[error("no such ring can be made: {0}")]
    BadConfig(String),
    /// The segment doesn't start like a ring.
    #[error("'{0}' is no ring: remove {1}, or choose another name")]
    NotARing(String, String),
    /// The ring was made by another version of this software.
    #[error(
        "ring '{ring}' has layout version {found}, this program speaks {expected}: stop its users \
         and run `framelane gc {ring}`, or use programs of one version"
    )]
    LayoutVersion {
        /// The ring's name.
        ring: String,
        /// The version in its header.
        found: u32,
        /// The version of this program.
        expected: u32,
    },
    /// The header or a table contradicts itself or the segment's size.
    #[error("ring '{ring}' is corrupt: {what}; stop its users and run `framelane gc {ring}`")]
    Corrupt {
        /// The ring's name.
        ring: String,
        /// What is wrong.
        what: String,
    },
    /// The existing ring can't hold what is to be put into it.
    #[error(
        "ring '{ring}' holds {capacity} bytes a frame, {needed} are needed: keep the old frame size, \
         or stop its users and run `framelane gc {ring}`"
    )]
    PayloadTooLarge {
        /// The ring's name.
        ring: String,
        /// What its slots hold, in bytes.
        capacity: usize,
        /// What would have to fit, in bytes.
        needed: usize,
    },
    /// The metadata does not fit.
    #[error("ring '{ring}' carries {capacity} bytes of metadata a frame, not {needed}")]
    MetaTooLarge {
        /// The ring's name.
        ring: String,
        /// What travels with a frame at most, in bytes.
        capacity: usize,
        /// What was to be sent, in bytes.
        needed: usize,
    },
    /// A record's picture and payload differ in size.
    #[error(
        "a picture of {picture} bytes was to be published as {payload} on ring '{ring}': it must fill \
         its payload exactly"
    )]
    BadRecord {
        /// The ring's name.
        ring: String,
        /// What the record's geometry takes, in bytes.
        picture: usize,
        /// What the record says the payload takes, in bytes.
        payload: usize,
    },
    /// No such slot.
    #[error("ring '{ring}' has no slot {slot}")]
    UnknownSlot {
        /// The ring's name.
        ring: String,
        /// The slot that was asked for.
        slot: u32,
    },
    /// Every participant id is taken by a living process.
    #[error("all {SEATS} places of ring '{0}' are taken: see `framelane stat {0}`")]
    NoSeat(String),
    /// Every group is in use.
    #[error("ring '{0}' has {GROUPS} groups already: `framelane forget {0} GROUP` frees one")]
    NoGroup(String),
    /// A group's name is empty or too long.
    #[error("'{0}' can't name a group: use 1 to 32 bytes of letters, digits, '.', '_' and '-'")]
    BadGroupName(String),
    /// The group has a living member where there may be no other.
    #[error(
        "group '{group}' of ring '{ring}' is taken by process {holder}: stop that one, or choose \
         another group"
    )]
    GroupTaken {
        /// The ring's name.
        ring: String,
        /// The group's name.
        group: String,
        /// The process id of its member, as that one sees itself.
        holder: u32,
    },
    /// The group exists, and its members are of another kind: several or one in order, workers or
    /// readers.
    #[error("group '{group}' of ring '{ring}' is {kind}: choose another --group")]
    GroupKind {
        /// The ring's name.
        ring: String,
        /// The group's name.
        group: String,
        /// What it is.
        kind: &'static str,
    },
    /// The group's members publish to another ring.
    #[error(
        "the workers of group '{group}' on ring '{ring}' publish to another ring than '{output}': give \
         this one the same --to, or a --group of its own to get every frame"
    )]
    OtherOutput {
        /// The ring that they take frames from.
        ring: String,
        /// The group's name.
        group: String,
        /// The ring that was to be published to.
        output: String,
    },
    /// Workers on another ring, or of another group, publish to the ring.
    #[error(
        "ring '{ring}' gets its frames from workers on ring '{feed}': choose another ring, or stop all \
         who use this one and run `framelane gc {ring}`"
    )]
    HasFeed {
        /// The ring that was to be published to.
        ring: String,
        /// The ring that its frames come from.
        feed: String,
    },
    /// No such group.
    #[error("ring '{ring}' has no group '{group}'")]
    UnknownGroup {
        /// The ring's name.
        ring: String,
        /// The group's name.
        group: String,
    },
    /// Somebody else numbers the frames.
    #[error("ring '{0}' has a source already: stop that puller, or choose another --ring")]
    SourceTaken(String),
    /// One participant holds one slot at a time.
    #[error("this participant still holds a frame: release it before taking another")]
    StillHolding,
    /// The lock that says this participant lives is gone while it lives.
    #[error(
        "this process has lost its place in ring '{0}': something closed its file descriptors \
         (a daemonising library?); attach again"
    )]
    LostSeat(String),
    /// The stream has ended; a ring that has ended never starts again.
    #[error("ring '{0}' has ended: its users have to finish before it can be made anew")]
    Ended(String),
    /// The ring's users are asked to stop, and some have yet to.
    #[error("ring '{0}' is being drained: it can be used again when all who use it have stopped")]
    Draining(String),
    /// What the descriptor holds can't be encoded or decoded.
    #[error("the descriptor of ring '{ring}' can't be used: {what}")]
    Descriptor {
        /// The ring's name.
        ring: String,
        /// What is wrong.
        what: String,
    },
}

impl RingError {
    /// The error and its causes, in one line.
    pub fn with_causes(&self) -> String {
        let causes = iter::successors(self.source(), |&cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// Wraps an access outside of the segment.
    pub(crate) fn outside(ring: &str) -> impl FnOnce(OutOfBounds) -> Self {
        move |error| Self::Corrupt { ring: ring.to_owned(), what: error.to_string() }
    }
}
