//! Payloads that are computed from a frame's number, so that a torn or foreign frame shows.

use anyhow::{Result, ensure};

/// Bytes of a payload: a page and a bit.
pub const BYTES: usize = 5000;

/// The byte at `index` of the frame `number`.
fn byte(number: u64, index: usize) -> u8 {
    let mixed = ((number << 20) | index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_le_bytes()[7]
}

/// Writes the payload of a frame.
pub fn write(number: u64, payload: &mut [u8]) {
    payload.iter_mut().enumerate().for_each(|(index, cell)| *cell = byte(number, index));
}

/// Checks the payload of a frame.
///
/// # Errors
/// When it is not this frame's, or not whole.
pub fn check(number: u64, payload: &[u8]) -> Result<()> {
    ensure!(payload.len() == BYTES, "frame {number} has {} bytes", payload.len());
    let wrong = payload.iter().enumerate().position(|(index, cell)| *cell != byte(number, index));
    ensure!(wrong.is_none(), "frame {number} is torn at byte {wrong:?}");
    Ok(())
}
