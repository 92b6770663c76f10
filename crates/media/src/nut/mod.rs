//! NUT, ffmpeg's own container, as the two pipes between a stage and its ffmpeg child carry it.
//!
//! The puller reads with [`Reader`] what its ffmpeg writes; the pusher writes with [`Writer`] what
//! its ffmpeg reads. Both cover what ffmpeg emits and accepts for these jobs and nothing more:
//! at most one video and one audio stream, no chapters, no side data, no seeking.
//! Payloads go straight between the pipe and the caller's slice. What comes down a pipe is
//! untrusted: every length has a limit, and no input makes these modules panic.

mod crc;
mod error;
mod header;
mod read;
mod source;
mod varint;
mod write;

#[cfg(test)]
mod tests;

use framelane_frame::PixelFormat;

pub use error::{ReadError, WriteError};
pub use header::{AudioStream, Class, Stream, VideoStream};
pub use read::{Limits, PacketHeader, Reader};
pub use write::{VIDEO_TIME_BASE, VideoParameters, Writer};

/// The bytes every NUT stream starts with.
pub(crate) const MAGIC: &[u8; 25] = b"nut/multimedia container\0";

/// The first byte of every packet that is not a frame.
pub(crate) const PACKET_MARK: u8 = b'N';

/// Packets longer than this carry a checksum over their own length.
pub(crate) const LONG_PACKET_BYTES: u64 = 4096;

/// The 8-byte marks that packets other than frames start with.
pub(crate) mod startcode {
    pub(crate) const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
    pub(crate) const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
    pub(crate) const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;
    pub(crate) const INDEX: u64 = 0x4E58_DD67_2F23_E64E;
    pub(crate) const INFO: u64 = 0x4E49_AB68_B596_BA78;
}

/// The flags of a frame code, named as in the NUT specification.
pub(crate) mod flag {
    pub(crate) const KEY: u64 = 1;
    pub(crate) const CODED_PTS: u64 = 1 << 3;
    pub(crate) const STREAM_ID: u64 = 1 << 4;
    pub(crate) const SIZE_MSB: u64 = 1 << 5;
    pub(crate) const CHECKSUM: u64 = 1 << 6;
    pub(crate) const RESERVED: u64 = 1 << 7;
    pub(crate) const SIDE_DATA: u64 = 1 << 8;
    pub(crate) const HEADER_INDEX: u64 = 1 << 10;
    pub(crate) const MATCH_TIME: u64 = 1 << 11;
    pub(crate) const CODED: u64 = 1 << 12;
    pub(crate) const INVALID: u64 = 1 << 13;
}

/// The unit of a stream's timestamps: `numerator / denominator` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeBase {
    numerator: u32,
    denominator: u32,
}

impl TimeBase {
    /// A time base; both parts must be above 0 and below 2^31, as NUT and ffmpeg demand.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        let valid = 1..=i32::MAX.unsigned_abs();
        (valid.contains(&numerator) && valid.contains(&denominator))
            .then_some(Self { numerator, denominator })
    }

    /// Seconds in `denominator` units.
    pub fn numerator(self) -> u32 {
        self.numerator
    }

    /// Units in `numerator` seconds.
    pub fn denominator(self) -> u32 {
        self.denominator
    }

    /// A timestamp in nanoseconds, rounded to the nearest; `None` when it does not fit.
    pub fn to_ns(self, pts: i64) -> Option<i64> {
        let scaled = i128::from(pts) * i128::from(self.numerator) * 1_000_000_000;
        rounded(scaled, self.denominator.into())
    }

    /// The timestamp nearest to `pts_ns` nanoseconds; `None` when it does not fit.
    pub fn from_ns(self, pts_ns: i64) -> Option<i64> {
        let scaled = i128::from(pts_ns) * i128::from(self.denominator);
        rounded(scaled, i128::from(self.numerator) * 1_000_000_000)
    }
}

/// `dividend / divisor` to the nearest whole number, halves upwards. `divisor` is above 0.
fn rounded(dividend: i128, divisor: i128) -> Option<i64> {
    i64::try_from((dividend + divisor / 2).div_euclid(divisor)).ok()
}

/// The tag that the writer puts before frames of `format`. ffmpeg refuses its own `Y1\0\x08` for
/// gray when it reads, and takes `Y800`.
pub(crate) fn tag_of(format: PixelFormat) -> Option<&'static [u8; 4]> {
    match format {
        PixelFormat::Rgb24 => Some(b"RGB\x18"),
        PixelFormat::Bgr24 => Some(b"BGR\x18"),
        PixelFormat::Gray => Some(b"Y800"),
        PixelFormat::Yuv420p => Some(b"I420"),
        PixelFormat::Nv12 => Some(b"NV12"),
        _ => None,
    }
}

/// The pixel format that a tag stands for.
pub(crate) fn format_of(tag: &[u8]) -> Option<PixelFormat> {
    if tag == b"Y1\0\x08" {
        return Some(PixelFormat::Gray);
    }
    PixelFormat::ALL.into_iter().find(|format| tag_of(*format).is_some_and(|own| own == tag))
}
