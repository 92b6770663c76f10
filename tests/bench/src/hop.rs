//! How long a message takes from one process to another. A slot is as large as a frame of 1080p,
//! and its pixels are not touched: this is the price of the hand-over alone.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::results::Table;
use crate::transport::{Kind, Receiver};

const FRAME_BYTES: usize = 1920 * 1080 * 3;
const MESSAGES: usize = 2000;
/// The first ones are not counted.
const WARM_UP: usize = 200;
const INTERVAL: Duration = Duration::from_millis(1);

/// Measures all alternatives in turn, and prints their medians and 99th percentiles in
/// microseconds.
pub(crate) fn measure(rounds: usize, busy: bool) -> Result<()> {
    let kinds: &[Kind] = if busy {
        &[Kind::Framelane, Kind::Iceoryx2]
    } else {
        &[Kind::Framelane, Kind::Iceoryx2, Kind::MessageQueue, Kind::UnixSocket]
    };
    let mut table = Table::new(if busy { "hop-busy" } else { "hop-blocking" });
    for round in 0..rounds {
        for kind in kinds {
            let (p50, p99) = once(*kind, busy, round).with_context(|| kind.name())?;
            table.add(kind.name(), "p50_us", p50);
            table.add(kind.name(), "p99_us", p99);
        }
    }
    table.print()
}

fn once(kind: Kind, busy: bool, round: usize) -> Result<(f64, f64)> {
    let name = format!("bench-hop-{}-{round}", std::process::id());
    let mut sender = kind.sender(&name, FRAME_BYTES)?;
    let messages = MESSAGES.to_string();
    let mut args = vec!["--messages", &messages];
    args.extend(busy.then_some("--busy"));
    let receiver = kind.spawn_receiver(&name, FRAME_BYTES, &args)?;
    sender.connect()?;
    let started = Instant::now();
    for number in 1..=MESSAGES {
        sender.send(None)?;
        let due = started + INTERVAL * u32::try_from(number)?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let line = receiver.finish()?;
    let (p50, p99) = line.split_once(' ').context("two numbers")?;
    Ok((p50.parse()?, p99.parse()?))
}

/// The receiving process: prints the median and the 99th percentile.
pub(crate) fn receive(mut receiver: Box<dyn Receiver>, messages: usize, busy: bool) -> Result<()> {
    println!("ready");
    let mut latencies = Vec::with_capacity(messages);
    while latencies.len() < messages {
        match receiver.try_receive(None)? {
            Some(age_ns) => latencies.push(age_ns),
            None if busy => std::hint::spin_loop(),
            None => receiver.wait()?,
        }
    }
    let mut latencies = latencies.split_off(WARM_UP.min(messages - 1));
    latencies.sort_unstable();
    let at = |permille: usize| latencies[(latencies.len() - 1) * permille / 1000] as f64 / 1000.0;
    println!("{} {}", at(500), at(990));
    Ok(())
}
