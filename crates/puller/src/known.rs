//! What is known of one input, from one of its sessions to the next.

use framelane_frame::{Colour, Matrix, PixelFormat};
use framelane_media::ffmpeg::{DecodeOptions, MediaInfo};

use crate::decoder::Decoder;
use crate::trouble::Trouble;
use crate::wish::AudioWish;

/// What was found out so far.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) wish: AudioWish,
    colour: Option<Colour>,
    /// Whether its pictures are 4:2:0 in 8 bits.
    subsampled: bool,
    interlaced: bool,
}

impl Known {
    /// Nothing: it is taken for what most inputs are.
    pub(crate) fn new(wish: AudioWish) -> Self {
        Self { wish, colour: None, subsampled: true, interlaced: false }
    }

    /// Takes in what is known before the first frame.
    pub(crate) fn learn(&mut self, info: &MediaInfo) -> Result<(), Trouble> {
        let Some(video) = &info.video else {
            return Err(Trouble::NotVideo("it has no video stream".into()));
        };
        if !video.is_rgb() {
            self.colour = Some(self.complete(video.colour, video.height));
        }
        self.subsampled = video.is_subsampled();
        self.interlaced = video.interlaced;
        self.wish.note_probed(info.audio.as_ref().map(|audio| audio.codec.as_str()));
        Ok(())
    }

    /// Tells the decoder.
    pub(crate) fn tell(&self, options: &mut DecodeOptions) {
        options.deinterlace = self.interlaced;
        options.only_video = self.wish.is_known_absent();
        options.colour = self.colour;
        options.subsampled = self.subsampled;
    }

    /// The colour of pictures of this height.
    pub(crate) fn colour(&self, height: u32) -> Colour {
        self.colour.unwrap_or_default().or_guess(height).0
    }

    /// Notes what ffmpeg says of a live source. Tells whether it turns out to need another conversion
    /// than ffmpeg does by itself, to frames of this format: it leaves interlaced pictures as they are, was told to make 4:2:0 of
    /// what may have more, and takes everything untagged for BT.601.
    pub(crate) fn note_pictures(&mut self, decoder: &dyn Decoder, format: PixelFormat) -> bool {
        let Some(video) = decoder.input_info().video else { return false };
        let combed = video.interlaced && !self.interlaced;
        self.interlaced |= video.interlaced;
        let reduced = decoder.is_converted() && !video.is_subsampled();
        self.subsampled &= !reduced;
        if video.is_rgb() {
            return combed || reduced;
        }
        let complete = self.complete(video.colour, video.height);
        if let Some(told) = self.colour.replace(complete) {
            // Another source is at that address by now.
            let misled = told.range != complete.range
                || (told.matrix != complete.matrix && !decoder.is_converted());
            return combed || reduced || misled;
        }
        let untagged = video.colour.matrix == Matrix::Unknown && complete.matrix == Matrix::Bt709;
        let by_ffmpeg = !decoder.is_converted() && !format.is_yuv();
        combed || reduced || (untagged && by_ffmpeg)
    }

    /// Fills in what a source does not say of its colour.
    fn complete(&self, colour: Colour, height: u32) -> Colour {
        let (complete, guessed) = colour.or_guess(height);
        if guessed && self.colour != Some(complete) {
            let matrix = complete.matrix.name().unwrap_or("unknown");
            let range = complete.range.name().unwrap_or("unknown");
            tracing::info!(matrix, range, "the source does not say its colour: guessed");
        }
        complete
    }
}
