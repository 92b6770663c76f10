//! The checksum of NUT packets: CRC-32, polynomial 04C11DB7, initial value 0, not reflected.
//!
//! Reader and writer use it. The checksum of some bytes followed by their own checksum
//! (big-endian) is 0.

/// The remainder of every byte.
const TABLE: [u32; 256] = table();

/// Fills [`TABLE`] at compile time.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let (mut index, mut byte) = (0, 0_u32);
    while index < table.len() {
        let mut value = byte << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 0x8000_0000 == 0 { value << 1 } else { (value << 1) ^ 0x04C1_1DB7 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
        byte += 1;
    }
    table
}

/// The checksum after `bytes`, when it was `crc` before them.
pub(crate) fn update(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        let [high, ..] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[usize::from(high ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn bytes_followed_by_their_checksum_give_zero() {
        let crc = update(0, b"123456789");
        assert_eq!(crc, 0x89A1_897F);
        assert_eq!(update(crc, &crc.to_be_bytes()), 0);
    }
}
