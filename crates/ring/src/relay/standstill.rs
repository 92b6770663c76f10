//! How a live stream goes on without a worker that sleeps.
//!
//! The window keeps workers near the reader's cursor. One of them may sleep with the frame at the
//! cursor in hand while the source overwrites all others below the limit. Then there is nothing that
//! the others may claim, and so nothing that the reader could pass over the sleeper's frame with.
//!
//! So where the reader has had nothing to go on with for a while, the others claim frames beyond the
//! limit, as long as the output ring has a slot for each frame in hand all the same: those who are
//! only slow, and near the cursor, find theirs. One such frame is enough. When the reader has waited
//! for the older one as long as it does, the cursor jumps, and the window with it.

use std::time::{Duration, Instant};

use super::Relay;
use crate::Policy;

/// How long a reader has had nothing to go on with before a stream stands still: it is longer than
/// others sleep before they look for the dead.
const STANDSTILL: Duration = Duration::from_millis(200);

impl Relay {
    /// Whether the stream has stood still for a while, and there is room to go on. Has to be asked at
    /// every look at the input ring, and told whether all that waits there is beyond the limit, while
    /// no older lineage is still to be finished.
    pub(super) fn has_stood_still(&mut self, is_beyond: bool) -> bool {
        if !is_beyond || !self.stands_still() {
            self.still_since = None;
            return false;
        }
        self.still_since.get_or_insert_with(Instant::now).elapsed() >= STANDSTILL
    }

    fn stands_still(&self) -> bool {
        let output = self.output.ring();
        let (takeable, written) = output.takeable_and_written();
        // Some of those who hold a frame have taken a slot for it already.
        let wanted = self.input.held_by_group().saturating_sub(written);
        output.policy() == Policy::DropOldest && output.starves() && takeable > wanted
    }
}
