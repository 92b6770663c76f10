//! Promise: a peer may write anything into a segment at any time; who uses the ring gets an error
//! or an outcome, and never a panic, an access out of bounds, or a loop without an end.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use framelane_ring::{
    Claim, Consumer, Descriptor, DropReason, GroupName, Observer, OrderedConsumer, OrderedFrame,
    Policy, ReadGrant, Record, Relay, RelayOptions, Ring, RingError, Source, Turn, Work,
    WriteGrant,
};

use crate::script::{Step, Who};
use crate::spoiled::{OwnName, Vandal};

const STEPS_MAX: usize = 100;
/// Joining and counting may wait for what a broken peer never finishes, so there are only some.
const SLOW_STEPS_MAX: u32 = 3;

/// Plays a script.
pub fn ring_scribble(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(block) = bool::arbitrary(&mut data) else { return };
    let policy = if block { Policy::Block } else { Policy::DropOldest };
    let names = [OwnName::new(), OwnName::new()];
    let near = Vandal::of_new_ring(&names[0], policy);
    let mut stage = Stage::set(&names, policy).expect("fresh rings can be joined");
    let far = Vandal::of_ring(&names[1]);
    for _ in 0..STEPS_MAX {
        if data.is_empty() {
            return;
        }
        let Ok(step) = Step::arbitrary(&mut data) else { return };
        match step {
            Step::Scribble { far: is_far, place, value } => {
                let file = if is_far { &far } else { &near };
                file.write(place.offset(), &value.word().to_le_bytes());
            }
            Step::Smear { far: is_far, offset, bytes } => {
                let file = if is_far { &far } else { &near };
                file.write(u64::from(offset) % (1 << 18), &bytes);
            }
            // An error is as good as an outcome.
            step => drop(stage.play(&step)),
        }
    }
}

/// Everybody who uses the two rings, and what they hold. A place is empty once its owner could
/// not join again.
struct Stage {
    ring: Ring,
    source: Option<Source>,
    consumer: Option<Consumer>,
    ordered: Option<OrderedConsumer>,
    observer: Option<Observer>,
    relay: Relay,
    far_ordered: OrderedConsumer,
    writing: Option<WriteGrant>,
    reading: Option<ReadGrant>,
    turn: Option<OrderedFrame>,
    slow_steps: u32,
}

fn group(name: &str) -> GroupName {
    name.parse().expect("a good name")
}

fn patience(wait: bool) -> Duration {
    Duration::from_millis(wait.into())
}

fn record(payload_bytes: u8, meta_bytes: u8) -> Record {
    Record {
        payload_bytes: payload_bytes.into(),
        meta_bytes: meta_bytes.into(),
        ..Record::default()
    }
}

/// Touches every byte of a frame: an address that is wrong shows.
fn touch(bytes: &[u8], meta: &[u8]) {
    std::hint::black_box(bytes.iter().chain(meta).fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
}

impl Stage {
    fn set(names: &[OwnName; 2], policy: Policy) -> Result<Self, RingError> {
        let ring = Ring::open(names[0].get())?;
        let options = RelayOptions { group: group("relay"), slots: None, payload_capacity: None };
        let relay = Relay::attach(ring.reopen()?, names[1].get(), &options)?;
        let relay = relay.expect("the stream has not ended");
        let mut far_ordered = OrderedConsumer::join(relay.output().reopen()?, &group("pusher"))?;
        far_ordered.set_max_wait(Some(Duration::from_nanos(1)));
        assert_eq!(relay.output().policy(), policy);
        Ok(Self {
            source: Some(Source::join(ring.reopen()?)?),
            consumer: Some(Consumer::join(ring.reopen()?, &group("workers"))?),
            ordered: Some(OrderedConsumer::join(ring.reopen()?, &group("pusher"))?),
            observer: Some(Observer::join(ring.reopen()?)?),
            ring,
            relay,
            far_ordered,
            writing: None,
            reading: None,
            turn: None,
            slow_steps: 0,
        })
    }

    fn play(&mut self, step: &Step) -> Result<(), RingError> {
        match *step {
            Step::Acquire => self.acquire()?,
            Step::Commit { payload_bytes, meta_bytes } => {
                if let Some(grant) = self.writing.take() {
                    grant.commit(record(payload_bytes, meta_bytes))?;
                }
            }
            Step::Abort => self.writing = None,
            Step::Publish { payload_bytes } => {
                self.acquire()?;
                if let Some(grant) = self.writing.take() {
                    grant.commit(record(payload_bytes % 65, 16))?;
                }
            }
            Step::Skip => self.source.iter_mut().try_for_each(Source::skip)?,
            Step::End => self.source.iter().for_each(Source::end),
            Step::Claim { wait } => self.claim(wait)?,
            Step::Release => self.reading.take().map_or(Ok(()), ReadGrant::release)?,
            Step::GiveBack => self.reading.take().map_or(Ok(()), ReadGrant::give_back)?,
            Step::Next { far, wait } => self.next(far, wait)?,
            Step::Done => self.turn.take().map_or(Ok(()), OrderedFrame::done)?,
            Step::Unsent => {
                self.turn.take().map_or(Ok(()), |frame| frame.drop_as(DropReason::Unsent))?
            }
            Step::Newest => self.observe(|observer| observer.newest(None))?,
            Step::Numbered(number) => self.observe(|observer| observer.numbered(number))?,
            Step::Relay => self.relay(false)?,
            Step::RelaySkip => self.relay(true)?,
            Step::Rejoin(who) => self.slowly(|stage| stage.rejoin(who))?,
            Step::Snapshot => self.slowly(|stage| stage.ring.snapshot().map(drop))?,
            Step::Describe => {
                self.ring.set_descriptor(&Descriptor::default())?;
                self.ring.descriptor()?;
            }
            Step::Drain(draining) => self.ring.set_draining(draining)?,
            Step::Forget => {
                self.slowly(|stage| stage.ring.reopen()?.forget_group(&group("workers")))?;
            }
            Step::Scribble { .. } | Step::Smear { .. } => {}
        }
        Ok(())
    }

    fn slowly(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), RingError>,
    ) -> Result<(), RingError> {
        self.slow_steps += 1;
        if self.slow_steps > SLOW_STEPS_MAX { Ok(()) } else { act(self) }
    }

    fn acquire(&mut self) -> Result<(), RingError> {
        let Some(source) = &mut self.source else { return Ok(()) };
        self.writing = None;
        self.writing = source.acquire(Duration::ZERO)?;
        if let Some(grant) = &mut self.writing {
            grant.bytes_mut().fill(1);
            grant.meta_mut().fill(2);
        }
        Ok(())
    }

    fn claim(&mut self, wait: bool) -> Result<(), RingError> {
        let Some(consumer) = &mut self.consumer else { return Ok(()) };
        if let Claim::Frame(frame) = consumer.claim(patience(wait))? {
            touch(frame.bytes(), frame.meta());
            let _ = (frame.age(), frame.is_poison(), frame.is_redelivered());
            self.reading = Some(frame);
        }
        Ok(())
    }

    fn next(&mut self, far: bool, wait: bool) -> Result<(), RingError> {
        let near = self.ordered.as_mut().filter(|_| !far);
        let turn = near.unwrap_or(&mut self.far_ordered).next(patience(wait))?;
        if let Turn::Frame(frame) = turn {
            touch(frame.bytes(), &[]);
            self.turn = Some(frame);
        }
        Ok(())
    }

    fn observe(
        &mut self,
        look: impl FnOnce(&mut Observer) -> Result<Option<ReadGrant>, RingError>,
    ) -> Result<(), RingError> {
        if let Some(frame) = self.observer.as_mut().map(look).transpose()?.flatten() {
            touch(frame.bytes(), frame.meta());
        }
        Ok(())
    }

    fn relay(&mut self, skip: bool) -> Result<(), RingError> {
        let Work::Frame(job) = self.relay.claim(Duration::ZERO)? else { return Ok(()) };
        touch(job.bytes(), job.meta());
        if skip {
            return self.relay.skip(job);
        }
        let Some(output) = self.relay.acquire(&job, Duration::ZERO)? else { return Ok(()) };
        let record = *job.record();
        self.relay.publish(job, output, record).map(drop)
    }

    fn rejoin(&mut self, who: Who) -> Result<(), RingError> {
        let ring = self.ring.reopen()?;
        match who {
            Who::Source => {
                (self.writing, self.source) = (None, None);
                self.source = Some(Source::join(ring)?);
            }
            Who::Consumer => {
                (self.reading, self.consumer) = (None, None);
                self.consumer = Some(Consumer::join(ring, &group("workers"))?);
            }
            Who::Ordered => {
                (self.turn, self.ordered) = (None, None);
                self.ordered = Some(OrderedConsumer::join(ring, &group("pusher"))?);
            }
            Who::Observer => {
                self.observer = None;
                self.observer = Some(Observer::join(ring)?);
            }
        }
        Ok(())
    }
}
