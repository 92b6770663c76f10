//! A process that plays one part around a ring, with no ffmpeg near it: the victim of the crash
//! tests and of the soak. It is built with the failpoints of the ring, so that a test can kill or
//! stop it at any of them. Every byte of a payload is computed from the frame's number, and is
//! checked wherever a frame passes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use e2e::pattern;
use framelane_ring::{
    Claim, Consumer, GroupName, Observer, OrderedConsumer, Policy, Record, Relay, RelayOptions,
    Ring, RingConfig, RingError, SegmentName, ShmError, Source, Turn, Work, monotonic_ns,
};
use framelane_stage::Shutdown;

/// Every so many frames a peer changes its mind once: it gives up a slot, or gives a frame back.
/// Those are edges, too.
const CHANGE_OF_MIND: u64 = 16;

/// How long one wait lasts before the peer looks whether it is asked to stop.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

/// The part to play.
#[derive(Debug, Subcommand)]
enum Part {
    /// Numbers and publishes frames, until there are as many as were asked for.
    Source {
        ring: SegmentNameArg,
        #[arg(long)]
        frames: u64,
        #[arg(long)]
        policy: Policy,
        #[arg(long, default_value = "4")]
        slots: u32,
        /// Microseconds between frames.
        #[arg(long, default_value = "0")]
        pace: u64,
        /// Publish neither the first frame nor the last one while this ring has no reader: a live
        /// stream waits for nobody, and who comes when it is over would wait for the next one.
        #[arg(long, value_name = "RING")]
        audience: Vec<SegmentNameArg>,
    },
    /// Copies frames from one ring to another.
    Worker {
        from: SegmentNameArg,
        to: SegmentNameArg,
        #[arg(long, default_value = "4")]
        slots: u32,
        /// Microseconds to hold each frame, as a model would.
        #[arg(long, default_value = "0")]
        hold: u64,
        /// Die with this frame in hand, like a model that can't bear it.
        #[arg(long)]
        poison: Option<u64>,
    },
    /// Takes frames in order, and appends each number to a file before it is done with the frame.
    Sink {
        ring: SegmentNameArg,
        log: PathBuf,
        #[arg(long, default_value = "300")]
        max_wait: u64,
    },
    /// Takes frames in any order as a member of a group, and appends each number to a file.
    Member { ring: SegmentNameArg, group: GroupName, log: PathBuf },
    /// Looks at the newest frames.
    Observer { ring: SegmentNameArg },
    /// Takes a frame, forks, and keeps both processes alive: the child says on stdout what became of
    /// its part in the ring.
    Forker { ring: SegmentNameArg },
    /// Takes a place, closes every descriptor as daemonising libraries do, and says on stdout what
    /// the ring makes of that.
    Closer { ring: SegmentNameArg },
}

/// A ring's name on the command line.
#[derive(Clone, Debug)]
struct SegmentNameArg(SegmentName);

impl std::str::FromStr for SegmentNameArg {
    type Err = ShmError;

    fn from_str(name: &str) -> Result<Self, ShmError> {
        SegmentName::new(name).map(Self)
    }
}

fn main() -> ExitCode {
    match play(Arguments::parse().part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(part: Part) -> Result<()> {
    let shutdown = Shutdown::on_signals()?;
    match part {
        Part::Source { ring, frames, policy, slots, pace, audience } => {
            let config =
                RingConfig { slots, payload_capacity: pattern::BYTES, meta_capacity: 64, policy };
            let pace = Duration::from_micros(pace);
            source(&ring.0, &config, frames, pace, &audience, &shutdown)
        }
        Part::Worker { from, to, slots, hold, poison } => {
            worker(&from.0, &to.0, slots, Duration::from_micros(hold), poison, &shutdown)
        }
        Part::Sink { ring, log, max_wait } => {
            sink(&ring.0, &log, Duration::from_millis(max_wait), &shutdown)
        }
        Part::Member { ring, group, log } => member(&ring.0, &group, &log, &shutdown),
        Part::Observer { ring } => observe(&ring.0, &shutdown),
        Part::Forker { ring } => fork_with_a_frame(&ring.0, &shutdown),
        Part::Closer { ring } => close_everything(&ring.0, &shutdown),
    }
}

/// Whether to change one's mind about the frame `number`: once, and about another one for each
/// `kind` of change.
fn changes_mind(number: u64, kind: u64, last: &mut Option<u64>) -> bool {
    number % CHANGE_OF_MIND == kind && last.replace(number) != Some(number)
}

/// Tries to join until it works: a ring may not be there yet, and a place or an earlier stream's
/// ring may still be somebody's who is about to be cleaned up after.
fn join<T>(
    shutdown: &Shutdown,
    mut attempt: impl FnMut() -> Result<T, RingError>,
) -> Result<Option<T>> {
    while !shutdown.requested() {
        match attempt() {
            Ok(joined) => return Ok(Some(joined)),
            Err(
                RingError::Shm(ShmError::NotFound(_))
                | RingError::Ended(_)
                | RingError::Draining(_)
                | RingError::SourceTaken(_)
                | RingError::GroupTaken { .. },
            ) => shutdown.sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(None)
}

fn source(
    name: &SegmentName,
    config: &RingConfig,
    frames: u64,
    pace: Duration,
    audience: &[SegmentNameArg],
    shutdown: &Shutdown,
) -> Result<()> {
    // The ring of a source that was killed after it had ended the stream says that all is done.
    if Ring::open(name).is_ok_and(|ring| ring.end().is_some()) {
        return Ok(());
    }
    let Some(mut source) = join(shutdown, || Source::attach(name, config))? else { return Ok(()) };
    let mut given_up = None;
    while source.next_seq().number() < frames && !shutdown.requested() {
        let number = source.next_seq().number();
        if number == 0 || number + 1 == frames {
            audience.iter().try_for_each(|ring| wait_for_readers(&ring.0, shutdown))?;
        }
        let live = config.policy == Policy::DropOldest;
        let patience = if live { Duration::ZERO } else { PATIENCE };
        let Some(mut grant) = source.acquire(patience)? else {
            if live {
                source.skip()?;
            }
            continue;
        };
        let number = grant.seq().number();
        if changes_mind(number, 5, &mut given_up) {
            drop(grant);
            continue;
        }
        pattern::write(number, &mut grant.bytes_mut()[..pattern::BYTES]);
        grant.commit(Record {
            pts_ns: i64::try_from(number)? * 1_000_000,
            received_ns: monotonic_ns(),
            payload_bytes: pattern::BYTES,
            ..Record::default()
        })?;
        shutdown.sleep(pace);
    }
    if source.next_seq().number() >= frames {
        source.end();
    }
    Ok(())
}

fn wait_for_readers(ring: &SegmentName, shutdown: &Shutdown) -> Result<()> {
    while !shutdown.requested() {
        match Ring::open(ring).and_then(|ring| ring.snapshot()) {
            Ok(snapshot) if !snapshot.groups.is_empty() => break,
            Ok(_) | Err(RingError::Shm(ShmError::NotFound(_))) => {
                shutdown.sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn worker(
    from: &SegmentName,
    to: &SegmentName,
    slots: u32,
    hold: Duration,
    poison: Option<u64>,
    shutdown: &Shutdown,
) -> Result<()> {
    let options =
        RelayOptions { group: "worker".parse()?, slots: Some(slots), payload_capacity: None };
    let attach = || Relay::attach(Ring::open(from)?, to, &options);
    let Some(Some(mut relay)) = join(shutdown, attach)? else { return Ok(()) };
    let (mut given_back, mut given_up) = (None, None);
    while !shutdown.requested() {
        let job = match relay.claim_harmless(PATIENCE)? {
            Work::Frame(job) => job,
            Work::TimedOut => continue,
            Work::Ended => return Ok(()),
        };
        let number = job.seq().number();
        pattern::check(number, job.bytes())?;
        if poison == Some(number) {
            std::process::abort();
        }
        if changes_mind(number, 7, &mut given_back) {
            continue;
        }
        let mut output = loop {
            match relay.acquire(&job, PATIENCE)? {
                None if shutdown.requested() => return Ok(()),
                None => {}
                Some(output) if changes_mind(number, 9, &mut given_up) => drop(output),
                Some(output) => break output,
            }
        };
        shutdown.sleep(hold);
        output.bytes_mut()[..job.bytes().len()].copy_from_slice(job.bytes());
        let record = *job.record();
        relay.publish(job, output, record)?;
    }
    Ok(())
}

fn sink(name: &SegmentName, log: &Path, max_wait: Duration, shutdown: &Shutdown) -> Result<()> {
    let group = "pusher".parse()?;
    let Some(mut sink) = join(shutdown, || OrderedConsumer::join(Ring::open(name)?, &group))?
    else {
        return Ok(());
    };
    sink.set_max_wait(Some(max_wait));
    let mut log = append(log)?;
    let mut given_back = None;
    while !shutdown.requested() {
        match sink.next(PATIENCE)? {
            Turn::Frame(frame) => {
                let number = frame.seq().number();
                pattern::check(number, frame.bytes())?;
                if changes_mind(number, 11, &mut given_back) {
                    continue;
                }
                log.write_all(format!("{number}\n").as_bytes())?;
                frame.done()?;
            }
            Turn::TimedOut => {}
            Turn::Ended => return Ok(log.write_all(b"end\n")?),
        }
    }
    Ok(())
}

fn member(name: &SegmentName, group: &GroupName, log: &Path, shutdown: &Shutdown) -> Result<()> {
    let attempt = || Consumer::join(Ring::open(name)?, group);
    let Some(mut member) = join(shutdown, attempt)? else { return Ok(()) };
    let mut log = append(log)?;
    while !shutdown.requested() {
        match member.claim(PATIENCE)? {
            Claim::Frame(frame) => {
                let number = frame.seq().number();
                pattern::check(number, frame.bytes())?;
                log.write_all(format!("{number}\n").as_bytes())?;
                frame.release()?;
            }
            Claim::TimedOut => {}
            Claim::Ended => return Ok(()),
        }
    }
    Ok(())
}

fn observe(name: &SegmentName, shutdown: &Shutdown) -> Result<()> {
    let attempt = || Observer::join(Ring::open(name)?);
    let Some(mut observer) = join(shutdown, attempt)? else { return Ok(()) };
    while !shutdown.requested() && observer.ring().end().is_none() {
        if let Some(frame) = observer.newest(None)? {
            pattern::check(frame.seq().number(), frame.bytes())?;
        }
        shutdown.sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a fork that does not exec is what this part is about")]
fn fork_with_a_frame(name: &SegmentName, shutdown: &Shutdown) -> Result<()> {
    let group = "forker".parse()?;
    let attempt = || Consumer::join(Ring::open(name)?, &group);
    let Some(mut member) = join(shutdown, attempt)? else { return Ok(()) };
    let frame = loop {
        match member.claim(PATIENCE)? {
            Claim::Frame(frame) => break frame,
            Claim::TimedOut if shutdown.requested() => return Ok(()),
            Claim::TimedOut => {}
            Claim::Ended => return Ok(()),
        }
    };
    let number = frame.seq().number();
    // SAFETY: this process has one thread, so the child may go on as it likes.
    match unsafe { nix::unistd::fork()? } {
        nix::unistd::ForkResult::Child => {
            // The child's view of the frame is empty memory of its own; a claim is an error.
            let foreign = frame.bytes().iter().any(|byte| *byte != 0);
            drop(frame);
            let claimed = member.claim(PATIENCE).map(drop);
            say(&format!("child {claimed:?} foreign {foreign}"))?;
        }
        nix::unistd::ForkResult::Parent { .. } => {
            pattern::check(number, frame.bytes())?;
            say("parent holds its frame")?;
        }
    }
    // The child outlives its parent, but not the test, which takes the ring along.
    while !shutdown.requested() && Ring::open(name).is_ok() {
        shutdown.sleep(PATIENCE);
    }
    Ok(())
}

fn close_everything(name: &SegmentName, shutdown: &Shutdown) -> Result<()> {
    let group = "closer".parse()?;
    let attempt = || Consumer::join(Ring::open(name)?, &group);
    let Some(mut member) = join(shutdown, attempt)? else { return Ok(()) };
    for descriptor in 3..256 {
        // Most are not open; that is no matter.
        let _ = nix::unistd::close(descriptor);
    }
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        if let Err(error) = member.claim(PATIENCE) {
            say(&format!("refused: {error}"))?;
            // The descriptors are somebody else's by now: nothing here may close them again.
            std::process::abort();
        }
    }
    say("never noticed")
}

/// Tells the test something, at once.
fn say(what: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(format!("{what}\n").as_bytes())?)
}

fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    ensure!(file.metadata()?.is_file(), "{} is no file", path.display());
    Ok(file)
}
