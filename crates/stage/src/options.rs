//! Parsers for the values of options, to be given to clap as `value_parser`: durations, sizes,
//! bit rates and names. Their messages say what would have been right.

use std::time::Duration;

use framelane_frame::MAX_SIDE;
use framelane_ring::{GroupName, RingConfig, RingError, SegmentName};

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// Not a duration.
    #[error("'{0}' is not a duration: use a number and a unit, such as 500ms, 10s or 2m")]
    Duration(String),
    /// Not a size.
    #[error("'{0}' is not a size: use WxH in pixels, each from 1 to {MAX_SIDE}, such as 1280x720")]
    Size(String),
    /// Not a bit rate.
    #[error("'{0}' is not a bit rate: use bits per second, such as 800k or 2M")]
    Bitrate(String),
    /// Not a number of slots.
    #[error("'{0}' is not a number of slots: use 1 to 1024")]
    Slots(String),
}

/// Parses a duration: `500ms`, `10s`, `2m`, `1m 30s`; `0` needs no unit.
///
/// # Errors
/// [`OptionError::Duration`].
pub fn parse_duration(text: &str) -> Result<Duration, OptionError> {
    humantime::parse_duration(text).map_err(|_| OptionError::Duration(text.to_owned()))
}

/// Parses a size, width and height in pixels: `1280x720`.
///
/// # Errors
/// [`OptionError::Size`].
pub fn parse_size(text: &str) -> Result<(u32, u32), OptionError> {
    let side = |digits: &str| {
        // `parse` alone would take a sign.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|side| plain && (1..=MAX_SIDE).contains(side))
    };
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| OptionError::Size(text.to_owned()))
}

/// Checks a bit rate and leaves it as ffmpeg takes it: digits, perhaps a fraction, perhaps `k`,
/// `K`, `M` or `G`.
///
/// # Errors
/// [`OptionError::Bitrate`].
pub fn parse_bitrate(text: &str) -> Result<String, OptionError> {
    let number = text.strip_suffix(['k', 'K', 'M', 'G']).unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let zero = number.bytes().all(|byte| byte == b'0' || byte == b'.');
    if digits(whole) && digits(fraction) && !zero && text.len() <= 16 {
        Ok(text.to_owned())
    } else {
        Err(OptionError::Bitrate(text.to_owned()))
    }
}

/// Parses the name of a ring.
///
/// # Errors
/// [`RingError::Shm`] with what is wrong with it.
pub fn parse_ring(text: &str) -> Result<SegmentName, RingError> {
    Ok(SegmentName::new(text)?)
}

/// Parses the name of a group.
///
/// # Errors
/// [`RingError::BadGroupName`].
pub fn parse_group(text: &str) -> Result<GroupName, RingError> {
    text.parse()
}

/// Parses a number of slots.
///
/// # Errors
/// [`OptionError::Slots`].
pub fn parse_slots(text: &str) -> Result<u32, OptionError> {
    let valid = |slots: &u32| RingConfig { slots: *slots, ..RingConfig::default() }.check().is_ok();
    text.parse().ok().filter(valid).ok_or_else(|| OptionError::Slots(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for text in ["", "10", "-1s", "1 fortnight"] {
            assert_eq!(parse_duration(text), Err(OptionError::Duration(text.to_owned())));
        }
    }

    #[test]
    fn sizes_are_within_the_limits() {
        assert_eq!(parse_size("1280x720"), Ok((1280, 720)));
        assert!(parse_size("16384x16384").is_ok());
        for text in ["", "x", "0x0", "16385x16385", "1280", "+1x1", "1x-1", "1x1x1", "1X1"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bit_rates_are_left_as_they_are() {
        for text in ["2M", "800k", "1.5M", "500000"] {
            assert_eq!(parse_bitrate(text).as_deref(), Ok(text));
        }
        for text in ["", "M", "0", "0.0M", "-1k", "2MB", "1.", "2m", "1 M", "99999999999999999"] {
            assert!(parse_bitrate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn slots_have_limits() {
        assert_eq!(parse_slots("8"), Ok(8));
        for text in ["0", "1025", "-1", "many", ""] {
            assert!(parse_slots(text).is_err(), "{text}");
        }
    }
}
