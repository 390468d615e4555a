//! Short texts without an allocation, and folding (`dialling/folding.py`) of those in ASCII.

use super::Corrupt;

/// Characters of the longest word that an automaton is walked with.
pub const LONGEST_WORD: usize = 192;

/// A text of at most `LONGEST_WORD` bytes.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    bytes: [u8; LONGEST_WORD],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; LONGEST_WORD], length: 0 }
    }
}

impl Text {
    /// The text of some parts, one behind the other; fails where it is too long.
    #[inline]
    pub fn of(parts: &[&[u8]]) -> Result<Self, Corrupt> {
        let mut made = Self::default();
        for part in parts {
            made.push(part)?;
        }
        Ok(made)
    }

    /// Adds a part; fails where the text becomes too long.
    #[inline]
    pub fn push(&mut self, part: &[u8]) -> Result<(), Corrupt> {
        let end = self.length + part.len();
        self.bytes.get_mut(self.length..end).ok_or(Corrupt)?.copy_from_slice(part);
        self.length = end;
        Ok(())
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// An extension in ASCII without separators; fails where that is too long.
pub fn fold(extension: &[u8]) -> Result<Text, Corrupt> {
    let mut folded = Text::default();
    for &byte in extension {
        if !is_separator(byte) {
            folded.push(&[byte])?;
        }
    }
    Ok(folded)
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'/')
}

/// Whether a folded extension can be dialled: perhaps a `+`, then digits and feature keys.
pub fn is_diallable(folded: &[u8]) -> bool {
    let keys = folded.strip_prefix(b"+").unwrap_or(folded);
    !keys.is_empty() && keys.iter().all(|&byte| byte.is_ascii_digit() || is_feature_key(byte))
}

/// Whether a key is none of a number's.
#[inline]
pub const fn is_feature_key(byte: u8) -> bool {
    matches!(byte, b'*' | b'#' | b'A'..=b'D')
}
