//! Rule: `framelane doctor` says what a machine lacks, and which server answers.

use anyhow::{Result, ensure};
use e2e::{Finished, Namespace, RtmpServer, ServerKind};

const UNHEALTHY: Option<i32> = Some(9);

fn doctor(namespace: &Namespace, args: &[&str]) -> Result<Finished> {
    namespace.command("framelane").args(["doctor"]).args(args).run()
}

#[test]
fn it_finds_nothing_wrong_with_a_machine_that_runs_these_tests_and_names_the_server() -> Result<()>
{
    let (namespace, server) = (Namespace::new()?, RtmpServer::start()?);
    let said = doctor(&namespace, &["--size", "640x360", "--url", &server.url("x")])?;
    ensure!(said.code == Some(0), "{said:?}");
    let name = match server.kind() {
        ServerKind::Srs | ServerKind::ExternalSrs => "SRS",
        ServerKind::Nginx => "nginx",
    };
    let line = said.stdout.lines().find(|line| line.contains("server")).unwrap_or_default();
    ensure!(line.starts_with("ok") && line.contains(name), "{said:?}");
    Ok(())
}

#[test]
fn what_is_missing_is_marked() -> Result<()> {
    let namespace = Namespace::new()?;
    let huge = ["--slots", "1024", "--size", "16384x16384"];
    for (args, wanted) in [
        (&["--ffmpeg", "no-such-ffmpeg"][..], "BAD  ffmpeg"),
        (&huge, "BAD  shared memory"),
        (&["--url", "rtmp://me:hidden@127.0.0.1:1/live"], "BAD  server"),
        (&["--url", "http://me:hidden@127.0.0.1/live"], "BAD  server"),
    ] {
        let said = doctor(&namespace, args)?;
        ensure!(said.code == UNHEALTHY, "{args:?}: {said:?}");
        ensure!(said.stdout.contains(wanted) && !said.stdout.contains("hidden"), "{said:?}");
    }
    Ok(())
}
