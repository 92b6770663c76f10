//! What all ways to hand over messages have in common: one sender, one receiver, each in a process
//! of its own. A message carries the moment at which it was sent, and can carry a whole frame.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use framelane_ring::monotonic_ns;

use crate::{framelane, iceoryx, mqueue, pipe, socket};

/// How many messages can be under way.
pub(crate) const DEPTH: u32 = 8;

/// The sending end.
pub(crate) trait Sender {
    /// Called once, when the receiver is there.
    fn connect(&mut self) -> Result<()> {
        Ok(())
    }

    /// Sends a message with the moment that it is sent at, and the pixels of `frame`, if any. Waits
    /// while too many are under way.
    fn send(&mut self, frame: Option<&[u8]>) -> Result<()>;
}

/// The receiving end.
pub(crate) trait Receiver {
    /// How long the next message took until it was in hand, in nanoseconds, if there is one. The
    /// pixels are copied to `out`, if asked for.
    fn try_receive(&mut self, out: Option<&mut [u8]>) -> Result<Option<u64>>;

    /// Sleeps until there may be a message.
    fn wait(&mut self) -> Result<()>;
}

/// How long ago a message was sent, by the stamp that it carries.
pub(crate) fn age_ns(sent_ns: u64) -> u64 {
    monotonic_ns().saturating_sub(sent_ns)
}

/// A way to hand over messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Framelane,
    Iceoryx2,
    MessageQueue,
    UnixSocket,
    Pipe,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Framelane => "Framelane",
            Self::Iceoryx2 => "iceoryx2",
            Self::MessageQueue => "POSIX message queue",
            Self::UnixSocket => "Unix socket",
            Self::Pipe => "pipe",
        }
    }

    pub(crate) fn sender(self, name: &str, bytes: usize) -> Result<Box<dyn Sender>> {
        Ok(match self {
            Self::Framelane => Box::new(framelane::Sender::new(name, bytes)?),
            Self::Iceoryx2 => Box::new(iceoryx::Sender::new(name, bytes)?),
            Self::MessageQueue => Box::new(mqueue::Sender::new(name)?),
            Self::UnixSocket => Box::new(socket::Sender::new(name)?),
            Self::Pipe => Box::new(pipe::Sender::new(name)?),
        })
    }

    pub(crate) fn receiver(self, name: &str, bytes: usize) -> Result<Box<dyn Receiver>> {
        Ok(match self {
            Self::Framelane => Box::new(framelane::Receiver::new(name)?),
            Self::Iceoryx2 => Box::new(iceoryx::Receiver::new(name, bytes)?),
            Self::MessageQueue => Box::new(mqueue::Receiver::new(name)?),
            Self::UnixSocket => Box::new(socket::Receiver::new(name)?),
            Self::Pipe => Box::new(pipe::Receiver::new(name)?),
        })
    }

    /// Starts a receiving process, and waits until it is ready. What it prints is its result.
    pub(crate) fn spawn_receiver(self, name: &str, bytes: usize, args: &[&str]) -> Result<Peer> {
        let value = self.to_possible_value().context("every kind has a name")?;
        let bytes = bytes.to_string();
        let words = [&["receive", value.get_name(), name, &bytes], args].concat();
        Peer::spawn(&words)
    }
}

/// Another process of this program.
pub(crate) struct Peer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it, and waits for its first line, which says that it is ready.
    pub(crate) fn spawn(args: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start another process")?;
        let stdout = child.stdout.take().context("stdout was asked for")?;
        let mut peer = Self { child, lines: BufReader::new(stdout) };
        let first = peer.line()?;
        ensure!(first == "ready", "it says '{first}'");
        Ok(peer)
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Its last line, once it has ended well.
    pub(crate) fn finish(mut self) -> Result<String> {
        let line = self.line()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the other process failed: {status}");
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended, but for a measurement that failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
