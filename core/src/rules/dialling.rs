//! From an extension to what a tenant's automata are walked with (`dialling/dialling.py`): its readings, each as words.

use super::Corrupt;
use super::bytes::{half, slice, word};
use super::numbering::{Numbering, States, string};
use super::text::{Text, fold, is_diallable, is_feature_key};

const MAGIC: &[u8] = b"RCdial";
const VERSION: u16 = 1;
const HEADER: usize = 12;
const COUNT: usize = 2;
/// Begins a word of which a pattern has to spell out the start.
const MARK: &[u8] = b"\x01";

/// A prefix of a number: an international one or `+`, maybe behind the outside line.
#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    behind_line: bool,
}

/// A tenant's dialling plan.
#[derive(Debug)]
pub struct Dialling {
    numbering: Numbering,
    groups: Vec<Vec<Prefix>>,
    spelled: Vec<Prefix>,
}

/// The readings of an extension, one or two.
#[derive(Debug, Default)]
pub struct Readings {
    words: Vec<Text>,
    /// How many of the words are those of the first; `None`: it is the only one.
    first: Option<usize>,
}

impl Readings {
    /// The words of the first, and those of a second.
    pub fn words(&self) -> (&[Text], Option<&[Text]>) {
        match self.first {
            Some(first) => (&self.words[..first], Some(&self.words[first..])),
            None => (&self.words, None),
        }
    }

    fn add(&mut self, parts: &[&[u8]]) -> Result<(), Corrupt> {
        self.words.push(Text::of(parts)?);
        Ok(())
    }

    /// Adds texts that are no numbers, each once.
    fn add_unread(&mut self, texts: &[&[u8]]) -> Result<(), Corrupt> {
        for (at, text) in texts.iter().enumerate() {
            if !texts[..at].contains(text) {
                self.add(&[text])?;
            }
        }
        Ok(())
    }
}

impl Dialling {
    /// The plan in the section of a blob that starts at `start`.
    pub fn open(blob: &[u8], start: usize) -> Result<Self, Corrupt> {
        let head = slice(blob, start, HEADER)?;
        if head[..6] != *MAGIC || half(head, 6)? != VERSION {
            return Err(Corrupt);
        }
        let table = start + HEADER;
        let numbering = Numbering::open(blob, table)?;
        let mut at = table + word(head, 8)? as usize;
        let count = half(blob, at)?;
        at += COUNT;
        let groups = (0..count).map(|_| prefixes(blob, &mut at)).collect::<Result<_, _>>()?;
        let spelled = prefixes(blob, &mut at)?;
        Ok(Self { numbering, groups, spelled })
    }

    /// The readings of an extension in ASCII; `None`: it cannot be dialled.
    pub fn readings(&self, blob: &[u8], extension: &[u8]) -> Result<Option<Readings>, Corrupt> {
        let folded = fold(extension)?;
        let text = folded.bytes();
        if !is_diallable(text) {
            return Ok(None);
        }
        let shown = self.shown(text)?;
        let shown = shown.as_ref().map_or(text, Text::bytes);
        let head = shown.split(|&byte| is_feature_key(byte)).next().unwrap_or_default();
        let unread = [text, shown, head];
        let unread = if head.is_empty() { &unread[..2] } else { &unread[..] };
        let mut readings = Readings { words: Vec::with_capacity(8), first: None };
        if self.numbering.has_country {
            let states = self.numbering.states(blob)?;
            self.read(states, head, unread, &mut readings)?;
        } else {
            readings.add_unread(unread)?;
        }
        Ok(Some(readings))
    }

    /// A folded extension without the code that hides the caller; `None`: it has none.
    fn shown(&self, text: &[u8]) -> Result<Option<Text>, Corrupt> {
        for line in [&[][..], &self.numbering.outside_line] {
            let Some(behind) = text.strip_prefix(line) else { continue };
            for code in &self.numbering.hides_caller {
                match behind.strip_prefix(&**code) {
                    Some(rest) if !rest.is_empty() => return Text::of(&[line, rest]).map(Some),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// Reads the numbers that a head may be.
    fn read(&self, states: States<'_>, head: &[u8], unread: &[&[u8]], into: &mut Readings) -> Result<(), Corrupt> {
        let line = &*self.numbering.outside_line;
        let behind = if line.is_empty() { None } else { head.strip_prefix(line) };
        let Some(behind) = behind else {
            return self.reading(states, states.number(head, false)?, (head, false), unread, into);
        };
        let first = states.number(behind, true)?;
        self.reading(states, first, (behind, true), unread, into)?;
        if !first.bytes().is_empty() && states.is_valid(first.bytes())? {
            return Ok(());
        }
        let whole = states.number(head, false)?;
        if !whole.bytes().is_empty() && states.is_valid(whole.bytes())? {
            into.first = Some(into.words.len());
            self.reading(states, whole, (head, false), unread, into)?;
        }
        Ok(())
    }

    fn reading(
        &self,
        states: States<'_>,
        number: Text,
        dialled: (&[u8], bool),
        unread: &[&[u8]],
        into: &mut Readings,
    ) -> Result<(), Corrupt> {
        let forms = Forms { plan: self, states, number: number.bytes(), dialled };
        match number.bytes().first() {
            None => into.add_unread(unread),
            Some(b'+') => forms.foreign(into),
            Some(_) => {
                forms.own(into)?;
                forms.marked(into)
            }
        }
    }
}

/// Writes the forms of a number that was dialled in some way.
struct Forms<'a> {
    plan: &'a Dialling,
    states: States<'a>,
    number: &'a [u8],
    /// The digits that were read, and whether they stood behind the outside line.
    dialled: (&'a [u8], bool),
}

impl Forms<'_> {
    /// Of each group the first form that is read as the number again.
    fn foreign(&self, into: &mut Readings) -> Result<(), Corrupt> {
        for group in &self.plan.groups {
            for prefix in group {
                let text = match &*prefix.text {
                    b"+" => Text::of(&[self.number])?,
                    digits => Text::of(&[digits, &self.number[1..]])?,
                };
                if self.reads(text.bytes(), prefix.behind_line)? {
                    let line = if prefix.behind_line { self.line() } else { &[] };
                    into.add(&[line, text.bytes()])?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn own(&self, into: &mut Readings) -> Result<(), Corrupt> {
        let (table, line) = (self.states.table, self.line());
        let before = into.words.len();
        let whole = Text::of(&[&table.prefix, self.number])?;
        self.own_form(whole.bytes(), into)?;
        if !table.prefix.is_empty() && table.has_bare && self.states.is_bare(self.number)? {
            self.own_form(self.number, into)?;
        }
        if into.words.len() == before {
            // There is always one, or what is dialled with digits too many would be under no rule.
            if !line.is_empty() {
                into.add(&[line, whole.bytes()])?;
            }
            if line.is_empty() || !whole.bytes().starts_with(line) {
                into.add(&[whole.bytes()])?;
            }
        }
        Ok(())
    }

    /// Adds a text behind the outside line and without it, as far as it is read as the number again.
    fn own_form(&self, text: &[u8], into: &mut Readings) -> Result<(), Corrupt> {
        let line = self.line();
        let reads = !line.is_empty() && self.reads(text, true)?;
        if reads {
            into.add(&[line, text])?;
        }
        if !line.is_empty() && text.starts_with(line) {
            return Ok(());
        }
        // Only where there is no national prefix is a text read otherwise without the outside line.
        let alone =
            if !line.is_empty() && !self.states.table.prefix.is_empty() { reads } else { self.reads(text, false)? };
        if alone { into.add(&[text]) } else { Ok(()) }
    }

    /// The forms of an own number of which a pattern spells out the start.
    fn marked(&self, into: &mut Readings) -> Result<(), Corrupt> {
        let code = &*self.states.table.code;
        for prefix in &self.plan.spelled {
            let text = Text::of(&[&prefix.text, code, self.number])?;
            if self.reads(text.bytes(), prefix.behind_line)? {
                let line = if prefix.behind_line { self.line() } else { &[] };
                into.add(&[MARK, line, &prefix.text, code, MARK, self.number])?;
            }
        }
        Ok(())
    }

    /// Whether a text, behind the outside line or not, is read as the number again.
    fn reads(&self, text: &[u8], behind_line: bool) -> Result<bool, Corrupt> {
        let line = self.line();
        if !line.is_empty() && !behind_line && text.starts_with(line) {
            return Ok(false);
        }
        let (dialled, behind) = self.dialled;
        if text == dialled && (behind_line == behind || !self.states.table.prefix.is_empty()) {
            return Ok(true);
        }
        Ok(self.states.number(text, behind_line)?.bytes() == self.number)
    }

    fn line(&self) -> &[u8] {
        &self.plan.numbering.outside_line
    }
}

/// A count and as many prefixes.
fn prefixes(blob: &[u8], at: &mut usize) -> Result<Vec<Prefix>, Corrupt> {
    let count = half(blob, *at)?;
    *at += COUNT;
    let mut found = Vec::new();
    for _ in 0..count {
        let behind_line = *blob.get(*at).ok_or(Corrupt)? != 0;
        *at += 1;
        found.push(Prefix { text: string(blob, at)?, behind_line });
    }
    Ok(found)
}
