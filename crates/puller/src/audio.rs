//! The audio: packets that the decoder comes across, published to a ring of their own, never
//! decoded.
//!
//! They must be taken whatever happens, or the video stops: an ffmpeg writes both in turn. So they
//! go through an inlet of their session into a queue, which a thread fills that reads ffmpeg's
//! second pipe, or the decoder itself; one publisher thread moves them from there into the ring,
//! on the timeline that the video's frames set.

use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use framelane_media::PatientPipe;
use framelane_media::ffmpeg::source_time_ns;
use framelane_media::nut::{Class, Limits, ReadError, Reader};
use framelane_ring::{
    AudioTrack, Descriptor, Policy, Record, Ring, RingConfig, RingError, SegmentName, Source,
};
use framelane_stage::Shutdown;

use crate::audio_queue::{Inlet, PACKET_BYTES, Packet, Place, Queue};
use crate::slots::attach;
use crate::trouble::Trouble;

/// Slots of the audio ring: some seconds.
const SLOTS: u32 = 128;
/// The largest packet that is worth reading, to say that it is too large.
const READABLE_BYTES: usize = 16 << 20;
/// How long a live source waits for the header that says what the audio is: what comes later is
/// heard later.
const TRACK_TAKES: Duration = Duration::from_secs(1);
/// The same for a file, whose audio is there from the start or not at all.
const TRACK_OF_FILE_TAKES: Duration = Duration::from_secs(5);
/// How long one wait lasts before a thread looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often to look whether the publisher has come to the end.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long packets at the end of a stream wait for a reader when there is none.
const READERLESS: Duration = Duration::from_secs(3);

/// The audio of one puller, over all of its sessions.
pub(crate) struct Audio {
    ring: SegmentName,
    policy: Policy,
    shutdown: Shutdown,
    queue: Arc<Queue>,
    publisher: Option<JoinHandle<()>>,
}

impl Audio {
    pub(crate) fn new(ring: SegmentName, policy: Policy, shutdown: Shutdown) -> Self {
        Self { ring, policy, shutdown, queue: Arc::default(), publisher: None }
    }

    /// Where a session's audio goes.
    pub(crate) fn inlet(&self, session: u64) -> Inlet {
        if self.publisher.is_none() {
            self.queue.set_earlier(track_of_readers(&self.ring));
        }
        Inlet::new(Arc::clone(&self.queue), session)
    }

    /// Waits a moment for what the audio is; then the ring is there.
    ///
    /// # Errors
    /// When the ring can't be made.
    pub(crate) fn track(&mut self, live: bool) -> Result<Option<AudioTrack>, Trouble> {
        let patience = if live { TRACK_TAKES } else { TRACK_OF_FILE_TAKES };
        let track = self.queue.track(patience, || !self.shutdown.requested());
        self.publish()?;
        Ok(track)
    }

    /// Makes the ring once it is known what the audio is, and publishes to it from then on. The ring
    /// of an earlier stream has to lose its last users first.
    ///
    /// # Errors
    /// When the ring can't be made.
    pub(crate) fn publish(&mut self) -> Result<(), Trouble> {
        if self.publisher.is_some() {
            return Ok(());
        }
        let Some(track) = self.queue.known_track() else { return Ok(()) };
        let config = RingConfig {
            slots: SLOTS,
            payload_capacity: PACKET_BYTES,
            meta_capacity: 0,
            policy: self.policy,
        };
        let source = attach(&self.ring, &config, &self.shutdown)?;
        let audio = Some(track);
        source.ring().set_descriptor(&Descriptor { audio, ..Descriptor::default() })?;
        let queue = Arc::clone(&self.queue);
        self.publisher = Some(thread::spawn(move || {
            if let Err(error) = publish(&queue, source) {
                tracing::error!(%error, "the audio can't be published any further");
            }
        }));
        Ok(())
    }

    /// Says where a session's video is by now.
    pub(crate) fn place(&self, session: u64, place: Place) {
        self.queue.place(session, place);
    }

    /// Publishes what is left, unless the puller is asked to stop, and ends the audio's stream.
    pub(crate) fn end(self) {
        self.queue.end();
        self.wait_for_publisher();
    }

    /// Leaves the audio's stream without ending it.
    pub(crate) fn leave(self) {
        self.queue.abandon();
        self.wait_for_publisher();
    }

    fn wait_for_publisher(self) {
        let Some(publisher) = self.publisher else { return };
        while !publisher.is_finished() {
            if self.shutdown.requested() {
                self.queue.abandon();
            }
            thread::sleep(LOOK_INTERVAL);
        }
        // A publisher that panicked has said so; the video is none the worse.
        let _ = publisher.join();
    }
}

/// Reads a session's audio from a pipe from now on, and to its end, whatever is in it: an ffmpeg
/// whose second pipe nobody reads stands still.
pub(crate) fn read_from(
    pipe: PipeReader,
    mut inlet: Inlet,
    shutdown: Shutdown,
) -> Result<(), Trouble> {
    // Silence in the audio is no stall: only the video's frames are waited for.
    let mut pipe = PatientPipe::new(pipe, Duration::MAX, move || shutdown.requested())
        .map_err(|source| Trouble::System { action: "preparing the audio's pipe", source })?;
    thread::spawn(move || {
        if let Err(error) = read_packets(&mut pipe, &mut inlet)
            && !is_end(&error)
        {
            tracing::warn!(%error, "the audio can't be read any further: going on without it");
        }
        // It ends with an error where the puller is asked to stop.
        let _ = io::copy(&mut pipe, &mut io::sink());
    });
    Ok(())
}

/// Moves packets from the pipe into the queue, until the pipe ends.
fn read_packets(pipe: impl Read, inlet: &mut Inlet) -> Result<(), ReadError> {
    let limits = Limits { payload_bytes_max: READABLE_BYTES };
    let mut reader = Reader::open_headers(pipe, limits)?;
    let Some(stream) = reader.streams().first() else { return Ok(()) };
    let Class::Audio(audio) = &stream.class else { return Ok(()) };
    let time_base = stream.time_base;
    inlet.begin(audio, (time_base.numerator(), time_base.denominator()));
    while let Some(packet) = reader.next_packet()? {
        let mut bytes = vec![0; packet.payload_bytes];
        reader.read_payload(&mut bytes)?;
        inlet.put(source_time_ns(packet.pts_ns), bytes);
    }
    Ok(())
}

/// Whether the pipe has ended in the middle of something: the video tells why.
fn is_end(error: &ReadError) -> bool {
    match error {
        ReadError::Truncated => true,
        ReadError::Io(error) => error.kind() == io::ErrorKind::ConnectionAborted,
        _ => false,
    }
}

/// Moves packets from the queue into the ring, until the end.
fn publish(queue: &Queue, mut source: Source) -> Result<(), RingError> {
    // Readers that an earlier puller left have got so far.
    let earlier = if has_readers(source.ring())? { source.last_frame() } else { None };
    let mut last_ns = earlier.map_or(i64::MIN, |(pts_ns, _)| pts_ns);
    while let Some((packet, offset_ns)) = queue.take() {
        // Rings need rising times, and so do muxers; a packet that steps back belongs to what a
        // reconnect has repeated.
        let pts_ns = packet.source_ns.saturating_add(offset_ns);
        if pts_ns <= last_ns {
            continue;
        }
        if !publish_packet(queue, &mut source, &packet, pts_ns)? {
            break;
        }
        last_ns = pts_ns;
    }
    if queue.has_ended() {
        source.end();
    }
    Ok(())
}

/// Publishes one packet as soon as there is room. `false` when nobody is there to make room.
fn publish_packet(
    queue: &Queue,
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
        let late = queue.has_ended() && start.elapsed() > READERLESS;
        if queue.is_abandoned() || (late && !has_readers(source.ring())?) {
            return Ok(false);
        }
    }
}

fn has_readers(ring: &Ring) -> Result<bool, RingError> {
    Ok(ring.snapshot()?.groups.iter().any(|group| group.members > 0))
}

/// What those who read the ring of an earlier puller were told that the packets are, if there are
/// any.
fn track_of_readers(ring: &SegmentName) -> Option<AudioTrack> {
    let ring = Ring::open(ring).ok().filter(|ring| ring.end().is_none())?;
    let is_read = has_readers(&ring).unwrap_or(false);
    ring.descriptor().ok().flatten().filter(|_| is_read)?.audio
}
