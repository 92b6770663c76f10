//! Whether to ask ffmpeg for audio.
//!
//! An ffmpeg that is asked for audio that isn't there fails at once, so a live source without any
//! is pulled again without asking. ffmpeg still says what it sees, so audio that comes later, or
//! with the next connection, is noticed and asked for again.

use std::time::{Duration, Instant};

use framelane_media::ffmpeg::{FailureKind, audio_codec_is_supported};

/// How long audio that has come back once is trusted not to go away and come back again: each time
/// costs a new connection.
const ONCE_IN: Duration = Duration::from_secs(30);

/// What is known of a source's audio.
#[derive(Debug)]
pub(crate) struct AudioWish {
    /// Whether audio is wanted at all.
    allowed: bool,
    asked_for: bool,
    /// Whether there was none when it was asked for.
    absent: bool,
    /// Whether there is audio that can't be passed on.
    unusable: bool,
    came_back: Option<Instant>,
}

impl AudioWish {
    pub(crate) fn new(allowed: bool) -> Self {
        Self { allowed, asked_for: allowed, absent: false, unusable: false, came_back: None }
    }

    /// Whether to ask for audio now.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.asked_for
    }

    /// Whether the source is known to have no audio.
    pub(crate) fn is_known_absent(&self) -> bool {
        self.absent
    }

    /// Notes what was found in an input that was looked at.
    pub(crate) fn note_probed(&mut self, codec: Option<&str>) {
        let supported = codec.is_some_and(audio_codec_is_supported);
        if let Some(codec) = codec.filter(|_| self.allowed && !supported) {
            tracing::warn!(codec, "audio in this codec can't be passed on: going on without it");
        }
        self.asked_for = self.allowed && supported;
        self.absent = codec.is_none();
    }

    /// Notes that ffmpeg failed. Whether it may succeed when not asked for audio.
    pub(crate) fn note_failure(&mut self, kind: Option<FailureKind>) -> bool {
        let unusable = kind == Some(FailureKind::AudioCodec);
        self.absent = kind == Some(FailureKind::NoAudio);
        let about_audio = unusable || kind == Some(FailureKind::NoAudio);
        if !about_audio || !self.asked_for {
            return false;
        }
        self.unusable |= unusable;
        self.asked_for = false;
        true
    }

    /// Notes whether ffmpeg sees audio. `true` when it does, was not asked for it, and is to be
    /// started anew.
    pub(crate) fn note_seen(&mut self, audio: bool) -> bool {
        self.absent &= !audio;
        let too_soon = self.came_back.is_some_and(|moment| moment.elapsed() < ONCE_IN);
        if !audio || !self.allowed || self.asked_for || self.unusable || too_soon {
            return false;
        }
        self.came_back = Some(Instant::now());
        self.asked_for = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_that_comes_late_is_asked_for_again_but_not_all_the_time() {
        let mut wish = AudioWish::new(true);
        assert!(wish.is_asked_for() && !wish.note_seen(true));
        assert!(wish.note_failure(Some(FailureKind::NoAudio)) && !wish.is_asked_for());
        assert!(wish.is_known_absent());
        assert!(!wish.note_failure(Some(FailureKind::NoAudio)) && !wish.note_seen(false));
        assert!(wish.note_seen(true) && wish.is_asked_for() && !wish.is_known_absent());
        assert!(wish.note_failure(Some(FailureKind::NoAudio)) && !wish.note_seen(true));
    }

    #[test]
    fn audio_that_is_unusable_or_unwanted_is_never_asked_for() {
        let mut wish = AudioWish::new(true);
        assert!(wish.note_failure(Some(FailureKind::AudioCodec)) && !wish.note_seen(true));
        let mut wish = AudioWish::new(false);
        wish.note_probed(Some("aac"));
        assert!(!wish.is_asked_for() && !wish.note_seen(true));
    }

    #[test]
    fn a_file_says_for_itself_what_it_has() {
        let mut wish = AudioWish::new(true);
        for (codec, expected) in [(None, false), (Some("aac"), true), (Some("alac"), false)] {
            wish.note_probed(codec);
            assert_eq!(wish.is_asked_for(), expected, "{codec:?}");
        }
    }
}
