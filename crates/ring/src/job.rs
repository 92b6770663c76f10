//! Jobs: frames in the hands of a worker. One that is dropped goes to another worker.

use std::thread;
use std::time::Duration;

use crate::Seq;
use crate::grant::ReadGrant;
use crate::record::Record;

/// A frame in the hands of a worker.
#[derive(Debug)]
#[must_use = "a job that is dropped gives its frame back"]
pub struct Job {
    pub(crate) input: Option<ReadGrant>,
}

impl Job {
    fn grant(&self) -> &ReadGrant {
        self.input.as_ref().expect("a job has its frame until it is finished")
    }

    pub(crate) fn take(&mut self) -> ReadGrant {
        self.input.take().expect("a job has its frame until it is finished")
    }

    /// Notes that the worker waits for others.
    pub(crate) fn waits(&self) {
        self.grant().waits();
    }

    /// The frame's seq in the input ring.
    pub fn seq(&self) -> Seq {
        self.grant().seq()
    }

    /// The slot, for [`crate::Ring::payload_view`].
    pub fn slot(&self) -> u32 {
        self.grant().slot()
    }

    /// What travels with the payload.
    pub fn record(&self) -> &Record {
        self.grant().record()
    }

    /// The payload.
    pub fn bytes(&self) -> &[u8] {
        self.grant().bytes()
    }

    /// The metadata that travels with the frame.
    pub fn meta(&self) -> &[u8] {
        self.grant().meta()
    }

    /// How long ago the frame's first byte arrived; `None` when that is unknown.
    pub fn age(&self) -> Option<Duration> {
        self.grant().age()
    }

    /// Whether somebody claimed the frame before and did not finish it.
    pub fn is_redelivered(&self) -> bool {
        self.grant().is_redelivered()
    }

    /// Whether the frame has killed so many workers that it has to be passed on unprocessed.
    pub fn is_poison(&self) -> bool {
        self.grant().is_poison()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(grant) = self.input.take() {
            // A corrupt word is found again by the next call that can return an error.
            let _ = if thread::panicking() { grant.fail() } else { grant.give_back() };
        }
    }
}
