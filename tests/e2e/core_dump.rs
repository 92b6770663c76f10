//! Rule: a process that dies while it dumps a core is dead when the dump is done: what it held goes
//! to somebody else, and nothing is lost.

use std::fs;

use anyhow::{Result, ensure};
use e2e::binaries::binary;
use e2e::chain::RING_IN;
use e2e::{Chain, Namespace, RingStat, clips, frame_hashes, wait_until};
use nix::sys::signal::Signal;

/// Runs a program in a folder, which its core goes to.
const ALLOW_CORES: &str = "cd \"$0\" && ulimit -c unlimited && exec \"$@\"";

#[test]
fn a_worker_that_dumps_a_core_loses_no_frame() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::constant_rate(&clip, 20)?;
    let chain = Chain::new(&namespace, &clip, &out).pusher_args(&["--codec", "rawvideo"]);
    let mut running = chain.start(0)?;
    let worker = binary("worker")?.into_os_string();
    let mut dumping = namespace
        .command("worker")
        .built_at("/bin/sh")
        .args(["-c".into(), ALLOW_CORES.into(), namespace.folder().into(), worker])
        .args(["--from", "cam.in", "--to", "cam.out", "--delay", "1h"])
        .start()?;
    wait_until("a frame in its hand", || {
        RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.held("worker") == 1)
    })?;
    dumping.signal(Signal::SIGABRT)?;
    running.workers.push(chain.worker.start()?);
    running.expect_success()?;
    ensure!(!dumping.wait_exit()?.success());
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    ensure!(pattern.trim() != "core" || namespace.folder().join("core").exists(), "no core");
    ensure!(frame_hashes(&out, "rgb24")? == frame_hashes(&clip, "rgb24")?);
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}
