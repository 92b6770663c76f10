//! What a worker tells its output ring beside the frames: the descriptor, and the end. Both change
//! under the output ring's tables lock, and only while that ring takes its frames from this worker's
//! group.

use std::time::Duration;

use framelane_shm::ShmError;

use super::Relay;
use crate::{RingError, Seq};

/// How long to wait for who holds the tables lock of the output ring, with a frame in hand.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

impl Relay {
    /// Says of the output what the input says of itself, whenever that changes. `false` when that
    /// has to wait for somebody who holds the tables lock.
    pub(super) fn copy_descriptor(&mut self) -> Result<bool, RingError> {
        let (from, to) = (self.input.ring(), self.output.ring());
        let version = from.descriptor_version();
        if version == self.described {
            return Ok(true);
        }
        // Read under the lock: a worker that was slow to write would undo what others have copied.
        let copied = self.with_output_tables(LOCK_PATIENCE, || to.copy_descriptor_of(from))?;
        if copied {
            self.described = version;
        }
        Ok(copied)
    }

    /// Hands the end on, if there is one, unless the output ring takes its frames from somewhere else
    /// by now. `false` when that has to wait for somebody who holds the tables lock.
    pub(super) fn copy_end(&self) -> Result<bool, RingError> {
        self.input.ring().end().map_or(Ok(true), |end| self.hand_on(end))
    }

    #[cold]
    fn hand_on(&self, end: Seq) -> Result<bool, RingError> {
        let (input, output) = (self.input.ring(), self.output.ring());
        input.note_handing_on(self.input.group(), output);
        if output.end().is_none() {
            // Under the lock nobody gives the ring another feed between the look and the end.
            let copied = self.with_output_tables(Duration::ZERO, || {
                output.store_end(self.feed.localise(end));
                Ok(())
            });
            if !copied? {
                return Ok(false);
            }
        }
        input.settle_end(self.input.group());
        Ok(true)
    }

    /// Changes what the output ring says for all of its frames, unless they come from somewhere else
    /// by now. `false` when that has to wait for somebody who holds the tables lock.
    fn with_output_tables(
        &self,
        patience: Duration,
        change: impl FnOnce() -> Result<(), RingError>,
    ) -> Result<bool, RingError> {
        let output = self.output.ring();
        let changed = output.with_tool(|tool| {
            output.with_tables_within(tool, patience, || {
                if output.feed().is_some_and(|feed| feed == self.feed) {
                    return change();
                }
                Ok(())
            })
        });
        match changed {
            Err(RingError::Shm(ShmError::LockHeld { .. })) => Ok(false),
            other => other.map(|()| true),
        }
    }
}
