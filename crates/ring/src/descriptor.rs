//! The ring's descriptor: what the source is, for whoever encodes, shows or measures its frames.
//!
//! It is structured and not hot, so it is encoded with bincode (standard configuration), at most
//! 4080 bytes. Per-frame facts are in the slots' records, fixed and readable from any language.
//! Writers hold the tables lock; readers try again when the version moved under them.

use std::sync::atomic::Ordering;

use bincode::config;
use framelane_frame::{Colour, FrameRate, Geometry};
use serde::{Deserialize, Serialize};

use crate::RingError;
use crate::layout::{DescriptorArea, Plan};
use crate::ring::Ring;
use crate::seqlock::{self, Content};

const CAPACITY: usize = 4080;

/// What a ring's frames come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Where they come from, with all secrets removed.
    pub source: String,
    /// Whether the source runs in real time.
    pub live: bool,
    /// The pictures, unless the ring carries only audio.
    pub video: Option<VideoTrack>,
    /// The audio that goes with them.
    pub audio: Option<AudioTrack>,
}

/// What the pictures of a ring are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoTrack {
    /// Size and pixel format of the frames.
    pub geometry: Geometry,
    /// Width and height of a pixel in relation to each other; `(0, 0)` when unknown, which is to be
    /// taken for square.
    pub sample_aspect: (u32, u32),
    /// The rate that the source declares; a hint.
    pub frame_rate: Option<FrameRate>,
    /// The colour of the source, complete: what was not said has been guessed. The range is that
    /// of the frames.
    pub colour: Colour,
}

impl VideoTrack {
    /// Square pixels at an undeclared rate, of a source whose complete colour is `source_colour`.
    pub fn new(geometry: Geometry, source_colour: Colour) -> Self {
        let colour = Colour { range: geometry.format().range(), ..source_colour };
        Self { geometry, sample_aspect: (1, 1), frame_rate: None, colour }
    }
}

/// How to mux a ring's audio packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioTrack {
    /// The codec's tag in NUT.
    pub tag: Vec<u8>,
    /// What a decoder needs before the first packet, such as AAC's AudioSpecificConfig.
    pub codec_specific: Vec<u8>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// The unit of the packets' timestamps, in seconds, as numerator and denominator.
    pub time_base: (u32, u32),
}

impl Ring {
    /// Reads the descriptor; a ring may have none.
    ///
    /// # Errors
    /// [`RingError::Descriptor`] when what is there can't be decoded.
    pub fn descriptor(&self) -> Result<Option<Descriptor>, RingError> {
        let Some(encoded) = self.read_descriptor()? else { return Ok(None) };
        let config = config::standard().with_limit::<CAPACITY>();
        match bincode::serde::decode_from_slice(&encoded, config) {
            Ok((descriptor, _)) => Ok(Some(descriptor)),
            Err(error) => Err(self.bad_descriptor(error.to_string())),
        }
    }

    /// Replaces the descriptor.
    ///
    /// # Errors
    /// [`RingError::Descriptor`] when it takes more than 4080 bytes.
    pub fn set_descriptor(&self, descriptor: &Descriptor) -> Result<(), RingError> {
        let encoded = bincode::serde::encode_to_vec(descriptor, config::standard())
            .map_err(|error| self.bad_descriptor(error.to_string()))?;
        if encoded.len() > CAPACITY {
            return Err(self.bad_descriptor(format!("it takes {} bytes", encoded.len())));
        }
        self.with_tool(|tool| {
            self.with_tables(tool, || {
                self.write_descriptor(&encoded);
                Ok(())
            })
        })
    }

    /// Takes over what another ring says of itself. The caller holds the tables lock of this one. What
    /// can't be read is being changed, or its writer died: then this ring says what it said before.
    pub(crate) fn copy_descriptor_of(&self, other: &Self) -> Result<(), RingError> {
        if let Ok(Some(encoded)) = other.read_descriptor()
            && encoded.len() <= CAPACITY
            && self.read_descriptor().ok().flatten().as_ref() != Some(&encoded)
        {
            self.write_descriptor(&encoded);
        }
        Ok(())
    }

    /// A number that changes with the descriptor; 0 when there is none yet.
    pub(crate) fn descriptor_version(&self) -> u64 {
        self.descriptor_area().version.load(Ordering::Acquire)
    }

    fn descriptor_area(&self) -> &DescriptorArea {
        self.memory().at(Plan::DESCRIPTOR).expect("checked when the ring was opened")
    }

    fn write_descriptor(&self, encoded: &[u8]) {
        let area = self.descriptor_area();
        seqlock::write(&area.version, || {
            for (word, chunk) in area.words.iter().zip(encoded.chunks(8)) {
                let mut bytes = [0; 8];
                bytes[..chunk.len()].copy_from_slice(chunk);
                word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
            }
            area.bytes.store(encoded.len() as u64, Ordering::Relaxed);
        });
    }

    fn read_descriptor(&self) -> Result<Option<Vec<u8>>, RingError> {
        let area = self.descriptor_area();
        let encoded = seqlock::read(&area.version, || {
            let bytes = usize::try_from(area.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
            let words = area.words.iter().map(|word| word.load(Ordering::Relaxed).to_le_bytes());
            words.flatten().take(bytes).collect()
        });
        match encoded {
            Content::Unwritten => Ok(None),
            Content::Whole(encoded) => Ok(Some(encoded)),
            Content::Changing => {
                let what = "it is being changed for ever: its writer died";
                Err(self.bad_descriptor(what.into()))
            }
        }
    }

    fn bad_descriptor(&self, what: String) -> RingError {
        RingError::Descriptor { ring: self.name().to_owned(), what }
    }
}

#[cfg(test)]
mod tests {
    use framelane_frame::PixelFormat;

    use super::*;
    use crate::RingConfig;

    #[test]
    fn a_descriptor_comes_back_as_it_was_written() {
        let ring = Ring::on_heap(&RingConfig::default()).expect("made");
        assert_eq!(ring.descriptor().expect("readable"), None);
        let geometry = Geometry::new(1280, 720, PixelFormat::Rgb24).expect("valid");
        let video = VideoTrack {
            geometry,
            sample_aspect: (4, 3),
            frame_rate: FrameRate::new(30000, 1001),
            colour: Colour::default().or_guess(720).0,
        };
        let descriptor = Descriptor {
            source: "rtmp://host/app".into(),
            live: true,
            video: Some(video),
            audio: None,
        };
        ring.set_descriptor(&descriptor).expect("written");
        assert_eq!(ring.reopen().expect("open").descriptor().expect("readable"), Some(descriptor));
    }

    /// The example of the layout's specification.
    #[test]
    fn the_encoding_is_the_one_that_is_specified() {
        let geometry = Geometry::new(1280, 720, PixelFormat::Rgb24).expect("valid");
        let frame_rate = FrameRate::new(25, 1);
        let video = VideoTrack {
            frame_rate,
            ..VideoTrack::new(geometry, Colour::default().or_guess(720).0)
        };
        let descriptor =
            Descriptor { source: "cam".into(), live: true, video: Some(video), audio: None };
        let encoded = bincode::serde::encode_to_vec(&descriptor, config::standard());
        let hex: Vec<_> = encoded.expect("encoded").iter().map(|it| format!("{it:02x}")).collect();
        let specified = include_str!("../../../docs/spec/ring_layout.md");
        assert!(specified.contains(&format!("`{}` is a live source", hex.join(" "))), "{hex:?}");
    }

    #[test]
    fn garbage_is_an_error_and_not_a_panic() {
        let ring = Ring::on_heap(&RingConfig::default()).expect("made");
        ring.write_descriptor(&[0xff; 64]);
        assert!(ring.descriptor().is_err());
        ring.descriptor_area().bytes.store(u64::MAX, Ordering::Relaxed);
        assert!(ring.descriptor().is_err());
    }
}
