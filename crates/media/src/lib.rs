//! What the stages need of ffmpeg: its command lines, its processes, and the NUT streams between
//! it and a stage.
//!
//! - [`nut`] reads and writes frames and audio packets with their timestamps on a pipe.
//! - [`ffmpeg`] finds ffmpeg, probes inputs, builds the two command lines, and runs them as
//!   children that neither outlive their stage nor block it.
//! - [`PatientPipe`] ends a read or write that would wait for ever.
//! - [`Timeline`] makes one timeline of what sources say of time.
//! - [`redact`] keeps passwords, tokens and stream keys out of everything that is printed.
//!
//! This crate knows nothing of shared memory. Nothing that comes from a pipe, from ffprobe or from
//! stderr is trusted: it can be wrong, endless, or hostile, and ends as an error at worst.

mod pipe;
mod redact;
mod timeline;

pub mod ffmpeg;
pub mod nut;

pub use pipe::PatientPipe;
pub use redact::{Secrets, redact};
pub use timeline::{Placed, Timeline};
