//! One tenant at one revision: verdicts on calls.

use std::cmp::Reverse;
use std::fmt;

use super::Corrupt;
use super::automaton::{Automaton, COMMON_WIDTH, END, FULL_WIDTH, NO_VERDICT};
use super::bytes::{index, long, slice, word};
use super::dialling::Dialling;
use super::emergency::Emergency;
use super::response::{REVISION, put};
use super::table::Table;
use super::text::{LONGEST_WORD, Text};

/// The latest format of snapshots that is understood here; those of another are decided in Python.
pub const FORMAT_VERSION: u32 = 3;

const MAGIC: &[u8] = b"RIGHTCAL";
const HEADER: usize = 88;
const ENTRY: usize = 16;
/// The formats that are understood, each with its number of sections; those that came later are for Python.
const READABLE: [(u32, usize); 2] = [(2, 14), (3, 16)];
const SYMBOLS: usize = 256;
const ROW: usize = 64;
const NAME: usize = 8;
const LONG_NAME: u8 = 35;
const TEXT: usize = ROW - 8;

/// Memory that a snapshot lies in, and that nothing writes to as long as it is held.
pub trait Memory: Send + Sync {
    /// The whole blob.
    fn bytes(&self) -> &[u8];
}

impl Memory for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// What the permission of a verdict is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission<'a> {
    pub id: u64,
    pub name: &'a [u8],
}

/// What Python knows of a snapshot.
#[derive(Debug)]
pub struct Facts {
    pub tenant: String,
    /// The number of its revision.
    pub number: u64,
    pub revision: String,
    /// It has users, outcalls and emergency numbers, and no rules yet.
    pub closed: bool,
    pub emergency: Emergency,
}

/// Where in a blob the roots of a call's user and outcall are.
#[derive(Debug, Clone, Copy)]
struct Roots {
    user: Option<usize>,
    outcall: Option<usize>,
}

/// The rules of a tenant.
pub struct Snapshot {
    memory: Box<dyn Memory>,
    pub facts: Facts,
    /// What stands behind the permission in a response: its field `revision`.
    pub end: Vec<u8>,
    symbols: [u8; SYMBOLS],
    users: Table,
    outcalls: Table,
    /// `None`: no user has another name.
    aliases: Option<Table>,
    /// `None`: extensions are read as they are.
    dialling: Option<Dialling>,
    automaton: Automaton,
    permissions: usize,
    strings: usize,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} at {})", self.facts.tenant, self.facts.revision)
    }
}

impl Snapshot {
    /// Opens a blob whose checksum and signature have been verified.
    pub fn open(memory: Box<dyn Memory>, facts: Facts) -> Result<Self, Corrupt> {
        let blob = memory.bytes();
        let (version, sections) = (word(blob, 8)?, word(blob, 12)? as usize);
        if blob.get(..8) != Some(MAGIC) || !READABLE.contains(&(version, sections)) {
            return Err(Corrupt);
        }
        if long(blob, 16)? != blob.len() as u64 {
            return Err(Corrupt);
        }
        let (symbols_at, symbols_length) = section(blob, 1)?;
        let symbols: [u8; SYMBOLS] = slice(blob, symbols_at, symbols_length)?.try_into().map_err(|_| Corrupt)?;
        let highest = symbols.iter().copied().max().unwrap_or(FULL_WIDTH);
        if highest >= FULL_WIDTH {
            return Err(Corrupt);
        }
        let table = |number| section(blob, number).and_then(|(at, length)| Table::open(blob, at, length));
        let start = |number| section(blob, number).map(|(at, _)| at);
        // Formats before did not have these.
        let present = |number| (number < sections).then(|| section(blob, number)).transpose();
        let filled = |number| present(number).map(|found| found.filter(|(_, length)| *length > 0));
        let automaton = Automaton {
            width: if highest > END { FULL_WIDTH } else { COMMON_WIDTH },
            blocks: start(2)?,
            leaves: start(3)?,
            programs: start(4)?,
            literals: start(5)?,
            wide: start(6)?,
        };
        let mut end = Vec::new();
        put(REVISION, facts.revision.as_bytes(), &mut end);
        Ok(Self {
            end,
            symbols,
            users: table(7)?,
            outcalls: table(8)?,
            aliases: filled(14)?.map(|(at, length)| Table::open(blob, at, length)).transpose()?,
            dialling: filled(15)?.map(|(at, _)| Dialling::open(blob, at)).transpose()?,
            automaton,
            permissions: start(10)?,
            strings: start(12)?,
            facts,
            memory,
        })
    }

    /// Where a user's root is; `None`: the caller is no user of the tenant.
    #[inline]
    pub fn user(&self, caller: &[u8]) -> Result<Option<usize>, Corrupt> {
        self.users.find_user(self.memory.bytes(), caller)
    }

    /// Where an outcall's root is; `None`: the tenant has no such outcall.
    #[inline]
    pub fn outcall(&self, outcall: &[u8]) -> Result<Option<usize>, Corrupt> {
        self.outcalls.find(self.memory.bytes(), outcall)
    }

    /// The UUID of the user with an alias.
    pub fn user_called(&self, alias: &[u8]) -> Result<Option<&[u8]>, Corrupt> {
        let (Some(aliases), blob) = (&self.aliases, self.memory.bytes()) else { return Ok(None) };
        let Some(at) = aliases.find(blob, alias)? else { return Ok(None) };
        self.string(word(blob, at)?, word(blob, at + 4)?).map(Some)
    }

    /// Whether extensions are read as the tenant dials.
    pub const fn dials(&self) -> bool {
        self.dialling.is_some()
    }

    /// The number of the verdict of the first stage that has one, or `NO_VERDICT`; `None`: the extension cannot be
    /// dialled.
    ///
    /// `user` and `outcall` are what the functions of these names found.
    #[inline]
    pub fn decide(
        &self,
        user: Option<usize>,
        extension: &[u8],
        outcall: Option<usize>,
    ) -> Result<Option<u32>, Corrupt> {
        let roots = Roots { user, outcall };
        match &self.dialling {
            None => self.verdict(extension, roots).map(Some),
            Some(dialling) => self.decide_dialled(dialling, extension, roots),
        }
    }

    /// The verdict on a word.
    #[inline]
    fn verdict(&self, word: &[u8], roots: Roots) -> Result<u32, Corrupt> {
        let mut symbols = [END; LONGEST_WORD + 1];
        let symbols = self.symbols(word, &mut symbols)?;
        self.verdict_on(symbols, roots)
    }

    #[inline]
    fn verdict_on(&self, symbols: &[u8], roots: Roots) -> Result<u32, Corrupt> {
        for root in [roots.user, roots.outcall].into_iter().flatten() {
            let verdict = self.walk(root, symbols)?;
            if verdict != NO_VERDICT {
                return Ok(verdict);
            }
        }
        Ok(NO_VERDICT)
    }

    /// The verdict on a word of any length, in UTF-8, whoever calls through whatever: as it is, and not as the tenant
    /// dials.
    #[inline]
    pub fn decide_word(&self, caller: &[u8], word: &[u8], outcall: &[u8]) -> Result<u32, Corrupt> {
        let roots = Roots {
            user: if caller.is_empty() { None } else { self.user(caller)? },
            outcall: if outcall.is_empty() { None } else { self.outcall(outcall)? },
        };
        if word.len() <= LONGEST_WORD && word.is_ascii() {
            return self.verdict(word, roots);
        }
        // Characters beyond ASCII have one symbol, which is that of a question mark. A byte that goes on is none.
        let characters = word.iter().filter(|byte| *byte >> 6 != 0b10);
        let read = characters.map(|&byte| self.symbols[usize::from(if byte.is_ascii() { byte } else { b'?' })]);
        let symbols: Vec<u8> = read.chain([END]).collect();
        self.verdict_on(&symbols, roots)
    }

    /// The verdict on an extension as the tenant dials: of a reading the best over its words, of two the stricter.
    fn decide_dialled(&self, dialling: &Dialling, extension: &[u8], roots: Roots) -> Result<Option<u32>, Corrupt> {
        let Some(readings) = dialling.readings(self.memory.bytes(), extension)? else { return Ok(None) };
        let (first, second) = readings.words();
        let mut verdict = self.best(first, roots)?;
        if let Some(second) = second {
            let other = self.best(second, roots)?;
            if strictness(other) > strictness(verdict) {
                verdict = other;
            }
        }
        Ok(Some(verdict))
    }

    /// The verdict that prevails over these words: the one of the earliest stage, and within that by `precedence.py`.
    fn best(&self, words: &[Text], roots: Roots) -> Result<u32, Corrupt> {
        for root in [roots.user, roots.outcall].into_iter().flatten() {
            let mut best = NO_VERDICT;
            for word in words {
                let mut symbols = [END; LONGEST_WORD + 1];
                let verdict = self.walk(root, self.symbols(word.bytes(), &mut symbols)?)?;
                if verdict != NO_VERDICT
                    && verdict != best
                    && (best == NO_VERDICT || self.rank(verdict)? < self.rank(best)?)
                {
                    best = verdict;
                }
            }
            if best != NO_VERDICT {
                return Ok(best);
            }
        }
        Ok(NO_VERDICT)
    }

    #[inline]
    fn symbols<'a>(&self, word: &[u8], into: &'a mut [u8; LONGEST_WORD + 1]) -> Result<&'a [u8], Corrupt> {
        let symbols = into.get_mut(..=word.len()).ok_or(Corrupt)?;
        for (symbol, &character) in symbols.iter_mut().zip(word) {
            *symbol = self.symbols[usize::from(character)];
        }
        Ok(symbols)
    }

    #[inline]
    fn walk(&self, root: usize, symbols: &[u8]) -> Result<u32, Corrupt> {
        let blob = self.memory.bytes();
        self.automaton.run(blob, word(blob, root)?, symbols)
    }

    /// What prevails has the lowest.
    fn rank(&self, verdict: u32) -> Result<(u8, u8, Reverse<u64>), Corrupt> {
        let (decision, stage) = outcome(verdict)?;
        Ok((stage, decision, Reverse(self.permission(verdict)?.id)))
    }

    /// The permission of a verdict.
    #[inline]
    pub fn permission(&self, verdict: u32) -> Result<Permission<'_>, Corrupt> {
        let blob = self.memory.bytes();
        let row = self.permissions + index(verdict >> 4) * ROW;
        let kept = slice(blob, row, ROW)?;
        let name = match kept[NAME] {
            length if length < LONG_NAME => slice(kept, NAME + 1, usize::from(length))?,
            _ => self.string(word(kept, TEXT)?, word(kept, TEXT + 4)?)?,
        };
        Ok(Permission { id: long(kept, 0)?, name })
    }

    fn string(&self, offset: u32, length: u32) -> Result<&[u8], Corrupt> {
        slice(self.memory.bytes(), self.strings + index(offset), index(length))
    }
}

pub const ALLOW: u8 = 1;
pub const DENY: u8 = 2;
pub const CHALLENGE: u8 = 3;

/// Decision and stage of a verdict, by the numbers that the API has for them.
#[inline]
pub const fn outcome(verdict: u32) -> Result<(u8, u8), Corrupt> {
    match (verdict & 3, verdict >> 2 & 3) {
        (0, _) | (_, 3) => Err(Corrupt),
        (decision, stage) => Ok((decision as u8, stage as u8 + 2)),
    }
}

/// Of two readings of an extension the one with the stricter decision counts.
const fn strictness(verdict: u32) -> u8 {
    [0, 0, 2, 1][(verdict & 3) as usize]
}

/// Where a section starts, and how long it is.
fn section(blob: &[u8], number: usize) -> Result<(usize, usize), Corrupt> {
    let entry = HEADER + number * ENTRY;
    let at = usize::try_from(long(blob, entry)?).map_err(|_| Corrupt)?;
    let length = usize::try_from(long(blob, entry + 8)?).map_err(|_| Corrupt)?;
    slice(blob, at, length)?;
    Ok((at, length))
}
