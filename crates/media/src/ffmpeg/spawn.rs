//! Starts a child that dies with the thread that started it: the one place of this crate where
//! code runs between `fork` and `exec`. Called by `child.rs` only.

#![expect(unsafe_code, reason = "std has no safe way to run code between fork and exec")]
// UNSAFETY: `CommandExt::pre_exec` is unsafe because only async-signal-safe calls are allowed
// there. The closure makes three kinds of raw system calls and neither allocates nor locks.

use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Spawns `command` in a process group of its own. The kernel kills the child when the calling
/// thread ends, unless it `finishes` by itself then. The child keeps `inherited` under the same
/// numbers; here they are closed.
pub(super) fn spawn(
    mut command: Command,
    finishes: bool,
    inherited: Vec<PipeWriter>,
) -> io::Result<Child> {
    let death_signal = if finishes { None } else { Some(Signal::KILL) };
    let parent = getpid();
    let prepare = move || -> io::Result<()> {
        set_parent_process_death_signal(death_signal)?;
        // The parent may have died before the line above: then the signal will never come.
        if getppid() != Some(parent) {
            return Err(Errno::SRCH.into());
        }
        for pipe in &inherited {
            fcntl_setfd(pipe, FdFlags::empty())?;
        }
        Ok(())
    };
    command.process_group(0);
    // SAFETY: the closure calls prctl, getppid and fcntl, which are async-signal-safe, builds
    // errors from error numbers, which does not allocate, and drops nothing.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}
