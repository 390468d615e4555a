//! One tenant at one revision: verdicts on calls, and the responses that they make.

use std::fmt;

use super::Corrupt;
use super::automaton::{Automaton, COMMON_WIDTH, END, FULL_WIDTH, NO_VERDICT};
use super::bytes::{index, long, slice, word};
use super::table::Table;

/// The latest format of snapshots that is understood here; those of another are decided in Python.
pub const FORMAT_VERSION: u32 = 3;
/// Characters of the longest extension that is taken.
pub const LONGEST_EXTENSION: usize = 128;

const MAGIC: &[u8] = b"RIGHTCAL";
const HEADER: usize = 88;
const ENTRY: usize = 16;
/// The formats that are understood, each with its number of sections; those that came later are for Python.
const READABLE: [(u32, u32); 2] = [(2, 14), (3, 16)];
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

/// What a call is decided by.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub caller: &'a [u8],
    /// 1 to 128 printable ASCII characters; `is_plain` has looked.
    pub extension: &'a [u8],
    pub outcall: &'a [u8],
}

/// What the permission of a verdict is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission<'a> {
    pub id: u64,
    pub name: &'a [u8],
}

/// Which calls are decided here; the others are for Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// None: there is more to a call of this tenant than patterns.
    Nothing,
    /// Those with an extension of printable ASCII.
    Printable,
    /// Those with an extension of at least so many digits, and nothing else: a shorter one may be an emergency number.
    Digits(usize),
}

impl Plain {
    /// Whether an extension is of a call that is decided here.
    #[inline]
    pub fn is(self, extension: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Printable => true,
            Self::Digits(least) => extension.len() >= least && extension.iter().all(u8::is_ascii_digit),
        }
    }
}

/// The rules of a tenant.
pub struct Snapshot {
    memory: Box<dyn Memory>,
    pub tenant: String,
    /// The number of its revision.
    pub number: u64,
    pub revision: String,
    pub plain: Plain,
    /// What stands behind the permission in a response: its field `revision`.
    end: Vec<u8>,
    symbols: [u8; SYMBOLS],
    users: Table,
    outcalls: Table,
    automaton: Automaton,
    permissions: usize,
    strings: usize,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} at {})", self.tenant, self.revision)
    }
}

impl Snapshot {
    /// Opens a blob whose checksum and signature have been verified.
    pub fn open(
        memory: Box<dyn Memory>,
        tenant: &str,
        number: u64,
        revision: &str,
        plain: Plain,
    ) -> Result<Self, Corrupt> {
        let blob = memory.bytes();
        if blob.get(..8) != Some(MAGIC) || !READABLE.contains(&(word(blob, 8)?, word(blob, 12)?)) {
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
        let automaton = Automaton {
            width: if highest > END { FULL_WIDTH } else { COMMON_WIDTH },
            blocks: start(2)?,
            leaves: start(3)?,
            programs: start(4)?,
            literals: start(5)?,
            wide: start(6)?,
        };
        let (users, outcalls) = (table(7)?, table(8)?);
        let (permissions, strings) = (start(10)?, start(12)?);
        Ok(Self {
            tenant: tenant.to_owned(),
            number,
            revision: revision.to_owned(),
            plain,
            end: field(0x22, revision.as_bytes()),
            symbols,
            users,
            outcalls,
            automaton,
            permissions,
            strings,
            memory,
        })
    }

    /// Whether a caller is a user of the tenant.
    pub fn knows_caller(&self, caller: &[u8]) -> Result<bool, Corrupt> {
        Ok(self.users.find_user(self.memory.bytes(), caller)?.is_some())
    }

    /// Whether an outcall is one of the tenant's.
    pub fn knows_outcall(&self, outcall: &[u8]) -> Result<bool, Corrupt> {
        Ok(self.outcalls.find(self.memory.bytes(), outcall)?.is_some())
    }

    /// The number of the verdict of the first stage that has one, or `NO_VERDICT`.
    #[inline]
    pub fn decide(&self, asked: Question<'_>) -> Result<u32, Corrupt> {
        let blob = self.memory.bytes();
        let mut symbols = [END; LONGEST_EXTENSION + 1];
        let length = asked.extension.len();
        for (symbol, &character) in symbols[..length].iter_mut().zip(asked.extension) {
            *symbol = self.symbols[usize::from(character)];
        }
        let symbols = &symbols[..=length];
        if !asked.caller.is_empty()
            && let Some(at) = self.users.find_user(blob, asked.caller)?
        {
            let verdict = self.automaton.run(blob, word(blob, at)?, symbols)?;
            if verdict != NO_VERDICT {
                return Ok(verdict);
            }
        }
        if !asked.outcall.is_empty()
            && let Some(at) = self.outcalls.find(blob, asked.outcall)?
        {
            return self.automaton.run(blob, word(blob, at)?, symbols);
        }
        Ok(NO_VERDICT)
    }

    /// The permission of a verdict.
    #[inline]
    pub fn permission(&self, verdict: u32) -> Result<Permission<'_>, Corrupt> {
        let blob = self.memory.bytes();
        let row = self.permissions + index(verdict >> 4) * ROW;
        let kept = slice(blob, row, ROW)?;
        let name = match kept[NAME] {
            length if length < LONG_NAME => slice(kept, NAME + 1, usize::from(length))?,
            _ => slice(blob, self.strings + index(word(kept, TEXT)?), index(word(kept, TEXT + 4)?))?,
        };
        Ok(Permission { id: long(kept, 0)?, name })
    }

    /// Writes the response that a verdict makes; a challenge, where it has one, is to follow.
    ///
    /// `known`: whether the call has a caller, and whether it has an outcall; the tenant knows both.
    #[inline]
    pub fn respond(&self, verdict: u32, known: (bool, bool), out: &mut Vec<u8>) -> Result<(), Corrupt> {
        self.decision(verdict, out)?;
        out.extend_from_slice(&self.end);
        for (tag, set) in [(CALLER_KNOWN, known.0), (OUTCALL_KNOWN, known.1)] {
            if set {
                out.extend_from_slice(&[tag, 1]);
            }
        }
        out.extend_from_slice(&[REASON, if verdict == NO_VERDICT { NO_PERMISSION } else { PERMISSION }]);
        Ok(())
    }

    fn decision(&self, verdict: u32, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        if verdict == NO_VERDICT {
            out.extend_from_slice(UNRESTRICTED);
            return Ok(());
        }
        let (decision, stage) = outcome(verdict)?;
        let permission = self.permission(verdict)?;
        let mut digits = itoa(permission.id);
        let id = digits.text();
        let named =
            if permission.name.is_empty() { 0 } else { 1 + varint_size(permission.name.len()) + permission.name.len() };
        out.extend_from_slice(&[0x08, decision, 0x10, stage, 0x1a]);
        varint(2 + id.len() + named, out);
        out.extend_from_slice(&[0x0a, id.len() as u8]);
        out.extend_from_slice(id);
        if named != 0 {
            out.push(0x12);
            varint(permission.name.len(), out);
            out.extend_from_slice(permission.name);
        }
        Ok(())
    }
}

/// The start of the responses that no permission decides.
const UNRESTRICTED: &[u8] = &[0x08, ALLOW, 0x10, 1];
/// The tags of CheckCallResponse's fields of these names.
const CALLER_KNOWN: u8 = 0x30;
const OUTCALL_KNOWN: u8 = 0x38;
const REASON: u8 = 0x40;
/// Values of `reason`.
const PERMISSION: u8 = 1;
const NO_PERMISSION: u8 = 2;

pub const ALLOW: u8 = 1;
pub const CHALLENGE: u8 = 3;

/// Decision and stage of a verdict, by the numbers that the API has for them.
#[inline]
pub const fn outcome(verdict: u32) -> Result<(u8, u8), Corrupt> {
    match (verdict & 3, verdict >> 2 & 3) {
        (0, _) | (_, 3) => Err(Corrupt),
        (decision, stage) => Ok((decision as u8, stage as u8 + 2)),
    }
}

/// Whether an extension is one that is decided here: printable ASCII of a length that is taken.
#[inline]
pub fn is_plain(extension: &[u8]) -> bool {
    (1..=LONGEST_EXTENSION).contains(&extension.len()) && extension.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// A field that is a text or a message.
pub fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut made = vec![tag];
    varint(content.len(), &mut made);
    made.extend_from_slice(content);
    made
}

/// Writes a length as protobuf does.
#[inline]
pub fn varint(mut length: usize, out: &mut Vec<u8>) {
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Bytes that `varint` writes.
#[inline]
pub const fn varint_size(length: usize) -> usize {
    (63 - (length as u64 | 1).leading_zeros() as usize) / 7 + 1
}

struct Digits {
    made: [u8; 20],
    start: usize,
}

impl Digits {
    fn text(&mut self) -> &[u8] {
        &self.made[self.start..]
    }
}

fn itoa(mut number: u64) -> Digits {
    let mut digits = Digits { made: [0; 20], start: 20 };
    loop {
        digits.start -= 1;
        digits.made[digits.start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return digits;
        }
    }
}

/// Where a section starts, and how long it is.
fn section(blob: &[u8], number: usize) -> Result<(usize, usize), Corrupt> {
    let entry = HEADER + number * ENTRY;
    let at = usize::try_from(long(blob, entry)?).map_err(|_| Corrupt)?;
    let length = usize::try_from(long(blob, entry + 8)?).map_err(|_| Corrupt)?;
    slice(blob, at, length)?;
    Ok((at, length))
}
