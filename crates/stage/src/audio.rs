//! The ring beside a video ring, in which its audio goes around the model.

use framelane_ring::{Policy, Ring, RingError, SegmentName, ShmError};

/// The ring that carries the audio of a video ring: the name's stem, up to its last dot, and
/// `.audio`. So it is the same for `cam1.in` and `cam1.out`.
///
/// # Errors
/// [`RingError::Shm`] when that would be too long a name.
pub fn audio_ring(video: &SegmentName) -> Result<SegmentName, RingError> {
    let stem = video.ring().rsplit_once('.').map_or(video.ring(), |(stem, _)| stem);
    Ok(video.sibling(&format!("{stem}.audio"))?)
}

/// Removes the audio ring of a live stream that was drained, if nobody is left in it: without its
/// frames its packets are of no use. Called by each stage that leaves.
pub fn forget_audio(video: &SegmentName) {
    let forget = || {
        let ring = Ring::open(&audio_ring(video)?)?;
        Ok(ring.policy() == Policy::DropOldest && ring.remove_if_unused()?)
    };
    match forget() {
        Ok(_) | Err(RingError::Shm(ShmError::NotFound(_))) => {}
        Err(error) => tracing::warn!(%error, "the audio's ring may be left behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audio_ring_is_the_same_on_both_sides_of_the_workers() {
        let audio = |ring| {
            let video = SegmentName::in_namespace("t", ring).expect("a good name");
            audio_ring(&video).expect("a good name").ring().to_owned()
        };
        assert_eq!(audio("cam1.in"), "cam1.audio");
        assert_eq!(audio("cam1.out"), "cam1.audio");
        assert_eq!(audio("cam1"), "cam1.audio");
    }
}
