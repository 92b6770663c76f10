//! The ring, lossless, with a consumer that waits on its doorbell.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use framelane_ring::{
    Claim, Consumer, GroupName, Policy, ReadGrant, Record, Ring, RingConfig, SegmentName, Source,
    monotonic_ns,
};

use crate::transport::{self, DEPTH, age_ns};

/// Longer than any measurement.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Sender {
    source: Source,
    bytes: usize,
}

impl Sender {
    pub(crate) fn new(name: &str, bytes: usize) -> Result<Self> {
        let config = RingConfig {
            slots: DEPTH,
            payload_capacity: bytes,
            meta_capacity: 0,
            policy: Policy::Block,
        };
        Ok(Self { source: Source::attach(&SegmentName::new(name)?, &config)?, bytes })
    }
}

impl transport::Sender for Sender {
    fn send(&mut self, frame: Option<&[u8]>) -> Result<()> {
        let mut grant = self.source.acquire(PATIENCE)?.context("no slot in a minute")?;
        if let Some(frame) = frame {
            grant.bytes_mut()[..frame.len()].copy_from_slice(frame);
        }
        let received_ns = monotonic_ns();
        grant.commit(Record { received_ns, payload_bytes: self.bytes, ..Record::default() })?;
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // The last one out removes the ring.
        self.source.end();
    }
}

pub(crate) struct Receiver {
    consumer: Consumer,
    /// What the wait found.
    next: Option<ReadGrant>,
}

impl Receiver {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let ring = Ring::open(&SegmentName::new(name)?)?;
        Ok(Self { consumer: Consumer::join(ring, &"bench".parse::<GroupName>()?)?, next: None })
    }
}

impl transport::Receiver for Receiver {
    fn try_receive(&mut self, out: Option<&mut [u8]>) -> Result<Option<u64>> {
        let grant = match self.next.take() {
            Some(grant) => grant,
            None => match self.consumer.claim(Duration::ZERO)? {
                Claim::Frame(grant) => grant,
                Claim::TimedOut => return Ok(None),
                Claim::Ended => bail!("the stream has ended"),
            },
        };
        let age_ns = age_ns(grant.record().received_ns);
        if let Some(out) = out {
            out.copy_from_slice(&grant.bytes()[..out.len()]);
        }
        grant.release()?;
        Ok(Some(age_ns))
    }

    fn wait(&mut self) -> Result<()> {
        if let Claim::Frame(grant) = self.consumer.claim(PATIENCE)? {
            self.next = Some(grant);
        }
        Ok(())
    }
}
