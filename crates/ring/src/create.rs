//! Making rings: whole, under a private name, and put in place at once.

use std::sync::atomic::{AtomicU64, Ordering};

use framelane_shm::{Memory, Segment, SegmentName, ShmError, random};

use crate::failpoint::failpoint;
use crate::layout::{Header, LAYOUT_VERSION, MAGIC, Plan, SlotRecord};
use crate::ring::Ring;
use crate::{RingConfig, RingError, Seq};

impl Ring {
    /// A ring on the heap of this process, for tests: the same in everything but death.
    ///
    /// # Errors
    /// [`RingError::BadConfig`] as for a real one.
    pub fn on_heap(config: &RingConfig) -> Result<Self, RingError> {
        let plan = Plan::new(config)?;
        let segment = Segment::heap(plan.segment_bytes);
        write_header(segment.memory(), &plan, config, [random()?, random()?]);
        Self::of(SegmentName::in_namespace("heap", "heap")?, segment)
    }

    /// Makes the ring, or opens the one that is there, whatever its slots and policy, if it can
    /// hold frames of `config`'s size. `prepare` writes what the creator adds to a new ring's
    /// header before anybody sees it. A ring that has ended is opened only if it is `ours`, and one
    /// that isn't there is made only if it is `wanted` at that moment.
    ///
    /// # Errors
    /// [`ShmError::NotFound`] when there is none, and none is wanted;
    /// [`RingError::PayloadTooLarge`] when the existing ring's slots are too small, and
    /// [`RingError::Ended`] when its users have not finished yet; otherwise as [`Ring::open`] and
    /// for lack of memory.
    pub(crate) fn create_or_open(
        name: &SegmentName,
        config: &RingConfig,
        prepare: impl Fn(&Header),
        ours: impl Fn(&Self) -> bool,
        wanted: impl Fn() -> bool,
    ) -> Result<Self, RingError> {
        loop {
            match Self::open(name) {
                Ok(ring) if ring.end().is_some() && !ours(&ring) => {
                    if !ring.remove_if_replaceable()? && ring.segment().is_linked()? {
                        return Err(RingError::Ended(name.ring().to_owned()));
                    }
                }
                Ok(ring) if ring.payload_capacity() < config.payload_capacity => {
                    return Err(RingError::PayloadTooLarge {
                        ring: name.ring().to_owned(),
                        capacity: ring.payload_capacity(),
                        needed: config.payload_capacity,
                    });
                }
                Err(RingError::Shm(ShmError::NotFound(_))) if wanted() => {
                    match Self::create(name, config, &prepare) {
                        Err(RingError::Shm(ShmError::Exists(_))) => {}
                        other => return other,
                    }
                }
                other => return other,
            }
        }
    }

    fn create(
        name: &SegmentName,
        config: &RingConfig,
        prepare: impl Fn(&Header),
    ) -> Result<Self, RingError> {
        let plan = Plan::new(config)?;
        let instance = [random()?, random()?];
        let segment = Segment::create(name, plan.segment_bytes, |memory| {
            prepare(write_header(memory, &plan, config, instance));
        })?;
        failpoint("create.linked");
        Self::of(name.clone(), segment)
    }
}

/// Writes the header of a ring that nobody else sees yet. Fresh memory is zeroed: only what is not
/// zero is written.
fn write_header<'memory>(
    memory: &'memory Memory,
    plan: &Plan,
    config: &RingConfig,
    instance: [u64; 2],
) -> &'memory Header {
    let header: &Header = memory.at(Plan::HEADER).expect("the plan fits its own segment");
    let store = |cell: &AtomicU64, value: usize| cell.store(value as u64, Ordering::Relaxed);
    header.layout_version.store(LAYOUT_VERSION, Ordering::Relaxed);
    header.slots.store(plan.slots, Ordering::Relaxed);
    header.instance[0].store(instance[0], Ordering::Relaxed);
    header.instance[1].store(instance[1], Ordering::Relaxed);
    store(&header.segment_bytes, plan.segment_bytes);
    store(&header.payload_capacity, plan.payload_capacity);
    store(&header.meta_capacity, plan.meta_capacity);
    header.policy.store(config.policy.code(), Ordering::Relaxed);
    header.end.store(Seq::NONE, Ordering::Relaxed);
    for slot in 0..plan.slots {
        let record: &SlotRecord = memory.at(plan.record(slot)).expect("the plan fits");
        record.seq.store(Seq::NONE, Ordering::Relaxed);
    }
    // SYNC POINT: whoever opens the ring reads the magic first.
    header.magic.store(MAGIC, Ordering::Release);
    header
}
