//! The harness itself: what the other tests rely on, checked with ffmpeg and a server alone.

use std::fs;

use anyhow::{Result, ensure};
use e2e::server::ServerKind;
use e2e::wait::wait_until;
use e2e::{
    Namespace, Publisher, PublisherOptions, RtmpServer, Watcher, clips, frame_hashes, framehash,
    order_of, ports,
};

#[test]
fn numbers_survive_the_server_and_come_in_order() -> Result<()> {
    let server = RtmpServer::start()?;
    let watcher = Watcher::start(&server.url("a"), 640, 360);
    server.wait_awaited("a")?;
    let publisher = Publisher::start(&server.url("a"), PublisherOptions::default())?;
    server.wait_published("a")?;
    watcher.wait_count(50)?;
    let order = order_of(&watcher.seen())?;
    ensure!(order.missing == 0, "{order:?}");
    ensure!(publisher.stop()? > order.last, "{order:?}");
    Ok(())
}

#[test]
fn sound_beside_the_pictures_is_published_too() -> Result<()> {
    let server = RtmpServer::start()?;
    let options = PublisherOptions { audio: true, first: 1000, ..PublisherOptions::default() };
    let watcher = Watcher::start(&server.url("a"), 640, 360);
    server.wait_awaited("a")?;
    let publisher = Publisher::start(&server.url("a"), options)?;
    watcher.wait_past(1020)?;
    ensure!(order_of(&watcher.seen())?.first >= 1000);
    publisher.stop().map(drop)
}

#[test]
fn a_watcher_comes_back_after_the_server_was_killed() -> Result<()> {
    let mut server = RtmpServer::start()?;
    if !server.is_own() {
        return Ok(());
    }
    let watcher = Watcher::start(&server.url("a"), 640, 360);
    server.wait_awaited("a")?;
    let mut publisher = Publisher::start(&server.url("a"), PublisherOptions::default())?;
    watcher.wait_count(10)?;
    server.kill()?;
    wait_until("the end of the publisher", || !publisher.is_running())?;
    server.start_again()?;
    server.wait_awaited("a")?;
    let options = PublisherOptions { first: 5000, ..PublisherOptions::default() };
    let _second = Publisher::start(&server.url("a"), options)?;
    watcher.wait_past(5010)?;
    order_of(&watcher.seen()).map(drop)
}

#[test]
fn a_frozen_server_thaws() -> Result<()> {
    let mut server = RtmpServer::start()?;
    if server.kind() == ServerKind::ExternalSrs {
        return Ok(());
    }
    let watcher = Watcher::start(&server.url("a"), 640, 360);
    server.wait_awaited("a")?;
    let publisher = Publisher::start(&server.url("a"), PublisherOptions::default())?;
    watcher.wait_count(10)?;
    server.freeze()?;
    let before = publisher.written();
    publisher.wait_written(before + 10)?;
    server.thaw()?;
    watcher.wait_past(before + 10)
}

#[test]
fn clips_have_what_they_promise() -> Result<()> {
    let namespace = Namespace::new()?;
    let path = namespace.path("clip.mkv");

    clips::variable_rate(&path, 40)?;
    let frames = frame_hashes(&path, "rgb24")?;
    let steps: Vec<i64> = frames.windows(2).map(|pair| pair[1].pts_us - pair[0].pts_us).collect();
    ensure!(frames.len() == 40 && steps.iter().all(|&step| step > 0), "{steps:?}");
    ensure!(steps.iter().any(|step| step != &steps[0]), "{steps:?}");

    clips::odd_size(&path, 3)?;
    let frames = frame_hashes(&path, "rgb24")?;
    ensure!(frames.len() == 3 && frames[0].bytes == 321 * 241 * 3, "{frames:?}");

    clips::b_frames(&path, 30)?;
    ensure!(frame_hashes(&path, "yuv420p")?.len() == 30);

    clips::with_audio(&path, 25)?;
    ensure!(frame_hashes(&path, "yuv420p")?.len() == 25);
    ensure!(framehash::audio_hashes(&path)?.len() > 30);

    let path = namespace.path("clip.mp4");
    clips::constant_rate(&path, 30)?;
    let frames = frame_hashes(&path, "rgb24")?;
    ensure!(frames.len() == 30 && frames[1].pts_us == 33_367, "{frames:?}");
    clips::cut_short(&path, 50)?;
    ensure!(frame_hashes(&path, "rgb24").is_err());

    let path = namespace.path("clip.y4m");
    clips::no_frames(&path)?;
    ensure!(frame_hashes(&path, "rgb24")?.is_empty());
    Ok(())
}

#[test]
fn numbers_of_a_file_are_read_back() -> Result<()> {
    let namespace = Namespace::new()?;
    let path = namespace.path("clip.flv");
    clips::numbered(&path, 30, 320, 240)?;
    let watcher = Watcher::start(&path, 320, 240);
    watcher.wait_count(30)?;
    let order = order_of(watcher.seen().get(..30).unwrap_or_default())?;
    ensure!((order.first, order.last, order.missing) == (0, 29, 0), "{order:?}");
    Ok(())
}

#[test]
fn a_namespace_sees_and_removes_its_own_segments_only() -> Result<()> {
    let (one, other) = (Namespace::new()?, Namespace::new()?);
    let private = one.segment("x").with_file_name(format!(".{}.0123456789abcdef", one.name()));
    fs::write(one.segment("cam.in"), "x")?;
    fs::write(&private, "x")?;
    fs::write(other.segment("cam.in"), "x")?;
    ensure!(one.leftovers().len() == 2, "{:?}", one.leftovers());
    drop(one);
    ensure!(!private.exists() && other.leftovers().len() == 1);
    Ok(())
}

#[test]
fn a_port_belongs_to_one() -> Result<()> {
    let ports = (0..20).map(|_| ports::Port::reserve()).collect::<Result<Vec<_>>>()?;
    let mut numbers: Vec<u16> = ports.iter().map(ports::Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    ensure!(numbers.len() == 20, "{numbers:?}");
    Ok(())
}
