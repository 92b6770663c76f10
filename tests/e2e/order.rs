//! Rule: the stages may be started in any order; whoever is early waits.

use anyhow::{Result, ensure};
use e2e::{Chain, Namespace, clips, frame_hashes};

const FRAMES: u32 = 30;

/// Starts the stages in the order of `names`, each as soon as the one before runs, and checks that
/// every frame comes out.
fn starts_in_order(names: [&str; 3]) -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::odd_size(&clip, FRAMES)?;
    let chain = Chain::new(&namespace, &clip, &out).pusher_args(&["--codec", "rawvideo"]);
    let mut stages = Vec::new();
    for name in names {
        let command = match name {
            "puller" => &chain.puller,
            "worker" => &chain.worker,
            _ => &chain.pusher,
        };
        stages.push(command.start()?);
    }
    for stage in &mut stages {
        stage.expect_success()?;
    }
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?);
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn pusher_first_puller_last() -> Result<()> {
    starts_in_order(["pusher", "worker", "puller"])
}

#[test]
fn pusher_first_worker_last() -> Result<()> {
    starts_in_order(["pusher", "puller", "worker"])
}

#[test]
fn worker_first_puller_last() -> Result<()> {
    starts_in_order(["worker", "pusher", "puller"])
}

#[test]
fn worker_first_pusher_last() -> Result<()> {
    starts_in_order(["worker", "puller", "pusher"])
}

#[test]
fn puller_first_pusher_last() -> Result<()> {
    starts_in_order(["puller", "worker", "pusher"])
}

#[test]
fn puller_first_worker_last() -> Result<()> {
    starts_in_order(["puller", "pusher", "worker"])
}
