//! A track of silence, for servers and players that want sound where the source has none.
//!
//! It is one constant packet of AAC, written again and again with times that follow the frames'.
//! There is no decoder, no encoder and no clock in it, so it can neither hold up a frame nor drift.

use framelane_ring::AudioTrack;

const SAMPLE_RATE: u32 = 48_000;
/// 1024 samples of silence in stereo, as AAC-LC.
pub(crate) const PACKET: [u8; 9] = [0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80];
/// Samples in a packet.
const SAMPLES: i64 = 1024;
/// A gap between two frames that is not filled: it is a jump, and would take very many packets.
const JUMP_NS: i64 = 10_000_000_000;

/// Where the silence of a stream has got to.
#[derive(Debug)]
pub(crate) struct Silence {
    /// The number of the next packet, counted from time 0.
    next: i64,
}

impl Silence {
    /// Silence for a stream whose first frame is at `start_ns`.
    pub(crate) fn new(start_ns: i64) -> Self {
        // Rounded up: a muxer starts with the first frame.
        Self { next: packet_at(start_ns) + 1 }
    }

    /// What a muxer has to know of the packets.
    pub(crate) fn track() -> AudioTrack {
        AudioTrack {
            tag: vec![0xff, 0, 0, 0],
            // AAC-LC, 48 kHz, two channels.
            codec_specific: vec![0x11, 0x90],
            sample_rate: SAMPLE_RATE,
            channels: 2,
            time_base: (1, SAMPLE_RATE),
        }
    }

    /// The times of the packets that are due with a frame at `frame_ns`, up to one past it.
    pub(crate) fn times_up_to(&mut self, frame_ns: i64) -> impl Iterator<Item = i64> {
        self.packets_up_to(frame_ns).map(time_of)
    }

    fn packets_up_to(&mut self, frame_ns: i64) -> std::ops::Range<i64> {
        if frame_ns.saturating_sub(time_of(self.next)) > JUMP_NS {
            self.next = packet_at(frame_ns);
        }
        let first = self.next;
        self.next = first.max(packet_at(frame_ns) + 2);
        first..self.next
    }
}

/// The last packet that starts at this time or before it.
fn packet_at(time_ns: i64) -> i64 {
    let ticks = i128::from(time_ns) * i128::from(SAMPLE_RATE) / 1_000_000_000;
    i64::try_from(ticks).unwrap_or(i64::MAX) / SAMPLES
}

fn time_of(packet: i64) -> i64 {
    let ns = i128::from(packet) * i128::from(SAMPLES) * 1_000_000_000 / i128::from(SAMPLE_RATE);
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn silence_has_no_gap_and_is_one_packet_ahead() {
        let mut silence = Silence::new(1_000 * MS);
        let mut expected = packet_at(1_000 * MS) + 1;
        for frame in 0..100 {
            let frame_ns = (1_000 + 40 * frame) * MS;
            for packet in silence.packets_up_to(frame_ns) {
                assert_eq!(packet, expected);
                assert!(time_of(packet) >= 1_000 * MS);
                expected += 1;
            }
            assert!(time_of(expected - 1) > frame_ns && time_of(expected - 2) <= frame_ns);
        }
    }

    #[test]
    fn a_jump_is_not_filled() {
        let mut silence = Silence::new(0);
        silence.packets_up_to(40 * MS);
        let packets = silence.packets_up_to(3_600_000 * MS);
        assert_eq!(packets.end - packets.start, 2);
        assert!(silence.packets_up_to(3_599_000 * MS).is_empty());
    }
}
