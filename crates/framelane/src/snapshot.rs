//! `framelane snapshot`: the newest frame of a ring as a PNG, alone or beside the same frame of
//! another ring, such as a worker's input.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use framelane_frame::{PixelFormat, Plane};
use framelane_ring::{Observer, ReadGrant, Ring, SegmentName};
use framelane_stage::{ExitStatus, Failure};

/// How long to wait for a frame.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(ring: &str, file: &Path, beside: Option<&str>) -> Result<(), Failure> {
    if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        let reason = format!("{} would be a PNG: give it the extension .png", file.display());
        return Err(Failure::message(ExitStatus::Usage, reason));
    }
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
            let both = beside.map(|beside| format!(" and '{beside}'")).unwrap_or_default();
            let seconds = PATIENCE.as_secs();
            return Err(anyhow!("no frame of '{ring}'{both} to be had within {seconds} s").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One try: the newest frame, and the same one of the other ring on its left.
fn take(observer: &mut Observer, other: Option<&mut Observer>) -> Result<Option<Picture>, Failure> {
    let Some(frame) = observer.newest(None)? else { return Ok(None) };
    let Some(other) = other else { return Ok(Some(Picture::of(&frame)?)) };
    let Some(source) = other.numbered(frame.seq().number())? else { return Ok(None) };
    Ok(Some(Picture::of(&source)?.beside(&Picture::of(&frame)?)))
}

/// A picture as rows of RGB pixels.
struct Picture {
    width: usize,
    rows: Vec<Vec<u8>>,
}

impl Picture {
    fn of(frame: &ReadGrant) -> Result<Self, anyhow::Error> {
        let geometry = frame.record().geometry.context("the frame is no picture")?;
        let (width, height) = (geometry.width() as usize, geometry.height() as usize);
        let (bytes, planes) = (frame.bytes(), geometry.planes());
        let row =
            |y| (0..width).flat_map(|x| pixel(geometry.format(), &planes, bytes, x, y)).collect();
        Ok(Self { width, rows: (0..height).map(row).collect() })
    }

    /// This picture on the left of another one; black below the one that is less high.
    fn beside(mut self, right: &Self) -> Self {
        let (left_bytes, width) = (3 * self.width, self.width + right.width);
        self.rows.resize(self.rows.len().max(right.rows.len()), Vec::new());
        for (index, row) in self.rows.iter_mut().enumerate() {
            row.resize(left_bytes, 0);
            row.extend(right.rows.get(index).into_iter().flatten());
            row.resize(3 * width, 0);
        }
        Self { width, rows: self.rows }
    }

    fn save(&self, file: &Path) -> Result<(), anyhow::Error> {
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.rows.len())?);
        let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rows.concat())?;
        Ok(writer.finish()?)
    }
}

/// One pixel as RGB; YUV is taken for BT.709 in limited range, which is right for most of it and
/// good enough to look at.
fn pixel(format: PixelFormat, planes: &[Plane], bytes: &[u8], x: usize, y: usize) -> [u8; 3] {
    let luma = planes[0];
    match format {
        PixelFormat::Rgb24 | PixelFormat::Bgr24 => {
            let at = y * luma.stride + x * 3;
            let pixel = [bytes[at], bytes[at + 1], bytes[at + 2]];
            if format == PixelFormat::Rgb24 { pixel } else { [pixel[2], pixel[1], pixel[0]] }
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
