//! Names of segments: `/NAMESPACE.RING` in the shared-memory file system.
//!
//! A name that exists is safe as one component of a path: no slash, no leading dot, and short
//! enough for the private name that a segment has while it is being made.

use std::env;
use std::fmt;
use std::path::PathBuf;

use crate::ShmError;

/// The environment variable that replaces the word before the ring's name, so that tests and
/// separate installations don't meet.
pub const NAMESPACE_VARIABLE: &str = "FRAMELANE_NAMESPACE";

/// Where Linux keeps POSIX shared memory.
pub const SHM_FOLDER: &str = "/dev/shm";

const DEFAULT_NAMESPACE: &str = "framelane";
const LONGEST_RING: usize = 100;
const LONGEST_NAMESPACE: usize = 64;

/// The checked name of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SegmentName {
    namespace: String,
    ring: String,
}

impl SegmentName {
    /// The name of `ring` in the namespace of this process.
    ///
    /// # Errors
    /// [`ShmError::BadName`] when the ring's name or the namespace is empty, too long, starts with
    /// a dot or a dash, or has characters other than letters, digits, `.`, `_` and `-`.
    pub fn new(ring: &str) -> Result<Self, ShmError> {
        Self::in_namespace(&Self::namespace()?, ring)
    }

    /// The name of `ring` in a given namespace.
    ///
    /// # Errors
    /// As [`SegmentName::new`].
    pub fn in_namespace(namespace: &str, ring: &str) -> Result<Self, ShmError> {
        check_namespace(namespace)?;
        check(ring, LONGEST_RING)?;
        Ok(Self { namespace: namespace.to_owned(), ring: ring.to_owned() })
    }

    /// The namespace of this process: [`NAMESPACE_VARIABLE`], or `framelane`.
    ///
    /// # Errors
    /// [`ShmError::BadName`] when the variable holds something that can't be part of a name.
    pub fn namespace() -> Result<String, ShmError> {
        // What is no text is no name, and must not lead to the usual namespace.
        let namespace = env::var_os(NAMESPACE_VARIABLE).unwrap_or_default();
        let namespace = namespace.to_string_lossy();
        let namespace = if namespace.is_empty() { DEFAULT_NAMESPACE } else { &namespace };
        check_namespace(namespace)?;
        Ok(namespace.to_owned())
    }

    /// The name of another ring in the same namespace.
    ///
    /// # Errors
    /// As [`SegmentName::new`].
    pub fn sibling(&self, ring: &str) -> Result<Self, ShmError> {
        Self::in_namespace(&self.namespace, ring)
    }

    /// The ring's own name, without the namespace.
    pub fn ring(&self) -> &str {
        &self.ring
    }

    /// What `shm_open` takes.
    pub(crate) fn os_id(&self) -> String {
        format!("/{self}")
    }

    /// Where the segment's file is.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(SHM_FOLDER).join(self.to_string())
    }

    /// A name for a segment in the making, which no ring can have: those don't start with a dot.
    pub(crate) fn private(&self, random: u64) -> String {
        format!(".{}.{random:016x}", self.namespace)
    }

    /// Whether a file name is one that [`private`](Self::private) makes in `namespace`.
    pub(crate) fn is_private(file: &str, namespace: &str) -> bool {
        file.strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(namespace))
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|random| {
                random.len() == 16 && random.chars().all(|c| c.is_ascii_hexdigit())
            })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.ring)
    }
}

/// A dot in a namespace would make its rings those of another one: `a.b` and `c` is `a` and `b.c`.
fn check_namespace(name: &str) -> Result<(), ShmError> {
    if name.contains('.') {
        let reason = "a namespace has no dots";
        return Err(ShmError::BadName { name: name.chars().take(40).collect(), reason });
    }
    check(name, LONGEST_NAMESPACE)
}

fn check(name: &str, longest: usize) -> Result<(), ShmError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > longest {
        "it is longer than 100 characters (a namespace: 64)"
    } else if name.starts_with(['.', '-']) {
        "it starts with a dot or a dash"
    } else if !name.chars().all(allowed) {
        "only letters, digits, '.', '_' and '-' are allowed"
    } else {
        return Ok(());
    };
    // A name of any length ends up in a one-line message: show its beginning only.
    Err(ShmError::BadName { name: name.chars().take(40).collect(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_or_overflow_it_are_refused() {
        let long = "x".repeat(300);
        for bad in ["", "a/b", "../x", ".hidden", "-x", "a b", "a\0b", "ü", &long] {
            assert!(SegmentName::in_namespace("t", bad).is_err(), "{bad:?}");
            assert!(SegmentName::in_namespace(bad, "ring").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn private_names_are_told_from_rings() {
        let name = SegmentName::in_namespace("t", "cam1.in").expect("a good name");
        assert!(SegmentName::is_private(&name.private(7), "t"));
        assert!(!SegmentName::is_private(&name.to_string(), "t"));
        assert!(!SegmentName::is_private(&name.private(7), "other"));
    }
}
