//! Rule: there is one timeline. Whatever a source does to its timestamps, those that come out only
//! rise, at the pace at which the frames came.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::chain::{RING_IN, RING_OUT};
use e2e::framehash::audio_hashes;
use e2e::tools::{keep_every_frame, run_ffmpeg};
use e2e::{Chain, Namespace, RingStat, clips, frame_hashes, wait_until};

use crate::flaky_camera::FlakyCamera;

/// The times of a recording's frames, in microseconds.
pub(crate) fn times_us(path: &str) -> Result<Vec<i64>> {
    Ok(frame_hashes(path, "gray")?.iter().map(|frame| frame.pts_us).collect())
}

/// Checks that times rise, by less than `gap_ms` each, and returns what they span, in milliseconds.
pub(crate) fn span_ms(times: &[i64], gap_ms: i64) -> Result<i64> {
    for pair in times.windows(2) {
        let step = pair[1] - pair[0];
        ensure!((1..gap_ms * 1000).contains(&step), "a step of {step} µs: {times:?}");
    }
    Ok((times.last().context("no frame")? - times.first().context("no frame")?) / 1000)
}

fn raw_chain(namespace: &Namespace, input: &str, out: &str) -> Chain {
    Chain::new(namespace, input, out).pusher_args(&["--codec", "rawvideo"])
}

/// A camera that sends what ffmpeg makes of `source` once for each of `offsets`, in seconds, by which
/// its clock is ahead then; all of it within `seconds`.
fn jumping_camera(
    namespace: &Namespace,
    source: &[&str],
    offsets: &[&str],
    seconds: u64,
) -> Result<FlakyCamera> {
    let clip = namespace.path("clip.ts");
    let mut bytes = Vec::new();
    for offset in offsets {
        run_ffmpeg(&[source, &["-output_ts_offset", offset, &clip]].concat())?;
        bytes.extend(fs::read(&clip)?);
    }
    FlakyCamera::start(&bytes, Duration::from_secs(seconds))
}

/// A camera whose clock jumps forward and back within one connection, and starts over with each.
#[test]
fn jumps_and_reconnects_become_the_time_that_has_passed() -> Result<()> {
    let namespace = Namespace::new()?;
    let out = namespace.path("out.nut");
    let source = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2", "-bf", "0", "-g", "25"];
    let camera = jumping_camera(&namespace, &source, &["0", "100", "20"], 6)?;
    let started = Instant::now();
    let mut running = raw_chain(&namespace, &camera.url(), &out).start(1)?;
    wait_until("the first picture", || RingStat::read(&namespace, RING_OUT).is_ok())?;
    let first_picture = started.elapsed();
    // The first is asked for audio, which it doesn't have.
    wait_until("the fourth connection", || camera.connections() >= 4)?;
    let shown = started.elapsed() - first_picture;
    running.stop()?;
    // It is started anew when it steps back, so the gaps are those of new connections.
    let times = times_us(&out)?;
    let span = span_ms(&times, 10_000)?;
    let possible =
        i64::try_from(shown.as_millis() / 2)?..=i64::try_from(started.elapsed().as_millis())?;
    ensure!(possible.contains(&span), "{span} ms, not {possible:?}: {times:?}");
    Ok(())
}

/// A camera whose clock goes on while nobody is connected is taken at its word: what comes after the
/// gap is as much later as the camera says, not as this machine's clock says.
#[test]
fn a_clock_that_goes_on_over_a_reconnect_is_kept() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.ts"), namespace.path("out.nut"));
    let source = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2", "-bf", "0", "-g", "25"];
    let at = |offset: &str| -> Result<Vec<u8>> {
        run_ffmpeg(&[source.as_slice(), &["-output_ts_offset", offset, &clip]].concat())?;
        Ok(fs::read(&clip)?)
    };
    // The first connection only shows that there is no sound.
    let clips = vec![at("10")?, at("10")?, at("13.2")?];
    let camera = FlakyCamera::start_with(clips, Duration::from_secs(2))?;
    // The last picture before the gap must not get lost, however busy the machine is.
    let chain = raw_chain(&namespace, &camera.url(), &out).puller_args(&["--on-full", "block"]);
    let mut running = chain.start(1)?;
    wait_until("the fourth connection", || camera.connections() >= 4)?;
    running.stop()?;
    let times = times_us(&out)?;
    // From the last picture of one, at 10 + 49 / 25 s, to the first of the other.
    let kept = times.windows(2).any(|pair| (pair[1] - pair[0] - 1_240_000).abs() < 1_000);
    ensure!(kept, "no gap of 1.24 s: {times:?}");
    Ok(())
}

/// Those who need a constant rate get one, from a source that has none.
#[test]
fn a_rate_is_made_constant_on_request() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    clips::variable_rate(&clip, 60)?;
    let chain = raw_chain(&namespace, &clip, &out).puller_args(&["--fps", "20"]);
    chain.start(1)?.expect_success()?;
    let times = times_us(&out)?;
    ensure!(times.len() > 20, "{times:?}");
    ensure!(times.windows(2).all(|pair| pair[1] - pair[0] == 50_000), "{times:?}");
    Ok(())
}

/// Packets of sound come before the pictures that go with them, since they need no decoder. So they
/// are the first to see that the clock has jumped, and must not go ahead by as much.
#[test]
fn sound_stays_with_the_pictures_over_a_jump() -> Result<()> {
    let namespace = Namespace::new()?;
    let out = namespace.path("out.nut");
    let video = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4"];
    let audio = ["-f", "lavfi", "-i", "sine=duration=4", "-c:a", "aac", "-bf", "3"];
    // A packet of sound is sent as soon as it is there.
    let source = [video.as_slice(), &audio, &["-pes_payload_size", "0"]].concat();
    let camera = jumping_camera(&namespace, &source, &["0", "1000"], 8)?;
    // Room for what comes at once, when ffmpeg has made up its mind.
    let chain = raw_chain(&namespace, &camera.url(), &out).puller_args(&["--slots", "64"]);
    let mut running = chain.start(1)?;
    wait_until("the second connection", || camera.connections() >= 2)?;
    running.stop()?;
    let sound: Vec<i64> = audio_hashes(&out)?.iter().map(|packet| packet.pts_us).collect();
    let (pictures, sound) = (span_ms(&times_us(&out)?, 2_000)?, span_ms(&sound, 1_000)?);
    ensure!((pictures - sound).abs() < 1_500, "{pictures} ms of pictures, {sound} ms of sound");
    Ok(())
}

/// MPEG-TS's clock wraps after 26.5 hours, and ffmpeg takes the minute before that for times before
/// 0, which the pipes can't say.
#[test]
fn sound_stays_with_the_pictures_shortly_before_a_wrap() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.ts"), namespace.path("out.nut"));
    let video = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2"];
    let audio = ["-itsoffset", "1", "-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac"];
    let muxer = ["-muxdelay", "0", "-output_ts_offset", "95403", &clip];
    run_ffmpeg(&[video.as_slice(), &audio, &muxer].concat())?;
    raw_chain(&namespace, &clip, &out).start(1)?.expect_success()?;
    let sound = audio_hashes(&out)?.first().context("no sound")?.pts_us;
    let pictures = *times_us(&out)?.first().context("no picture")?;
    let late_ms = (sound - pictures) / 1000;
    ensure!((900..1100).contains(&late_ms), "sound comes {late_ms} ms after the pictures");
    Ok(())
}

/// A constant rate has no holes, so a jump is filled: not with all that was jumped over.
#[test]
fn a_constant_rate_survives_a_jump() -> Result<()> {
    let namespace = Namespace::new()?;
    let out = namespace.path("out.nut");
    let source = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=3", "-bf", "0", "-g", "25"];
    let camera = jumping_camera(&namespace, &source, &["0", "1000"], 6)?;
    let chain = raw_chain(&namespace, &camera.url(), &out).puller_args(&["--fps", "25"]);
    let mut running = chain.start(1)?;
    // The first is asked for sound, the second jumps, and the third comes after that.
    wait_until("the third connection", || camera.connections() >= 3)?;
    let next = RingStat::read(&namespace, RING_IN)?.next();
    running.stop()?;
    ensure!(next < 1000, "{next} frames of a few seconds");
    Ok(())
}

/// The pictures of a file may be further apart than those of a live source that has stalled.
#[test]
fn a_long_pause_in_a_file_is_no_stall() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, out) = (namespace.path("clip.mkv"), namespace.path("out.nut"));
    let pause = ["-vf", "setpts='(N+4*gte(N,2))/TB'", "-enc_time_base", "1:1000"];
    let source = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=1:d=4", "-bf", "0"];
    run_ffmpeg(&[source.as_slice(), &pause, &keep_every_frame(), &[&clip]].concat())?;
    let patience = ["--realtime", "--on-full", "block", "--stall-timeout", "2s"];
    let chain = raw_chain(&namespace, &clip, &out).puller_args(&patience);
    chain.start(1)?.expect_success()?;
    let times = times_us(&out)?;
    ensure!(times == [0, 1_000_000, 6_000_000, 7_000_000], "{times:?}");
    Ok(())
}
