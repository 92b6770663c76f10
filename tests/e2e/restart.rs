//! Rule: any stage, and the server, may be killed and started again while the stream runs. The
//! others keep running, and the output resumes.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use e2e::{Chain, Namespace, Publisher, PublisherOptions, RtmpServer, Running, Watcher, order_of};

/// A live chain with a camera in front and a viewer behind it.
struct Scene {
    running: Running,
    chain: Chain,
    watcher: Watcher,
    _publisher: Publisher,
    server: RtmpServer,
    _namespace: Namespace,
}

impl Scene {
    fn start() -> Result<Self> {
        let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
        // Repeated pictures would hide what happens to the frames themselves.
        let chain = Chain::new(&namespace, &server.url("source"), &server.url("processed"))
            .pusher_args(&["--on-starve", "none"]);
        let running = chain.start(2)?;
        let publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
        let watcher = Watcher::start(&server.url("processed"), 640, 360);
        watcher.wait_count(25)?;
        Ok(Self { running, chain, watcher, _publisher: publisher, server, _namespace: namespace })
    }

    /// Waits until 2 s of the source have come out after now.
    fn resumes(&self) -> Result<()> {
        let last = self.watcher.last().context("no frame yet")?;
        self.watcher.wait_past(last + 50)
    }

    fn all_run(&mut self) -> bool {
        let running = &mut self.running;
        running.puller.is_running()
            && running.pusher.is_running()
            && running.workers.iter_mut().all(e2e::Stage::is_running)
    }

    /// Everything that came out is in order, and everybody stops well.
    fn ends_well(self) -> Result<()> {
        let all = self.watcher.seen().len();
        self.ends_well_but_for(all..all)
    }

    /// Everything that came out is in order but for a part in the middle, and everybody stops
    /// well. A server that keeps the last group of pictures shows it again to a new puller, and a
    /// killed pusher may have emitted a frame that it had not yet noted as emitted.
    fn ends_well_but_for(mut self, part: Range<usize>) -> Result<()> {
        let seen = self.watcher.seen();
        order_of(&seen[..part.start])?;
        order_of(&seen[part.end..])?;
        ensure!(self.all_run(), "a stage is gone");
        self.running.stop()
    }
}

#[test]
fn a_killed_puller_is_replaced() -> Result<()> {
    let mut scene = Scene::start()?;
    let before = scene.watcher.seen().len();
    scene.running.puller.kill()?;
    scene.running.puller = scene.chain.puller.start()?;
    scene.resumes()?;
    let after = scene.watcher.seen().len();
    scene.resumes()?;
    scene.ends_well_but_for(before..after)
}

#[test]
fn a_killed_worker_does_not_stop_the_stream() -> Result<()> {
    let mut scene = Scene::start()?;
    scene.running.workers[0].kill()?;
    scene.resumes()?;
    scene.running.workers[0] = scene.chain.worker.start()?;
    scene.resumes()?;
    scene.ends_well()
}

#[test]
fn all_workers_killed_are_replaced() -> Result<()> {
    let mut scene = Scene::start()?;
    for worker in &mut scene.running.workers {
        worker.kill()?;
    }
    for worker in &mut scene.running.workers {
        *worker = scene.chain.worker.start()?;
    }
    scene.resumes()?;
    scene.ends_well()
}

#[test]
fn a_killed_pusher_is_replaced() -> Result<()> {
    let mut scene = Scene::start()?;
    let before = scene.watcher.seen().len();
    scene.running.pusher.kill()?;
    scene.running.pusher = scene.chain.pusher.start()?;
    scene.resumes()?;
    let after = scene.watcher.seen().len();
    scene.resumes()?;
    scene.ends_well_but_for(before..after)
}

#[test]
fn a_killed_server_comes_back() -> Result<()> {
    let mut scene = Scene::start()?;
    if !scene.server.is_own() {
        return Ok(());
    }
    scene.server.kill()?;
    scene.server.start_again()?;
    // The camera was cut off, too.
    let options = PublisherOptions { first: 50_000, ..PublisherOptions::default() };
    scene._publisher = Publisher::start(&scene.server.url("source"), options)?;
    scene.watcher.wait_past(50_050)?;
    scene.ends_well()
}
