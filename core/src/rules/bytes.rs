//! Little-endian numbers at any place of a blob; every read is checked.

use super::Corrupt;

/// The 32-bit number that starts at `at`.
#[inline]
pub fn word(blob: &[u8], at: usize) -> Result<u32, Corrupt> {
    match blob.get(at..at.wrapping_add(4)) {
        Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
        _ => Err(Corrupt),
    }
}

/// The 16-bit number that starts at `at`.
#[inline]
pub fn half(blob: &[u8], at: usize) -> Result<u16, Corrupt> {
    match blob.get(at..at.wrapping_add(2)) {
        Some(&[a, b]) => Ok(u16::from_le_bytes([a, b])),
        _ => Err(Corrupt),
    }
}

/// The 64-bit number that starts at `at`.
#[inline]
pub fn long(blob: &[u8], at: usize) -> Result<u64, Corrupt> {
    let found = blob.get(at..at.wrapping_add(8)).ok_or(Corrupt)?;
    Ok(u64::from_le_bytes(found.try_into().map_err(|_| Corrupt)?))
}

/// `length` bytes from `at` on.
#[inline]
pub fn slice(blob: &[u8], at: usize, length: usize) -> Result<&[u8], Corrupt> {
    blob.get(at..at.checked_add(length).ok_or(Corrupt)?).ok_or(Corrupt)
}

/// An index as the machine has it; snapshots hold nothing that does not fit.
#[inline]
pub const fn index(value: u32) -> usize {
    value as usize
}
