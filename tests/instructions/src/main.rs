//! Passes frames through a ring, or through two with a worker between them, in one process: what
//! `scripts/instructions.sh` counts the instructions of. No pixel is touched.
//!
//! usage: instructions hop|relay FRAMES

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use framelane_ring::{
    Attached, Claim, Consumer, Job, OrderedConsumer, Policy, Record, Relay, RelayOptions, Ring,
    RingConfig, SegmentName, Source, Turn, Work,
};

const BYTES: usize = 1920 * 1080 * 3;
/// Nothing waits here: whatever is not there at once is an error.
const PATIENCE: Duration = Duration::ZERO;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let path = args.next().context("hop or relay?")?;
    let frames: u32 = args.next().context("how many frames?")?.parse()?;
    match path.as_str() {
        "hop" => hop(frames),
        "relay" => relay(frames),
        other => bail!("hop or relay, not {other}"),
    }
}

/// Source → consumer.
fn hop(frames: u32) -> Result<()> {
    let name = name("hop")?;
    let mut source = Source::attach(&name, &config())?;
    let mut consumer = Consumer::join(Ring::open(&name)?, &"reader".parse()?)?;
    for _ in 0..frames {
        publish(&mut source)?;
        let Claim::Frame(grant) = consumer.claim(PATIENCE)? else { bail!("no frame") };
        grant.release()?;
    }
    source.end();
    Ok(())
}

/// Source → worker → consumer in order: the way of a frame through the three stages.
fn relay(frames: u32) -> Result<()> {
    let (from, to) = (name("in")?, name("out")?);
    let mut source = Source::attach(&from, &config())?;
    let options = RelayOptions { group: "worker".parse()?, slots: None, payload_capacity: None };
    let Attached::Ready(mut worker) = Relay::wait(&from, &to, &options, || true)? else {
        bail!("the worker is not attached")
    };
    let mut sink = OrderedConsumer::join(Ring::open(&to)?, &"sink".parse()?)?;
    for _ in 0..frames {
        publish(&mut source)?;
        let Work::Frame(job) = worker.claim(PATIENCE)? else { bail!("no frame") };
        pass_on(&mut worker, job)?;
        let Turn::Frame(frame) = sink.next(PATIENCE)? else { bail!("no frame in order") };
        frame.done()?;
    }
    source.end();
    // The last one out removes the rings.
    let ended = matches!(worker.claim(PATIENCE)?, Work::Ended);
    drop(worker);
    ensure!(ended && matches!(sink.next(PATIENCE)?, Turn::Ended), "the stream does not end");
    Ok(())
}

fn publish(source: &mut Source) -> Result<()> {
    let grant = source.acquire(PATIENCE)?.context("no slot")?;
    grant.commit(Record { payload_bytes: BYTES, ..Record::default() })?;
    Ok(())
}

fn pass_on(worker: &mut Relay, job: Job) -> Result<()> {
    let output = worker.acquire(&job, PATIENCE)?.context("no room")?;
    let record = *job.record();
    worker.publish(job, output, record)?;
    Ok(())
}

fn config() -> RingConfig {
    RingConfig { slots: 8, payload_capacity: BYTES, meta_capacity: 0, policy: Policy::Block }
}

fn name(end: &str) -> Result<SegmentName> {
    Ok(SegmentName::new(&format!("instructions-{}.{end}", std::process::id()))?)
}
