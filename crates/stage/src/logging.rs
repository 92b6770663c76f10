//! Logs go to stderr, as text for people or as JSON for machines: every stage flattens
//! [`LogOptions`] into its own options and calls [`LogOptions::init`] once.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Down to which level lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What was lost or failed.
    Error,
    /// What is odd.
    Warn,
    /// What the stage does.
    #[default]
    Info,
    /// How it does it, ffmpeg's own lines included.
    Debug,
    /// Every frame.
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// The options of the log, the same for every stage.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Logging")]
pub struct LogOptions {
    /// How to write log lines to stderr
    #[arg(long, value_enum, default_value = "text", env = "FRAMELANE_LOG_FORMAT", global = true)]
    pub log_format: LogFormat,
    /// Down to which level to write log lines
    #[arg(long, value_enum, default_value = "info", env = "FRAMELANE_LOG_LEVEL", global = true)]
    pub log_level: LogLevel,
}

impl LogOptions {
    /// Starts logging. A second call in the same process changes nothing.
    pub fn init(self) {
        let builder = fmt()
            .with_max_level(LevelFilter::from(self.log_level))
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            // A terminal may be closed: then lines are lost, and nothing else.
            .log_internal_errors(false);
        // Fails only when logging was started before.
        let _ = match self.log_format {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        log: LogOptions,
    }

    #[test]
    fn options_parse_and_a_second_start_does_no_harm() {
        let parsed = Options::try_parse_from(["x", "--log-format", "json", "--log-level", "debug"]);
        let log = parsed.expect("valid").log;
        assert_eq!((log.log_format, log.log_level), (LogFormat::Json, LogLevel::Debug));
        assert!(Options::try_parse_from(["x", "--log-level", "loud"]).is_err());
        log.init();
        log.init();
    }
}
