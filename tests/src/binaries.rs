//! Where the project's binaries are: in `FRAMELANE_BIN_DIR`, or beside the test's own executable,
//! built first so that a test never runs against an old one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

use crate::tools;

/// What the tests start.
const BINARIES: [&str; 2] = ["--workspace", "--bins"];

static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The path of one of the project's binaries, up to date.
///
/// # Errors
/// When the workspace doesn't build, or has no such binary.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder =
        FOLDER.get_or_init(|| find_or_build(&BINARIES).map_err(|error| format!("{error:#}")));
    let path = folder.as_ref().map_err(|error| anyhow!("{error}"))?.join(name);
    ensure!(path.is_file(), "there is no {}", path.display());
    Ok(path)
}

/// The path of the peer, the victim of the crash tests: the only binary with failpoints.
///
/// # Errors
/// When it doesn't build.
pub fn peer() -> Result<PathBuf> {
    static PEER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let peer = PEER.get_or_init(|| build_peer().map_err(|error| format!("{error:#}")));
    peer.clone().map_err(|error| anyhow!(error))
}

/// The folder with the C library, static and shared, up to date.
///
/// # Errors
/// When it doesn't build.
pub fn library_folder() -> Result<PathBuf> {
    static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || find_or_build(&["--package", "framelane-capi", "--lib"]);
    let folder = LIBRARY.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    folder.clone().map_err(|error| anyhow!(error))
}

fn build_peer() -> Result<PathBuf> {
    let test = env::current_exe().context("cannot find the test's own executable")?;
    let folder = test.ancestors().nth(2).context("the test is not in a target folder")?;
    build(folder, &["--package", "e2e", "--bin", "peer", "--features", "failpoints"])?;
    Ok(folder.join("peer"))
}

/// The folder of what has been built, or is now.
fn find_or_build(what: &[&str]) -> Result<PathBuf> {
    if let Some(folder) = env::var_os("FRAMELANE_BIN_DIR").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    // target/PROFILE/deps/e2e-HASH
    let test = env::current_exe().context("cannot find the test's own executable")?;
    let folder = test.ancestors().nth(2).context("the test is not in a target folder")?;
    build(folder, what)?;
    Ok(folder.to_path_buf())
}

fn build(folder: &Path, what: &[&str]) -> Result<()> {
    let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    let profile = if profile == "debug" { "dev" } else { profile };
    let target = folder.parent().context("the target folder has no parent")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--profile", profile])
        .args(what)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    tools::run(&mut command).context("the workspace does not build")?;
    Ok(())
}
