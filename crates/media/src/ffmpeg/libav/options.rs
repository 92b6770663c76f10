//! Options of the program ffmpeg as the libraries take them.

use std::ffi::CString;

use super::LibavError;
use crate::ffmpeg::{DecodeOptions, Ffmpeg, Version};

/// The options of demuxer, protocol and decoder, as names and values in turn.
pub(super) fn words_of(
    options: &DecodeOptions,
    version: Version,
) -> Result<Vec<CString>, LibavError> {
    let mut args = options.input_options(&Ffmpeg::assume("libav", version));
    args.extend(options.input_args.iter().cloned());
    let mut words = Vec::new();
    let mut args = args.into_iter();
    while let Some(option) = args.next() {
        let Some(name) = option.strip_prefix('-') else {
            // It may be a secret.
            return Err(LibavError::Argument("a word without a dash".to_owned()));
        };
        let value = args.next().ok_or_else(|| LibavError::Argument(option.clone()))?;
        words.extend([c_string(name)?, c_string(&value)?]);
    }
    Ok(words)
}

/// What pictures go through: upright first, which the program ffmpeg sees to by itself.
pub(super) fn filters_of(
    options: &DecodeOptions,
    rotation: u32,
    display_matrix: &[i32; 9],
) -> Result<CString, LibavError> {
    let mut filters = upright(rotation, display_matrix);
    filters.push(options.filters());
    c_string(&filters.join(","))
}

/// The filters that undo a rotation of so many degrees counter-clockwise. A matrix may mirror, too,
/// which an angle does not tell.
fn upright(rotation: u32, display_matrix: &[i32; 9]) -> Vec<String> {
    let [a, _, _, c, d, ..] = *display_matrix;
    let filters: &[&str] = match rotation {
        89..=91 if c < 0 => &["transpose=clock_flip"],
        89..=91 => &["transpose=cclock"],
        179..=181 => match (a < 0, d < 0) {
            (true, true) => &["hflip", "vflip"],
            (true, false) => &["hflip"],
            (false, true) => &["vflip"],
            (false, false) => &[],
        },
        269..=271 if c > 0 => &["transpose=cclock_flip"],
        269..=271 => &["transpose=clock"],
        0 | 1 | 359 if d < 0 => &["vflip"],
        0 | 1 | 359 => &[],
        other => return vec![format!("rotate={}*PI/180", 360 - other)],
    };
    filters.iter().map(|&filter| filter.to_owned()).collect()
}

pub(super) fn c_string(text: &str) -> Result<CString, LibavError> {
    CString::new(text).map_err(|_| LibavError::Argument("a word with a 0 in it".to_owned()))
}

#[cfg(test)]
mod tests {
    use framelane_frame::PixelFormat;

    use super::*;

    const V5: Version = Version { major: 5, minor: 1 };

    fn words(input: &str, args: &[&str]) -> Result<Vec<String>, LibavError> {
        let mut options = DecodeOptions::new(input, PixelFormat::Rgb24);
        options.threads = 2;
        options.input_args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let words = words_of(&options, V5)?;
        Ok(words.into_iter().map(|word| word.into_string().expect("UTF-8")).collect())
    }

    #[test]
    fn options_lose_their_dash_and_keep_their_values() {
        let file = words("a.mp4", &["-skip_frame", "nokey"]).expect("pairs");
        assert_eq!(file, ["threads", "2", "skip_frame", "nokey"]);
        let live = words("rtmp://h/live/a", &[]).expect("pairs");
        assert_eq!(live[..2], ["rw_timeout", "5000000"]);
    }

    #[test]
    fn what_is_no_option_with_a_value_is_refused() {
        for args in [&["-re"][..], &["name", "value"], &["-a", "1\x002"], &["-a\0", "1"]] {
            assert!(matches!(words("a.mp4", args), Err(LibavError::Argument(_))), "{args:?}");
        }
    }

    #[test]
    fn pictures_are_turned_before_anything_else() {
        let options = DecodeOptions::new("a.mp4", PixelFormat::Rgb24);
        let plain = [1, 0, 0, 0, 1, 0, 0, 0, 1];
        for (rotation, start) in [(0, "scale="), (270, "transpose=clock,"), (10, "rotate=350*PI")] {
            let filters = filters_of(&options, rotation, &plain).expect("no 0 in it");
            assert!(filters.to_str().expect("ASCII").starts_with(start), "{filters:?}");
        }
    }

    #[test]
    fn pictures_are_mirrored_where_the_matrix_says_so() {
        let sideways = |c: i32| [0, -c, 0, c, 0, 0, 0, 0, 1];
        let along = |a: i32, d: i32| [a, 0, 0, 0, d, 0, 0, 0, 1];
        for (rotation, matrix, filters) in [
            (180, along(-1, -1), "hflip,vflip"),
            (180, along(-1, 1), "hflip"),
            (0, along(1, -1), "vflip"),
            (270, sideways(1), "transpose=cclock_flip"),
            (270, sideways(-1), "transpose=clock"),
            (90, sideways(-1), "transpose=clock_flip"),
            (90, sideways(1), "transpose=cclock"),
        ] {
            assert_eq!(upright(rotation, &matrix).join(","), filters, "{rotation} {matrix:?}");
        }
    }
}
