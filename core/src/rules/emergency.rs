//! Emergency numbers (`dialling/emergency.py`): whether an extension is one as a whole.

use std::collections::HashSet;

use super::text::fold;

/// The ways to dial a tenant's emergency numbers, and those of the server as the tenant dials them.
#[derive(Debug, Default)]
pub struct Emergency {
    texts: HashSet<Box<[u8]>>,
    /// A bit for each length that a text has; all longer ones share the last.
    lengths: u64,
}

impl Emergency {
    /// `texts`: without separators.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let texts: HashSet<Box<[u8]>> = texts.into_iter().map(|text| text.into_bytes().into_boxed_slice()).collect();
        let lengths = texts.iter().fold(0, |lengths, text| lengths | bit(text));
        Self { texts, lengths }
    }

    /// Whether an extension, in ASCII, is an emergency number.
    #[inline]
    pub fn has(&self, extension: &[u8]) -> bool {
        if self.lengths == 0 {
            return false;
        }
        if self.lengths & bit(extension) != 0 && self.texts.contains(extension) {
            return true;
        }
        if extension.iter().all(u8::is_ascii_alphanumeric) {
            return false;
        }
        fold(extension).is_ok_and(|folded| self.texts.contains(folded.bytes()))
    }
}

#[inline]
const fn bit(text: &[u8]) -> u64 {
    1 << if text.len() < 63 { text.len() } else { 63 }
}

#[cfg(test)]
mod tests {
    use super::Emergency;

    #[test]
    fn only_whole_numbers_are_found_with_their_separators() {
        let emergency = Emergency::new(["112".to_owned(), "112#".to_owned(), "*31#112".to_owned()]);
        for (extension, found) in
            [("112", true), ("1-1 2", true), ("(112)#", true), ("*31#112", true), ("1120", false), ("+112", false)]
        {
            assert_eq!(emergency.has(extension.as_bytes()), found, "{extension}");
        }
        assert!(!Emergency::default().has(b"112"));
    }
}
