//! Pictures that say their own number, in a code that survives x264 and scaling.
//!
//! Along the top run 32 cells, black or white: white, black, 24 bits of the number with the
//! highest first, and 6 check bits. So a test can read from any picture which frame it is, and a
//! torn or half-decoded picture reads as none.

const CELLS: usize = 32;
const CHECK_BITS: u32 = 6;
/// Video levels: what leaves 8 bits on the way to RGB and back unharmed.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
/// Between these a cell is neither.
const DARK: u32 = 96;
const BRIGHT: u32 = 160;

/// Rows that the code takes at the top of a picture of this height.
pub fn rows(height: usize) -> usize {
    // Even, so that yuv420p can be cropped there.
    (height / 10).max(16) & !1
}

/// A maker of numbered pictures in yuv420p.
#[derive(Debug)]
pub struct Picture {
    width: usize,
    height: usize,
    background: Vec<u8>,
    frame: Vec<u8>,
}

impl Picture {
    /// For pictures of this size, at least 128 wide and 32 high.
    pub fn new(width: usize, height: usize) -> Self {
        // One row longer than needed in each direction of the movement: a frame is a window on it.
        let background = (0..width * 2).map(|x| 40 + shade(x * 255 / width)).collect();
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        let frame = vec![128; width * height + 2 * chroma];
        Self { width, height, background, frame }
    }

    /// The picture of frame `number`, of which the code holds the lowest 24 bits.
    pub fn draw(&mut self, number: u32) -> &[u8] {
        let bits = code(number & 0x00ff_ffff);
        let step = usize::try_from(number).unwrap_or_default() * 2;
        let rows = rows(self.height);
        let (luma, _) = self.frame.split_at_mut(self.width * self.height);
        for (y, row) in luma.chunks_exact_mut(self.width).enumerate() {
            if y < rows {
                draw_cells(row, bits);
            } else {
                // Diagonal stripes that move: the encoder has something to do.
                let start = (step + y) % self.width;
                if let Some(part) = self.background.get(start..start + self.width) {
                    row.copy_from_slice(part);
                }
            }
        }
        &self.frame
    }
}

/// Reads the number out of the top [`rows`] of a picture, given as one byte of brightness for each
/// pixel. None when the cells are no code.
pub fn read(strip: &[u8], width: usize) -> Option<u32> {
    let rows = strip.len().checked_div(width)?;
    let mut bits = 0_u32;
    for cell in 0..CELLS {
        let mean = mean_of_cell(strip, width, rows, cell)?;
        let bit = match mean {
            _ if mean < DARK => 0,
            _ if mean > BRIGHT => 1,
            _ => return None,
        };
        bits = bits << 1 | bit;
    }
    let number = bits >> CHECK_BITS & 0x00ff_ffff;
    (code(number) == bits).then_some(number)
}

fn mean_of_cell(strip: &[u8], width: usize, rows: usize, cell: usize) -> Option<u32> {
    let (left, right) = (cell * width / CELLS, (cell + 1) * width / CELLS);
    let margin = (right - left) / 4;
    let mut sum = 0_u32;
    let mut count = 0_u32;
    for y in rows / 4..rows - rows / 4 {
        for &value in strip.get(y * width + left + margin..y * width + right - margin)? {
            sum += u32::from(value);
            count += 1;
        }
    }
    sum.checked_div(count)
}

fn draw_cells(row: &mut [u8], bits: u32) {
    let width = row.len();
    for cell in 0..CELLS {
        let value = if bits << cell >> 31 == 1 { WHITE } else { BLACK };
        if let Some(part) = row.get_mut(cell * width / CELLS..(cell + 1) * width / CELLS) {
            part.fill(value);
        }
    }
}

fn code(number: u32) -> u32 {
    let check = (number ^ number >> 6 ^ number >> 12 ^ number >> 18 ^ 0b10_1010) & 0b11_1111;
    0b10 << 30 | number << CHECK_BITS | check
}

fn shade(value: usize) -> u8 {
    // Stripes with soft edges, 0 to 127.
    let phase = value % 64;
    u8::try_from(if phase < 32 { phase * 4 } else { (63 - phase) * 4 }).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_number_is_read_back() {
        for (width, height) in [(128, 32), (321, 241), (640, 360)] {
            let mut picture = Picture::new(width, height);
            for number in [0, 1, 2, 63, 4711, 0x00ff_ffff] {
                let strip = &picture.draw(number)[..width * rows(height)];
                assert_eq!(read(strip, width), Some(number));
            }
        }
    }

    #[test]
    fn a_torn_or_grey_picture_is_none() {
        let mut picture = Picture::new(640, 360);
        let bytes = 640 * rows(360);
        let mut torn = picture.draw(0b1010_1010).to_vec();
        let other = picture.draw(0b0101_0111).to_vec();
        for row in torn.chunks_exact_mut(640).zip(other.chunks_exact(640)) {
            row.0[400..].copy_from_slice(&row.1[400..]);
        }
        assert_eq!(read(&torn[..bytes], 640), None);
        assert_eq!(read(&vec![128; bytes], 640), None);
        assert_eq!(read(&[], 640), None);
    }
}
