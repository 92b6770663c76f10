//! Where the pusher's streams go: never over the source, and never over each other.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use framelane_media::ffmpeg::{OutputKind, existing_file};

/// Whether the output would overwrite the source.
pub(crate) fn is_same(source: &str, output: &str) -> bool {
    let [source, output] =
        [source, output].map(|named| fs::canonicalize(existing_file(named)?).ok());
    output.is_some() && output == source
}

/// Whether the output keeps what is sent to it: a file, or the files that a pattern stands for. A
/// playlist is written anew all the time, and names files of its own.
pub(crate) fn is_recording(output: &str) -> bool {
    let extension = Path::new(output).extension().and_then(OsStr::to_str);
    let is_playlist = matches!(extension, Some("m3u8" | "mpd"));
    !is_playlist && !output.contains("://") && !OutputKind::of(output).is_live()
}

/// Where a stream goes that must not be written over what is there. A recording can't be continued
/// in its own file: what follows goes into one beside it, `name-2.mkv` or the first that is free.
/// Anything else goes on where it is.
pub(crate) fn beside(output: &str) -> String {
    if !is_recording(output) || !is_taken(output) {
        return output.to_owned();
    }
    let mut others = (2_u32..).map(|number| numbered(output, number));
    others.find(|other| !is_taken(other)).unwrap_or_else(|| output.to_owned())
}

/// Whether there is such a file, or one of the first two that a pattern such as `%03d` stands for:
/// who counts begins with 0 or with 1.
fn is_taken(output: &str) -> bool {
    let pattern = output.split_once('%').and_then(|(start, rest)| {
        let (width, end) = rest.split_once('d')?;
        Some((start, format!("0{width}").parse::<usize>().ok()?, end))
    });
    match pattern {
        Some((start, width, end)) => {
            (0..2).any(|number| existing_file(&format!("{start}{number:0width$}{end}")).is_some())
        }
        None => existing_file(output).is_some(),
    }
}

fn numbered(output: &str, number: u32) -> String {
    let path = Path::new(output);
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_go_on_in_the_next_free_file_and_live_streams_where_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let there =
            ["cam.front.mkv", "out.webm", "out", "out-2", "a-000.ts", "a-001-2.ts", "50%.ts"];
        for name in there.into_iter().chain(["live.m3u8"]) {
            fs::write(at(name), "pictures").expect("written");
        }
        for (output, wanted) in [
            ("cam.front.mkv", "cam.front-2.mkv"),
            ("out.webm", "out-2.webm"),
            ("out", "out-3"),
            ("a-%03d.ts", "a-%03d-3.ts"),
            ("b-%03d.ts", "b-%03d.ts"),
            ("50%.ts", "50%-2.ts"),
            ("live.m3u8", "live.m3u8"),
            ("nothing-yet.mp4", "nothing-yet.mp4"),
        ] {
            assert_eq!(beside(&at(output)), at(wanted));
            assert_eq!(beside(&format!("file:{}", at(output))), format!("file:{}", at(wanted)));
        }
        for output in ["rtmp://host/live/cam.flv", "udp://host:1/x.ts", "/dev/null"] {
            assert_eq!(beside(output), output);
        }
    }
}
