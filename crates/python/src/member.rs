//! The ways to take frames from a ring and pass nothing on: shared with others, in order, or only
//! the newest one.

use std::ops::Deref;
use std::thread;
use std::time::Duration;

use framelane_ring::{
    Claim, Consumer, DropReason, GroupName, Observer, OrderedConsumer, OrderedFrame, ReadGrant,
    Ring, RingError, SegmentName, Seq, ShmError, Turn,
};

/// How often a frame that is newer than the last one is looked for: nobody rings for an observer.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// How long an ordered member of a live ring waits for a frame when a later one is there, as the
/// pusher does.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// How a place in the ring is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Frames as they come, shared by the members of a group.
    Shared,
    /// Every frame, in order, by the one member of a group.
    Ordered,
    /// The newest frame, without taking it from anybody.
    Newest,
}

/// A place in a ring.
pub(crate) enum Member {
    Shared(Box<Consumer>),
    Ordered(Box<OrderedConsumer>),
    Newest(Observer, Option<Seq>),
}

/// A frame in hand.
pub(crate) enum Taken {
    Shared(ReadGrant),
    Ordered(OrderedFrame),
}

/// What a wait for a frame led to.
pub(crate) enum Found {
    Frame(Taken),
    Ended,
    TimedOut,
}

impl Member {
    /// Takes a place as soon as the ring is there; `None` when `go_on` says to wait no longer.
    pub(crate) fn wait(
        name: &SegmentName,
        group: &GroupName,
        take: Take,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<Self>, RingError> {
        while let Some(ring) = Ring::wait(name, &mut go_on)? {
            let joined = match take {
                Take::Shared => {
                    Consumer::join(ring, group).map(|consumer| Self::Shared(Box::new(consumer)))
                }
                Take::Ordered => OrderedConsumer::join(ring, group).map(|mut consumer| {
                    consumer.set_max_wait(Some(MAX_WAIT));
                    Self::Ordered(Box::new(consumer))
                }),
                Take::Newest => Observer::join(ring).map(|observer| Self::Newest(observer, None)),
            };
            match joined {
                // It has just lost its name: another one may come.
                Err(RingError::Shm(ShmError::NotFound(_))) => {}
                other => return other.map(Some),
            }
        }
        Ok(None)
    }

    pub(crate) fn ring(&self) -> &Ring {
        match self {
            Self::Shared(consumer) => consumer.ring(),
            Self::Ordered(consumer) => consumer.ring(),
            Self::Newest(observer, _) => observer.ring(),
        }
    }

    /// Drops frames that are older than this. The newest frame is never too old.
    pub(crate) fn set_max_age(&mut self, max_age: Option<Duration>) {
        match self {
            Self::Shared(consumer) => consumer.set_max_age(max_age),
            Self::Ordered(consumer) => consumer.set_max_age(max_age),
            Self::Newest(..) => {}
        }
    }

    /// Takes a frame, waiting at most `patience`, or a moment.
    pub(crate) fn claim(&mut self, patience: Duration) -> Result<Found, RingError> {
        match self {
            Self::Shared(consumer) => Ok(match consumer.claim(patience)? {
                Claim::Frame(grant) => Found::Frame(Taken::Shared(grant)),
                Claim::Ended => Found::Ended,
                Claim::TimedOut => Found::TimedOut,
            }),
            Self::Ordered(consumer) => Ok(match consumer.next(patience)? {
                // As in a shared group: one that no reader survives is dropped.
                Turn::Frame(frame) if frame.is_poison() => {
                    frame.drop_as(DropReason::Poison)?;
                    Found::TimedOut
                }
                Turn::Frame(frame) => Found::Frame(Taken::Ordered(frame)),
                Turn::Ended => Found::Ended,
                Turn::TimedOut => Found::TimedOut,
            }),
            Self::Newest(observer, seen) => {
                if let Some(grant) = observer.newest(*seen)? {
                    *seen = Some(grant.seq());
                    return Ok(Found::Frame(Taken::Shared(grant)));
                }
                if observer.ring().is_over() {
                    return Ok(Found::Ended);
                }
                thread::sleep(patience.min(LOOK_INTERVAL));
                Ok(Found::TimedOut)
            }
        }
    }
}

impl Deref for Taken {
    type Target = ReadGrant;

    fn deref(&self) -> &ReadGrant {
        match self {
            Self::Shared(grant) => grant,
            Self::Ordered(frame) => frame,
        }
    }
}

impl Taken {
    /// The frame was dealt with.
    pub(crate) fn release(self) -> Result<(), RingError> {
        match self {
            Self::Shared(grant) => grant.release(),
            Self::Ordered(frame) => frame.done(),
        }
    }

    /// Puts it back for another member of the group.
    pub(crate) fn give_back(self) -> Result<(), RingError> {
        match self {
            Self::Shared(grant) => grant.give_back(),
            // A drop does that.
            Self::Ordered(_) => Ok(()),
        }
    }

    /// Puts it back because it could not be processed.
    pub(crate) fn fail(self) -> Result<(), RingError> {
        match self {
            Self::Shared(grant) => grant.fail(),
            Self::Ordered(frame) => frame.fail(),
        }
    }
}
