//! Rule: sound and pictures stay as far apart as they were in the source, within one frame
//! interval, whatever happens to the stages. `scripts/sync_report.sh` runs them and measures.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::Namespace;
use e2e::binaries::binary;
use e2e::process::Process;
use e2e::tools::{run, run_ffmpeg};
use nix::sys::signal::Signal;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

/// Runs one case of the report, and looks at the line that it prints.
fn stays_together(case: &str) -> Result<()> {
    let namespace = Namespace::new()?;
    let binaries = binary("puller")?.parent().context("a binary has a folder")?.to_path_buf();
    let (table, log) = (namespace.path("table"), namespace.path("log"));
    let mut command = Command::new(script("sync_report.sh"));
    command
        .envs([("CASES", case), ("DURATION", "6")])
        .env("SYNC_FOLDER", namespace.path("sync"))
        .env("FRAMELANE_BIN_DIR", binaries)
        .stdin(Stdio::null())
        .stdout(File::create(&table)?)
        .stderr(File::create(&log)?);
    let mut report = Process::start(&mut command, "the sync report")?;
    let ended = report.wait_exit();
    if ended.is_err() {
        // It ends what it started.
        report.signal(Signal::SIGTERM)?;
        report.wait_exit()?;
    }
    let (table, log) = (fs::read_to_string(table)?, fs::read_to_string(log)?);
    ensure!(ended?.success() && table.contains("  ok\n"), "{table}{log}");
    Ok(())
}

#[test]
fn with_three_workers_of_300_ms() -> Result<()> {
    stays_together("slow")
}

#[test]
fn with_workers_killed() -> Result<()> {
    stays_together("killed")
}

#[test]
fn with_the_puller_restarted() -> Result<()> {
    stays_together("restarted")
}

/// The measure itself: sound that was moved by a frame and a half is found out, by how much too.
#[test]
fn moved_sound_is_found_out() -> Result<()> {
    let namespace = Namespace::new()?;
    let (source, output) = (namespace.path("moved.in.flv"), namespace.path("moved.out.flv"));
    run(Command::new(script("lib/sync_clip.py")).args(["6", &source]))?;
    for (shift, well) in [("0", true), ("0.03", true), ("0.06", false), ("-0.06", false)] {
        run_ffmpeg(&[
            "-i",
            &source,
            "-itsoffset",
            shift,
            "-i",
            &source,
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c",
            "copy",
            &output,
        ])?;
        let measured = Command::new(script("lib/sync_measure.py"))
            .args([&namespace.path(""), "moved"])
            .output()?;
        let table = String::from_utf8_lossy(&measured.stdout);
        ensure!(measured.status.success() == well, "moved by {shift} s: {table}");
        ensure!(table.contains("OUT OF SYNC") != well, "moved by {shift} s: {table}");
    }
    Ok(())
}
