//! Responses in protobuf's form.

use super::Corrupt;
use super::automaton::NO_VERDICT;
use super::snapshot::{ALLOW, DENY, Snapshot, outcome};

/// The tags of CheckCallResponse's fields of these names.
pub const REVISION: u8 = 0x22;
const CHALLENGE: u8 = 0x2a;
const CALLER_KNOWN: u8 = 0x30;
const OUTCALL_KNOWN: u8 = 0x38;
const REASON: u8 = 0x40;
/// Stages that no verdict has.
const NONE: u8 = 1;
const EMERGENCY: u8 = 5;
const POLICY: u8 = 6;

/// Why a call is decided so; the API's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Permission = 1,
    NoPermission = 2,
    Emergency = 3,
    UnknownCaller = 4,
    UnknownOutcall = 5,
    ChallengeUnanswerable = 6,
}

impl Reason {
    /// As the decision log has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permission => "PERMISSION",
            Self::NoPermission => "NO_PERMISSION",
            Self::Emergency => "EMERGENCY",
            Self::UnknownCaller => "UNKNOWN_CALLER",
            Self::UnknownOutcall => "UNKNOWN_OUTCALL",
            Self::ChallengeUnanswerable => "CHALLENGE_UNANSWERABLE",
        }
    }
}

/// A decision, and all that a response says about the call.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The number of the verdict, or `NO_VERDICT`.
    pub verdict: u32,
    pub reason: Reason,
    pub caller_known: bool,
    pub outcall_known: bool,
}

impl Outcome {
    /// Decision and stage, by the numbers that the API has for them.
    #[inline]
    pub fn decided(&self) -> (u8, u8) {
        match self.reason {
            Reason::Emergency => (ALLOW, EMERGENCY),
            Reason::UnknownCaller | Reason::UnknownOutcall => (DENY, POLICY),
            _ => outcome(self.verdict).unwrap_or((ALLOW, NONE)),
        }
    }

    /// Writes the response; `snapshot` is what decided, and `challenge` what a CHALLENGE carries, if anything.
    #[inline]
    pub fn respond(
        &self,
        snapshot: Option<&Snapshot>,
        challenge: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        let (decision, stage) = self.decided();
        out.extend_from_slice(&[0x08, decision, 0x10, stage]);
        if let Some(snapshot) = snapshot {
            if self.verdict != NO_VERDICT {
                permission(snapshot, self.verdict, out)?;
            }
            out.extend_from_slice(&snapshot.end);
        }
        if let Some(challenge) = challenge {
            put(CHALLENGE, challenge, out);
        }
        for (tag, known) in [(CALLER_KNOWN, self.caller_known), (OUTCALL_KNOWN, self.outcall_known)] {
            if known {
                out.extend_from_slice(&[tag, 1]);
            }
        }
        out.extend_from_slice(&[REASON, self.reason as u8]);
        Ok(())
    }
}

#[inline]
fn permission(snapshot: &Snapshot, verdict: u32, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    let permission = snapshot.permission(verdict)?;
    let mut digits = itoa(permission.id);
    let id = digits.text();
    let named =
        if permission.name.is_empty() { 0 } else { 1 + varint_size(permission.name.len()) + permission.name.len() };
    out.push(0x1a);
    varint(2 + id.len() + named, out);
    out.extend_from_slice(&[0x0a, id.len() as u8]);
    out.extend_from_slice(id);
    if named != 0 {
        put(0x12, permission.name, out);
    }
    Ok(())
}

/// Writes a field that is a text or a message.
#[inline]
pub fn put(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    varint(content.len(), out);
    out.extend_from_slice(content);
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
