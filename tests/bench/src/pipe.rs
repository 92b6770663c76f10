//! A pipe of 1 MiB, as between ffmpeg and a script: the kernel copies every byte twice.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use framelane_ring::monotonic_ns;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::Mode;

use crate::transport::{self, age_ns};

const PIPE_BYTES: i32 = 1 << 20;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}.pipe"))
}

pub(crate) struct Sender {
    path: PathBuf,
    pipe: Option<File>,
}

impl Sender {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = path(name);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(Self { path, pipe: None })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl transport::Sender for Sender {
    fn connect(&mut self) -> Result<()> {
        let pipe = OpenOptions::new().write(true).open(&self.path)?;
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES))?;
        self.pipe = Some(pipe);
        Ok(())
    }

    fn send(&mut self, frame: Option<&[u8]>) -> Result<()> {
        let pipe = self.pipe.as_mut().context("not connected")?;
        pipe.write_all(&monotonic_ns().to_ne_bytes())?;
        Ok(pipe.write_all(frame.unwrap_or_default())?)
    }
}

pub(crate) struct Receiver {
    path: PathBuf,
    pipe: Option<File>,
}

impl Receiver {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Ok(Self { path: path(name), pipe: None })
    }
}

impl transport::Receiver for Receiver {
    /// Waits: a pipe has no other way.
    fn try_receive(&mut self, out: Option<&mut [u8]>) -> Result<Option<u64>> {
        if self.pipe.is_none() {
            // Not before: it waits for the sender.
            self.pipe = Some(File::open(&self.path)?);
        }
        let pipe = self.pipe.as_mut().context("opened above")?;
        let mut stamp = [0; 8];
        pipe.read_exact(&mut stamp)?;
        let age_ns = age_ns(u64::from_ne_bytes(stamp));
        if let Some(out) = out {
            pipe.read_exact(out)?;
        }
        Ok(Some(age_ns))
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }
}
