//! One timeline out of many: timestamps that never go back, over reconnects, wraps and jumps of
//! the source's clock.
//!
//! Servers disagree about what a new connection's timestamps mean: SRS starts each player near 0,
//! nginx passes on the publisher's own time. So after a reconnect the expected time is the last one
//! plus the time that has passed; a source within 2 s of that goes on with its own timestamps, any
//! other gets a new offset, once. Within a connection a step back of about 2^24 ms is the wrap of
//! RTMP's 24-bit clock, and any other step of more than 10 s is a discontinuity. Files are taken at
//! their word, as long as their frames are in order.

/// How far a reconnected source may be from the expected time and keep its own timestamps.
const TOLERANCE_NS: i128 = 2_000_000_000;

/// A step of the source's clock that can't be a pause between two frames.
const JUMP_NS: i128 = 10_000_000_000;

/// What RTMP's clock jumps back by when it wraps after 24 bits of milliseconds.
const WRAP_NS: i128 = (1 << 24) * 1_000_000;

/// The least distance between two frames: what the pipe to the encoder can tell apart.
const STEP_NS: i128 = 1_000;

/// A frame's place on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Presentation time in nanoseconds, larger than the one before.
    pub pts_ns: i64,
    /// Whether the source's own clock has jumped, or has started anew.
    pub discontinuity: bool,
}

/// The last frame that was placed.
#[derive(Clone, Copy, Debug)]
struct Last {
    pts_ns: i128,
    received_ns: u64,
}

/// Turns a source's timestamps into one timeline.
#[derive(Debug)]
pub struct Timeline {
    live: bool,
    offset_ns: i128,
    last: Option<Last>,
    reconnected: bool,
}

impl Timeline {
    /// What is added to the source's timestamps now, in nanoseconds.
    pub fn offset_ns(&self) -> i128 {
        self.offset_ns
    }

    /// A timeline that starts wherever the source does.
    pub fn new(live: bool) -> Self {
        Self { live, offset_ns: 0, last: None, reconnected: false }
    }

    /// A timeline that goes on after a frame that an earlier process placed.
    pub fn after(live: bool, pts_ns: i64, received_ns: u64) -> Self {
        let last = Some(Last { pts_ns: i128::from(pts_ns), received_ns });
        Self { live, offset_ns: 0, last, reconnected: true }
    }

    /// Says that the next frame comes from a new connection.
    pub fn reconnect(&mut self) {
        self.reconnected = self.last.is_some();
    }

    /// Places a frame with the source's timestamp `source_ns`, whose first byte arrived at
    /// `received_ns`.
    pub fn place(&mut self, source_ns: i64, received_ns: u64) -> Placed {
        let source_ns = i128::from(source_ns);
        let (pts_ns, discontinuity) = match self.last {
            None => (source_ns + self.offset_ns, true),
            Some(last) => self.follow(last, source_ns, received_ns),
        };
        self.last = Some(Last { pts_ns, received_ns });
        let limits = i128::from(i64::MIN)..=i128::from(i64::MAX);
        let clamped = pts_ns.clamp(*limits.start(), *limits.end());
        Placed { pts_ns: i64::try_from(clamped).expect("clamped to its limits"), discontinuity }
    }

    fn follow(&mut self, last: Last, source_ns: i128, received_ns: u64) -> (i128, bool) {
        let elapsed = i128::from(received_ns.saturating_sub(last.received_ns)).max(STEP_NS);
        let expected = last.pts_ns + elapsed;
        let reconnected = std::mem::take(&mut self.reconnected);
        let step = source_ns + self.offset_ns - last.pts_ns;
        if reconnected {
            if (source_ns + self.offset_ns - expected).abs() > TOLERANCE_NS {
                self.offset_ns = expected - source_ns;
            }
        } else if self.live && step.abs() > JUMP_NS {
            let after_wrap = step + WRAP_NS;
            if after_wrap.abs() <= JUMP_NS {
                self.offset_ns += WRAP_NS;
            } else {
                self.offset_ns = expected - source_ns;
            }
        } else {
            return ((source_ns + self.offset_ns).max(last.pts_ns + STEP_NS), false);
        }
        ((source_ns + self.offset_ns).max(last.pts_ns + STEP_NS), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const FRAME_MS: u64 = 40;

    /// Places frames that arrive 40 ms apart, and tells their times in milliseconds.
    fn place(timeline: &mut Timeline, clock_ms: &mut u64, source_ms: &[i64]) -> Vec<i64> {
        let mut place = |&ms: &i64| {
            *clock_ms += FRAME_MS;
            timeline.place(ms * MS, *clock_ms * 1_000_000).pts_ns / MS
        };
        source_ms.iter().map(&mut place).collect()
    }

    #[test]
    fn timestamps_are_kept_as_they_are() {
        let (mut timeline, mut clock) = (Timeline::new(true), 1000);
        assert_eq!(place(&mut timeline, &mut clock, &[5, 45, 100, 120]), [5, 45, 100, 120]);
    }

    #[test]
    fn a_server_that_starts_anew_at_0_gets_an_offset_and_one_that_goes_on_gets_none() {
        for (source, expected) in [([10, 50], [5120, 5160]), ([5100, 5140], [5100, 5140])] {
            let (mut timeline, mut clock) = (Timeline::new(true), 1000);
            place(&mut timeline, &mut clock, &[0, 80]);
            clock += 5000;
            timeline.reconnect();
            assert_eq!(place(&mut timeline, &mut clock, &source), expected);
        }
    }

    #[test]
    fn the_24_bit_wrap_is_no_jump() {
        let (mut timeline, mut clock) = (Timeline::new(true), 1000);
        let wrap = 1 << 24;
        let times = place(&mut timeline, &mut clock, &[wrap - 40, 0, 40]);
        assert_eq!(times, [wrap - 40, wrap, wrap + 40]);
    }

    #[test]
    fn jumps_of_a_live_source_become_the_time_that_has_passed() {
        for jump in [2_147_483_000, -60_000, 3_600_000] {
            let (mut timeline, mut clock) = (Timeline::new(true), 1000);
            let times =
                place(&mut timeline, &mut clock, &[100_000, 100_000 + jump, 100_040 + jump]);
            assert_eq!(times, [100_000, 100_040, 100_080], "jump of {jump} ms");
        }
    }

    #[test]
    fn a_long_pause_in_a_file_stays_long() {
        let (mut timeline, mut clock) = (Timeline::new(false), 1000);
        assert_eq!(place(&mut timeline, &mut clock, &[0, 60_000]), [0, 60_000]);
    }

    #[test]
    fn small_steps_back_are_flattened() {
        let mut timeline = Timeline::new(true);
        let first = timeline.place(40 * MS, 1).pts_ns;
        let second = timeline.place(39 * MS, 2).pts_ns;
        assert!(second > first && second < first + MS);
    }

    #[test]
    fn a_new_process_goes_on_where_the_last_one_stopped() {
        let mut timeline = Timeline::after(true, 10_000 * MS, 1_000_000_000);
        let placed = timeline.place(0, 3_000_000_000);
        assert_eq!(placed, Placed { pts_ns: 12_000 * MS, discontinuity: true });
    }
}
