//! The harness of the end-to-end tests: it starts the real stage binaries, a real RTMP server and
//! real ffmpeg processes, and reads back what came out, frame by frame.
//!
//! Three rules hold for everything in here, so that the tests may run beside each other on a slow
//! machine: each test has its own [`Namespace`] of segments, its own folder and its own ports;
//! everything that is started ends with the value that stands for it; and waiting means waiting
//! for a condition under a watchdog ([`wait`]), never for a time.

pub mod barcode;
pub mod binaries;
pub mod chain;
pub mod clips;
pub mod framehash;
pub mod namespace;
pub mod pattern;
pub mod ports;
pub mod process;
pub mod publisher;
pub mod server;
pub mod stage;
pub mod stat;
pub mod tools;
pub mod wait;
pub mod watcher;

pub use barcode::Picture;
pub use chain::{Chain, Running};
pub use framehash::{FrameHash, frame_hashes};
pub use namespace::Namespace;
pub use process::Process;
pub use publisher::{Publisher, PublisherOptions};
pub use server::{RtmpServer, ServerKind};
pub use stage::{Finished, Stage, StageCommand};
pub use stat::RingStat;
pub use wait::{wait_for, wait_until};
pub use watcher::{Order, Seen, Watcher, order_of};
