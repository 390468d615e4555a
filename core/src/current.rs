//! The snapshots that calls are decided by (`current.py`), and which of them decides a call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::rules::Corrupt;
use crate::rules::snapshot::Snapshot;
use crate::rules::wire::Call;

const UUID: usize = 36;
const REMEMBERED: usize = 100_000;
const LONGEST_REMEMBERED_OUTCALL: usize = 64;

/// All tenants at one moment.
#[derive(Debug, Default)]
pub struct State {
    by_tenant: HashMap<String, Arc<Snapshot>>,
    /// Tenants whose rules are for Python to read. While there are any, so are all calls: one may be theirs.
    others: HashSet<String>,
    /// Tells this state from every other.
    pub number: u64,
}

/// What decides a call.
#[derive(Debug, Clone, Copy)]
pub enum Decides<'a> {
    Rules(&'a Arc<Snapshot>),
    /// No tenant was named, and none knows the caller or the outcall.
    Nothing,
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
        let (mut by_tenant, mut others) = (self.by_tenant.clone(), self.others.clone());
        match snapshot {
            Some(snapshot) => by_tenant.insert(tenant.to_owned(), Arc::clone(snapshot)),
            None => by_tenant.remove(tenant),
        };
        if understood {
            others.remove(tenant);
        } else {
            others.insert(tenant.to_owned());
        }
        Self { by_tenant, others, number: self.number + 1 }
    }

    /// What decides a call of a client that may ask about `tenants`; `None`: about every one.
    pub fn resolve(
        &self,
        call: &Call<'_>,
        tenants: Option<&[String]>,
        seen: &mut Remembered,
    ) -> Result<Decides<'_>, NotPlain> {
        let found = match tenants {
            _ if self.by_tenant.is_empty() || !self.others.is_empty() => return Err(NotPlain),
            Some(tenants) => self.among(call, tenants)?,
            None if call.tenant.is_empty() => self.anywhere(call, seen)?,
            None => Decides::Rules(self.named(call.tenant)?),
        };
        let behind = match found {
            Decides::Rules(snapshot) => i64::try_from(snapshot.number).unwrap_or(i64::MAX) < call.at_least_revision,
            Decides::Nothing => true,
        };
        if call.at_least_revision > 0 && behind { Err(NotPlain) } else { Ok(found) }
    }

    fn named(&self, tenant: &[u8]) -> Result<&Arc<Snapshot>, NotPlain> {
        let tenant = std::str::from_utf8(tenant).map_err(|_| NotPlain)?;
        if !tenant.is_ascii() {
            return Err(NotPlain);
        }
        self.by_tenant.get(tenant).or_else(|| self.by_tenant.get(&tenant.to_ascii_lowercase())).ok_or(NotPlain)
    }

    /// Where every tenant may be asked about and none was named: the one that knows the caller, else the outcall.
    fn anywhere(&self, call: &Call<'_>, seen: &mut Remembered) -> Result<Decides<'_>, NotPlain> {
        seen.begin(self.number);
        if call.caller.len() == UUID {
            if self.by_tenant.len() == 1 {
                for snapshot in self.by_tenant.values() {
                    if snapshot.knows_caller(call.caller)? {
                        return Ok(Decides::Rules(snapshot));
                    }
                }
            } else if let Some(snapshot) = self.of_caller(call.caller, seen)? {
                return Ok(Decides::Rules(snapshot));
            }
        }
        if call.outcall.is_empty() { Ok(Decides::Nothing) } else { self.of_outcall(call.outcall, seen) }
    }

    fn of_caller(&self, caller: &[u8], seen: &mut Remembered) -> Result<Option<&Arc<Snapshot>>, NotPlain> {
        let key: [u8; UUID] = caller.try_into().map_err(|_| NotPlain)?;
        match seen.callers.get(&key) {
            // A tenant remembered from an earlier state is asked again, since users come and go.
            Some((state, Some(tenant))) => {
                if let Some(snapshot) = self.by_tenant.get(&**tenant)
                    && (*state == self.number || snapshot.knows_caller(caller)?)
                {
                    return Ok(Some(snapshot));
                }
            }
            Some((state, None)) if *state == self.number => return Ok(None),
            _ => {}
        }
        let mut found = None;
        for snapshot in self.by_tenant.values() {
            if snapshot.knows_caller(caller)? {
                found = Some(snapshot);
                break;
            }
        }
        if seen.callers.len() >= REMEMBERED {
            seen.callers.clear();
        }
        seen.callers.insert(key, (self.number, found.map(|snapshot| snapshot.tenant.as_str().into())));
        Ok(found)
    }

    fn of_outcall(&self, outcall: &[u8], seen: &mut Remembered) -> Result<Decides<'_>, NotPlain> {
        if let Some(tenant) = seen.outcalls.get(outcall) {
            return match tenant {
                Some(tenant) => self.by_tenant.get(&**tenant).map(Decides::Rules).ok_or(NotPlain),
                None => Ok(Decides::Nothing),
            };
        }
        let found = only(self.by_tenant.values(), outcall)?;
        if outcall.len() <= LONGEST_REMEMBERED_OUTCALL && seen.outcalls.len() < REMEMBERED {
            seen.outcalls.insert(outcall.into(), found.map(|snapshot| snapshot.tenant.as_str().into()));
        }
        Ok(found.map_or(Decides::Nothing, Decides::Rules))
    }

    /// For a client that is bound to tenants: theirs alone, as if there were no others.
    fn among(&self, call: &Call<'_>, tenants: &[String]) -> Result<Decides<'_>, NotPlain> {
        if !call.tenant.is_empty() {
            let named = self.named(call.tenant)?;
            return if tenants.contains(&named.tenant) { Ok(Decides::Rules(named)) } else { Err(NotPlain) };
        }
        if let [tenant] = tenants {
            return self.by_tenant.get(tenant).map(Decides::Rules).ok_or(NotPlain);
        }
        let mine = || tenants.iter().filter_map(|tenant| self.by_tenant.get(tenant));
        for snapshot in mine() {
            if snapshot.knows_caller(call.caller)? {
                return Ok(Decides::Rules(snapshot));
            }
        }
        if call.outcall.is_empty() {
            return Ok(Decides::Nothing);
        }
        Ok(only(mine(), call.outcall)?.map_or(Decides::Nothing, Decides::Rules))
    }
}

/// The one tenant that has an outcall; where more than one has it, Python says so.
fn only<'a>(
    snapshots: impl Iterator<Item = &'a Arc<Snapshot>>,
    outcall: &[u8],
) -> Result<Option<&'a Arc<Snapshot>>, NotPlain> {
    let mut found = None;
    for snapshot in snapshots {
        if snapshot.knows_outcall(outcall)? && found.replace(snapshot).is_some() {
            return Err(NotPlain);
        }
    }
    Ok(found)
}

/// What a thread has found out about callers and outcalls, where there are several tenants.
#[derive(Debug, Default)]
pub struct Remembered {
    state: u64,
    callers: HashMap<[u8; UUID], (u64, Option<Arc<str>>)>,
    outcalls: HashMap<Box<[u8]>, Option<Arc<str>>>,
}

impl Remembered {
    fn begin(&mut self, state: u64) {
        if self.state != state {
            self.state = state;
            self.outcalls.clear();
        }
    }
}
