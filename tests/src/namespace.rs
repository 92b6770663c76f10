//! A test's own corner of the machine: a namespace for its segments and a folder for its files.
//! Both are gone when it is dropped.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::stage::StageCommand;

const SHM_FOLDER: &str = "/dev/shm";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test's rings have, and a folder.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    folder: TempDir,
}

impl Namespace {
    /// A fresh namespace with an empty folder.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn new() -> Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e-{}-{number}", process::id());
        let folder = TempDir::with_prefix("framelane-").context("cannot make a folder")?;
        let namespace = Self { name, folder };
        // A killed test of the same process id may have left some.
        namespace.remove_segments();
        Ok(namespace)
    }

    /// What goes into `FRAMELANE_NAMESPACE`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder for this test's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder, as text, for command lines.
    pub fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_string_lossy().into_owned()
    }

    /// The file of a ring's segment.
    pub fn segment(&self, ring: &str) -> PathBuf {
        Path::new(SHM_FOLDER).join(format!("{}.{ring}", self.name))
    }

    /// A command for one of the project's binaries in this namespace.
    pub fn command(&self, program: &str) -> StageCommand {
        StageCommand::new(self, program)
    }

    /// Segments of this namespace that exist, those in the making included.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(SHM_FOLDER) else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(|file| self.owns(file)))
            .collect()
    }

    fn owns(&self, file: &OsStr) -> bool {
        let file = file.to_string_lossy();
        // A segment in the making has a dot in front.
        let file = file.strip_prefix('.').unwrap_or(&file);
        file.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('.'))
    }

    fn remove_segments(&self) {
        for path in self.leftovers() {
            // Somebody else may have been faster, and a drop has nobody to tell.
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.remove_segments();
    }
}
