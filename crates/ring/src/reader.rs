//! Readers: they take frames from one ring and pass nothing on. How they take them is an option,
//! so that a binding for another language needs one kind.

use std::ops::Deref;
use std::thread;
use std::time::Duration;

use framelane_shm::{SegmentName, ShmError};

use crate::books::DropReason;
use crate::consumer::{Claim, Consumer};
use crate::grant::ReadGrant;
use crate::group_name::GroupName;
use crate::observer::Observer;
use crate::ordered::{OrderedConsumer, OrderedFrame, Turn};
use crate::ring::Ring;
use crate::{RingError, Seq};

/// How often a frame that is newer than the last one is looked for: nobody rings for an observer.
const NEWEST_INTERVAL: Duration = Duration::from_millis(2);

/// How long an ordered reader of a live ring waits for a frame when a later one is there.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// Which frames a reader takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// Those of a group, as they come; its members share them. One that no reader survives is
    /// dropped, and counted.
    #[default]
    Shared,
    /// All of them, in order; the group has no other member.
    Ordered,
    /// The newest one, each once, without taking it from anybody: such a reader is in no group. What it
    /// has in hand keeps its slot.
    Newest,
}

/// How a reader takes part.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// Which frames it takes.
    pub take: Take,
    /// The group that it is in; it has no meaning for [`Take::Newest`].
    pub group: GroupName,
    /// Older frames are dropped, and counted. [`Take::Newest`] ignores it.
    pub max_age: Option<Duration>,
}

/// A place in a ring, to take frames from it.
#[derive(Debug)]
pub struct Reader(Place);

#[derive(Debug)]
enum Place {
    Shared(Box<Consumer>),
    Ordered(Box<OrderedConsumer>),
    /// With the seq of the last frame.
    Newest(Observer, Option<Seq>),
}

/// What a wait for a frame led to.
#[derive(Debug)]
pub enum Reading {
    /// A frame, in hand.
    Frame(FrameInHand),
    /// There will be none: the stream is over, or the ring's users are asked to stop.
    Ended,
    /// None came in time.
    TimedOut,
}

/// A frame that a reader has in hand. It is given back when it is dropped.
#[derive(Debug)]
#[must_use = "a frame that is not released is given back"]
pub struct FrameInHand(Option<Held>);

#[derive(Debug)]
enum Held {
    Plain(ReadGrant),
    Ordered(OrderedFrame),
}

impl Reader {
    /// Joins a ring as soon as it is there; `None` when `go_on` says to wait no longer.
    ///
    /// # Errors
    /// As [`Consumer::join`], [`OrderedConsumer::join`] or [`Observer::join`].
    pub fn wait(
        name: &SegmentName,
        options: &ReaderOptions,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<Self>, RingError> {
        while let Some(ring) = Ring::wait(name, &mut go_on)? {
            match Place::join(ring, options) {
                // It has just lost its name: another one may come.
                Err(RingError::Shm(ShmError::NotFound(_))) => {}
                other => return Ok(Some(Self(other?))),
            }
        }
        Ok(None)
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        match &self.0 {
            Place::Shared(consumer) => consumer.ring(),
            Place::Ordered(consumer) => consumer.ring(),
            Place::Newest(observer, _) => observer.ring(),
        }
    }

    /// Takes a frame, waiting at most `patience`. It may say that it timed out before that: call again.
    ///
    /// # Errors
    /// As [`Consumer::claim`].
    pub fn claim(&mut self, patience: Duration) -> Result<Reading, RingError> {
        if self.ring().is_draining() {
            return Ok(Reading::Ended);
        }
        let held = match &mut self.0 {
            Place::Shared(consumer) => match consumer.claim(patience)? {
                Claim::Frame(grant) => Held::Plain(grant),
                Claim::Ended => return Ok(Reading::Ended),
                Claim::TimedOut => return Ok(Reading::TimedOut),
            },
            Place::Ordered(consumer) => match consumer.next(patience)? {
                Turn::Frame(frame) if frame.is_poison() => {
                    frame.drop_as(DropReason::Poison)?;
                    return Ok(Reading::TimedOut);
                }
                Turn::Frame(frame) => Held::Ordered(frame),
                Turn::Ended => return Ok(Reading::Ended),
                Turn::TimedOut => return Ok(Reading::TimedOut),
            },
            Place::Newest(observer, seen) => {
                // Asked before the slots: the last frame may come and go in between.
                let is_over = observer.ring().is_over();
                match observer.newest(*seen)? {
                    Some(grant) => {
                        *seen = Some(grant.seq());
                        Held::Plain(grant)
                    }
                    None if is_over => return Ok(Reading::Ended),
                    None => {
                        thread::sleep(patience.min(NEWEST_INTERVAL));
                        return Ok(Reading::TimedOut);
                    }
                }
            }
        };
        Ok(Reading::Frame(FrameInHand(Some(held))))
    }
}

impl Place {
    fn join(ring: Ring, options: &ReaderOptions) -> Result<Self, RingError> {
        Ok(match options.take {
            Take::Shared => {
                let mut consumer = Consumer::join(ring, &options.group)?;
                consumer.set_max_age(options.max_age);
                Self::Shared(Box::new(consumer))
            }
            Take::Ordered => {
                let mut consumer = OrderedConsumer::join(ring, &options.group)?;
                consumer.set_max_age(options.max_age);
                consumer.set_max_wait(Some(MAX_WAIT));
                Self::Ordered(Box::new(consumer))
            }
            Take::Newest => Self::Newest(Observer::join(ring)?, None),
        })
    }
}

impl FrameInHand {
    fn take(&mut self) -> Held {
        self.0.take().expect("it is in hand until it is let go")
    }

    /// The frame was dealt with.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn release(mut self) -> Result<(), RingError> {
        match self.take() {
            Held::Plain(grant) => grant.release(),
            Held::Ordered(frame) => frame.done(),
        }
    }

    /// Puts the frame back, for another member of the group or to be taken again.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn give_back(mut self) -> Result<(), RingError> {
        match self.take() {
            Held::Plain(grant) => grant.give_back(),
            // A drop does that.
            Held::Ordered(_) => Ok(()),
        }
    }

    /// Puts the frame back because it could not be processed: as [`ReadGrant::fail`].
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the claim word never stands still.
    pub fn fail(mut self) -> Result<(), RingError> {
        match self.take() {
            Held::Plain(grant) => grant.fail(),
            Held::Ordered(frame) => frame.fail(),
        }
    }
}

impl Deref for FrameInHand {
    type Target = ReadGrant;

    fn deref(&self) -> &ReadGrant {
        match self.0.as_ref().expect("it is in hand until it is let go") {
            Held::Plain(grant) => grant,
            Held::Ordered(frame) => frame,
        }
    }
}

impl Drop for FrameInHand {
    fn drop(&mut self) {
        // A corrupt word is found again by the next call that can return an error.
        if let Some(Held::Plain(grant)) = self.0.take() {
            let _ = grant.give_back();
        }
    }
}
