//! Rule: a frame that kills its worker again and again is not processed for ever: a lossless stream
//! passes it on as it is, a live one drops it, both count it, and the stream goes on.

use anyhow::{Context, Result, ensure};
use e2e::{Stage, wait_until};

use crate::peers::{Chain, FRAMES, Role};

/// The frame that no worker survives.
const POISON: u64 = 20;

/// Deaths after which a frame counts as poison.
const LIMIT: usize = 3;

/// Runs a chain whose one worker dies of a frame and is started again each time. Tells how often
/// that was, the numbers that came out, and the snapshots of both rings.
fn poisoned(
    policy: &'static str,
    slots: u64,
) -> Result<(usize, Vec<u64>, [framelane_ring::RingSnapshot; 2])> {
    let chain = Chain::new(policy)?;
    let rings = ["a", "b"].map(|ring| chain.open_when_there(ring));
    let poison = POISON.to_string();
    let start =
        || -> Result<Stage> { chain.command(Role::Worker).args(["--poison", &poison]).start() };
    let _sink = chain.command(Role::Sink).start()?;
    let mut worker = start()?;
    let slots = slots.to_string();
    let mut source = chain.command(Role::Source).args(["--slots", &slots]);
    if policy == "drop-oldest" {
        // The last frame is not to come and go while the worker is started once more.
        source = source.args(["--audience", "a"]);
    }
    let _source = source.start()?;
    let mut deaths = 0;
    wait_until("the end of the stream", || {
        let ended = chain.emitted().is_ok_and(|(_, ended)| ended);
        // One that has come to the end of the stream may end before the sink says so.
        let is_dead =
            !worker.is_running() && worker.wait_exit().is_ok_and(|status| !status.success());
        if !ended && is_dead && deaths <= LIMIT {
            deaths += 1;
            worker = start().expect("a peer starts");
        }
        ended
    })?;
    let snapshots = rings.map(|ring| {
        let ring = ring.join().expect("the watching thread ends")?;
        Ok::<_, anyhow::Error>(ring.context("the ring was there")?.snapshot()?)
    });
    let [input, output] = snapshots;
    Ok((deaths, chain.emitted()?.0, [input?, output?]))
}

#[test]
fn a_lossless_stream_passes_a_deadly_frame_on() -> Result<()> {
    let (deaths, emitted, [_, output]) = poisoned("block", 4)?;
    ensure!(deaths == LIMIT, "{deaths} workers died");
    ensure!(emitted.into_iter().eq(0..FRAMES));
    ensure!(output.totals["forwarded"] == 1, "{:?}", output.totals);
    Ok(())
}

#[test]
fn a_live_stream_drops_a_deadly_frame() -> Result<()> {
    // Room for all: a worker that is slow to start must not miss the one that kills.
    let (deaths, emitted, [input, _]) = poisoned("drop-oldest", FRAMES)?;
    // The group of a live ring leaves with its only member, and its frames with it: the one that
    // kills may be among them, and then it kills only once.
    ensure!((1..=LIMIT).contains(&deaths), "{deaths} workers died");
    ensure!(!emitted.contains(&POISON), "{emitted:?}");
    ensure!(emitted.last() == Some(&(FRAMES - 1)), "{emitted:?}");
    let dropped: u64 = input.groups.iter().map(|group| group.books.dropped["poison"]).sum();
    ensure!(dropped <= 1, "dropped {dropped} times");
    Ok(())
}
