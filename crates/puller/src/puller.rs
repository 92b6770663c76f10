//! The puller itself: sessions with a decoder, one after the other, on one timeline and into one ring.
//!
//! A file has one session. A live input gets a new one whenever the last has ended, stalled or
//! failed, for as long as nobody stops the puller; with several inputs, the next one has its turn.

use std::path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use framelane_media::ffmpeg::{DecodeOptions, MediaInfo, existing_file};
use framelane_media::{Secrets, Timeline};
use framelane_ring::{Descriptor, Record, Ring, Source, VideoTrack, monotonic_ns};
use framelane_stage::{Backoff, Failure, Shutdown, audio_ring, forget_audio};

use crate::args::Arguments;
use crate::audio::Audio;
use crate::audio_queue::Place;
use crate::backend::Backend;
use crate::decoder::{Context, Decoder};
use crate::known::Known;
use crate::slots::{open_source, wait_for_slot, warn_of_another_source};
use crate::trouble::Trouble;
use crate::wish::AudioWish;

/// The first and the longest wait before a live input is tried again. A camera that comes back
/// should be on air soon, and a try costs next to nothing.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// For how long the ring of a stream is there at least.
const APPEARANCE: Duration = Duration::from_millis(1500);

/// How far a live source's frames may be ahead of what time has passed since the first. Servers start
/// a player in the past, some of them by many seconds; what is further ahead is a jump of the source's
/// clock, which ffmpeg fills with frames to keep a constant rate, as fast as it can.
const OUTRUN: Duration = Duration::from_secs(20);

/// How a session ended well.
enum Ending {
    /// The file was read to its end.
    Finished,
    /// The decoder has to be started anew with what is known by now.
    Again,
}

struct Puller {
    args: Arguments,
    backend: Backend,
    context: Context,
    /// Which of the inputs is pulled.
    turn: usize,
    /// Which one it was when frames were published last.
    attached: Option<usize>,
    session: u64,
    /// One for each input.
    known: Vec<Known>,
    source: Option<Source>,
    audio: Audio,
    timeline: Timeline,
    backoff: Backoff,
    /// How many inputs failed in a row that won't be any better next time.
    hopeless: usize,
    /// When a session last had to be started anew.
    started_anew: Option<Instant>,
    /// When the ring was made or joined.
    appeared: Option<Instant>,
}

/// Pulls until the stream ends, the puller is asked to stop, or trying again is pointless.
pub(crate) fn run(args: Arguments) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals().context("taking over signals")?;
    let mut secrets = Secrets::default();
    args.inputs.iter().for_each(|input| secrets.add_url(input));
    let backend = Backend::new(&args)?;
    let context = Context { secrets, stall_timeout: args.stall_timeout, shutdown };
    let audio = Audio::new(audio_ring(&args.ring)?, args.policy(), context.shutdown.clone());
    let live = args.is_any_live();
    // The sound of a file that stands in for a camera would break into the camera's.
    let wishes = |input: &String| !args.no_audio && !args.stands_in(input);
    let known = args.inputs.iter().map(|input| Known::new(AudioWish::new(wishes(input)))).collect();
    let puller = Puller {
        backend,
        context,
        turn: 0,
        attached: None,
        session: 0,
        known,
        source: None,
        audio,
        timeline: Timeline::new(live),
        backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
        hopeless: 0,
        started_anew: None,
        appeared: None,
        args,
    };
    puller.pull()
}

impl Puller {
    /// Which of the inputs has its turn.
    fn index(&self) -> usize {
        self.turn % self.args.inputs.len()
    }

    fn input(&self) -> &str {
        &self.args.inputs[self.index()]
    }

    fn known(&mut self) -> &mut Known {
        let index = self.index();
        &mut self.known[index]
    }

    fn shown_input(&self) -> String {
        self.context.secrets.redact(self.input()).into_owned()
    }

    fn pull(mut self) -> Result<(), Failure> {
        let result = loop {
            let draining = self.source.as_ref().is_some_and(|source| source.ring().is_draining());
            if draining || self.context.shutdown.requested() {
                break Ok(false);
            }
            match self.session() {
                Ok(Ending::Finished) if !self.args.is_any_live() => break Ok(true),
                Ok(Ending::Finished) => self.turn += 1,
                Ok(Ending::Again) => self.before_another_start(),
                Err(Trouble::Stopped) => break Ok(false),
                Err(trouble) => {
                    if let Err(failure) = self.after(trouble) {
                        break Err(failure);
                    }
                }
            }
        };
        self.close(result)
    }

    /// Ends the stream, or leaves it to the next puller.
    fn close(mut self, result: Result<bool, Failure>) -> Result<(), Failure> {
        // A file that fails half-way has ended there; a live input may come back.
        let ended = match &result {
            Ok(finished) => *finished,
            Err(_) => !self.args.is_any_live(),
        };
        match (ended, self.source.take()) {
            (true, Some(source)) => {
                source.end();
                self.audio.end();
                // The last one out takes the ring's name along. Workers that wait for the ring to
                // appear get the time to see it, however short the stream was.
                let is_there = self.appeared.map_or(Duration::ZERO, |when| when.elapsed());
                self.context.shutdown.sleep(APPEARANCE.saturating_sub(is_there));
                drop(source);
            }
            (_, source) => {
                let drained = source.is_some_and(|source| source.ring().is_draining());
                self.audio.leave();
                if drained {
                    forget_audio(&self.args.ring);
                }
            }
        }
        result.map(|_| ())
    }

    /// The first new start comes at once: the source has just shown what it is. One that calls for
    /// another each time is given a rest.
    fn before_another_start(&mut self) {
        let now = Instant::now();
        if self.started_anew.replace(now).is_some_and(|last| now - last < LONGEST_WAIT) {
            self.context.shutdown.sleep(FIRST_WAIT);
        }
    }

    /// Decides whether to go on after a session that went wrong, and waits before it does.
    fn after(&mut self, trouble: Trouble) -> Result<(), Failure> {
        if self.known().wish.note_failure(trouble.kind()) {
            tracing::info!(input = self.shown_input(), reason = %trouble, "going on without audio");
            return Ok(());
        }
        let shown = self.shown_input();
        let hopeless = trouble.is_final() || !self.args.is_live(self.input());
        self.hopeless = if hopeless { self.hopeless + 1 } else { 0 };
        let no_hope = self.hopeless >= self.args.inputs.len();
        let wait = self.backoff.next_delay();
        let failures = self.backoff.tries();
        let tired = self.args.max_retries > 0 && failures >= self.args.max_retries;
        if tired || no_hope || !trouble.is_of_the_input() {
            return Err(trouble.into_failure(&shown));
        }
        tracing::warn!(input = shown, %trouble, failures, ?wait, "the input failed: trying again");
        self.turn += 1;
        self.context.shutdown.sleep(wait);
        Ok(())
    }

    /// Runs a decoder once.
    fn session(&mut self) -> Result<Ending, Trouble> {
        let input = self.backend.open(&self.decode_options(), &self.context)?;
        let known = input.info().cloned();
        if let Some(info) = &known {
            self.known().learn(info)?;
        }
        let options = self.decode_options();
        let live = options.live;
        self.session += 1;
        let asked_for = self.known().wish.is_asked_for();
        let inlet = asked_for.then(|| self.audio.inlet(self.session));
        let Some(mut decoder) = input.start(options, inlet)? else {
            return self.publish_nothing(known.as_ref());
        };
        let decoder = decoder.as_mut();
        let format = self.args.pix_fmt;
        let known = self.known();
        // A file was looked at before.
        if live {
            let misread = known.note_pictures(decoder, format);
            if known.wish.note_seen(decoder.sees_audio()) || misread {
                decoder.stop();
                return Ok(Ending::Again);
            }
        }
        self.attach(decoder)?;
        let result = self.pump(decoder, live);
        if matches!(result, Err(Trouble::Stopped | Trouble::Stalled(_) | Trouble::Ring(_))) {
            decoder.stop();
        }
        if matches!(result?, Ending::Again) {
            decoder.stop();
            return Ok(Ending::Again);
        }
        if live {
            // The loss of a live input looks like its end, down to ffmpeg's exit status.
            return Err(decoder.failure());
        }
        decoder.finish().map(|()| Ending::Finished)
    }

    fn decode_options(&self) -> DecodeOptions {
        let mut options = DecodeOptions::new(self.input(), self.args.pix_fmt);
        let stands_in = self.args.stands_in(self.input());
        if !stands_in {
            // They are about cameras: -rtsp_transport would make a file fail.
            options.input_args.clone_from(&self.args.input_args);
        }
        options.realtime = self.args.realtime || stands_in;
        options.size = self.args.size.or_else(|| self.ring_size());
        self.known[self.index()].tell(&mut options);
        options.colour_mode = self.args.colour;
        options.frame_rate = self.args.fps;
        options
    }

    /// The size of the frames in the ring, if it is there: a source that has changed its size is
    /// scaled to it.
    fn ring_size(&self) -> Option<(u32, u32)> {
        let descriptor = match &self.source {
            Some(source) => source.ring().descriptor(),
            None => Ring::open(&self.args.ring)
                .ok()
                .filter(|ring| ring.end().is_none() && !ring.is_draining())
                .map_or(Ok(None), |ring| ring.descriptor()),
        };
        let video = descriptor.ok().flatten()?.video?;
        Some((video.geometry.width(), video.geometry.height()))
    }

    /// Makes or joins the ring, and says in it what the source is.
    fn attach(&mut self, decoder: &mut dyn Decoder) -> Result<(), Trouble> {
        let geometry = decoder.geometry();
        let live = self.args.is_live(self.input());
        let colour = self.known().colour(geometry.height());
        decoder.convert_from(colour);
        let video = VideoTrack {
            sample_aspect: decoder.sample_aspect(),
            frame_rate: self.args.fps.or_else(|| decoder.frame_rate()),
            ..VideoTrack::new(geometry, colour)
        };
        let first = self.open_ring(geometry.payload_bytes(), live)?;
        let asked_for = self.known().wish.is_asked_for();
        let audio = if asked_for { self.audio.track(live)? } else { None };
        // A pusher, which must not overwrite it, may run in another folder.
        let file = existing_file(self.input()).and_then(|path| path::absolute(path).ok());
        let descriptor = Descriptor {
            // Whether what is lost is lost for good.
            live: self.args.is_any_live() || file.is_none(),
            source: file.map_or_else(|| self.shown_input(), |path| path.display().to_string()),
            video: Some(video),
            audio,
        };
        let Some(source) = &self.source else { return Err(Trouble::Stopped) };
        if let Some((pts_ns, received_ns)) = source.last_frame().filter(|_| first) {
            self.timeline = Timeline::after(self.args.is_any_live(), pts_ns, received_ns);
            warn_of_another_source(source.ring(), &descriptor)?;
        }
        source.ring().set_descriptor(&descriptor)?;
        self.attached = Some(self.index());
        let ring = source.ring().name();
        tracing::info!(input = self.shown_input(), ring, frames = %geometry, "pulling");
        Ok(())
    }

    /// Makes or joins the ring, unless that is done: what is larger, and so fails first where there is
    /// no room, comes before the ring for audio. Whether it was just done.
    fn open_ring(&mut self, payload_bytes: usize, live: bool) -> Result<bool, Trouble> {
        // Another source's clock says nothing of this one's; a file's starts anew.
        let same_clock = live && self.attached == Some(self.index());
        match &mut self.source {
            Some(source) => {
                source.ring().check_payload(payload_bytes)?;
                source.start_epoch();
                self.timeline.reconnect(same_clock);
                Ok(false)
            }
            none => {
                *none = Some(open_source(&self.args, payload_bytes, &self.context.shutdown)?);
                self.appeared = Some(Instant::now());
                Ok(true)
            }
        }
    }

    /// A video without a frame: the ring appears, and has ended.
    fn publish_nothing(&mut self, probed: Option<&MediaInfo>) -> Result<Ending, Trouble> {
        let geometry = probed
            .and_then(|info| info.video.as_ref())
            .and_then(|video| video.geometry(self.args.pix_fmt))
            // Where others follow, what a frame is is theirs to say.
            .filter(|_| !self.args.is_any_live())
            .ok_or_else(|| Trouble::NotVideo("it has not a single frame".into()))?;
        self.open_ring(geometry.payload_bytes(), false)?;
        Ok(Ending::Finished)
    }

    /// Moves frames from the decoder into the ring, until there are no more, or a live source changes
    /// in a way that only a new decoder can follow.
    fn pump(&mut self, decoder: &mut dyn Decoder, live: bool) -> Result<Ending, Trouble> {
        let geometry = decoder.geometry();
        let mut first = None;
        while let Some(source_ns) = decoder.next_frame()? {
            let received_ns = monotonic_ns();
            let placed = self.timeline.place(source_ns, received_ns);
            let (first_ns, since_ns) = *first.get_or_insert((placed.pts_ns, received_ns));
            let passed = Duration::from_nanos(received_ns.saturating_sub(since_ns));
            let shown = Duration::from_nanos(placed.pts_ns.abs_diff(first_ns));
            let offset_ns = i64::try_from(self.timeline.offset_ns()).unwrap_or(0);
            self.audio.place(self.session, Place { live, source_ns, offset_ns });
            self.hopeless = 0;
            if !self.args.stands_in(self.input()) {
                self.backoff.reset();
            }
            let Some(source) = &mut self.source else { return Err(Trouble::Stopped) };
            if source.ring().is_draining() {
                return Err(Trouble::Stopped);
            }
            let Some(mut grant) = wait_for_slot(source, &self.context.shutdown)? else {
                decoder.skip_frame()?;
                source.skip()?;
                continue;
            };
            decoder.read_frame(&mut grant.bytes_mut()[..geometry.payload_bytes()])?;
            grant.commit(Record {
                received_ns,
                epoch: source.ring().epoch(),
                discontinuity: placed.discontinuity,
                ..Record::of_picture(geometry, placed.pts_ns)
            })?;
            if self.context.shutdown.requested() {
                return Err(Trouble::Stopped);
            }
            self.audio.publish()?;
            let outrun = self.args.fps.is_some() && shown > passed + OUTRUN;
            if live && let Some(reason) = self.reason_to_start_anew(decoder, outrun) {
                tracing::info!(input = self.shown_input(), reason, "starting anew");
                return Ok(Ending::Again);
            }
        }
        Ok(Ending::Finished)
    }

    fn reason_to_start_anew(
        &mut self,
        decoder: &dyn Decoder,
        outrun: bool,
    ) -> Option<&'static str> {
        if decoder.has_stepped_back() {
            Some("the source's clock has stepped back")
        } else if outrun {
            Some("the source's clock has jumped")
        } else if self.known().wish.note_seen(decoder.sees_audio()) {
            Some("there is audio now")
        } else {
            None
        }
    }
}
