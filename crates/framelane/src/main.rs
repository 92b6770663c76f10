//! `framelane`, the operators' tool: look at rings, check them, and clean up after the dead. One
//! file for each command; what the commands print on stdout is what they are for.

mod check;
mod doctor;
mod gc;
mod ls;
mod output;
mod report;
mod snapshot;
mod stat;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use framelane_ring::{GroupName, Ring, RingError, SegmentName};
use framelane_stage::{Failure, arguments, main_with, parse_duration};
use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_shutdown;

/// Look at Framelane's rings, check them, and clean up after the dead.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the rings.
    Ls,
    /// Show everything a ring says of itself.
    Stat {
        /// The ring.
        ring: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Exit with status 9 when a process has held a slot for too long, or, unless one process or group
    /// is asked about, when books don't balance.
    Check {
        /// The ring.
        ring: String,
        /// The longest that a slot may be held.
        #[arg(long, default_value = "10s", value_parser = parse_duration)]
        max_hold: Duration,
        #[command(flatten)]
        whose: check::Whose,
    },
    /// Write the newest frame of a ring to a PNG file.
    Snapshot {
        /// The ring.
        ring: String,
        /// The file.
        file: PathBuf,
        /// Put the same frame of this ring on the left.
        #[arg(long)]
        beside: Option<String>,
    },
    /// Ask the users of rings to finish what they hold and stop. The last one out takes a live
    /// ring's name along, so that whoever starts next makes a new one; a lossless ring stays with
    /// the frames that are in it.
    Drain {
        /// The rings.
        #[arg(required = true)]
        rings: Vec<String>,
        /// Take the request back.
        #[arg(long)]
        undo: bool,
    },
    /// Remove a group that has no member and won't come back; what waits for it is dropped.
    Forget {
        /// The ring.
        ring: String,
        /// The group.
        #[arg(value_parser = |name: &str| name.parse::<GroupName>())]
        group: GroupName,
    },
    /// Look whether this machine has what the stages need; exit with status 9 when it hasn't.
    Doctor(doctor::Options),
    /// Remove rings that nobody uses, and what dead creators left.
    Gc {
        /// Only these rings; all that are unused when none is named.
        rings: Vec<String>,
    },
}

/// Exit status when who reads the output has seen enough, as shells give it to other programs.
const OUTPUT_CLOSED: i32 = 128 + SIGPIPE;

fn main() -> ExitCode {
    main_with("framelane", || {
        let always = Arc::new(AtomicBool::new(true));
        register_conditional_shutdown(SIGPIPE, OUTPUT_CLOSED, always)
            .context("taking over signals")?;
        run(arguments::<Arguments>().command)
    })
}

fn run(command: Command) -> Result<(), Failure> {
    let open = |ring: &str| -> Result<Ring, RingError> { Ring::open(&SegmentName::new(ring)?) };
    match command {
        Command::Ls => ls::run(),
        Command::Stat { ring, json } => stat::run(&ring, json),
        Command::Check { ring, max_hold, whose } => check::run(&ring, max_hold, &whose),
        Command::Snapshot { ring, file, beside } => snapshot::run(&ring, &file, beside.as_deref()),
        Command::Drain { rings, undo } => {
            let rings = rings.iter().map(|ring| open(ring)).collect::<Result<Vec<_>, _>>()?;
            rings.iter().try_for_each(|ring| ring.set_draining(!undo))?;
            if !undo {
                // Nobody may be left in one to take its name along.
                rings.iter().try_for_each(|ring| ring.remove_if_finished().map(drop))?;
            }
            Ok(())
        }
        Command::Forget { ring, group } => Ok(open(&ring)?.forget_group(&group)?),
        Command::Doctor(options) => doctor::run(&options),
        Command::Gc { rings } => gc::run(&rings),
    }
}
