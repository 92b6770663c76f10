//! Rule: SIGKILL at any step, in any role, loses nothing, tears nothing, doubles nothing, leaks
//! nothing, and leaves books that balance.
//!
//! A chain of real processes around two rings runs once for each failpoint and each role that
//! passes it. The victim is killed right there and started again. What comes out is compared with
//! what went in, frame by frame; the peers themselves check every byte.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use e2e::{Namespace, Stage, wait_until};
use framelane_ring::{FAILPOINTS, Ring, SegmentName};
use nix::sys::signal::Signal;

use crate::peers::{Chain, ExpectEnd, Role, check, check_leftovers, check_remains, is_stopped};

/// At which passes of its failpoint the victim is killed: in the beginning, and in the middle.
const PASSES: [u64; 2] = [1, 23];

/// How a run with a victim went.
enum Run {
    /// The victim never passed its failpoint so often.
    NotPassed,
    /// It was killed there, and the chain got over it.
    Survived,
}

/// Runs the chain once, with the first process of `role` killed at the `pass`th pass of
/// `failpoint`.
fn kill_at(policy: &'static str, role: Role, failpoint: &str, pass: u64) -> Result<Run> {
    let chain = Chain::new(policy)?;
    let order = format!("{failpoint}=kill@{pass}");
    let victim = chain.command(role).env("FRAMELANE_FAILPOINT", order);
    let start = |wanted: Role| -> Result<Stage> {
        if wanted == role { victim.start() } else { chain.command(wanted).start() }
    };
    let rings = ["a", "b"].map(|ring| chain.open_when_there(ring));
    let mut stages = BTreeMap::new();
    for wanted in [Role::Sink, Role::Worker, Role::Source] {
        stages.insert(wanted, start(wanted)?);
    }
    if role == Role::Worker {
        // The victim is to be the one that makes the second ring.
        let victim = stages.get_mut(&role).context("the victim runs")?;
        wait_until("the second ring", || chain.is_there("b") || !victim.is_running())?;
    }
    let mut second_worker = chain.command(Role::Worker).start()?;
    let code = stages.remove(&role).context("the victim runs")?.finish()?.code;
    let run = match code {
        None => Run::Survived,
        Some(0) => Run::NotPassed,
        Some(code) => bail!("the victim ended with status {code}"),
    };
    let mut again = match run {
        // A source that died after the end would start the next stream.
        Run::Survived if role == Role::Source && chain.has_ended()? => None,
        Run::Survived => Some(chain.command(role).start()?),
        Run::NotPassed => None,
    };
    wait_until("the end of the stream", || chain.is_over())?;
    for stage in stages.values_mut() {
        stage.expect_end(&chain)?;
    }
    second_worker.expect_end(&chain)?;
    if let Some(again) = &mut again {
        again.expect_end(&chain)?;
    }
    check(&chain, role, matches!(run, Run::Survived))?;
    wait_until("the end of both rings", || chain.is_gone())?;
    for ring in rings {
        let ring = ring.join().map_err(|_| anyhow!("a watching thread panicked"))??;
        check_remains(&ring.context("the ring was there")?)?;
    }
    check_leftovers(&chain)?;
    Ok(run)
}

/// Kills a process of each role at every failpoint, and tells which ones it never passed.
fn kill_everywhere(policy: &'static str, role: Role) -> Result<Vec<&'static str>> {
    let mut not_passed = Vec::new();
    for failpoint in FAILPOINTS {
        for pass in PASSES {
            let run = kill_at(policy, role, failpoint, pass).with_context(|| {
                format!("{role:?} killed at {failpoint}, pass {pass}, {policy}")
            })?;
            match (run, pass) {
                (Run::NotPassed, 1) => {
                    not_passed.push(*failpoint);
                    break;
                }
                (Run::NotPassed, _) => break,
                (Run::Survived, _) => {}
            }
        }
    }
    Ok(not_passed)
}

/// Steps that no process of the ordinary chain is sure to come to: they need a death before, a ring
/// that overflows, or being the last one out. Tests of their own are about them.
const OUT_OF_THE_WAY: [&str; 3] = ["requeue.edge", "overwrite.edge", "end.unlinked"];

/// Kills each role at every failpoint, and checks that there is none that nobody passes.
fn kill_everybody_everywhere(policy: &'static str) -> Result<()> {
    let roles = [Role::Source, Role::Worker, Role::Sink];
    let threads = roles.map(|role| thread::spawn(move || kill_everywhere(policy, role)));
    let mut never = FAILPOINTS.to_vec();
    for thread in threads {
        let not_passed = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        never.retain(|failpoint| not_passed.contains(failpoint));
    }
    never.retain(|failpoint| !OUT_OF_THE_WAY.contains(failpoint));
    if policy == "block" {
        // Groups of a block ring are durable: they don't leave.
        never.retain(|failpoint| !["group.inactive", "group.swept"].contains(failpoint));
    }
    ensure!(never.is_empty(), "nobody passes {never:?}");
    Ok(())
}

#[test]
fn anybody_killed_at_any_step_of_a_lossless_stream() -> Result<()> {
    kill_everybody_everywhere("block")
}

#[test]
fn anybody_killed_at_any_step_of_a_live_stream() -> Result<()> {
    kill_everybody_everywhere("drop-oldest")
}

/// A worker dies while it gives a dead worker's frame to others, and a third one does it again.
#[test]
fn a_reaper_killed_while_it_reaps() -> Result<()> {
    let chain = Chain::new("block")?;
    let worker = |failpoint| chain.command(Role::Worker).env("FRAMELANE_FAILPOINT", failpoint);
    let sink = chain.command(Role::Sink).start()?;
    let mut first = worker("claim.counted=stop@5").start()?;
    let source = chain.command(Role::Source).start()?;
    wait_until("a worker that stops with a frame", || is_stopped(&first))?;
    let mut reaper = worker("requeue.edge=kill@1").start()?;
    wait_until("both workers", || chain.has_workers(2))?;
    // They look for the dead, too: nobody but the reaper may.
    for stage in [&sink, &source] {
        stage.signal(Signal::SIGSTOP)?;
        wait_until("a stopped stage", || is_stopped(stage))?;
    }
    first.kill()?;
    wait_until("the reaper's death", || !reaper.is_running())?;
    ensure!(reaper.finish()?.code.is_none(), "it has ended by itself");
    for stage in [&sink, &source] {
        stage.signal(Signal::SIGCONT)?;
    }
    let _third = chain.command(Role::Worker).start()?;
    wait_until("the end of the stream", || chain.is_over())?;
    check(&chain, Role::Worker, true)
}

/// A source dies right after it has taken the slot of a frame that nobody had claimed yet.
#[test]
fn a_source_killed_while_it_overwrites() -> Result<()> {
    let namespace = Namespace::new()?;
    let log = namespace.path("member.log");
    let peer = || namespace.command("peer");
    let group = peer().args(["member", "a", "group", &log]).start()?;
    let source = ["source", "a", "--frames", "1000000", "--policy", "drop-oldest"];
    let source = peer().args(source).env("FRAMELANE_FAILPOINT", "overwrite.edge=kill@3");
    wait_until("a source that dies", || {
        source
            .start()
            .is_ok_and(|mut source| wait_until("its end", || !source.is_running()).is_ok())
    })?;
    let name = SegmentName::in_namespace(namespace.name(), "a")?;
    let ring = Ring::open(&name)?;
    // Somebody has to look for the dead: the member does.
    wait_until("books that balance", || {
        ring.snapshot().is_ok_and(|snapshot| {
            let books = snapshot.groups.iter().all(|group| group.books.exact);
            books && snapshot.slots_writing == 0 && snapshot.participants.len() == 1
        })
    })?;
    drop(group);
    Ok(())
}

/// The last one out dies when it has just taken the ring's name.
#[test]
fn the_last_one_out_killed_after_it_removed_the_ring() -> Result<()> {
    let namespace = Namespace::new()?;
    let log = namespace.path("member.log");
    let peer = || namespace.command("peer").env("FRAMELANE_FAILPOINT", "end.unlinked=kill@1");
    let mut member = peer().args(["member", "a", "group", &log]).start()?;
    let source = ["source", "a", "--frames", "50", "--policy", "block"];
    let mut source = peer().args(source).start()?;
    wait_until("the end of both", || !member.is_running() && !source.is_running())?;
    let codes = [member.finish()?.code, source.finish()?.code];
    ensure!(
        [[None, Some(0)], [Some(0), None]].contains(&codes),
        "one of them is killed: {codes:?}"
    );
    ensure!(namespace.leftovers().is_empty(), "left: {:?}", namespace.leftovers());
    ensure!(fs::read_to_string(&log)?.lines().count() == 50);
    Ok(())
}
