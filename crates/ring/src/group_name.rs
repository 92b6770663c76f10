//! Names of groups, and texts as words of shared memory.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::RingError;

/// A checked name of a group: 1 to 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupName(String);

impl GroupName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_words(&self) -> [u64; 4] {
        text_to_words(&self.0)
    }
}

impl FromStr for GroupName {
    type Err = RingError;

    fn from_str(name: &str) -> Result<Self, RingError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if (1..=32).contains(&name.len()) && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(RingError::BadGroupName(name.chars().take(40).collect()))
        }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text as words of shared memory, padded with zeroes; what doesn't fit is cut off.
pub(crate) fn text_to_words<const N: usize>(text: &str) -> [u64; N] {
    let mut words = [0; N];
    for (word, chunk) in words.iter_mut().zip(text.as_bytes().chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_le_bytes(bytes);
    }
    words
}

/// The text that words of shared memory hold, as far as it is UTF-8.
pub(crate) fn words_to_text(words: &[AtomicU64]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_through_words_unharmed() {
        for name in ["a", "pusher", "exactly8", "a-name.of_32-bytes-is-the-longest"[..32].as_ref()]
        {
            let name: GroupName = name.parse().expect("a good name");
            let words = name.to_words().map(AtomicU64::new);
            assert_eq!(words_to_text(&words), name.as_str());
        }
    }

    #[test]
    fn names_that_would_not_fit_or_print_are_refused() {
        for name in ["", "a b", "ü", "x".repeat(33).as_str(), "a/b"] {
            assert!(name.parse::<GroupName>().is_err(), "{name}");
        }
    }
}
