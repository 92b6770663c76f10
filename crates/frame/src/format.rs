//! Pixel formats and the shape of a frame in memory.
//!
//! Frames are packed: rows follow each other without padding, planes follow each other without
//! gaps, exactly as ffmpeg's `rawvideo` encoder writes them with an alignment of 1. Chroma planes
//! of odd-sized frames are rounded up, again as ffmpeg does (`AV_CEIL_RSHIFT`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Range;

/// The longest side of a frame, in pixels. Larger pictures are refused, which also keeps every
/// byte count far below `u32::MAX`: 16384 x 16384 x 3 is 805 million.
pub const MAX_SIDE: u32 = 16384;

/// How the pixels of a frame lie in memory. The names are ffmpeg's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Interleaved 8-bit red, green, blue: shape `H x W x 3`.
    Rgb24,
    /// Interleaved 8-bit blue, green, red, the order OpenCV expects: shape `H x W x 3`.
    Bgr24,
    /// 8-bit luma only: shape `H x W`.
    Gray,
    /// A luma plane, then U and V at half the resolution in both directions (4:2:0).
    Yuv420p,
    /// A luma plane, then one plane of interleaved U and V at half the resolution.
    Nv12,
}

/// One plane of a frame: a range of the payload with rows of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Where the plane starts, in bytes from the start of the payload.
    pub offset: usize,
    /// Bytes from one row to the next; rows are packed, so this is also a row's length.
    pub stride: usize,
    /// Rows.
    pub rows: usize,
}

impl Plane {
    /// The plane's bytes within a frame's payload.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.stride * self.rows
    }
}

/// A plane of a picture that is not packed as in a slot: rows at a distance of `stride` bytes, of
/// which the last may end where its pixels do.
#[derive(Clone, Copy, Debug)]
pub struct PictureRows<'picture> {
    /// The rows.
    pub bytes: &'picture [u8],
    /// Bytes from the start of a row to that of the next.
    pub stride: usize,
}

impl PixelFormat {
    /// Every format, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Rgb24, Self::Bgr24, Self::Gray, Self::Yuv420p, Self::Nv12];

    /// The name that ffmpeg's `-pix_fmt` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb24 => "rgb24",
            Self::Bgr24 => "bgr24",
            Self::Gray => "gray",
            Self::Yuv420p => "yuv420p",
            Self::Nv12 => "nv12",
        }
    }

    /// The number that stands for the format in shared memory; never 0.
    pub fn code(self) -> u8 {
        match self {
            Self::Rgb24 => 1,
            Self::Bgr24 => 2,
            Self::Gray => 3,
            Self::Yuv420p => 4,
            Self::Nv12 => 5,
        }
    }

    /// The format that a [`code`](Self::code) stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    /// Whether the samples are luma and chroma rather than red, green and blue (or luma alone).
    pub fn is_yuv(self) -> bool {
        matches!(self, Self::Yuv420p | Self::Nv12)
    }

    /// Whether the samples are red, green and blue, in whichever order.
    pub fn is_rgb(self) -> bool {
        matches!(self, Self::Rgb24 | Self::Bgr24)
    }

    /// The range of the samples in a ring: RGB and gray are full range, luma with chroma limited.
    pub fn range(self) -> Range {
        if self.is_yuv() { Range::Limited } else { Range::Full }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PixelFormat {
    type Err = GeometryError;

    fn from_str(name: &str) -> Result<Self, GeometryError> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| GeometryError::UnknownFormat(name.to_owned()))
    }
}

/// Why a pixel format or a frame size was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A side is 0 or longer than [`MAX_SIDE`].
    #[error("a frame of {width}x{height} is outside 1x1 to {MAX_SIDE}x{MAX_SIDE}")]
    Size {
        /// The width that was asked for, in pixels.
        width: u32,
        /// The height that was asked for, in pixels.
        height: u32,
    },
    /// Not one of [`PixelFormat::ALL`].
    #[error("unknown pixel format '{0}': use rgb24, bgr24, gray, yuv420p or nv12")]
    UnknownFormat(String),
}

/// The size and pixel format of a frame, checked: from here on its byte counts are safe to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedGeometry")]
pub struct Geometry {
    width: u32,
    height: u32,
    format: PixelFormat,
}

/// What deserialises before the sides are checked.
#[derive(Deserialize)]
struct UncheckedGeometry {
    width: u32,
    height: u32,
    format: PixelFormat,
}

impl TryFrom<UncheckedGeometry> for Geometry {
    type Error = GeometryError;

    fn try_from(raw: UncheckedGeometry) -> Result<Self, GeometryError> {
        Self::new(raw.width, raw.height, raw.format)
    }
}

impl Geometry {
    /// Checks a size in pixels.
    ///
    /// # Errors
    /// [`GeometryError::Size`] when a side is 0 or longer than [`MAX_SIDE`].
    pub fn new(width: u32, height: u32, format: PixelFormat) -> Result<Self, GeometryError> {
        if (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) {
            Ok(Self { width, height, format })
        } else {
            Err(GeometryError::Size { width, height })
        }
    }

    /// The same size in another format.
    #[must_use]
    pub fn with_format(self, format: PixelFormat) -> Self {
        Self { format, ..self }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How the pixels lie in memory.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Bytes from one row of the first plane to the next.
    pub fn stride(&self) -> usize {
        let width = self.width as usize;
        match self.format {
            PixelFormat::Rgb24 | PixelFormat::Bgr24 => width * 3,
            PixelFormat::Gray | PixelFormat::Yuv420p | PixelFormat::Nv12 => width,
        }
    }

    /// Bytes of the whole payload.
    pub fn payload_bytes(&self) -> usize {
        let (width, height) = (self.width as usize, self.height as usize);
        let chroma =
            if self.format.is_yuv() { 2 * width.div_ceil(2) * height.div_ceil(2) } else { 0 };
        self.stride() * height + chroma
    }

    /// The planes, in the order they lie in the payload; never empty.
    pub fn planes(&self) -> Vec<Plane> {
        let (width, height) = (self.width as usize, self.height as usize);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let first = Plane { offset: 0, stride: self.stride(), rows: height };
        let after_luma = width * height;
        match self.format {
            PixelFormat::Rgb24 | PixelFormat::Bgr24 | PixelFormat::Gray => vec![first],
            PixelFormat::Yuv420p => {
                let u = Plane { offset: after_luma, stride: chroma_width, rows: chroma_height };
                vec![first, u, Plane { offset: u.range().end, ..u }]
            }
            PixelFormat::Nv12 => {
                vec![
                    first,
                    Plane { offset: after_luma, stride: chroma_width * 2, rows: chroma_height },
                ]
            }
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} {}", self.width, self.height, self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(width: u32, height: u32, format: PixelFormat) -> usize {
        Geometry::new(width, height, format).expect("a valid size").payload_bytes()
    }

    #[test]
    fn payloads_are_packed_and_odd_chroma_is_rounded_up() {
        assert_eq!(bytes(1280, 720, PixelFormat::Rgb24), 1280 * 720 * 3);
        assert_eq!(bytes(5, 3, PixelFormat::Bgr24), 45);
        assert_eq!(bytes(5, 3, PixelFormat::Gray), 15);
        assert_eq!(bytes(5, 3, PixelFormat::Yuv420p), 15 + 2 * (3 * 2));
        assert_eq!(bytes(5, 3, PixelFormat::Nv12), 15 + 6 * 2);
    }

    #[test]
    fn planes_fill_the_payload_one_after_the_other() {
        for format in PixelFormat::ALL {
            for (width, height) in [(1, 1), (5, 3), (640, 360)] {
                let geometry = Geometry::new(width, height, format).expect("a valid size");
                let planes = geometry.planes();
                assert_eq!(planes[0].stride, geometry.stride());
                let end = planes.iter().fold(0, |end, plane| {
                    assert_eq!(plane.offset, end, "{geometry}");
                    plane.range().end
                });
                assert_eq!(end, geometry.payload_bytes(), "{geometry}");
            }
        }
    }

    #[test]
    fn sides_outside_the_limits_are_refused() {
        for (width, height) in [(0, 1), (1, 0), (0, 0), (MAX_SIDE + 1, 1), (1, u32::MAX)] {
            assert!(Geometry::new(width, height, PixelFormat::Gray).is_err(), "{width}x{height}");
        }
        assert!(Geometry::new(MAX_SIDE, MAX_SIDE, PixelFormat::Rgb24).is_ok());
    }

    #[test]
    fn codes_and_names_lead_back_to_their_format() {
        for format in PixelFormat::ALL {
            assert_eq!(PixelFormat::from_code(format.code()), Some(format));
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!(PixelFormat::from_code(0), None);
    }
}
