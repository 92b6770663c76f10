//! What is to be heard beside the frames: the source's audio, silence, or nothing.
//!
//! It is decided when a stream starts. A live stream that started without the source's audio gets
//! it later, as a new stream, since no protocol adds a track to a running one.

use std::time::{Duration, Instant};

use framelane_media::ffmpeg::{AudioMode, OutputKind};
use framelane_ring::{AudioTrack, GroupName, Ring, RingError, SegmentName};

use crate::audio::Audio;
use crate::encoder::{Encoder, SendError, SoundFormat};
use crate::silence::{PACKET, Silence};

/// How often to look for audio that has started late.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Samples that an encoder of AAC puts before the first one; they must not lie before the first
/// frame.
const AAC_PRIMING: i64 = 1024;

/// What is heard in the running stream.
enum Heard {
    Nothing,
    Source,
    Silence(Silence),
}

/// The sound of one pusher, over all of its streams.
pub(crate) struct Sound {
    ring: SegmentName,
    group: GroupName,
    output: OutputKind,
    /// Whether silence is wanted where the source has no audio.
    silent: bool,
    audio: Option<Audio>,
    /// When audio was last looked for.
    looked: Instant,
    heard: Heard,
    /// Audio before this is not sent, in the ring's own time.
    start_ns: i64,
    /// What is added to times, as to those of the frames.
    shift_ns: i64,
}

impl Sound {
    pub(crate) fn new(
        ring: SegmentName,
        group: GroupName,
        output: OutputKind,
        silent: bool,
    ) -> Self {
        Self {
            ring,
            group,
            output,
            silent,
            audio: None,
            looked: Instant::now(),
            heard: Heard::Nothing,
            start_ns: 0,
            shift_ns: 0,
        }
    }

    /// The sound that goes with the frames of a ring from now on, where `running` is that of the
    /// stream that runs.
    pub(crate) fn format(
        &mut self,
        frames: &Ring,
        running: Option<&SoundFormat>,
    ) -> Result<SoundFormat, RingError> {
        let live = self.output.is_live();
        if let Some(running) = running {
            let may_change = live && !matches!(self.heard, Heard::Source);
            if !may_change || self.looked.elapsed() < LOOK_AGAIN {
                return Ok(running.clone());
            }
        }
        self.looked = Instant::now();
        if self.audio.is_none() {
            self.audio = self.join(frames, running.is_some())?;
        }
        let instead = if self.silent { SoundFormat::Silence } else { SoundFormat::Nothing };
        let Some(audio) = &mut self.audio else { return Ok(instead) };
        let track = audio.track().clone();
        let mode = self.mode(&track);
        // An encoder of audio can't start before its first packet, and the frames would wait.
        let Some(audio) = self.audio.as_mut().filter(|_| live && mode == AudioMode::Aac) else {
            return Ok(SoundFormat::Source(track, mode));
        };
        Ok(if audio.is_ready()? { SoundFormat::Source(track, mode) } else { instead })
    }

    fn mode(&self, track: &AudioTrack) -> AudioMode {
        let carried = self.output.carries(&track.tag, track.sample_rate);
        if carried { AudioMode::Copy } else { AudioMode::Aac }
    }

    /// Joins the audio ring, if the source has one. A second pusher waits for its turn like
    /// anybody.
    fn join(&self, frames: &Ring, runs: bool) -> Result<Option<Audio>, RingError> {
        if frames.descriptor()?.is_none_or(|descriptor| descriptor.audio.is_none()) {
            return Ok(None);
        }
        match Audio::join(&self.ring, &self.group) {
            Err(error @ RingError::GroupTaken { .. }) => {
                if !runs {
                    tracing::warn!(%error, "going on without audio");
                }
                Ok(None)
            }
            other => other,
        }
    }

    /// Starts with a stream whose first frame is at `pts_ns`.
    pub(crate) fn begin(&mut self, format: &SoundFormat, pts_ns: i64, shift_ns: i64) {
        self.start_ns = pts_ns;
        self.shift_ns = shift_ns;
        self.heard = match format {
            SoundFormat::Nothing => Heard::Nothing,
            SoundFormat::Silence => Heard::Silence(Silence::new(pts_ns.saturating_add(shift_ns))),
            SoundFormat::Source(track, mode) => {
                if *mode == AudioMode::Aac {
                    let rate = i64::from(track.sample_rate.max(1));
                    self.start_ns = pts_ns.saturating_add(AAC_PRIMING * 1_000_000_000 / rate);
                }
                Heard::Source
            }
        };
    }

    /// Writes what goes with a frame at `frame_ns`.
    pub(crate) fn write_up_to(
        &mut self,
        frame_ns: i64,
        encoder: &mut Encoder,
    ) -> Result<(), SendError> {
        match (&mut self.heard, &mut self.audio) {
            (Heard::Source, Some(audio)) => {
                audio.write_up_to(frame_ns, self.start_ns, self.shift_ns, encoder)
            }
            (Heard::Silence(silence), _) => {
                let time_ns = frame_ns.saturating_add(self.shift_ns);
                for packet_ns in silence.times_up_to(time_ns) {
                    encoder.write_audio(packet_ns, &PACKET)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes the packets that have waited for their frame for longer than `max_wait`.
    pub(crate) fn write_overdue(
        &mut self,
        max_wait: Duration,
        encoder: &mut Encoder,
    ) -> Result<(), SendError> {
        match (&self.heard, &mut self.audio) {
            (Heard::Source, Some(audio)) => {
                audio.write_overdue(max_wait, self.start_ns, self.shift_ns, encoder)
            }
            _ => Ok(()),
        }
    }

    /// Writes all that is left of a stream that has ended.
    pub(crate) fn write_rest(&mut self, encoder: &mut Encoder) -> Result<(), SendError> {
        match (&self.heard, &mut self.audio) {
            (Heard::Source, Some(audio)) => audio.write_rest(self.start_ns, self.shift_ns, encoder),
            _ => Ok(()),
        }
    }

    /// Drops the packets that go with a frame that is not sent.
    pub(crate) fn drop_up_to(&mut self, frame_ns: i64) -> Result<(), RingError> {
        self.audio.as_mut().map_or(Ok(()), |audio| audio.drop_up_to(frame_ns))
    }
}
