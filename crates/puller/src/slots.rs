//! The puller's side of the ring: becoming its source, and waiting for slots. Both end when the
//! puller is asked to stop.

use std::time::Duration;

use framelane_ring::{
    Descriptor, Policy, Ring, RingConfig, RingError, SegmentName, ShmError, Source, WriteGrant,
};
use framelane_stage::Shutdown;

use crate::args::Arguments;
use crate::trouble::Trouble;

/// How long one wait for a slot lasts before the puller looks whether it is asked to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Metadata that may travel with a frame, in bytes.
const META_CAPACITY: usize = 4096;

/// Becomes the source of the ring for frames.
pub(crate) fn open_source(
    args: &Arguments,
    payload: usize,
    shutdown: &Shutdown,
) -> Result<Source, Trouble> {
    let config = RingConfig {
        slots: args.slots,
        payload_capacity: payload,
        meta_capacity: META_CAPACITY,
        policy: args.policy(),
    };
    attach(&args.ring, &config, shutdown)
}

/// Becomes the source of a ring. The ring of an earlier stream has to lose its last users first.
pub(crate) fn attach(
    ring: &SegmentName,
    config: &RingConfig,
    shutdown: &Shutdown,
) -> Result<Source, Trouble> {
    let mut told = false;
    loop {
        match Source::attach(ring, config) {
            Err(RingError::Shm(ShmError::NotFound(_))) => {}
            Err(error @ (RingError::Ended(_) | RingError::Draining(_))) => {
                if !told {
                    tracing::info!(%error, "waiting for others to finish");
                    told = true;
                }
            }
            other => return Ok(other?),
        }
        if shutdown.requested() {
            return Err(Trouble::Stopped);
        }
        shutdown.sleep(PATIENCE);
    }
}

/// Says that what is in the ring has come from elsewhere: after a change of plans, that is rarely
/// what anybody wants.
pub(crate) fn warn_of_another_source(ring: &Ring, own: &Descriptor) -> Result<(), Trouble> {
    let Some(before) = ring.descriptor()?.filter(|before| before.source != own.source) else {
        return Ok(());
    };
    tracing::warn!(
        ring = ring.name(),
        before = before.source,
        "the ring goes on with another source: what the last one left comes out first, and the \
         size stays (to start over, stop all stages and run `framelane gc`)"
    );
    Ok(())
}

/// Takes a slot for the next frame: at once or not at all on a drop-oldest ring, else as soon as
/// there is one.
pub(crate) fn wait_for_slot(
    source: &mut Source,
    shutdown: &Shutdown,
) -> Result<Option<WriteGrant>, Trouble> {
    if source.ring().policy() == Policy::DropOldest {
        return Ok(source.acquire(Duration::ZERO)?);
    }
    while !shutdown.requested() && !source.ring().is_draining() {
        if let Some(grant) = source.acquire(PATIENCE)? {
            return Ok(Some(grant));
        }
    }
    Err(Trouble::Stopped)
}
