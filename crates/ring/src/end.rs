//! The end of a stream, and of a ring.
//!
//! The end is a number: the seq after the last one. The source stores it once; a worker copies it to
//! its output ring as soon as it sees it. Consumers leave when nothing may still arrive, nothing is
//! pending for their group, and nothing is held by it. A ring that has ended and is drained loses
//! its name to the last one out, and never starts again.
//!
//! | who removes a ring | when |
//! |---|---|
//! | the last one out, and who waits for the next stream | it is over, its readers have seen it, and its workers have handed it on |
//! | who makes the next stream's ring | it is over |
//! | `framelane gc` | nobody is attached |

use std::sync::atomic::Ordering;

use framelane_shm::LockFile;

use crate::claim::SEATS;
use crate::failpoint::failpoint;
use crate::feed::Upstream;
use crate::ring::Ring;
use crate::{Policy, RingError, Seq};

impl Ring {
    /// The seq after the last one, once the stream has ended.
    pub fn end(&self) -> Option<Seq> {
        Seq::from_raw(self.header().end.load(Ordering::Acquire))
    }

    /// Stores the end, if nobody has, and tells everybody.
    pub(crate) fn store_end(&self, end: Seq) {
        let stored = self.header().end.compare_exchange(
            Seq::NONE,
            end.raw(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        failpoint("end.stored");
        if stored.is_ok() {
            self.ring_everybody();
        }
    }

    /// Notes that a group has handed the end on, or never will.
    pub(crate) fn settle_end(&self, group: u8) {
        let owing = &self.header().owing_groups;
        if owing.load(Ordering::Acquire) & 1 << group != 0 {
            owing.fetch_and(!(1 << group), Ordering::SeqCst);
        }
        failpoint("end.settled");
    }

    /// Whether some group has yet to hand the end on: this ring alone knows of it then.
    fn owes_end(&self) -> bool {
        self.header().owing_groups.load(Ordering::SeqCst) & 0xff != 0
    }

    /// Whether every slot is free, but for what waits for groups that have left.
    pub(crate) fn is_drained(&self) -> bool {
        let active = self.header().active_groups.load(Ordering::Acquire);
        (0..self.slots()).map(|slot| self.word(slot)).all(|word| {
            let gone = u64::from(word.pending_groups()) & active == 0;
            word.is_free() || (word.is_only_pending() && gone)
        })
    }

    /// Whether the stream has ended, nothing may still arrive, and nothing is left in the slots.
    fn is_over(&self) -> bool {
        let Some(end) = self.end() else { return false };
        let coming = Upstream::default().first_arriving(self, Seq::FIRST);
        coming.is_ok_and(|coming| coming >= end) && self.is_drained()
    }

    /// Whether any participant lives.
    pub(crate) fn is_in_use(&self, tool: &LockFile) -> Result<bool, RingError> {
        for id in 0..SEATS {
            if tool.held_elsewhere(u16::from(id))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the name from a ring that is over for the one who leaves it: it has ended, every slot
    /// is free, nobody is attached, and whoever was to see the end has had a chance to. On a block
    /// ring that is so once there is a group; a stream without a frame may end before. A group that
    /// passes frames on has seen it when it has handed it on.
    pub(crate) fn unlink_if_over(&self, tool: &LockFile) -> Result<bool, RingError> {
        let seen = || self.policy() == Policy::DropOldest || self.has_groups();
        self.unlink_if(tool, || seen() && !self.owes_end() && self.is_over())
    }

    /// Removes a ring that is over for its readers.
    pub(crate) fn remove_if_over(&self) -> Result<bool, RingError> {
        self.reap()?;
        self.with_tool(|tool| self.unlink_if_over(tool))
    }

    /// Removes a ring that a new stream may replace: it has ended, every slot is free, and nobody
    /// is attached.
    pub(crate) fn remove_if_replaceable(&self) -> Result<bool, RingError> {
        self.reap()?;
        self.with_tool(|tool| self.unlink_if(tool, || self.is_over()))
    }

    /// Removes the ring if nobody uses it. Frames that are still in it are lost.
    ///
    /// # Errors
    /// [`RingError`] when the locks can't be asked or the name can't be removed.
    pub fn remove_if_unused(&self) -> Result<bool, RingError> {
        self.with_tool(|tool| self.unlink_if(tool, || true))
    }

    /// Takes the ring's name if nobody is attached and `wanted` still holds then.
    fn unlink_if(&self, tool: &LockFile, wanted: impl Fn() -> bool) -> Result<bool, RingError> {
        if !wanted() {
            return Ok(false);
        }
        self.with_life(tool, || {
            let unlink = !self.is_in_use(tool)? && wanted() && self.segment().is_linked()?;
            if unlink {
                self.segment().unlink()?;
                failpoint("end.unlinked");
            }
            Ok(unlink)
        })
    }
}
