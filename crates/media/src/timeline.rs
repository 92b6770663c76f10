//! One timeline out of many: timestamps that never go back, over reconnects, wraps and jumps of
//! the source's clock.
//!
//! Servers disagree about what a new connection's timestamps mean: SRS starts each player near 0,
//! nginx passes on the publisher's own time. So after a reconnect the expected time is that of the
//! last connection's first frame, plus the time that has passed since: servers start a player in the
//! past, at a key frame, and catch up at once, which must not move the timeline ahead each time. A
//! source within 2 s of the expected time goes on with its own timestamps, any other gets a new
//! offset, once. Within a connection a step back of about 2^24 ms is the wrap of RTMP's 24-bit clock,
//! and any other step of more than 1 s back or 10 s forward is a discontinuity. Files are taken at
//! their word, as long as their frames are in order.

/// How far a reconnected source may be from the expected time and keep its own timestamps.
const TOLERANCE_NS: i128 = 2_000_000_000;

/// A step of the source's clock that can't be a pause between two frames.
const JUMP_NS: i128 = 10_000_000_000;

/// A step back that is more than disorder among frames.
const STEP_BACK_NS: i128 = 1_000_000_000;

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

/// A frame that was placed.
#[derive(Clone, Copy, Debug)]
struct Earlier {
    pts_ns: i128,
    received_ns: u64,
}

impl Earlier {
    /// The time at the moment of a later arrival, as clocks go.
    fn after(self, received_ns: u64) -> i128 {
        let elapsed = i128::from(received_ns.saturating_sub(self.received_ns));
        self.pts_ns + elapsed.max(STEP_NS)
    }
}

/// Turns a source's timestamps into one timeline.
#[derive(Debug)]
pub struct Timeline {
    live: bool,
    offset_ns: i128,
    last: Option<Earlier>,
    /// The source's own time of the last frame.
    last_source_ns: i128,
    /// The first frame of this connection.
    first: Option<Earlier>,
    reconnected: bool,
    /// Whether the new connection's clock may be the last one's.
    same_clock: bool,
}

impl Timeline {
    /// What is added to the source's timestamps now, in nanoseconds.
    pub fn offset_ns(&self) -> i128 {
        self.offset_ns
    }

    /// A timeline that starts wherever the source does.
    pub fn new(live: bool) -> Self {
        Self {
            live,
            offset_ns: 0,
            last: None,
            last_source_ns: 0,
            first: None,
            reconnected: false,
            same_clock: true,
        }
    }

    /// A timeline that goes on after a frame that an earlier process placed.
    pub fn after(live: bool, pts_ns: i64, received_ns: u64) -> Self {
        let last = Some(Earlier { pts_ns: i128::from(pts_ns), received_ns });
        Self {
            live,
            offset_ns: 0,
            last,
            last_source_ns: 0,
            first: last,
            reconnected: true,
            same_clock: true,
        }
    }

    /// Says that the next frame comes from a new connection, whose clock may be the last one's, or
    /// can't be.
    pub fn reconnect(&mut self, same_clock: bool) {
        self.reconnected = self.last.is_some();
        self.same_clock = same_clock;
    }

    /// Places a frame with the source's timestamp `source_ns`, whose first byte arrived at
    /// `received_ns`.
    pub fn place(&mut self, source_ns: i64, received_ns: u64) -> Placed {
        let source_ns = i128::from(source_ns);
        let reconnected = std::mem::take(&mut self.reconnected);
        let (pts_ns, discontinuity) = match (self.last, self.first) {
            (Some(last), Some(first)) if reconnected => {
                self.go_on(last, first, source_ns, received_ns);
                ((source_ns + self.offset_ns).max(last.pts_ns + STEP_NS), true)
            }
            (Some(last), _) => self.follow(last, source_ns, received_ns),
            (None, _) => (source_ns + self.offset_ns, true),
        };
        let placed = Some(Earlier { pts_ns, received_ns });
        if reconnected || self.first.is_none() {
            self.first = placed;
        }
        self.last = placed;
        self.last_source_ns = source_ns;
        let limits = i128::from(i64::MIN)..=i128::from(i64::MAX);
        let clamped = pts_ns.clamp(*limits.start(), *limits.end());
        Placed { pts_ns: i64::try_from(clamped).expect("clamped to its limits"), discontinuity }
    }

    /// Decides at the first frame of a new connection by how much to move its timestamps.
    fn go_on(&mut self, last: Earlier, first: Earlier, source_ns: i128, received_ns: u64) {
        let expected = first.after(received_ns).max(last.pts_ns + STEP_NS);
        let near = (source_ns + self.offset_ns - expected).abs() <= TOLERANCE_NS;
        if !(near && self.same_clock) {
            self.offset_ns = expected - source_ns;
        }
    }

    /// Places a frame within a connection.
    fn follow(&mut self, last: Earlier, source_ns: i128, received_ns: u64) -> (i128, bool) {
        let step = source_ns + self.offset_ns - last.pts_ns;
        let stepped_back = source_ns < self.last_source_ns - STEP_BACK_NS;
        let jumped = self.live && (stepped_back || step.abs() > JUMP_NS);
        if jumped && (step + WRAP_NS).abs() <= JUMP_NS {
            self.offset_ns += WRAP_NS;
        } else if jumped {
            self.offset_ns = last.after(received_ns) - source_ns;
        }
        ((source_ns + self.offset_ns).max(last.pts_ns + STEP_NS), jumped)
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
        for (source, expected) in [([10, 50], [5080, 5120]), ([5100, 5140], [5100, 5140])] {
            let (mut timeline, mut clock) = (Timeline::new(true), 1000);
            place(&mut timeline, &mut clock, &[0, 80]);
            clock += 5000;
            timeline.reconnect(true);
            assert_eq!(place(&mut timeline, &mut clock, &source), expected);
        }
    }

    #[test]
    fn another_source_begins_at_the_time_that_has_passed() {
        let (mut timeline, mut clock) = (Timeline::new(true), 1000);
        place(&mut timeline, &mut clock, &[1_000, 1_040]);
        // A picture that is shown again and again.
        for shown in 1..5 {
            clock += 460;
            timeline.reconnect(false);
            assert_eq!(place(&mut timeline, &mut clock, &[0]), [1_040 + 500 * shown]);
        }
    }

    #[test]
    fn connections_that_start_in_the_past_and_catch_up_do_not_move_the_timeline_ahead() {
        let mut timeline = Timeline::new(true);
        // Each begins with two seconds that come at once, and lasts three more.
        for (start_ms, expected) in [(1_000, 0), (11_000, 10_000), (21_000, 20_000)] {
            let frames = [(0, start_ms), (2_000, start_ms), (5_000, start_ms + 3_000)];
            let times = frames.map(|(source_ms, arrival_ms): (i64, u64)| {
                timeline.place(source_ms * MS, arrival_ms * 1_000_000).pts_ns / MS
            });
            assert_eq!(times, [expected, expected + 2_000, expected + 5_000]);
            timeline.reconnect(true);
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
        for jump in [2_147_483_000, -60_000, 3_600_000, -1_500] {
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
