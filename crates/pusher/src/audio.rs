//! The audio that goes beside the frames: packets from the audio ring, handed out by time.
//!
//! A packet is held until the frame it belongs to is written, and then packets are written up to
//! *one past* that frame: ffmpeg's muxer writes a frame as soon as it has seen later audio, and
//! would otherwise hold it back for a whole frame's time. Video never waits for audio, and audio
//! for video no longer than the stage is told to.

use std::time::Duration;

use framelane_ring::{
    AudioTrack, Descriptor, DropReason, GroupName, OrderedConsumer, OrderedFrame, Ring, RingError,
    SegmentName, ShmError, Turn,
};

use crate::encoder::{Encoder, SendError};

/// How long the last packets of a stream may take to come.
const LAST_PACKETS: Duration = Duration::from_millis(100);

/// The audio of a stream.
pub(crate) struct Audio {
    packets: OrderedConsumer,
    track: AudioTrack,
    /// Time of the last packet that was taken.
    last_ns: i64,
}

impl Audio {
    /// Joins the audio ring, if there is one and it says what its packets are.
    pub(crate) fn join(ring: &SegmentName, group: &GroupName) -> Result<Option<Self>, RingError> {
        let ring = match Ring::open(ring) {
            Err(RingError::Shm(ShmError::NotFound(_))) => return Ok(None),
            other => other?,
        };
        let descriptor = ring.descriptor()?;
        let Some(Descriptor { audio: Some(track), .. }) = descriptor else { return Ok(None) };
        match OrderedConsumer::join(ring, group) {
            Err(RingError::Shm(ShmError::NotFound(_))) => Ok(None),
            other => Ok(Some(Self { packets: other?, track, last_ns: i64::MIN })),
        }
    }

    /// What a muxer has to know of the packets.
    pub(crate) fn track(&self) -> &AudioTrack {
        &self.track
    }

    /// Whether a packet is there to be taken.
    pub(crate) fn is_ready(&mut self) -> Result<bool, RingError> {
        // A packet that is taken and let go is the next one again.
        Ok(matches!(self.packets.next(Duration::ZERO)?, Turn::Frame(_)))
    }

    /// Writes the packets that have waited for a frame for longer than `max_wait`.
    pub(crate) fn write_overdue(
        &mut self,
        max_wait: Duration,
        start_ns: i64,
        shift_ns: i64,
        encoder: &mut Encoder,
    ) -> Result<(), SendError> {
        loop {
            let Turn::Frame(packet) = self.packets.next(Duration::ZERO)? else { return Ok(()) };
            if packet.age().is_none_or(|age| age < max_wait) {
                return Ok(());
            }
            self.write(packet, start_ns, shift_ns, encoder)?;
        }
    }

    /// Writes the packets that go with a frame at `frame_ns`: those since the stream's first frame
    /// at `start_ns`, up to one past the frame. `shift_ns` is added to their times, as to the
    /// frame's.
    pub(crate) fn write_up_to(
        &mut self,
        frame_ns: i64,
        start_ns: i64,
        shift_ns: i64,
        encoder: &mut Encoder,
    ) -> Result<(), SendError> {
        while self.last_ns <= frame_ns {
            if !self.write_next(start_ns, shift_ns, Duration::ZERO, encoder)? {
                break;
            }
        }
        Ok(())
    }

    /// Writes all that is left of a stream that has ended.
    pub(crate) fn write_rest(
        &mut self,
        start_ns: i64,
        shift_ns: i64,
        encoder: &mut Encoder,
    ) -> Result<(), SendError> {
        while self.write_next(start_ns, shift_ns, LAST_PACKETS, encoder)? {}
        Ok(())
    }

    /// Drops the packets that go with a frame that is not sent.
    pub(crate) fn drop_up_to(&mut self, frame_ns: i64) -> Result<(), RingError> {
        while self.last_ns <= frame_ns {
            let Turn::Frame(packet) = self.packets.next(Duration::ZERO)? else { break };
            self.last_ns = packet.record().pts_ns;
            packet.drop_as(DropReason::Unsent)?;
        }
        Ok(())
    }

    fn write_next(
        &mut self,
        start_ns: i64,
        shift_ns: i64,
        patience: Duration,
        encoder: &mut Encoder,
    ) -> Result<bool, SendError> {
        let Turn::Frame(packet) = self.packets.next(patience)? else { return Ok(false) };
        self.write(packet, start_ns, shift_ns, encoder)?;
        Ok(true)
    }

    fn write(
        &mut self,
        packet: OrderedFrame,
        start_ns: i64,
        shift_ns: i64,
        encoder: &mut Encoder,
    ) -> Result<(), SendError> {
        let pts_ns = packet.record().pts_ns;
        self.last_ns = pts_ns;
        // A muxer starts with the first frame; what is older than that would be a step back.
        if pts_ns < start_ns {
            packet.drop_as(DropReason::Unsent)?;
            return Ok(());
        }
        let time_ns = pts_ns.saturating_add(shift_ns);
        encoder.write_audio(time_ns, packet.bytes())?;
        packet.done()?;
        Ok(())
    }
}
