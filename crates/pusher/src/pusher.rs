//! The pusher itself: frames in order, one encoder at a time, and the encoder started anew when it
//! or its server fails. The ring, the timeline and this process outlive both.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use framelane_media::ffmpeg::{EncodeOptions, FailureKind, Ffmpeg, OutputKind};
use framelane_media::{Secrets, Timeline};
use framelane_ring::{
    DropReason, OrderedConsumer, OrderedFrame, Policy, Record, RingError, Seq, Turn,
};
use framelane_stage::{Backoff, ExitStatus, Failure, Shutdown, audio_ring, forget_audio};

use crate::args::Arguments;
use crate::encoder::{Encoder, EncoderError, SendError, StreamFormat, choose_encoder};
use crate::join::{Joined, join};
use crate::output::{beside, check_codec, is_recording, is_same, to_go_on};
use crate::sound::Sound;
use crate::starve::{OnStarve, Starvation};

/// How long one wait for a frame lasts before the pusher looks whether it is asked to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// An encoder that has run for so long was a good one: the next failure is a new one.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// The name of a codec that stands for one that works.
const AUTO: &str = "auto";

struct Pusher {
    args: Arguments,
    ffmpeg: Ffmpeg,
    secrets: Secrets,
    shutdown: Shutdown,
    frames: OrderedConsumer,
    sound: Sound,
    stream: Option<Stream>,
    timeline: Timeline,
    /// The frame that waits for an encoder, and its time.
    waiting: Option<(Seq, i64)>,
    backoff: Backoff,
    starvation: Starvation,
    /// The usual time from one frame of the last stream to the next.
    interval: Duration,
    /// Not before this moment is the encoder started again.
    retry_at: Option<Instant>,
    /// Whether the output may have earlier parts of this stream.
    goes_on: bool,
}

/// A stream that is being sent.
struct Stream {
    encoder: Encoder,
    /// What is added to times, so that none is negative.
    shift_ns: i64,
    since: Instant,
}

/// Pushes until the stream ends, the pusher is asked to stop, or trying again is pointless.
pub(crate) fn run(mut args: Arguments) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals().context("taking over signals")?;
    let ffmpeg =
        Ffmpeg::find(&args.ffmpeg).map_err(|error| Failure::new(ExitStatus::Ffmpeg, error))?;
    if args.codec == AUTO {
        args.codec = choose_encoder(&ffmpeg)?;
    }
    check_codec(&args.output, &args.codec, &args.output_args)
        .map_err(|text| Failure::new(ExitStatus::Usage, anyhow!(text)))?;
    let mut secrets = Secrets::default();
    secrets.add_output(&args.output);
    let Some(Joined { frames, goes_on }) = join(&args, &shutdown)? else { return Ok(()) };
    let output = OutputKind::of(&args.output);
    let remedy = match (args.on_starve, output.is_live()) {
        (Some(remedy), _) => remedy,
        (None, true) => OnStarve::Original,
        (None, false) => OnStarve::None,
    };
    let mut starvation = Starvation::new(remedy, args.starve_after);
    if goes_on {
        starvation.resume(frames.ring())?;
    }
    let sound = Sound::new(audio_ring(&args.ring)?, args.group.clone(), output, args.silent_audio);
    let mut pusher = Pusher {
        ffmpeg,
        secrets,
        frames,
        sound,
        stream: None,
        timeline: Timeline::new(false),
        waiting: None,
        backoff: Backoff::default(),
        starvation,
        interval: Duration::ZERO,
        retry_at: None,
        goes_on,
        shutdown,
        args,
    };
    let result = pusher.push();
    // What was written before an error is worth as much. The first one is what counts.
    if result.is_err()
        && let Err(error) = pusher.stop()
    {
        tracing::warn!(error = error.line(), "nor did the output end well");
    }
    let (drained, ring) = (pusher.frames.ring().is_draining(), pusher.args.ring.clone());
    drop(pusher);
    if drained {
        forget_audio(&ring);
    }
    result
}

impl Pusher {
    fn push(&mut self) -> Result<(), Failure> {
        while !self.shutdown.requested() && !self.frames.ring().is_draining() {
            match self.frames.next(self.starvation.patience(PATIENCE))? {
                Turn::Frame(frame) => self.take(frame)?,
                Turn::Ended => return self.end(),
                Turn::TimedOut => {
                    self.idle()?;
                    self.stand_in()?;
                }
            }
        }
        tracing::info!("asked to stop");
        self.stop()
    }

    /// Deals with the frame whose turn it is.
    fn take(&mut self, frame: OrderedFrame) -> Result<(), Failure> {
        if self.starvation.is_too_late(frame.record()) {
            return Ok(frame.drop_as(DropReason::Unsent)?);
        }
        // One that is tried again has its place: each further one would be later.
        let again = self.waiting.take().filter(|(seq, _)| *seq == frame.seq());
        let pts_ns = again.map_or_else(
            || self.timeline.place(frame.record().pts_ns, frame.record().received_ns).pts_ns,
            |(_, pts_ns)| pts_ns,
        );
        match self.send(frame.record(), frame.bytes(), pts_ns) {
            Ok(true) => {
                self.starvation.note_sent(frame.record(), Some(frame.seq()));
                Ok(frame.done()?)
            }
            Ok(false) => self.put_off(frame, pts_ns),
            // Asked to stop with a frame that ffmpeg would not take: the next pusher sends it.
            Err(SendError::Encoder(EncoderError::Stopped)) => Ok(()),
            Err(error) => {
                self.settle(error)?;
                self.put_off(frame, pts_ns)
            }
        }
    }

    /// After an error on the way to the encoder: one that the ring did not cause is tried again, if
    /// that may help. Being asked to stop is not an error.
    fn settle(&mut self, error: SendError) -> Result<(), Failure> {
        match error {
            SendError::Ring(error) => Err(error.into()),
            SendError::Encoder(EncoderError::Stopped) => Ok(()),
            SendError::Encoder(error) => self.after(error),
        }
    }

    /// Sends something else when processed frames don't come.
    fn stand_in(&mut self) -> Result<(), Failure> {
        if self.stream.is_none() && !self.may_start() {
            return Ok(());
        }
        let picture = self.starvation.next(self.frames.ring(), self.interval)?;
        let Some(picture) = picture else { return Ok(()) };
        let record = picture.record;
        self.waiting = None;
        let placed = self.timeline.place(record.pts_ns, record.received_ns);
        match self.send(&record, picture.bytes(), placed.pts_ns) {
            Ok(sent) => {
                if sent {
                    self.starvation.note_sent(&record, None);
                }
                Ok(())
            }
            Err(error) => self.settle(error),
        }
    }

    /// Writes a picture and its audio. `false` when there is no encoder now.
    fn send(&mut self, record: &Record, bytes: &[u8], pts_ns: i64) -> Result<bool, SendError> {
        self.prepare(record, pts_ns)?;
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let time_ns = pts_ns.saturating_add(stream.shift_ns);
        stream.encoder.write_frame(time_ns, bytes)?;
        self.sound.write_up_to(pts_ns, &mut stream.encoder)?;
        Ok(true)
    }

    /// Sees to it that there is an encoder for frames like this one, if it is time for one.
    fn prepare(&mut self, record: &Record, pts_ns: i64) -> Result<(), SendError> {
        let format = self.format_of(record)?;
        if let Some(stream) = &mut self.stream {
            stream.encoder.check()?;
            let running = stream.encoder.format();
            if running.geometry == format.geometry && running.sound == format.sound {
                return Ok(());
            }
            tracing::info!(frames = %format.geometry, "the source has changed: a new stream");
            let shutdown = self.shutdown.clone();
            let finished = stream.encoder.finish(|| shutdown.requested());
            self.stream = None;
            finished?;
            if self.shutdown.requested() {
                return Err(SendError::Encoder(EncoderError::Stopped));
            }
        }
        if !self.may_start() {
            return Ok(());
        }
        self.start_stream(format, pts_ns)
    }

    /// Whether an encoder may be started by now.
    fn may_start(&self) -> bool {
        self.retry_at.is_none_or(|moment| Instant::now() >= moment)
    }

    /// Starts an encoder, for a stream that begins at `pts_ns`.
    fn start_stream(&mut self, format: StreamFormat, pts_ns: i64) -> Result<(), SendError> {
        self.interval = format.frame_interval();
        let from = self.frames.ring().descriptor()?.unwrap_or_default();
        if is_same(&from.source, &self.args.output) {
            return Err(SendError::Encoder(EncoderError::IsSource));
        }
        // What was live can't be had once more.
        let keep = self.goes_on || from.live;
        let output = if keep { beside(&self.args.output) } else { self.args.output.clone() };
        let mut options = self.encode_options(output, &format);
        if keep {
            // Before those that the user gave, which win.
            options.output_args.splice(..0, to_go_on(&options.output));
        }
        // A stream may start before 0, but a pipe of NUT can't. A recording of a live one starts at 0:
        // players and segmenters count from there.
        let from_zero = pts_ns < 0 || (from.live && is_recording(&self.args.output));
        let shift_ns = if from_zero { pts_ns.saturating_neg() } else { 0 };
        let encoder =
            Encoder::start(&self.ffmpeg, &options, format, &self.secrets, &self.shutdown)?;
        self.goes_on = true;
        let output = self.secrets.redact(&options.output);
        tracing::info!(%output, frames = %encoder.format().geometry, "pushing");
        self.sound.begin(&encoder.format().sound, pts_ns, shift_ns);
        self.stream = Some(Stream { encoder, shift_ns, since: Instant::now() });
        Ok(())
    }

    /// What a stream of frames like this one is.
    fn format_of(&mut self, record: &Record) -> Result<StreamFormat, SendError> {
        let ring = self.frames.ring();
        let geometry = record.geometry.ok_or_else(|| RingError::Descriptor {
            ring: ring.name().to_owned(),
            what: "its frames are no pictures".to_owned(),
        })?;
        let running = self.stream.as_ref().map(|stream| &stream.encoder.format().sound);
        let sound = self.sound.format(ring, running)?;
        let video = ring.descriptor()?.unwrap_or_default().video;
        Ok(StreamFormat {
            geometry,
            sample_aspect: video.as_ref().map_or((0, 0), |video| video.sample_aspect),
            frame_rate: video.as_ref().and_then(|video| video.frame_rate),
            colour: video.map(|video| video.colour).unwrap_or_default(),
            sound,
        })
    }

    fn encode_options(&self, output: String, format: &StreamFormat) -> EncodeOptions {
        let args = &self.args;
        let mut options = EncodeOptions::new(output, format.geometry, format.colour);
        options.codec.clone_from(&args.codec);
        options.preset.clone_from(&args.preset);
        options.latency = args.latency.unwrap_or(options.latency);
        options.bitrate.clone_from(&args.bitrate);
        options.gop = args.gop;
        options.frame_rate = format.frame_rate;
        options.colour_mode = args.colour;
        options.audio = format.sound.mode();
        options.output_args.clone_from(&args.output_args);
        options
    }

    /// What becomes of a frame while there is no encoder: on a live ring it is dropped, or the
    /// stream would start again with what is old by then; on a lossless one it waits.
    fn put_off(&mut self, frame: OrderedFrame, pts_ns: i64) -> Result<(), Failure> {
        if self.frames.ring().policy() == Policy::DropOldest {
            frame.drop_as(DropReason::Unsent)?;
            self.sound.drop_up_to(pts_ns)?;
        } else {
            self.waiting = Some((frame.seq(), pts_ns));
            drop(frame);
            self.shutdown.sleep(PATIENCE);
        }
        Ok(())
    }

    /// Decides whether to go on after the encoder has failed.
    fn after(&mut self, error: EncoderError) -> Result<(), Failure> {
        if let Some(stream) = self.stream.take() {
            if stream.since.elapsed() > GOOD_RUN {
                self.backoff.reset();
            }
            stream.encoder.rescue();
        }
        let kind = match &error {
            EncoderError::Ended(failure) => Some(failure.kind()),
            _ => None,
        };
        let pointless = matches!(
            error,
            EncoderError::Start(_) | EncoderError::Frame(_) | EncoderError::Conversion(_)
        ) || matches!(
            kind,
            Some(
                FailureKind::Encoder
                    | FailureKind::Container
                    | FailureKind::Option
                    | FailureKind::Unauthorized
            )
        );
        let wait = self.backoff.next_delay();
        let failures = self.backoff.tries();
        let tired = self.args.max_retries > 0 && failures >= self.args.max_retries;
        let output = self.shown_output();
        if pointless || tired || !OutputKind::of(&self.args.output).is_live() {
            let status = match &error {
                EncoderError::Start(_) => ExitStatus::Ffmpeg,
                _ => ExitStatus::Output,
            };
            let source = anyhow::Error::new(error).context(format!("can't push to {output}"));
            return Err(Failure::new(status, source));
        }
        tracing::warn!(output, %error, failures, ?wait, "the output failed: trying again");
        self.retry_at = Some(Instant::now() + wait);
        Ok(())
    }

    /// Nothing came for a while: look after the encoder, and send the audio that has waited for
    /// frames for too long.
    fn idle(&mut self) -> Result<(), Failure> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if let Err(error) = stream.encoder.check() {
            return self.after(error);
        }
        if self.frames.ring().policy() == Policy::Block {
            return Ok(());
        }
        let overdue = self.sound.write_overdue(self.args.max_wait, &mut stream.encoder);
        overdue.or_else(|error| self.settle(error))
    }

    /// The stream has ended: everything is written to the end.
    fn end(&mut self) -> Result<(), Failure> {
        let Some(mut stream) = self.stream.take() else {
            tracing::info!("the stream has ended without a frame to push");
            return Ok(());
        };
        let rest = self.sound.write_rest(&mut stream.encoder);
        let shutdown = self.shutdown.clone();
        let finished = rest.and_then(|()| Ok(stream.encoder.finish(|| shutdown.requested())?));
        match finished {
            Ok(()) => {
                tracing::info!("the stream has ended");
                Ok(())
            }
            Err(SendError::Ring(error)) => Err(error.into()),
            Err(SendError::Encoder(EncoderError::Stopped)) => Ok(()),
            Err(SendError::Encoder(error)) => Err(self.unfinished(error)),
        }
    }

    /// Asked to stop: what was written is finished, if ffmpeg does its part. It may have been asked
    /// to stop itself, which is no failure; a recording that the disk does not hold is one.
    fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        match stream.encoder.finish(|| true) {
            Err(error) if error.is_disk_full() => Err(self.unfinished(error)),
            Err(error) => {
                tracing::warn!(%error, "the encoder did not end well");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn unfinished(&self, error: EncoderError) -> Failure {
        let context = format!("can't finish {}", self.shown_output());
        Failure::new(ExitStatus::Output, anyhow!(error).context(context))
    }

    fn shown_output(&self) -> String {
        self.secrets.redact(&self.args.output).into_owned()
    }
}
