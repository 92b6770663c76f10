//! A real RTMP server: nginx with its RTMP module, or SRS.
//!
//! `SRS_URL` names a server that runs already (its API is expected at port 1985 of the same host);
//! else `FRAMELANE_TEST_SERVER` chooses `nginx` (the default) or `srs`, which is looked for under
//! `SRS_HOME` and on the path, and each test starts one of its own on free loopback ports.

mod api;
mod config;

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::ports::Port;
use crate::process::Process;
use crate::wait::wait_until;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Which server the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// nginx with libnginx-mod-rtmp.
    Nginx,
    /// SRS, started by the test.
    Srs,
    /// SRS, named by `SRS_URL`.
    ExternalSrs,
}

/// A running server. Dropping it ends it, unless it was there before.
#[derive(Debug)]
pub struct RtmpServer {
    kind: ServerKind,
    address: String,
    api: String,
    /// Keeps the streams of tests apart that share an external server.
    stream_prefix: String,
    own: Option<OwnServer>,
}

#[derive(Debug)]
struct OwnServer {
    process: Process,
    folder: TempDir,
    rtmp: Port,
    api: Port,
}

impl RtmpServer {
    /// Starts the server that the environment asks for, and prints which one it is.
    ///
    /// # Errors
    /// When it is not installed or doesn't come up.
    pub fn start() -> Result<Self> {
        let server = match env::var("SRS_URL").ok().filter(|url| !url.is_empty()) {
            Some(url) => Self::external(&url)?,
            None => Self::own(kind_asked_for()?)?,
        };
        eprintln!("RTMP server: {:?} at {}", server.kind, server.address);
        Ok(server)
    }

    /// Which server it is.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Whether the test started it, and so may kill it.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The URL of a stream.
    pub fn url(&self, stream: &str) -> String {
        format!("{}/{}{stream}", self.address, self.stream_prefix)
    }

    /// Whether somebody publishes a stream, by the server's own word.
    ///
    /// # Errors
    /// When the server's API doesn't answer.
    pub fn is_published(&self, stream: &str) -> Result<bool> {
        let name = format!("{}{stream}", self.stream_prefix);
        match self.kind {
            ServerKind::Nginx => api::nginx_publishes(&self.api, &name),
            ServerKind::Srs | ServerKind::ExternalSrs => api::srs_publishes(&self.api, &name),
        }
    }

    /// Waits until somebody publishes a stream.
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_published(&self, stream: &str) -> Result<()> {
        wait_until(&format!("a publisher of {stream}"), || {
            self.is_published(stream).unwrap_or_default()
        })
    }

    /// Waits until the server has the viewer who is about to wait for a stream. SRS before 7.0.151
    /// may lose a stream that nobody waits for when it is published (ossrs/srs#4656).
    ///
    /// # Errors
    /// When the watchdog runs out.
    pub fn wait_awaited(&self, stream: &str) -> Result<()> {
        let name = format!("{}{stream}", self.stream_prefix);
        wait_until(&format!("a viewer of {stream}"), || match self.kind {
            ServerKind::Nginx => true,
            ServerKind::Srs | ServerKind::ExternalSrs => {
                api::srs_knows(&self.api, &name).unwrap_or_default()
            }
        })
    }

    /// Kills the server with SIGKILL.
    ///
    /// # Errors
    /// When it is not this test's own.
    pub fn kill(&mut self) -> Result<()> {
        self.own_server()?.process.kill().context("cannot kill the server")
    }

    /// Starts the server again, on the same ports, after [`kill`](Self::kill).
    ///
    /// # Errors
    /// When it is not this test's own, or doesn't come up.
    pub fn start_again(&mut self) -> Result<()> {
        let kind = self.kind;
        self.own_server()?.start_again(kind)
    }

    /// Stops the server without ending it: it keeps its connections and answers nobody.
    ///
    /// # Errors
    /// When it is not this test's own.
    pub fn freeze(&mut self) -> Result<()> {
        self.own_server()?.process.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// When it is not this test's own.
    pub fn thaw(&mut self) -> Result<()> {
        self.own_server()?.process.signal(Signal::SIGCONT)
    }

    fn external(url: &str) -> Result<Self> {
        let address = url.trim_end_matches('/');
        let host = api::host_of(address).with_context(|| format!("SRS_URL is no URL: {url}"))?;
        let address = if address.matches('/').count() < 3 {
            format!("{address}/live")
        } else {
            address.to_owned()
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            kind: ServerKind::ExternalSrs,
            address,
            api: format!("{host}:1985"),
            stream_prefix: format!("e2e-{}-{number}-", std::process::id()),
            own: None,
        })
    }

    fn own(kind: ServerKind) -> Result<Self> {
        let own = OwnServer::start(kind)?;
        Ok(Self {
            kind,
            address: format!("rtmp://127.0.0.1:{}/live", own.rtmp.number()),
            api: format!("127.0.0.1:{}", own.api.number()),
            stream_prefix: String::new(),
            own: Some(own),
        })
    }

    fn own_server(&mut self) -> Result<&mut OwnServer> {
        self.own.as_mut().context("the server is not this test's own")
    }
}

impl OwnServer {
    fn start(kind: ServerKind) -> Result<Self> {
        let folder = TempDir::with_prefix("framelane-rtmp-").context("cannot make a folder")?;
        let (rtmp, api) = (Port::reserve()?, Port::reserve()?);
        let text = config::text(kind, rtmp.number(), api.number())?;
        fs::write(folder.path().join(config::FILE), text).context("cannot write its file")?;
        let process = spawn(kind, &folder)?;
        let mut server = Self { process, folder, rtmp, api };
        server.wait_ready()?;
        Ok(server)
    }

    fn start_again(&mut self, kind: ServerKind) -> Result<()> {
        ensure!(self.process.try_exit().is_some(), "the server still runs");
        self.process = spawn(kind, &self.folder)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let ports = [self.rtmp.number(), self.api.number()];
        let mut ended = false;
        wait_until("the RTMP server's ports", || {
            ended = self.process.try_exit().is_some();
            ended
                || ports.iter().all(|&port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
        })?;
        if ended {
            bail!("the RTMP server ended at once: {}", self.log().trim());
        }
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for OwnServer {
    /// Prints the log, which the test runner shows when the test has failed.
    fn drop(&mut self) {
        eprintln!("--- the RTMP server\n{}", self.log());
    }
}

fn spawn(kind: ServerKind, folder: &TempDir) -> Result<Process> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))
        .context("cannot make the server's log")?;
    let mut command = config::command(kind, folder.path())?;
    command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the server's log")?)
        .stderr(log);
    Process::start(&mut command, format!("{kind:?}"))
}

fn kind_asked_for() -> Result<ServerKind> {
    match env::var("FRAMELANE_TEST_SERVER").as_deref() {
        Err(_) | Ok("" | "nginx") => Ok(ServerKind::Nginx),
        Ok("srs") => Ok(ServerKind::Srs),
        Ok(other) => bail!("FRAMELANE_TEST_SERVER is nginx or srs, not '{other}'"),
    }
}
