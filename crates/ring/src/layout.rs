//! The layout of a ring's segment: what lies where. `docs/spec/ring_layout.md` is the
//! specification, and a test in this file keeps page and code together.
//!
//! Everything here is made of atomics, since any process may write any of it at any time. Offsets
//! are computed once, when a ring is created or opened, from three numbers of the header that were
//! checked against the segment's size; nothing read from the segment later moves an access.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use framelane_shm::{Doorbell, shared_struct};

use crate::claim::{GROUPS, SEATS};
use crate::{RingConfig, RingError};

/// `FRMLANE` and a zero, read as a little-endian number: the first 8 bytes of every ring.
pub const MAGIC: u64 = u64::from_le_bytes(*b"FRMLANE\0");

/// Grows with every incompatible change of the layout or of the protocol.
pub const LAYOUT_VERSION: u32 = 3;

/// Kinds of counters that each participant keeps for each group.
pub(crate) const COUNTERS: usize = 10;
/// Buckets of a latency histogram.
pub(crate) const BUCKETS: usize = 128;

/// Locked bytes of the segment's file. Bytes 0 to 54 are the participants' ids.
pub(crate) const LIFE_BYTE: u16 = 64;
/// The byte that is locked to change the groups' table or the feed.
pub(crate) const TABLES_BYTE: u16 = 65;
/// The byte that is locked by who numbers the frames.
pub(crate) const SOURCE_BYTE: u16 = 66;

const PAGE: usize = 4096;
const GROUP_COUNT: usize = GROUPS as usize;
const SEAT_COUNT: usize = SEATS as usize;

shared_struct! {
    /// The header: what the ring is, and what all of its users share.
    pub struct Header [4096] align 64 {
        /// [`MAGIC`].
        0 => magic: AtomicU64,
        /// [`LAYOUT_VERSION`].
        8 => layout_version: AtomicU32,
        /// Slots, 1 to 1024.
        12 => slots: AtomicU32,
        /// A random number that no other ring has, also not one of the same name.
        16 => instance: [AtomicU64; 2],
        /// Bytes of the whole segment.
        32 => segment_bytes: AtomicU64,
        /// The largest payload, in bytes.
        40 => payload_capacity: AtomicU64,
        /// The most metadata bytes that travel with a frame.
        48 => meta_capacity: AtomicU64,
        /// 0 block, 1 drop-oldest.
        56 => policy: AtomicU32,
        /// Must be 0.
        60 => reserved_60: AtomicU32,
        /// The seq that comes next: stored after the publish. Kept by the source; in other rings
        /// the highest seq that was published, plus 1.
        64 => next: AtomicU64,
        /// The seq after the last one, once the stream has ended; all ones before.
        72 => end: AtomicU64,
        /// Grows when the source reconnects or changes its format.
        80 => epoch: AtomicU64,
        /// Must be 0.
        88 => reserved_88: [AtomicU64; 5],
        /// One bit for each group that new frames are published to.
        128 => active_groups: AtomicU64,
        /// The process that holds the life lock: informational.
        136 => life_holder: AtomicU32,
        /// The process that holds the tables lock: informational.
        140 => tables_holder: AtomicU32,
        /// Finish what you hold, and stop: the first byte is 1, else 0; the others are 0.
        144 => drain: AtomicU64,
        /// One bit for each group that passes frames on and has yet to hand on the end.
        152 => owing_groups: AtomicU64,
        /// Must be 0.
        160 => reserved_160: [AtomicU64; 4],
        /// Odd while the feed is being changed.
        192 => feed_version: AtomicU64,
        /// The lineage of frames whose lineage in the feed is 0.
        200 => feed_lineage: AtomicU64,
        /// The instance of the feed; zeroes when the ring has none.
        208 => feed_instance: [AtomicU64; 2],
        /// The name of the group in which this ring's producers take the feed's frames.
        224 => feed_group: [AtomicU64; 4],
        /// The name of the feed.
        256 => feed_ring: [AtomicU64; 13],
        /// Must be 0.
        360 => reserved_360: [AtomicU64; 83],
        /// Rung when a slot was freed, and when a cursor moved.
        1024 => producers_bell: Doorbell,
        /// Rung when a frame is ready for the group.
        1088 => group_bells: [Doorbell; 8],
        /// Must be 0.
        1600 => reserved_1600: [AtomicU64; 312],
    }
}

shared_struct! {
    /// One of the 8 groups.
    pub struct GroupEntry [512] align 64 {
        /// 0 unused, else bit 0 set, bit 1 ordered, bit 2 durable.
        0 => state: AtomicU64,
        /// The name, UTF-8, padded with zeroes.
        8 => name: [AtomicU64; 4],
        /// Ordered groups: the seq that is waited for.
        40 => cursor: AtomicU64,
        /// Other groups: the limit of their output ring, in the seqs of this ring; all ones for none.
        48 => limit: AtomicU64,
        /// The sums of the counters when the group took its bit.
        56 => base: [AtomicU64; 10],
        /// To which ring the group hands the end on, by the first word of that ring's instance; 0
        /// before it does.
        136 => handed_on: AtomicU64,
        /// Must be 0.
        144 => reserved_144: [AtomicU64; 46],
    }
}

shared_struct! {
    /// The line of one participant id. Its counters go on from owner to owner of the id.
    pub struct SeatLine [3072] align 64 {
        /// 0 free; else role in bits 0..7, group in bits 8..15, process id in bits 32..63.
        0 => entry: AtomicU64,
        /// When the participant joined, CLOCK_MONOTONIC in nanoseconds.
        8 => joined_ns: AtomicU64,
        /// Since when it holds a slot, CLOCK_MONOTONIC in nanoseconds; 0 when it holds none.
        16 => held_since_ns: AtomicU64,
        /// Until when it has waited for room in its output ring with a frame in hand, CLOCK_MONOTONIC in
        /// nanoseconds.
        24 => waited_until_ns: AtomicU64,
        /// Workers: the ring that they publish to, by the first word of that ring's instance; all ones
        /// before they have one. 0 for others.
        32 => output: AtomicU64,
        /// Must be 0.
        40 => reserved_40: [AtomicU64; 3],
        /// The counted edge under way: 0 none; else kind in bits 0..7, groups in bits 8..15,
        /// counter in bits 16..23, slot in bits 32..63.
        64 => journal_edge: AtomicU64,
        /// The seq of the frame on that edge.
        72 => journal_seq: AtomicU64,
        /// What the counters of the groups will be after it.
        80 => journal_after: [AtomicU64; 8],
        /// Must be 0.
        144 => reserved_144: [AtomicU64; 6],
        /// For each group: published, delivered, and dropped by reason.
        192 => counters: [[AtomicU64; 10]; 8],
        /// Counters that belong to no group.
        832 => tallies: [AtomicU64; 8],
        /// Must be 0.
        896 => reserved_896: [AtomicU64; 16],
        /// Ages of frames when they were claimed or published, from `received_ns`. What was
        /// claimed is counted when it is released or dropped.
        1024 => age: [AtomicU64; 128],
        /// For how long frames were held.
        2048 => hold: [AtomicU64; 128],
    }
}

shared_struct! {
    /// What is known of the frame in one slot. All of it lies in the cache line of the claim word:
    /// who publishes or claims moves one line from core to core.
    pub struct SlotRecord [128] align 128 {
        /// The claim word.
        0 => claim: AtomicU64,
        /// The frame's seq; all ones when the slot has none.
        8 => seq: AtomicU64,
        /// Presentation time on the source's timeline, in nanoseconds.
        16 => pts_ns: AtomicI64,
        /// When the frame's first byte arrived, CLOCK_MONOTONIC in nanoseconds.
        24 => received_ns: AtomicU64,
        /// When it was published to this ring, CLOCK_MONOTONIC_COARSE in nanoseconds.
        32 => published_ns: AtomicU64,
        /// Bytes of the payload.
        40 => payload_bytes: AtomicU32,
        /// Bytes of metadata that travel with the frame.
        44 => meta_bytes: AtomicU32,
        /// The source's epoch.
        48 => epoch: AtomicU32,
        /// For each group, 4 bits: how often the frame was claimed and not given back.
        52 => claims: AtomicU32,
        /// Width in pixels; 0 when the payload is no picture.
        56 => width: AtomicU16,
        /// Height in pixels.
        58 => height: AtomicU16,
        /// Bytes from one row of the first plane to the next.
        60 => stride: AtomicU16,
        /// The pixel format's code; 0 when the payload is no picture.
        62 => pixel_format: AtomicU8,
        /// Bit 0: first frame after a discontinuity. Bit 1: passed on unprocessed.
        63 => flags: AtomicU8,
        /// Must be 0.
        64 => reserved_64: [AtomicU64; 8],
    }
}

shared_struct! {
    /// The ring's descriptor: what the source is, encoded with bincode.
    pub struct DescriptorArea [4096] align 64 {
        /// Odd while the descriptor is being changed.
        0 => version: AtomicU64,
        /// Bytes that follow.
        8 => bytes: AtomicU64,
        /// The encoded descriptor, 8 bytes a word.
        16 => words: [AtomicU64; 510],
    }
}

/// Where everything is. Copied out of the header once, and checked against the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) slots: u32,
    pub(crate) payload_capacity: usize,
    pub(crate) meta_capacity: usize,
    /// From one slot's payload to the next.
    payload_stride: usize,
    /// Where the first payload starts.
    payloads: usize,
    pub(crate) segment_bytes: usize,
}

impl Plan {
    pub(crate) const HEADER: usize = 0;
    pub(crate) const DESCRIPTOR: usize = size_of::<Header>();
    pub(crate) const GROUP_TABLE: usize = Self::DESCRIPTOR + size_of::<DescriptorArea>();
    pub(crate) const SEAT_TABLE: usize = Self::GROUP_TABLE + GROUP_COUNT * size_of::<GroupEntry>();
    pub(crate) const SLOT_TABLE: usize = Self::SEAT_TABLE + SEAT_COUNT * size_of::<SeatLine>();

    /// Lays out a ring.
    ///
    /// # Errors
    /// [`RingError::BadConfig`] when a number is outside its limits.
    pub(crate) fn new(config: &RingConfig) -> Result<Self, RingError> {
        config.check()?;
        let slots = config.slots as usize;
        let meta_start = config.payload_capacity.next_multiple_of(64);
        let payload_stride = (meta_start + config.meta_capacity).next_multiple_of(PAGE).max(PAGE);
        let payloads = (Self::SLOT_TABLE + slots * size_of::<SlotRecord>()).next_multiple_of(PAGE);
        let segment_bytes = payload_stride
            .checked_mul(slots)
            .and_then(|bytes| bytes.checked_add(payloads))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or_else(|| RingError::BadConfig("the ring would be larger than memory".into()))?;
        Ok(Self {
            slots: config.slots,
            payload_capacity: config.payload_capacity,
            meta_capacity: config.meta_capacity,
            payload_stride,
            payloads,
            segment_bytes,
        })
    }

    /// Where the record of a slot is. `slot` is below [`Plan::slots`].
    pub(crate) fn record(&self, slot: u32) -> usize {
        debug_assert!(slot < self.slots);
        Self::SLOT_TABLE + slot as usize * size_of::<SlotRecord>()
    }

    /// Where the payload of a slot starts.
    pub(crate) fn payload(&self, slot: u32) -> usize {
        debug_assert!(slot < self.slots);
        self.payloads + slot as usize * self.payload_stride
    }

    /// Where the metadata of a slot starts.
    pub(crate) fn meta(&self, slot: u32) -> usize {
        self.payload(slot) + self.payload_capacity.next_multiple_of(64)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// The tables of the specification, as the code has them.
    fn tables() -> Vec<(&'static str, String)> {
        let table = |fields: &[(usize, &str, &str)]| {
            fields.iter().fold(String::new(), |mut text, (offset, name, kind)| {
                let kind = kind.replace("Atomic", "").to_lowercase();
                writeln!(text, "| {offset} | `{name}` | {kind} |").expect("strings don't fail");
                text
            })
        };
        vec![
            ("Header", table(Header::FIELDS)),
            ("DescriptorArea", table(DescriptorArea::FIELDS)),
            ("GroupEntry", table(GroupEntry::FIELDS)),
            ("SeatLine", table(SeatLine::FIELDS)),
            ("SlotRecord", table(SlotRecord::FIELDS)),
        ]
    }

    #[test]
    fn the_specification_says_what_the_code_does() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/ring_layout.md");
        let page = std::fs::read_to_string(page).expect("the specification is there");
        for (name, code) in tables() {
            let begin = format!("<!-- {name} -->\n");
            let start = page.find(&begin).unwrap_or_else(|| panic!("no table of {name}"));
            let text = &page[start + begin.len()..];
            let text = &text[..text.find("<!-- end -->").expect("the table ends")];
            let rows: String = text
                .lines()
                .filter(|line| line.starts_with("| ") && !line.starts_with("| offset"))
                .map(|line| line.splitn(5, '|').take(4).collect::<Vec<_>>().join("|") + "|\n")
                .collect();
            assert_eq!(rows, code, "{name}: left is the page, right is the code");
        }
        for (what, value) in [
            ("layout version", u64::from(LAYOUT_VERSION)),
            ("descriptor at", Plan::DESCRIPTOR as u64),
            ("groups at", Plan::GROUP_TABLE as u64),
            ("participants at", Plan::SEAT_TABLE as u64),
            ("slots at", Plan::SLOT_TABLE as u64),
        ] {
            assert!(page.contains(&format!("{what} {value}")), "the page lacks '{what} {value}'");
        }
    }

    #[test]
    fn payloads_start_on_pages_and_do_not_overlap() {
        for (payload_capacity, meta_capacity) in [(1, 0), (4096, 0), (4095, 2), (2_764_800, 4096)] {
            let config = RingConfig { payload_capacity, meta_capacity, ..RingConfig::default() };
            let plan = Plan::new(&config).expect("valid");
            for slot in 0..plan.slots {
                assert!(plan.payload(slot).is_multiple_of(PAGE));
                assert!(plan.payload(slot) + payload_capacity <= plan.meta(slot));
                let end = plan.meta(slot) + meta_capacity;
                let limit =
                    if slot + 1 < plan.slots { plan.payload(slot + 1) } else { plan.segment_bytes };
                assert!(end <= limit, "slot {slot} reaches into the next");
            }
            assert!(plan.record(plan.slots - 1) + size_of::<SlotRecord>() <= plan.payload(0));
        }
    }
}
