//! The pusher's place in its ring: waiting until there is one, and standing by while another pusher
//! has it.

use std::time::Duration;

use framelane_ring::{OrderedConsumer, Ring, RingError, ShmError};
use framelane_stage::{Failure, Shutdown};

use crate::args::Arguments;

/// How often one that stands by looks whether the place is free.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The place, and what was there before.
pub(crate) struct Joined {
    pub(crate) frames: OrderedConsumer,
    /// Whether an earlier pusher was here.
    pub(crate) goes_on: bool,
}

/// Waits for the ring, and becomes the member of the group.
pub(crate) fn join(args: &Arguments, shutdown: &Shutdown) -> Result<Option<Joined>, Failure> {
    let mut told = false;
    loop {
        if !told {
            tracing::info!(ring = args.ring.ring(), "waiting for frames");
        }
        let go_on = || !shutdown.requested();
        let Some(ring) = Ring::wait(&args.ring, go_on)? else { return Ok(None) };
        let goes_on = ring.has_known_group(&args.group);
        match OrderedConsumer::join(ring, &args.group) {
            Err(RingError::Shm(ShmError::NotFound(_))) if go_on() => {}
            Err(RingError::GroupTaken { holder, .. }) if go_on() => {
                // It may just be leaving; or this one stands by to take over.
                if !told {
                    let group = args.group.as_str();
                    tracing::warn!(group, holder, "the group has a member: standing by");
                }
                told = true;
                shutdown.sleep(LOOK_INTERVAL);
            }
            Err(_) if !go_on() => return Ok(None),
            other => {
                let mut frames = other?;
                frames.set_max_wait(Some(args.max_wait));
                frames.set_max_age(args.max_age);
                return Ok(Some(Joined { frames, goes_on }));
            }
        }
    }
}
