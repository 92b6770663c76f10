//! What a participant is: its role, how it takes part in a group, and what its line says of it.

/// What a participant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Observer,
}

/// How a participant takes part in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// It shares the frames with the other members.
    Shared,
    /// The same, but it passes the frames on, and claims no more than its output ring has room for.
    Relaying,
    /// It is the only member, and takes the frames in order.
    Ordered,
}

/// What a participant's line says of it, in one atomic word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `None` when the place is free, or when the word makes no sense.
    pub(crate) role: Option<Role>,
    pub(crate) group: u8,
    /// As the participant sees itself; informational, since it may live in another namespace.
    pub(crate) pid: u32,
}

impl Entry {
    pub(crate) fn new(role: Role, group: u8, pid: u32) -> Self {
        Self { role: Some(role), group, pid }
    }

    pub(crate) fn pack(self) -> u64 {
        let role = match self.role {
            None => 0,
            Some(Role::Producer) => 1,
            Some(Role::Consumer) => 2,
            Some(Role::Observer) => 3,
        };
        role | (u64::from(self.group) << 8) | (u64::from(self.pid) << 32)
    }

    pub(crate) fn unpack(raw: u64) -> Self {
        let role = match raw & 0xff {
            1 => Some(Role::Producer),
            2 => Some(Role::Consumer),
            3 => Some(Role::Observer),
            _ => None,
        };
        let group = u8::try_from((raw >> 8) & 7).expect("3 bits are left");
        Self { role, group, pid: u32::try_from(raw >> 32).expect("32 bits are left") }
    }

    pub(crate) fn is_member_of(self, group: u8) -> bool {
        self.role == Some(Role::Consumer) && self.group == group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_unpack_to_what_was_packed() {
        for role in [Role::Producer, Role::Consumer, Role::Observer] {
            let entry = Entry::new(role, 7, u32::MAX);
            assert_eq!(Entry::unpack(entry.pack()), entry);
        }
        assert_eq!(Entry::unpack(0).role, None);
        assert_eq!(Entry::unpack(0xff).role, None);
    }
}
