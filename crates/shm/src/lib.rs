//! Shared memory as the ring needs it: segments with a life of their own, bounds-checked views,
//! kernel locks that fall with their process, and doorbells.
//!
//! This crate knows nothing of frames. It is the main home of unsafe code: what it hands out
//! (atomics inside the mapping, and raw byte ranges that were checked against it) can't lead a
//! caller out of bounds, whatever another process writes into the segment.
//!
//! | module | what it provides |
//! |---|---|
//! | [`name`](SegmentName) | names of segments, with their namespace |
//! | [`segment`](Segment) | create whole and link into place, open, unlink |
//! | [`view`](View) | ranges of a segment at addresses of their own, which can be taken back |
//! | [`memory`](Memory) | checked access to the mapping, or to plain heap memory |
//! | [`locks`](LockFile) | one-byte kernel locks that tell who lives |
//! | [`doorbell`](Doorbell) | a counting semaphore on a futex word |
//! | [`flag`](Flag) | manual-reset flags |
//! | `fork` | what a forked child is left with: nothing |

mod doorbell;
mod error;
mod flag;
mod fork;
mod locks;
mod memory;
mod name;
mod room;
mod segment;
mod view;

pub use doorbell::{Doorbell, Wake};
pub use error::ShmError;
pub use flag::Flag;
pub use locks::LockFile;
pub use memory::{Memory, OutOfBounds, Shared};
pub use name::{NAMESPACE_VARIABLE, SHM_FOLDER, SegmentName};
pub use segment::{Segment, list_segments, random};
pub use view::View;
