//! The writer of a NUT pipe: what the pusher feeds to its ffmpeg.
//!
//! It writes version 4 with the pipe flag and one syncpoint, since ffmpeg's reader loses 208 bytes
//! of memory for each further one, and declares `r_frame_rate`, since x264 would otherwise believe
//! in a million frames per second. Payloads are handed to the pipe as they lie in the caller's
//! memory.

use std::io::{self, IoSlice, Write};

use framelane_frame::{FrameRate, Geometry};

use super::header::AudioStream;
use super::{LONG_PACKET_BYTES, MAGIC, TimeBase, WriteError, crc, flag, startcode, tag_of, varint};

/// The time base of the video stream: microseconds. Timestamps in nanoseconds are rounded to the
/// nearest, so what came from ffmpeg in microseconds leaves unchanged.
pub const VIDEO_TIME_BASE: TimeBase = TimeBase { numerator: 1, denominator: 1_000_000 };

/// How far ffmpeg searches for a syncpoint; it refuses 0.
const MAX_DISTANCE: u64 = 32767;
/// The stream goes down a pipe: nobody will look for further syncpoints.
const MAIN_FLAG_PIPE: u64 = 2;
/// All frames carry a full timestamp, a full size, and a checksum, which ffmpeg insists on for
/// long frames and for jumps in time.
const FRAME_FLAGS: u64 = flag::KEY | flag::CODED_PTS | flag::SIZE_MSB | flag::CHECKSUM;

/// What the header says of the video stream.
#[derive(Clone, Copy, Debug)]
pub struct VideoParameters {
    /// Size and pixel format of every frame.
    pub geometry: Geometry,
    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown.
    pub sample_aspect: (u32, u32),
    /// The declared frame rate; encoders set their rate control by it.
    pub frame_rate: FrameRate,
}

/// The time base of a stream, and its place in the header's list of time bases.
#[derive(Clone, Copy, Debug)]
struct Base {
    time_base: TimeBase,
    index: u64,
    count: u64,
}

/// Writes NUT to a pipe.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    payload_bytes: usize,
    video: Base,
    audio: Option<Base>,
    syncpoint_written: bool,
    header: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the headers: one video stream, and an audio stream if `audio` gives its parameters
    /// and time base, as a [`Reader`](super::Reader) found them.
    ///
    /// # Errors
    /// [`WriteError::Io`] or [`WriteError::PixelFormat`].
    pub fn create(
        output: W,
        video: &VideoParameters,
        audio: Option<(&AudioStream, TimeBase)>,
    ) -> Result<Self, WriteError> {
        let mut bases = vec![VIDEO_TIME_BASE];
        bases.extend(audio.map(|(_, time_base)| time_base).filter(|own| *own != VIDEO_TIME_BASE));
        let count = if bases.len() == 1 { 1 } else { 2 };
        let video_base = Base { time_base: VIDEO_TIME_BASE, index: 0, count };
        let audio_base = audio.map(|(_, time_base)| Base { time_base, index: count - 1, count });
        let mut header = MAGIC.to_vec();
        append_packet(&mut header, startcode::MAIN, &main_header(&bases, audio.is_some()));
        append_packet(&mut header, startcode::STREAM, &video_header(video)?);
        if let (Some((stream, _)), Some(base)) = (audio, audio_base) {
            append_packet(&mut header, startcode::STREAM, &audio_header(stream, base));
        }
        append_packet(&mut header, startcode::INFO, &rate_info(video.frame_rate));
        let mut writer = Self {
            output,
            payload_bytes: video.geometry.payload_bytes(),
            video: video_base,
            audio: audio_base,
            syncpoint_written: false,
            header,
        };
        writer.write_out(&[])?;
        Ok(writer)
    }

    /// Writes a frame. `pts_ns` must not be below 0 and should grow from frame to frame; it is
    /// rounded to the nearest microsecond.
    ///
    /// # Errors
    /// [`WriteError::Timestamp`] or [`WriteError::PayloadSize`], before anything is written;
    /// [`WriteError::Io`], after which the stream is of no more use.
    pub fn write_video(&mut self, pts_ns: i64, payload: &[u8]) -> Result<(), WriteError> {
        if payload.len() != self.payload_bytes {
            let (given, expected) = (payload.len(), self.payload_bytes);
            return Err(WriteError::PayloadSize { given, expected });
        }
        let pts = VIDEO_TIME_BASE.from_ns(pts_ns).ok_or(WriteError::Timestamp(pts_ns))?;
        self.write_packet(1, self.video, pts, payload)
    }

    /// Writes an audio packet. `pts` is in the audio stream's time base and must not be below 0.
    ///
    /// # Errors
    /// [`WriteError::NoAudio`] or [`WriteError::Timestamp`], before anything is written;
    /// [`WriteError::Io`], after which the stream is of no more use.
    pub fn write_audio(&mut self, pts: i64, payload: &[u8]) -> Result<(), WriteError> {
        let base = self.audio.ok_or(WriteError::NoAudio)?;
        self.write_packet(2, base, pts, payload)
    }

    /// Gives the pipe back. Nothing is buffered, and NUT needs no end.
    pub fn into_output(self) -> W {
        self.output
    }

    /// Writes one packet whose frame code is `code`, before the first one also the syncpoint.
    fn write_packet(
        &mut self,
        code: u8,
        base: Base,
        pts: i64,
        payload: &[u8],
    ) -> Result<(), WriteError> {
        let unsigned = u64::try_from(pts).map_err(|_| WriteError::Timestamp(pts))?;
        if !self.syncpoint_written {
            let time =
                unsigned.checked_mul(base.count).and_then(|time| time.checked_add(base.index));
            let mut body = Vec::new();
            varint::write(&mut body, time.ok_or(WriteError::Timestamp(pts))?);
            varint::write(&mut body, 0); // nothing to seek back to
            append_packet(&mut self.header, startcode::SYNCPOINT, &body);
            self.syncpoint_written = true;
        }
        let start = self.header.len();
        self.header.push(code);
        varint::write(&mut self.header, unsigned + 1); // 0 would stand for the low bits alone
        varint::write(&mut self.header, u64::try_from(payload.len()).unwrap_or(u64::MAX));
        let checksum = crc::update(0, &self.header[start..]);
        self.header.extend_from_slice(&checksum.to_be_bytes());
        self.write_out(payload)
    }

    /// Writes the collected header bytes and the payload, together as far as the pipe takes them.
    fn write_out(&mut self, payload: &[u8]) -> Result<(), WriteError> {
        let mut slices = [IoSlice::new(&self.header), IoSlice::new(payload)];
        let mut left = &mut slices[..];
        // Drops slices that are empty from the start, so that a write of nothing is not taken for
        // a closed pipe.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.output.write_vectored(left) {
                Ok(0) => return Err(WriteError::Io(io::ErrorKind::WriteZero.into())),
                Ok(count) => IoSlice::advance_slices(&mut left, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(WriteError::Io(error)),
            }
        }
        self.header.clear();
        self.output.flush().map_err(WriteError::Io)
    }
}

/// Appends a whole packet: startcode, length, body, checksums.
fn append_packet(out: &mut Vec<u8>, code: u64, body: &[u8]) {
    let start = out.len();
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX).saturating_add(4);
    out.extend_from_slice(&code.to_be_bytes());
    varint::write(out, bytes);
    if bytes > LONG_PACKET_BYTES {
        let checksum = crc::update(0, &out[start..]);
        out.extend_from_slice(&checksum.to_be_bytes());
    }
    out.extend_from_slice(body);
    out.extend_from_slice(&crc::update(0, body).to_be_bytes());
}

/// The main header: frame code 1 is video, 2 is audio, all others are invalid.
fn main_header(bases: &[TimeBase], audio: bool) -> Vec<u8> {
    let streams = if audio { 2 } else { 1 };
    let mut body = Vec::new();
    for value in [4, 1, streams, MAX_DISTANCE] {
        varint::write(&mut body, value);
    }
    varint::write(&mut body, if bases.len() == 1 { 1 } else { 2 });
    for base in bases {
        varint::write(&mut body, base.numerator().into());
        varint::write(&mut body, base.denominator().into());
    }
    append_frame_codes(&mut body, flag::INVALID, 0, 1);
    for stream in 0..streams {
        append_frame_codes(&mut body, FRAME_FLAGS, stream, 1);
    }
    // 255 codes in all: the one that starts packets is not counted.
    append_frame_codes(&mut body, flag::INVALID, 0, 255 - 1 - streams);
    varint::write(&mut body, 0); // no elision headers
    varint::write(&mut body, MAIN_FLAG_PIPE);
    body
}

/// A run of `count` frame codes of one kind.
fn append_frame_codes(body: &mut Vec<u8>, flags: u64, stream: u64, count: u64) {
    // Six fields: pts_delta, size_mul, stream, size_lsb, reserved, count.
    for value in [flags, 6, 0, 1, stream, 0, 0, count] {
        varint::write(body, value);
    }
}

fn video_header(video: &VideoParameters) -> Result<Vec<u8>, WriteError> {
    let format = video.geometry.format();
    let tag = tag_of(format).ok_or(WriteError::PixelFormat(format))?;
    let mut body = vec![0, 0]; // stream 0, video
    varint::write_bytes(&mut body, tag);
    append_stream_fields(&mut body, 0, VIDEO_TIME_BASE, &[]);
    // ffmpeg refuses an aspect of which only one half is 0.
    let (horizontal, vertical) = match video.sample_aspect {
        (0, _) | (_, 0) => (0, 0),
        known => known,
    };
    for value in [video.geometry.width(), video.geometry.height(), horizontal, vertical, 0] {
        varint::write(&mut body, value.into());
    }
    Ok(body)
}

fn audio_header(audio: &AudioStream, base: Base) -> Vec<u8> {
    let mut body = vec![1, 1]; // stream 1, audio
    varint::write_bytes(&mut body, &audio.tag);
    append_stream_fields(&mut body, base.index, base.time_base, &audio.codec_specific_data);
    for value in [audio.sample_rate, 1, audio.channels] {
        varint::write(&mut body, value.into());
    }
    body
}

/// What both classes of streams declare after their tag.
fn append_stream_fields(body: &mut Vec<u8>, index: u64, time_base: TimeBase, extradata: &[u8]) {
    varint::write(body, index);
    varint::write(body, 0); // msb_pts_shift: timestamps are always whole
    let second = (time_base.denominator() / time_base.numerator()).max(1);
    varint::write(body, second.into()); // max_pts_distance
    varint::write(body, 0); // decode_delay
    varint::write(body, 0); // flags
    varint::write_bytes(body, extradata);
}

/// The info packet that declares the video stream's frame rate.
fn rate_info(rate: FrameRate) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 1]; // stream 0, no chapter, one entry
    varint::write_bytes(&mut body, b"r_frame_rate");
    varint::write_signed(&mut body, -1); // a text
    varint::write_bytes(&mut body, rate.to_string().as_bytes());
    body
}
