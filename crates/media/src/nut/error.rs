//! What can go wrong on a NUT pipe. The reader and the writer return these, and the stages show
//! them; a kind that is not listed cannot happen.

use std::io;

/// Why a NUT stream could not be read on. After any of these the reader is of no more use: there
/// is no resynchronising, the stage starts its ffmpeg again instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The pipe itself failed.
    #[error("reading the pipe failed")]
    Io(#[source] io::Error),
    /// The stream ended inside a packet or before its headers were complete, as it does whenever
    /// ffmpeg is killed.
    #[error("the stream was cut short")]
    Truncated,
    /// The first bytes are not NUT's.
    #[error("this is not a NUT stream")]
    NotNut,
    /// A checksum is wrong.
    #[error("the checksum of a {0} is wrong")]
    Checksum(&'static str),
    /// A value contradicts the format.
    #[error("the stream is malformed: {0}")]
    Malformed(&'static str),
    /// Valid NUT, but outside what this reader is for.
    #[error("the stream uses something that is not supported: {0}")]
    Unsupported(&'static str),
    /// A length is above its limit.
    #[error("a {what} of {bytes} bytes is above the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its length as the stream says it.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// The caller's slice does not have the packet's length, or no payload is waiting.
    #[error("a buffer of {given} bytes was given for a payload of {payload_bytes}")]
    Buffer {
        /// Bytes of the slice.
        given: usize,
        /// Bytes of the payload.
        payload_bytes: usize,
    },
}

/// Why a packet could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The pipe failed; a broken pipe means that the reading process is gone.
    #[error("writing to the pipe failed")]
    Io(#[source] io::Error),
    /// NUT has no timestamps below 0, and none above 2^63 divided by the number of time bases.
    #[error("a timestamp of {0} can't be written")]
    Timestamp(i64),
    /// The payload does not have the length of the geometry that the header declared.
    #[error("a frame of {given} bytes was given where {expected} were declared")]
    PayloadSize {
        /// Bytes of the payload.
        given: usize,
        /// Bytes that the geometry asks for.
        expected: usize,
    },
    /// An audio packet without an audio stream in the header.
    #[error("the stream was declared without audio")]
    NoAudio,
    /// The pixel format has no tag in NUT.
    #[error("the pixel format {0} can't be written")]
    PixelFormat(framelane_frame::PixelFormat),
}

impl WriteError {
    /// Whether the process at the other end of the pipe is gone.
    pub fn is_broken_pipe(&self) -> bool {
        // A socket whose reader went without reading everything was reset.
        matches!(self, Self::Io(error)
            if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset))
    }
}
