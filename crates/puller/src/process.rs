//! The decoder that needs nothing but a program: a running ffmpeg, and the reading end of its pipes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use framelane_conversion::Conversion;
use framelane_frame::{Colour, FrameRate, Geometry};
use framelane_media::PatientPipe;
use framelane_media::ffmpeg::{
    Child, ChildCommand, DecodeOptions, Ffmpeg, InputLines, MediaInfo, OutputPipe, ProbeError,
    probe, source_time_ns,
};
use framelane_media::nut::{Class, Limits, Reader};

use crate::audio;
use crate::audio_queue::Inlet;
use crate::decoder::{Context, Decoder, Input};
use crate::trouble::Trouble;

/// The largest payload that any ring can have: 1 GiB.
const LARGEST_PAYLOAD: usize = 1 << 30;

/// How long ffmpeg may take to end once its pipe has ended, or once it was asked to stop.
const ENDING_TAKES: Duration = Duration::from_millis(800);

/// How long what ffmpeg says of its input may come after the first frame.
const SAYING_TAKES: Duration = Duration::from_millis(500);
/// How often that is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// How long a file may take to tell what is in it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// An input that an ffmpeg will open. A live one is not looked at before: that would cost seconds.
pub(crate) struct ProcessInput {
    ffmpeg: Ffmpeg,
    context: Context,
    info: Option<MediaInfo>,
}

impl ProcessInput {
    /// Asks ffprobe what is in a file.
    pub(crate) fn open(
        ffmpeg: &Ffmpeg,
        options: &DecodeOptions,
        context: &Context,
    ) -> Result<Self, Trouble> {
        let (ffmpeg, context) = (ffmpeg.clone(), context.clone());
        if options.live {
            return Ok(Self { ffmpeg, context, info: None });
        }
        let ask = |args: &[String]| {
            probe(&ffmpeg.ffprobe(), &options.input, args, &context.secrets, PROBE_TIMEOUT)
        };
        let args = options.input_args.as_slice();
        // Some options are ffmpeg's own, such as -ss and -stream_loop: ffprobe refuses them.
        let asked = ask(args).or_else(|error| match error {
            ProbeError::Failed(_) if !args.is_empty() => ask(&[]).map_err(|_| error),
            error => Err(error),
        });
        match asked {
            Ok(info) => Ok(Self { ffmpeg, context, info: Some(info) }),
            Err(ProbeError::Failed(failure)) => Err(Trouble::Decoder(failure)),
            Err(ProbeError::Start(error)) => Err(Trouble::Start(error)),
            Err(error) => Err(Trouble::NotVideo(error.to_string())),
        }
    }
}

impl Input for ProcessInput {
    fn info(&self) -> Option<&MediaInfo> {
        self.info.as_ref()
    }

    fn start(
        self: Box<Self>,
        options: DecodeOptions,
        audio: Option<Inlet>,
    ) -> Result<Option<Box<dyn Decoder>>, Trouble> {
        let live = options.live;
        match ProcessDecoder::start(&self.ffmpeg, options, audio, &self.context) {
            Ok(decoder) => Ok(Some(Box::new(decoder))),
            // A file may be a video without a single frame: then nothing is written at all.
            Err(Trouble::Decoder(failure))
                if failure.status().is_some_and(|status| status.success()) && !live =>
            {
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }
}

/// A running ffmpeg, from its first frame on.
struct ProcessDecoder {
    child: Child,
    reader: Reader<PatientPipe<'static>>,
    stream: usize,
    geometry: Geometry,
    /// What is in the pipe.
    piped: Geometry,
    options: DecodeOptions,
    conversion: Option<Conversion>,
    lines: Arc<Mutex<InputLines>>,
    stall_timeout: Duration,
}

impl ProcessDecoder {
    /// Starts ffmpeg and waits for its first frame.
    fn start(
        ffmpeg: &Ffmpeg,
        mut options: DecodeOptions,
        audio: Option<Inlet>,
        context: &Context,
    ) -> Result<Self, Trouble> {
        let Context { secrets, stall_timeout, shutdown } = context.clone();
        // The frames of a file that is read at its own pace may be far apart.
        let paced = options.realtime && !options.live;
        let stall_timeout = if paced { Duration::MAX } else { stall_timeout };
        let system = |action| move |source: io::Error| Trouble::System { action, source };
        let pipe =
            audio.is_some().then(OutputPipe::new).transpose().map_err(system("making a pipe"))?;
        options.audio_fd = pipe.as_ref().map(OutputPipe::child_fd);
        let lines = Arc::new(Mutex::new(InputLines::default()));
        let for_hook = Arc::clone(&lines);
        let mut command = ChildCommand::new(ffmpeg.program())
            .args(options.args(ffmpeg))
            .socket_stdout()
            .secrets(secrets)
            .on_line(move |line| {
                for_hook.lock().unwrap_or_else(PoisonError::into_inner).feed(&line.text);
            });
        if let Some(pipe) = pipe {
            command = command.output_pipe(pipe);
        }
        let mut child = command.spawn().map_err(Trouble::Start)?;
        if let Some((inlet, pipe)) = audio.zip(child.take_pipe()) {
            // Before the first frame: a file may have much audio before it.
            audio::read_from(pipe, inlet, shutdown.clone())?;
        }
        let stdout = child.take_stdout().expect("stdout was asked for");
        let stdout = PatientPipe::new(stdout, stall_timeout, move || shutdown.requested())
            .map_err(system("preparing ffmpeg's pipe"))?;
        let limits = Limits { payload_bytes_max: LARGEST_PAYLOAD };
        let opened = Reader::open(stdout, limits)
            .map_err(|error| Trouble::of_read(error, stall_timeout))
            .and_then(|reader| video_of(&reader).map(|video| (reader, video)));
        match opened {
            Ok((reader, (stream, piped))) => {
                wait_for_words(&lines);
                Ok(Self {
                    child,
                    reader,
                    stream,
                    geometry: piped.with_format(options.format),
                    piped,
                    options,
                    conversion: None,
                    lines,
                    stall_timeout,
                })
            }
            Err(trouble) => Err(explain(&mut child, trouble)),
        }
    }
}

impl Decoder for ProcessDecoder {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn convert_from(&mut self, colour: Colour) {
        let colour = self.options.picture_colour(colour);
        self.conversion = colour.and_then(|colour| Conversion::new(self.geometry, colour));
    }

    fn is_converted(&self) -> bool {
        self.options.is_converted()
    }

    fn sample_aspect(&self) -> (u32, u32) {
        match self.reader.streams().get(self.stream).map(|stream| &stream.class) {
            Some(Class::Video(video)) => video.sample_aspect,
            _ => (0, 0),
        }
    }

    fn frame_rate(&self) -> Option<FrameRate> {
        self.reader.frame_rate()
    }

    fn input_info(&self) -> MediaInfo {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).info().clone()
    }

    fn sees_audio(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).sees_audio()
    }

    fn has_stepped_back(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).has_stepped_back()
    }

    fn next_frame(&mut self) -> Result<Option<i64>, Trouble> {
        loop {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.stream != self.stream => {}
                Ok(Some(packet)) if packet.payload_bytes != self.piped.payload_bytes() => {
                    let (got, piped) = (packet.payload_bytes, self.piped);
                    let what = format!("a picture of {got} bytes is no {piped}");
                    return Err(Trouble::Unusable(what));
                }
                Ok(packet) => return Ok(packet.map(|packet| source_time_ns(packet.pts_ns))),
                Err(error) => {
                    let trouble = Trouble::of_read(error, self.stall_timeout);
                    return Err(explain(&mut self.child, trouble));
                }
            }
        }
    }

    fn read_frame(&mut self, frame: &mut [u8]) -> Result<(), Trouble> {
        let read = match &mut self.conversion {
            Some(conversion) => self.reader.read_payload(conversion.picture_mut()),
            None => self.reader.read_payload(frame),
        };
        read.map_err(|error| {
            let trouble = Trouble::of_read(error, self.stall_timeout);
            explain(&mut self.child, trouble)
        })?;
        match &self.conversion {
            Some(conversion) => {
                conversion.write_frame(frame).map_err(|error| Trouble::Unusable(error.to_string()))
            }
            None => Ok(()),
        }
    }

    fn skip_frame(&mut self) -> Result<(), Trouble> {
        self.reader.skip_payload().map_err(|error| Trouble::of_read(error, self.stall_timeout))
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        let status = self.child.wait_timeout(ENDING_TAKES).ok().flatten();
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        Err(Trouble::Decoder(Box::new(self.child.failure())))
    }

    fn failure(&mut self) -> Trouble {
        // Its output has ended, so it is about to.
        match self.child.wait_timeout(ENDING_TAKES) {
            Ok(Some(status)) if status.success() => Trouble::Ended,
            _ => Trouble::Decoder(Box::new(self.child.failure())),
        }
    }

    fn stop(&mut self) {
        // What can't be reaped is reaped by the next attempt, or by the end of this process.
        let _ = self.child.stop(ENDING_TAKES);
    }
}

/// Waits a moment until ffmpeg has said what is in the input: the first frame may have come sooner
/// than the thread that reads that.
fn wait_for_words(lines: &Mutex<InputLines>) {
    let start = Instant::now();
    let complete = || lines.lock().unwrap_or_else(PoisonError::into_inner).is_complete();
    while !complete() && start.elapsed() < SAYING_TAKES {
        thread::sleep(LOOK_INTERVAL);
    }
}

/// The video stream and what its frames are.
fn video_of(reader: &Reader<PatientPipe<'static>>) -> Result<(usize, Geometry), Trouble> {
    let unusable = |what: &str| Trouble::Unusable(what.to_owned());
    let stream = reader.video_stream().ok_or_else(|| unusable("no video stream"))?;
    match &reader.streams()[stream].class {
        Class::Video(video) => video
            .geometry()
            .map(|geometry| (stream, geometry))
            .ok_or_else(|| unusable("a size or pixel format that no ring can hold")),
        Class::Audio(_) => Err(unusable("no video stream")),
    }
}

/// Replaces what the pipe looks like by what ffmpeg says happened.
fn explain(child: &mut Child, trouble: Trouble) -> Trouble {
    if !trouble.is_from_the_pipe() {
        return trouble;
    }
    // An ffmpeg that still runs has written nonsense; one that ends says why.
    match child.wait_timeout(ENDING_TAKES) {
        Ok(Some(_)) => Trouble::Decoder(Box::new(child.failure())),
        _ => trouble,
    }
}
