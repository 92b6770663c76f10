//! Rule: the programs behave on a command line as others do.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use e2e::binaries::binary;
use e2e::{Namespace, Process};

#[test]
fn the_tool_ends_quietly_when_nobody_reads_its_output() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut command = Command::new(binary("framelane")?);
    command.arg("doctor").env("FRAMELANE_NAMESPACE", namespace.name());
    let log = namespace.path("doctor.log");
    command.stdout(Stdio::piped()).stderr(File::create(&log)?);
    let mut doctor = Process::start(&mut command, "framelane")?;
    drop(doctor.child().stdout.take());
    let status = doctor.wait_exit()?;
    ensure!(status.code() == Some(128 + 13), "{status}");
    let said = fs::read_to_string(&log)?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn gc_says_when_there_is_no_such_ring() -> Result<()> {
    let namespace = Namespace::new()?;
    let finished = namespace.command("framelane").args(["gc", "nosuch"]).run()?;
    ensure!(finished.stdout == "there is no ring nosuch\n", "{finished:?}");
    Ok(())
}

/// What is set to nothing is not set: files of variables leave them so.
#[test]
fn flags_in_the_environment_may_be_1_or_true_or_nothing() -> Result<()> {
    let namespace = Namespace::new()?;
    for (value, status) in [("1", 3), ("true", 3), ("yes", 3), ("0", 3), ("", 3), ("perhaps", 2)] {
        let puller = ["--input", "/nonexistent.mkv", "--ring", "cam.in"];
        let puller = namespace.command("puller").args(puller).env("FRAMELANE_REALTIME", value);
        let finished = puller.run()?;
        ensure!(finished.code == Some(status), "{value}: {finished:?}");
    }
    Ok(())
}
