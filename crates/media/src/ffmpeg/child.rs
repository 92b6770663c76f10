//! Child processes that are owed an orderly life: started in a group of their own, never blocked
//! on stderr, stopped in time, and always reaped.
//!
//! The puller, the pusher and the probe run ffmpeg through this. Whatever happens to the stage,
//! no child stays behind: it is killed when a [`Child`] is dropped, and by the kernel when the
//! thread that spawned it ends, unless it is one that finishes by itself then. That last rule has a
//! price: **spawn from a thread that lives as long as the child is needed**, best the main thread.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::channel::{Channel, OutputPipe};
use super::failure::ChildFailure;
use super::spawn::spawn;
use super::stderr::{Drain, Hook, Level, Line};
use crate::Secrets;

/// How often an exit is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long to wait for the last lines of stderr once the child has ended.
const STDERR_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// There is no such program.
    #[error("{} was not found", program.display())]
    NotFound {
        /// What was to be run.
        program: PathBuf,
    },
    /// The system refused.
    #[error("{} could not be started", program.display())]
    Spawn {
        /// What was to be run.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What to run, and how.
pub struct ChildCommand {
    program: PathBuf,
    args: Vec<OsString>,
    variables: Vec<(String, String)>,
    stdin: Channel,
    stdout: Channel,
    pipe: Option<OutputPipe>,
    finishes: bool,
    secrets: Secrets,
    hook: Option<Hook>,
    logged: Level,
}

impl std::fmt::Debug for ChildCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildCommand").field("command_line", &self.command_line()).finish()
    }
}

impl ChildCommand {
    /// Runs `program` with stdin and stdout at /dev/null until told otherwise.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            variables: Vec::new(),
            stdin: Channel::Null,
            stdout: Channel::Null,
            pipe: None,
            finishes: false,
            secrets: Secrets::default(),
            hook: None,
            logged: Level::Warning,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds variables to the child's environment.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(variables);
        self
    }

    /// Gives the child a pipe as stdin.
    #[must_use]
    pub fn pipe_stdin(mut self) -> Self {
        self.stdin = Channel::Pipe;
        self
    }

    /// Gives the child a pipe as stdout.
    #[must_use]
    pub fn pipe_stdout(mut self) -> Self {
        self.stdout = Channel::Pipe;
        self
    }

    /// Gives the child a socket as stdin: what frames go through to ffmpeg.
    #[must_use]
    pub fn socket_stdin(mut self) -> Self {
        self.stdin = Channel::Socket;
        self
    }

    /// Gives the child a socket as stdout: what frames come through from ffmpeg.
    #[must_use]
    pub fn socket_stdout(mut self) -> Self {
        self.stdout = Channel::Socket;
        self
    }

    /// Lets the child write to one more pipe.
    #[must_use]
    pub fn output_pipe(mut self, pipe: OutputPipe) -> Self {
        self.pipe = Some(pipe);
        self
    }

    /// Lets the child finish by itself when the stage dies: its stdin ends then. Without this it is
    /// killed, and what it writes may be of no use.
    #[must_use]
    pub fn finishes_when_orphaned(mut self) -> Self {
        self.finishes = true;
        self
    }

    /// Hides these secrets in the child's lines, its command line, and its failure.
    #[must_use]
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Shows each line of stderr, redacted, to `hook`, on the thread that reads stderr. The child
    /// blocks while the hook does.
    #[must_use]
    pub fn on_line(mut self, hook: impl FnMut(&Line) + Send + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Logs every line of stderr, and not warnings alone: for a program that is not ffmpeg.
    #[must_use]
    pub fn log_all(mut self) -> Self {
        self.logged = Level::Debug;
        self
    }

    /// The command line, redacted, quoted for a shell.
    pub fn command_line(&self) -> String {
        command_line(&self.program, &self.args, &self.secrets)
    }

    /// Starts the child. It has to end when the calling thread does: see the module's text.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn spawn(self) -> Result<Child, ChildError> {
        let command_line = self.command_line();
        let Self { program, args, variables, stdin, stdout, pipe, finishes, secrets, hook, logged } =
            self;
        let failed = |source: io::Error| {
            let program = program.clone();
            match source.kind() {
                io::ErrorKind::NotFound => ChildError::NotFound { program },
                _ => ChildError::Spawn { program, source },
            }
        };
        let (child_stdin, stdin) = stdin.into_stdin().map_err(failed)?;
        let (child_stdout, stdout) = stdout.into_stdout().map_err(failed)?;
        let mut command = Command::new(&program);
        command.args(args).envs(variables);
        command.stdin(child_stdin).stdout(child_stdout).stderr(Stdio::piped());
        let (reader, writer) = pipe.map(|pipe| (pipe.reader, pipe.writer)).unzip();
        tracing::debug!(command = %command_line, "starting");
        let inherited = writer.into_iter().collect();
        let mut process = spawn(command, finishes, inherited).map_err(failed)?;
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
        let stderr = process.stderr.take().ok_or_else(|| io::Error::other("stderr is missing"));
        let drain =
            stderr.and_then(|stderr| Drain::start(stderr, name.to_string(), secrets, hook, logged));
        match drain {
            Ok(drain) => Ok(Child {
                process,
                stdin,
                stdout,
                pipe: reader,
                drain,
                name: name.into_owned(),
                command_line,
                status: None,
                left: false,
            }),
            Err(source) => {
                // Nobody would read its stderr.
                let _ = process.kill();
                let _ = process.wait();
                Err(ChildError::Spawn { program, source })
            }
        }
    }
}

/// A running or ended child. Dropping it kills the whole process group and reaps the child.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    stdin: Option<File>,
    stdout: Option<File>,
    pipe: Option<PipeReader>,
    drain: Drain,
    name: String,
    command_line: String,
    status: Option<ExitStatus>,
    /// Whether it goes on when this is dropped.
    left: bool,
}

impl Child {
    /// Leaves the child alone, also when this is dropped: it ends by itself, after this process if
    /// need be.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// The process id, also the id of its group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The child's stdin; only once, and only if it was asked for.
    pub fn take_stdin(&mut self) -> Option<File> {
        self.stdin.take()
    }

    /// The child's stdout; only once, and only if it was asked for.
    pub fn take_stdout(&mut self) -> Option<File> {
        self.stdout.take()
    }

    /// The reading end of the pipe of [`ChildCommand::output_pipe`]; only once.
    pub fn take_pipe(&mut self) -> Option<PipeReader> {
        self.pipe.take()
    }

    /// The last lines of stderr so far, redacted.
    pub fn tail(&self) -> Vec<Line> {
        self.drain.tail()
    }

    /// The exit status if the child has ended. The rest of its group is killed then.
    ///
    /// # Errors
    /// When somebody else has reaped the child.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.wait_with(WaitIdOptions::NOHANG)
    }

    /// Waits for the end of the child, at most `timeout`. `None` means that it still runs.
    ///
    /// # Errors
    /// When somebody else has reaped the child.
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(left.min(LOOK_INTERVAL));
        }
    }

    /// Ends the child: closes its stdin if that was not taken, sends one TERM (a second one would
    /// make ffmpeg leave its output unfinished), waits for at most `deadline`, then kills the
    /// group. Returns once the child is reaped.
    ///
    /// # Errors
    /// When somebody else has reaped the child.
    pub fn stop(&mut self, deadline: Duration) -> io::Result<ExitStatus> {
        self.stdin = None;
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::TERM);
        if let Some(status) = self.wait_timeout(deadline)? {
            return Ok(status);
        }
        tracing::debug!(program = %self.name, "killed, since it did not end in time");
        self.kill()
    }

    /// Kills the group at once and reaps the child.
    ///
    /// # Errors
    /// When somebody else has reaped the child.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if self.status.is_none() {
            self.signal(Signal::KILL);
        }
        self.wait_with(WaitIdOptions::empty())?
            .ok_or_else(|| io::Error::other("a killed child did not end"))
    }

    /// What there is to say about the end of the child: command line, exit status, and the last
    /// lines of stderr, all redacted. Kills the child if it still runs.
    pub fn failure(&mut self) -> ChildFailure {
        let status = self.kill().ok();
        self.drain.finish(STDERR_TIMEOUT);
        ChildFailure::new(self.name.clone(), self.command_line.clone(), status, self.drain.tail())
    }

    /// Waits with waitid, which can leave the child unreaped: until it is, neither its id nor its
    /// group's can belong to anybody else, so what is left of the group can be killed safely.
    fn wait_with(&mut self, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let ended = loop {
                match waitid(WaitId::Pid(self.pid()?), options) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            };
            if ended.is_none() {
                return Ok(None);
            }
            self.signal(Signal::KILL);
            self.status = Some(self.process.wait()?);
        }
        Ok(self.status)
    }

    /// Signals the group. It may be gone already, which is what all signals here want.
    fn signal(&self, signal: Signal) {
        if let Ok(pid) = self.pid() {
            let _ = kill_process_group(pid, signal);
        }
    }

    fn pid(&self) -> io::Result<Pid> {
        let raw = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        raw.ok_or_else(|| io::Error::other("a process id is out of range"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.left {
            let _ = self.kill();
        }
    }
}

/// Options whose value is a secret, by the end of their name.
const SECRET_OPTIONS: [&str; 7] =
    ["key", "passphrase", "password", "token", "secret", "headers", "cookies"];

fn command_line(program: &Path, args: &[OsString], secrets: &Secrets) -> String {
    let mut out = program.display().to_string();
    let mut hide = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        let shown = if hide { "***".into() } else { secrets.redact(&arg) };
        hide = arg.starts_with('-') && SECRET_OPTIONS.iter().any(|end| arg.ends_with(end));
        let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%*".contains(c);
        out.push(' ');
        if !shown.is_empty() && shown.chars().all(plain) {
            out.push_str(&shown);
        } else {
            out.push_str(&format!("'{}'", shown.replace('\'', r"'\''")));
        }
    }
    out
}
