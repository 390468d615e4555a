//! Dial patterns: from their text to tokens (`parser.py`, which also says what is wrong with a text that is none).

use super::builder::{ANY_MASK, STAR};

const DIALABLE: &[u8; 14] = b"0123456789*#+-";
/// The symbol of what no pattern can name.
const OTHER: u32 = 14;
/// The characters that ranges can reach and patterns cannot name, by the symbols that are theirs.
const GAPS: [(&[u8], u32); 3] = [(b"$%&'()", 16), (b",", 17), (b"./", 18)];
const LONGEST: usize = 128;

/// The tokens of a pattern in normal form; `None`: the text is no pattern.
pub fn tokens(text: &str) -> Option<Vec<u32>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut left = text.bytes().filter(|&byte| byte != b'_');
    let mut tokens = Vec::with_capacity(text.len());
    while let Some(byte) = left.next() {
        match byte {
            b'X' => tokens.push(range(b'0', b'9')?),
            b'Z' => tokens.push(range(b'1', b'9')?),
            b'N' => tokens.push(range(b'2', b'9')?),
            b'.' => tokens.extend([ANY_MASK, STAR]),
            b'!' => tokens.push(STAR),
            b'[' => tokens.push(bracket(&mut left)?),
            _ => tokens.push(mask(byte)?),
        }
    }
    if tokens.is_empty() { None } else { Some(normal(tokens)) }
}

/// The same tokens with every run of STARs and any-characters as the any-characters, then one STAR.
fn normal(tokens: Vec<u32>) -> Vec<u32> {
    let mut out: Vec<u32> = Vec::with_capacity(tokens.len());
    for token in tokens {
        match (out.last(), token) {
            (Some(&STAR), STAR) => {}
            (Some(&STAR), ANY_MASK) => out.insert(out.len() - 1, token),
            _ => out.push(token),
        }
    }
    out
}

/// The mask of a `[...]` whose `[` has been read.
fn bracket(left: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut members = Vec::new();
    loop {
        match left.next()? {
            b']' => break,
            byte => members.push(byte),
        }
    }
    let (mut found, mut rest) = (0, &members[..]);
    while let Some((&first, others)) = rest.split_first() {
        mask(first)?;
        if let [b'-', last, behind @ ..] = others {
            mask(*last)?;
            found |= range(first, *last)?;
            rest = behind;
        } else {
            found |= mask(first)?;
            rest = others;
        }
    }
    if members.is_empty() { None } else { Some(found) }
}

/// The mask of a character that patterns can name.
fn mask(byte: u8) -> Option<u32> {
    DIALABLE.iter().position(|&one| one == byte).map(|symbol| 1 << symbol)
}

/// The mask of all characters from one to another.
fn range(first: u8, last: u8) -> Option<u32> {
    let symbol = |byte: u8| {
        let gap = || GAPS.iter().find(|(run, _)| run.contains(&byte)).map_or(OTHER, |&(_, symbol)| symbol);
        mask(byte).unwrap_or_else(|| 1 << gap())
    };
    if first > last { None } else { Some((first..=last).fold(0, |found, byte| found | symbol(byte))) }
}

#[cfg(test)]
mod tests {
    use super::{ANY_MASK, STAR, tokens};

    #[test]
    fn texts_are_read_in_normal_form() {
        assert_eq!(tokens("_X!.!"), Some(vec![0x3ff, ANY_MASK, STAR]));
        assert_eq!(tokens("1[2-4_*]"), Some(vec![1 << 1, 0b1_1100 | 1 << 10]));
        assert_eq!(tokens("[--9]").map(|found| found[0] >> 16), Some(0b100));
        for text in ["", "_", "[", "[]", "]", "[9-1]", "x", "[X]", "é", &"1".repeat(129)] {
            assert_eq!(tokens(text), None, "{text}");
        }
    }
}
