//! Running the automata of a snapshot (`automaton.py`): from a root and a word to the number of a verdict.

use super::Corrupt;
use super::bytes::{index, slice, word};

pub const END: u8 = 15;
pub const COMMON_WIDTH: u8 = 16;
pub const FULL_WIDTH: u8 = 20;
pub const NO_VERDICT: u32 = 0;

const VERDICT: u32 = 1 << 29;
const LITERAL: u32 = 3 << 28;
const LEAF: u32 = 7 << 27;
const PREFIX: u32 = 1 << 16;
const GLOB: u32 = 2 << 16;
const KINDS: u32 = 3 << 16;
const LENGTH: u32 = (1 << 16) - 1;
const STAR: u32 = 1 << 31;
const WIDE: u32 = 1 << 31;
const WORD: usize = 4;

/// Where the tables of a snapshot that walks read start in its blob.
#[derive(Debug, Clone)]
pub struct Automaton {
    /// Symbols that there are; a row is a byte longer.
    pub width: u8,
    pub blocks: usize,
    pub leaves: usize,
    pub programs: usize,
    pub literals: usize,
    pub wide: usize,
}

impl Automaton {
    /// The number of the verdict that a walk from `root` comes to; `word` ends with END.
    #[inline]
    pub fn run(&self, blob: &[u8], root: u32, symbols: &[u8]) -> Result<u32, Corrupt> {
        let value = self.walk(blob, root, symbols)?;
        if value < LITERAL {
            return value.checked_sub(VERDICT).ok_or(Corrupt);
        }
        if value >= LEAF {
            return self.leaf(blob, value - LEAF, symbols);
        }
        let at = self.literals + index(value - LITERAL);
        // The last literals of a section may be shorter than the word.
        match blob.get(at..at + symbols.len()) {
            Some(literal) if literal == symbols => word(blob, at + symbols.len()),
            _ => Ok(NO_VERDICT),
        }
    }

    #[inline]
    fn walk(&self, blob: &[u8], root: u32, symbols: &[u8]) -> Result<u32, Corrupt> {
        let mut value = root;
        let mut at = self.blocks + index(root);
        for &symbol in symbols {
            if value >= VERDICT {
                break;
            }
            let cell = *blob.get(at + usize::from(symbol)).ok_or(Corrupt)?;
            if cell > self.width {
                at += usize::from(cell);
            } else if cell == 0 {
                return Ok(VERDICT + NO_VERDICT);
            } else {
                let exit = (index(value) / WORD).checked_sub(usize::from(cell)).ok_or(Corrupt)?;
                value = word(blob, self.blocks + exit * WORD)?;
                at = self.blocks + index(value);
            }
        }
        Ok(value)
    }

    fn leaf(&self, blob: &[u8], leaf: u32, symbols: &[u8]) -> Result<u32, Corrupt> {
        let at = self.leaves + index(leaf) * WORD;
        let count = word(blob, at)?;
        if count & WIDE != 0 {
            return self.simulate(blob, at, index(count & !WIDE), symbols);
        }
        for item in 0..index(count) {
            let item = at + WORD + item * 3 * WORD;
            if self.matches(blob, word(blob, item + WORD)?, word(blob, item + 2 * WORD)?, symbols)? {
                return word(blob, item);
            }
        }
        Ok(NO_VERDICT)
    }

    fn matches(&self, blob: &[u8], kind: u32, program: u32, symbols: &[u8]) -> Result<bool, Corrupt> {
        let length = index(kind & LENGTH);
        let tokens = slice(blob, self.programs + index(program) * WORD, length * WORD)?;
        let text = &symbols[..symbols.len() - 1];
        Ok(match kind & KINDS {
            GLOB => glob(tokens, text),
            PREFIX => text.len() >= length && masks_match(tokens, text),
            _ => text.len() == length && masks_match(tokens, text),
        })
    }

    /// A wide record: positions of all patterns stand in one row of bits, and one shift advances all of them.
    fn simulate(&self, blob: &[u8], at: usize, count: usize, symbols: &[u8]) -> Result<u32, Corrupt> {
        let (offset, size) = (index(word(blob, at + WORD)?), index(word(blob, at + 2 * WORD)?));
        let mask = |number: usize| slice(blob, self.wide + offset + number * size, size);
        let (stars, finals) = (mask(1)?, mask(2)?);
        let mut state = mask(0)?.to_vec();
        advance(&mut state, stars);
        for &symbol in &symbols[..symbols.len() - 1] {
            let taken = mask(3 + usize::from(symbol))?;
            step(&mut state, taken, stars);
            advance(&mut state, stars);
            if state.iter().all(|&byte| byte == 0) {
                return Ok(NO_VERDICT);
            }
        }
        let best = state.iter().zip(finals).enumerate().find_map(|(place, (state, last))| {
            let left = state & last;
            (left != 0).then(|| place * 8 + left.trailing_zeros() as usize)
        });
        let Some(best) = best else { return Ok(NO_VERDICT) };
        let ends = at + 3 * WORD;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if index(word(blob, ends + middle * WORD)?) < best {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        word(blob, ends + (count + low) * WORD)
    }
}

/// state := (state & taken) << 1 | (state & stars)
fn step(state: &mut [u8], taken: &[u8], stars: &[u8]) {
    let mut carry = 0;
    for ((byte, taken), stars) in state.iter_mut().zip(taken).zip(stars) {
        let moved = *byte & taken;
        *byte = (moved << 1) | carry | (*byte & stars);
        carry = moved >> 7;
    }
}

/// state |= (state & stars) << 1
fn advance(state: &mut [u8], stars: &[u8]) {
    let mut carry = 0;
    for (byte, stars) in state.iter_mut().zip(stars) {
        let moved = *byte & stars;
        *byte |= (moved << 1) | carry;
        carry = moved >> 7;
    }
}

fn token(tokens: &[u8], number: usize) -> Option<u32> {
    word(tokens, number * WORD).ok()
}

fn masks_match(tokens: &[u8], text: &[u8]) -> bool {
    (0..tokens.len() / WORD).zip(text).all(|(number, symbol)| accepts(token(tokens, number), *symbol))
}

fn accepts(token: Option<u32>, symbol: u8) -> bool {
    token.is_some_and(|mask| mask != STAR && mask >> (symbol & 31) & 1 == 1)
}

/// Whether masks and STARs match all symbols: at a mismatch, the last STAR passed takes one symbol more.
fn glob(tokens: &[u8], text: &[u8]) -> bool {
    let (mut next, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        let found = token(tokens, next);
        if found == Some(STAR) {
            star = Some((next, position));
            next += 1;
        } else if accepts(found, text[position]) {
            next += 1;
            position += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (next, position) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    (next..tokens.len() / WORD).all(|number| token(tokens, number) == Some(STAR))
}
