//! How a process becomes a worker: its place in the input ring first, then its output ring, which it
//! makes, joins, or finds to be wanted no more.

use std::sync::atomic::Ordering;
use std::thread;

use framelane_shm::{SegmentName, ShmError};

use super::Relay;
use crate::consumer::Consumer;
use crate::entry::Membership;
use crate::feed::Feed;
use crate::group_name::GroupName;
use crate::groups::NO_OUTPUT_YET;
use crate::life::Taker;
use crate::producer::Producer;
use crate::ring::Ring;
use crate::seat::LOOK_INTERVAL;
use crate::{RingConfig, RingError};

/// How a worker takes part.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// The group that shares the work.
    pub group: GroupName,
    /// Slots of the output ring, if this worker is the one to make it; as many as the input ring
    /// has when `None`.
    pub slots: Option<u32>,
    /// The largest output payload, in bytes. The output's slots are never smaller than the
    /// input's: any frame can be passed on as it is.
    pub payload_capacity: Option<usize>,
}

/// What a wait for both rings led to.
#[derive(Debug)]
pub enum Attached {
    /// The worker takes part.
    Ready(Box<Relay>),
    /// The stream is over already, and others have passed that on.
    TooLate,
    /// The wait was given up.
    Stopped,
}

impl Relay {
    /// Joins the input ring, and makes or joins the output ring with the same policy. `None` when
    /// this worker comes too late: the stream is over, and others have passed that on.
    ///
    /// # Errors
    /// [`RingError::Ended`] when the output ring of an earlier stream still has users,
    /// [`RingError::Draining`] when those of either ring are asked to stop,
    /// [`RingError::PayloadTooLarge`] when its slots are too small, [`RingError::OtherOutput`] when
    /// the group's other workers publish elsewhere, [`RingError::GroupKind`] when readers are in it, [`RingError::HasFeed`] and
    /// [`RingError::SourceTaken`] when the output ring has others who publish to it; otherwise what
    /// joining meets.
    pub fn attach(
        from: Ring,
        to: &SegmentName,
        options: &RelayOptions,
    ) -> Result<Option<Self>, RingError> {
        let group = options.group.to_words();
        let feed = Feed::of(&from, &options.group);
        // What the others have handed the end on to is wanted, as long as it is theirs, and nothing
        // else any more.
        let wanted = |from: &Ring, to: Option<&Ring>| {
            let may_be_ours = |to: &Ring| to.feed().is_none_or(|old| old.is_same(&feed));
            let went_to = from.end_went_to(&group);
            went_to
                .is_none_or(|ring| to.is_some_and(|to| to.instance()[0] == ring && may_be_ours(to)))
        };
        let there = match Ring::open(to) {
            Err(RingError::Shm(ShmError::NotFound(_))) => None,
            other => Some(other?),
        };
        if !wanted(&from, there.as_ref()) {
            // Nobody is left to hand the end on to, whatever a worker that died since still owes.
            from.bits_of(&group).for_each(|group| from.settle_end(group));
            from.reap_and_take_name(Taker::LastOut)?;
            return Ok(None);
        }
        // Before the group is there: frames would wait for it for ever, if it is refused.
        if let Some(there) = there.filter(|there| !there.is_draining() && !from.is_draining()) {
            match there.with_tool(|tool| there.check_feed(tool, &feed)) {
                // Others have to finish. Frames wait meanwhile: the group is made below.
                Ok(()) | Err(RingError::Ended(_)) => {}
                // The output ring may be fed from the input ring's successor by now.
                Err(_) if !from.segment().is_linked()? => {
                    return Err(ShmError::NotFound(from.name().to_owned()).into());
                }
                Err(error) => return Err(error),
            }
        }
        let input = Consumer::join_as(from, &options.group, Membership::Relaying)?;
        Self::attach_output(input, to, options, &feed, wanted).map(Some)
    }

    /// Makes or joins the output ring, if it is `wanted`.
    fn attach_output(
        input: Consumer,
        to: &SegmentName,
        options: &RelayOptions,
        feed: &Feed,
        wanted: impl Fn(&Ring, Option<&Ring>) -> bool,
    ) -> Result<Self, RingError> {
        let from = input.ring();
        if from.is_draining() {
            // What is made now would outlast those who stop.
            return Err(RingError::Draining(from.name().to_owned()));
        }
        let config = RingConfig {
            slots: options.slots.unwrap_or(from.slots()),
            payload_capacity: options
                .payload_capacity
                .map_or(from.payload_capacity(), |bytes| bytes.max(from.payload_capacity())),
            meta_capacity: from.meta_capacity(),
            policy: from.policy(),
        };
        // An output ring that has the end already may still wait for frames that are in the input.
        let is_ours = |to: &Ring| to.feed().is_some_and(|old| old.is_same(feed));
        // The last of the others may have taken it away since. A new one would stay for ever.
        let wanted = |to: Option<&Ring>| wanted(from, to);
        let to = Ring::create_or_open(to, &config, |header| feed.write(header), is_ours, wanted)?;
        let output = Producer::join(to)?;
        if let Err(error) = share_output(&input, &options.group, output.ring()) {
            let made_in_vain = output.ring().reopen()?;
            drop(output);
            made_in_vain.reap_and_take_name(Taker::Maker)?;
            return Err(error);
        }
        let lineage = output.ring().adopt_feed(feed.clone())?;
        let mut relay = Self {
            input,
            output,
            feed: Feed { lineage, ..feed.clone() },
            described: 0,
            still_since: None,
        };
        // What has to wait here is copied before the first frame is handed out.
        relay.copy_descriptor()?;
        Ok(relay)
    }

    /// Attaches as soon as that is possible: it waits for the input ring to be there, and for the
    /// users of an earlier stream's output ring to finish, for as long as `go_on` says so.
    ///
    /// # Errors
    /// As [`Relay::attach`], but for what the wait is for.
    pub fn wait(
        from: &SegmentName,
        to: &SegmentName,
        options: &RelayOptions,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Attached, RingError> {
        let mut told = false;
        tracing::info!(from = from.ring(), "waiting for frames");
        loop {
            let Some(ring) = Ring::wait(from, &mut go_on)? else { return Ok(Attached::Stopped) };
            match Self::attach(ring, to, options) {
                Ok(Some(relay)) => return Ok(Attached::Ready(Box::new(relay))),
                Ok(None) => return Ok(Attached::TooLate),
                Err(RingError::Shm(ShmError::NotFound(_))) => {}
                Err(error @ (RingError::Ended(_) | RingError::Draining(_))) => {
                    if !told {
                        tracing::info!(%error, "waiting for others to finish");
                        told = true;
                    }
                    thread::sleep(LOOK_INTERVAL);
                }
                Err(error) => return Err(error),
            }
            if !go_on() {
                return Ok(Attached::Stopped);
            }
        }
    }
}

/// Notes where this worker publishes to. All members of a group publish to one ring: each frame goes
/// through one of them, so with two rings both would lack frames.
fn share_output(input: &Consumer, group: &GroupName, output: &Ring) -> Result<(), RingError> {
    let (from, bit, id) = (input.ring(), input.group(), input.seat().id());
    let [instance, _] = output.instance();
    from.with_tool(|tool| {
        from.with_tables(tool, || {
            let differs = |id| ![NO_OUTPUT_YET, instance].contains(&from.output_of(id));
            if from.find_living_member(tool, bit, id, differs)?.is_some() {
                return Err(RingError::OtherOutput {
                    ring: from.name().to_owned(),
                    group: group.to_string(),
                    output: output.name().to_owned(),
                });
            }
            from.line(id).output.store(instance, Ordering::Release);
            Ok(())
        })
    })
}
