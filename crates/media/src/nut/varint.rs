//! NUT's numbers of variable length: 7 bits a byte, most significant first, at most 10 bytes.
//!
//! Reader and writer use them. A number that does not fit 64 bits is an error, never a wrapped one.

use super::ReadError;

/// Reads an unsigned number from bytes that `next` gives one by one.
pub(crate) fn read(mut next: impl FnMut() -> Result<u8, ReadError>) -> Result<u64, ReadError> {
    let mut value = 0_u64;
    for _ in 0..10 {
        let byte = next()?;
        if value >> 57 != 0 {
            break;
        }
        value = (value << 7) | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ReadError::Malformed("a number is longer than 64 bits"))
}

/// The signed number that an unsigned one stands for: 0, 1, -1, 2, -2, ...
pub(crate) fn signed(value: u64) -> Result<i64, ReadError> {
    let magnitude = i64::try_from((value >> 1) + (value & 1))
        .map_err(|_| ReadError::Malformed("a signed number is longer than 64 bits"))?;
    Ok(if value & 1 == 1 { magnitude } else { -magnitude })
}

/// Appends an unsigned number.
pub(crate) fn write(out: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let [low, ..] = (value >> (7 * group)).to_le_bytes();
        out.push(if group == 0 { low & 0x7F } else { low | 0x80 });
    }
}

/// Appends a signed number.
pub(crate) fn write_signed(out: &mut Vec<u8>, value: i64) {
    let doubled = value.unsigned_abs().saturating_mul(2);
    write(out, if value > 0 { doubled - 1 } else { doubled });
}

/// Appends bytes and their length before them.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A usize has at most 64 bits on every platform there is.
    write(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<u64, ReadError> {
        let mut left = bytes.iter();
        read(|| left.next().copied().ok_or(ReadError::Truncated))
    }

    #[test]
    fn numbers_lead_back() {
        for value in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            assert_eq!(decode(&bytes).expect("just written"), value);
        }
        for value in [0, 1, -1, 2, -2, 63, -64, i64::MAX / 2, i64::MIN / 2] {
            let mut bytes = Vec::new();
            write_signed(&mut bytes, value);
            assert_eq!(signed(decode(&bytes).expect("just written")).expect("fits"), value);
        }
    }

    #[test]
    fn too_long_numbers_are_errors() {
        assert!(decode(&[0xFF; 11]).is_err());
        assert!(decode(&[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]).is_err());
        assert!(decode(&[0x80; 4]).is_err());
        assert!(signed(u64::MAX).is_err());
    }
}
