//! Where the project's binaries are: in `FRAMELANE_BIN_DIR`, or beside the test's own executable,
//! built first so that a test never runs against an old one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

use crate::tools;

/// Where something is, or why it does not build; found once in each process.
type Found = OnceLock<Result<PathBuf, String>>;

/// The path of one of the project's binaries, up to date.
///
/// # Errors
/// When the workspace doesn't build, or has no such binary.
pub fn binary(name: &str) -> Result<PathBuf> {
    static FOUND: Found = Found::new();
    existing(folder(&FOUND, &["--workspace", "--bins"])?.join(name))
}

/// The path of the peer, the victim of the crash tests: the only binary with failpoints.
///
/// # Errors
/// When it doesn't build.
pub fn peer() -> Result<PathBuf> {
    static FOUND: Found = Found::new();
    let what = ["--workspace", "--bin", "peer", "--features", "e2e/failpoints"];
    existing(folder(&FOUND, &what)?.join("peer"))
}

/// The folder with the C library, static and shared, up to date.
///
/// # Errors
/// When it doesn't build.
pub fn library_folder() -> Result<PathBuf> {
    static FOUND: Found = Found::new();
    folder(&FOUND, &["--package", "framelane-capi", "--lib"])
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    ensure!(path.is_file(), "there is no {}", path.display());
    Ok(path)
}

fn folder(found: &Found, what: &[&str]) -> Result<PathBuf> {
    let found = found.get_or_init(|| find_or_build(what).map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
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
