//! The decision log's lines (`decision_log/log.py`), made where calls are decided and written by a thread of Python's.
//!
//! A call never waits for it: where as many entries wait as may, further ones are dropped and counted.

use std::io::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::answer::Ruling;
use crate::rules::automaton::NO_VERDICT;

const ID: usize = 16;
const POOL: usize = 4096;
/// Characters of each text of a call that are logged.
const LONGEST: usize = 128;
/// Bytes of a line that may wait, on average: twice those of a usual one.
const LINE: usize = 1024;
const HEX: &[u8; 16] = b"0123456789abcdef";
const MASK: u8 = b'x';
const DECISIONS: [&str; 4] = ["", "ALLOW", "DENY", "CHALLENGE"];
const STAGES: [&str; 7] = ["", "NONE", "USER", "GROUP", "OUTCALL", "EMERGENCY", "POLICY"];

/// Lines that wait to be written.
#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    lines: usize,
    dropped: u64,
}

/// The decision log.
#[derive(Debug)]
pub struct Log {
    /// The share of entries that is logged, by decision.
    shares: [f64; 4],
    mask: usize,
    most: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// The text of lines, and how many there are.
pub type Taken = (Vec<u8>, usize);

impl Log {
    /// `shares` is by decision from ALLOW on; `mask`: last characters of an extension that are hidden; `most`: entries
    /// that may wait.
    pub fn new(shares: [f64; 3], mask: usize, most: usize) -> Self {
        let shares = [0.0, shares[0], shares[1], shares[2]];
        Self { shares, mask, most, waiting: Mutex::default(), arrived: Condvar::new() }
    }

    /// Takes the lines that wait, each with its end; waits for some as long as `patience`.
    pub fn take(&self, patience: Duration) -> Taken {
        let mut waiting = self.lock();
        if waiting.lines == 0 {
            let waited = self.arrived.wait_timeout(waiting, patience);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (std::mem::take(&mut waiting.text), std::mem::take(&mut waiting.lines))
    }

    /// How many entries were dropped since the last time.
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn put(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines >= self.most || waiting.text.len() + line.len() > self.most.saturating_mul(LINE) {
            waiting.dropped += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        waiting.lines += 1;
        if waiting.lines == 1 {
            self.arrived.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose decisions are logged.
#[derive(Debug, Clone)]
pub struct Request {
    pub client: String,
    /// In hexadecimal.
    pub id: [u8; 2 * ID],
    /// How many were made.
    pub decisions: usize,
}

/// Makes lines, for one thread.
#[derive(Debug)]
pub struct Pen {
    random: SystemRandom,
    pool: Vec<u8>,
    line: Vec<u8>,
    second: u64,
    /// Date and time of that second.
    stamp: String,
}

impl Default for Pen {
    fn default() -> Self {
        let (random, pool, line) = (SystemRandom::new(), Vec::new(), Vec::with_capacity(512));
        Self { random, pool, line, second: u64::MAX, stamp: String::new() }
    }
}

impl Pen {
    /// A request of a client begins to be decided.
    pub fn begin(&mut self, client: &str) -> Request {
        let mut id = [0; 2 * ID];
        for (two, byte) in id.chunks_exact_mut(2).zip(self.some::<ID>()) {
            two.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        Request { client: client.to_owned(), id, decisions: 0 }
    }

    /// Logs a decision, unless it is left out.
    pub fn write(&mut self, log: &Log, request: &mut Request, ruling: &Ruling<'_>, took: Duration) {
        request.decisions += 1;
        let share = log.shares[usize::from(ruling.outcome.decided().0 & 3)];
        if share < 1.0 && self.share() >= share {
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        self.describe(log, request, ruling, &mut line);
        // Nothing fails that is written to memory.
        drop(writeln!(line, ", \"latency_us\": {}}}", (took.as_nanos() + 500) / 1000));
        log.put(&line);
        self.line = line;
    }

    fn describe(&mut self, log: &Log, request: &Request, ruling: &Ruling<'_>, line: &mut Vec<u8>) {
        let (call, outcome, snapshot) = (&ruling.call, &ruling.outcome, ruling.snapshot);
        line.extend_from_slice(b"{\"time\": \"");
        self.time(line);
        line.extend_from_slice(b"\", \"decision_id\": \"");
        line.extend_from_slice(&request.id);
        if request.decisions > 1 {
            drop(write!(line, ".{}", request.decisions));
        }
        line.push(b'"');
        let hidden = log.mask.min(call.extension.len());
        let mut extension = [MASK; 128];
        let shown = call.extension.len() - hidden;
        extension[..shown].copy_from_slice(&call.extension[..shown]);
        for (name, text) in [
            ("client", request.client.as_bytes()),
            ("tenant", snapshot.map_or(&[], |snapshot| snapshot.facts.tenant.as_bytes())),
            ("caller", call.caller),
            ("extension", &extension[..call.extension.len()]),
            ("outcall", call.outcall),
            ("forwarded_by", call.forwarded_by),
        ] {
            member(name, cut(text), line);
        }
        let (decision, stage) = outcome.decided();
        drop(write!(
            line,
            ", \"caller_known\": {}, \"outcall_known\": {}, \"decision\": \"{}\", \"stage\": \"{}\", \"reason\": \"{}\", \"permission\": ",
            outcome.caller_known,
            outcome.outcall_known,
            DECISIONS[usize::from(decision & 3)],
            STAGES[usize::from(stage).min(STAGES.len() - 1)],
            outcome.reason.name(),
        ));
        match snapshot.map(|snapshot| snapshot.permission(outcome.verdict)) {
            Some(Ok(permission)) if outcome.verdict != NO_VERDICT => {
                drop(write!(line, "{{\"id\": \"{}\", \"name\": ", permission.id));
                quote(permission.name, line);
                line.push(b'}');
            }
            _ => line.extend_from_slice(b"null"),
        }
        member("revision", snapshot.map_or(&[], |snapshot| snapshot.facts.revision.as_bytes()), line);
    }

    /// Writes the time of now, as ISO 8601 has it.
    fn time(&mut self, line: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.stamp = stamp(self.second);
        }
        line.extend_from_slice(self.stamp.as_bytes());
        drop(write!(line, ".{:03}+00:00", now.subsec_millis()));
    }

    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        let bits = u64::from_le_bytes(self.some::<8>()) >> 12;
        // As many bits as a fraction has, below an exponent of 1.
        f64::from_bits(1.0_f64.to_bits() | bits) - 1.0
    }

    /// Random bytes, of which the system is asked for many at a time.
    fn some<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut found = [0; COUNT];
        if self.pool.len() < COUNT {
            self.pool.resize(POOL, 0);
            if self.random.fill(&mut self.pool).is_err() {
                self.pool.clear();
                return found;
            }
        }
        found.copy_from_slice(&self.pool[self.pool.len() - COUNT..]);
        self.pool.truncate(self.pool.len() - COUNT);
        found
    }
}

/// The first characters of a text: a call to an emergency number is decided with texts of any length.
fn cut(text: &[u8]) -> &[u8] {
    let starts = text.iter().enumerate().filter(|(_, byte)| **byte & 0xC0 != 0x80);
    starts.map(|(at, _)| at).nth(LONGEST).map_or(text, |end| &text[..end])
}

fn member(name: &str, text: &[u8], line: &mut Vec<u8>) {
    drop(write!(line, ", \"{name}\": "));
    quote(text, line);
}

/// Writes a text as JSON, in ASCII.
fn quote(text: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    if text.iter().all(|byte| (0x20..0x80).contains(byte) && !matches!(byte, b'"' | b'\\')) {
        line.extend_from_slice(text);
    } else {
        for character in String::from_utf8_lossy(text).chars() {
            escape(character, line);
        }
    }
    line.push(b'"');
}

fn escape(character: char, line: &mut Vec<u8>) {
    match character {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        '\n' => line.extend_from_slice(b"\\n"),
        '\r' => line.extend_from_slice(b"\\r"),
        '\t' => line.extend_from_slice(b"\\t"),
        '\u{8}' => line.extend_from_slice(b"\\b"),
        '\u{c}' => line.extend_from_slice(b"\\f"),
        ' '..='\u{7f}' => line.push(character as u8),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                drop(write!(line, "\\u{unit:04x}"));
            }
        }
    }
}

/// Date and time of a second of Unix time, in UTC.
fn stamp(second: u64) -> String {
    let (days, rest) = (second / 86_400, second % 86_400);
    // Years that begin in March, so that the day that some have more is the last: days of 400, 100, 4 and one of them.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::{quote, stamp};

    #[test]
    fn seconds_are_dates() {
        for (second, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (1_796_070_896, "2026-11-30T20:34:56"),
        ] {
            assert_eq!(stamp(second), date);
        }
    }

    #[test]
    fn texts_are_json() {
        let mut line = Vec::new();
        quote("a\"\\\n\u{1}\u{7f}é😀".as_bytes(), &mut line);
        assert_eq!(line, "\"a\\\"\\\\\\n\\u0001\u{7f}\\u00e9\\ud83d\\ude00\"".as_bytes());
    }
}
