//! `worker`: takes frames from one ring, processes them with a built-in operation, and publishes
//! them to another. Run as many as you need; replace it with your own model.

#![forbid(unsafe_code)]

mod operation;
mod program;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Parser;
use framelane_ring::{GroupName, Job, RelayOptions, SegmentName};
use framelane_stage::{
    ExitStatus, Failure, LogOptions, Shutdown, arguments, main_with, parse_duration, parse_group,
    parse_ring, parse_slots,
};
use framelane_worker::{Options, WorkError, try_run};

use crate::operation::Operation;
use crate::program::{Framing, Program, ProgramError};

/// Take frames from one ring, process them, and publish them to another. Run as many workers as
/// you need: each frame goes to one of them, and order is restored behind them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The ring to take frames from.
    #[arg(long, env = "FRAMELANE_FROM", value_name = "RING", value_parser = parse_ring)]
    from: SegmentName,
    /// The ring to publish to; made if it isn't there.
    #[arg(long, env = "FRAMELANE_TO", value_name = "RING", value_parser = parse_ring)]
    to: SegmentName,
    /// The workers that share the frames.
    #[arg(long, env = "FRAMELANE_GROUP", default_value = "worker", value_parser = parse_group)]
    group: GroupName,
    /// What to do with a frame, without `--exec`.
    #[arg(
        long,
        env = "FRAMELANE_OP",
        default_value = "passthrough",
        value_enum,
        conflicts_with = "exec"
    )]
    op: Operation,
    /// Let a program process the frames: it reads each on stdin and writes it on stdout.
    #[arg(long, requires = "command")]
    exec: bool,
    /// How frames follow each other on the program's stdin and stdout.
    #[arg(long, env = "FRAMELANE_FRAMING", default_value = "raw", value_enum)]
    framing: Framing,
    /// The program and its arguments, after `--exec --`.
    #[arg(last = true, value_name = "COMMAND", requires = "exec")]
    command: Vec<OsString>,
    /// Wait this long for each frame, as a model would that computes elsewhere.
    #[arg(long, env = "FRAMELANE_DELAY", default_value = "0s", value_parser = parse_duration)]
    delay: Duration,
    /// Slots of the output ring, if this worker is the one to make it [default: as many as the
    /// input ring has]. It wants as many as there are workers, and two more.
    #[arg(long, env = "FRAMELANE_SLOTS", value_parser = parse_slots)]
    slots: Option<u32>,
    #[command(flatten)]
    log: LogOptions,
}

fn main() -> ExitCode {
    let arguments = arguments::<Arguments>();
    arguments.log.init();
    main_with("worker", || work(arguments))
}

fn work(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { from, to, group, op, exec, framing, command, delay, slots, .. } = arguments;
    if from == to {
        let source = anyhow!("--from and --to name the same ring '{}'", from.ring());
        return Err(Failure::new(ExitStatus::Usage, source));
    }
    let shutdown = Shutdown::on_signals().context("taking over signals")?;
    let relay = RelayOptions { group, slots, payload_capacity: None };
    let options = Options { from, to, relay };
    let mut program = exec.then(|| {
        // A wait for the program is no sign of life: it may be the program that hangs.
        let shutdown = shutdown.clone();
        let stop = move || shutdown.flag().load(Ordering::Relaxed);
        Program::new(command, framing, stop)
    });
    let process = |frame: &Job, out: &mut [u8]| {
        match (&mut program, &frame.record().geometry) {
            (Some(program), _) => program.process(frame, out)?,
            (None, Some(geometry)) => op.apply(geometry, frame.bytes(), out),
            (None, None) => out.copy_from_slice(frame.bytes()),
        }
        shutdown.sleep(delay);
        Ok::<_, ProgramError>(())
    };
    let summary =
        try_run(&options, || shutdown.requested(), process).map_err(|error| match error {
            WorkError::Ring(error) => Failure::from(error),
            error @ WorkError::Model { .. } => Failure::new(ExitStatus::Program, error),
        })?;
    let (processed, forwarded) = (summary.processed, summary.forwarded);
    tracing::info!(processed, forwarded, ended = summary.ended, "done");
    Ok(())
}
