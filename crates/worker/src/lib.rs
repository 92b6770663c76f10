//! Workers: processes that take frames from one ring, do something to them, and publish them to
//! another. This library is the loop of the `worker` binary, and of a model of your own when it is
//! written in Rust:
//!
//! ```no_run
//! use framelane_worker::{Options, run};
//!
//! let options = Options::new("cam1.in", "cam1.out")?;
//! run(&options, || false, |frame, out| {
//!     for (to, from) in out.iter_mut().zip(frame.bytes()) {
//!         *to = 255 - from;
//!     }
//! })?;
//! # Ok::<(), framelane_ring::RingError>(())
//! ```

#![forbid(unsafe_code)]

mod run;

pub use run::{Options, Summary, WorkError, run, try_run};
