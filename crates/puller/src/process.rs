//! One running ffmpeg that decodes, and the reading end of its pipes.

use std::io;
use std::io::PipeReader;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use framelane_frame::{Colour, Geometry};
use framelane_media::ffmpeg::{
    Child, ChildCommand, DecodeOptions, Ffmpeg, InputLines, MediaInfo, OutputPipe, TS_OFFSET,
};
use framelane_media::nut::{Class, Limits, PacketHeader, Reader};
use framelane_media::{Conversion, PatientPipe, Secrets};
use framelane_stage::Shutdown;

use crate::trouble::Trouble;

/// The largest frame that any ring could hold: 16384 x 16384 in rgb24.
const LARGEST_PAYLOAD: usize = 1 << 30;

/// How long ffmpeg may take to end once its pipe has ended, or once it was asked to stop.
const ENDING_TAKES: Duration = Duration::from_millis(800);

/// A running ffmpeg, from its first frame on.
pub(crate) struct Decoder {
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

impl Decoder {
    /// Starts ffmpeg and waits for its first frame. The second value is the pipe with the audio, if
    /// `options` ask for one.
    pub(crate) fn start(
        ffmpeg: &Ffmpeg,
        mut options: DecodeOptions,
        audio: bool,
        secrets: &Secrets,
        stall_timeout: Duration,
        shutdown: &Shutdown,
    ) -> Result<(Self, Option<PipeReader>), Trouble> {
        let system = |action| move |source: io::Error| Trouble::System { action, source };
        let pipe = audio.then(OutputPipe::new).transpose().map_err(system("making a pipe"))?;
        options.audio_fd = pipe.as_ref().map(OutputPipe::child_fd);
        let lines = Arc::new(Mutex::new(InputLines::default()));
        let for_hook = Arc::clone(&lines);
        let mut command = ChildCommand::new(ffmpeg.program())
            .args(options.args(ffmpeg))
            .socket_stdout()
            .secrets(secrets.clone())
            .on_line(move |line| {
                for_hook.lock().unwrap_or_else(PoisonError::into_inner).feed(&line.text);
            });
        if let Some(pipe) = pipe {
            command = command.output_pipe(pipe);
        }
        let mut child = command.spawn().map_err(Trouble::Start)?;
        let audio_pipe = child.take_pipe();
        let stdout = child.take_stdout().expect("stdout was asked for");
        let stop = shutdown.clone();
        let stdout = PatientPipe::new(stdout, stall_timeout, move || stop.requested())
            .map_err(system("preparing ffmpeg's pipe"))?;
        let limits = Limits { payload_bytes_max: LARGEST_PAYLOAD };
        let opened = Reader::open(stdout, limits)
            .map_err(|error| Trouble::of_read(error, stall_timeout))
            .and_then(|reader| video_of(&reader).map(|video| (reader, video)));
        match opened {
            Ok((reader, (stream, piped))) => {
                let decoder = Self {
                    child,
                    reader,
                    stream,
                    geometry: piped.with_format(options.format),
                    piped,
                    options,
                    conversion: None,
                    lines,
                    stall_timeout,
                };
                Ok((decoder, audio_pipe))
            }
            Err(trouble) => Err(explain(&mut child, trouble)),
        }
    }

    /// Size and pixel format of the frames.
    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Makes frames of the pictures in the pipe from here on, which have this colour: the source's,
    /// completed.
    pub(crate) fn convert_from(&mut self, colour: Colour) {
        self.conversion = self.options.conversion(self.geometry, colour);
    }

    /// Whether ffmpeg does not convert colours, but leaves that to us.
    pub(crate) fn is_converted(&self) -> bool {
        self.options.is_converted()
    }

    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown.
    pub(crate) fn sample_aspect(&self) -> (u32, u32) {
        match self.reader.streams().get(self.stream).map(|stream| &stream.class) {
            Some(Class::Video(video)) => video.sample_aspect,
            _ => (0, 0),
        }
    }

    /// The frame rate that the source declares.
    pub(crate) fn frame_rate(&self) -> Option<framelane_frame::FrameRate> {
        self.reader.frame_rate()
    }

    /// What ffmpeg said of its input.
    pub(crate) fn input_info(&self) -> MediaInfo {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).info().clone()
    }

    /// Whether ffmpeg sees audio in its input, asked for or not.
    pub(crate) fn sees_audio(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).sees_audio()
    }

    /// Whether the source's clock has stepped back, and timestamps stand still since.
    pub(crate) fn has_stepped_back(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).has_stepped_back()
    }

    /// Reads up to the next frame. `None` is the end of ffmpeg's output.
    pub(crate) fn next_frame(&mut self) -> Result<Option<PacketHeader>, Trouble> {
        loop {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.stream != self.stream => {}
                Ok(Some(packet)) if packet.payload_bytes != self.piped.payload_bytes() => {
                    let (got, piped) = (packet.payload_bytes, self.piped);
                    let what = format!("a picture of {got} bytes is no {piped}");
                    return Err(Trouble::Unusable(what));
                }
                Ok(packet) => return Ok(packet),
                Err(error) => {
                    let trouble = Trouble::of_read(error, self.stall_timeout);
                    return Err(explain(&mut self.child, trouble));
                }
            }
        }
    }

    /// Reads the pixels of the last frame into `frame`.
    pub(crate) fn read_frame(&mut self, frame: &mut [u8]) -> Result<(), Trouble> {
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

    /// Reads past the last frame.
    pub(crate) fn skip_frame(&mut self) -> Result<(), Trouble> {
        self.reader.skip_payload().map_err(|error| Trouble::of_read(error, self.stall_timeout))
    }

    /// After the end of the output: whether ffmpeg found that to be the end, too.
    pub(crate) fn finish(&mut self) -> Result<(), Trouble> {
        let status = self.child.wait_timeout(ENDING_TAKES).ok().flatten();
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        Err(Trouble::Decoder(Box::new(self.child.failure())))
    }

    /// What ffmpeg has to say, whether or not it calls that a failure.
    pub(crate) fn failure(&mut self) -> Trouble {
        Trouble::Decoder(Box::new(self.child.failure()))
    }

    /// Ends ffmpeg.
    pub(crate) fn stop(&mut self) {
        // What can't be reaped is reaped by the next attempt, or by the end of this process.
        let _ = self.child.stop(ENDING_TAKES);
    }
}

/// A frame's time at the source, from what the pipe says.
pub(crate) fn source_time_ns(pts_ns: i64) -> i64 {
    pts_ns - i64::try_from(TS_OFFSET.as_nanos()).expect("seconds, not years")
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
