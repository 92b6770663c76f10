//! What a video frame is, for every crate that carries, makes or shows one: pixel formats and
//! their memory shape, colour tags, and frame rates.
//!
//! Nothing here does I/O, and nothing here knows of shared memory or of ffmpeg's command line.
//! A [`Geometry`] that exists is valid: its sides are within [`MAX_SIDE`] and its byte counts
//! can't overflow.

#![forbid(unsafe_code)]

mod colour;
mod format;
mod rate;

pub use colour::{Colour, Matrix, Primaries, Range, Transfer};
pub use format::{Geometry, GeometryError, MAX_SIDE, PictureRows, PixelFormat, Plane};
pub use rate::{FrameRate, ParseFrameRateError};
