//! Frame rates as the exact fractions that streams declare.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Frames per second as a fraction, such as 30000/1001. Never 0, and never above 1000.
///
/// A declared rate is a hint for encoders. Nothing in this project derives a timestamp from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    numerator: NonZeroU32,
    denominator: NonZeroU32,
}

/// A text that is not a frame rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a frame rate: use N or N/D, above 0 and up to 1000 frames per second")]
pub struct ParseFrameRateError(String);

impl FrameRate {
    /// A rate of `numerator / denominator` frames per second, or `None` when it is 0, endless or
    /// above 1000 (ffmpeg answers 90000 or 1000000 when it knows no rate).
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        let (numerator, denominator) = (NonZeroU32::new(numerator)?, NonZeroU32::new(denominator)?);
        (u64::from(numerator.get()) <= 1000 * u64::from(denominator.get()))
            .then_some(Self { numerator, denominator })
    }

    /// Frames.
    pub fn numerator(&self) -> u32 {
        self.numerator.get()
    }

    /// Seconds in which so many frames pass.
    pub fn denominator(&self) -> u32 {
        self.denominator.get()
    }

    /// Frames per second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.numerator()) / f64::from(self.denominator())
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl FromStr for FrameRate {
    type Err = ParseFrameRateError;

    fn from_str(text: &str) -> Result<Self, ParseFrameRateError> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        match (numerator.parse(), denominator.parse()) {
            (Ok(numerator), Ok(denominator)) => Self::new(numerator, denominator),
            _ => None,
        }
        .ok_or_else(|| ParseFrameRateError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_and_whole_numbers_parse() {
        assert_eq!("25".parse(), Ok(FrameRate::new(25, 1).expect("valid")));
        assert_eq!("30000/1001".parse(), Ok(FrameRate::new(30000, 1001).expect("valid")));
    }

    #[test]
    fn nonsense_rates_are_refused() {
        for text in ["", "0", "25/0", "-1", "1000001/1", "a/b", "25/1/1", "29.97"] {
            assert!(text.parse::<FrameRate>().is_err(), "{text}");
        }
    }
}
