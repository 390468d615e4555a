//! The tables that profiles fill (`automata.py`): patterns, numbered position by position, and what was made of them.

use super::profile;
use super::state::{Item, Map, State};
use crate::rules::automaton::{COMMON_WIDTH, END, FULL_WIDTH, NO_VERDICT};

pub const VERDICT: u32 = 1 << 29;
pub const LITERAL: u32 = 3 << 28;
pub const LEAF: u32 = 7 << 27;
/// The token of a pattern for any number of any characters; not a mask.
pub const STAR: u32 = 1 << 31;

const FIXED: u32 = 0;
const PREFIX: u32 = 1 << 16;
const GLOB: u32 = 2 << 16;
const LENGTH: u32 = (1 << 16) - 1;
const WORD: usize = 4;
/// Columns of every symbol except END and the mark.
pub const ANY_MASK: u32 = ((1 << END) - 1) | 0b111 << 16;
const MAX_PATTERN_LENGTH: u32 = 128;
/// The offset of the last literal that values can name; blocks and leaves hold the literals beyond.
const LITERALS_END: usize = (LEAF - LITERAL - 2 * MAX_PATTERN_LENGTH) as usize;

/// The limits of one profile.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows for every 1,024 patterns, or part of that.
    pub rows: usize,
    /// Items that a leaf may try one by one, once there are no more rows.
    pub leaf: usize,
}

/// A pattern in the form of leaves, and whether it is a literal.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub kind: u32,
    pub first: u32,
    literal: bool,
}

/// A move from a position: the columns of the symbols that can be read, and the position after reading one.
pub type Move = (u32, u32);

/// Grows the tables; a part that was built never changes or moves.
#[derive(Debug)]
pub struct Builder {
    /// Symbols that there are; a row is a byte longer.
    pub width: usize,
    pub limits: Limits,
    pub blocks: Vec<u8>,
    pub leaves: Vec<u32>,
    /// The tokens of all patterns, with a 0 behind each pattern.
    pub programs: Vec<u32>,
    pub literals: Vec<u8>,
    pub wide: Vec<u8>,
    /// Values by state; not of profiles that ran out of budget.
    pub shared: Map<State, u32>,
    patterns: Vec<Program>,
    /// By position, the pattern that it is of.
    owners: Vec<u32>,
    places: Map<Box<[u32]>, u32>,
    literal_values: Map<Item, u32>,
}

impl Builder {
    /// `gaps`: whether there are columns for the characters that ranges reach and patterns cannot name.
    pub fn new(gaps: bool, limits: Limits) -> Self {
        let width = usize::from(if gaps { FULL_WIDTH } else { COMMON_WIDTH });
        // The first block is the dead state.
        let first = (width + 1).next_multiple_of(WORD);
        Self {
            width,
            limits,
            blocks: vec![0; first],
            leaves: Vec::new(),
            programs: Vec::new(),
            literals: Vec::new(),
            wide: Vec::new(),
            shared: Map::default(),
            patterns: Vec::new(),
            owners: Vec::new(),
            places: Map::default(),
            literal_values: Map::default(),
        }
    }

    /// Bytes of the tables.
    pub const fn size(&self) -> usize {
        let words = self.leaves.len() + self.programs.len();
        self.blocks.len() + words * WORD + self.literals.len() + self.wide.len()
    }

    /// The first position of a pattern, given by its tokens.
    pub fn pattern(&mut self, tokens: &[u32]) -> u32 {
        if let Some(&first) = self.places.get(tokens) {
            return first;
        }
        let first = self.programs.len() as u32;
        self.places.insert(tokens.into(), first);
        let literal = tokens.iter().all(|token| token.is_power_of_two() && *token < 1 << END);
        self.owners.extend(std::iter::repeat_n(self.patterns.len() as u32, tokens.len() + 1));
        self.patterns.push(Program { kind: kind(tokens), first, literal });
        self.programs.extend_from_slice(tokens);
        self.programs.push(0);
        first
    }

    /// The root of a profile, given by its items, best first; `hard`: no rows are tried.
    pub fn profile(&mut self, items: Vec<Item>, hard: bool) -> u32 {
        let rows = if hard { 0 } else { self.limits.rows };
        if items.is_empty() { VERDICT + NO_VERDICT } else { profile::build(self, items.into(), rows) }
    }

    /// The pattern of a position.
    #[inline]
    pub fn program(&self, place: u32) -> Program {
        self.patterns[self.owners[place as usize] as usize]
    }

    /// The tokens of a pattern, given by its first position.
    pub fn tokens(&self, place: u32) -> &[u32] {
        let tokens = &self.programs[place as usize..];
        tokens.split(|&token| token == 0).next().unwrap_or_default()
    }

    /// The number of tokens from a position to the end of its pattern; the STAR of a prefix does not count.
    pub fn rest(&self, place: u32) -> u32 {
        let program = self.program(place);
        (program.first + (program.kind & LENGTH)).saturating_sub(place)
    }

    /// Whether any rest matches at a position.
    #[inline]
    pub fn accepts_all(&self, place: u32) -> bool {
        let place = place as usize;
        self.programs[place] == STAR && self.programs[place + 1] == 0
    }

    /// Whether an empty rest matches at a position.
    #[inline]
    pub fn accepts(&self, place: u32) -> bool {
        self.programs[place as usize] == 0 || self.accepts_all(place)
    }

    /// The moves from a position: none, one, or two.
    #[inline]
    pub fn moves(&self, place: u32) -> (Option<Move>, Option<Move>) {
        let at = place as usize;
        match self.programs[at] {
            0 => (None, None),
            STAR => match self.programs[at + 1] {
                0 => (Some((self.columns(STAR), place)), None),
                next => (Some((self.columns(STAR), place)), Some((self.columns(next), place + 2))),
            },
            token => (Some((self.columns(token), place + 1)), None),
        }
    }

    /// The columns of a token, a bit each.
    #[inline]
    pub const fn columns(&self, token: u32) -> u32 {
        let mask = if token == STAR { ANY_MASK } else { token };
        mask & ((1 << self.width) - 1)
    }

    /// The value of a state in which only this item is left, if its pattern is a literal.
    pub fn literal(&mut self, item: Item) -> Option<u32> {
        let program = self.program(item.place);
        if !program.literal || self.literals.len() > LITERALS_END {
            return None;
        }
        let key = Item { verdict: item.verdict, place: program.first };
        if let Some(&value) = self.literal_values.get(&key) {
            return Some(value);
        }
        let value = LITERAL + self.literals.len() as u32;
        let start = program.first as usize;
        let tokens = &self.programs[start..start + (program.kind & LENGTH) as usize];
        self.literals.extend(tokens.iter().map(|token| token.trailing_zeros() as u8));
        self.literals.push(END);
        self.literals.extend_from_slice(&item.verdict.to_le_bytes());
        self.literal_values.insert(key, value);
        Some(value)
    }

    /// Makes a block of these rows; `None` where the tables hold as many as values can name.
    pub fn block(&mut self, rows: &[u8], exits: usize) -> Option<u32> {
        let start = self.blocks.len() + exits * WORD;
        if start + rows.len() > VERDICT as usize {
            return None;
        }
        self.blocks.resize(start, 0);
        self.blocks.extend_from_slice(rows);
        self.blocks.resize(self.blocks.len().next_multiple_of(WORD), 0);
        Some(start as u32)
    }

    /// Sets the value that an exit of a block leads to.
    pub fn lead(&mut self, block: u32, exit: usize, value: u32) {
        let at = block as usize - exit * WORD;
        self.blocks[at..at + WORD].copy_from_slice(&value.to_le_bytes());
    }
}

/// Kind and length of a pattern's program.
fn kind(tokens: &[u32]) -> u32 {
    let length = tokens.len() as u32;
    match tokens.iter().position(|&token| token == STAR) {
        None => FIXED | length,
        Some(first) if first + 1 == tokens.len() => PREFIX | (length - 1),
        Some(_) => GLOB | length,
    }
}
