//! Where the pusher's streams go: never over the source, and never over each other.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use framelane_media::ffmpeg::{OutputKind, existing_file};

/// Whether the output would overwrite the source.
pub(crate) fn is_same(source: &str, output: &str) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    let Some(source) = existing_file(source).and_then(canonical) else { return false };
    files_of(output).iter().any(|file| canonical(file).as_ref() == Some(&source))
}

/// Whether the output keeps what is sent to it: a file, or the files that a pattern stands for. A
/// playlist is written anew all the time, and names files of its own; so is a single picture.
pub(crate) fn is_recording(output: &str) -> bool {
    let is_rewritten = match extension_of(output).as_str() {
        "m3u8" | "mpd" => true,
        _ => picture_codec(output).is_some() && pattern_of(output).is_none(),
    };
    is_on_disk(output) && !is_rewritten
}

/// Whether the output is a file, or several, on this machine, and nobody has to take what is written:
/// no server, device or FIFO, and nothing that was opened by somebody else, like stdout.
pub(crate) fn is_on_disk(output: &str) -> bool {
    let is_stream = ["/dev/std", "/dev/fd/"].iter().any(|start| output.starts_with(start));
    let is_other = is_stream || fs::metadata(output).is_ok_and(|it| !it.is_file());
    !is_other && !output.contains("://") && !OutputKind::of(output).is_live()
}

fn extension_of(output: &str) -> String {
    let extension = Path::new(output).extension().and_then(OsStr::to_str).unwrap_or_default();
    extension.to_ascii_lowercase()
}

/// Checks that a codec's frames are what a file of this name holds: ffmpeg would write H.264 into a
/// PNG without a word. What is wrong comes back as a text. A codec among ffmpeg's own `args` wins.
pub(crate) fn check_codec(output: &str, codec: &str, args: &[String]) -> Result<(), String> {
    let is_codec = |arg: &String| {
        let stream = arg.strip_prefix("-codec").or_else(|| arg.strip_prefix("-c"));
        arg == "-vcodec" || stream.is_some_and(|stream| ["", ":v", ":0", ":v:0"].contains(&stream))
    };
    let makes_video = ["264", "265", "hevc"].iter().any(|name| codec.contains(name))
        && !args.iter().any(is_codec);
    match picture_codec(output).filter(|_| makes_video) {
        Some(wanted) => {
            Err(format!("{output} holds pictures, and {codec} makes none: use --codec {wanted}"))
        }
        None => Ok(()),
    }
}

/// ffmpeg's name of the encoder whose pictures a file of this name is for; `None` where it is for
/// video.
fn picture_codec(output: &str) -> Option<&'static str> {
    match extension_of(output).as_str() {
        _ if output.contains("://") => None,
        "jpg" | "jpeg" => Some("mjpeg"),
        "png" => Some("png"),
        "bmp" => Some("bmp"),
        "webp" => Some("libwebp"),
        _ => None,
    }
}

/// What ffmpeg has to be told to go on where an earlier stream stopped: a playlist that is there keeps
/// its segments and its count.
pub(crate) fn to_go_on(output: &str) -> Vec<String> {
    if extension_of(output) == "m3u8" && existing_file(output).is_some() {
        return vec!["-hls_flags".to_owned(), "append_list".to_owned()];
    }
    Vec::new()
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

fn is_taken(output: &str) -> bool {
    !files_of(output).is_empty()
}

/// The files that an output names, as far as they are there: one, or those of a pattern.
fn files_of(output: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = existing_file(output).into_iter().map(Path::to_owned).collect();
    let Some((start, width, end)) = pattern_of(output) else { return files };
    let start = start.strip_prefix("file:").unwrap_or(start);
    let (folder, start) = start.rsplit_once('/').map_or((".", start), |(folder, start)| {
        (if folder.is_empty() { "/" } else { folder }, start)
    });
    let is_one = |name: &str| {
        let number = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        number.is_some_and(|it| {
            let padded = it.parse().map(|number: u64| format!("{number:0width$}"));
            padded.is_ok_and(|padded| padded == it)
        })
    };
    let Ok(entries) = fs::read_dir(folder) else { return files };
    let ones = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_one));
    files.extend(ones.map(|entry| entry.path()));
    files
}

/// A pattern such as `part-%03d.mkv`: what stands before the number, its width, and what stands after.
fn pattern_of(output: &str) -> Option<(&str, usize, &str)> {
    let (start, rest) = output.split_once('%')?;
    let (width, end) = rest.split_once('d')?;
    let is_width = width.bytes().all(|byte| byte.is_ascii_digit());
    let width = if width.is_empty() { Ok(0) } else { width.parse() };
    width.ok().filter(|_| is_width).map(|width| (start, width, end))
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
        for name in there.into_iter().chain(["live.m3u8", "now.JPG"]) {
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
            ("now.JPG", "now.JPG"),
            ("nothing-yet.mp4", "nothing-yet.mp4"),
        ] {
            assert_eq!(beside(&at(output)), at(wanted));
            assert_eq!(beside(&format!("file:{}", at(output))), format!("file:{}", at(wanted)));
        }
        for output in ["rtmp://host/live/cam.flv", "udp://host:1/x.ts", "/dev/null", "/dev/stdout"]
        {
            assert_eq!(beside(output), output);
        }
        assert_eq!(to_go_on(&at("live.m3u8")), ["-hls_flags", "append_list"]);
        assert!(to_go_on(&at("other.m3u8")).is_empty() && to_go_on(&at("out.webm")).is_empty());
    }

    #[test]
    fn a_picture_holds_no_video() {
        for (output, codec) in [("now.PNG", "libx264"), ("f-%d.jpg", "h264_nvenc")] {
            let said = check_codec(output, codec, &[]).expect_err("no picture");
            assert!(said.contains("use --codec "), "{said}");
            let args = ["-codec", "png"].map(str::to_owned);
            assert_eq!(check_codec(output, codec, &args), Ok(()), "ffmpeg's own option wins");
        }
        for (output, codec) in
            [("now.png", "png"), ("a.mkv", "libx264"), ("rtmp://h/a.png", "h264_qsv")]
        {
            assert_eq!(check_codec(output, codec, &[]), Ok(()));
        }
    }

    #[test]
    fn an_output_is_the_source_by_whatever_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        fs::write(at("part-7.mkv"), "pictures").expect("written");
        fs::write(at("all-%d.mkv"), "pictures").expect("written");
        for (source, output) in [
            ("part-7.mkv", "part-7.mkv"),
            ("part-7.mkv", "./part-7.mkv"),
            ("part-7.mkv", "part-%d.mkv"),
            ("part-7.mkv", "part-%01d.mkv"),
            ("all-%d.mkv", "all-%d.mkv"),
        ] {
            assert!(is_same(&at(source), &at(output)), "{output}");
        }
        for output in ["part-8.mkv", "part-%03d.mkv", "part-%d.mp4"] {
            assert!(!is_same(&at("part-7.mkv"), &at(output)), "{output}");
        }
        assert!(!is_same("rtmp://host/live/a", "rtmp://host/live/a"));
    }
}
