//! Hash tables that lie in a blob (`keytable.py`): from a key to two numbers.

use super::Corrupt;
use super::bytes::{index, long, word};

const HEAD: usize = 16;
/// Bytes of a key's numbers.
pub const NUMBERS: usize = 8;
/// Bytes of the part of a key that is its hash.
pub const PART: usize = 8;
pub const HASHED_BY_CHECKSUM: u32 = u32::MAX;
/// The longest key that is looked up again in lower case.
const LONGEST_USER: usize = 64;

/// Where a table lies, and how its keys are hashed.
#[derive(Debug, Clone)]
pub struct Table {
    first: usize,
    slots: u64,
    width: usize,
    slot: usize,
    /// Where in a key the eight bytes are that are its hash; `None`: it is hashed by CRC-32.
    part: Option<usize>,
}

impl Table {
    /// The table in the section of a blob that starts at `start`.
    pub fn open(blob: &[u8], start: usize, length: usize) -> Result<Self, Corrupt> {
        let (slots, width, part) = (word(blob, start)?, word(blob, start + 4)?, word(blob, start + 12)?);
        let (width, part) = (index(width), (part != HASHED_BY_CHECKSUM).then_some(index(part)));
        let slot = width.checked_add(NUMBERS).ok_or(Corrupt)?;
        let size = length.checked_sub(HEAD).ok_or(Corrupt)?;
        let end = start.checked_add(length).ok_or(Corrupt)?;
        let fits = part.is_none_or(|part| part.saturating_add(PART) <= width);
        let kept = u64::from(slots).saturating_mul(slot as u64);
        if slots == 0 || width == 0 || !width.is_multiple_of(4) || !fits {
            return Err(Corrupt);
        }
        if !size.is_multiple_of(slot) || size as u64 <= kept || end > blob.len() {
            return Err(Corrupt);
        }
        if blob[end - slot..end].iter().any(|&byte| byte != 0) {
            return Err(Corrupt);
        }
        Ok(Self { first: start + HEAD, slots: u64::from(slots), width, slot, part })
    }

    /// Where in the blob the first of a key's two numbers is; `None`: there is no such key.
    #[inline]
    pub fn find(&self, blob: &[u8], key: &[u8]) -> Result<Option<usize>, Corrupt> {
        if key.last().is_none_or(|&last| last == 0) || key.len() > self.width {
            return Ok(None);
        }
        let hash = match self.part {
            Some(part) if key.len() == self.width => long(key, part)?,
            Some(_) => return Ok(None),
            None => u64::from(checksum(key)),
        };
        let mut at = self.first + (hash % self.slots) as usize * self.slot;
        loop {
            let found = blob.get(at..at + self.width).ok_or(Corrupt)?;
            if found[..key.len()] == *key && found[key.len()..].iter().all(|&byte| byte == 0) {
                return Ok(Some(at + self.width));
            }
            if found.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            at += self.slot;
        }
    }

    /// Where a user's numbers are. Keys are in lower case, and a UUID means the same in either.
    #[inline]
    pub fn find_user(&self, blob: &[u8], caller: &[u8]) -> Result<Option<usize>, Corrupt> {
        if let Some(found) = self.find(blob, caller)? {
            return Ok(Some(found));
        }
        if caller.len() > LONGEST_USER || !caller.iter().any(u8::is_ascii_uppercase) {
            return if caller.len() > LONGEST_USER { self.find(blob, &caller.to_ascii_lowercase()) } else { Ok(None) };
        }
        let mut lower = [0; LONGEST_USER];
        lower[..caller.len()].copy_from_slice(caller);
        lower[..caller.len()].make_ascii_lowercase();
        self.find(blob, &lower[..caller.len()])
    }
}

/// CRC-32 as zlib has it.
pub fn checksum(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |sum, &byte| CRC[((sum ^ u32::from(byte)) & 0xff) as usize] ^ (sum >> 8))
}

static CRC: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }
}
