//! Promise: whatever ffprobe writes is read or refused. No field of it makes the puller panic.

use framelane_frame::PixelFormat;
use framelane_media::ffmpeg::{VideoInfo, parse_probe};

/// Reads an answer of ffprobe, and asks everything that the puller asks of it.
pub fn ffprobe_json(data: &[u8]) {
    let Ok(info) = parse_probe(data) else { return };
    if let Some(video) = &info.video {
        ask(video);
    }
}

fn ask(video: &VideoInfo) {
    let (width, height) = video.display_size();
    let _ = video.is_rgb();
    for format in PixelFormat::ALL {
        if let Some(geometry) = video.geometry(format) {
            assert_eq!((geometry.width(), geometry.height()), (width, height));
        }
    }
}
