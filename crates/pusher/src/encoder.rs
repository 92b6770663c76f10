//! One running ffmpeg that encodes, and the writing end of its pipe.

use std::io;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use framelane_conversion::{Conversion, ConversionError};
use framelane_frame::{Colour, FrameRate, Geometry};
use framelane_media::ffmpeg::{
    AudioMode, Child, ChildCommand, ChildError, ChildFailure, EncodeOptions, FailureKind, Ffmpeg,
    find_encoder,
};
use framelane_media::nut::{AudioStream, TimeBase, VideoParameters, WriteError, Writer};
use framelane_media::{PatientPipe, Secrets};
use framelane_ring::{AudioTrack, RingError};
use framelane_stage::{ExitStatus, Failure, Shutdown};

use crate::output::{is_on_disk, is_recording};
use crate::silence::Silence;

/// What ffmpeg is told of a stream whose frame rate nobody knows: encoders plan by it.
const USUAL_RATE: u32 = 25;

/// How long the encoder may take nothing before it counts as hung: longer than it takes to notice
/// a frozen server by itself.
const STALL: Duration = Duration::from_secs(8);
/// The same for a file: disks that sleep and remote ones take their time, and nobody watches.
const RECORDING_STALL: Duration = Duration::from_secs(60);

/// How long ffmpeg may take to flush and end once its input has ended, when asked to stop. A live
/// output gets as long as it may be hung, and a file is waited for.
const ENDING_TAKES: Duration = Duration::from_millis(1500);
/// How long somebody who asks a pusher to stop may have to wait for the end of a recording.
const RECORDING_ENDS: Duration = Duration::from_secs(4);
/// How often the end is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What can go wrong with an encoder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncoderError {
    /// ffmpeg could not be started.
    #[error(transparent)]
    Start(ChildError),
    /// ffmpeg ended.
    #[error(transparent)]
    Ended(Box<ChildFailure>),
    /// ffmpeg takes nothing any more.
    #[error("the encoder has taken nothing for {0:?}")]
    Stalled(Duration),
    /// The output is the very file that the frames come from.
    #[error("it is the file that is being read: it would be lost; write to another one")]
    IsSource,
    /// A frame can't be written.
    #[error("a frame can't be written")]
    Frame(#[source] WriteError),
    /// A frame can't be converted.
    #[error(transparent)]
    Conversion(ConversionError),
    /// The system.
    #[error("preparing ffmpeg's pipe")]
    System(#[source] io::Error),
    /// The stage is asked to stop.
    #[error("asked to stop")]
    Stopped,
}

impl EncoderError {
    /// Whether what was sent is not all on disk, because there is no room.
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Ended(failure) if failure.kind() == FailureKind::DiskFull)
    }
}

/// What can go wrong on the way from a ring to the encoder.
#[derive(Debug)]
pub(crate) enum SendError {
    Ring(RingError),
    Encoder(EncoderError),
}

impl From<RingError> for SendError {
    fn from(error: RingError) -> Self {
        Self::Ring(error)
    }
}

impl From<EncoderError> for SendError {
    fn from(error: EncoderError) -> Self {
        Self::Encoder(error)
    }
}

/// The name of an encoder of H.264 that works here.
pub(crate) fn choose_encoder(ffmpeg: &Ffmpeg) -> Result<String, Failure> {
    let found = find_encoder(ffmpeg).ok_or_else(|| {
        let text = "no encoder of H.264 works here: install an ffmpeg with libx264";
        Failure::new(ExitStatus::Ffmpeg, anyhow!(text))
    })?;
    tracing::info!(codec = found, "this encoder works here");
    Ok(found.to_owned())
}

/// What a stream is made with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamFormat {
    pub(crate) geometry: Geometry,
    pub(crate) sample_aspect: (u32, u32),
    pub(crate) frame_rate: Option<FrameRate>,
    pub(crate) colour: Colour,
    pub(crate) sound: SoundFormat,
}

impl StreamFormat {
    /// The usual time from one frame to the next.
    pub(crate) fn frame_interval(&self) -> Duration {
        let usual = FrameRate::new(USUAL_RATE, 1).expect("a rate that can be");
        let rate = self.frame_rate.unwrap_or(usual);
        Duration::from_secs_f64(1.0 / rate.per_second().max(1.0))
    }
}

/// What is to be heard in a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SoundFormat {
    Nothing,
    /// The source's packets, and what becomes of them.
    Source(AudioTrack, AudioMode),
    Silence,
}

impl SoundFormat {
    /// What ffmpeg has to do with the packets.
    pub(crate) fn mode(&self) -> Option<AudioMode> {
        match self {
            Self::Nothing => None,
            Self::Source(_, mode) => Some(*mode),
            Self::Silence => Some(AudioMode::Copy),
        }
    }

    /// What a muxer has to know of the packets.
    fn track(&self) -> Option<AudioTrack> {
        match self {
            Self::Nothing => None,
            Self::Source(track, _) => Some(track.clone()),
            Self::Silence => Some(Silence::track()),
        }
    }
}

/// A running encoder.
pub(crate) struct Encoder {
    child: Child,
    writer: Option<Writer<PatientPipe<'static>>>,
    conversion: Option<Conversion>,
    format: StreamFormat,
    audio_time_base: Option<TimeBase>,
    /// How long it may take nothing.
    patience: Duration,
    /// Whether nobody has to take what it writes, and so nobody can hang.
    on_disk: bool,
    /// Whether what it writes is kept.
    keeps: bool,
}

impl Encoder {
    /// Starts ffmpeg and writes the headers.
    pub(crate) fn start(
        ffmpeg: &Ffmpeg,
        options: &EncodeOptions,
        format: StreamFormat,
        secrets: &Secrets,
        shutdown: &Shutdown,
    ) -> Result<Self, EncoderError> {
        let mut command = ChildCommand::new(ffmpeg.program())
            .args(options.args(ffmpeg))
            .socket_stdin()
            .secrets(secrets.clone());
        let keeps = is_recording(&options.output);
        if keeps {
            // Without its index an MP4 can't be played.
            command = command.finishes_when_orphaned();
        }
        let mut child = command.spawn().map_err(EncoderError::Start)?;
        let stdin = child.take_stdin().expect("stdin was asked for");
        let stop = shutdown.clone();
        let patience = if keeps { RECORDING_STALL } else { STALL };
        let pipe = PatientPipe::new(stdin, patience, move || stop.requested())
            .map_err(EncoderError::System)?;
        let usual = FrameRate::new(USUAL_RATE, 1).expect("a rate that can be");
        let colour = options.picture_colour();
        let conversion = colour.and_then(|colour| Conversion::new(options.geometry, colour));
        let video = VideoParameters {
            geometry: conversion.as_ref().map_or(format.geometry, Conversion::pictures),
            sample_aspect: format.sample_aspect,
            frame_rate: format.frame_rate.unwrap_or(usual),
        };
        let track = format.sound.track();
        let time_base =
            track.as_ref().and_then(|track| TimeBase::new(track.time_base.0, track.time_base.1));
        let audio = track.as_ref().zip(time_base).map(|(track, time_base)| {
            let stream = AudioStream {
                tag: track.tag.clone(),
                sample_rate: track.sample_rate,
                channels: track.channels,
                codec_specific_data: track.codec_specific.clone(),
            };
            (stream, time_base)
        });
        match Writer::create(pipe, &video, audio.as_ref().map(|(stream, base)| (stream, *base))) {
            Ok(writer) => Ok(Self {
                child,
                writer: Some(writer),
                conversion,
                format,
                audio_time_base: time_base,
                patience,
                on_disk: is_on_disk(&options.output),
                keeps,
            }),
            Err(error) => Err(explain(&mut child, patience, error)),
        }
    }

    /// What the stream was made with.
    pub(crate) fn format(&self) -> &StreamFormat {
        &self.format
    }

    /// Whether ffmpeg is still there. It may end without anything having been written to it.
    pub(crate) fn check(&mut self) -> Result<(), EncoderError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(EncoderError::Ended(Box::new(self.child.failure()))),
        }
    }

    /// Writes a frame.
    pub(crate) fn write_frame(&mut self, pts_ns: i64, frame: &[u8]) -> Result<(), EncoderError> {
        let Some(writer) = &mut self.writer else { return Err(EncoderError::Stopped) };
        let piped = match &mut self.conversion {
            Some(conversion) => conversion.read_frame(frame).map_err(EncoderError::Conversion)?,
            None => frame,
        };
        writer
            .write_video(pts_ns, piped)
            .map_err(|error| explain(&mut self.child, self.patience, error))
    }

    /// Writes an audio packet.
    pub(crate) fn write_audio(&mut self, pts_ns: i64, bytes: &[u8]) -> Result<(), EncoderError> {
        let ticks = self.audio_time_base.and_then(|base| base.from_ns(pts_ns));
        let (Some(writer), Some(ticks)) = (&mut self.writer, ticks) else { return Ok(()) };
        writer
            .write_audio(ticks, bytes)
            .map_err(|error| explain(&mut self.child, self.patience, error))
    }

    /// Ends the stream, and waits until ffmpeg has written everything: on disk as long as that
    /// takes, unless `hurry` says not to.
    pub(crate) fn finish(&mut self, hurry: impl Fn() -> bool) -> Result<(), EncoderError> {
        // Dropping the writer closes the pipe, which is how ffmpeg learns that it was all.
        self.writer = None;
        let start = Instant::now();
        let mut hurried = None;
        let takes = if self.keeps { RECORDING_ENDS } else { ENDING_TAKES };
        while hurried.is_none_or(|since: Instant| since.elapsed() < takes) {
            if hurried.is_none() && (hurry() || (!self.on_disk && start.elapsed() >= STALL)) {
                hurried = Some(Instant::now());
            }
            match self.child.wait_timeout(LOOK_INTERVAL) {
                Ok(Some(status)) if status.success() => return self.check_written(),
                Ok(None) => {}
                _ => return Err(EncoderError::Ended(Box::new(self.child.failure()))),
            }
        }
        if self.keeps {
            tracing::warn!("ffmpeg is still writing: it finishes by itself");
            self.child.leave();
        } else {
            // What ffmpeg could not send in time is lost, as it would be without a stop.
            tracing::warn!("ffmpeg did not send the end of the stream in time");
            let _ = self.child.kill();
        }
        Ok(())
    }

    /// Whether a recording is whole: ffmpeg calls it a success when the disk was full at the end.
    fn check_written(&mut self) -> Result<(), EncoderError> {
        let failure = self.child.failure();
        if self.keeps && failure.kind() == FailureKind::DiskFull {
            return Err(EncoderError::Ended(Box::new(failure)));
        }
        Ok(())
    }

    /// After an error: what was written of a recording is finished, if ffmpeg still can.
    pub(crate) fn rescue(mut self) {
        if self.keeps && matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.finish(|| true);
        }
    }
}

/// Replaces what the pipe looks like by what ffmpeg says happened.
fn explain(child: &mut Child, patience: Duration, error: WriteError) -> EncoderError {
    match &error {
        WriteError::Io(cause) if cause.kind() == io::ErrorKind::TimedOut => {
            EncoderError::Stalled(patience)
        }
        WriteError::Io(cause) if cause.kind() == io::ErrorKind::ConnectionAborted => {
            EncoderError::Stopped
        }
        _ if error.is_broken_pipe() => {
            // It is on its way out: let it say why.
            let _ = child.wait_timeout(ENDING_TAKES);
            EncoderError::Ended(Box::new(child.failure()))
        }
        _ => EncoderError::Frame(error),
    }
}
