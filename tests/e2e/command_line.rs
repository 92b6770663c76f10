//! Rule: the programs behave on a command line as others do.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use e2e::binaries::binary;
use e2e::{Namespace, Process};

#[test]
fn the_tool_ends_quietly_when_nobody_reads_its_output() -> Result<()> {
    let namespace = Namespace::new()?;
    let mut command = Command::new(binary("framelane")?);
    command.arg("doctor").env("FRAMELANE_NAMESPACE", namespace.name());
    let log = namespace.path("doctor.log");
    let (reader, writer) = io::pipe()?;
    drop(reader);
    command.stdout(writer).stderr(File::create(&log)?);
    let mut doctor = Process::start(&mut command, "framelane")?;
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

/// A file in the making may be somebody's for a minute; then its maker has died.
#[test]
fn gc_says_what_it_leaves_for_a_minute() -> Result<()> {
    let namespace = Namespace::new()?;
    let half_made = Path::new("/dev/shm").join(format!(".{}.{:016x}", namespace.name(), 1));
    let file = File::create(&half_made)?;
    let finished = namespace.command("framelane").args(["gc"]).run()?;
    ensure!(finished.stdout.starts_with("kept /dev/shm/."), "{finished:?}");
    ensure!(half_made.exists(), "it was removed");
    file.set_modified(SystemTime::now() - Duration::from_secs(61))?;
    let finished = namespace.command("framelane").args(["gc"]).run()?;
    ensure!(finished.stdout.starts_with("removed /dev/shm/."), "{finished:?}");
    ensure!(!half_made.exists(), "it is still there");
    Ok(())
}

/// A program takes the place of an operation: with both, one would be ignored.
#[test]
fn a_worker_is_told_that_it_can_not_do_both() -> Result<()> {
    let namespace = Namespace::new()?;
    let rings = ["--from", "cam.in", "--to", "cam.out"];
    let both = ["--op", "invert", "--exec", "--", "cat"];
    let finished = namespace.command("worker").args(rings).args(both).run()?;
    ensure!(finished.code == Some(2) && finished.stderr.contains("--exec"), "{finished:?}");
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
