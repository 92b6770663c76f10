//! What a monitor sees of a ring: read from the segment, without taking a place in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde::Serialize;

use crate::books::{Counter, DropReason, Tally};
use crate::claim::{GROUPS, SEATS};
use crate::entry::{Entry, Role};
use crate::histogram;
use crate::layout::{BUCKETS, COUNTERS};
use crate::ring::Ring;
use crate::{Descriptor, Policy, RingError, Seq, monotonic_ns};

/// How often counters and claim words are read until they agree. A pair of reads takes
/// microseconds, so frames that move can be outrun.
const AGREEMENT_TRIES: u32 = 2000;

/// A ring at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct RingSnapshot {
    /// The ring's name.
    pub ring: String,
    /// The ring's random id, in hexadecimal.
    pub instance: String,
    /// What producers do when every slot is taken.
    pub policy: Policy,
    /// Slots.
    pub slots: u32,
    /// Slots that are free.
    pub slots_free: u32,
    /// Slots that are being written.
    pub slots_writing: u32,
    /// The largest payload, in bytes.
    pub payload_capacity: usize,
    /// Bytes of the whole segment.
    pub segment_bytes: usize,
    /// The number of the next frame.
    pub next: u64,
    /// The number after the last frame, once the stream has ended.
    pub end: Option<u64>,
    /// The source's epoch.
    pub epoch: u32,
    /// Whether users are asked to finish and stop.
    pub draining: bool,
    /// What the source is.
    pub descriptor: Option<Descriptor>,
    /// Who sees the frames.
    pub groups: Vec<GroupSnapshot>,
    /// Who is attached.
    pub participants: Vec<SeatSnapshot>,
    /// Counts that belong to no group, by name.
    pub totals: BTreeMap<&'static str, u64>,
}

/// One group at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct GroupSnapshot {
    /// The group's name.
    pub name: String,
    /// Whether its one member takes frames strictly in order.
    pub ordered: bool,
    /// Whether frames wait for it while it has no member.
    pub durable: bool,
    /// Living members.
    pub members: u32,
    /// Ordered groups: the number that is waited for.
    pub cursor: Option<u64>,
    /// Where its frames went.
    #[serde(flatten)]
    pub books: GroupBooks,
}

/// Where a group's frames went: `published = delivered + dropped + pending + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupBooks {
    /// Frames published since the group took its place.
    pub published: u64,
    /// Frames whose claim ended well.
    pub delivered: u64,
    /// Frames that were not delivered, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Frames that wait to be claimed.
    pub pending: u64,
    /// Frames in the hands of members.
    pub held: u64,
    /// Whether all numbers are of the same moment. Otherwise frames moved too fast to count, or a
    /// process was stopped or killed between an edge and its count.
    pub exact: bool,
}

impl GroupBooks {
    /// The frames that were not delivered, for whatever reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Whether every frame is accounted for.
    pub fn balance(&self) -> bool {
        let gone = self.delivered.wrapping_add(self.dropped_total());
        self.published == gone.wrapping_add(self.pending).wrapping_add(self.held)
    }
}

/// One participant at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct SeatSnapshot {
    /// The participant's id.
    pub id: u8,
    /// `producer`, `consumer` or `observer`.
    pub role: &'static str,
    /// The group of a consumer.
    pub group: Option<String>,
    /// The process id, as the participant sees itself.
    pub pid: u32,
    /// Whether its process lives; if not, it is about to be cleaned up after.
    pub alive: bool,
    /// For how long it has been attached, in seconds.
    pub attached_seconds: f64,
    /// For how long it has held what it holds, in seconds.
    pub held_seconds: Option<f64>,
    /// Ages of frames when it claimed or published them.
    pub age: Option<LatencySummary>,
    /// For how long it held frames.
    pub hold: Option<LatencySummary>,
}

/// Percentiles of a latency in milliseconds: upper bounds, at most a quarter, or a microsecond, above
/// the real value.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencySummary {
    /// The median.
    pub p50_ms: f64,
    /// 99 of 100 were shorter.
    pub p99_ms: f64,
    /// How many were counted.
    pub count: u64,
}

impl Ring {
    /// Reads everything a monitor wants to know.
    ///
    /// # Errors
    /// [`RingError::Shm`] when the kernel doesn't say who lives.
    pub fn snapshot(&self) -> Result<RingSnapshot, RingError> {
        let [high, low] = self.instance();
        let count = |wanted: fn(crate::claim::Word) -> bool| {
            let slots = (0..self.slots()).filter(|&slot| wanted(self.word(slot)));
            u32::try_from(slots.count()).unwrap_or(u32::MAX)
        };
        Ok(RingSnapshot {
            ring: self.name().to_owned(),
            instance: format!("{high:016x}{low:016x}"),
            policy: self.policy(),
            slots: self.slots(),
            slots_free: count(crate::claim::Word::is_free),
            slots_writing: count(crate::claim::Word::is_writing),
            payload_capacity: self.payload_capacity(),
            segment_bytes: self.segment_bytes(),
            next: self.next_seq().number(),
            end: self.end().map(Seq::number),
            epoch: self.epoch(),
            draining: self.is_draining(),
            descriptor: self.descriptor().unwrap_or_default(),
            groups: self.groups_snapshot()?,
            participants: self.seats_snapshot()?,
            totals: self.totals(),
        })
    }

    fn groups_snapshot(&self) -> Result<Vec<GroupSnapshot>, RingError> {
        let groups = (0..GROUPS).filter(|&group| self.is_group_used(group));
        groups.map(|group| self.group_snapshot(group)).collect()
    }

    fn group_snapshot(&self, group: u8) -> Result<GroupSnapshot, RingError> {
        let mut members = 0;
        for id in 0..SEATS {
            let entry = Entry::unpack(self.line(id).entry.load(Ordering::Acquire));
            if entry.is_member_of(group) && self.is_alive(id)? {
                members += 1;
            }
        }
        let ordered = self.is_group_ordered(group);
        let cursor = self.group(group).cursor.load(Ordering::Acquire);
        Ok(GroupSnapshot {
            name: self.group_name(group),
            ordered,
            durable: self.is_group_durable(group),
            members,
            cursor: Seq::from_raw(cursor).filter(|_| ordered).map(Seq::number),
            books: self.group_books(group),
        })
    }

    /// Reads a group's books until counters and claim words are of the same moment.
    fn group_books(&self, group: u8) -> GroupBooks {
        let mut books = GroupBooks::default();
        for _ in 0..AGREEMENT_TRIES {
            let at_rest = !self.is_at_an_edge(group);
            let before = self.counter_sums(group);
            let (mut pending, mut held) = (0, 0);
            for slot in 0..self.slots() {
                let word = self.word(slot);
                pending += u64::from(word.is_pending(group));
                held += u64::from(!word.is_pending(group) && self.is_in_group(slot, group));
            }
            books = self.books_from(group, before, pending, held);
            // An edge that came and went in between has changed a counter.
            if at_rest && !self.is_at_an_edge(group) && self.counter_sums(group) == before {
                books.exact = true;
                return books;
            }
            thread::yield_now();
        }
        books
    }

    fn books_from(&self, group: u8, sums: [u64; COUNTERS], pending: u64, held: u64) -> GroupBooks {
        let base = &self.group(group).base;
        let count = |counter: Counter| {
            let index = counter.index();
            sums[index].wrapping_sub(base[index].load(Ordering::Relaxed))
        };
        let dropped =
            DropReason::ALL.map(|reason| (reason.name(), count(Counter::Dropped(reason))));
        GroupBooks {
            published: count(Counter::Published),
            delivered: count(Counter::Delivered),
            dropped: dropped.into_iter().collect(),
            pending,
            held,
            exact: false,
        }
    }

    fn is_alive(&self, id: u8) -> Result<bool, RingError> {
        self.with_tool(|tool| Ok(tool.held_elsewhere(u16::from(id))?))
    }

    fn seats_snapshot(&self) -> Result<Vec<SeatSnapshot>, RingError> {
        let mut seats = Vec::new();
        let seconds_since = |since: u64| {
            std::time::Duration::from_nanos(monotonic_ns().saturating_sub(since)).as_secs_f64()
        };
        for id in 0..SEATS {
            let line = self.line(id);
            let entry = Entry::unpack(line.entry.load(Ordering::Acquire));
            let Some(role) = entry.role else { continue };
            let held_since = line.held_since_ns.load(Ordering::Relaxed);
            let busy_since = held_since.max(line.waited_until_ns.load(Ordering::Relaxed));
            seats.push(SeatSnapshot {
                id,
                role: match role {
                    Role::Producer => "producer",
                    Role::Consumer => "consumer",
                    Role::Observer => "observer",
                },
                group: (role == Role::Consumer).then(|| self.group_name(entry.group)),
                pid: entry.pid,
                alive: self.is_alive(id)?,
                attached_seconds: seconds_since(line.joined_ns.load(Ordering::Relaxed)),
                held_seconds: (held_since != 0).then(|| seconds_since(busy_since)),
                age: summarise(&line.age),
                hold: summarise(&line.hold),
            });
        }
        Ok(seats)
    }

    fn totals(&self) -> BTreeMap<&'static str, u64> {
        let tallies = [
            ("no_slot", Tally::NoSlot),
            ("aborted", Tally::Aborted),
            ("given_back", Tally::GivenBack),
            ("redelivered", Tally::Redelivered),
            ("missing", Tally::Missing),
            ("timed_out", Tally::TimedOut),
            ("forwarded", Tally::Forwarded),
        ];
        let sum = |tally: Tally| {
            (0..SEATS)
                .map(|id| self.line(id).tallies[tally.index()].load(Ordering::Relaxed))
                .fold(0_u64, u64::wrapping_add)
        };
        tallies.into_iter().map(|(name, tally)| (name, sum(tally))).collect()
    }
}

fn summarise(cells: &[AtomicU64; BUCKETS]) -> Option<LatencySummary> {
    let counts = cells.each_ref().map(|cell| cell.load(Ordering::Relaxed));
    #[expect(clippy::cast_precision_loss, reason = "microseconds of hours fit a double")]
    let milliseconds = |share| histogram::percentile(&counts, share).map(|us| us as f64 / 1000.0);
    Some(LatencySummary {
        p50_ms: milliseconds(0.5)?,
        p99_ms: milliseconds(0.99)?,
        count: counts.iter().fold(0, |sum, count| sum.wrapping_add(*count)),
    })
}
