//! The bytes of a NUT pipe, for the reader: headers through a small buffer, payloads straight.
//!
//! A read for a header takes up to [`BUFFER_BYTES`], so a few bytes of the payload that follows
//! come with it and are copied; all others go from the pipe into the caller's slice.

use std::io::{self, Read};

use super::{ReadError, crc, varint};

/// Enough for a syncpoint and a frame header in one read, and little enough that the payload
/// bytes caught with them don't matter.
const BUFFER_BYTES: usize = 96;

/// Skipped payloads are read in pieces of this size.
const SKIP_BYTES: usize = 64 << 10;

/// A pipe with a small buffer and a running checksum over the header bytes taken from it.
#[derive(Debug)]
pub(super) struct Source<R> {
    input: R,
    buffer: [u8; BUFFER_BYTES],
    start: usize,
    end: usize,
    /// Over all bytes taken by `byte` and `exact` since it was last set to 0.
    pub(super) crc: u32,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: [0; BUFFER_BYTES], start: 0, end: 0, crc: 0 }
    }

    fn buffered_bytes(&self) -> usize {
        self.end - self.start
    }

    /// The next byte, left in place; `None` at the end of the stream.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.end = read(&mut self.input, &mut self.buffer)?;
        }
        Ok(self.buffer[self.start..self.end].first().copied())
    }

    /// Takes one byte.
    pub(super) fn byte(&mut self) -> Result<u8, ReadError> {
        let byte = self.peek()?.ok_or(ReadError::Truncated)?;
        self.start += 1;
        self.crc = crc::update(self.crc, &[byte]);
        Ok(byte)
    }

    /// Takes a number of variable length.
    pub(super) fn varint(&mut self) -> Result<u64, ReadError> {
        varint::read(|| self.byte())
    }

    /// Takes exactly the bytes that fill `out`, and counts them into the checksum.
    pub(super) fn exact(&mut self, out: &mut [u8]) -> Result<(), ReadError> {
        self.payload(out)?;
        self.crc = crc::update(self.crc, out);
        Ok(())
    }

    /// Takes exactly the bytes that fill `out`: the buffered ones first, the others by reads
    /// straight into it.
    pub(super) fn payload(&mut self, out: &mut [u8]) -> Result<(), ReadError> {
        let buffered = self.buffered_bytes().min(out.len());
        let (head, mut rest) = out.split_at_mut(buffered);
        head.copy_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.start += buffered;
        while !rest.is_empty() {
            let count = read(&mut self.input, rest)?;
            if count == 0 {
                return Err(ReadError::Truncated);
            }
            rest = &mut rest[count..];
        }
        Ok(())
    }

    /// Takes `bytes` bytes and forgets them.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), ReadError> {
        let buffered = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.buffered_bytes());
        self.start += buffered;
        let mut left = bytes - u64::try_from(buffered).unwrap_or(bytes);
        let mut scratch = Vec::new();
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_BYTES);
            if scratch.is_empty() {
                scratch.resize(wanted, 0);
            }
            let piece = wanted.min(scratch.len());
            let count = read(&mut self.input, &mut scratch[..piece])?;
            if count == 0 {
                return Err(ReadError::Truncated);
            }
            left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
        }
        Ok(())
    }
}

/// One read that is not disturbed by signals.
fn read(input: &mut impl Read, out: &mut [u8]) -> Result<usize, ReadError> {
    loop {
        match input.read(out) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}
