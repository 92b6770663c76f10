//! Promise: a segment that says nonsense of itself is refused, or used without a panic and without
//! an access out of bounds, by everybody who may come across it.

use std::time::Duration;

use framelane_ring::{
    Claim, Consumer, Descriptor, GroupName, Observer, OrderedConsumer, Policy, Record, Relay,
    RelayOptions, Ring, RingError, Source, Turn,
};

use crate::spoiled::{OwnName, Vandal};

/// Puts the bytes over the start of a real ring (header, descriptor, groups, participants), and
/// then does with it what programs do with a ring that they find.
pub fn ring_header(data: &[u8]) {
    let name = OwnName::new();
    Vandal::of_new_ring(&name, Policy::DropOldest).write(0, data);
    let Ok(ring) = Ring::open(name.get()) else { return };
    look(&ring);
    // An error is as good as an outcome, here and below.
    let _ = write(&ring);
    let _ = read(&ring);
    let _ = relay(&ring);
    look(&ring);
    let _ = ring.remove_if_unused();
}

fn look(ring: &Ring) {
    let _ = ring.snapshot();
    let _ = (ring.is_draining(), ring.end(), ring.epoch(), ring.instance());
    let _ = ring.descriptor();
}

fn group(name: &str) -> GroupName {
    name.parse().expect("a good name")
}

fn write(ring: &Ring) -> Result<(), RingError> {
    ring.set_descriptor(&Descriptor::default())?;
    ring.set_draining(true)?;
    let mut source = Source::join(ring.reopen()?)?;
    let _ = source.last_frame();
    source.start_epoch();
    for _ in 0..3 {
        let Some(mut grant) = source.acquire(Duration::ZERO)? else { break };
        grant.bytes_mut().fill(1);
        grant.meta_mut().fill(2);
        grant.commit(Record { payload_bytes: 64, meta_bytes: 16, ..Record::default() })?;
    }
    Ok(())
}

fn read(ring: &Ring) -> Result<(), RingError> {
    if let Some(frame) = Observer::join(ring.reopen()?)?.newest(None)? {
        let _ = (frame.bytes().to_vec(), frame.meta().to_vec());
    }
    if let Claim::Frame(frame) =
        Consumer::join(ring.reopen()?, &group("workers"))?.claim(Duration::ZERO)?
    {
        let _ = (frame.bytes().to_vec(), frame.meta().to_vec());
    }
    let mut ordered = OrderedConsumer::join(ring.reopen()?, &group("pusher"))?;
    if let Turn::Frame(frame) = ordered.next(Duration::ZERO)? {
        frame.done()?;
    }
    drop(ordered);
    ring.reopen()?.forget_group(&group("workers"))
}

fn relay(ring: &Ring) -> Result<(), RingError> {
    let output = OwnName::new();
    let options = RelayOptions { group: group("relay"), slots: None, payload_capacity: None };
    if let Some(mut relay) = Relay::attach(ring.reopen()?, output.get(), &options)? {
        relay.claim(Duration::ZERO)?;
    }
    Ok(())
}
