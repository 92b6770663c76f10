//! `framelane snapshot`: the newest frame of a ring as a PNG, alone or beside the same frame of
//! another ring, such as a worker's input.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use framelane_frame::{Geometry, PixelFormat};
use framelane_ring::{Observer, ReadGrant, Ring, SegmentName};
use framelane_stage::Failure;
use image::{Rgb, RgbImage};

/// How long to wait for a frame.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(ring: &str, file: &Path, beside: Option<&str>) -> Result<(), Failure> {
    let mut observer = Observer::join(Ring::open(&SegmentName::new(ring)?)?)?;
    let mut other = match beside {
        Some(beside) => Some(Observer::join(Ring::open(&SegmentName::new(beside)?)?)?),
        None => None,
    };
    let start = Instant::now();
    loop {
        if let Some(picture) = take(&mut observer, other.as_mut())? {
            let saved = picture.save(file);
            saved.with_context(|| format!("writing {}", file.display()))?;
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            let reason =
                anyhow!("no frame to be had from '{ring}' within {} s", PATIENCE.as_secs());
            return Err(reason.into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One try: the newest frame, and the same one of the other ring on its left.
fn take(
    observer: &mut Observer,
    other: Option<&mut Observer>,
) -> Result<Option<RgbImage>, Failure> {
    let Some(frame) = observer.newest(None)? else { return Ok(None) };
    let Some(other) = other else { return Ok(Some(to_rgb(&frame)?)) };
    let Some(source) = other.numbered(frame.seq().number())? else { return Ok(None) };
    let (left, right) = (to_rgb(&source)?, to_rgb(&frame)?);
    let (width, height) = (left.width() + right.width(), left.height().max(right.height()));
    let mut both = RgbImage::new(width, height);
    image::imageops::replace(&mut both, &left, 0, 0);
    image::imageops::replace(&mut both, &right, i64::from(left.width()), 0);
    Ok(Some(both))
}

fn to_rgb(frame: &ReadGrant) -> Result<RgbImage, anyhow::Error> {
    let geometry = frame.record().geometry.context("the frame is no picture")?;
    let bytes = frame.bytes();
    Ok(RgbImage::from_fn(geometry.width(), geometry.height(), |x, y| {
        Rgb(pixel(&geometry, bytes, x as usize, y as usize))
    }))
}

/// One pixel as RGB; YUV is taken for BT.709 in limited range, which is right for most of it and
/// good enough to look at.
fn pixel(geometry: &Geometry, bytes: &[u8], x: usize, y: usize) -> [u8; 3] {
    let planes = geometry.planes();
    let luma = planes[0];
    match geometry.format() {
        PixelFormat::Rgb24 | PixelFormat::Bgr24 => {
            let at = y * luma.stride + x * 3;
            let pixel = [bytes[at], bytes[at + 1], bytes[at + 2]];
            if geometry.format() == PixelFormat::Rgb24 {
                pixel
            } else {
                [pixel[2], pixel[1], pixel[0]]
            }
        }
        PixelFormat::Yuv420p => {
            let chroma =
                |plane: usize| bytes[planes[plane].offset + y / 2 * planes[plane].stride + x / 2];
            yuv_to_rgb(bytes[y * luma.stride + x], chroma(1), chroma(2))
        }
        PixelFormat::Nv12 => {
            let at = planes[1].offset + y / 2 * planes[1].stride + x / 2 * 2;
            yuv_to_rgb(bytes[y * luma.stride + x], bytes[at], bytes[at + 1])
        }
        _ => [bytes[y * luma.stride + x]; 3],
    }
}

fn yuv_to_rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let luma = 1.164 * (f32::from(y) - 16.0);
    let (u, v) = (f32::from(u) - 128.0, f32::from(v) - 128.0);
    [luma + 1.793 * v, luma - 0.213 * u - 0.533 * v, luma + 2.112 * u].map(to_sample)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 just before"
)]
fn to_sample(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
