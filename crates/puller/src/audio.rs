//! The audio: packets that the decoder comes across, published to a ring of their own, never
//! decoded.
//!
//! They must be taken whatever happens, or the video stops: an ffmpeg writes both in turn. So they
//! go through an inlet of their session into a queue, which a thread fills that reads ffmpeg's
//! second pipe, or the decoder itself; one publisher thread moves them from there into the ring,
//! on the timeline that the video's frames set.

use std::collections::VecDeque;
use std::io::PipeReader;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use framelane_media::PatientPipe;
use framelane_media::nut::{AudioStream, Class, Limits, Reader};
use framelane_ring::{
    AudioTrack, Descriptor, Policy, Record, RingConfig, RingError, SegmentName, Source,
    monotonic_ns,
};
use framelane_stage::Shutdown;

use crate::process::source_time_ns;

/// The largest packet: PCM of many channels stays below it.
const PACKET_BYTES: usize = 32 << 10;
/// Slots of the audio ring: some seconds.
const SLOTS: u32 = 128;
/// What may wait for a place in the ring. A file can have its audio far ahead of its video.
const QUEUE_BYTES: usize = 64 << 20;
/// How long to wait for the first packet, which says what the audio is.
const TRACK_TAKES: Duration = Duration::from_secs(1);
/// How long one wait lasts before a thread looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long packets at the end of a stream wait for a reader when there is none.
const READERLESS: Duration = Duration::from_secs(3);

/// A packet on its way into the ring.
struct Packet {
    session: u64,
    source_ns: i64,
    received_ns: u64,
    bytes: Vec<u8>,
}

/// What the threads share.
#[derive(Default)]
struct State {
    queue: VecDeque<Packet>,
    queued_bytes: usize,
    dropped: u64,
    track: Option<AudioTrack>,
    /// The newest session whose place on the timeline is known, and what is added to its times.
    placed: Option<(u64, i64)>,
    /// Whether no more packets will come.
    ended: bool,
    /// Whether what is queued is not wanted any more.
    abandoned: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'state>(&self, state: MutexGuard<'state, State>) -> MutexGuard<'state, State> {
        let waited = self.changed.wait_timeout(state, PATIENCE);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The audio of one puller, over all of its sessions.
pub(crate) struct Audio {
    ring: SegmentName,
    policy: Policy,
    shared: Arc<Shared>,
    publisher: Option<JoinHandle<()>>,
}

impl Audio {
    pub(crate) fn new(ring: SegmentName, policy: Policy) -> Self {
        Self { ring, policy, shared: Arc::default(), publisher: None }
    }

    /// Where a session's audio goes.
    pub(crate) fn inlet(&self, session: u64) -> Inlet {
        Inlet { shared: Arc::clone(&self.shared), session, fits: false }
    }

    /// Reads a session's audio from a pipe from now on.
    pub(crate) fn read_from(&self, pipe: PipeReader, session: u64, shutdown: &Shutdown) {
        let (inlet, stop) = (self.inlet(session), shutdown.clone());
        thread::spawn(move || {
            if let Err(error) = read(inlet, pipe, stop) {
                tracing::warn!(%error, "the audio can't be read any further");
            }
        });
    }

    /// Waits a moment for what the audio is; then the ring is there.
    ///
    /// # Errors
    /// When the ring can't be made.
    pub(crate) fn track(&mut self) -> Result<Option<AudioTrack>, RingError> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        while state.track.is_none() && start.elapsed() < TRACK_TAKES {
            state = self.shared.wait(state);
        }
        let track = state.track.clone();
        drop(state);
        self.publish()?;
        Ok(track)
    }

    /// Makes the ring once it is known what the audio is, and publishes to it from then on.
    ///
    /// # Errors
    /// When the ring can't be made.
    pub(crate) fn publish(&mut self) -> Result<(), RingError> {
        if self.publisher.is_some() {
            return Ok(());
        }
        let Some(track) = self.shared.lock().track.clone() else { return Ok(()) };
        let config = RingConfig {
            slots: SLOTS,
            payload_capacity: PACKET_BYTES,
            meta_capacity: 0,
            policy: self.policy,
        };
        let source = Source::attach(&self.ring, &config)?;
        let audio = Some(track);
        source.ring().set_descriptor(&Descriptor { audio, ..Descriptor::default() })?;
        let shared = Arc::clone(&self.shared);
        self.publisher = Some(thread::spawn(move || {
            if let Err(error) = publish(&shared, source) {
                tracing::error!(%error, "the audio can't be published any further");
            }
        }));
        Ok(())
    }

    /// Says where a session is on the timeline: what its video's timestamps are moved by.
    pub(crate) fn place(&self, session: u64, offset_ns: i128) {
        let offset_ns = i64::try_from(offset_ns).unwrap_or(0);
        let mut state = self.shared.lock();
        if state.placed != Some((session, offset_ns)) {
            state.placed = Some((session, offset_ns));
            self.shared.changed.notify_all();
        }
    }

    /// Publishes what is left, and ends the audio's stream.
    pub(crate) fn end(self) {
        self.finish(|state| state.ended = true);
    }

    /// Leaves the audio's stream without ending it.
    pub(crate) fn leave(self) {
        self.finish(|state| state.abandoned = true);
    }

    fn finish(self, mark: impl FnOnce(&mut State)) {
        mark(&mut self.shared.lock());
        self.shared.changed.notify_all();
        if let Some(publisher) = self.publisher {
            // A publisher that panicked has said so; the video is none the worse.
            let _ = publisher.join();
        }
    }
}

/// Where the packets of one session go, in their order.
pub(crate) struct Inlet {
    shared: Arc<Shared>,
    session: u64,
    /// Whether they are like those of the sessions before.
    fits: bool,
}

impl Inlet {
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
        self.fits = is_same(self.shared.lock().track.get_or_insert_with(|| track.clone()), &track);
        self.shared.changed.notify_all();
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
            enqueue(&self.shared, Packet { session, source_ns, received_ns, bytes });
        }
    }
}

/// Moves packets from the pipe into the queue, until the pipe ends.
fn read(mut inlet: Inlet, pipe: PipeReader, shutdown: Shutdown) -> anyhow::Result<()> {
    // Silence in the audio is no stall: only the video's frames are waited for.
    let pipe = PatientPipe::new(pipe, Duration::MAX, move || shutdown.requested())?;
    let limits = Limits { payload_bytes_max: PACKET_BYTES };
    let Ok(mut reader) = Reader::open_headers(pipe, limits) else { return Ok(()) };
    let Some(Class::Audio(audio)) = reader.streams().first().map(|stream| stream.class.clone())
    else {
        return Ok(());
    };
    let time_base = reader.streams()[0].time_base;
    inlet.begin(&audio, (time_base.numerator(), time_base.denominator()));
    while let Some(packet) = reader.next_packet()? {
        let mut bytes = vec![0; packet.payload_bytes];
        reader.read_payload(&mut bytes)?;
        inlet.put(source_time_ns(packet.pts_ns), bytes);
    }
    Ok(())
}

/// Whether packets of both can go into one ring: a muxer is told only once what they are.
fn is_same(one: &AudioTrack, other: &AudioTrack) -> bool {
    AudioTrack { time_base: other.time_base, ..one.clone() } == *other
}

fn enqueue(shared: &Shared, packet: Packet) {
    let mut state = shared.lock();
    state.queued_bytes += packet.bytes.len();
    state.queue.push_back(packet);
    while state.queued_bytes > QUEUE_BYTES {
        let Some(oldest) = state.queue.pop_front() else { break };
        state.queued_bytes -= oldest.bytes.len();
        state.dropped += 1;
        if state.dropped.is_power_of_two() {
            tracing::warn!(dropped = state.dropped, "nobody takes the audio: dropping the oldest");
        }
    }
    shared.changed.notify_all();
}

/// Moves packets from the queue into the ring, until the end.
fn publish(shared: &Shared, mut source: Source) -> Result<(), RingError> {
    let mut last_ns = i64::MIN;
    while let Some((packet, offset_ns)) = next_packet(shared) {
        // Rings need rising times, and so do muxers; a packet that steps back belongs to what a
        // reconnect has repeated.
        let pts_ns = packet.source_ns.saturating_add(offset_ns);
        if pts_ns <= last_ns {
            continue;
        }
        if !publish_packet(shared, &mut source, &packet, pts_ns)? {
            break;
        }
        last_ns = pts_ns;
    }
    if shared.lock().ended {
        source.end();
    }
    Ok(())
}

/// The next packet whose place on the timeline is known. `None` at the end.
fn next_packet(shared: &Shared) -> Option<(Packet, i64)> {
    let mut state = shared.lock();
    loop {
        if state.abandoned {
            return None;
        }
        let placed = state.placed;
        let offset = state.queue.front().and_then(|packet| {
            placed.filter(|(session, _)| *session >= packet.session).map(|(_, offset)| offset)
        });
        if let Some(offset_ns) = offset
            && let Some(packet) = state.queue.pop_front()
        {
            state.queued_bytes -= packet.bytes.len();
            return Some((packet, offset_ns));
        }
        if state.ended {
            return None;
        }
        state = shared.wait(state);
    }
}

/// Publishes one packet as soon as there is room. `false` when nobody is there to make room.
fn publish_packet(
    shared: &Shared,
    source: &mut Source,
    packet: &Packet,
    pts_ns: i64,
) -> Result<bool, RingError> {
    let start = Instant::now();
    loop {
        if let Some(mut grant) = source.acquire(PATIENCE)? {
            grant.bytes_mut()[..packet.bytes.len()].copy_from_slice(&packet.bytes);
            let payload_bytes = packet.bytes.len();
            let received_ns = packet.received_ns;
            grant.commit(Record { pts_ns, received_ns, payload_bytes, ..Record::default() })?;
            return Ok(true);
        }
        let (abandoned, ended) = {
            let state = shared.lock();
            (state.abandoned, state.ended)
        };
        let forsaken = ended && start.elapsed() > READERLESS && !has_readers(source)?;
        if abandoned || forsaken {
            return Ok(false);
        }
    }
}

fn has_readers(source: &Source) -> Result<bool, RingError> {
    Ok(source.ring().snapshot()?.groups.iter().any(|group| group.members > 0))
}
