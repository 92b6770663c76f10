//! Manual-reset flags in shared memory: `raw_sync`'s busy events, looked at and never waited on.
//!
//! A flag stays set until it is cleared, and any process may look at it. `raw_sync` is not used
//! for waiting: its timed waits return early, and its mutex does not survive the death of its
//! owner (docs/adr/0002-doorbells-on-futex.md has the figures).

#![expect(unsafe_code, reason = "raw_sync takes the address of its event")]
// UNSAFETY: the address is one that `Memory::range` has checked for the event's size.

use std::time::Duration;

use raw_sync::Timeout;
use raw_sync::events::{BusyEvent, EventImpl, EventInit, EventState};

use crate::{Memory, OutOfBounds};

/// A flag at a fixed place of a segment.
pub struct Flag<'memory> {
    event: Box<dyn EventImpl + 'memory>,
}

impl std::fmt::Debug for Flag<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flag").field("set", &self.is_set()).finish()
    }
}

impl<'memory> Flag<'memory> {
    /// Bytes that a flag takes.
    pub fn bytes() -> usize {
        BusyEvent::size_of(None)
    }

    /// The flag at `offset`. Zeroed memory is a flag that is not set.
    ///
    /// # Errors
    /// [`OutOfBounds`] when it would not lie within the memory, or when what lies there is no flag.
    pub fn at(memory: &'memory Memory, offset: usize) -> Result<Self, OutOfBounds> {
        let start = memory.range(offset, Self::bytes())?;
        // SAFETY: the range was checked, lives as long as the memory is borrowed, and consists of
        // bytes for which every value is valid.
        let event = unsafe { BusyEvent::from_existing(start.as_ptr()) };
        let bytes = Self::bytes();
        let (event, _) =
            event.map_err(|_| OutOfBounds { offset, bytes, available: memory.bytes() })?;
        Ok(Self { event })
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.event.wait(Timeout::Val(Duration::ZERO)).is_ok()
    }

    /// Sets or clears the flag.
    pub fn set(&self, set: bool) {
        let state = if set { EventState::Signaled } else { EventState::Clear };
        // A busy event's `set` is one store; it has no way to fail.
        let _ = self.event.set(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Segment;

    #[test]
    fn a_flag_stays_set_for_everybody_until_it_is_cleared() {
        let segment = Segment::heap(4096);
        let one = Flag::at(segment.memory(), 64).expect("in bounds");
        let other = Flag::at(segment.memory(), 64).expect("in bounds");
        assert!(!one.is_set());
        other.set(true);
        assert!(one.is_set() && one.is_set());
        one.set(false);
        assert!(!other.is_set());
        assert!(Flag::at(segment.memory(), 4095).is_err());
    }
}
