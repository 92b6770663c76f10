//! Round trips through writer and reader, and streams that are cut or damaged.

use framelane_frame::{FrameRate, Geometry, PixelFormat};

use super::*;

const LIMITS: Limits = Limits { payload_bytes_max: 1 << 20 };

fn audio_stream() -> (AudioStream, TimeBase) {
    let stream = AudioStream {
        tag: vec![0xFF, 0, 0, 0],
        sample_rate: 44100,
        channels: 2,
        codec_specific_data: vec![0x12, 0x10],
    };
    (stream, TimeBase::new(1, 44100).expect("valid"))
}

fn parameters(format: PixelFormat) -> VideoParameters {
    VideoParameters {
        geometry: Geometry::new(5, 3, format).expect("valid"),
        sample_aspect: (4, 3),
        frame_rate: FrameRate::new(30000, 1001).expect("valid"),
    }
}

/// Three frames and two audio packets.
fn small_stream() -> Vec<u8> {
    let (audio, base) = audio_stream();
    let video = parameters(PixelFormat::Gray);
    let mut writer = Writer::create(Vec::new(), &video, Some((&audio, base))).expect("a Vec");
    for frame in 0..3_u8 {
        writer.write_video(i64::from(frame) * 33_366_667, &[frame; 15]).expect("a Vec");
        if frame < 2 {
            writer.write_audio(i64::from(frame) * 1024, &[0xA0 | frame; 7]).expect("a Vec");
        }
    }
    writer.into_output()
}

/// Reads a stream to its end or to its first error; gives up a payload now and then.
fn read_all(bytes: &[u8], limits: Limits) -> Result<Vec<(PacketHeader, Vec<u8>)>, ReadError> {
    let mut reader = Reader::open(bytes, limits)?;
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet()? {
        assert!(packet.payload_bytes <= limits.payload_bytes_max);
        let mut payload = vec![0; packet.payload_bytes];
        reader.read_payload(&mut payload)?;
        packets.push((packet, payload));
    }
    Ok(packets)
}

#[test]
fn what_is_written_is_read() {
    let bytes = small_stream();
    let reader = Reader::open(&bytes[..], LIMITS).expect("valid");
    let (audio, base) = audio_stream();
    assert_eq!(reader.frame_rate(), FrameRate::new(30000, 1001));
    assert_eq!(reader.streams().len(), 2);
    assert_eq!(reader.streams()[1].class, Class::Audio(audio));
    assert_eq!(reader.streams()[1].time_base, base);
    let Class::Video(video) = &reader.streams()[0].class else { panic!("video comes first") };
    assert_eq!(video.geometry(), Geometry::new(5, 3, PixelFormat::Gray).ok());
    assert_eq!(video.sample_aspect, (4, 3));

    let packets = read_all(&bytes, LIMITS).expect("valid");
    let seen: Vec<_> = packets.iter().map(|(p, _)| (p.stream, p.pts, p.pts_ns)).collect();
    let expected = [
        (0, 0, 0),
        (1, 0, 0),
        (0, 33_367, 33_367_000),
        (1, 1024, 23_219_955),
        (0, 66_733, 66_733_000),
    ];
    assert_eq!(seen, expected);
    assert_eq!(packets[2].1, [1; 15]);
    assert_eq!(packets[3].1, [0xA1; 7]);
}

#[test]
fn forgotten_payloads_are_skipped() {
    let bytes = small_stream();
    let mut reader = Reader::open(&bytes[..], LIMITS).expect("valid");
    let mut count = 0;
    while reader.next_packet().expect("valid").is_some() {
        count += 1;
    }
    assert_eq!(count, 5);
    assert!(matches!(reader.read_payload(&mut [0; 4]), Err(ReadError::Buffer { .. })));
}

#[test]
fn a_buffer_of_another_length_is_refused_and_the_payload_stays() {
    let bytes = small_stream();
    let mut reader = Reader::open(&bytes[..], LIMITS).expect("valid");
    reader.next_packet().expect("valid");
    let refused = reader.read_payload(&mut [0; 14]);
    assert!(matches!(refused, Err(ReadError::Buffer { given: 14, payload_bytes: 15 })));
    reader.read_payload(&mut [9; 15]).expect("still there");
}

#[test]
fn timestamps_below_zero_and_wrong_sizes_are_refused() {
    let video = parameters(PixelFormat::Rgb24);
    let mut writer = Writer::create(Vec::new(), &video, None).expect("a Vec");
    assert!(matches!(writer.write_video(-1000, &[0; 45]), Err(WriteError::Timestamp(-1))));
    assert!(matches!(writer.write_video(0, &[0; 44]), Err(WriteError::PayloadSize { .. })));
    assert!(matches!(writer.write_audio(0, &[]), Err(WriteError::NoAudio)));
    writer.write_video(i64::MAX, &[0; 45]).expect("292 years fit");
}

#[test]
fn a_stream_cut_at_any_byte_ends_in_order_or_as_truncated() {
    let bytes = small_stream();
    for length in 0..bytes.len() {
        match read_all(&bytes[..length], LIMITS) {
            Ok(packets) => assert!(packets.len() < 5),
            Err(error) => assert!(matches!(error, ReadError::Truncated), "{length}: {error}"),
        }
    }
}

#[test]
fn damaged_streams_never_panic_and_never_exceed_the_limits() {
    let bytes = small_stream();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits")
    };
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random() % 4 {
            let place = random() % damaged.len();
            damaged[place] ^= 1 << (random() % 8);
        }
        // Any outcome but a panic is fine.
        let _ = read_all(&damaged, Limits { payload_bytes_max: 64 });
    }
}

#[test]
fn damaged_headers_with_right_checksums_never_panic() {
    let bytes = small_stream();
    let (start, end) = (MAGIC.len() + 9, 200);
    for place in start..end {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            repair_checksums(&mut damaged);
            let _ = read_all(&damaged, Limits { payload_bytes_max: 64 });
        }
    }
}

/// Makes the checksums of the packets before the first frame right again.
fn repair_checksums(bytes: &mut [u8]) {
    let mut at = MAGIC.len();
    while bytes.get(at) == Some(&PACKET_MARK) {
        let length = usize::from(bytes[at + 8]);
        let Some(body) = bytes.get(at + 9..at + 9 + length).filter(|body| body.len() >= 4) else {
            return;
        };
        let checksum = crc::update(0, &body[..length - 4]).to_be_bytes();
        at += 9 + length;
        bytes[at - 4..at].copy_from_slice(&checksum);
    }
}

#[test]
fn a_payload_above_the_limit_is_refused_before_it_is_read() {
    let refused = read_all(&small_stream(), Limits { payload_bytes_max: 14 });
    assert!(matches!(refused, Err(ReadError::TooLarge { bytes: 15, limit: 14, .. })));
}

#[test]
fn time_bases_round_to_the_nearest() {
    let third = TimeBase::new(1, 3).expect("valid");
    assert_eq!(third.to_ns(1), Some(333_333_333));
    assert_eq!(third.to_ns(2), Some(666_666_667));
    assert_eq!(third.to_ns(-1), Some(-333_333_333));
    assert_eq!(third.from_ns(666_666_667), Some(2));
    assert_eq!(third.to_ns(i64::MAX), None);
    assert_eq!(TimeBase::new(0, 1), None);
    assert_eq!(TimeBase::new(1, u32::MAX), None);
}
