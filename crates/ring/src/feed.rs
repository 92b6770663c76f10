//! What may still come: the answer that lets an ordered group pass over a missing frame.
//!
//! A ring's *feed* is the ring and group that its producers take their frames from, named by
//! instance, since a name alone may lead to a successor. A frame on its way is first numbered by
//! the source, then in a slot of the feed, then in a slot of the ring itself. It is asked for in
//! that order: the other way round, a frame that moves between two looks would be taken for lost.

use std::sync::atomic::{AtomicU64, Ordering};

use framelane_shm::{LockFile, ShmError};

use crate::failpoint::failpoint;
use crate::group_name::{GroupName, text_to_words, words_to_text};
use crate::layout::{Header, SOURCE_BYTE};
use crate::ring::Ring;
use crate::seqlock::{self, Content};
use crate::{RingError, Seq};

/// Rings in a row: enough for any chain of workers, and an end to a circle of lies.
const LONGEST_CHAIN: u32 = 16;

/// No participant's id.
const NOBODY: u8 = u8::MAX;

/// Where a ring's frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    pub(crate) ring: String,
    pub(crate) instance: [u64; 2],
    pub(crate) group: [u64; 4],
    /// The lineage here of frames whose lineage in the feed is 0.
    pub(crate) lineage: u16,
}

impl Feed {
    /// The feed that a new ring starts with.
    pub(crate) fn of(ring: &Ring, group: &GroupName) -> Self {
        Self {
            ring: ring.name().to_owned(),
            instance: ring.instance(),
            group: group.to_words(),
            lineage: 0,
        }
    }

    /// Whether both are the same group of the same ring, in whatever lineage.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.instance == other.instance && self.group == other.group
    }

    /// The seq here of a frame with seq `upstream` in the feed.
    pub(crate) fn localise(&self, upstream: Seq) -> Seq {
        Seq::new(self.lineage.saturating_add(upstream.lineage()), upstream.number())
    }

    /// The first seq in the feed that comes here as `local` or later.
    fn upstream_of(&self, local: Seq) -> Seq {
        match local.lineage().checked_sub(self.lineage) {
            Some(lineage) => Seq::new(lineage, local.number()),
            None => Seq::FIRST,
        }
    }

    pub(crate) fn write(&self, header: &Header) {
        let store = |cells: &[AtomicU64], words: &[u64]| {
            cells.iter().zip(words).for_each(|(cell, word)| cell.store(*word, Ordering::Relaxed));
        };
        seqlock::write(&header.feed_version, || {
            failpoint("feed.odd");
            header.feed_lineage.store(u64::from(self.lineage), Ordering::Relaxed);
            store(&header.feed_instance, &self.instance);
            store(&header.feed_group, &self.group);
            store(&header.feed_ring, &text_to_words::<13>(&self.ring));
        });
        failpoint("feed.written");
    }
}

impl Ring {
    /// The feed, if there is one and it can be read.
    pub(crate) fn feed(&self) -> Option<Feed> {
        match self.read_feed() {
            Content::Whole(feed) => Some(feed),
            Content::Unwritten | Content::Changing => None,
        }
    }

    /// What the ring says of its feed: nothing, when its frames come from outside.
    fn read_feed(&self) -> Content<Feed> {
        let header = self.header();
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        seqlock::read(&header.feed_version, || Feed {
            ring: words_to_text(&header.feed_ring),
            instance: header.feed_instance.each_ref().map(load),
            group: header.feed_group.each_ref().map(load),
            lineage: u16::try_from(load(&header.feed_lineage)).unwrap_or(u16::MAX),
        })
    }

    /// Whether the frames come from another ring, rather than from a source.
    pub(crate) fn has_feed(&self) -> bool {
        self.header().feed_version.load(Ordering::Relaxed) != 0
    }

    /// Opens the ring that this ring's producers take their frames from; `None` when there is none,
    /// or when it is gone.
    ///
    /// # Errors
    /// As [`Ring::open`], but for a ring that isn't there.
    pub fn open_feed(&self) -> Result<Option<Self>, RingError> {
        self.feed().map_or(Ok(None), |feed| self.open_ring_of(&feed))
    }

    fn open_ring_of(&self, feed: &Feed) -> Result<Option<Self>, RingError> {
        match Self::open(&self.segment_name().sibling(&feed.ring)?) {
            Ok(ring) => Ok(Some(ring).filter(|ring| ring.instance() == feed.instance)),
            Err(RingError::Shm(ShmError::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes `feed` the ring's feed, in a lineage of its own unless it is the feed already. Tells
    /// that lineage.
    pub(crate) fn adopt_feed(&self, mut feed: Feed) -> Result<u16, RingError> {
        self.with_tool(|tool| {
            self.with_tables(tool, || {
                self.check_feed(tool, &feed)?;
                let old = match self.read_feed() {
                    Content::Whole(old) if old.is_same(&feed) => return Ok(old.lineage),
                    Content::Whole(old) => Some(old.lineage),
                    // Under the lock nobody is changing it: its writer died half-way.
                    Content::Changing => {
                        let raw = self.header().feed_lineage.load(Ordering::Relaxed);
                        Some(u16::try_from(raw).unwrap_or(u16::MAX))
                    }
                    Content::Unwritten => None,
                };
                if let Some(old) = old {
                    let highest = self.highest_seq().map_or(0, Seq::lineage);
                    let newest = highest.max(self.next_seq().lineage()).max(old);
                    feed.lineage = newest.saturating_add(1);
                }
                feed.write(self.header());
                self.ring_everybody();
                Ok(feed.lineage)
            })
        })
    }

    /// Whether the ring may get its frames from `feed`: nobody else feeds it, and it has not ended.
    pub(crate) fn check_feed(&self, tool: &LockFile, feed: &Feed) -> Result<(), RingError> {
        let ring = || self.name().to_owned();
        match self.read_feed() {
            Content::Whole(old) if old.is_same(feed) => Ok(()),
            // Another stream's frames come too late.
            _ if self.end().is_some() => Err(RingError::Ended(ring())),
            Content::Whole(old) if self.is_still_fed_by(&old)? => {
                Err(RingError::HasFeed { ring: ring(), feed: old.ring })
            }
            Content::Unwritten if tool.held_elsewhere(SOURCE_BYTE)? => {
                Err(RingError::SourceTaken(ring()))
            }
            Content::Whole(_) | Content::Unwritten | Content::Changing => Ok(()),
        }
    }

    /// Whether workers live that publish to this ring what they take from `feed`.
    fn is_still_fed_by(&self, feed: &Feed) -> Result<bool, RingError> {
        let upstream = match self.open_ring_of(feed) {
            Ok(Some(upstream)) => upstream,
            // Something else has the name by now.
            Ok(None)
            | Err(
                RingError::NotARing(..)
                | RingError::LayoutVersion { .. }
                | RingError::Corrupt { .. },
            ) => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(group) = upstream.find_group(&feed.group) else { return Ok(false) };
        let publishes_here = |id| upstream.output_of(id) == self.instance()[0];
        upstream.with_tool(|tool| {
            Ok(upstream.find_living_member(tool, group, NOBODY, publishes_here)?.is_some())
        })
    }

    /// The first seq that a new ordered group has to wait for.
    pub(crate) fn first_to_come(&self) -> Result<Seq, RingError> {
        Upstream::default().first_arriving(self, Seq::FIRST)
    }
}

/// The rings upstream of one ring, opened when they are first asked.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    feed: Option<(Feed, Ring, Box<Upstream>)>,
    depth: u32,
}

impl Upstream {
    /// The smallest seq from `from` on that may still arrive at `ring`. Whatever is below it and
    /// not in a slot of `ring`, looked at afterwards, never comes.
    pub(crate) fn first_arriving(&mut self, ring: &Ring, from: Seq) -> Result<Seq, RingError> {
        let feed = match ring.read_feed() {
            Content::Whole(feed) => feed,
            // The ring's own source numbers its frames: everything from `next` on is to come.
            Content::Unwritten => return Ok(from.max(ring.next_seq())),
            Content::Changing => return Ok(from),
        };
        self.follow(ring, &feed)?;
        let Some((_, upstream, above)) = self.feed.as_mut() else {
            // The feed is gone, and all of it is settled. Another one would be a new lineage.
            return Ok(from.max(Seq::new(feed.lineage.saturating_add(1), 0)));
        };
        let wanted = feed.upstream_of(from);
        let to_come = above.first_arriving(upstream, wanted)?;
        let in_slots = upstream.find_group(&feed.group).and_then(|group| {
            (0..upstream.slots())
                .filter(|&slot| upstream.is_in_group(slot, group))
                .filter_map(|slot| upstream.seq(slot))
                .filter(|&seq| seq >= wanted)
                .min()
        });
        let first = in_slots.map_or(to_come, |seq| seq.min(to_come));
        Ok(from.max(feed.localise(first)))
    }

    /// Looks for dead participants upstream: who waits for a frame may wait for what one of them
    /// held.
    pub(crate) fn reap(&self) -> Result<(), RingError> {
        match &self.feed {
            Some((_, ring, above)) => ring.reap().and_then(|_| above.reap()),
            None => Ok(()),
        }
    }

    /// Wakes one of those who feed a ring and have nothing to do, where others wait for them to hand
    /// the limit on: who waits for a frame does not see that a cursor further down has moved.
    pub(crate) fn wake_idle(&self) {
        let Some((feed, ring, above)) = &self.feed else { return };
        if ring.has_feed()
            && ring.header().producers_bell.waiters() != 0
            && let Some(group) = ring.find_group(&feed.group)
        {
            ring.ring_group(group);
        }
        above.wake_idle();
    }

    /// Opens the feed, unless it is open; closes it when its name is gone or leads elsewhere, and
    /// nobody is left who could still pass its frames on: without a name, nobody comes anew.
    fn follow(&mut self, ring: &Ring, feed: &Feed) -> Result<(), RingError> {
        if let Some((open, upstream, _)) = &self.feed
            && open.is_same(feed)
        {
            // One that lost its name because it was over still says what is true.
            let over = upstream.end().is_some() && upstream.is_empty();
            if over || upstream.can_be_reached()? {
                return Ok(());
            }
        }
        self.feed = None;
        if self.depth >= LONGEST_CHAIN {
            return Err(ring.corrupt(format!("more than {LONGEST_CHAIN} rings feed each other")));
        }
        let name = ring.segment_name().sibling(&feed.ring)?;
        let upstream = match Ring::open(&name) {
            Ok(upstream) if upstream.instance() == feed.instance => upstream,
            // Nothing has the name, or something else has.
            Ok(_)
            | Err(
                RingError::Shm(ShmError::NotFound(_))
                | RingError::NotARing(..)
                | RingError::LayoutVersion { .. }
                | RingError::Corrupt { .. },
            ) => return Ok(()),
            // Whether it is there can't be told now: it must not count as gone.
            Err(error) => return Err(error),
        };
        let above = Self { feed: None, depth: self.depth + 1 };
        self.feed = Some((feed.clone(), upstream, Box::new(above)));
        Ok(())
    }
}
