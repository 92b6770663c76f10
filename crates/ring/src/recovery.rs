//! Cleaning up after the dead, in one place.
//!
//! Who cleans holds the dead one's lock and works *as* the dead one, in its line: it settles its
//! books first, then its slots, then its group, and frees its entry last. Every step can be done
//! again, so a cleaner that dies leaves the rest to the next one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use framelane_shm::{LockFile, ShmError};

use crate::RingError;
use crate::books::Tally;
use crate::claim::SEATS;
use crate::entry::{Entry, Role};
use crate::failpoint::failpoint;
use crate::life::Taker;
use crate::ring::Ring;
use crate::seq::Seq;

impl Ring {
    /// Looks for participants that died, and cleans up after them. Tells whether the ring has lost
    /// its name with the last of them.
    pub(crate) fn reap(&self) -> Result<bool, RingError> {
        let mut locked = false;
        let cleaned = self.with_tool(|tool| self.clean_all(tool, &mut locked));
        // The last one out may have left meanwhile, and taken this for somebody who stays.
        let taken = locked && self.with_tool(|tool| self.take_name(tool, Taker::LastOut))
            .unwrap_or_else(|error| {
                tracing::warn!(ring = self.name(), %error, "the ring's name may be left behind");
                false
            });
        cleaned.map(|()| taken)
    }

    /// Cleans up after all who are dead, and notes whether it has locked anybody's id.
    fn clean_all(&self, tool: &LockFile, locked: &mut bool) -> Result<(), RingError> {
        for id in 0..SEATS {
            if !self.has_left_something(id) || !tool.try_lock(u16::from(id))? {
                continue;
            }
            *locked = true;
            let cleaned = self.clean_after_death(tool, id, Duration::ZERO);
            tool.unlock(u16::from(id));
            match cleaned {
                Ok(()) => {}
                // The next look will do: the frames of others must not wait for a lock.
                Err(RingError::Shm(ShmError::LockHeld { .. })) => {
                    let ring = self.name();
                    tracing::debug!(ring, id, "the dead have to wait for the tables lock");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn has_left_something(&self, id: u8) -> bool {
        let line = self.line(id);
        line.entry.load(Ordering::Acquire) != 0 || line.journal_edge.load(Ordering::Acquire) != 0
    }

    /// Cleans up after the last owner of `id`, as [`clean`](Self::clean) does, and warns of its
    /// death. Whoever left in order has left nothing.
    pub(crate) fn clean_after_death(
        &self,
        tool: &LockFile,
        id: u8,
        patience: Duration,
    ) -> Result<(), RingError> {
        if !self.has_left_something(id) {
            return Ok(());
        }
        let pid = Entry::unpack(self.line(id).entry.load(Ordering::Acquire)).pid;
        self.clean(tool, id, patience)?;
        let ring = self.name();
        tracing::warn!(ring, pid, participant = id, "cleaned up after a dead process");
        Ok(())
    }

    /// Cleans up after the last owner of `id`, whose lock the caller holds: a dead one, or one that
    /// leaves in order. Waits for the tables lock for at most `patience`.
    pub(crate) fn clean(
        &self,
        tool: &LockFile,
        id: u8,
        patience: Duration,
    ) -> Result<(), RingError> {
        let line = self.line(id);
        let entry = Entry::unpack(line.entry.load(Ordering::Acquire));
        self.settle(id);
        for slot in 0..self.slots() {
            if self.word(slot).is_held_by(id) {
                self.take_back(id, slot, entry)?;
            }
        }
        self.header().producers_bell.forget(id);
        self.header().group_bells.iter().for_each(|bell| bell.forget(id));
        line.held_since_ns.store(0, Ordering::Relaxed);
        if entry.role == Some(Role::Consumer) {
            // The entry goes under the same lock: of two members that leave at once, the second
            // must not find the first still there.
            self.with_tables_within(tool, patience, || {
                self.leave_group(tool, id, entry.group)?;
                line.entry.store(0, Ordering::Release);
                Ok(())
            })?;
        }
        line.entry.store(0, Ordering::Release);
        failpoint("clean.entry");
        Ok(())
    }

    /// Frees one slot that a dead participant held.
    fn take_back(&self, id: u8, slot: u32, entry: Entry) -> Result<(), RingError> {
        if self.word(slot).is_writing() {
            return self.discard(id, slot);
        }
        if entry.role == Some(Role::Consumer) && self.is_group_used(entry.group) {
            if self.swing(slot, |word| word.give_back(id, entry.group))?.is_some() {
                failpoint("requeue.edge");
                self.tally(id, Tally::Redelivered, 1);
                self.ring_group(entry.group);
            }
        } else if self.swing(slot, |word| word.release(id))?.is_some() {
            self.ring_producers();
        }
        Ok(())
    }

    /// Gives up a slot that was not written to the end.
    pub(crate) fn discard(&self, id: u8, slot: u32) -> Result<(), RingError> {
        if !self.is_written_by(slot, id) {
            return Ok(());
        }
        // The seq goes first: a free slot with a seq holds that frame, whole.
        self.record(slot).seq.store(Seq::NONE, Ordering::Release);
        failpoint("discard.wiped");
        if self.swing(slot, |word| word.abort(id))?.is_some() {
            failpoint("discard.edge");
            self.tally(id, Tally::Aborted, 1);
            // A seq may have become one that can no longer arrive: readers look, too.
            self.ring_producers();
            self.ring_groups(0xff);
        }
        Ok(())
    }
}
