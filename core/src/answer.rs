//! From a request's bytes to a response's bytes, for CheckCall and CheckCalls (`services/decisions.py`).

use std::sync::Arc;

use crate::challenge::Seal;
use crate::current::{Found, NotPlain, Remembered, State};
use crate::policy::Policy;
use crate::rules::automaton::NO_VERDICT;
use crate::rules::response::{Outcome, Reason, put, varint, varint_size};
use crate::rules::snapshot::{ALLOW, CHALLENGE, DENY, Snapshot, outcome};
use crate::rules::text::is_feature_key;
use crate::rules::wire::{Call, call, next_call};

/// Characters of the longest extension, caller and outcall that are taken.
const LONGEST: usize = 128;
/// The tag of CheckCallsResponse.answers, and of CheckCallsAnswer.response.
const ANSWER: u8 = 0x0a;

/// What an answer is made from.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub state: &'a State,
    pub policy: &'a Policy,
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
    One(Ruling<'a>),
    Many(Vec<Ruling<'a>>),
}

impl<'a> Outcomes<'a> {
    /// All of them, in their order.
    pub fn all(&self) -> &[Ruling<'a>] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    /// Whether it is one call, to an emergency number: those are under no limit.
    pub fn is_emergency(&self) -> bool {
        matches!(self, Self::One(one) if one.outcome.reason == Reason::Emergency)
    }
}

/// Writes the CheckCallResponse to a CheckCallRequest.
#[inline]
pub fn check_call<'a>(
    data: &'a [u8],
    by: By<'a>,
    seen: &mut Remembered,
    out: &mut Vec<u8>,
) -> Result<Outcomes<'a>, NotPlain> {
    let ruling = Ruling::on(call(data).ok_or(NotPlain)?, by, seen)?;
    ruling.respond(by, out)?;
    Ok(Outcomes::One(ruling))
}

/// Writes the CheckCallsResponse to a CheckCallsRequest.
pub fn check_calls<'a>(
    data: &'a [u8],
    by: By<'a>,
    seen: &mut Remembered,
    out: &mut Vec<u8>,
) -> Result<Outcomes<'a>, NotPlain> {
    let (mut rulings, mut one, mut rest) = (Vec::new(), Vec::with_capacity(256), data);
    while !rest.is_empty() {
        let (call, after) = next_call(rest).ok_or(NotPlain)?;
        if rulings.len() >= by.most {
            return Err(NotPlain);
        }
        let ruling = Ruling::on(call, by, seen)?;
        one.clear();
        ruling.respond(by, &mut one)?;
        out.push(ANSWER);
        varint(1 + varint_size(one.len()) + one.len(), out);
        put(ANSWER, &one, out);
        rulings.push(ruling);
        rest = after;
    }
    Ok(Outcomes::Many(rulings))
}

/// A call, how it is decided, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Ruling<'a> {
    /// With the UUIDs of users in the place of their aliases, but for emergency numbers.
    pub call: Call<'a>,
    /// `None`: the call is no tenant's.
    pub snapshot: Option<&'a Arc<Snapshot>>,
    pub outcome: Outcome,
}

impl<'a> Ruling<'a> {
    #[inline]
    fn on(call: Call<'a>, by: By<'a>, seen: &mut Remembered) -> Result<Self, NotPlain> {
        if !is_printable(call.extension) || !call.caller.is_ascii() || !call.forwarded_by.is_ascii() {
            return Err(NotPlain);
        }
        let found = by.state.resolve(&call, by.tenants, seen)?;
        if let Some(ruling) = Self::emergency(call, found, by)? {
            return Ok(ruling);
        }
        if call.outcall.len() > LONGEST || !is_name(call.caller) || !is_name(call.forwarded_by) {
            return Err(NotPlain);
        }
        let number = match found {
            Found::Rules(snapshot, _) => i64::try_from(snapshot.facts.number).unwrap_or(i64::MAX),
            Found::Nothing => 0,
            Found::Fault => return Err(NotPlain),
        };
        if call.at_least_revision > 0 && number < call.at_least_revision {
            return Err(NotPlain);
        }
        Self::ruled(call, found, by.policy)
    }

    /// The ruling on a call to an emergency number.
    fn emergency(call: Call<'a>, found: Found<'a>, by: By<'a>) -> Result<Option<Self>, NotPlain> {
        let Found::Rules(snapshot, user) = found else {
            let anyones = || call.tenant.is_empty() && by.state.is_emergency(call.extension, by.tenants);
            let is_one = by.policy.emergency.has(call.extension) || anyones();
            return Ok(is_one.then(|| Self::new(call, None, (NO_VERDICT, Reason::Emergency), (false, false))));
        };
        if !snapshot.facts.emergency.has(call.extension) {
            return Ok(None);
        }
        let caller = user.is_some() || !user_of(snapshot, call.asker())?.is_empty();
        let outcall = snapshot.outcall(call.outcall)?.is_some();
        Ok(Some(Self::new(call, Some(snapshot), (NO_VERDICT, Reason::Emergency), (caller, outcall))))
    }

    /// The ruling on the same call by other rules of its tenant; `None`: those have none.
    pub fn by_rules(&self, rules: &'a Arc<Snapshot>, by: By<'a>) -> Option<Self> {
        let found = Found::Rules(rules, None);
        match Self::emergency(self.call, found, by) {
            Ok(None) => Self::ruled(self.call, found, by.policy).ok(),
            decided => decided.ok().flatten(),
        }
    }

    /// The ruling by policy and permissions.
    #[inline]
    fn ruled(mut call: Call<'a>, found: Found<'a>, policy: &Policy) -> Result<Self, NotPlain> {
        let Found::Rules(snapshot, user) = found else {
            return match found {
                _ if policy.dialable_only && !is_dialable(call.extension) => Err(NotPlain),
                _ if is_nobody_or_uuid(call.caller) && is_nobody_or_uuid(call.forwarded_by) => {
                    Ok(Self::by_policy(call, None, policy, (false, false))
                        .unwrap_or_else(|| Self::new(call, None, (NO_VERDICT, Reason::NoPermission), (false, false))))
                }
                _ => Err(NotPlain),
            };
        };
        if snapshot.facts.closed || policy.dialable_only && !snapshot.dials() && !is_dialable(call.extension) {
            return Err(NotPlain);
        }
        let user = match user {
            Some(user) if call.forwarded_by.is_empty() => Some(user),
            _ => {
                call.caller = identified(snapshot, call.caller)?;
                call.forwarded_by = identified(snapshot, call.forwarded_by)?;
                snapshot.user(call.asker())?
            }
        };
        let outcall = snapshot.outcall(call.outcall)?;
        // An extension that cannot be dialled is an error before it is a denial.
        let verdict = snapshot.decide(user, call.extension, outcall)?.ok_or(NotPlain)?;
        let known = (user.is_some(), outcall.is_some());
        if let Some(denied) = Self::by_policy(call, Some(snapshot), policy, known) {
            return Ok(denied);
        }
        let verdict = if verdict == NO_VERDICT {
            (verdict, Reason::NoPermission)
        } else if outcome(verdict)?.0 == CHALLENGE && !call.forwarded_by.is_empty() {
            (verdict & !3 | u32::from(DENY), Reason::ChallengeUnanswerable)
        } else {
            (verdict, Reason::Permission)
        };
        Ok(Self::new(call, Some(snapshot), verdict, known))
    }

    /// The ruling on a call whose caller or outcall is not known, where such are denied.
    fn by_policy(
        call: Call<'a>,
        snapshot: Option<&'a Arc<Snapshot>>,
        policy: &Policy,
        known: (bool, bool),
    ) -> Option<Self> {
        let reason = if policy.deny_unknown_callers && !call.asker().is_empty() && !known.0 {
            Reason::UnknownCaller
        } else if policy.deny_unknown_outcalls && !call.outcall.is_empty() && !known.1 {
            Reason::UnknownOutcall
        } else {
            return None;
        };
        Some(Self::new(call, snapshot, (NO_VERDICT, reason), known))
    }

    #[inline]
    const fn new(
        call: Call<'a>,
        snapshot: Option<&'a Arc<Snapshot>>,
        (verdict, reason): (u32, Reason),
        (caller_known, outcall_known): (bool, bool),
    ) -> Self {
        Self { call, snapshot, outcome: Outcome { verdict, reason, caller_known, outcall_known } }
    }

    #[inline]
    fn respond(&self, by: By<'_>, out: &mut Vec<u8>) -> Result<(), NotPlain> {
        let challenge = match (self.snapshot, by.seal) {
            (Some(snapshot), Some(seal)) if self.outcome.decided().0 == CHALLENGE => {
                Some(seal.make(snapshot, &self.call, self.outcome).ok_or(NotPlain)?)
            }
            _ => None,
        };
        self.outcome.respond(self.snapshot.map(|snapshot| &**snapshot), challenge.as_deref(), out)?;
        Ok(())
    }

    /// The permission that denied or challenged the call, by the rules that have it and the verdict's number.
    pub fn denying(&self) -> Option<(&'a Arc<Snapshot>, u32)> {
        let denied = self.outcome.verdict != NO_VERDICT && self.outcome.decided().0 != ALLOW;
        self.snapshot.filter(|_| denied).map(|snapshot| (snapshot, self.outcome.verdict))
    }

    /// Whether the call has a caller that is not known, and whether it has such an outcall.
    pub const fn strange(&self) -> [bool; 2] {
        [
            !self.call.asker().is_empty() && !self.outcome.caller_known,
            !self.call.outcall.is_empty() && !self.outcome.outcall_known,
        ]
    }
}

/// The UUID of a user in the place of an alias; fails where the text is neither.
fn identified<'a>(snapshot: &'a Snapshot, caller: &'a [u8]) -> Result<&'a [u8], NotPlain> {
    if is_nobody_or_uuid(caller) {
        return Ok(caller);
    }
    match user_of(snapshot, caller)? {
        [] => Err(NotPlain),
        user => Ok(user),
    }
}

/// The user with a UUID or an alias; nothing where there is none.
fn user_of<'a>(snapshot: &'a Snapshot, asker: &'a [u8]) -> Result<&'a [u8], NotPlain> {
    if asker.len() == UUID && snapshot.user(asker)?.is_some() {
        return Ok(asker);
    }
    Ok(snapshot.user_called(asker)?.unwrap_or_default())
}

/// Characters of a UUID.
pub const UUID: usize = 36;

fn is_nobody_or_uuid(text: &[u8]) -> bool {
    let is_part = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.is_empty() || text.len() == UUID && text.iter().enumerate().all(is_part)
}

/// Whether an extension is one that is decided here: printable ASCII of a length that is taken.
#[inline]
fn is_printable(extension: &[u8]) -> bool {
    (1..=LONGEST).contains(&extension.len()) && extension.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// Whether a caller can be one.
#[inline]
fn is_name(caller: &[u8]) -> bool {
    caller.len() <= LONGEST && caller.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// Whether an extension has nothing but what a telephone dials.
fn is_dialable(extension: &[u8]) -> bool {
    extension.iter().all(|&byte| byte == b'+' || byte.is_ascii_digit() || is_feature_key(byte))
}
