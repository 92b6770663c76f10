//! A Unix datagram socket. It carries stamps only.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use anyhow::Result;
use framelane_ring::monotonic_ns;

use crate::transport::{self, age_ns};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}.socket"))
}

pub(crate) struct Sender {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Sender {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Ok(Self { socket: UnixDatagram::unbound()?, path: path(name) })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl transport::Sender for Sender {
    fn connect(&mut self) -> Result<()> {
        Ok(self.socket.connect(&self.path)?)
    }

    fn send(&mut self, _frame: Option<&[u8]>) -> Result<()> {
        self.socket.send(&monotonic_ns().to_ne_bytes())?;
        Ok(())
    }
}

pub(crate) struct Receiver {
    socket: UnixDatagram,
    next: Option<u64>,
}

impl Receiver {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Ok(Self { socket: UnixDatagram::bind(path(name))?, next: None })
    }
}

impl transport::Receiver for Receiver {
    fn try_receive(&mut self, _out: Option<&mut [u8]>) -> Result<Option<u64>> {
        Ok(self.next.take().map(age_ns))
    }

    fn wait(&mut self) -> Result<()> {
        let mut bytes = [0; 8];
        self.socket.recv(&mut bytes)?;
        self.next = Some(u64::from_ne_bytes(bytes));
        Ok(())
    }
}
