//! Measures the ring beside other ways to hand frames from process to process, in one run on one
//! machine: each alternative really runs, all of them in turn, several times. Prints JSON, which
//! `scripts/bench.sh` makes tables of.

mod ends;
mod framelane;
mod hop;
mod iceoryx;
mod live;
mod mqueue;
mod pipe;
mod results;
mod socket;
mod throughput;
mod transport;
mod workers;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use transport::Kind;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The time from publishing a message to having it in another process.
    Hop {
        #[arg(long, default_value = "5")]
        rounds: usize,
        /// Look for messages all the time, instead of waiting to be woken.
        #[arg(long)]
        busy: bool,
    },
    /// Frames a second, written once and read once.
    Throughput {
        #[arg(long, default_value = "5")]
        rounds: usize,
    },
    /// Frames a second with many workers whose model waits 100 ms.
    Workers {
        #[arg(long, default_value = "5")]
        rounds: usize,
    },
    /// Latency of a live stream through an RTMP server.
    Live {
        #[arg(long, default_value = "5")]
        rounds: usize,
    },
    /// Latency of a live stream with a model that is slower than the stream.
    Slow {
        #[arg(long, default_value = "60")]
        seconds: u64,
    },
    /// The receiving process of a measurement: the others start it.
    #[command(hide = true)]
    Receive {
        kind: Kind,
        name: String,
        bytes: usize,
        #[arg(long)]
        messages: usize,
        #[arg(long)]
        busy: bool,
        #[arg(long)]
        read: bool,
    },
    /// A worker that waits instead of computing: the others start it.
    #[command(hide = true)]
    Work { from: String, to: String },
    /// Both ends of a chain whose middle is measured: the Python loop's.
    #[command(hide = true)]
    Ends { from: String, to: String, frames: u32 },
}

fn main() -> Result<()> {
    match Arguments::parse().part {
        Part::Hop { rounds, busy } => hop::measure(rounds, busy),
        Part::Throughput { rounds } => throughput::measure(rounds),
        Part::Workers { rounds } => workers::measure(rounds),
        Part::Live { rounds } => live::measure(rounds),
        Part::Slow { seconds } => live::measure_slow(Duration::from_secs(seconds)),
        Part::Receive { kind, name, bytes, messages, busy, read } => {
            let receiver = kind.receiver(&name, bytes)?;
            if read {
                throughput::receive(receiver, bytes, messages)
            } else {
                hop::receive(receiver, messages, busy)
            }
        }
        Part::Work { from, to } => workers::work(&from, &to),
        Part::Ends { from, to, frames } => ends::run(&from, &to, frames),
    }
}
