//! Rule: a stopped process is not a dead one. It keeps its place and what it holds, and nobody
//! writes where it may still write. A live stream goes on without its frame, a lossless one waits,
//! and when it wakes nothing is torn, nothing comes twice, and the books balance.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::wait_until;
use framelane_ring::{FAILPOINTS, Ring, SegmentName};
use nix::sys::signal::Signal;

use crate::peers::{Chain, ExpectEnd, Role, check, check_leftovers, check_remains, is_stopped};

/// At which pass of its failpoint the victim stops.
const PASS: u64 = 5;

/// For how long it sleeps: longer than others wait before they look for the dead, and than the sink
/// waits for a frame. Who waits for a lock waits longer.
const NAP: Duration = Duration::from_millis(700);

/// Runs the chain once, with the first process of `role` stopped at `failpoint`. `false` when it
/// never came there.
fn stop_at(policy: &'static str, role: Role, failpoint: &str) -> Result<bool> {
    let chain = Chain::new(policy)?;
    let order = format!("{failpoint}=stop@{PASS}");
    let rings = ["a", "b"].map(|ring| chain.open_when_there(ring));
    let mut victim = chain.command(role).env("FRAMELANE_FAILPOINT", order).start()?;
    let others = [Role::Sink, Role::Worker, Role::Worker, Role::Source];
    let others = others.into_iter().enumerate().filter(|(index, other)| {
        // The victim takes the place of one of its kind.
        *other != role || (role == Role::Worker && *index == 2)
    });
    let mut others =
        others.map(|(_, other)| chain.command(other).start()).collect::<Result<Vec<_>>>()?;
    // One that comes when all is over waits for the next stream.
    wait_until("a victim that stops or ends", || {
        is_stopped(&victim) || !victim.is_running() || (chain.is_over() && chain.is_gone())
    })?;
    let stopped = is_stopped(&victim);
    if stopped {
        thread::sleep(NAP);
        ensure!(is_stopped(&victim), "somebody woke it");
        victim.signal(Signal::SIGCONT)?;
    }
    wait_until("the end of the stream", || chain.is_over())?;
    victim.expect_end(&chain)?;
    for stage in &mut others {
        stage.expect_end(&chain)?;
    }
    check(&chain, role, false)?;
    wait_until("the end of both rings", || chain.is_gone())?;
    for ring in rings {
        let ring = ring.join().map_err(|_| anyhow!("a watching thread panicked"))??;
        check_remains(&ring.context("the ring was there")?)?;
    }
    check_leftovers(&chain)?;
    Ok(stopped)
}

/// Stops each role at every failpoint of a stream, and tells how many times that happened.
fn stop_everybody_everywhere(policy: &'static str) -> Result<usize> {
    let roles = [Role::Source, Role::Worker, Role::Sink];
    let threads = roles.map(|role| {
        thread::spawn(move || -> Result<usize> {
            let mut stops = 0;
            for failpoint in FAILPOINTS {
                let stopped = stop_at(policy, role, failpoint)
                    .with_context(|| format!("{role:?} stopped at {failpoint}, {policy}"))?;
                stops += usize::from(stopped);
            }
            Ok(stops)
        })
    });
    let counts = threads.map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
    counts.into_iter().sum()
}

#[test]
fn anybody_stopped_at_any_step_of_a_lossless_stream() -> Result<()> {
    let stops = stop_everybody_everywhere("block")?;
    ensure!(stops > 20, "only {stops} stops happened");
    Ok(())
}

#[test]
fn anybody_stopped_at_any_step_of_a_live_stream() -> Result<()> {
    let stops = stop_everybody_everywhere("drop-oldest")?;
    ensure!(stops > 20, "only {stops} stops happened");
    Ok(())
}

/// A live stream comes to its end while one of its workers sleeps with a frame in hand, and the
/// operators' tool names the sleeper.
#[test]
fn a_live_stream_goes_on_without_a_sleeping_worker() -> Result<()> {
    let chain = Chain::new("drop-oldest")?;
    let stop = |role, order| chain.command(role).env("FRAMELANE_FAILPOINT", order).start();
    // The source holds the stream until the other worker is there.
    let source = stop(Role::Source, "record.written=stop@40")?;
    let mut sleeper = stop(Role::Worker, "record.written=stop@2")?;
    let _sink = chain.command(Role::Sink).start()?;
    for stage in [&sleeper, &source] {
        wait_until("a stage that stops", || is_stopped(stage))?;
    }
    let _worker = chain.command(Role::Worker).start()?;
    wait_until("both workers", || chain.has_workers(2))?;
    source.signal(Signal::SIGCONT)?;
    wait_until("the end of the stream", || chain.is_over())?;
    let name = SegmentName::in_namespace(chain.namespace.name(), "a")?;
    let snapshot = Ring::open(&name)?.snapshot()?;
    let held = snapshot.participants.iter().find(|seat| seat.pid == sleeper.pid());
    let held = held.context("the sleeper keeps its place")?;
    ensure!(held.alive && held.held_seconds.is_some(), "{held:?}");
    let check = chain.namespace.command("framelane").args(["check", "a", "--max-hold", "10ms"]);
    let finished = check.run()?;
    let names_it = finished.stderr.contains(&sleeper.pid().to_string());
    ensure!(finished.code == Some(9) && names_it, "{finished:?}");
    sleeper.signal(Signal::SIGCONT)?;
    sleeper.expect_end(&chain)
}
