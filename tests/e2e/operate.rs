//! Rule: the operators' scripts start the stages, keep them running, change their number while
//! frames flow, and leave nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::binaries::binary;
use e2e::chain::RING_IN;
use e2e::tools::run;
use e2e::{
    Namespace, Publisher, PublisherOptions, RingStat, RtmpServer, Watcher, order_of, wait_until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What `make up` started. Dropping it takes it down, whatever the test found.
struct Installation<'n> {
    namespace: &'n Namespace,
    binaries: PathBuf,
}

impl<'n> Installation<'n> {
    fn up(namespace: &'n Namespace, input: &str, output: &str) -> Result<Self> {
        let binaries = binary("puller")?.parent().context("a binary has a folder")?.to_path_buf();
        let new = Self { namespace, binaries };
        new.script(
            "up.sh",
            &[
                ("INPUT", input),
                ("OUTPUT", output),
                ("WORKERS", "2"),
                ("MAX_HOLD", "2s"),
                ("FRAMELANE_ON_STARVE", "none"),
            ],
        )?;
        Ok(new)
    }

    fn script(&self, name: &str, variables: &[(&str, &str)]) -> Result<String> {
        let mut command =
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name));
        command
            .envs(variables.iter().copied())
            .env("FRAMELANE_NAMESPACE", self.namespace.name())
            .env("FRAMELANE_RUN_DIR", self.namespace.folder().join("run"))
            .env("FRAMELANE_BIN_DIR", &self.binaries);
        run(&mut command)
    }

    fn pid(&self, stage: &str) -> Option<i32> {
        let path = self.namespace.folder().join("run/stages").join(stage).join("pid");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    fn has_workers(&self, count: u64) -> Result<()> {
        wait_until(&format!("{count} workers in the ring"), || {
            RingStat::read(self.namespace, RING_IN)
                .is_ok_and(|stat| stat.members("worker") == count)
        })
    }
}

impl Drop for Installation<'_> {
    fn drop(&mut self) {
        // After a test that went well nothing is up, and the script says so.
        let _ = self.script("down.sh", &[]);
    }
}

#[test]
fn up_scale_restart_and_down_while_frames_flow() -> Result<()> {
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let _publisher = Publisher::start(&server.url("source"), PublisherOptions::default())?;
    let stages = Installation::up(&namespace, &server.url("source"), &server.url("processed"))?;
    let watcher = Watcher::start(&server.url("processed"), 640, 360);
    watcher.wait_count(25)?;

    stages.script("scale.sh", &[("WORKERS", "3")])?;
    stages.has_workers(3)?;
    stages.script("scale.sh", &[("WORKERS", "1")])?;
    stages.has_workers(1)?;
    let (puller, worker) = (stages.pid("puller"), stages.pid("worker-1"));
    stages.script("restart.sh", &[("STAGE", "worker")])?;
    ensure!(stages.pid("worker-1") != worker && stages.pid("puller") == puller);

    // Killed from outside: the supervisor starts another.
    let pid = stages.pid("worker-1").context("the worker has no process")?;
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    wait_until("another worker", || stages.pid("worker-1").is_some_and(|new| new != pid))?;
    // Hung: it is killed, and another started.
    let pid = stages.pid("worker-1").context("the worker has no process")?;
    wait_until("a worker that stops with a frame in hand", || {
        let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
        let held = RingStat::read(&namespace, RING_IN).is_ok_and(|stat| stat.held("worker") > 0);
        if !held {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
        held
    })?;
    wait_until("a third worker", || stages.pid("worker-1").is_some_and(|new| new != pid))?;
    watcher.wait_past(watcher.last().unwrap_or_default() + 25)?;
    order_of(&watcher.seen())?;

    let status = stages.script("status.sh", &[])?;
    ensure!(["puller", "worker-1", "pusher"].iter().all(|name| status.contains(name)), "{status}");
    stages.script("down.sh", &[])?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    let gone =
        |pid: Option<i32>| pid.is_none_or(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    wait_until("the end of the puller", || gone(puller))
}
