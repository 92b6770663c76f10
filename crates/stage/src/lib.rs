//! What the three stages, puller, worker and pusher, share: exit statuses, logging, signals,
//! values of options, and back-off.
//!
//! A stage's `main` parses its arguments, builds what it needs, runs it, and leaves the rest to
//! this crate. Nothing here knows of ffmpeg.
//!
//! ```no_run
//! use clap::Parser;
//! use framelane_stage::{ExitStatus, Failure, LogOptions, Shutdown, main_with};
//!
//! #[derive(Parser)]
//! struct Options {
//!     #[command(flatten)]
//!     log: LogOptions,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     main_with("puller", || {
//!         let options = Options::parse();
//!         options.log.init();
//!         let shutdown = Shutdown::on_signals()?;
//!         while !shutdown.requested() {
//!             // the stage's work
//!             shutdown.sleep(std::time::Duration::from_secs(1));
//!         }
//!         Ok(())
//!     })
//! }
//! ```

#![forbid(unsafe_code)]

mod arguments;
mod audio;
mod backoff;
mod exit;
mod logging;
mod options;
mod signals;
mod watchdog;

pub use arguments::arguments;
pub use audio::{audio_ring, forget_audio};
pub use backoff::Backoff;
pub use exit::{ExitStatus, Failure, FailureContext, main_with};
pub use logging::{LogFormat, LogLevel, LogOptions};
pub use options::{
    OptionError, parse_bitrate, parse_duration, parse_group, parse_ring, parse_size, parse_slots,
};
pub use signals::Shutdown;
