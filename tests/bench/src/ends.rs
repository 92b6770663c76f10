//! Both ends of a chain whose middle is measured: a source whose frames cost nothing to make, and a
//! sink that looks at none.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use framelane_frame::{Geometry, PixelFormat};
use framelane_ring::{
    Policy, Reader, ReaderOptions, Reading, Record, RingConfig, SegmentName, Source, Take,
};

use crate::transport::DEPTH;

/// Longer than any measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes frames of 1080p to the ring `from`, and takes them off the ring `to`.
pub(crate) fn run(from: &str, to: &str, frames: u32) -> Result<()> {
    let geometry = Geometry::new(1920, 1080, PixelFormat::Rgb24)?;
    let config = RingConfig {
        slots: DEPTH,
        payload_capacity: geometry.payload_bytes(),
        meta_capacity: 0,
        policy: Policy::Block,
    };
    let mut source = Source::attach(&SegmentName::new(from)?, &config)?;
    let feeder = thread::spawn(move || -> Result<()> {
        for number in 0..frames {
            let grant = source.acquire(PATIENCE)?.context("no slot in time")?;
            let pts = Duration::from_millis(40) * number;
            grant.commit(Record::of_picture(geometry, i64::try_from(pts.as_nanos())?))?;
        }
        source.end();
        Ok(())
    });
    drain(to)?;
    feeder.join().map_err(|_| anyhow::anyhow!("the source panicked"))?
}

fn drain(ring: &str) -> Result<()> {
    let options = ReaderOptions { take: Take::Shared, group: "sink".parse()?, max_age: None };
    let start = Instant::now();
    let patient = || start.elapsed() < PATIENCE;
    let joined = Reader::wait(&SegmentName::new(ring)?, &options, patient)?;
    let mut reader = joined.context("nobody made the ring in time")?;
    loop {
        match reader.claim(PATIENCE)? {
            Reading::Frame(frame) => frame.release()?,
            Reading::Ended => return Ok(()),
            Reading::TimedOut => bail!("no frame in time"),
        }
    }
}
