//! What a ring is made with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RingError;
use crate::layout::Plan;

const MOST_SLOTS: u32 = 1024;
const LARGEST_PAYLOAD: usize = 1 << 30;
const LARGEST_META: usize = 1 << 20;

/// What a producer does when every slot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It waits: nothing is lost, and groups are durable.
    Block,
    /// It overwrites the oldest frame that nobody holds: the stream stays live.
    DropOldest,
}

impl Policy {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Block => 0,
            Self::DropOldest => 1,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::Block, Self::DropOldest].into_iter().find(|policy| policy.code() == code)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::DropOldest => "drop-oldest",
        })
    }
}

impl FromStr for Policy {
    type Err = RingError;

    fn from_str(text: &str) -> Result<Self, RingError> {
        [Self::Block, Self::DropOldest]
            .into_iter()
            .find(|policy| policy.to_string() == text)
            .ok_or_else(|| {
                RingError::BadConfig(format!("'{text}' is no policy: use block or drop-oldest"))
            })
    }
}

/// What a ring is made with. It can't be changed afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// Slots, 1 to 1024. An output ring wants as many as there are workers, and two more.
    pub slots: u32,
    /// The largest payload, in bytes, up to 1 GiB.
    pub payload_capacity: usize,
    /// The most metadata that can travel with a frame, in bytes, up to 1 MiB.
    pub meta_capacity: usize,
    /// What producers do when every slot is taken.
    pub policy: Policy,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            slots: 8,
            payload_capacity: 1920 * 1080 * 3,
            meta_capacity: 4096,
            policy: Policy::DropOldest,
        }
    }
}

impl RingConfig {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`RingError::BadConfig`] naming the first number that is outside of them.
    pub fn check(&self) -> Result<(), RingError> {
        let complaint = if !(1..=MOST_SLOTS).contains(&self.slots) {
            format!("{} slots are outside 1 to {MOST_SLOTS}", self.slots)
        } else if !(1..=LARGEST_PAYLOAD).contains(&self.payload_capacity) {
            format!(
                "a payload of {} bytes is outside 1 to {LARGEST_PAYLOAD}",
                self.payload_capacity
            )
        } else if self.meta_capacity > LARGEST_META {
            format!("{} bytes of metadata are more than {LARGEST_META}", self.meta_capacity)
        } else {
            return Ok(());
        };
        Err(RingError::BadConfig(complaint))
    }

    /// Bytes that a ring takes in shared memory.
    ///
    /// # Errors
    /// [`RingError::BadConfig`] when it can't be made.
    pub fn segment_bytes(&self) -> Result<usize, RingError> {
        Ok(Plan::new(self)?.segment_bytes)
    }
}
