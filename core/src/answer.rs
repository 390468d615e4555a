//! From a request's bytes to a response's bytes, for CheckCall and CheckCalls (`fastpath.py`).

use std::sync::Arc;

use crate::challenge::Seal;
use crate::current::{Decides, NotPlain, Remembered, State};
use crate::rules::automaton::NO_VERDICT;
use crate::rules::snapshot::{ALLOW, CHALLENGE, Question, Snapshot, field, is_plain, outcome, varint, varint_size};
use crate::rules::wire::{Call, call, next_call};

const CHALLENGE_FIELD: u8 = 0x2a;
/// The tag of CheckCallsResponse.answers, and of CheckCallsAnswer.response.
const ANSWER: u8 = 0x0a;

/// What an answer is made from.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub state: &'a State,
    /// Makes the challenge that a CHALLENGE carries; `None`: it carries none.
    pub seal: Option<&'a Seal>,
    /// The tenants that the client may ask about; `None`: every one.
    pub tenants: Option<&'a [String]>,
    /// Calls that one CheckCalls may hold.
    pub most: usize,
}

/// The decisions that a response holds.
#[derive(Debug)]
pub enum Outcomes<'a> {
    One(Verdict<'a>),
    Many(Vec<Verdict<'a>>),
}

impl Outcomes<'_> {
    /// How many there are.
    pub const fn calls(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }
}

/// Writes the CheckCallResponse to a CheckCallRequest.
#[inline]
pub fn check_call<'a>(
    data: &[u8],
    by: By<'a>,
    seen: &mut Remembered,
    out: &mut Vec<u8>,
) -> Result<Outcomes<'a>, NotPlain> {
    let call = call(data).ok_or(NotPlain)?;
    let verdict = Verdict::on(&call, by, seen)?;
    verdict.respond(&call, by, out)?;
    Ok(Outcomes::One(verdict))
}

/// Writes the CheckCallsResponse to a CheckCallsRequest.
pub fn check_calls<'a>(
    data: &[u8],
    by: By<'a>,
    seen: &mut Remembered,
    out: &mut Vec<u8>,
) -> Result<Outcomes<'a>, NotPlain> {
    let (mut verdicts, mut one, mut rest) = (Vec::new(), Vec::with_capacity(256), data);
    while !rest.is_empty() {
        let (call, after) = next_call(rest).ok_or(NotPlain)?;
        if verdicts.len() >= by.most {
            return Err(NotPlain);
        }
        let verdict = Verdict::on(&call, by, seen)?;
        one.clear();
        verdict.respond(&call, by, &mut one)?;
        out.push(ANSWER);
        varint(1 + varint_size(one.len()) + one.len(), out);
        out.push(ANSWER);
        varint(one.len(), out);
        out.extend_from_slice(&one);
        verdicts.push(verdict);
        rest = after;
    }
    Ok(Outcomes::Many(verdicts))
}

/// By which rules a call is decided, and how.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub number: u32,
}

impl<'a> Verdict<'a> {
    #[inline]
    fn on(call: &Call<'_>, by: By<'a>, seen: &mut Remembered) -> Result<Self, NotPlain> {
        if !is_plain(call.extension) || !call.caller.is_ascii() {
            return Err(NotPlain);
        }
        // What is not known may be denied, or be no caller at all, and is counted: Python does that.
        let Decides::Rules(snapshot) = by.state.resolve(call, by.tenants, seen)? else { return Err(NotPlain) };
        if !snapshot.plain.is(call.extension) {
            return Err(NotPlain);
        }
        let stranger = !call.caller.is_empty() && !snapshot.knows_caller(call.caller)?;
        if stranger || !call.outcall.is_empty() && !snapshot.knows_outcall(call.outcall)? {
            return Err(NotPlain);
        }
        let number = snapshot.decide(question(call))?;
        if number != NO_VERDICT {
            outcome(number)?;
        }
        Ok(Self { snapshot, number })
    }

    #[inline]
    fn respond(&self, call: &Call<'_>, by: By<'_>, out: &mut Vec<u8>) -> Result<(), NotPlain> {
        let snapshot = self.snapshot;
        snapshot.respond(self.number, (!call.caller.is_empty(), !call.outcall.is_empty()), out)?;
        if self.number != NO_VERDICT
            && outcome(self.number)?.0 == CHALLENGE
            && let Some(seal) = by.seal
        {
            let challenge = seal.make(snapshot, question(call)).ok_or(NotPlain)?;
            out.extend_from_slice(&field(CHALLENGE_FIELD, &challenge));
        }
        Ok(())
    }

    /// Decision and stage, by the numbers that the API has for them.
    #[inline]
    pub fn outcome(&self) -> (u8, u8) {
        outcome(self.number).unwrap_or((ALLOW, 1))
    }
}

const fn question<'a>(call: &Call<'a>) -> Question<'a> {
    Question { caller: call.caller, extension: call.extension, outcall: call.outcall }
}
