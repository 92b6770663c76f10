//! Forgetting a group: what an operator does about one that a ring keeps for a reader who won't come
//! back.

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
