//! The three stages as one chain: input → puller → `cam.in` → workers → `cam.out` → pusher →
//! output.

use anyhow::Result;

use crate::namespace::Namespace;
use crate::stage::{Stage, StageCommand};

/// The ring that the puller writes.
pub const RING_IN: &str = "cam.in";
/// The ring that the workers write.
pub const RING_OUT: &str = "cam.out";

/// How to start each stage.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The puller.
    pub puller: StageCommand,
    /// One worker.
    pub worker: StageCommand,
    /// The pusher.
    pub pusher: StageCommand,
}

/// The running stages.
#[derive(Debug)]
pub struct Running {
    /// The puller.
    pub puller: Stage,
    /// The workers.
    pub workers: Vec<Stage>,
    /// The pusher.
    pub pusher: Stage,
}

impl Chain {
    /// A chain from `input` to `output`, with every option left as it is.
    pub fn new(namespace: &Namespace, input: &str, output: &str) -> Self {
        Self {
            puller: namespace.command("puller").args(["--input", input, "--ring", RING_IN]),
            worker: namespace.command("worker").args(["--from", RING_IN, "--to", RING_OUT]),
            pusher: namespace.command("pusher").args(["--ring", RING_OUT, "--output", output]),
        }
    }

    /// Adds options of the puller.
    #[must_use]
    pub fn puller_args(mut self, args: &[&str]) -> Self {
        self.puller = self.puller.args(args);
        self
    }

    /// Adds options of the workers.
    #[must_use]
    pub fn worker_args(mut self, args: &[&str]) -> Self {
        self.worker = self.worker.args(args);
        self
    }

    /// Adds options of the pusher.
    #[must_use]
    pub fn pusher_args(mut self, args: &[&str]) -> Self {
        self.pusher = self.pusher.args(args);
        self
    }

    /// Starts all stages, the consumers first.
    ///
    /// # Errors
    /// When one can't be started.
    pub fn start(&self, workers: usize) -> Result<Running> {
        let pusher = self.pusher.start()?;
        let workers = (0..workers).map(|_| self.worker.start()).collect::<Result<_>>()?;
        Ok(Running { puller: self.puller.start()?, workers, pusher })
    }
}

impl Running {
    /// Waits until every stage has come to its end, and checks that each ended well.
    ///
    /// # Errors
    /// When one doesn't end, or fails.
    pub fn expect_success(&mut self) -> Result<()> {
        self.puller.expect_success()?;
        for worker in &mut self.workers {
            worker.expect_success()?;
        }
        self.pusher.expect_success()
    }

    /// Stops every stage with SIGTERM, the puller first, and checks that each ended well.
    ///
    /// # Errors
    /// As [`expect_success`](Self::expect_success).
    pub fn stop(&mut self) -> Result<()> {
        self.puller.stop()?;
        for worker in &mut self.workers {
            worker.stop()?;
        }
        self.pusher.stop()
    }
}
