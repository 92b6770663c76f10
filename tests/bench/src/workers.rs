//! Frames a second with many workers whose model waits 100 ms for something else, such as a GPU.
//! Ideal is ten for each worker.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use framelane_ring::{
    Attached, GroupName, OrderedConsumer, Policy, Record, Relay, RelayOptions, Ring, RingConfig,
    SegmentName, Source, Turn, Work,
};

use crate::results::Table;
use crate::transport::Peer;

const WORKERS: [u32; 5] = [1, 2, 4, 8, 16];
const MODEL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);
/// A frame of 640x360, rgb24.
const BYTES: usize = 640 * 360 * 3;
/// How many frames each worker processes.
const FRAMES_EACH: u32 = 30;

/// Measures each number of workers in turn, and prints frames a second and the share of the ideal.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    let mut table = Table::new("workers");
    for round in 0..rounds {
        for workers in WORKERS {
            let rate = once(workers, round).with_context(|| format!("{workers} workers"))?;
            let name = workers.to_string();
            table.add(&name, "frames_per_second", rate);
            table.add(&name, "of_ideal", rate * MODEL.as_secs_f64() / f64::from(workers));
        }
    }
    table.print()
}

fn once(workers: u32, round: usize) -> Result<f64> {
    let name = |end: &str| format!("bench-workers-{}-{round}-{workers}.{end}", std::process::id());
    let (from, to) = (name("in"), name("out"));
    let config = RingConfig {
        slots: workers + 4,
        payload_capacity: BYTES,
        meta_capacity: 0,
        policy: Policy::Block,
    };
    let mut source = Source::attach(&SegmentName::new(&from)?, &config)?;
    let peers: Vec<Peer> =
        (0..workers).map(|_| Peer::spawn(&["work", &from, &to])).collect::<Result<_>>()?;
    let ring = Ring::open(&SegmentName::new(&to)?)?;
    let mut sink = OrderedConsumer::join(ring, &"sink".parse::<GroupName>()?)?;
    let frames = workers * FRAMES_EACH;
    let feeder = thread::spawn(move || -> Result<()> {
        for _ in 0..frames {
            let grant = source.acquire(PATIENCE)?.context("no slot in time")?;
            grant.commit(Record { payload_bytes: BYTES, ..Record::default() })?;
        }
        source.end();
        Ok(())
    });
    // From the first to the last: what starting takes does not count.
    let (mut received, mut first) = (0, Instant::now());
    loop {
        match sink.next(PATIENCE)? {
            Turn::Frame(frame) => frame.done()?,
            Turn::Ended => break,
            Turn::TimedOut => bail!("only {received} of {frames} frames came"),
        }
        received += 1;
        if received == workers {
            first = Instant::now();
        }
    }
    let rate = f64::from(received - workers) / first.elapsed().as_secs_f64();
    feeder.join().map_err(|_| anyhow::anyhow!("the source panicked"))??;
    for peer in peers {
        peer.finish()?;
    }
    Ok(rate)
}

/// The process of a worker.
pub(crate) fn work(from: &str, to: &str) -> Result<()> {
    let options =
        RelayOptions { group: "worker".parse::<GroupName>()?, slots: None, payload_capacity: None };
    let attached =
        Relay::wait(&SegmentName::new(from)?, &SegmentName::new(to)?, &options, || true)?;
    let Attached::Ready(mut relay) = attached else { bail!("there is nothing to do") };
    println!("ready");
    loop {
        match relay.claim(PATIENCE)? {
            Work::Frame(job) => {
                thread::sleep(MODEL);
                let output = relay.acquire(&job, PATIENCE)?.context("no room in time")?;
                let record = *job.record();
                relay.publish(job, output, record)?;
            }
            Work::Ended => break,
            Work::TimedOut => bail!("no frame in time"),
        }
    }
    println!("done");
    Ok(())
}
