//! What the tool prints: to write it is what the tool is for, so that a full disk is a failure.

use std::fmt::Arguments;
use std::io::{self, Write};

use framelane_stage::{ExitStatus, Failure};

/// Prints a line to stdout, as `println!` does.
///
/// # Errors
/// When stdout takes nothing.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

pub(crate) fn line(text: Arguments<'_>) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(|error| {
        Failure::new(ExitStatus::Unexpected, anyhow::Error::new(error).context("writing to stdout"))
    })
}
