//! Conversion of colours between the 4:2:0 that video is made of and the RGB that models take.
//!
//! ffmpeg converts, too. Here it takes a tenth of its time, and yuv420p is half the bytes on their
//! way through a pipe. The matrices are those of ITU-R BT.601, BT.709, BT.2020 and SMPTE 240M, in
//! fixed point: see the tests for how far that is from the formula. As with ffmpeg's own fast
//! conversion, a pixel takes the chroma of its block of four, and a block the mean of its pixels.

#![forbid(unsafe_code)]

use framelane_frame::{Colour, Geometry, Matrix, PictureRows, PixelFormat, Range};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

/// A frame or a picture does not have the length that its geometry asks for.
#[derive(Debug, thiserror::Error)]
#[error("a frame can't be converted: {0}")]
pub struct ConversionError(YuvError);

/// A yuv420p picture, and how it becomes an RGB frame of the same size or is made of one.
#[derive(Clone, Debug)]
pub struct Conversion {
    frames: Geometry,
    pictures: Geometry,
    matrix: YuvStandardMatrix,
    range: YuvRange,
    picture: Vec<u8>,
}

impl Conversion {
    /// For frames of this geometry, and pictures whose matrix and range `colour` says, completed
    /// by [`Colour::or_guess`]. `None` when the frames are not [RGB](PixelFormat::is_rgb).
    pub fn new(frames: Geometry, colour: Colour) -> Option<Self> {
        let pictures = frames.with_format(PixelFormat::Yuv420p);
        let matrix = match colour.matrix {
            Matrix::Bt470bg | Matrix::Smpte170m => YuvStandardMatrix::Bt601,
            // The named one has wrong numbers in version 0.8.20.
            Matrix::Smpte240m => YuvStandardMatrix::Custom(0.212, 0.087),
            Matrix::Bt2020nc => YuvStandardMatrix::Bt2020,
            _ => YuvStandardMatrix::Bt709,
        };
        let range = if colour.range == Range::Full { YuvRange::Full } else { YuvRange::Limited };
        let picture = vec![0; pictures.payload_bytes()];
        frames.format().is_rgb().then_some(Self { frames, pictures, matrix, range, picture })
    }

    /// Size and format of the RGB frames.
    pub fn frames(&self) -> Geometry {
        self.frames
    }

    /// Size and format of the pictures, yuv420p.
    pub fn pictures(&self) -> Geometry {
        self.pictures
    }

    /// The bytes of the picture, to be written before [`write_frame`](Self::write_frame).
    pub fn picture_mut(&mut self) -> &mut [u8] {
        &mut self.picture
    }

    /// Makes an RGB frame of the picture.
    ///
    /// # Errors
    /// When `frame` is not as long as a frame.
    pub fn write_frame(&self, frame: &mut [u8]) -> Result<(), ConversionError> {
        let planes = self.pictures.planes();
        let [luma, u, v] = [0, 1, 2].map(|index: usize| PictureRows {
            bytes: &self.picture[planes[index].range()],
            stride: planes[index].stride,
        });
        self.write_frame_of([luma, u, v], frame)
    }

    /// Makes an RGB frame of a picture that is somewhere else: its luma, U and V.
    ///
    /// # Errors
    /// When `frame` is not as long as a frame, or a plane is too short.
    pub fn write_frame_of(
        &self,
        [luma, u, v]: [PictureRows<'_>; 3],
        frame: &mut [u8],
    ) -> Result<(), ConversionError> {
        let stride = |rows: PictureRows<'_>| u32::try_from(rows.stride).unwrap_or(u32::MAX);
        let picture = YuvPlanarImage {
            y_plane: luma.bytes,
            y_stride: stride(luma),
            u_plane: u.bytes,
            u_stride: stride(u),
            v_plane: v.bytes,
            v_stride: stride(v),
            width: self.pictures.width(),
            height: self.pictures.height(),
        };
        let convert = match self.frames.format() {
            PixelFormat::Bgr24 => yuv::yuv420_to_bgr,
            _ => yuv::yuv420_to_rgb,
        };
        convert(&picture, frame, 3 * self.frames.width(), self.range, self.matrix)
            .map_err(ConversionError)
    }

    /// Makes a picture of an RGB frame.
    ///
    /// # Errors
    /// When `frame` is not as long as a frame.
    pub fn read_frame(&mut self, frame: &[u8]) -> Result<&[u8], ConversionError> {
        let chroma_width = self.chroma_width();
        let (luma, chroma) = self.picture.split_at_mut(self.pictures.planes()[1].offset);
        let (u, v) = chroma.split_at_mut(chroma.len() / 2);
        let mut picture = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(luma),
            y_stride: self.pictures.width(),
            u_plane: BufferStoreMut::Borrowed(u),
            u_stride: chroma_width,
            v_plane: BufferStoreMut::Borrowed(v),
            v_stride: chroma_width,
            width: self.pictures.width(),
            height: self.pictures.height(),
        };
        let convert = match self.frames.format() {
            PixelFormat::Bgr24 => yuv::bgr_to_yuv420,
            _ => yuv::rgb_to_yuv420,
        };
        let stride = 3 * self.frames.width();
        let mode = YuvConversionMode::Balanced;
        convert(&mut picture, frame, stride, self.range, self.matrix, mode)
            .map_err(ConversionError)?;
        Ok(&self.picture)
    }

    fn chroma_width(&self) -> u32 {
        self.pictures.width().div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRICES: [(Matrix, f64, f64); 5] = [
        (Matrix::Bt709, 0.2126, 0.0722),
        (Matrix::Bt470bg, 0.299, 0.114),
        (Matrix::Smpte170m, 0.299, 0.114),
        (Matrix::Smpte240m, 0.212, 0.087),
        (Matrix::Bt2020nc, 0.2627, 0.0593),
    ];

    fn conversion(width: u32, height: u32, format: PixelFormat, colour: Colour) -> Conversion {
        let frames = Geometry::new(width, height, format).expect("a valid size");
        Conversion::new(frames, colour).expect("a format that can be converted")
    }

    /// Y, U and V of a colour by the formula of H.273.
    fn by_formula([r, g, b]: [u8; 3], kr: f64, kb: f64, range: Range) -> [f64; 3] {
        let [r, g, b] = [r, g, b].map(|value| f64::from(value) / 255.0);
        let y = kr * r + (1.0 - kr - kb) * g + kb * b;
        let (u, v) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
        match range {
            Range::Full => [y * 255.0, u * 255.0 + 128.0, v * 255.0 + 128.0],
            _ => [y * 219.0 + 16.0, u * 224.0 + 128.0, v * 224.0 + 128.0],
        }
    }

    /// A frame of blocks of four, one for each of 17 x 17 x 17 colours.
    fn cube() -> (u32, u32, Vec<[u8; 3]>) {
        let step = |index: usize| u8::try_from(index * 16).unwrap_or(255);
        let colours = (0..17 * 17 * 17)
            .map(|index| [step(index % 17), step(index / 17 % 17), step(index / 289)])
            .collect();
        (17 * 2, 289 * 2, colours)
    }

    fn frame_of(width: usize, colours: &[[u8; 3]]) -> Vec<u8> {
        colours
            .chunks(width / 2)
            .flat_map(|row| {
                let line: Vec<u8> = row.iter().flat_map(|colour| colour.repeat(2)).collect();
                line.repeat(2)
            })
            .collect()
    }

    #[test]
    fn conversions_are_off_by_little_more_than_rounding() {
        let (width, height, colours) = cube();
        let frame = frame_of(width as usize, &colours);
        for (matrix, kr, kb) in MATRICES {
            for range in [Range::Limited, Range::Full] {
                let colour = Colour { matrix, range, ..Colour::default() };
                let mut conversion = conversion(width, height, PixelFormat::Rgb24, colour);
                let [luma, u, v] = conversion.pictures().planes()[..] else { panic!("3 planes") };
                let picture = conversion.read_frame(&frame).expect("lengths agree").to_vec();
                for (index, rgb) in colours.iter().enumerate() {
                    let (x, y) = (index % 17, index / 17);
                    let got = [
                        picture[y * 2 * luma.stride + x * 2],
                        picture[u.offset + y * u.stride + x],
                        picture[v.offset + y * v.stride + x],
                    ];
                    let wanted = by_formula(*rgb, kr, kb, range);
                    for (got, wanted) in got.into_iter().zip(wanted) {
                        let off = (f64::from(got) - wanted.min(255.0)).abs();
                        assert!(off < 1.25, "{matrix:?} {range:?} {rgb:?}: {got} {wanted} {off}");
                    }
                }
                let mut back = vec![0; frame.len()];
                conversion.write_frame(&mut back).expect("lengths agree");
                let off = frame.iter().zip(&back).map(|(one, other)| one.abs_diff(*other)).max();
                assert!(off <= Some(3), "{matrix:?} {range:?}: {off:?} there and back");
            }
        }
    }

    #[test]
    fn bgr_is_rgb_the_other_way_round() {
        let (width, height, colours) = cube();
        let turned: Vec<[u8; 3]> = colours.iter().map(|&[r, g, b]| [b, g, r]).collect();
        let colour = Colour::default().or_guess(720).0;
        let mut rgb = conversion(width, height, PixelFormat::Rgb24, colour);
        let mut bgr = conversion(width, height, PixelFormat::Bgr24, colour);
        let (frame, turned) =
            (frame_of(width as usize, &colours), frame_of(width as usize, &turned));
        let of_rgb = rgb.read_frame(&frame).expect("lengths agree");
        assert_eq!(of_rgb, bgr.read_frame(&turned).expect("lengths agree"));
    }

    #[test]
    fn every_size_is_converted_to_its_last_byte() {
        for (width, height) in [(1, 1), (2, 1), (3, 5), (17, 2), (33, 33), (64, 3), (161, 7)] {
            let mut conversion =
                conversion(width, height, PixelFormat::Rgb24, Colour::default().or_guess(720).0);
            let mut frame = vec![7; conversion.frames().payload_bytes()];
            conversion.picture_mut().fill(128);
            conversion.write_frame(&mut frame).expect("lengths agree");
            assert!(frame.iter().all(|&value| value == frame[0]), "{width}x{height}: {frame:?}");
            conversion.picture_mut().fill(1);
            let picture = conversion.read_frame(&frame).expect("lengths agree");
            let off = picture.iter().map(|value| value.abs_diff(128)).max();
            assert!(off <= Some(1), "{width}x{height}: {picture:?}");
        }
    }

    #[test]
    fn a_frame_of_another_length_and_other_formats_are_refused() {
        let colour = Colour::default().or_guess(720).0;
        let mut conversion = conversion(16, 16, PixelFormat::Rgb24, colour);
        assert!(conversion.read_frame(&[0; 5]).is_err());
        assert!(conversion.write_frame(&mut [0; 16 * 16 * 3 - 1]).is_err());
        for format in [PixelFormat::Gray, PixelFormat::Yuv420p, PixelFormat::Nv12] {
            let frames = Geometry::new(16, 16, format).expect("a valid size");
            assert!(Conversion::new(frames, colour).is_none());
        }
    }
}
