//! Groups that go without their members: one that an operator forgets, since its reader won't come
//! back, and one whose first worker was refused. Frames would wait for either.

use crate::RingError;
use crate::entry::Role;
use crate::group_name::GroupName;
use crate::ring::Ring;
use crate::seat::Seat;

impl Ring {
    /// Removes a group that has no member and won't come back; what waited for it is dropped.
    ///
    /// # Errors
    /// [`RingError::UnknownGroup`] when there is no such group, [`RingError::GroupTaken`] when it
    /// has a living member.
    pub fn forget_group(self, name: &GroupName) -> Result<(), RingError> {
        let seat = Seat::join(self, Role::Observer)?;
        let ring = seat.ring();
        ring.with_tool(|tool| {
            ring.with_tables(tool, || {
                let (ring_name, group_name) = (ring.name().to_owned(), name.to_string());
                let Some(group) = ring.find_group(&name.to_words()) else {
                    return Err(RingError::UnknownGroup { ring: ring_name, group: group_name });
                };
                match ring.living_member(tool, group, seat.id())? {
                    Some(holder) => {
                        Err(RingError::GroupTaken { ring: ring_name, group: group_name, holder })
                    }
                    None => {
                        ring.settle_end(group);
                        ring.remove_group(seat.id(), group)
                    }
                }
            })
        })
    }
}

/// How to take back the group that a worker is about to make, should it be refused by its output
/// ring.
#[derive(Debug)]
pub(crate) struct Withdrawal {
    ring: Ring,
    group: GroupName,
    /// Whether members of an earlier group of this name have yet to hand the end on.
    owed_before: bool,
}

impl Withdrawal {
    /// Of a worker that joins now; `None` when there is such a group already.
    pub(crate) fn of(ring: &Ring, group: &GroupName) -> Result<Option<Self>, RingError> {
        let words = group.to_words();
        if ring.find_group(&words).is_some() {
            return Ok(None);
        }
        let owed_before = ring.bits_of(&words).any(|bit| ring.group_owes_end(bit));
        Ok(Some(Self { ring: ring.reopen()?, group: group.clone(), owed_before }))
    }

    /// Takes the group back, unless others are in it by now. The worker has left before.
    pub(crate) fn carry_out(self) {
        let (name, group) = (self.ring.name().to_owned(), self.group.clone());
        if let Err(error) = self.try_to() {
            tracing::warn!(ring = name, %group, %error, "the group may be left behind");
        }
    }

    fn try_to(self) -> Result<(), RingError> {
        let seat = Seat::join(self.ring, Role::Observer)?;
        let ring = seat.ring();
        ring.with_tool(|tool| {
            ring.with_tables(tool, || {
                for group in ring.bits_of(&self.group.to_words()) {
                    if ring.living_member(tool, group, seat.id())?.is_some() {
                        continue;
                    }
                    if !self.owed_before {
                        ring.settle_end(group);
                    }
                    if ring.is_group_used(group) {
                        ring.remove_group(seat.id(), group)?;
                    }
                }
                Ok(())
            })
        })
    }
}
