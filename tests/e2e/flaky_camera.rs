//! A camera that sends a clip over TCP to whoever connects, and then breaks off.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// How many pieces a clip is sent in.
const PARTS: u32 = 60;

/// Serves until the test's process ends.
pub(crate) struct FlakyCamera {
    port: u16,
    connections: Arc<AtomicU32>,
}

impl FlakyCamera {
    /// Starts to serve `clip`, an MPEG transport stream, on a free port, evenly over `duration`.
    pub(crate) fn start(clip: &[u8], duration: Duration) -> Result<Self> {
        Self::start_with(vec![clip.to_vec()], duration)
    }

    /// The same with another clip for each connection; the last one is for all that follow.
    pub(crate) fn start_with(clips: Vec<Vec<u8>>, duration: Duration) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&connections);
        thread::spawn(move || {
            let mut clips = clips.into_iter();
            let mut clip = Vec::new();
            for mut stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                clip = clips.next().unwrap_or(clip);
                // A viewer that leaves early is none of the camera's business.
                let _ = send(&mut stream, &clip, duration);
            }
        });
        Ok(Self { port, connections })
    }

    pub(crate) fn url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

fn send(stream: &mut TcpStream, clip: &[u8], duration: Duration) -> std::io::Result<()> {
    let parts = clip.chunks(clip.len().div_ceil(PARTS as usize).max(1));
    for part in parts {
        stream.write_all(part)?;
        thread::sleep(duration / PARTS);
    }
    Ok(())
}
