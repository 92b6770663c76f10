//! Rule: nothing that is killed or stopped at random times, for as long as you like, loses a frame
//! of a lossless stream, tears or doubles one of any stream, or leaves anything behind.
//!
//! Two chains run side by side, one lossless and one live: source, four workers, a sink, a second
//! group with two members, and an observer. A hand of chaos kills and stops them at random. The
//! test suite runs it for some seconds; `make soak MINUTES=n` for as long as that. A report says
//! what happened.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use e2e::{Namespace, Stage, StageCommand, wait_until};
use framelane_ring::{Ring, RingSnapshot, SegmentName};
use nix::sys::signal::Signal;

use crate::peers::check_remains;

/// For how long the test suite runs it.
const SHORT: Duration = Duration::from_secs(8);
/// The longest nap of a stopped process.
const LONGEST_NAP_MS: u64 = 600;
/// Microseconds between frames at the source.
const PACE: &str = "300";

/// A small random number generator (xorshift64), so that a run can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What chaos did and saw.
#[derive(Default)]
struct Tally {
    kills: BTreeMap<&'static str, u64>,
    naps: BTreeMap<&'static str, u64>,
    worst_reaping: Duration,
}

/// One of the processes of a chain.
struct Peer {
    name: &'static str,
    command: StageCommand,
    stage: Stage,
    /// Until when it is stopped.
    wakes: Option<Instant>,
}

/// One chain under chaos.
struct Soak {
    policy: &'static str,
    namespace: Namespace,
    peers: Vec<Peer>,
    random: Random,
    tally: Tally,
}

impl Soak {
    fn start(policy: &'static str, seed: u64) -> Result<Self> {
        let namespace = Namespace::new()?;
        let peer = |args: &[&str]| namespace.command("peer").args(args);
        let (sink, side) = (namespace.path("sink.log"), namespace.path("side.log"));
        let source = ["source", "a", "--frames", "1000000000", "--policy", policy, "--slots", "6"];
        let mut commands = vec![
            ("sink", peer(&["sink", "b", &sink])),
            ("member", peer(&["member", "a", "side", &side])),
            ("member", peer(&["member", "a", "side", &side])),
            ("observer", peer(&["observer", "a"])),
            ("source", peer(&source).args(["--pace", PACE])),
        ];
        commands
            .extend((0..4).map(|_| {
                ("worker", peer(&["worker", "a", "b", "--slots", "6", "--hold", "1500"]))
            }));
        let start = |(name, command): (&'static str, StageCommand)| -> Result<Peer> {
            Ok(Peer { name, stage: command.start()?, command, wakes: None })
        };
        // A source waits for the first group of a lossless ring: that has to be the workers', or
        // they would miss what the others were given before.
        let (members, others): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|(name, _)| *name == "member");
        let peers = others.into_iter().map(start).collect::<Result<Vec<_>>>()?;
        let (random, tally) = (Random(seed | 1), Tally::default());
        let mut soak = Self { policy, namespace, peers, random, tally };
        wait_until("the workers' group", || {
            let snapshot = soak.ring("a").and_then(|ring| Ok(ring.snapshot()?));
            snapshot.is_ok_and(|snapshot| snapshot.groups.iter().any(|g| g.name == "worker"))
        })?;
        soak.peers.extend(members.into_iter().map(start).collect::<Result<Vec<_>>>()?);
        Ok(soak)
    }

    fn ring(&self, name: &str) -> Result<Ring> {
        Ok(Ring::open(&SegmentName::in_namespace(self.namespace.name(), name)?)?)
    }

    /// Kills and stops peers until the time is up, then lets all of them run.
    fn torment(&mut self, duration: Duration) -> Result<()> {
        wait_until("both rings", || self.ring("a").is_ok() && self.ring("b").is_ok())?;
        let start = Instant::now();
        while start.elapsed() < duration {
            let victim = usize::try_from(self.random.below(self.peers.len() as u64))?;
            match self.random.below(3) {
                0 => self.nap(victim)?,
                _ => self.kill(victim)?,
            }
            thread::sleep(Duration::from_millis(self.random.below(60)));
            self.wake(false)?;
        }
        self.wake(true)
    }

    fn kill(&mut self, victim: usize) -> Result<()> {
        let (ring_a, ring_b) = (self.ring("a")?, self.ring("b")?);
        let peer = &mut self.peers[victim];
        let pid = peer.stage.pid();
        peer.stage.kill()?;
        let died = Instant::now();
        peer.stage = peer.command.start()?;
        peer.wakes = None;
        *self.tally.kills.entry(peer.name).or_default() += 1;
        // With everybody else stopped there may be nobody to clean up.
        let awake = self.peers.iter().any(|peer| peer.wakes.is_none() && peer.name == "worker");
        if awake {
            wait_until("the dead to be cleaned up after", || {
                let gone = |ring: &Ring| {
                    let seats = ring.snapshot().map(|snapshot| snapshot.participants);
                    seats.is_ok_and(|seats| seats.iter().all(|seat| seat.pid != pid))
                };
                gone(&ring_a) && gone(&ring_b)
            })?;
            self.tally.worst_reaping = self.tally.worst_reaping.max(died.elapsed());
        }
        Ok(())
    }

    fn nap(&mut self, victim: usize) -> Result<()> {
        let length = Duration::from_millis(self.random.below(LONGEST_NAP_MS));
        let peer = &mut self.peers[victim];
        if peer.wakes.is_none() && peer.stage.is_running() {
            peer.stage.signal(Signal::SIGSTOP)?;
            peer.wakes = Some(Instant::now() + length);
            *self.tally.naps.entry(peer.name).or_default() += 1;
        }
        Ok(())
    }

    /// Wakes the peers whose time has come, or all.
    fn wake(&mut self, all: bool) -> Result<()> {
        for peer in &mut self.peers {
            if peer.wakes.is_some_and(|moment| all || Instant::now() >= moment) {
                peer.stage.signal(Signal::SIGCONT)?;
                peer.wakes = None;
            }
        }
        Ok(())
    }

    /// Ends the stream where it is, and waits until it has come out.
    fn end(&mut self) -> Result<[RingSnapshot; 2]> {
        let (ring_a, ring_b) = (self.ring("a")?, self.ring("b")?);
        // Who was just started, and comes when the stream is over, would wait for the next one.
        let is_there = |ring: &Ring, pid| {
            let seats = ring.snapshot().map(|snapshot| snapshot.participants);
            seats.is_ok_and(|seats| seats.iter().any(|seat| seat.pid == pid))
        };
        for peer in &self.peers {
            let pid = peer.stage.pid();
            wait_until("everybody", || is_there(&ring_a, pid) || is_there(&ring_b, pid))?;
        }
        let source = self.peers.iter_mut().find(|peer| peer.name == "source");
        let source = source.context("there is a source")?;
        source.stage.signal(Signal::SIGTERM)?;
        source.stage.wait_exit()?;
        let frames = ring_a.snapshot()?.next.to_string();
        let last = ["source", "a", "--frames", &frames, "--policy", self.policy];
        source.stage = self.namespace.command("peer").args(last).start()?;
        let log = self.namespace.path("sink.log");
        wait_until("the end of the stream", || {
            fs::read_to_string(&log).is_ok_and(|text| text.ends_with("end\n"))
        })?;
        for peer in &mut self.peers {
            wait_until("the end of a peer", || !peer.stage.is_running())?;
        }
        check_remains(&ring_a)?;
        check_remains(&ring_b)?;
        Ok([ring_a.snapshot()?, ring_b.snapshot()?])
    }

    /// Compares what came out with what went in. Tells the frames, and how many came twice.
    fn check(&self, frames: u64) -> Result<(u64, u64)> {
        let text = fs::read_to_string(self.namespace.path("sink.log"))?;
        let numbers = text.lines().filter(|line| *line != "end").map(str::parse::<u64>);
        let emitted = numbers.collect::<Result<Vec<_>, _>>()?;
        let mut once = emitted.clone();
        once.dedup();
        let copies = (emitted.len() - once.len()) as u64;
        let sinks = self.tally.kills.get("sink").copied().unwrap_or_default();
        ensure!(copies <= sinks, "{copies} frames came twice, {sinks} sinks were killed");
        ensure!(once.is_sorted_by(|one, next| one < next), "out of order");
        if self.policy == "block" {
            let missing: Vec<_> =
                (0..frames).filter(|number| once.binary_search(number).is_err()).collect();
            ensure!(missing.is_empty(), "missing of {frames}: {missing:?}");
        }
        let left = self.namespace.leftovers();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok((once.len() as u64, copies))
    }
}

/// Resources that a chain's processes take together.
fn resources(soak: &Soak) -> (u64, u64) {
    let of = |peer: &Peer| {
        let folder = PathBuf::from(format!("/proc/{}", peer.stage.pid()));
        let files = fs::read_dir(folder.join("fd")).map_or(0, |entries| entries.count() as u64);
        let statm = fs::read_to_string(folder.join("statm")).unwrap_or_default();
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
        (files, pages.unwrap_or_default() * 4)
    };
    soak.peers.iter().map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn run(policy: &'static str, duration: Duration, seed: u64) -> Result<String> {
    let mut soak = Soak::start(policy, seed)?;
    wait_until("the first frames", || {
        soak.ring("b").is_ok_and(|ring| ring.snapshot().is_ok_and(|snapshot| snapshot.next > 50))
    })?;
    let before = resources(&soak);
    soak.torment(duration).with_context(|| format!("{policy}, seed {seed}"))?;
    let after = resources(&soak);
    let [input, output] = soak.end().with_context(|| format!("{policy}, seed {seed}"))?;
    let told = || format!("{policy}, seed {seed}: {:?}, {:?}", input.totals, output.totals);
    let checked = soak.check(input.next).with_context(told)?;
    let (emitted, copies) = checked;
    let mut report = String::new();
    writeln!(report, "## {policy}\n")?;
    writeln!(report, "| what | how much |\n|---|---|")?;
    writeln!(report, "| frames in | {} |", input.next)?;
    writeln!(report, "| frames out | {emitted} |")?;
    writeln!(report, "| emitted again after a killed sink | {copies} |")?;
    for (ring, snapshot) in [("input", &input), ("output", &output)] {
        for group in &snapshot.groups {
            writeln!(report, "| {ring} ring, group {} | {:?} |", group.name, group.books)?;
        }
        writeln!(report, "| {ring} ring, totals | {:?} |", snapshot.totals)?;
    }
    writeln!(report, "| kills | {:?} |", soak.tally.kills)?;
    writeln!(report, "| naps | {:?} |", soak.tally.naps)?;
    writeln!(
        report,
        "| worst time until the dead were cleaned up after | {:?} |",
        soak.tally.worst_reaping
    )?;
    writeln!(
        report,
        "| open files of all peers, before and after | {} and {} |",
        before.0, after.0
    )?;
    writeln!(
        report,
        "| resident KiB of all peers, before and after | {} and {} |",
        before.1, after.1
    )?;
    writeln!(report, "| shared memory after | nothing |")?;
    Ok(report)
}

#[test]
fn random_deaths_and_naps() -> Result<()> {
    let minutes = env::var("SOAK_MINUTES").ok().and_then(|minutes| minutes.parse::<f64>().ok());
    let duration = minutes.map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0));
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = env::var("SOAK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(clock.subsec_nanos()));
    let threads =
        ["block", "drop-oldest"].map(|policy| thread::spawn(move || run(policy, duration, seed)));
    let mut report = format!("# Soak of {duration:?}, seed {seed}\n\n");
    for thread in threads {
        report += &thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        report.push('\n');
    }
    match env::var_os("SOAK_REPORT") {
        Some(file) => fs::write(file, report)?,
        None => eprintln!("{report}"),
    }
    Ok(())
}
