//! Rule: sound goes around the model. What the output can carry is copied, bit for bit; what it
//! can't becomes AAC; and sound that comes late, stops or has a gap never holds up a picture.

use anyhow::{Context, Result, ensure};
use e2e::framehash::{audio_hashes, frame_and_audio_hashes};
use e2e::tools::{run, run_ffmpeg};
use e2e::{Chain, FrameHash, Namespace, frame_hashes};

/// How far a time may be from where it was: containers round each time to a millisecond.
const ROUNDING_US: i64 = 1500;

/// Four seconds of pictures and whatever sound `audio` asks for.
fn clip(path: &str, audio: &[&str]) -> Result<()> {
    let mut args = vec!["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4"];
    args.extend(audio);
    args.extend(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", path]);
    run_ffmpeg(&args).map(drop)
}

/// Sound that lasts as long as the pictures, in this codec.
fn tone<'a>(source: &'a str, codec: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["-f", "lavfi", "-i", source, "-strict", "-2", "-c:a"];
    args.extend(codec);
    args
}

/// Sends a clip through a worker into a file, with further options of the pusher.
fn send(namespace: &Namespace, clip: &str, out: &str, options: &[&str]) -> Result<()> {
    let preset = ["--preset", "ultrafast"];
    let chain = Chain::new(namespace, clip, out).pusher_args(&preset).pusher_args(options);
    chain.start(1)?.expect_success()?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

/// What ffprobe says of the sound: `codec_name,sample_rate,channels`; empty when there is none.
fn sound_of(path: &str) -> Result<String> {
    let mut probe = std::process::Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "a:0", "-of", "csv=p=0"]);
    let text = run(probe.args(["-show_entries", "stream=codec_name,sample_rate,channels", path]))?;
    Ok(text.lines().next().unwrap_or_default().trim_end_matches(',').to_owned())
}

/// None of the pictures is missing, and each comes when it came in the source. Returns when the
/// first one comes, there and here.
fn compare_pictures(wanted: &[FrameHash], got: &[FrameHash]) -> Result<(i64, i64)> {
    ensure!(got.len() == wanted.len(), "{} pictures of {}", got.len(), wanted.len());
    let start = |frames: &[FrameHash]| frames.first().map(|frame| frame.pts_us).context("none");
    let (from, to) = (start(wanted)?, start(got)?);
    for (got, wanted) in got.iter().zip(wanted) {
        let moved = (got.pts_us - to) - (wanted.pts_us - from);
        ensure!(moved.abs() <= ROUNDING_US, "a picture moved by {moved} µs: {wanted:?}");
    }
    Ok((from, to))
}

/// Compares the pictures of two files, and tells when the first one comes in `out`.
fn same_pictures(clip: &str, out: &str) -> Result<i64> {
    let (_, first) = compare_pictures(&frame_hashes(clip, "gray")?, &frame_hashes(out, "gray")?)?;
    Ok(first)
}

/// Checks that every packet since the first picture is there, unchanged and in step with the
/// pictures.
fn same_sound(clip: &str, out: &str) -> Result<usize> {
    let [pictures_wanted, wanted] = frame_and_audio_hashes(clip, "gray")?;
    let [pictures_got, got] = frame_and_audio_hashes(out, "gray")?;
    let (from, to) = compare_pictures(&pictures_wanted, &pictures_got)?;
    // Only what was to be heard before the first picture may be missing.
    let early = wanted.len().checked_sub(got.len()).context("too many packets")?;
    let last_missing = wanted.iter().take(early).next_back();
    ensure!(
        last_missing.is_none_or(|packet| packet.pts_us < from + ROUNDING_US),
        "{early} missing"
    );
    for (index, (got, wanted)) in got.iter().zip(wanted.iter().skip(early)).enumerate() {
        ensure!(got.md5 == wanted.md5, "packet {index} has changed");
        let moved = (got.pts_us - to) - (wanted.pts_us - from);
        ensure!(moved.abs() <= ROUNDING_US, "packet {index} moved by {moved} µs");
    }
    Ok(got.len())
}

/// How loud a file is at most, in decibels, within `from` and `to` seconds.
fn peak(path: &str, from: &str, to: &str) -> Result<f64> {
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-hide_banner", "-i", path, "-map", "0:a:0"]);
    ffmpeg.args(["-af", &format!("atrim={from}:{to},volumedetect"), "-f", "null", "-"]);
    let output = ffmpeg.output().context("cannot start ffmpeg")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = text.split("max_volume: ").nth(1).and_then(|rest| rest.split(' ').next());
    value.and_then(|value| value.parse().ok()).with_context(|| format!("no volume: {text}"))
}

/// AAC and MP3 as FLV carries them are copied.
#[test]
fn what_flv_carries_is_copied() -> Result<()> {
    let stereo = "sine=f=440:r=44100:d=4,aformat=channel_layouts=stereo";
    let surround = "anoisesrc=r=48000:d=4:a=0.1,aformat=channel_layouts=5.1";
    for (name, source, codec, expected) in [
        ("stereo", stereo, "aac", "aac,44100,2"),
        ("mono", "sine=f=440:r=22050:d=4", "aac", "aac,22050,1"),
        ("low", "sine=f=440:r=8000:d=4", "aac", "aac,8000,1"),
        ("fast", "sine=f=440:r=96000:d=4", "aac", "aac,96000,1"),
        ("surround", surround, "aac", "aac,48000,6"),
        ("mp3", stereo, "libmp3lame", "mp3,44100,2"),
        ("mp3-48", "sine=f=440:r=48000:d=4", "libmp3lame", "mp3,48000,1"),
    ] {
        let namespace = Namespace::new()?;
        let (clip_path, out) = (namespace.path("clip.flv"), namespace.path("out.flv"));
        clip(&clip_path, &tone(source, &[codec])).context(name)?;
        send(&namespace, &clip_path, &out, &[]).context(name)?;
        let got = sound_of(&out).context(name)?;
        ensure!(got == expected, "{name}: {got} instead of {expected}");
        same_sound(&clip_path, &out).context(name)?;
    }
    Ok(())
}

/// Codecs that FLV can't carry become AAC there, in step, and are copied into a container that can.
#[test]
fn what_flv_does_not_carry_becomes_aac() -> Result<()> {
    let stereo = "sine=f=440:r=48000:d=4,aformat=channel_layouts=stereo";
    for (codec, name) in [
        ("libopus", "opus"),
        ("ac3", "ac3"),
        ("flac", "flac"),
        ("pcm_s16le", "pcm_s16le"),
        ("pcm_alaw", "pcm_alaw"),
        ("mp2", "mp2"),
    ] {
        let namespace = Namespace::new()?;
        let (clip_path, flv) = (namespace.path("clip.mkv"), namespace.path("out.flv"));
        clip(&clip_path, &tone(stereo, &[codec])).context(name)?;
        send(&namespace, &clip_path, &flv, &[]).context(name)?;
        ensure!(sound_of(&flv)? == "aac,48000,2", "{name}: {}", sound_of(&flv)?);
        same_pictures(&clip_path, &flv).context(name)?;
        let loud = peak(&flv, "1", "3")?;
        ensure!(loud > -30.0, "{name}: {loud} dB");
        let mkv = namespace.path("out.mkv");
        send(&namespace, &clip_path, &mkv, &[]).context(name)?;
        ensure!(sound_of(&mkv)? == format!("{name},48000,2"), "{name}: {}", sound_of(&mkv)?);
        same_sound(&clip_path, &mkv).context(name)?;
    }
    Ok(())
}

/// Sound that starts late, ends early or has a gap: every picture is there, and the sound is where
/// it was.
#[test]
fn sound_that_comes_and_goes_keeps_its_place() -> Result<()> {
    let gap = "aselect='not(between(t,1,2.5))'";
    for (name, audio) in [
        ("late", vec!["-itsoffset", "2", "-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"]),
        ("early", vec!["-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"]),
        ("gap", vec!["-f", "lavfi", "-i", "sine=d=4", "-af", gap, "-c:a", "aac"]),
    ] {
        for extension in ["flv", "mkv"] {
            let namespace = Namespace::new()?;
            let clip_path = namespace.path(&format!("clip.{extension}"));
            let out = namespace.path("out.flv");
            clip(&clip_path, &audio).context(name)?;
            send(&namespace, &clip_path, &out, &[])
                .with_context(|| format!("{name} {extension}"))?;
            let packets =
                same_sound(&clip_path, &out).with_context(|| format!("{name} {extension}"))?;
            ensure!(packets > 30, "{name} {extension}: {packets} packets");
        }
    }
    Ok(())
}

/// Without audio there is a track of silence for those who ask for one, as long as the pictures;
/// else there is none. Audio that is there is never replaced.
#[test]
fn silence_where_there_is_no_sound() -> Result<()> {
    let namespace = Namespace::new()?;
    let (mute, loud) = (namespace.path("mute.mkv"), namespace.path("loud.mkv"));
    clip(&mute, &[])?;
    clip(&loud, &tone("sine=f=440:r=44100:d=4", &["aac"]))?;
    let out = namespace.path("out.flv");
    send(&namespace, &mute, &out, &[])?;
    ensure!(sound_of(&out)?.is_empty(), "{}", sound_of(&out)?);
    send(&namespace, &loud, &out, &["--silent-audio"])?;
    same_sound(&loud, &out)?;

    for out in [namespace.path("silent.flv"), namespace.path("silent.mp4")] {
        send(&namespace, &mute, &out, &["--silent-audio"])?;
        ensure!(sound_of(&out)? == "aac,48000,2", "{}", sound_of(&out)?);
        let first_picture = same_pictures(&mute, &out)?;
        let packets = audio_hashes(&out)?;
        let times: Vec<i64> = packets.iter().map(|packet| packet.pts_us).collect();
        let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
        // 1024 samples take 21.333 ms.
        ensure!(steps.into_iter().all(|step| (step - 21_333).abs() <= 1000), "{times:?}");
        let (first, last) = (times.first().context("none")?, times.last().context("none")?);
        ensure!((0..25_000).contains(&(first - first_picture)), "{first} after {first_picture}");
        ensure!((last - first_picture - 4_000_000).abs() < 60_000, "ends at {last}");
        ensure!(peak(&out, "0", "10")? < -90.0, "it is not silent");
    }
    Ok(())
}

/// What one second pipe holds is not enough for the sound before the first picture.
#[test]
fn pictures_may_come_long_after_the_sound() -> Result<()> {
    let namespace = Namespace::new()?;
    let (late, out) = (namespace.path("late.mkv"), namespace.path("out.mkv"));
    let video = ["-itsoffset", "8", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=1"];
    let audio = ["-f", "lavfi", "-i", "sine=r=48000:d=9", "-ac", "2", "-c:a", "pcm_s16le", &late];
    run_ffmpeg(&[video.as_slice(), &audio].concat())?;
    send(&namespace, &late, &out, &[])?;
    let pictures = frame_hashes(&out, "gray")?.len();
    ensure!(pictures == 25, "{pictures} pictures");
    Ok(())
}

#[test]
fn sound_in_packets_that_are_too_large_is_left_out() -> Result<()> {
    let namespace = Namespace::new()?;
    let (loud, out) = (namespace.path("loud.mov"), namespace.path("out.mkv"));
    clip(&loud, &tone("aevalsrc=0:c=16c:d=4:s=48000", &["pcm_s24le", "-ac", "16"]))?;
    send(&namespace, &loud, &out, &[])?;
    same_pictures(&loud, &out).map(drop)
}
