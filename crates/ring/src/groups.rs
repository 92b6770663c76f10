//! The table of groups: who sees the frames. It changes only under the tables lock.
//!
//! A group's bit may be taken by another group later, so these rules hold:
//!
//! - Leaving clears the active bit first and the pending bits after.
//! - Taking a bit waits until nobody is at a counted edge with the old meaning of it, clears what is
//!   left of it, and waits again, before it takes the counters as its base and sets the bit active.
//! - Producers without a free slot clear the bits of inactive groups, under the lock.
//! - Who clears a bit leaves out slots that a dead sweeper's journal names: its books come first.

use std::process;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use framelane_shm::LockFile;

use crate::claim::{GROUPS, SEATS};
use crate::entry::{Entry, Membership, Role};
use crate::failpoint::failpoint;
use crate::group_name::{GroupName, words_to_text};
use crate::ring::Ring;
use crate::{Policy, RingError, Seq};

/// What a worker has in its line before it has an output ring.
pub(crate) const NO_OUTPUT_YET: u64 = u64::MAX;

/// What a group that no worker limits has in its `limit`.
pub(crate) const NO_LIMIT: u64 = u64::MAX;

const USED: u64 = 1;
const ORDERED: u64 = 2;
const DURABLE: u64 = 4;

/// How long a producer may take from reading the active groups to publishing, before the bit it
/// has in hand is left alone and another one is tried.
const QUIET_PATIENCE: Duration = Duration::from_millis(100);

impl Ring {
    /// Whether a group of this name is on the ring, or was: its member may have taken frames before.
    /// The name of one that has left is forgotten when all bits have been used by others since.
    pub fn has_known_group(&self, name: &GroupName) -> bool {
        self.bits_of(&name.to_words()).next().is_some()
    }

    pub(crate) fn is_group_used(&self, group: u8) -> bool {
        self.group(group).state.load(Ordering::Acquire) & USED != 0
    }

    pub(crate) fn is_group_ordered(&self, group: u8) -> bool {
        self.group(group).state.load(Ordering::Acquire) & (USED | ORDERED) == USED | ORDERED
    }

    pub(crate) fn is_group_durable(&self, group: u8) -> bool {
        self.group(group).state.load(Ordering::Acquire) & (USED | DURABLE) == USED | DURABLE
    }

    pub(crate) fn group_name(&self, group: u8) -> String {
        words_to_text(&self.group(group).name)
    }

    fn name_words(&self, group: u8) -> [u64; 4] {
        self.group(group).name.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    /// The bit of the group with this name.
    pub(crate) fn find_group(&self, name: &[u64; 4]) -> Option<u8> {
        (0..GROUPS).find(|&group| self.is_group_used(group) && self.name_words(group) == *name)
    }

    /// The bits that a group with this name has, and had.
    pub(crate) fn bits_of(&self, name: &[u64; 4]) -> impl Iterator<Item = u8> {
        (0..GROUPS).filter(|&group| self.name_words(group) == *name)
    }

    /// Whether frames are published to anybody.
    pub(crate) fn has_groups(&self) -> bool {
        self.header().active_groups.load(Ordering::Acquire) & 0xff != 0
    }

    /// Makes participant `id` a member of a group, which is made if it isn't there. The caller
    /// holds the tables lock; `id` is locked and its old owner cleaned up after.
    pub(crate) fn join_group(
        &self,
        tool: &LockFile,
        id: u8,
        name: &GroupName,
        membership: Membership,
    ) -> Result<u8, RingError> {
        let ordered = membership == Membership::Ordered;
        let words = name.to_words();
        let existing = self.find_group(&words);
        let group = match existing {
            Some(group) => {
                self.check_may_join(tool, id, group, name, membership)?;
                group
            }
            None => self.free_group(id, &words)?,
        };
        if existing.is_none() {
            if self.name_words(group) != words {
                self.forget_handing_on(group);
            }
            self.prepare_group(group, &words, ordered)?;
            failpoint("group.prepared");
        }
        match membership {
            // Until it has looked at its output ring: a limit that came later would come too late
            // for frames that were claimed without one.
            Membership::Relaying if existing.is_none() => self.set_limit(group, 0),
            Membership::Relaying => {}
            Membership::Shared | Membership::Ordered => self.set_limit(group, NO_LIMIT),
        }
        match membership {
            Membership::Relaying => {
                self.owe_end(group);
            }
            // The bit was somebody else's before.
            _ if existing.is_none() => self.settle_end(group),
            Membership::Shared | Membership::Ordered => {}
        }
        let output = if membership == Membership::Relaying { NO_OUTPUT_YET } else { 0 };
        self.line(id).output.store(output, Ordering::Release);
        // The entry comes before the group is active: who dies in between is reaped by its entry,
        // and the group with it.
        self.line(id)
            .entry
            .store(Entry::new(Role::Consumer, group, process::id()).pack(), Ordering::Release);
        failpoint("group.entered");
        let durable = if self.policy() == Policy::Block { DURABLE } else { 0 };
        let order = if ordered { ORDERED } else { 0 };
        self.group(group).state.store(USED | order | durable, Ordering::Release);
        failpoint("group.used");
        self.header().active_groups.fetch_or(1 << group, Ordering::SeqCst);
        failpoint("group.active");
        self.ring_producers();
        Ok(group)
    }

    fn check_may_join(
        &self,
        tool: &LockFile,
        id: u8,
        group: u8,
        name: &GroupName,
        membership: Membership,
    ) -> Result<(), RingError> {
        let (ring, group_name) = (self.name().to_owned(), name.to_string());
        let ordered = membership == Membership::Ordered;
        if self.is_group_ordered(group) != ordered {
            let kind = if ordered { "shared by several members" } else { "ordered" };
            return Err(RingError::GroupKind { ring, group: group_name, kind });
        }
        if ordered && let Some(holder) = self.living_member(tool, group, id)? {
            return Err(RingError::GroupTaken { ring, group: group_name, holder });
        }
        // What readers take would be missing in the workers' output.
        let relays = membership == Membership::Relaying;
        let is_other_kind = |id| (self.output_of(id) != 0) != relays;
        if self.find_living_member(tool, group, id, is_other_kind)?.is_some() {
            let kind = if relays { "one of readers" } else { "one of workers" };
            return Err(RingError::GroupKind { ring, group: group_name, kind });
        }
        Ok(())
    }

    /// A bit that no group uses and that no producer is about to publish to: best the one that a
    /// group of this name had before, whose cursor is still there; then one that nobody had; last
    /// one whose group has still to hand the end on.
    fn free_group(&self, id: u8, name: &[u64; 4]) -> Result<u8, RingError> {
        let mut free: Vec<u8> = (0..GROUPS).filter(|&group| !self.is_group_used(group)).collect();
        free.sort_by_key(|&group| match self.name_words(group) {
            words if words == *name => 0,
            _ if self.group_owes_end(group) => 3,
            [0, ..] => 1,
            _ => 2,
        });
        for group in free.into_iter().filter(|&group| !self.has_members(group)) {
            if self.is_quiet(group) {
                self.sweep_group(id, group)?;
                // Counters that are still to be copied belong to the group that was here before.
                if self.is_quiet(group) {
                    return Ok(group);
                }
            }
        }
        Err(RingError::NoGroup(self.name().to_owned()))
    }

    /// Whether any participant, dead or alive, says that it is a member.
    fn has_members(&self, group: u8) -> bool {
        (0..SEATS).any(|id| {
            Entry::unpack(self.line(id).entry.load(Ordering::Acquire)).is_member_of(group)
        })
    }

    /// Waits a moment until nobody is at a counted edge of the group.
    fn is_quiet(&self, group: u8) -> bool {
        // SYNC POINT: `write_down_publish` opens its journal, and then looks at the active groups,
        // both sequentially consistent: it saw that the group has left, or its journal is seen here.
        fence(Ordering::SeqCst);
        let start = Instant::now();
        while self.is_at_an_edge(group) {
            if start.elapsed() >= QUIET_PATIENCE {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Fills in the entry of a group that nobody sees yet.
    fn prepare_group(&self, group: u8, name: &[u64; 4], ordered: bool) -> Result<(), RingError> {
        let entry = self.group(group);
        // A reader that left a live ring may have passed over frames that others still hold: its
        // successor must not take them, or the stream would step back.
        // Its name may have had several bits in turn.
        let passed = (0..GROUPS)
            .filter(|&bit| !self.is_group_used(bit) && self.name_words(bit) == *name)
            .filter_map(|bit| Seq::from_raw(self.group(bit).cursor.load(Ordering::Acquire)))
            .max()
            .unwrap_or(Seq::FIRST);
        for (cell, word) in entry.name.iter().zip(name) {
            cell.store(*word, Ordering::Relaxed);
        }
        for (cell, sum) in entry.base.iter().zip(self.counter_sums(group)) {
            cell.store(sum, Ordering::Relaxed);
        }
        // Asked before the group is active: afterwards frames would already be published to it,
        // and would then count as come and gone.
        let cursor = if ordered {
            self.first_to_come()?.max(passed).max(self.slowest_cursor())
        } else {
            Seq::FIRST
        };
        entry.cursor.store(cursor.raw(), Ordering::Relaxed);
        Ok(())
    }

    /// What every ordered group has behind it: only copies of such frames are still to come.
    fn slowest_cursor(&self) -> Seq {
        let ordered = (0..GROUPS).filter(|&group| self.is_group_ordered(group));
        let cursors = ordered.map(|group| self.group(group).cursor.load(Ordering::Acquire));
        cursors.min().and_then(Seq::from_raw).unwrap_or(Seq::FIRST)
    }

    /// Sets the first seq that members of a group don't claim yet.
    pub(crate) fn set_limit(&self, group: u8, limit: u64) {
        self.group(group).limit.store(limit, Ordering::Release);
    }

    /// The ring that a member publishes to, by the first word of its instance: [`NO_OUTPUT_YET`]
    /// before there is one, 0 for who publishes nothing.
    pub(crate) fn output_of(&self, id: u8) -> u64 {
        self.line(id).output.load(Ordering::Acquire)
    }

    /// The process id of a living member of a group, other than `except`.
    pub(crate) fn living_member(
        &self,
        tool: &LockFile,
        group: u8,
        except: u8,
    ) -> Result<Option<u32>, RingError> {
        self.find_living_member(tool, group, except, |_| true)
    }

    /// The same of one that is `wanted`, by its id.
    pub(crate) fn find_living_member(
        &self,
        tool: &LockFile,
        group: u8,
        except: u8,
        wanted: impl Fn(u8) -> bool,
    ) -> Result<Option<u32>, RingError> {
        for id in (0..SEATS).filter(|&id| id != except && wanted(id)) {
            let entry = Entry::unpack(self.line(id).entry.load(Ordering::Acquire));
            if entry.is_member_of(group) && tool.held_elsewhere(u16::from(id))? {
                return Ok(Some(entry.pid));
            }
        }
        Ok(None)
    }

    /// Ends `id`'s membership: a group that is not durable leaves with its last member. The caller
    /// holds the tables lock.
    pub(crate) fn leave_group(&self, tool: &LockFile, id: u8, group: u8) -> Result<(), RingError> {
        if self.is_group_durable(group) || self.living_member(tool, group, id)?.is_some() {
            return Ok(());
        }
        self.remove_group(id, group)
    }

    /// Takes a group off the ring, whoever its members are. The caller holds the tables lock and
    /// the lock of `id`, in whose line the dropped frames are counted.
    pub(crate) fn remove_group(&self, id: u8, group: u8) -> Result<(), RingError> {
        self.header().active_groups.fetch_and(!(1 << group), Ordering::SeqCst);
        failpoint("group.inactive");
        self.sweep_group(id, group)?;
        failpoint("group.swept");
        self.group(group).state.store(0, Ordering::Release);
        self.ring_producers();
        Ok(())
    }

    /// Clears the pending bits of an inactive group. The caller holds the tables lock.
    fn sweep_group(&self, id: u8, group: u8) -> Result<(), RingError> {
        for slot in 0..self.slots() {
            // What a dead sweeper left is swept by a later look, when its books are settled.
            let sweep =
                self.word(slot).is_pending(group) && !self.is_sweep_unsettled(id, slot, group);
            if sweep && self.sweep_counted(id, slot, group)? {
                self.ring_producers();
            }
        }
        Ok(())
    }

    /// Clears the pending bits of all inactive groups, if there are any: a producer that read the
    /// active groups before one left may have published to it. Waits for the tables lock for at most
    /// `patience`. The caller holds the lock of `id`.
    pub(crate) fn sweep_inactive(
        &self,
        tool: &LockFile,
        id: u8,
        patience: Duration,
    ) -> Result<(), RingError> {
        let inactive = |slot| {
            let active = self.header().active_groups.load(Ordering::Acquire);
            let word = self.word(slot);
            !word.is_writing() && u64::from(word.pending_groups()) & !active != 0
        };
        if !(0..self.slots()).any(inactive) {
            return Ok(());
        }
        self.with_tables_within(tool, patience, || {
            let active = self.header().active_groups.load(Ordering::Acquire);
            (0..GROUPS)
                .filter(|group| active & (1 << group) == 0)
                .try_for_each(|group| self.sweep_group(id, group))
        })
    }
}
