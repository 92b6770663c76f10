//! One of the project's binaries as a process: its arguments, its log, its signals, its end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::binaries::{binary, peer};
use crate::namespace::Namespace;
use crate::process::Process;

/// How much of a log a message shows.
const SHOWN_BYTES: usize = 6000;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// How to start a stage; it can be started many times.
#[derive(Clone, Debug)]
pub struct StageCommand {
    program: String,
    built: Option<PathBuf>,
    args: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    working_folder: Option<PathBuf>,
    folder: PathBuf,
}

impl StageCommand {
    pub(crate) fn new(namespace: &Namespace, program: &str) -> Self {
        Self {
            program: program.to_owned(),
            built: None,
            args: Vec::new(),
            environment: vec![("FRAMELANE_NAMESPACE".to_owned(), namespace.name().into())],
            working_folder: None,
            folder: namespace.folder().to_path_buf(),
        }
    }

    /// Starts this program instead, which a test has built.
    #[must_use]
    pub fn built_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.built = Some(path.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it in this folder, not where the test runs.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.working_folder = Some(folder.into());
        self
    }

    /// Starts the binary. Its log goes to a file in the test's folder.
    ///
    /// # Errors
    /// When the binary can't be built, found or started.
    pub fn start(&self) -> Result<Stage> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("{}-{number}.log", self.program));
        let printed = self.folder.join(format!("{}-{number}.out", self.program));
        let program = match &self.built {
            Some(built) => built.clone(),
            None if self.program == "peer" => peer()?,
            None => binary(&self.program)?,
        };
        let mut command = Command::new(program);
        command
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(&printed).context("cannot make a file for stdout")?)
            .stderr(File::create(&log).context("cannot make a log file")?);
        if let Some(folder) = &self.working_folder {
            command.current_dir(folder);
        }
        let process = Process::start(&mut command, &self.program)?;
        Ok(Stage { process, program: self.program.clone(), log, printed })
    }

    /// Starts the binary and waits for its end.
    ///
    /// # Errors
    /// As [`start`](Self::start), and when the watchdog runs out.
    pub fn run(&self) -> Result<Finished> {
        self.start()?.finish()
    }
}

/// What a binary left behind when it ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// Its log.
    pub stderr: String,
}

/// A running stage. Dropping it kills it and prints the end of its log, which the test runner
/// shows only when the test fails.
#[derive(Debug)]
pub struct Stage {
    process: Process,
    program: String,
    log: PathBuf,
    printed: PathBuf,
}

impl Stage {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.try_exit().is_none()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        read(&self.printed)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Kills it with SIGKILL and reaps it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().with_context(|| format!("cannot kill {}", self.program))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        self.process.wait_exit().with_context(|| format!("its log ends: {}", tail(&self.log())))
    }

    /// Waits for its end and checks that it ended well.
    ///
    /// # Errors
    /// When the watchdog runs out, or its exit status is not 0.
    pub fn expect_success(&mut self) -> Result<()> {
        let status = self.wait_exit()?;
        let log = self.log();
        ensure!(status.success(), "{}: {status}; its log ends: {}", self.program, tail(&log));
        Ok(())
    }

    /// Asks it to stop with SIGTERM and checks that it ended well.
    ///
    /// # Errors
    /// As [`expect_success`](Self::expect_success).
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.expect_success()
    }

    /// Waits for its end and returns what it left behind.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn finish(mut self) -> Result<Finished> {
        let code = self.wait_exit()?.code();
        Ok(Finished { code, stdout: read(&self.printed), stderr: self.log() })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // An error here means that it is gone already.
        let _ = self.process.kill();
        eprintln!("--- {} (process {})\n{}", self.program, self.pid(), tail(&self.log()));
    }
}

fn read(path: &PathBuf) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn tail(log: &str) -> &str {
    let start = log.len().saturating_sub(SHOWN_BYTES);
    let start = (start..log.len()).find(|&at| log.is_char_boundary(at)).unwrap_or(log.len());
    log.get(start..).unwrap_or_default()
}
