//! A seat: the place of one living participant in a ring.
//!
//! A participant's id *is* a kernel lock on a byte of the segment's file. Joining locks a free
//! byte, cleans what its last owner left by the entry it left, and only then writes its own entry.
//! Dropping the seat leaves; death leaves the same for others to clean.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use framelane_shm::{LockFile, ShmError};

use crate::entry::{Entry, Membership, Role};
use crate::failpoint::failpoint;
use crate::group_name::GroupName;
use crate::histogram;
use crate::life::Taker;
use crate::ring::{PATIENCE, Ring};
use crate::{RingError, monotonic_ns};

/// How often everybody looks for the dead, and whether it still lives itself.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A living participant.
#[derive(Debug)]
pub(crate) struct Seat {
    ring: Ring,
    own: LockFile,
    id: u8,
    group: Option<u8>,
    /// Whether a grant is out. There is at most one, so that the journal has one user.
    holding: AtomicBool,
}

impl Seat {
    /// Takes a place as a producer or an observer.
    pub(crate) fn join(ring: Ring, role: Role) -> Result<Self, RingError> {
        let seat = Self::sit_down(ring)?;
        let entry = Entry::new(role, 0, process::id());
        seat.line().entry.store(entry.pack(), Ordering::Release);
        failpoint("join.entered");
        Ok(seat)
    }

    /// Takes a place as a member of a group.
    pub(crate) fn join_group(
        ring: Ring,
        group: &GroupName,
        membership: Membership,
    ) -> Result<Self, RingError> {
        let mut seat = Self::sit_down(ring)?;
        // A dead member of a group that has left keeps the group's old bit from being used.
        seat.ring.reap()?;
        let bit = seat.ring.with_tool(|tool| {
            seat.ring.with_tables(tool, || seat.ring.join_group(tool, seat.id, group, membership))
        })?;
        seat.group = Some(bit);
        Ok(seat)
    }

    /// Locks a free id and cleans up after its last owner.
    fn sit_down(ring: Ring) -> Result<Self, RingError> {
        let own = ring.segment().lock_file()?;
        let id = ring.lock_free_id(&own)?;
        failpoint("join.locked");
        ring.with_tool(|tool| ring.clean_after_death(tool, id, PATIENCE))?;
        failpoint("join.cleaned");
        let line = ring.line(id);
        line.joined_ns.store(monotonic_ns(), Ordering::Relaxed);
        line.output.store(0, Ordering::Relaxed);
        line.age.iter().chain(&line.hold).for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        let holding = AtomicBool::new(false);
        Ok(Self { ring, own, id, group: None, holding })
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn id(&self) -> u8 {
        self.id
    }

    /// The bit of the group that a consumer is a member of.
    pub(crate) fn group(&self) -> Option<u8> {
        self.group
    }

    fn line(&self) -> &crate::layout::SeatLine {
        self.ring.line(self.id)
    }

    /// Locks one more byte that goes with the place; `false` when another participant has it.
    pub(crate) fn try_lock_also(&self, byte: u16) -> Result<bool, RingError> {
        Ok(self.own.try_lock(byte)?)
    }

    /// Reserves the right to hold a slot: one at a time. Called by who has the participant
    /// exclusively; a hold may end on another thread.
    pub(crate) fn hold(self: &Arc<Self>) -> Result<Hold, RingError> {
        if self.ring.segment().lost_by_fork() {
            return Err(ShmError::Forked.into());
        }
        if self.holding.load(Ordering::Acquire) {
            return Err(RingError::StillHolding);
        }
        self.holding.store(true, Ordering::Relaxed);
        Ok(Hold(Arc::clone(self)))
    }

    /// Whether the id is still locked, and by this participant.
    fn is_mine(&self, tool: &LockFile) -> Result<bool, RingError> {
        // A description is granted its own lock again, and nobody else's.
        let byte = u16::from(self.id);
        Ok(tool.held_elsewhere(byte)? && self.own.try_lock(byte).unwrap_or(false))
    }

    /// Whether a grant is out.
    pub(crate) fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Acquire)
    }

    /// Since when a slot is held.
    pub(crate) fn held_since_ns(&self) -> u64 {
        self.line().held_since_ns.load(Ordering::Relaxed)
    }

    /// Notes for how long a slot was held, until `now_ns`.
    pub(crate) fn note_hold(&self, now_ns: u64) {
        histogram::record(&self.line().hold, now_ns.saturating_sub(self.held_since_ns()));
    }

    /// Notes the age that a frame had at a moment, if it is known when it was received.
    pub(crate) fn note_age(&self, received_ns: u64, then_ns: u64) {
        if received_ns != 0 {
            histogram::record(&self.line().age, then_ns.saturating_sub(received_ns));
        }
    }

    /// Looks for the dead, and whether this participant still has its place; every 50 ms at most.
    /// Tells the time.
    pub(crate) fn look_around(&self) -> Result<u64, RingError> {
        if self.ring.segment().lost_by_fork() {
            return Err(ShmError::Forked.into());
        }
        let now_ns = monotonic_ns();
        let last = self.ring.looked_ns.load(Ordering::Relaxed);
        if u128::from(now_ns.saturating_sub(last)) < LOOK_INTERVAL.as_nanos() {
            return Ok(now_ns);
        }
        self.ring.looked_ns.store(now_ns, Ordering::Relaxed);
        if !self.ring.with_tool(|tool| self.is_mine(tool))? {
            return Err(RingError::LostSeat(self.ring.name().to_owned()));
        }
        self.ring.reap()?;
        Ok(monotonic_ns())
    }
}

/// The right of a seat to hold one slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Seat>);

impl Hold {
    pub(crate) fn seat(&self) -> &Seat {
        &self.0
    }

    /// Notes that the holder waits for others: monitors don't take it for one that hangs.
    pub(crate) fn waits(&self) {
        self.0.line().waited_until_ns.store(monotonic_ns(), Ordering::Relaxed);
    }

    /// Notes that a slot is about to be taken: monitors see since when it is held.
    pub(crate) fn starts_at(&self, now_ns: u64) {
        self.0.line().held_since_ns.store(now_ns, Ordering::Relaxed);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.line().held_since_ns.store(0, Ordering::Relaxed);
        self.0.holding.store(false, Ordering::Release);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.ring.segment().lost_by_fork() {
            return;
        }
        // What can't be cleaned now is cleaned by whoever finds the place without a lock.
        let cleaned = self.ring.with_tool(|tool| {
            if self.is_mine(tool)? {
                self.ring.sweep_inactive(tool, self.id, PATIENCE)?;
                self.ring.clean(tool, self.id, PATIENCE)?;
            }
            Ok(())
        });
        self.own.unlock(u16::from(self.id));
        failpoint("leave.unlocked");
        let left = self.ring.reap_and_take_name(Taker::LastOut);
        if let Err(error) = cleaned.and(left) {
            tracing::warn!(ring = self.ring.name(), %error, "leaving the ring was not clean");
        }
    }
}
