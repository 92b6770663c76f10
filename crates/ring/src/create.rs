//! Making rings: whole, under a private name, and put in place at once.

use std::sync::atomic::{AtomicU64, Ordering};

use framelane_shm::{Memory, Segment, SegmentName, random};

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

    /// Makes a ring, unless there is one of this name. `prepare` writes what the maker adds to the
    /// header.
    pub(crate) fn create(
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
