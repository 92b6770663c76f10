//! Free loopback ports that no other test gets as well.
//!
//! A port lies below the kernel's range for outgoing connections, so that none of those can take
//! it, and is held by a lock on a file until the value is dropped: between the look whether it is
//! free and the server's start no other test can choose it.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::process;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that is this test's until dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: Flock<File>,
}

impl Port {
    /// Finds a free port and holds it.
    ///
    /// # Errors
    /// When the folder for the lock files can't be used, or no port is free.
    pub fn reserve() -> Result<Self> {
        let folder = env::temp_dir().join("framelane-test-ports");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Processes start looking at different places: fewer of them meet.
        let start = u16::try_from(process::id() * 7 % u32::from(COUNT))?;
        for step in 0..COUNT {
            let number = FIRST + (start + step) % COUNT;
            let path = folder.join(number.to_string());
            let file = File::create(&path)
                .with_context(|| format!("cannot make {}: remove the folder", path.display()))?;
            let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port between {FIRST} and {}", FIRST + COUNT)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A port that nobody listens on, for what must fail to connect.
///
/// # Errors
/// As [`Port::reserve`].
pub fn closed() -> Result<Port> {
    Port::reserve()
}
