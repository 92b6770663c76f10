//! Promise: whatever comes down the pipe is read or refused. The reader neither panics nor runs
//! for ever, and announces no payload above its limit.
//!
//! Each input is read twice: as it is, and with the checksums of its headers mended, since no
//! fuzzer finds its way past a checksum.

use framelane_media::nut::{Limits, Reader};

const PAYLOAD_BYTES_MAX: usize = 1 << 16;
const MAGIC_BYTES: usize = 25;
const STARTCODE_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
const LONG_PACKET_BYTES: usize = 4096;

/// Reads a NUT stream to its end or its first error.
pub fn nut_reader(data: &[u8]) {
    read(data);
    let mut mended = data.to_vec();
    mend(&mut mended);
    if mended != data {
        read(&mended);
    }
}

fn read(data: &[u8]) {
    let limits = Limits { payload_bytes_max: PAYLOAD_BYTES_MAX };
    let Ok(mut reader) = Reader::open(data, limits) else { return };
    assert!((1..=2).contains(&reader.streams().len()), "{} streams", reader.streams().len());
    let mut payload = vec![0; PAYLOAD_BYTES_MAX];
    // Every packet takes a byte at least.
    for packet in 0..=data.len() {
        let Ok(Some(header)) = reader.next_packet() else { return };
        assert!(header.stream < reader.streams().len(), "stream {}", header.stream);
        assert!(header.payload_bytes <= PAYLOAD_BYTES_MAX, "{} bytes", header.payload_bytes);
        // Every fourth is left for the reader to skip.
        if packet % 4 < 3 && reader.read_payload(&mut payload[..header.payload_bytes]).is_err() {
            return;
        }
    }
    panic!("more packets than bytes");
}

/// Makes the checksums right of the packets before the first frame.
fn mend(data: &mut [u8]) {
    let mut start = MAGIC_BYTES;
    while data.get(start) == Some(&b'N') {
        let Some((length, number_bytes)) = number(data.get(start + STARTCODE_BYTES..)) else {
            return;
        };
        let mut body = start + STARTCODE_BYTES + number_bytes;
        if length > LONG_PACKET_BYTES {
            if !sign(data, start, body) {
                return;
            }
            body += CHECKSUM_BYTES;
        }
        let Some(end) = body.checked_add(length) else { return };
        let Some(sum) = end.checked_sub(CHECKSUM_BYTES).filter(|&sum| sum >= body) else { return };
        if !sign(data, body, sum) {
            return;
        }
        start = end;
    }
}

/// A number of variable length, and how many bytes it takes.
fn number(data: Option<&[u8]>) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (index, byte) in data?.iter().take(4).enumerate() {
        value = (value << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Writes the checksum of a range behind it, if there is room.
fn sign(data: &mut [u8], from: usize, to: usize) -> bool {
    let Some(sum) = data.get(from..to).map(checksum) else { return false };
    let Some(place) = data.get_mut(to..to + CHECKSUM_BYTES) else { return false };
    place.copy_from_slice(&sum.to_be_bytes());
    true
}

/// NUT's checksum: the polynomial 0x04C11DB7, from 0, not reflected.
fn checksum(data: &[u8]) -> u32 {
    data.iter().fold(0, |sum, &byte| {
        (0..8).fold(sum ^ (u32::from(byte) << 24), |sum: u32, _| {
            (sum << 1) ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 }
        })
    })
}
