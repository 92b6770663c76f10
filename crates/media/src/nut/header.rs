//! The headers of a NUT stream, parsed from the bodies of its packets: the reader calls this.
//!
//! Parsers take bytes whose checksum was right, and still believe nothing: every count and length
//! is checked against the body and against fixed limits before anything is allocated.

use framelane_frame::{FrameRate, Geometry, PixelFormat};

use super::{PACKET_MARK, ReadError, TimeBase, flag, format_of, varint};

const STREAMS_MAX: u64 = 2;
const TIME_BASES_MAX: u64 = 16;
const ELISION_HEADERS_MAX: u64 = 128;
const ELISION_BYTES_MAX: usize = 1024;
/// ffmpeg writes tags of 4 bytes; audio tags can be longer in theory.
const TAG_BYTES_MAX: usize = 16;

/// One stream as its header declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What it carries.
    pub class: Class,
    /// The unit of its timestamps.
    pub time_base: TimeBase,
    pub(super) msb_pts_shift: u32,
}

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Raw pictures.
    Video(VideoStream),
    /// Audio packets in any codec.
    Audio(AudioStream),
}

/// A stream of raw pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoStream {
    /// The tag that names the pixel format.
    pub tag: Vec<u8>,
    /// The pixel format, when the tag is one of the known ones.
    pub format: Option<PixelFormat>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown.
    pub sample_aspect: (u32, u32),
}

impl VideoStream {
    /// The size and format, when they are ones that this project handles.
    pub fn geometry(&self) -> Option<Geometry> {
        Geometry::new(self.width, self.height, self.format?).ok()
    }
}

/// What a reader has to know of a stream of audio packets to decode or copy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioStream {
    /// The tag that names the codec.
    pub tag: Vec<u8>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// The decoder's set-up, such as AAC's AudioSpecificConfig; may be empty.
    pub codec_specific_data: Vec<u8>,
}

/// What one frame code stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameCode {
    pub(super) flags: u64,
    pub(super) stream: u64,
    pub(super) size_mul: u64,
    pub(super) size_lsb: u64,
    pub(super) pts_delta: i64,
    pub(super) reserved: u64,
    pub(super) header_index: u64,
}

/// The main header.
#[derive(Debug)]
pub(super) struct Main {
    pub(super) stream_count: usize,
    pub(super) time_bases: Vec<TimeBase>,
    pub(super) frame_codes: Vec<Option<FrameCode>>,
    /// The first is empty: index 0 means that nothing was left out.
    pub(super) elision_headers: Vec<Vec<u8>>,
}

/// The body of a packet, taken apart from the front.
#[derive(Debug)]
pub(super) struct Body<'a>(pub(super) &'a [u8]);

impl<'a> Body<'a> {
    pub(super) fn number(&mut self) -> Result<u64, ReadError> {
        varint::read(|| {
            let (first, rest) =
                self.0.split_first().ok_or(ReadError::Malformed("a packet is too short"))?;
            self.0 = rest;
            Ok(*first)
        })
    }

    fn signed(&mut self) -> Result<i64, ReadError> {
        varint::signed(self.number()?)
    }

    /// A number that is at most `max`.
    fn at_most(&mut self, max: u64, what: &'static str) -> Result<u64, ReadError> {
        let value = self.number()?;
        if value <= max { Ok(value) } else { Err(ReadError::Malformed(what)) }
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        u32::try_from(self.number()?).map_err(|_| ReadError::Malformed(what))
    }

    /// Bytes with their length before them.
    fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (bytes, rest) =
            self.0.split_at_checked(length).ok_or(ReadError::Malformed("a packet is too short"))?;
        self.0 = rest;
        Ok(bytes)
    }
}

impl Main {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ReadError> {
        let mut body = Body(body);
        let version = body.number()?;
        if !(2..=4).contains(&version) {
            return Err(ReadError::Unsupported("a NUT version other than 2, 3 or 4"));
        }
        if version > 3 {
            body.number()?; // minor version
        }
        let stream_count = body.at_most(STREAMS_MAX, "more than two streams")?;
        body.number()?; // max_distance only matters to who seeks
        let time_base_count = body.at_most(TIME_BASES_MAX, "too many time bases")?;
        if stream_count == 0 || time_base_count == 0 {
            return Err(ReadError::Malformed("no stream or no time base"));
        }
        let mut time_bases = Vec::new();
        for _ in 0..time_base_count {
            let (numerator, denominator) = (body.u32("a time base")?, body.u32("a time base")?);
            let time_base = TimeBase::new(numerator, denominator);
            time_bases.push(time_base.ok_or(ReadError::Malformed("a time base"))?);
        }
        let frame_codes = frame_codes(&mut body, stream_count)?;
        let elision_headers = elision_headers(&mut body)?;
        let stream_count = if stream_count == 1 { 1 } else { 2 };
        Ok(Self { stream_count, time_bases, frame_codes, elision_headers })
    }
}

/// The table of 256 frame codes, written in runs of which each takes over what it leaves out.
fn frame_codes(
    body: &mut Body<'_>,
    stream_count: u64,
) -> Result<Vec<Option<FrameCode>>, ReadError> {
    const WRONG: ReadError = ReadError::Malformed("the frame code table");
    let mut codes = Vec::with_capacity(256);
    let (mut pts_delta, mut size_mul, mut stream, mut header_index) = (0, 1, 0, 0);
    while codes.len() < 256 {
        let (flags, fields) = (body.number()?, body.number()?);
        let (mut size_lsb, mut reserved) = (0, 0);
        if fields > 0 {
            pts_delta = body.signed()?;
        }
        if fields > 1 {
            size_mul = body.number()?;
        }
        if fields > 2 {
            stream = body.number()?;
        }
        if fields > 3 {
            size_lsb = body.number()?;
        }
        if fields > 4 {
            reserved = body.number()?;
        }
        // Entries that are invalid have a size_mul of 0, and are fine all the same.
        let count = if fields > 5 {
            body.number()?
        } else {
            size_mul.checked_sub(size_lsb).ok_or(WRONG)?
        };
        if fields > 6 {
            body.signed()?; // match_time_delta
        }
        if fields > 7 {
            header_index = body.number()?;
        }
        for _ in 8..fields {
            body.number()?; // fields of the future; a short body ends the loop
        }
        let invalid = flags & flag::INVALID != 0;
        if count == 0 || (stream >= stream_count && !invalid) {
            return Err(WRONG);
        }
        for offset in 0..count {
            skip_packet_mark(&mut codes);
            if codes.len() == 256 {
                return Err(WRONG);
            }
            let size_lsb = size_lsb.checked_add(offset).ok_or(WRONG)?;
            let code =
                FrameCode { flags, stream, size_mul, size_lsb, pts_delta, reserved, header_index };
            codes.push((!invalid).then_some(code));
        }
        skip_packet_mark(&mut codes);
    }
    Ok(codes)
}

/// The byte that starts packets is never a frame code, and no run counts it.
fn skip_packet_mark(codes: &mut Vec<Option<FrameCode>>) {
    if codes.len() == usize::from(PACKET_MARK) {
        codes.push(None);
    }
}

/// The beginnings that frames share and leave out.
fn elision_headers(body: &mut Body<'_>) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut headers = vec![Vec::new()];
    if body.0.is_empty() {
        return Ok(headers);
    }
    let mut total = 0;
    for _ in 0..body.at_most(ELISION_HEADERS_MAX, "too many elision headers")? {
        let header = body.bytes()?;
        total += header.len();
        if total > ELISION_BYTES_MAX {
            return Err(ReadError::Malformed("the elision headers are too long"));
        }
        headers.push(header.to_vec());
    }
    Ok(headers)
}

impl Stream {
    /// Parses a stream header; returns the stream's number and the stream.
    pub(super) fn parse(body: &[u8], main: &Main) -> Result<(usize, Self), ReadError> {
        let mut body = Body(body);
        let id = usize::try_from(body.number()?).unwrap_or(usize::MAX);
        if id >= main.stream_count {
            return Err(ReadError::Malformed("a stream number"));
        }
        let class = body.number()?;
        let tag = body.bytes()?;
        if tag.len() > TAG_BYTES_MAX {
            return Err(ReadError::Malformed("a codec tag is too long"));
        }
        let time_base = usize::try_from(body.number()?)
            .ok()
            .and_then(|index| main.time_bases.get(index).copied())
            .ok_or(ReadError::Malformed("the number of a time base"))?;
        let msb_pts_shift = body.u32("msb_pts_shift")?;
        if msb_pts_shift >= 16 {
            return Err(ReadError::Malformed("msb_pts_shift"));
        }
        for _ in 0..3 {
            body.number()?; // max_pts_distance, decode_delay, flags
        }
        let codec_specific_data = body.bytes()?.to_vec();
        let class = match class {
            0 => Class::Video(video(&mut body, tag)?),
            1 => Class::Audio(audio(&mut body, tag, codec_specific_data)?),
            _ => return Err(ReadError::Unsupported("a stream that is neither video nor audio")),
        };
        Ok((id, Self { class, time_base, msb_pts_shift }))
    }
}

fn video(body: &mut Body<'_>, tag: &[u8]) -> Result<VideoStream, ReadError> {
    let (width, height) = (body.u32("a width")?, body.u32("a height")?);
    let sample_aspect = (body.u32("a sample aspect")?, body.u32("a sample aspect")?);
    Ok(VideoStream { tag: tag.to_vec(), format: format_of(tag), width, height, sample_aspect })
}

fn audio(
    body: &mut Body<'_>,
    tag: &[u8],
    codec_specific_data: Vec<u8>,
) -> Result<AudioStream, ReadError> {
    let (numerator, denominator) = (body.u32("a sample rate")?, body.u32("a sample rate")?);
    let sample_rate =
        numerator.checked_div(denominator).ok_or(ReadError::Malformed("a sample rate"))?;
    let channels = body.u32("a number of channels")?;
    Ok(AudioStream { tag: tag.to_vec(), sample_rate, channels, codec_specific_data })
}

/// The stream number and `r_frame_rate` of an info packet that has one.
pub(super) fn frame_rate(body: &[u8]) -> Result<Option<(usize, FrameRate)>, ReadError> {
    let mut body = Body(body);
    let stream_plus_1 = usize::try_from(body.number()?).unwrap_or(usize::MAX);
    body.signed()?; // chapter
    body.number()?; // its start
    body.number()?; // its length
    for _ in 0..body.number()? {
        let name = body.bytes()?;
        let value = match body.signed()? {
            -1 => body.bytes()?,
            -2 => {
                body.bytes()?;
                body.bytes()?
            }
            -3 => {
                body.signed()?;
                continue;
            }
            -4 => {
                body.number()?;
                continue;
            }
            kind if kind < -4 => {
                body.signed()?;
                continue;
            }
            _ => continue,
        };
        if name == b"r_frame_rate" {
            let rate = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            return Ok(stream_plus_1.checked_sub(1).zip(rate));
        }
    }
    Ok(None)
}
