//! The snapshots that calls are decided by (`current.py`), and which of them decides a call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::answer::UUID;
use crate::rules::Corrupt;
use crate::rules::snapshot::Snapshot;
use crate::rules::wire::Call;
use crate::tenants::Tenants;

const REMEMBERED: usize = 100_000;
const LONGEST_REMEMBERED: usize = 64;

/// All tenants at one moment.
#[derive(Debug, Default, Clone)]
pub struct State {
    by_tenant: Tenants<Snapshot>,
    /// Tenants whose rules are for Python to read. While there are any, so are all calls: one may be theirs.
    others: HashSet<String>,
    /// Revisions that decide no call, and that the decisions are compared with.
    candidates: Tenants<Snapshot>,
    /// There may be tenants that are not here, so a call that nobody here claims may be theirs.
    pub incomplete: bool,
    /// Tells this state from every other.
    number: u64,
}

/// Whose a call is.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A tenant's, and where in its blob the root of the user is who asks, where that was looked up.
    Rules(&'a Arc<Snapshot>, Option<usize>),
    /// No tenant was named, and none knows the caller or the outcall.
    Nothing,
    /// An error's, unless it is a call to an emergency number.
    Fault,
}

/// The call is for Python to answer: mostly with an error, whose words are there.
#[derive(Debug, Clone, Copy)]
pub struct NotPlain;

impl From<Corrupt> for NotPlain {
    fn from(_: Corrupt) -> Self {
        Self
    }
}

impl State {
    /// The state with other rules of a tenant, or without that tenant; `understood`: they can be read here.
    #[must_use]
    pub fn changed(&self, tenant: &str, snapshot: Option<&Arc<Snapshot>>, understood: bool) -> Self {
        let mut changed = self.next();
        changed.by_tenant.set(tenant, snapshot);
        if understood {
            changed.others.remove(tenant);
        } else {
            changed.others.insert(tenant.to_owned());
        }
        changed
    }

    /// The state in which tenants may be missing, or none is.
    #[must_use]
    pub fn with(&self, incomplete: bool) -> Self {
        Self { incomplete, ..self.next() }
    }

    /// The state with another candidate of a tenant, or without one.
    #[must_use]
    pub fn comparing(&self, tenant: &str, candidate: Option<&Arc<Snapshot>>) -> Self {
        let mut changed = self.next();
        changed.candidates.set(tenant, candidate);
        changed
    }

    /// Whether there is any candidate.
    #[inline]
    pub const fn compares(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// The revision of a tenant that its decisions are compared with.
    pub fn candidate(&self, tenant: &str) -> Option<&Arc<Snapshot>> {
        self.candidates.get(tenant)
    }

    fn next(&self) -> Self {
        Self { number: self.number + 1, ..self.clone() }
    }

    /// Whose a call of a client is that may ask about `tenants`; `None`: about every one.
    #[inline]
    pub fn resolve(
        &self,
        call: &Call<'_>,
        tenants: Option<&[String]>,
        seen: &mut Remembered,
    ) -> Result<Found<'_>, NotPlain> {
        if !self.others.is_empty() {
            return Err(NotPlain);
        }
        match tenants {
            Some(tenants) => self.among(call, tenants),
            _ if self.by_tenant.is_empty() => Ok(Found::Fault),
            None if call.tenant.is_empty() => self.anywhere(call, seen),
            None => {
                let tenant = ascii(call.tenant)?;
                let found = self.by_tenant.get(tenant).or_else(|| self.by_tenant.get(&tenant.to_ascii_lowercase()));
                Ok(found.map_or(Found::Fault, |snapshot| Found::Rules(snapshot, None)))
            }
        }
    }

    /// Whether an extension is an emergency number of any of these tenants; `None`: of every one.
    pub fn is_emergency(&self, extension: &[u8], tenants: Option<&[String]>) -> bool {
        let has = |snapshot: &Arc<Snapshot>| snapshot.facts.emergency.has(extension);
        match tenants {
            Some(tenants) => tenants.iter().filter_map(|tenant| self.by_tenant.get(tenant)).any(has),
            None => self.by_tenant.values().any(has),
        }
    }

    fn found(&self, tenant: &str) -> Found<'_> {
        self.by_tenant.get(tenant).map_or(Found::Fault, |snapshot| Found::Rules(snapshot, None))
    }

    /// Where every tenant may be asked about and none was named: the one that knows the caller, else the outcall.
    #[inline]
    fn anywhere(&self, call: &Call<'_>, seen: &mut Remembered) -> Result<Found<'_>, NotPlain> {
        let asker = call.asker();
        seen.begin(self.number);
        if asker.len() == UUID {
            if let Some(snapshot) = self.by_tenant.only() {
                if let Some(user) = snapshot.user(asker)? {
                    return Ok(Found::Rules(snapshot, Some(user)));
                }
            } else if let Some(snapshot) = self.of_caller(asker, seen)? {
                return Ok(Found::Rules(snapshot, snapshot.user(asker)?));
            }
        }
        if !asker.is_empty() {
            match self.of_alias(asker, seen)? {
                Found::Nothing if self.incomplete => return Ok(Found::Fault),
                Found::Nothing => {}
                found => return Ok(found),
            }
        }
        match call.outcall {
            [] => Ok(Found::Nothing),
            outcall => match self.of_outcall(outcall, seen)? {
                Found::Nothing if self.incomplete => Ok(Found::Fault),
                found => Ok(found),
            },
        }
    }

    fn of_caller(&self, caller: &[u8], seen: &mut Remembered) -> Result<Option<&Arc<Snapshot>>, NotPlain> {
        let key: [u8; UUID] = caller.try_into().map_err(|_| NotPlain)?;
        match seen.callers.get(&key) {
            // A tenant remembered from an earlier state is asked again, since users come and go.
            Some((state, Some(tenant))) => {
                if let Some(snapshot) = self.by_tenant.get(tenant)
                    && (*state == self.number || snapshot.user(caller)?.is_some())
                {
                    return Ok(Some(snapshot));
                }
            }
            Some((state, None)) if *state == self.number => return Ok(None),
            _ => {}
        }
        let mut found = None;
        for snapshot in self.by_tenant.values() {
            if snapshot.user(caller)?.is_some() {
                found = Some(snapshot);
                break;
            }
        }
        if seen.callers.len() >= REMEMBERED {
            seen.callers.clear();
        }
        seen.callers.insert(key, (self.number, found.map(|snapshot| snapshot.facts.tenant.as_str().into())));
        Ok(found)
    }

    fn of_alias(&self, alias: &[u8], seen: &mut Remembered) -> Result<Found<'_>, NotPlain> {
        self.remembered(alias, &mut seen.aliases, |snapshot| Ok(snapshot.user_called(alias)?.is_some()))
    }

    fn of_outcall(&self, outcall: &[u8], seen: &mut Remembered) -> Result<Found<'_>, NotPlain> {
        self.remembered(outcall, &mut seen.outcalls, |snapshot| Ok(snapshot.outcall(outcall)?.is_some()))
    }

    /// The one tenant that has something, which is looked for once in a state.
    fn remembered(
        &self,
        name: &[u8],
        seen: &mut Names,
        has: impl Fn(&Snapshot) -> Result<bool, Corrupt>,
    ) -> Result<Found<'_>, NotPlain> {
        if let Some(tenant) = seen.get(name) {
            return Ok(tenant.as_ref().map_or(Found::Nothing, |tenant| self.found(tenant)));
        }
        let found = only(self.by_tenant.values(), has)?;
        if name.len() <= LONGEST_REMEMBERED && seen.len() < REMEMBERED {
            match found {
                Found::Rules(snapshot, _) => seen.insert(name.into(), Some(snapshot.facts.tenant.as_str().into())),
                Found::Nothing => seen.insert(name.into(), None),
                Found::Fault => None,
            };
        }
        Ok(found)
    }

    /// For a client that is bound to tenants: theirs alone, as if there were no others.
    fn among(&self, call: &Call<'_>, tenants: &[String]) -> Result<Found<'_>, NotPlain> {
        if !call.tenant.is_empty() {
            let name = ascii(call.tenant)?.to_ascii_lowercase();
            return if tenants.contains(&name) { Ok(self.found(&name)) } else { Err(NotPlain) };
        }
        if let [tenant] = tenants {
            return Ok(self.found(tenant));
        }
        if self.by_tenant.is_empty() || self.incomplete {
            return Err(NotPlain);
        }
        let asker = call.asker();
        let mine = || tenants.iter().filter_map(|tenant| self.by_tenant.get(tenant));
        for snapshot in mine() {
            if let Some(user) = snapshot.user(asker)? {
                return Ok(Found::Rules(snapshot, Some(user).filter(|_| asker.len() == UUID)));
            }
        }
        match only(mine(), |snapshot| Ok(snapshot.user_called(asker)?.is_some()))? {
            Found::Nothing => only(mine(), |snapshot| Ok(snapshot.outcall(call.outcall)?.is_some())),
            found => Ok(found),
        }
    }
}

/// The name of a tenant; fails where its letters have other cases than ASCII's.
fn ascii(tenant: &[u8]) -> Result<&str, NotPlain> {
    std::str::from_utf8(tenant).ok().filter(|tenant| tenant.is_ascii()).ok_or(NotPlain)
}

/// The one tenant that has something; where more than one has it, that is an error.
fn only<'a>(
    snapshots: impl Iterator<Item = &'a Arc<Snapshot>>,
    has: impl Fn(&Snapshot) -> Result<bool, Corrupt>,
) -> Result<Found<'a>, NotPlain> {
    let mut found = Found::Nothing;
    for snapshot in snapshots {
        if has(snapshot)? {
            if matches!(found, Found::Rules(..)) {
                return Ok(Found::Fault);
            }
            found = Found::Rules(snapshot, None);
        }
    }
    Ok(found)
}

/// The tenant that has something, by its name.
type Names = HashMap<Box<[u8]>, Option<Arc<str>>>;

/// What a thread has found out about callers, aliases and outcalls.
#[derive(Debug, Default)]
pub struct Remembered {
    state: u64,
    callers: HashMap<[u8; UUID], (u64, Option<Arc<str>>)>,
    aliases: Names,
    outcalls: Names,
}

impl Remembered {
    fn begin(&mut self, state: u64) {
        if self.state != state {
            self.state = state;
            self.aliases.clear();
            self.outcalls.clear();
        }
    }
}
