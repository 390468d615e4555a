//! Numbering tables in place (`dialling/numbering.py`; the format is in `dialling/layout.py`): the number of a text of
//! digits. An own number is its national number, a foreign one begins with `+`, and no number is the empty text.

use super::Corrupt;
use super::bytes::{half, slice};
use super::text::Text;

const MAGIC: &[u8] = b"RCnum";
const VERSION: u8 = 1;
const HEADER: usize = 18;
const WORD: usize = 2;

const HAS_COUNTRY: u16 = 1;
const DROPS_TRUNK: u16 = 2;
const HAS_BARE: u16 = 4;

const VALID: u16 = 1 << 10;
const BARE: u16 = 2 << 10;
const MATCH: u16 = 1 << 10;
const MATCH_AT_END: u16 = 2 << 10;
const TRANSFORMS: u16 = 1 << 10;

const LEAST_DIGITS: usize = 7;
/// International prefixes that one text may begin with: each is longer than the one before, and none has more digits.
const MOST_PREFIXES: usize = 16;

/// A table: what it says of a country, and where the states of its automata lie.
#[derive(Debug)]
pub struct Numbering {
    words: usize,
    size: usize,
    own: u16,
    prefixes: u16,
    trunk: u16,
    foreign: u16,
    pub outside_line: Box<[u8]>,
    pub code: Box<[u8]>,
    /// The national prefix.
    pub prefix: Box<[u8]>,
    literal: Box<[u8]>,
    pub hides_caller: Vec<Box<[u8]>>,
    pub has_country: bool,
    drops_trunk: bool,
    pub has_bare: bool,
}

impl Numbering {
    /// The table that starts at `at`.
    pub fn open(blob: &[u8], at: usize) -> Result<Self, Corrupt> {
        let head = slice(blob, at, HEADER)?;
        if head[..5] != *MAGIC || head[5] != VERSION {
            return Err(Corrupt);
        }
        let number = |number: usize| half(head, 6 + WORD * number);
        let (flags, size) = (number(0)?, WORD * usize::from(number(1)?));
        let words = at + HEADER;
        slice(blob, words, size)?;
        let mut next = words + size;
        let mut text = || string(blob, &mut next);
        let (_country, outside_line, code, prefix, literal) = (text()?, text()?, text()?, text()?, text()?);
        let count = *blob.get(next).ok_or(Corrupt)?;
        next += 1;
        let hides_caller = (0..count).map(|_| string(blob, &mut next)).collect::<Result<_, _>>()?;
        Ok(Self {
            words,
            size,
            own: number(2)?,
            prefixes: number(3)?,
            trunk: number(4)?,
            foreign: number(5)?,
            outside_line,
            code,
            prefix,
            literal,
            hides_caller,
            has_country: flags & HAS_COUNTRY != 0,
            drops_trunk: flags & DROPS_TRUNK != 0,
            has_bare: flags & HAS_BARE != 0,
        })
    }

    /// The table with the states of its automata, from the blob that it was opened in.
    #[inline]
    pub fn states<'a>(&'a self, blob: &'a [u8]) -> Result<States<'a>, Corrupt> {
        Ok(States { table: self, words: slice(blob, self.words, self.size)? })
    }
}

/// A string of a table: a byte with its length, then ASCII.
pub fn string(blob: &[u8], at: &mut usize) -> Result<Box<[u8]>, Corrupt> {
    let length = usize::from(*blob.get(*at).ok_or(Corrupt)?);
    let found = slice(blob, *at + 1, length)?;
    *at += 1 + length;
    Ok(found.into())
}

/// Reads numbers.
#[derive(Debug, Clone, Copy)]
pub struct States<'a> {
    pub table: &'a Numbering,
    words: &'a [u8],
}

impl States<'_> {
    /// The number of a text of digits, or of `+` and digits.
    pub fn number(&self, text: &[u8], behind_line: bool) -> Result<Text, Corrupt> {
        if let Some(digits) = text.strip_prefix(b"+") {
            return self.international(digits);
        }
        if let Some(end) = self.prefix_end(text)? {
            let behind = &text[end..];
            if behind.first().is_none_or(|&first| first == b'0') {
                return Ok(Text::default());
            }
            let number = self.international(behind)?;
            if !number.bytes().is_empty() {
                return Ok(number);
            }
        }
        if self.table.trunk != 0 {
            let number = self.national(text)?;
            if !number.bytes().is_empty() {
                return Ok(number);
            }
        }
        let bare = behind_line && self.table.prefix.is_empty() && text.len() >= LEAST_DIGITS;
        if bare || self.table.has_bare && self.is_bare(text)? { Text::of(&[text]) } else { Ok(Text::default()) }
    }

    /// Whether a number is valid.
    pub fn is_valid(&self, number: &[u8]) -> Result<bool, Corrupt> {
        let label = match number.strip_prefix(b"+") {
            Some(digits) => self.label(self.table.foreign, digits)?,
            None => self.label(self.table.own, number)?,
        };
        Ok(label & VALID != 0)
    }

    /// Whether an own number is valid, and dialled without the national prefix.
    pub fn is_bare(&self, number: &[u8]) -> Result<bool, Corrupt> {
        Ok(self.label(self.table.own, number)? & BARE != 0)
    }

    #[inline]
    fn word(&self, at: usize) -> Result<u16, Corrupt> {
        // A table without states has the dead one alone.
        if self.words.is_empty() { Ok(0) } else { half(self.words, WORD * at) }
    }

    /// The state behind a digit; 0 is the dead one.
    #[inline]
    fn next(&self, state: u16, digit: u8) -> Result<u16, Corrupt> {
        let counted = (2_u16 << (digit.wrapping_sub(b'0') & 15)).wrapping_sub(1);
        let at = usize::from(state);
        self.word(at + (self.word(at)? & counted).count_ones() as usize)
    }

    /// The label of a text in the automaton that is entered in a state.
    #[inline]
    fn label(&self, mut state: u16, text: &[u8]) -> Result<u16, Corrupt> {
        for &digit in text {
            state = self.next(state, digit)?;
            if state == 0 {
                return Ok(0);
            }
        }
        self.word(usize::from(state))
    }

    /// The end of the international prefix that a text begins with; of several, of the one that is meant.
    fn prefix_end(&self, text: &[u8]) -> Result<Option<usize>, Corrupt> {
        let (mut state, mut ends, mut count) = (self.table.prefixes, [0; MOST_PREFIXES], 0);
        for (at, &digit) in text.iter().enumerate() {
            state = self.next(state, digit)?;
            if state == 0 {
                break;
            }
            if self.word(usize::from(state))? & VALID != 0 {
                *ends.get_mut(count).ok_or(Corrupt)? = at + 1;
                count += 1;
            }
        }
        match &ends[..count] {
            [] => Ok(None),
            [end] => Ok(Some(*end)),
            ends => self.chosen(text, ends).map(Some),
        }
    }

    /// Of ends of international prefixes the longest with a valid number behind it, else with a foreign one, else the
    /// longest.
    fn chosen(&self, text: &[u8], ends: &[usize]) -> Result<usize, Corrupt> {
        let mut foreign = None;
        for &end in ends.iter().rev() {
            let number = self.international(&text[end..])?;
            if self.is_valid(number.bytes())? {
                return Ok(end);
            }
            if foreign.is_none() && number.bytes().first() == Some(&b'+') {
                foreign = Some(end);
            }
        }
        foreign.or(ends.last().copied()).ok_or(Corrupt)
    }

    /// The number that digits behind an international prefix are.
    fn international(&self, digits: &[u8]) -> Result<Text, Corrupt> {
        if digits.first().is_none_or(|&first| first == b'0') {
            return Ok(Text::default());
        }
        if let Some(mut own) = digits.strip_prefix(&*self.table.code) {
            if !self.table.prefix.is_empty()
                && let Some(without) = own.strip_prefix(&*self.table.prefix)
                && (self.table.drops_trunk || self.is_valid(without)? && !self.is_valid(own)?)
            {
                own = without;
            }
            if own.len() >= LEAST_DIGITS || self.is_valid(own)? {
                return Text::of(&[own]);
            }
        }
        if digits.len() >= LEAST_DIGITS { Text::of(&[b"+", digits]) } else { Ok(Text::default()) }
    }

    /// The own number behind a national prefix, carriers' codes included.
    fn national(&self, text: &[u8]) -> Result<Text, Corrupt> {
        let (action, end) = self.trunk_match(text)?;
        if action == 0 {
            return Ok(Text::default());
        }
        let mut number = Text::default();
        if action & TRANSFORMS != 0 {
            let (from, to) = (usize::from(action >> 5 & 31), usize::from(action & 31).min(text.len()));
            number.push(&self.table.literal)?;
            number.push(text.get(from..to).unwrap_or_default())?;
        }
        number.push(&text[end..])?;
        let fits = number.bytes().len() >= LEAST_DIGITS || self.is_valid(number.bytes())?;
        Ok(if fits { number } else { Text::default() })
    }

    /// The action for what stands before a national number, and where that ends; 0 and 0 where nothing does.
    fn trunk_match(&self, text: &[u8]) -> Result<(u16, usize), Corrupt> {
        let (mut state, mut found) = (self.table.trunk, (0, 0));
        for (at, &digit) in text.iter().enumerate() {
            state = self.next(state, digit)?;
            if state == 0 {
                break;
            }
            if self.word(usize::from(state))? & MATCH != 0 {
                found = (self.word(usize::from(state).checked_sub(1).ok_or(Corrupt)?)?, at + 1);
            }
        }
        if self.word(usize::from(state))? & MATCH_AT_END != 0 {
            found = (self.word(usize::from(state).checked_sub(2).ok_or(Corrupt)?)?, text.len());
        }
        Ok(found)
    }
}
