//! A ring of frames in shared memory that survives the death of any of its users.
//!
//! A ring is one segment: a header, tables, and a fixed pool of slots. Producers publish frames
//! into slots, and each group of consumers sees every frame once. One 64-bit *claim word* for each
//! slot is the whole truth about it; every change is one compare-and-swap, so a SIGKILL leaves no
//! slot half-changed, and what a dead process held is given to somebody else. There is no lock on
//! the way of a frame.
//!
//! | to do this | use |
//! |---|---|
//! | number and publish frames from a source | [`Source`] |
//! | take frames in any of the ways below, chosen by an option | [`Reader`] |
//! | take frames, in any order, shared with other members of a group | [`Consumer`] |
//! | take frames strictly in order | [`OrderedConsumer`] |
//! | take from one ring and publish to another | [`Relay`] |
//! | look at the newest frame without consuming it | [`Observer`] |
//! | read counters, histograms, who holds what | [`Ring::snapshot`] |
//!
//! The layout is specified in `docs/spec/ring_layout.md`; this crate knows nothing of ffmpeg.

mod books;
mod claim;
mod clock;
mod config;
mod consumer;
mod create;
mod descriptor;
mod end;
mod entry;
mod error;
mod failpoint;
mod feed;
mod forget;
mod grant;
mod group_name;
mod groups;
mod histogram;
mod job;
mod journal;
mod layout;
mod life;
mod observer;
mod ordered;
mod producer;
#[cfg(test)]
mod protocol;
mod reader;
mod record;
mod recovery;
mod relay;
mod ring;
mod seat;
mod seq;
mod seqlock;
mod snapshot;
mod source;
mod window;

pub use books::DropReason;
pub use claim::{GROUPS, SEATS};
pub use clock::monotonic_ns;
pub use config::{Policy, RingConfig};
pub use consumer::{Claim, Consumer};
pub use descriptor::{AudioTrack, Descriptor, VideoTrack};
pub use error::RingError;
#[doc(hidden)]
pub use failpoint::FAILPOINTS;
pub use framelane_shm::{
    NAMESPACE_VARIABLE, SHM_FOLDER, SegmentName, ShmError, View, list_segments,
};
pub use grant::{ReadGrant, WriteGrant};
pub use group_name::GroupName;
pub use job::Job;
pub use layout::{LAYOUT_VERSION, MAGIC};
pub use observer::Observer;
pub use ordered::{OrderedConsumer, OrderedFrame, Turn};
pub use reader::{FrameInHand, Reader, ReaderOptions, Reading, Take};
pub use record::Record;
pub use relay::{Attached, Forwarded, Relay, RelayOptions, Work};
pub use ring::Ring;
pub use seq::Seq;
pub use snapshot::{GroupBooks, GroupSnapshot, LatencySummary, RingSnapshot, SeatSnapshot};
pub use source::Source;
