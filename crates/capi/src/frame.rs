//! Frames and output slots as C sees them: addresses into shared memory, and what lies there.

use std::ptr;
use std::time::Duration;

use framelane_frame::{Geometry, PixelFormat};
use framelane_ring::{Record, Seq, WriteGrant};

/// The age of a frame whose arrival nobody noted.
pub const FL_AGE_UNKNOWN: u64 = u64::MAX;

/// The most planes that a pixel format has.
pub const FL_MAX_PLANES: usize = 3;

/// How the pixels of a frame lie in memory. Rows are packed, without padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "these are the names that C sees")]
pub enum fl_pixel_format {
    /// The payload is no picture.
    #[default]
    FL_NO_PICTURE = 0,
    /// Interleaved 8-bit red, green, blue.
    FL_RGB24 = 1,
    /// Interleaved 8-bit blue, green, red: OpenCV's order.
    FL_BGR24 = 2,
    /// 8-bit luma.
    FL_GRAY = 3,
    /// A plane of luma, then U, then V at half the resolution, odd sides rounded up.
    FL_YUV420P = 4,
    /// A plane of luma, then one of interleaved U and V at half the resolution.
    FL_NV12 = 5,
}

/// One plane of a picture.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fl_plane {
    /// Where it starts, in bytes from the start of the payload.
    pub offset: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Rows.
    pub rows: usize,
}

/// A frame to read. Its addresses lead into shared memory, and end with the frame: a job's when the
/// job is finished, a reader's when it is released, and all of them when the handle is closed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fl_frame {
    /// The payload.
    pub data: *const u8,
    /// Bytes of the payload.
    pub len: usize,
    /// Width in pixels; 0 when the payload is no picture.
    pub width: u32,
    /// Height in pixels; 0 when the payload is no picture.
    pub height: u32,
    /// How the pixels lie in memory.
    pub format: fl_pixel_format,
    /// How many of `planes` there are.
    pub plane_count: u32,
    /// The planes, in the order they lie in the payload.
    pub planes: [fl_plane; FL_MAX_PLANES],
    /// The metadata that travels with the frame.
    pub meta: *const u8,
    /// Bytes of metadata.
    pub meta_len: usize,
    /// The source's number of the frame, as `framelane` prints it.
    pub seq: u64,
    /// Presentation time on the source's timeline, in nanoseconds.
    pub pts_ns: i64,
    /// How long before the claim the frame's first byte arrived, in nanoseconds, or FL_AGE_UNKNOWN.
    pub age_ns: u64,
    /// Grows when the source reconnects or changes its format.
    pub epoch: u32,
    /// First frame after a jump of the source's own clock.
    pub discontinuity: bool,
    /// Passed on by an earlier worker that did not process it.
    pub unprocessed: bool,
}

/// A slot of the output ring to write. Its addresses end when the job is finished.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fl_output {
    /// Where the payload goes. It holds whatever was there before: write all of it.
    pub data: *mut u8,
    /// Bytes of the payload.
    pub len: usize,
    /// Width in pixels; 0 when the payload is no picture.
    pub width: u32,
    /// Height in pixels; 0 when the payload is no picture.
    pub height: u32,
    /// How the pixels are to lie in memory.
    pub format: fl_pixel_format,
    /// How many of `planes` there are.
    pub plane_count: u32,
    /// The planes, in the order they lie in the payload.
    pub planes: [fl_plane; FL_MAX_PLANES],
    /// Where metadata goes.
    pub meta: *mut u8,
    /// Room for metadata, in bytes.
    pub meta_capacity: usize,
}

impl From<PixelFormat> for fl_pixel_format {
    fn from(format: PixelFormat) -> Self {
        match format {
            PixelFormat::Rgb24 => Self::FL_RGB24,
            PixelFormat::Bgr24 => Self::FL_BGR24,
            PixelFormat::Gray => Self::FL_GRAY,
            PixelFormat::Yuv420p => Self::FL_YUV420P,
            PixelFormat::Nv12 => Self::FL_NV12,
            // A format that this API doesn't know yet is bytes to its users.
            _ => Self::FL_NO_PICTURE,
        }
    }
}

/// Size, format and planes, as both views have them.
struct Shape {
    width: u32,
    height: u32,
    format: fl_pixel_format,
    plane_count: u32,
    planes: [fl_plane; FL_MAX_PLANES],
}

impl Shape {
    fn of(geometry: Option<&Geometry>) -> Self {
        let mut planes = [fl_plane::default(); FL_MAX_PLANES];
        let mut plane_count = 0;
        for (to, from) in planes.iter_mut().zip(geometry.iter().flat_map(|g| g.planes())) {
            *to = fl_plane { offset: from.offset, stride: from.stride, rows: from.rows };
            plane_count += 1;
        }
        Self {
            width: geometry.map_or(0, Geometry::width),
            height: geometry.map_or(0, Geometry::height),
            format: geometry.map_or_else(Default::default, |g| g.format().into()),
            plane_count,
            planes,
        }
    }
}

impl fl_frame {
    /// What a view is before there is a frame.
    pub(crate) const EMPTY: Self = Self {
        data: ptr::null(),
        len: 0,
        width: 0,
        height: 0,
        format: fl_pixel_format::FL_NO_PICTURE,
        plane_count: 0,
        planes: [fl_plane { offset: 0, stride: 0, rows: 0 }; FL_MAX_PLANES],
        meta: ptr::null(),
        meta_len: 0,
        seq: 0,
        pts_ns: 0,
        age_ns: FL_AGE_UNKNOWN,
        epoch: 0,
        discontinuity: false,
        unprocessed: false,
    };

    /// A view of a frame that is held.
    pub(crate) fn of(
        seq: Seq,
        record: &Record,
        bytes: &[u8],
        meta: &[u8],
        age: Option<Duration>,
    ) -> Self {
        let shape = Shape::of(record.geometry.as_ref());
        let age_ns = age.map(|age| u64::try_from(age.as_nanos()).unwrap_or(FL_AGE_UNKNOWN));
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
            width: shape.width,
            height: shape.height,
            format: shape.format,
            plane_count: shape.plane_count,
            planes: shape.planes,
            meta: meta.as_ptr(),
            meta_len: meta.len(),
            seq: seq.number(),
            pts_ns: record.pts_ns,
            age_ns: age_ns.unwrap_or(FL_AGE_UNKNOWN),
            epoch: record.epoch,
            discontinuity: record.discontinuity,
            unprocessed: record.unprocessed,
        }
    }
}

impl fl_output {
    /// What a view is before there is a slot.
    pub(crate) const EMPTY: Self = Self {
        data: ptr::null_mut(),
        len: 0,
        width: 0,
        height: 0,
        format: fl_pixel_format::FL_NO_PICTURE,
        plane_count: 0,
        planes: [fl_plane { offset: 0, stride: 0, rows: 0 }; FL_MAX_PLANES],
        meta: ptr::null_mut(),
        meta_capacity: 0,
    };

    /// A view of a slot that is held, for what `record` says.
    pub(crate) fn of(output: &mut WriteGrant, record: &Record) -> Self {
        let shape = Shape::of(record.geometry.as_ref());
        let (meta, meta_capacity) = (output.meta_mut().as_mut_ptr(), output.meta_mut().len());
        let payload = &mut output.bytes_mut()[..record.payload_bytes];
        Self {
            data: payload.as_mut_ptr(),
            len: payload.len(),
            width: shape.width,
            height: shape.height,
            format: shape.format,
            plane_count: shape.plane_count,
            planes: shape.planes,
            meta,
            meta_capacity,
        }
    }
}
