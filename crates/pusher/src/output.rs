//! Where the pusher's streams go: never over the source, and never over each other.

use std::fs;
use std::path::Path;

use framelane_media::ffmpeg::OutputKind;

/// Whether the output would overwrite the source.
pub(crate) fn is_same(source: &str, output: &str) -> bool {
    let path = fs::canonicalize(output);
    path.is_ok_and(|path| path.is_file() && fs::canonicalize(source).is_ok_and(|it| it == path))
}

/// Where the n-th stream goes, from 1. A recording can't go on with pictures of another size, and
/// must not lose those that it has: what follows goes into a file beside it, `name-2.mkv`.
pub(crate) fn part(output: &str, stream: u32) -> String {
    let path = Path::new(output);
    let (true, OutputKind::File(_)) = (stream > 1, OutputKind::of(output)) else {
        return output.to_owned();
    };
    let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
        return output.to_owned();
    };
    let (stem, extension) = (stem.to_string_lossy(), extension.to_string_lossy());
    path.with_file_name(format!("{stem}-{stream}.{extension}")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_go_on_in_another_file_and_live_streams_where_they_are() {
        assert_eq!(part("/a/cam.front.mkv", 1), "/a/cam.front.mkv");
        assert_eq!(part("/a/cam.front.mkv", 2), "/a/cam.front-2.mkv");
        assert_eq!(part("out.flv", 3), "out-3.flv");
        for output in ["rtmp://host/live/cam.flv", "udp://host:1/x.ts", "/dev/video2", "live.m3u8"]
        {
            assert_eq!(part(output, 2), output);
        }
    }
}
