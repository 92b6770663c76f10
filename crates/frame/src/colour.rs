//! What the numbers of a picture mean as colour: matrix, range, primaries and transfer.
//!
//! The code points are those of ITU-T H.273, and the names are the ones that ffmpeg prints.
//! Its filters and encoders take other ones for a few.
//! `Unknown` is an honest answer: most cameras don't tag their streams.

use serde::{Deserialize, Serialize};

/// Defines one H.273 property: an enum with ffmpeg's names, `name` and `from_name`.
macro_rules! colour_property {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $type {
            /// Not said by the source, or not one of the values below.
            #[default]
            Unknown,
            $($(#[$variant_doc])* $variant,)+
        }

        impl $type {
            /// Every known value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name ffmpeg prints, or `None` when the property is unknown.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    Self::Unknown => None,
                    $(Self::$variant => Some($name),)+
                }
            }

            /// The value that ffmpeg calls `name`; `Unknown` for anything else.
            pub fn from_name(name: &str) -> Self {
                let is_it = |value: &&Self| value.name() == Some(name);
                Self::ALL.iter().find(is_it).copied().unwrap_or_default()
            }
        }
    };
}

colour_property! {
    /// The matrix between RGB and YUV (H.273 MatrixCoefficients).
    Matrix {
        /// ITU-R BT.709, HD.
        Bt709 = "bt709",
        /// ITU-R BT.470 BG, the 625-line variant of BT.601.
        Bt470bg = "bt470bg",
        /// SMPTE 170M, the 525-line variant of BT.601.
        Smpte170m = "smpte170m",
        /// SMPTE 240M.
        Smpte240m = "smpte240m",
        /// ITU-R BT.2020, non-constant luminance.
        Bt2020nc = "bt2020nc",
    }
}

colour_property! {
    /// Whether black is 16 and white 235 (`tv`) or 0 and 255 (`pc`).
    Range {
        /// Limited range, 16 to 235 for luma.
        Limited = "tv",
        /// Full range, 0 to 255.
        Full = "pc",
    }
}

colour_property! {
    /// The chromaticities of red, green, blue and white (H.273 ColourPrimaries).
    Primaries {
        /// ITU-R BT.709, HD and sRGB.
        Bt709 = "bt709",
        /// ITU-R BT.470 BG, PAL.
        Bt470bg = "bt470bg",
        /// SMPTE 170M, NTSC.
        Smpte170m = "smpte170m",
        /// SMPTE 240M.
        Smpte240m = "smpte240m",
        /// ITU-R BT.2020.
        Bt2020 = "bt2020",
    }
}

colour_property! {
    /// The transfer function (H.273 TransferCharacteristics).
    Transfer {
        /// ITU-R BT.709.
        Bt709 = "bt709",
        /// ITU-R BT.470 M, gamma 2.2.
        Gamma22 = "bt470m",
        /// ITU-R BT.470 BG, gamma 2.8.
        Gamma28 = "bt470bg",
        /// SMPTE 170M.
        Smpte170m = "smpte170m",
        /// SMPTE 240M.
        Smpte240m = "smpte240m",
        /// IEC 61966-2-1, sRGB.
        Srgb = "iec61966-2-1",
        /// ITU-R BT.2020, 10 bit.
        Bt2020Ten = "bt2020-10",
    }
}

/// The colour of a stream as its source says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Colour {
    /// The matrix between RGB and YUV.
    pub matrix: Matrix,
    /// Limited or full range.
    pub range: Range,
    /// The chromaticities of the primaries.
    pub primaries: Primaries,
    /// The transfer function.
    pub transfer: Transfer,
}

impl Colour {
    /// Fills in what the source left out: limited range, and BT.709 from 720 lines up or
    /// BT.601 below, as broadcast practice has it. A known matrix also stands in for unknown
    /// primaries and transfer.
    ///
    /// Returns the completed colour, and whether the matrix or the range had to be guessed.
    pub fn or_guess(self, height: u32) -> (Self, bool) {
        let guessed = self.matrix == Matrix::Unknown || self.range == Range::Unknown;
        let matrix = match self.matrix {
            Matrix::Unknown if height >= 720 => Matrix::Bt709,
            Matrix::Unknown => Matrix::Smpte170m,
            known => known,
        };
        let (primaries, transfer) = match matrix {
            Matrix::Bt470bg => (Primaries::Bt470bg, Transfer::Smpte170m),
            Matrix::Smpte170m => (Primaries::Smpte170m, Transfer::Smpte170m),
            Matrix::Smpte240m => (Primaries::Smpte240m, Transfer::Smpte240m),
            Matrix::Bt2020nc => (Primaries::Bt2020, Transfer::Bt2020Ten),
            Matrix::Bt709 | Matrix::Unknown => (Primaries::Bt709, Transfer::Bt709),
        };
        let complete = Self {
            matrix,
            range: if self.range == Range::Unknown { Range::Limited } else { self.range },
            primaries: if self.primaries == Primaries::Unknown {
                primaries
            } else {
                self.primaries
            },
            transfer: if self.transfer == Transfer::Unknown { transfer } else { self.transfer },
        };
        (complete, guessed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_unknown_has_none() {
        assert_eq!(Matrix::from_name("bt709"), Matrix::Bt709);
        assert_eq!(Matrix::Smpte170m.name(), Some("smpte170m"));
        assert_eq!(Range::from_name("limited?"), Range::Unknown);
        assert_eq!(Range::Unknown.name(), None);
    }

    #[test]
    fn untagged_pictures_are_601_below_720_lines_and_709_from_there() {
        let (low, guessed) = Colour::default().or_guess(576);
        assert_eq!((low.matrix, low.range, guessed), (Matrix::Smpte170m, Range::Limited, true));
        assert_eq!(Colour::default().or_guess(720).0.matrix, Matrix::Bt709);
    }

    #[test]
    fn what_the_source_says_is_kept() {
        let tagged = Colour { matrix: Matrix::Bt470bg, range: Range::Full, ..Colour::default() };
        let (complete, guessed) = tagged.or_guess(1080);
        assert_eq!(
            (complete.matrix, complete.range, guessed),
            (tagged.matrix, tagged.range, false)
        );
    }
}
