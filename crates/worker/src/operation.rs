//! The built-in operations: small, honest stand-ins for a model, on every pixel format.
//!
//! They work row by row on the packed bytes, read the frame once, and allocate nothing.

use framelane_frame::{Geometry, PixelFormat};

/// Luma of RGB in 1/256: the weights of BT.601.
const RED: u16 = 77;
const GREEN: u16 = 150;
const BLUE: u16 = 29;

/// The chroma value that means "no colour".
const NEUTRAL: u8 = 128;

/// What the built-in worker does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Operation {
    /// Copies the frame.
    Passthrough,
    /// Makes a negative: each sample becomes 255 minus itself, chroma included.
    Invert,
    /// Takes the colour away (BT.601 luma on rgb24 and bgr24, neutral chroma on yuv420p and nv12).
    Gray,
    /// Draws edges white on black: the Sobel gradient of the luma.
    Edges,
}

impl Operation {
    /// Processes one frame. Both slices are as long as the geometry's payload.
    pub(crate) fn apply(self, geometry: &Geometry, frame: &[u8], out: &mut [u8]) {
        match self {
            Self::Passthrough => out.copy_from_slice(frame),
            Self::Invert => {
                out.iter_mut().zip(frame).for_each(|(to, from)| *to = u8::MAX - from);
            }
            Self::Gray => gray(geometry, frame, out),
            Self::Edges => edges(geometry, frame, out),
        }
    }
}

/// Weights of a packed pixel's bytes, in their order.
fn weights(format: PixelFormat) -> [u16; 3] {
    if format == PixelFormat::Bgr24 { [BLUE, GREEN, RED] } else { [RED, GREEN, BLUE] }
}

fn luma(pixel: &[u8], weights: [u16; 3]) -> u8 {
    let sum: u16 =
        pixel.iter().zip(weights).map(|(&sample, weight)| u16::from(sample) * weight).sum();
    sum.to_be_bytes()[0]
}

fn gray(geometry: &Geometry, frame: &[u8], out: &mut [u8]) {
    match geometry.format() {
        format @ (PixelFormat::Rgb24 | PixelFormat::Bgr24) => {
            let weights = weights(format);
            for (to, from) in out.chunks_exact_mut(3).zip(frame.chunks_exact(3)) {
                to.fill(luma(from, weights));
            }
        }
        _ => {
            let first = geometry.planes()[0].range();
            out[first.clone()].copy_from_slice(&frame[first.clone()]);
            out[first.end..].fill(NEUTRAL);
        }
    }
}

fn edges(geometry: &Geometry, frame: &[u8], out: &mut [u8]) {
    let (width, height) = (geometry.width() as usize, geometry.height() as usize);
    let packed = matches!(geometry.format(), PixelFormat::Rgb24 | PixelFormat::Bgr24);
    let weights = weights(geometry.format());
    let bytes_per_pixel = if packed { 3 } else { 1 };
    let read_row = |row: usize, luma_row: &mut Vec<u8>| {
        let from = &frame[row * width * bytes_per_pixel..][..width * bytes_per_pixel];
        luma_row.clear();
        if packed {
            luma_row.extend(from.chunks_exact(3).map(|pixel| luma(pixel, weights)));
        } else {
            luma_row.extend_from_slice(from);
        }
    };
    // Three rows of luma at a time; beyond the border its nearest row and column are repeated.
    let mut rows = [const { Vec::new() }; 3];
    read_row(0, &mut rows[0]);
    read_row(0, &mut rows[1]);
    read_row(1.min(height - 1), &mut rows[2]);
    let mut gradients = vec![0; width];
    for row in 0..height {
        sobel_row(&rows, &mut gradients);
        let to = &mut out[row * width * bytes_per_pixel..][..width * bytes_per_pixel];
        for (pixel, gradient) in to.chunks_exact_mut(bytes_per_pixel).zip(&gradients) {
            pixel.fill(*gradient);
        }
        rows.rotate_left(1);
        read_row((row + 2).min(height - 1), &mut rows[2]);
    }
    let first = geometry.planes()[0].range();
    out[first.end..].fill(NEUTRAL);
}

/// The gradient of the middle row: |horizontal| + |vertical|, at most 255.
fn sobel_row(rows: &[Vec<u8>; 3], gradients: &mut [u8]) {
    let last = gradients.len() - 1;
    let at = |row: usize, column: usize| i16::from(rows[row][column]);
    for (column, gradient) in gradients.iter_mut().enumerate() {
        let (left, right) = (column.saturating_sub(1), (column + 1).min(last));
        let horizontal = (at(0, right) + 2 * at(1, right) + at(2, right))
            - (at(0, left) + 2 * at(1, left) + at(2, left));
        let vertical = (at(2, left) + 2 * at(2, column) + at(2, right))
            - (at(0, left) + 2 * at(0, column) + at(0, right));
        let sum = horizontal.unsigned_abs() + vertical.unsigned_abs();
        *gradient = u8::try_from(sum).unwrap_or(u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(operation: Operation, geometry: &Geometry, frame: &[u8]) -> Vec<u8> {
        let mut out = vec![0xa5; frame.len()];
        operation.apply(geometry, frame, &mut out);
        out
    }

    fn ramp(geometry: &Geometry) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(geometry.payload_bytes()).collect()
    }

    #[test]
    fn every_operation_writes_every_byte_of_every_format_and_size() {
        for format in PixelFormat::ALL {
            for (width, height) in [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (64, 36)] {
                let geometry = Geometry::new(width, height, format).expect("valid");
                let frame = ramp(&geometry);
                for operation in [Operation::Gray, Operation::Edges] {
                    let mut other = vec![0x5a; frame.len()];
                    operation.apply(&geometry, &frame, &mut other);
                    assert_eq!(
                        apply(operation, &geometry, &frame),
                        other,
                        "{operation:?} {geometry}"
                    );
                }
                assert_eq!(apply(Operation::Passthrough, &geometry, &frame), frame);
                let negative = apply(Operation::Invert, &geometry, &frame);
                assert_eq!(apply(Operation::Invert, &geometry, &negative), frame);
            }
        }
    }

    #[test]
    fn gray_weighs_the_colours_in_their_order() {
        let rgb = Geometry::new(1, 1, PixelFormat::Rgb24).expect("valid");
        let bgr = Geometry::new(1, 1, PixelFormat::Bgr24).expect("valid");
        assert_eq!(apply(Operation::Gray, &rgb, &[255, 0, 0]), [76; 3]);
        assert_eq!(apply(Operation::Gray, &bgr, &[255, 0, 0]), [28; 3]);
        assert_eq!(apply(Operation::Gray, &rgb, &[255; 3]), [255; 3]);
    }

    #[test]
    fn edges_are_where_the_picture_changes() {
        let geometry = Geometry::new(6, 3, PixelFormat::Gray).expect("valid");
        let step = [0, 0, 0, 200, 200, 200].repeat(3);
        assert_eq!(apply(Operation::Edges, &geometry, &step), [0, 0, 255, 255, 0, 0].repeat(3));
        assert!(apply(Operation::Edges, &geometry, &[7; 18]).iter().all(|&sample| sample == 0));
    }
}
