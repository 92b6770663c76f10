//! A chain of peers around two rings, for the tests that kill and stop them: source → `a` → two
//! workers → `b` → sink, and what has to be true of what came out, and of what is left.

use std::fs;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, RingStat, Stage, StageCommand, wait_until};
use framelane_ring::{Ring, RingError, SegmentName};

/// Frames of one run: enough to go round the rings many times.
pub(crate) const FRAMES: u64 = 120;

/// The parts that processes play around the two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Source,
    Worker,
    Sink,
}

/// One chain: source → `a` → two workers → `b` → sink.
pub(crate) struct Chain {
    pub(crate) namespace: Namespace,
    pub(crate) policy: &'static str,
}

impl Chain {
    pub(crate) fn new(policy: &'static str) -> Result<Self> {
        Ok(Self { namespace: Namespace::new()?, policy })
    }

    pub(crate) fn log(&self) -> String {
        self.namespace.path("sink.log")
    }

    pub(crate) fn command(&self, role: Role) -> StageCommand {
        let peer = self.namespace.command("peer");
        let frames = FRAMES.to_string();
        match role {
            Role::Source => {
                let args = ["source", "a", "--frames", &frames, "--policy", self.policy];
                // Not so fast that it is over before the rings can be looked at.
                let source = peer.args(args).args(["--pace", "1000"]);
                if self.policy == "block" { source } else { source.args(["--audience", "b"]) }
            }
            Role::Worker => peer.args(["worker", "a", "b"]),
            Role::Sink => peer.args(["sink", "b", &self.log()]),
        }
    }

    /// Whether the source's ring has ended, or is gone already.
    pub(crate) fn has_ended(&self) -> Result<bool> {
        let name = SegmentName::in_namespace(self.namespace.name(), "a")?;
        Ok(Ring::open(&name).map_or(true, |ring| ring.end().is_some()))
    }

    pub(crate) fn is_there(&self, ring: &str) -> bool {
        self.namespace.segment(ring).exists()
    }

    /// Whether both rings are gone. If the last one out was killed, that takes what `framelane gc`
    /// does: removing rings that nobody is attached to.
    pub(crate) fn is_gone(&self) -> bool {
        ["a", "b"].iter().all(|ring| {
            let name = SegmentName::in_namespace(self.namespace.name(), ring);
            let ring = name.map_err(RingError::from).and_then(|name| Ring::open(&name));
            ring.is_err() || ring.is_ok_and(|ring| ring.remove_if_unused().unwrap_or(false))
        })
    }

    /// Opens a ring as soon as it is there: it can be looked at when it has lost its name.
    pub(crate) fn open_when_there(&self, ring: &str) -> JoinHandle<Result<Option<Ring>>> {
        let name = SegmentName::in_namespace(self.namespace.name(), ring);
        let log = self.log();
        thread::spawn(move || {
            let over = || fs::read_to_string(&log).is_ok_and(|text| text.contains("end"));
            let name = name.map_err(RingError::from)?;
            Ok(Ring::wait(&name, || !over())?)
        })
    }

    /// Whether so many workers are there.
    pub(crate) fn has_workers(&self, count: u64) -> bool {
        RingStat::read(&self.namespace, "a").is_ok_and(|stat| stat.members("worker") == count)
    }

    /// Whether the end has come out.
    pub(crate) fn is_over(&self) -> bool {
        self.emitted().is_ok_and(|(_, ended)| ended)
    }

    /// The numbers that came out, in order, and whether the end did.
    pub(crate) fn emitted(&self) -> Result<(Vec<u64>, bool)> {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines = text.lines().filter(|line| *line != "end");
        let numbers = lines.map(|line| line.parse().context("an odd line"));
        Ok((numbers.collect::<Result<_>>()?, text.contains("end")))
    }
}

/// Whether a process is stopped, as by SIGSTOP.
pub(crate) fn is_stopped(stage: &Stage) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", stage.pid())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

/// Ends a stage that may wait for a stream that is over.
pub(crate) trait ExpectEnd {
    fn expect_end(&mut self, chain: &Chain) -> Result<()>;
}

impl ExpectEnd for Stage {
    fn expect_end(&mut self, chain: &Chain) -> Result<()> {
        wait_until("the end of a peer, or its wait for the next stream", || {
            !self.is_running() || chain.is_gone()
        })?;
        if self.is_running() {
            return self.kill();
        }
        self.expect_success()
    }
}

/// Compares what came out with what went in.
pub(crate) fn check(chain: &Chain, victim: Role, killed: bool) -> Result<()> {
    let (emitted, _) = chain.emitted()?;
    let mut once = emitted.clone();
    once.dedup();
    let copies = emitted.len() - once.len();
    // A sink that dies between its write and its cursor emits that one frame again.
    let allowed = usize::from(killed && victim == Role::Sink);
    ensure!(copies <= allowed, "{copies} frames came twice: {emitted:?}");
    ensure!(once.is_sorted_by(|one, next| one < next), "out of order: {once:?}");
    if chain.policy == "block" {
        ensure!(once.into_iter().eq(0..FRAMES), "not every frame came: {emitted:?}");
    }
    Ok(())
}

/// Checks that no ring is left in shared memory. One in the making may be: the harness kills peers
/// that wait for the next stream, and `framelane gc` gives such a ring a minute.
pub(crate) fn check_leftovers(chain: &Chain) -> Result<()> {
    let mut left = chain.namespace.leftovers();
    left.retain(|path| !path.to_string_lossy().contains("/."));
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

/// Checks what is left in a ring when everybody has gone: nothing, but the books.
pub(crate) fn check_remains(ring: &Ring) -> Result<()> {
    let snapshot = ring.snapshot()?;
    let slots = snapshot.slots;
    ensure!(snapshot.slots_free == slots, "{} of {slots} slots are free", snapshot.slots_free);
    // Who died when nobody was left to see it is cleaned up after by whoever takes its place.
    let alive: Vec<_> = snapshot.participants.iter().filter(|seat| seat.alive).collect();
    ensure!(alive.is_empty(), "ids leaked: {alive:?}");
    for group in &snapshot.groups {
        ensure!(group.books.exact && group.books.balance(), "{}: {:?}", group.name, group.books);
    }
    Ok(())
}
