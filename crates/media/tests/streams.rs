//! Rule: what ffmpeg writes is read bit for bit, and what is written ffmpeg reads bit for bit, for
//! every pixel format, with every timestamp, by the very command lines that the stages use.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use framelane_frame::{
    Colour, FrameRate, Geometry, Matrix, PixelFormat, Primaries, Range, Transfer,
};
use framelane_media::Secrets;
use framelane_media::ffmpeg::{
    AudioMode, ChildCommand, DecodeOptions, EncodeOptions, Ffmpeg, InputLines, OutputPipe,
    RAW_CODEC, probe, source_time_ns,
};
use framelane_media::nut::{Class, Limits, Reader, Stream, VideoParameters, Writer};

const LIMITS: Limits = Limits { payload_bytes_max: 1 << 22 };

type Frames = Vec<(i64, Vec<u8>)>;

/// Runs ffmpeg and returns its stdout.
fn ffmpeg(args: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args}: {errors}");
    output.stdout
}

/// Reads all packets of one stream to its end.
fn read_all(input: impl Read) -> Frames {
    let mut reader = Reader::open(input, LIMITS).expect("NUT");
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet().expect("NUT") {
        let mut payload = vec![0; packet.payload_bytes];
        reader.read_payload(&mut payload).expect("NUT");
        frames.push((packet.pts_ns, payload));
    }
    frames
}

/// Decodes a file by the puller's command line.
fn decode(options: &DecodeOptions) -> (Frames, Option<FrameRate>) {
    let ffmpeg = Ffmpeg::find("ffmpeg").expect("ffmpeg is installed");
    let command = ChildCommand::new(ffmpeg.program()).args(options.args(&ffmpeg)).socket_stdout();
    let mut child = command.spawn().expect("ffmpeg starts");
    let stdout = child.take_stdout().expect("asked for");
    let mut reader = Reader::open(stdout, LIMITS).unwrap_or_else(|error| {
        panic!("{error}: {}", child.failure().report());
    });
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet().expect("NUT") {
        let mut payload = vec![0; packet.payload_bytes];
        reader.read_payload(&mut payload).expect("NUT");
        frames.push((packet.pts_ns, payload));
    }
    let status = child.wait_timeout(Duration::from_secs(60)).expect("reaped");
    assert!(status.is_some_and(|status| status.success()), "{}", child.failure().report());
    (frames, reader.frame_rate())
}

/// Feeds frames to the pusher's command line, one that takes them as they are.
fn encode(options: &EncodeOptions, frames: &Frames) {
    let ffmpeg = Ffmpeg::find("ffmpeg").expect("ffmpeg is installed");
    let command = ChildCommand::new(ffmpeg.program()).args(options.args(&ffmpeg)).socket_stdin();
    let mut child = command.spawn().expect("ffmpeg starts");
    let stdin = child.take_stdin().expect("asked for");
    assert_eq!(options.picture_colour(), None, "pictures would have to be made of the frames");
    let video = VideoParameters {
        geometry: options.geometry,
        sample_aspect: (1, 1),
        frame_rate: options.frame_rate.expect("given"),
    };
    let mut writer = Writer::create(stdin, &video, None).expect("written");
    for (pts_ns, frame) in frames {
        if let Err(error) = writer.write_video(*pts_ns, frame) {
            panic!("{error}: {}", child.failure().report());
        }
    }
    drop(writer.into_output());
    let status = child.wait_timeout(Duration::from_secs(60)).expect("reaped");
    assert!(status.is_some_and(|status| status.success()), "{}", child.failure().report());
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("a plain path").to_owned()
}

#[test]
fn every_format_comes_out_of_ffmpeg_as_its_own_decode() {
    let folder = tempfile::tempdir().expect("a folder");
    for size in ["64x36", "35x21"] {
        let clip = path(&folder, "clip.mkv");
        ffmpeg(&format!(
            "-f lavfi -i testsrc2=s={size}:r=30000/1001:d=0.5 -pix_fmt yuv444p -c:v ffv1 {clip}"
        ));
        for format in PixelFormat::ALL {
            let mut options = DecodeOptions::new(&clip, format);
            options.subsampled = false;
            let (frames, rate) = decode(&options);
            let filters = options.args(&Ffmpeg::find("ffmpeg").expect("installed"));
            let at = filters.iter().position(|arg| arg == "-vf").expect("there");
            let own = ffmpeg(&format!("-i {clip} -vf {} -f rawvideo pipe:1", filters[at + 1]));
            let read: Vec<u8> = frames.iter().flat_map(|(_, payload)| payload.clone()).collect();
            assert!(read == own, "{size} {format}");
            assert_eq!(rate, FrameRate::new(30000, 1001), "{size} {format}");
            assert_eq!(frames.len(), 15);
            assert_eq!(source_time_ns(frames[1].0), 33_000_000, "Matroska counts milliseconds");
        }
    }
}

#[test]
fn every_format_goes_into_ffmpeg_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in PixelFormat::ALL {
        for (width, height) in [(64, 36), (35, 21), (1, 1)] {
            let geometry = Geometry::new(width, height, format).expect("valid");
            let frames: Frames = [0, 40_000_000, 41_000_000, 9_000_000_000]
                .into_iter()
                .zip(1_u8..)
                .map(|(pts_ns, seed)| {
                    let bytes = (0..geometry.payload_bytes())
                        .map(|at| u8::try_from(at % 251).expect("small").wrapping_mul(seed));
                    (pts_ns, bytes.collect())
                })
                .collect();
            let out = path(&folder, "out.nut");
            let mut options = EncodeOptions::new(&out, geometry, Colour::default());
            options.codec = RAW_CODEC.to_owned();
            options.frame_rate = FrameRate::new(25, 1);
            encode(&options, &frames);
            let back = read_all(std::fs::File::open(&out).expect("written"));
            assert!(back == frames, "{geometry}");
        }
    }
}

type AudioPackets = Vec<(i64, i64, Vec<u8>)>;

/// Decodes a file by the puller's command line: its frames, and its audio from the second pipe.
fn decode_with_audio(clip: &str) -> (Frames, Stream, AudioPackets) {
    let pipe = OutputPipe::new().expect("a pipe");
    let mut options = DecodeOptions::new(clip, PixelFormat::Gray);
    options.audio_fd = Some(pipe.child_fd());
    let ffmpeg = Ffmpeg::find("ffmpeg").expect("installed");
    let command = ChildCommand::new("ffmpeg").args(options.args(&ffmpeg));
    let mut child = command.socket_stdout().output_pipe(pipe).spawn().expect("starts");
    let audio = child.take_pipe().expect("asked for");
    let reading = std::thread::spawn(move || {
        let mut reader = Reader::open(audio, LIMITS).expect("NUT");
        let stream = reader.streams()[0].clone();
        let mut packets = Vec::new();
        while let Some(packet) = reader.next_packet().expect("NUT") {
            let mut payload = vec![0; packet.payload_bytes];
            reader.read_payload(&mut payload).expect("NUT");
            packets.push((packet.pts, packet.pts_ns, payload));
        }
        (stream, packets)
    });
    let frames = read_all(child.take_stdout().expect("asked for"));
    let (stream, packets) = reading.join().expect("read");
    (frames, stream, packets)
}

/// Feeds frames and packets, in the order of their times, to the pusher's command line.
fn encode_with_audio(out: &str, frames: &Frames, stream: &Stream, packets: &AudioPackets) {
    let Class::Audio(parameters) = &stream.class else { panic!("no audio: {stream:?}") };
    let geometry = Geometry::new(64, 36, PixelFormat::Gray).expect("valid");
    let mut options = EncodeOptions::new(out, geometry, Colour::default());
    options.codec = RAW_CODEC.to_owned();
    options.audio = Some(AudioMode::Copy);
    let ffmpeg = Ffmpeg::find("ffmpeg").expect("installed");
    let command = ChildCommand::new("ffmpeg").args(options.args(&ffmpeg)).socket_stdin();
    let mut child = command.spawn().expect("starts");
    let frame_rate = FrameRate::new(25, 1).expect("valid");
    let video = VideoParameters { geometry, sample_aspect: (0, 0), frame_rate };
    let stdin = child.take_stdin().expect("asked for");
    let mut writer =
        Writer::create(stdin, &video, Some((parameters, stream.time_base))).expect("written");
    let mut left = packets.iter().peekable();
    for (pts_ns, payload) in frames {
        writer.write_video(*pts_ns, payload).expect("written");
        while let Some((pts, _, payload)) = left.next_if(|(_, audio_ns, _)| audio_ns <= pts_ns) {
            writer.write_audio(*pts, payload).expect("written");
        }
    }
    for (pts, _, payload) in left {
        writer.write_audio(*pts, payload).expect("written");
    }
    drop(writer.into_output());
    let ended = child.wait_timeout(Duration::from_secs(60)).expect("reaped");
    assert!(ended.is_some_and(|status| status.success()), "{}", child.failure().report());
}

#[test]
fn audio_packets_travel_unchanged_through_both_pipes() {
    let folder = tempfile::tempdir().expect("a folder");
    for (codec, sample_rate, container) in [
        ("aac", 44100, "flv"),
        ("libmp3lame", 44100, "flv"),
        ("pcm_s16le", 44100, "mkv"),
        ("pcm_mulaw", 8000, "flv"),
        ("libopus", 48000, "mkv"),
        ("flac", 44100, "mkv"),
    ] {
        let clip = path(&folder, &format!("clip.{container}"));
        ffmpeg(&format!(
            "-f lavfi -i testsrc2=s=64x36:d=1 -f lavfi -i sine=r=44100:d=1 -c:v libx264 -bf 0 \
             -c:a {codec} -ar {sample_rate} {clip}",
        ));
        let (frames, stream, packets) = decode_with_audio(&clip);
        assert!(!packets.is_empty(), "{codec}");
        let out = path(&folder, "out.nut");
        encode_with_audio(&out, &frames, &stream, &packets);
        let hashes = |file: &str| {
            ffmpeg(&format!("-i {file} -map 0:a -c copy -f streamhash -hash md5 pipe:1"))
        };
        assert_eq!(hashes(&out), hashes(&clip), "{codec}");
    }
}

#[test]
fn encoded_streams_keep_their_times_sizes_and_key_frames() {
    let folder = tempfile::tempdir().expect("a folder");
    // Timestamps of a server that passes on a publisher's own clock, and an odd size.
    let start_ns = 1_000_000_000_000_i64;
    let geometry = Geometry::new(63, 35, PixelFormat::Rgb24).expect("valid");
    // A still picture with some texture: nothing that an encoder would take for a new scene.
    let picture: Vec<u8> = (0..geometry.payload_bytes())
        .map(|at| u8::try_from(at * 7 % 256).expect("below 256"))
        .collect();
    let frames: Frames =
        (0..50_i64).map(|frame| (start_ns + frame * 40_000_000, picture.clone())).collect();
    for live in [true, false] {
        let out = path(&folder, "out.flv");
        let mut options = EncodeOptions::new(&out, geometry, Colour::default());
        options.live = live;
        options.gop = Duration::from_millis(500);
        options.frame_rate = FrameRate::new(25, 1);
        encode(&options, &frames);
        let info =
            probe(Path::new("ffprobe"), &out, &[], &Secrets::default(), Duration::from_secs(30));
        let info = info.expect("a video").video.expect("a video stream");
        assert_eq!((info.width, info.height, info.codec.as_str()), (64, 36, "h264"));
        assert_eq!(info.colour, Colour::default().or_guess(36).0);
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0", &out])
            .output()
            .expect("ffprobe runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let packets: Vec<(f64, bool)> = text
            .lines()
            .filter_map(|line| line.split_once(','))
            .map(|(time, flags)| (time.parse().expect("a number"), flags.starts_with('K')))
            .collect();
        assert_eq!(packets.len(), 50, "{text}");
        assert!((packets[0].0 - 1000.0).abs() < 0.0015, "{text}");
        let keys = packets.iter().filter(|(_, key)| *key).count();
        assert!((4..=5).contains(&keys), "live {live}: {keys} key frames in 2 s: {text}");
    }
}

/// Streams of each matrix, primaries and transfer, and as many as the longest of these lists.
fn all_colours() -> impl Iterator<Item = Colour> {
    let longest = Matrix::ALL.len().max(Primaries::ALL.len()).max(Transfer::ALL.len());
    (0..longest).map(|n| Colour {
        matrix: Matrix::ALL[n % Matrix::ALL.len()],
        primaries: Primaries::ALL[n % Primaries::ALL.len()],
        transfer: Transfer::ALL[n % Transfer::ALL.len()],
        range: Range::Limited,
    })
}

#[test]
fn an_encoder_takes_every_colour_that_a_source_can_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let geometry = Geometry::new(64, 36, PixelFormat::Yuv420p).expect("valid");
    let frames: Frames = vec![(0, vec![128; geometry.payload_bytes()])];
    for colour in all_colours() {
        let out = path(&folder, "out.mkv");
        let mut options = EncodeOptions::new(&out, geometry, colour);
        options.frame_rate = FrameRate::new(25, 1);
        encode(&options, &frames);
        let info =
            probe(Path::new("ffprobe"), &out, &[], &Secrets::default(), Duration::from_secs(30));
        assert_eq!(info.expect("a video").video.expect("a video stream").colour, colour);
    }
}

#[test]
fn what_ffmpeg_says_of_its_input_is_what_ffprobe_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = path(&folder, "clip.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=s=64x36:r=30000/1001:d=0.3 -f lavfi -i sine=d=0.3 -vf scale=out_color_matrix=bt709:out_range=pc,format=yuv420p,setsar=4/3 -colorspace bt709 -color_range pc -color_primaries bt709 -color_trc bt709 {clip}"
    ));
    let probed =
        probe(Path::new("ffprobe"), &clip, &[], &Secrets::default(), Duration::from_secs(30));
    let probed = probed.expect("a video");
    let ffmpeg_program = Ffmpeg::find("ffmpeg").expect("installed");
    let (sender, lines) = std::sync::mpsc::channel();
    let options = DecodeOptions::new(&clip, PixelFormat::Gray);
    let command = ChildCommand::new("ffmpeg")
        .args(options.args(&ffmpeg_program))
        .pipe_stdout()
        .on_line(move |line| drop(sender.send(line.text.clone())));
    let mut child = command.spawn().expect("starts");
    read_all(child.take_stdout().expect("asked for"));
    child.failure();
    let mut said = InputLines::default();
    lines.into_iter().for_each(|line| said.feed(&line));
    assert!(said.is_complete());
    let (said, probed_video) = (said.info(), probed.video.expect("a video stream"));
    let video = said.video.clone().expect("a video stream");
    assert_eq!(video.colour, probed_video.colour);
    assert_eq!((video.width, video.height), (probed_video.width, probed_video.height));
    assert_eq!(video.frame_rate, probed_video.frame_rate);
    assert_eq!(video.sample_aspect, probed_video.sample_aspect);
    assert_eq!(said.audio, probed.audio);
}
