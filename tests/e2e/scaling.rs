//! Rule: workers multiply. A model that is too slow gives fewer frames, never late ones; with
//! enough workers every frame comes, in order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::chain::RING_IN;
use e2e::{
    Chain, Namespace, Publisher, PublisherOptions, RingStat, RtmpServer, Seen, Watcher, order_of,
    wait_until,
};

const RATE: f64 = 25.0;
/// Source frames that a measurement spans: 8 s.
const SPAN: u32 = 200;

/// Watches until the stream has gone on by [`SPAN`] source frames from where it is now, and
/// returns the frames in between.
fn watch_a_span(watcher: &Watcher) -> Result<Vec<Seen>> {
    let from = watcher.seen().len();
    let first = watcher.last().context("no frame yet")?;
    watcher.wait_past(first + SPAN)?;
    Ok(watcher.seen().split_off(from))
}

/// Frames that came out for each second of the source.
fn rate_of(frames: &[Seen]) -> Result<f64> {
    let order = order_of(frames)?;
    Ok(f64::from(order.count) / f64::from(order.last - order.first + 1) * RATE)
}

/// How old the frames were when they came, the middle one of them.
fn median_age(publisher: &Publisher, frames: &[Seen]) -> Duration {
    let mut ages: Vec<Duration> = frames
        .iter()
        .filter_map(|seen| Some(seen.at.saturating_duration_since(publisher.time_of(seen.number?))))
        .collect();
    ages.sort_unstable();
    ages.get(ages.len() / 2).copied().unwrap_or_default()
}

#[test]
fn one_slow_worker_gives_fewer_frames_and_no_growing_delay() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
        .worker_args(&["--delay", "100ms"])
        .pusher_args(&["--on-starve", "none"]);
    let mut running = chain.start(1)?;
    let publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(20)?;
    let frames = watch_a_span(&watcher)?;
    let rate = rate_of(&frames)?;
    ensure!((4.0..=10.5).contains(&rate), "{rate} frames a second");
    let third = frames.len() / 3;
    let early = median_age(&publisher, &frames[..third]);
    let late = median_age(&publisher, &frames[frames.len() - third..]);
    // A queue that keeps every frame would grow by 15 frames of 25 in each second: by more than
    // 3 s between the first and the last third of 8 s.
    ensure!(late < early + Duration::from_millis(1500), "{early:?}, then {late:?}");
    running.stop()
}

#[test]
fn three_slow_workers_keep_pace_in_order() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
        .worker_args(&["--delay", "100ms", "--slots", "32"])
        .puller_args(&["--slots", "32"])
        .pusher_args(&["--on-starve", "none"]);
    let mut running = chain.start(3)?;
    let publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(20)?;
    let rate = rate_of(&watch_a_span(&watcher)?)?;
    // 30 frames a second at best; a machine that is busy otherwise may lose some.
    ensure!(rate > 20.0, "{rate} frames a second");
    ensure!(publisher.written() > SPAN);
    running.stop()
}

/// Rule: workers come and go while frames flow.
#[test]
fn workers_are_added_and_removed_while_frames_flow() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
        .worker_args(&["--delay", "100ms", "--slots", "32"])
        .puller_args(&["--slots", "32"])
        .pusher_args(&["--on-starve", "none"]);
    let mut running = chain.start(1)?;
    let _publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(20)?;
    let members = |count| {
        wait_until(&format!("{count} workers in the ring"), || {
            RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.members("worker") == count)
        })
    };
    let slow = rate_of(&watch_a_span(&watcher)?)?;
    running.workers.push(chain.worker.start()?);
    running.workers.push(chain.worker.start()?);
    members(3)?;
    let fast = rate_of(&watch_a_span(&watcher)?)?;
    ensure!(fast > slow + 4.0, "{slow} frames a second with 1 worker, {fast} with 3");
    for mut worker in running.workers.drain(1..) {
        worker.stop()?;
    }
    members(1)?;
    watch_a_span(&watcher)?;
    order_of(&watcher.seen())?;
    running.stop()
}
