//! A child process that ends with the value that stands for it.

use std::io::Result as IoResult;
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::wait_for;

/// A running child. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    what: String,
}

impl Process {
    /// Starts `command`; `what` names it in messages.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command, what: impl Into<String>) -> Result<Self> {
        let what = what.into();
        let child = command.spawn().with_context(|| format!("cannot start {what}"))?;
        Ok(Self { child, what })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.what))
    }

    /// Its exit status, if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.what);
        wait_for(&what, || self.try_exit())
    }

    /// Kills it with SIGKILL and reaps it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> IoResult<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to do.
        let _ = self.kill();
    }
}
