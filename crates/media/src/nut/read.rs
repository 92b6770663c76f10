//! The reader of a NUT pipe: what the puller's ffmpeg writes, packet by packet.
//!
//! [`Reader::next_packet`] returns as soon as a frame's header is there, so the caller can take
//! the clock, look for a slot, and then have the payload read straight into it. The stream is
//! untrusted: see [`Limits`] and the constants here. Nothing is sought, and after an error nothing
//! is resynchronised.

use std::io::Read;

use framelane_frame::FrameRate;

use super::header::{self, Body, Class, FrameCode, Main, Stream};
use super::source::Source;
use super::{LONG_PACKET_BYTES, MAGIC, PACKET_MARK, ReadError, flag, startcode};

/// Packets other than frames and the index are not longer than this.
const PACKET_BYTES_MAX: u64 = 64 << 10;
/// Reserved fields in a frame header; ffmpeg writes none.
const RESERVED_FIELDS_MAX: u64 = 64;

/// How much of a stream to believe.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest payload, in bytes: the ring's slot. Longer ones are an error before anything
    /// of them is read.
    pub payload_bytes_max: usize,
}

/// What a packet's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// The stream's number, an index into [`Reader::streams`].
    pub stream: usize,
    /// The timestamp in units of the stream's time base.
    pub pts: i64,
    /// The timestamp in nanoseconds, to the nearest.
    pub pts_ns: i64,
    /// Bytes of the payload that waits to be read.
    pub payload_bytes: usize,
}

/// A payload whose header was read.
#[derive(Clone, Copy, Debug)]
struct Pending {
    payload_bytes: usize,
    header_index: usize,
}

/// Reads NUT from a pipe.
///
/// ```no_run
/// # fn main() -> Result<(), framelane_media::nut::ReadError> {
/// use framelane_media::nut::{Limits, Reader};
/// let mut reader = Reader::open(std::io::stdin(), Limits { payload_bytes_max: 1 << 20 })?;
/// while let Some(packet) = reader.next_packet()? {
///     let mut frame = vec![0; packet.payload_bytes];
///     reader.read_payload(&mut frame)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    limits: Limits,
    main: Main,
    streams: Vec<Stream>,
    last_pts: Vec<i64>,
    frame_rate: Option<FrameRate>,
    pending: Option<Pending>,
}

impl<R: Read> Reader<R> {
    /// Reads everything before the first frame: the main header, the stream headers, and the info
    /// packets. Waits for as long as the pipe is silent.
    ///
    /// # Errors
    /// Any [`ReadError`] but `Buffer`. An empty stream is [`ReadError::Truncated`].
    pub fn open(input: R, limits: Limits) -> Result<Self, ReadError> {
        let mut reader = Self::open_headers(input, limits)?;
        while reader.source.peek()? == Some(PACKET_MARK) {
            if !reader.take_packet()? {
                break;
            }
        }
        Ok(reader)
    }

    /// Reads the main header and the stream headers, and waits for nothing that comes after them:
    /// what a stream is may be known long before its first frame.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_headers(input: R, limits: Limits) -> Result<Self, ReadError> {
        let mut source = Source::new(input);
        let mut magic = [0; MAGIC.len()];
        source.exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(ReadError::NotNut);
        }
        let (code, body) = packet(&mut source)?;
        if code != startcode::MAIN {
            return Err(ReadError::Malformed("the main header is not the first packet"));
        }
        let main = Main::parse(&body)?;
        let streams = stream_headers(&mut source, &main)?;
        let last_pts = vec![0; streams.len()];
        Ok(Self { source, limits, main, streams, last_pts, frame_rate: None, pending: None })
    }

    /// The streams, one or two, by their numbers.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The number of the first stream that carries video.
    pub fn video_stream(&self) -> Option<usize> {
        self.streams.iter().position(|stream| matches!(stream.class, Class::Video(_)))
    }

    /// The frame rate that the video stream declares, once its info packet has come: a hint, and
    /// often a wrong one.
    pub fn frame_rate(&self) -> Option<FrameRate> {
        self.frame_rate
    }

    /// Reads up to the next payload. `None` is the end of the stream. A payload that was neither
    /// read nor skipped is skipped first.
    ///
    /// # Errors
    /// Any [`ReadError`] but `Buffer`; an end inside a packet is [`ReadError::Truncated`].
    pub fn next_packet(&mut self) -> Result<Option<PacketHeader>, ReadError> {
        if self.pending.is_some() {
            self.skip_payload()?;
        }
        loop {
            match self.source.peek()? {
                None => return Ok(None),
                Some(PACKET_MARK) => {
                    self.take_packet()?;
                }
                Some(_) => return self.frame_header().map(Some),
            }
        }
    }

    /// Reads the payload of the last packet into `out`, which must have exactly its length.
    ///
    /// # Errors
    /// [`ReadError::Buffer`] when the length differs or no payload waits (nothing is read then),
    /// else [`ReadError::Io`] or [`ReadError::Truncated`].
    pub fn read_payload(&mut self, out: &mut [u8]) -> Result<(), ReadError> {
        let payload_bytes = self.pending.map_or(0, |pending| pending.payload_bytes);
        let pending = self
            .pending
            .take_if(|pending| pending.payload_bytes == out.len())
            .ok_or(ReadError::Buffer { given: out.len(), payload_bytes })?;
        let elided = &self.main.elision_headers[pending.header_index];
        let (head, rest) = out.split_at_mut(elided.len());
        head.copy_from_slice(elided);
        self.source.payload(rest)
    }

    /// Reads past the payload of the last packet; without one, does nothing.
    ///
    /// # Errors
    /// [`ReadError::Io`] or [`ReadError::Truncated`].
    pub fn skip_payload(&mut self) -> Result<(), ReadError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let elided = self.main.elision_headers[pending.header_index].len();
        self.source.skip(u64::try_from(pending.payload_bytes - elided).unwrap_or(u64::MAX))
    }

    /// Reads one packet that is not a frame. Returns whether it was an info packet.
    fn take_packet(&mut self) -> Result<bool, ReadError> {
        let (code, body) = packet(&mut self.source)?;
        match code {
            startcode::SYNCPOINT => self.syncpoint(&body)?,
            startcode::INFO => {
                // Metadata: what can't be understood is left alone.
                if let Ok(Some((stream, rate))) = header::frame_rate(&body)
                    && self.video_stream() == Some(stream)
                {
                    self.frame_rate = Some(rate);
                }
                return Ok(true);
            }
            // Repeated headers are the same as the first ones, apart from an elision table that
            // ffmpeg writes wrong; so they are never parsed again. The index is for seeking.
            _ => {}
        }
        Ok(false)
    }

    /// Sets the last timestamp of every stream to the syncpoint's, rounded down as ffmpeg does.
    fn syncpoint(&mut self, body: &[u8]) -> Result<(), ReadError> {
        const WRONG: ReadError = ReadError::Malformed("a syncpoint's time");
        let coded = Body(body).number()?;
        let bases = u64::try_from(self.main.time_bases.len()).map_err(|_| WRONG)?;
        let index = usize::try_from(coded % bases).map_err(|_| WRONG)?;
        let (time, base) = (i128::from(coded / bases), self.main.time_bases[index]);
        for (stream, last_pts) in self.streams.iter().zip(&mut self.last_pts) {
            let own = stream.time_base;
            // At most 2^64 * 2^31 * 2^31 = 2^126: no overflow.
            let scaled = time * i128::from(base.numerator()) * i128::from(own.denominator());
            let divisor = i128::from(base.denominator()) * i128::from(own.numerator());
            *last_pts = i64::try_from(scaled.div_euclid(divisor)).map_err(|_| WRONG)?;
        }
        Ok(())
    }

    /// Reads the header of a frame, from its frame code to its checksum.
    fn frame_header(&mut self) -> Result<PacketHeader, ReadError> {
        self.source.crc = 0;
        let code = usize::from(self.source.byte()?);
        let entry = self.main.frame_codes.get(code).copied().flatten();
        let mut entry = entry.ok_or(ReadError::Malformed("an invalid frame code"))?;
        if entry.flags & flag::CODED != 0 {
            entry.flags ^= self.source.varint()?;
        }
        if entry.flags & flag::SIDE_DATA != 0 {
            return Err(ReadError::Unsupported("side data"));
        }
        if entry.flags & flag::STREAM_ID != 0 {
            entry.stream = self.source.varint()?;
        }
        let stream = usize::try_from(entry.stream).unwrap_or(usize::MAX);
        let (Some(last_pts), Some(declared)) =
            (self.last_pts.get(stream).copied(), self.streams.get(stream))
        else {
            return Err(ReadError::Malformed("a frame of an unknown stream"));
        };
        let (shift, time_base) = (declared.msb_pts_shift, declared.time_base);
        let pts = if entry.flags & flag::CODED_PTS != 0 {
            full_pts(self.source.varint()?, last_pts, shift)
        } else {
            last_pts.checked_add(entry.pts_delta)
        };
        let pts = pts.ok_or(ReadError::Malformed("a timestamp"))?;
        let pts_ns = time_base.to_ns(pts).ok_or(ReadError::Malformed("a timestamp"))?;
        let pending = self.payload_size(entry)?;
        self.last_pts[stream] = pts;
        self.pending = Some(pending);
        Ok(PacketHeader { stream, pts, pts_ns, payload_bytes: pending.payload_bytes })
    }

    /// Reads the rest of a frame header: size, elision header, reserved fields, checksum.
    fn payload_size(&mut self, entry: FrameCode) -> Result<Pending, ReadError> {
        let FrameCode { flags, size_mul, mut header_index, mut reserved, .. } = entry;
        let mut size = Some(entry.size_lsb);
        if flags & flag::SIZE_MSB != 0 {
            let msb = self.source.varint()?;
            size = size_mul.checked_mul(msb).and_then(|high| high.checked_add(entry.size_lsb));
        }
        let size = size.ok_or(ReadError::Malformed("the size of a frame"))?;
        if flags & flag::MATCH_TIME != 0 {
            self.source.varint()?;
        }
        if flags & flag::HEADER_INDEX != 0 {
            header_index = self.source.varint()?;
        }
        if flags & flag::RESERVED != 0 {
            reserved = self.source.varint()?;
        }
        if reserved > RESERVED_FIELDS_MAX {
            return Err(ReadError::Malformed("too many reserved fields"));
        }
        for _ in 0..reserved {
            self.source.varint()?;
        }
        if flags & flag::CHECKSUM != 0 {
            checksum(&mut self.source, "frame header")?;
        }
        let limit = u64::try_from(self.limits.payload_bytes_max).unwrap_or(u64::MAX);
        if size > limit {
            return Err(ReadError::TooLarge { what: "frame", bytes: size, limit });
        }
        // Long frames never leave anything out, whatever their frame code says.
        let header_index = if size > LONG_PACKET_BYTES { 0 } else { header_index };
        let header_index = usize::try_from(header_index).unwrap_or(usize::MAX);
        let payload_bytes = usize::try_from(size).unwrap_or(usize::MAX);
        match self.main.elision_headers.get(header_index) {
            Some(elided) if elided.len() <= payload_bytes => {
                Ok(Pending { payload_bytes, header_index })
            }
            _ => Err(ReadError::Malformed("the elision header of a frame")),
        }
    }
}

/// The timestamp that `coded` stands for: its low bits nearest to the last one, or all of it.
fn full_pts(coded: u64, last_pts: i64, shift: u32) -> Option<i64> {
    let range = 1_u64 << shift;
    if coded >= range {
        return i64::try_from(coded - range).ok();
    }
    let mask = i64::try_from(range - 1).ok()?;
    let lowest = last_pts.checked_sub(mask / 2)?;
    (i64::try_from(coded).ok()?.wrapping_sub(lowest) & mask).checked_add(lowest)
}

/// Reads one packet that starts with a startcode; the body comes without its checksum, and empty
/// where nobody needs it.
fn packet<R: Read>(source: &mut Source<R>) -> Result<(u64, Vec<u8>), ReadError> {
    source.crc = 0;
    let mut code = [0; 8];
    source.exact(&mut code)?;
    let code = u64::from_be_bytes(code);
    let known = [
        startcode::MAIN,
        startcode::STREAM,
        startcode::SYNCPOINT,
        startcode::INDEX,
        startcode::INFO,
    ];
    if !known.contains(&code) {
        return Err(ReadError::Malformed("an unknown kind of packet"));
    }
    let bytes = source.varint()?;
    if bytes > LONG_PACKET_BYTES {
        checksum(source, "packet header")?;
    }
    if code == startcode::INDEX {
        source.skip(bytes)?;
        return Ok((code, Vec::new()));
    }
    if bytes > PACKET_BYTES_MAX {
        return Err(ReadError::TooLarge { what: "packet", bytes, limit: PACKET_BYTES_MAX });
    }
    let body_bytes = usize::try_from(bytes).ok().and_then(|bytes| bytes.checked_sub(4));
    let mut body = vec![0; body_bytes.ok_or(ReadError::Malformed("the length of a packet"))?];
    source.crc = 0;
    source.exact(&mut body)?;
    checksum(source, "packet")?;
    Ok((code, body))
}

/// Takes the four bytes that bring the running checksum to 0.
fn checksum<R: Read>(source: &mut Source<R>, what: &'static str) -> Result<(), ReadError> {
    source.exact(&mut [0; 4])?;
    if source.crc == 0 { Ok(()) } else { Err(ReadError::Checksum(what)) }
}

/// Reads the headers of all streams, in any order.
fn stream_headers<R: Read>(source: &mut Source<R>, main: &Main) -> Result<Vec<Stream>, ReadError> {
    let mut streams = vec![None; main.stream_count];
    while streams.iter().any(Option::is_none) {
        let (code, body) = packet(source)?;
        if code == startcode::INFO {
            continue;
        }
        if code != startcode::STREAM {
            return Err(ReadError::Malformed("a stream has no header"));
        }
        let (id, stream) = Stream::parse(&body, main)?;
        if streams[id].replace(stream).is_some() {
            return Err(ReadError::Malformed("a stream has two headers"));
        }
    }
    Ok(streams.into_iter().flatten().collect())
}
