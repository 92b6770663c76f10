//! Rule: the example in Rust can be copied out of the tree: it builds there, and is a worker like
//! any other.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Chain, Namespace, clips, frame_hashes, tools};

const EXAMPLE: &str = "../crates/worker/examples/negative.rs";
const WORKER: &str = "../crates/worker";

/// Builds the example as a user would, in a folder of its own.
fn build_elsewhere(namespace: &Namespace) -> Result<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = namespace.folder().join("my-worker");
    fs::create_dir_all(folder.join("src"))?;
    fs::copy(home.join(EXAMPLE), folder.join("src/main.rs"))?;
    fs::copy(home.join("../Cargo.lock"), folder.join("Cargo.lock"))?;
    let worker = fs::canonicalize(home.join(WORKER))?;
    // The profiles are those of the workspace, so that what is built already is not built again.
    let manifest = format!(
        "[package]\nname = \"my-worker\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nframelane-worker = {{ path = {worker:?} }}\nsignal-hook = \"0.4\"\n\n\
         [profile.dev]\nopt-level = 1\ndebug = \"line-tables-only\"\n\n\
         [profile.dev.package.\"*\"]\nopt-level = 0\ndebug = false\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let test = env::current_exe()?;
    let target = test.ancestors().nth(3).context("the test is not in a target folder")?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--offline", "--target-dir"])
        .arg(target)
        .current_dir(&folder);
    tools::run(&mut command).context("the example does not build outside of the tree")?;
    Ok(target.join("debug/my-worker"))
}

#[test]
fn the_example_builds_outside_of_the_tree_and_equals_the_built_in_worker() -> Result<()> {
    let namespace = Namespace::new()?;
    let program = build_elsewhere(&namespace)?;
    let clip = namespace.path("clip.mkv");
    clips::constant_rate(&clip, 30)?;
    let mut outputs = Vec::new();
    for own in [true, false] {
        let out = namespace.path(&format!("{own}.nut"));
        let chain = Chain::new(&namespace, &clip, &out).pusher_args(&["--codec", "rawvideo"]);
        let worker = if own {
            chain.worker.clone().built_at(&program)
        } else {
            chain.worker.clone().args(["--op", "invert"])
        };
        Chain { worker, ..chain }.start(2)?.expect_success()?;
        outputs.push(frame_hashes(&out, "rgb24")?);
    }
    ensure!(outputs[0].len() == 30 && outputs[0] == outputs[1]);
    Ok(())
}
