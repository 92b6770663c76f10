//! The end of a stream, and of a ring.
//!
//! The end is a number: the seq after the last one. The source stores it once; any worker copies it
//! to its output ring before it leaves. Consumers read it before they look for frames, and leave
//! when nothing is pending for their group and nothing is held by it. A ring that has ended and is
//! drained loses its name to the last one out, and never starts again.

use std::sync::atomic::Ordering;

use framelane_shm::LockFile;

use crate::claim::{SEATS, Word};
use crate::ring::Ring;
use crate::{RingError, Seq};

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
        if stored.is_ok() {
            self.ring_everybody();
        }
    }

    /// Whether every slot is free.
    pub(crate) fn is_drained(&self) -> bool {
        (0..self.slots()).all(|slot| self.word(slot) == Word::FREE)
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

    /// Takes the name from a ring that has ended, is drained, and has no participant any more.
    pub(crate) fn unlink_if_over(&self, tool: &LockFile) -> Result<bool, RingError> {
        if self.end().is_none() {
            return Ok(false);
        }
        self.with_life(tool, || {
            let over = !self.is_in_use(tool)? && self.is_drained() && self.segment().is_linked()?;
            if over {
                self.segment().unlink()?;
            }
            Ok(over)
        })
    }

    /// Removes the ring if nobody uses it. Frames that are still in it are lost.
    ///
    /// # Errors
    /// [`RingError`] when the locks can't be asked or the name can't be removed.
    pub fn remove_if_unused(&self) -> Result<bool, RingError> {
        self.with_tool(|tool| {
            self.with_life(tool, || {
                let unused = !self.is_in_use(tool)? && self.segment().is_linked()?;
                if unused {
                    self.segment().unlink()?;
                }
                Ok(unused)
            })
        })
    }

    /// Removes a ring that is over: ended, drained, and left by everybody (the last one out may
    /// have been killed before it could).
    pub(crate) fn remove_if_over(&self) -> Result<bool, RingError> {
        self.reap()?;
        self.with_tool(|tool| self.unlink_if_over(tool))
    }
}
