//! `worker`: takes frames from one ring, processes them with a built-in operation, and publishes
//! them to another. Run as many as you need; replace it with your own model.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Parser;
use framelane_ring::{GroupName, RelayOptions, SegmentName};
use framelane_stage::{
    ExitStatus, Failure, LogOptions, Shutdown, main_with, parse_duration, parse_group, parse_ring,
    parse_slots,
};
use framelane_worker::{Operation, Options, run};

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
    /// What to do with a frame.
    #[arg(long, env = "FRAMELANE_OP", default_value = "passthrough", value_enum)]
    op: Operation,
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
    let arguments = Arguments::parse();
    arguments.log.init();
    main_with("worker", || work(arguments))
}

fn work(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { from, to, group, op, delay, slots, .. } = arguments;
    if from == to {
        let source = anyhow!("--from and --to name the same ring '{}'", from.ring());
        return Err(Failure::new(ExitStatus::Usage, source));
    }
    let shutdown = Shutdown::on_signals().context("taking over signals")?;
    let relay = RelayOptions { group, slots, payload_capacity: None };
    let options = Options { from, to, relay };
    let summary = run(
        &options,
        || shutdown.requested(),
        |frame, out| {
            match &frame.record().geometry {
                Some(geometry) => op.apply(geometry, frame.bytes(), out),
                None => out.copy_from_slice(frame.bytes()),
            }
            shutdown.sleep(delay);
        },
    )?;
    let (processed, forwarded) = (summary.processed, summary.forwarded);
    tracing::info!(processed, forwarded, ended = summary.ended, "done");
    Ok(())
}
