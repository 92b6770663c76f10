//! Packets of audio between a decoder and the ring. They wait here until the video has said where on
//! the timeline they belong.
//!
//! Each session has an inlet. Packets come out in the order in which they came in; those of a
//! session that never had a frame don't come out at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use framelane_media::nut::AudioStream;
use framelane_ring::{AudioTrack, monotonic_ns};

/// The largest packet: PCM of many channels stays below it.
pub(crate) const PACKET_BYTES: usize = 32 << 10;
/// What may wait for a place in the ring. A file can have its audio far ahead of its video.
const QUEUE_BYTES: usize = 64 << 20;
/// How long one wait lasts before a thread looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(100);
/// How far ahead of the video a live source's audio may be on the same clock. What is further ahead
/// has seen a jump of the clock that the video has yet to come to.
const AHEAD_NS: i64 = 10_000_000_000;

/// A packet on its way into the ring.
pub(crate) struct Packet {
    session: u64,
    /// Its time at the source.
    pub(crate) source_ns: i64,
    pub(crate) received_ns: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Where a session's video is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) live: bool,
    /// The newest frame's time at the source.
    pub(crate) source_ns: i64,
    /// What is added to such times for those of the timeline.
    pub(crate) offset_ns: i64,
}

#[derive(Default)]
struct State {
    packets: VecDeque<Packet>,
    bytes: usize,
    dropped: u64,
    track: Option<AudioTrack>,
    /// Inlets that may yet say what their packets are.
    unsettled: u32,
    /// What an earlier puller's packets were, while somebody reads them.
    earlier: Option<AudioTrack>,
    /// Where the video of each session is, or was at last.
    places: BTreeMap<u64, Place>,
    /// Whether a packet waits for the video to come as far.
    is_ahead: bool,
    /// Whether no more packets will come.
    ended: bool,
    /// Whether what is queued is not wanted any more.
    abandoned: bool,
}

/// The queue, and who waits at it.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// Says what those who read the ring of an earlier puller were told that its packets are.
    pub(crate) fn set_earlier(&self, earlier: Option<AudioTrack>) {
        self.lock().earlier = earlier;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'state>(&self, state: MutexGuard<'state, State>) -> MutexGuard<'state, State> {
        let waited = self.changed.wait_timeout(state, PATIENCE);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// What the packets are, if that is known.
    pub(crate) fn known_track(&self) -> Option<AudioTrack> {
        self.lock().track.clone()
    }

    /// Waits at most so long for what the packets are: no longer than a session can say it, nor than
    /// `goes_on` holds.
    pub(crate) fn track(
        &self,
        patience: Duration,
        goes_on: impl Fn() -> bool,
    ) -> Option<AudioTrack> {
        let start = Instant::now();
        let mut state = self.lock();
        while state.track.is_none()
            && state.unsettled > 0
            && start.elapsed() < patience
            && goes_on()
        {
            state = self.wait(state);
        }
        state.track.clone()
    }

    /// Says where a session's video is by now.
    pub(crate) fn place(&self, session: u64, place: Place) {
        let mut state = self.lock();
        let oldest = state.packets.front().map_or(session, |packet| packet.session);
        state.places.retain(|session, _| *session >= oldest);
        let before = state.places.insert(session, place);
        if state.is_ahead || before.is_none_or(|before| before.offset_ns != place.offset_ns) {
            self.changed.notify_all();
        }
    }

    /// No more packets will come.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// What is queued is not wanted any more.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.changed.notify_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The next packet, and what is added to its time, once that is known. `None` at the end.
    pub(crate) fn take(&self) -> Option<(Packet, i64)> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return None;
            }
            match state.verdict() {
                Verdict::Take(offset_ns) => return Some((state.pop()?, offset_ns)),
                Verdict::Drop => drop(state.pop()),
                Verdict::Wait if state.ended => return None,
                Verdict::Wait => state = self.wait(state),
            }
        }
    }

    fn put(&self, packet: Packet) {
        let mut state = self.lock();
        state.bytes += packet.bytes.len();
        state.packets.push_back(packet);
        while state.bytes > QUEUE_BYTES && state.pop().is_some() {
            state.dropped += 1;
            if state.dropped.is_power_of_two() {
                let dropped = state.dropped;
                tracing::warn!(dropped, "nobody takes the audio: dropping the oldest");
            }
        }
        self.changed.notify_all();
    }
}

/// What is to become of the oldest packet.
enum Verdict {
    /// It belongs where this is added to its time.
    Take(i64),
    /// There is none, or its place is not known yet.
    Wait,
    /// It has no place, and won't get one.
    Drop,
}

impl State {
    fn verdict(&mut self) -> Verdict {
        self.is_ahead = false;
        let Some(packet) = self.packets.front() else { return Verdict::Wait };
        let later = self.places.keys().any(|session| *session > packet.session);
        let place = self.places.get(&packet.session).copied();
        let ahead_ns =
            |packet: &Packet, place: Place| packet.source_ns.saturating_sub(place.source_ns);
        let on_its_clock =
            place.filter(|place| !place.live || ahead_ns(packet, *place) <= AHEAD_NS);
        // The clock has stepped back, and this one was sent late.
        let is_late = || {
            let mut others = self.packets.iter().skip(1).filter(|it| it.session == packet.session);
            others.any(|it| {
                place.is_some_and(|place| ahead_ns(it, place).saturating_abs() <= AHEAD_NS)
            })
        };
        match on_its_clock {
            Some(place) => Verdict::Take(place.offset_ns),
            None if later || is_late() => Verdict::Drop,
            None => {
                self.is_ahead = place.is_some();
                Verdict::Wait
            }
        }
    }

    fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.bytes.len();
        Some(packet)
    }
}

/// Where the packets of one session go, in their order.
pub(crate) struct Inlet {
    queue: Arc<Queue>,
    session: u64,
    /// Whether they are like those of the sessions before.
    fits: bool,
    /// Whether nobody needs to wait any longer for what they are.
    settled: bool,
}

impl Inlet {
    pub(crate) fn new(queue: Arc<Queue>, session: u64) -> Self {
        queue.lock().unsettled += 1;
        Self { queue, session, fits: false, settled: false }
    }

    fn settle(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.queue.lock().unsettled -= 1;
            self.queue.changed.notify_all();
        }
    }

    /// Says what the packets are. Packets of two kinds can't go into one ring: those of the second
    /// kind are left out.
    pub(crate) fn begin(&mut self, audio: &AudioStream, time_base: (u32, u32)) {
        let track = AudioTrack {
            tag: audio.tag.clone(),
            codec_specific: audio.codec_specific_data.clone(),
            sample_rate: audio.sample_rate,
            channels: audio.channels,
            time_base,
        };
        let mut state = self.queue.lock();
        let told = state.track.as_ref().or(state.earlier.as_ref());
        self.fits = told.is_none_or(|told| is_same(told, &track));
        if self.fits {
            state.track.get_or_insert(track);
        }
        drop(state);
        self.settle();
        if !self.fits {
            tracing::warn!("the source's audio has changed its format: going on without it");
        }
    }

    /// Takes a packet with its time at the source.
    pub(crate) fn put(&mut self, source_ns: i64, bytes: Vec<u8>) {
        if self.fits && bytes.len() > PACKET_BYTES {
            let (bytes, most) = (bytes.len(), PACKET_BYTES);
            tracing::warn!(bytes, most, "packets of audio are too large: going on without it");
            self.fits = false;
        }
        if self.fits {
            let (session, received_ns) = (self.session, monotonic_ns());
            self.queue.put(Packet { session, source_ns, received_ns, bytes });
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Whether packets of both can go into one ring: a muxer is told only once what they are.
fn is_same(one: &AudioTrack, other: &AudioTrack) -> bool {
    AudioTrack { time_base: other.time_base, ..one.clone() } == *other
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    /// A queue that has ended, with a packet a second in each of these sessions.
    fn queue(sessions: &[(u64, std::ops::Range<i64>)]) -> Queue {
        let queue = Queue::default();
        for (session, seconds) in sessions.iter().cloned() {
            for second in seconds {
                let (source_ns, bytes) = (second * S, vec![0]);
                queue.put(Packet { session, source_ns, received_ns: 0, bytes });
            }
        }
        queue.end();
        queue
    }

    fn live(source_s: i64, offset_s: i64) -> Place {
        Place { live: true, source_ns: source_s * S, offset_ns: offset_s * S }
    }

    /// The places of all packets that can be taken now, in seconds.
    fn taken(queue: &Queue) -> Vec<i64> {
        let next = || queue.take().map(|(packet, offset_ns)| (packet.source_ns + offset_ns) / S);
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn packets_wait_for_the_video_to_say_where_they_belong() {
        let queue = queue(&[(1, 0..3)]);
        assert_eq!(taken(&queue), [0; 0]);
        queue.place(1, live(0, 5));
        assert_eq!(taken(&queue), [5, 6, 7]);
    }

    #[test]
    fn audio_that_sees_a_jump_of_the_clock_first_waits_for_the_video_to_see_it() {
        let queue = queue(&[(1, 0..3), (1, 1003..1005)]);
        queue.place(1, live(1, 0));
        assert_eq!(taken(&queue), [0, 1, 2], "not a thousand seconds ahead");
        queue.place(1, live(1003, -1000));
        assert_eq!(taken(&queue), [3, 4]);
    }

    #[test]
    fn audio_from_before_a_step_back_does_not_keep_what_follows_waiting() {
        let queue = queue(&[(1, 8..10), (1, 16777..16778), (1, 0..3)]);
        queue.place(1, live(0, 10));
        assert_eq!(taken(&queue), [18, 19, 10, 11, 12], "but not the one that came late");
    }

    #[test]
    fn the_audio_of_a_file_may_be_far_ahead() {
        let queue = queue(&[(1, 0..60)]);
        queue.place(1, Place { live: false, ..live(0, 0) });
        assert_eq!(taken(&queue).len(), 60);
    }

    #[test]
    fn packets_keep_the_place_of_their_own_session_and_need_one() {
        let queue = queue(&[(1, 8..10), (2, 500..502), (3, 0..2)]);
        queue.place(1, live(9, 0));
        queue.place(3, live(0, 20));
        assert_eq!(taken(&queue), [8, 9, 20, 21], "the second session never had a frame");
    }
}
