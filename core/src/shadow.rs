//! What candidate revisions would have decided (`services/shadow.py`): one more walk, after the response is made.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::answer::{By, Ruling};
use crate::rules::automaton::NO_VERDICT;
use crate::rules::snapshot::Snapshot;

/// The number of a decision where the candidate has none: it is closed there, or the extension cannot be dialled.
const NONE: u8 = 0;
/// Differences of a thread that wait to be logged; further ones are counted alone.
const MOST_DIFFERENCES: usize = 16;
/// Characters of each text of a call that are logged.
const LONGEST: usize = 128;

/// How often each decision, the first index, would have been another one, the second.
pub type Matrix = [[u64; 4]; 4];

/// A call that a candidate decides otherwise.
#[derive(Debug)]
pub struct Difference {
    pub candidate: Arc<Snapshot>,
    pub caller: String,
    pub extension: String,
    pub outcall: String,
    pub decisions: (u8, u8),
    /// The ids of the permissions that decide.
    pub permissions: (Option<u64>, Option<u64>),
}

/// What a thread compared.
#[derive(Debug, Default)]
pub struct Compared {
    pub counts: HashMap<String, Matrix>,
    pub differences: Vec<Difference>,
}

impl Compared {
    /// Decides a call by its tenant's candidate as well, if there is one. A failure there is not the call's.
    pub fn add(&mut self, ruling: &Ruling<'_>, by: By<'_>) {
        let Some(rules) = ruling.snapshot else { return };
        let Some(candidate) = by.state.candidate(&rules.facts.tenant) else { return };
        let other = catch_unwind(AssertUnwindSafe(|| ruling.by_rules(candidate, by))).ok().flatten();
        let decisions = (ruling.outcome.decided().0, other.map_or(NONE, |other| other.outcome.decided().0));
        let tenant = &candidate.facts.tenant;
        if !self.counts.contains_key(tenant) {
            self.counts.insert(tenant.clone(), Matrix::default());
        }
        if let Some(matrix) = self.counts.get_mut(tenant) {
            matrix[usize::from(decisions.0 & 3)][usize::from(decisions.1 & 3)] += 1;
        }
        if decisions.0 != decisions.1 && self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(Difference {
                candidate: Arc::clone(candidate),
                caller: text(ruling.call.caller),
                extension: text(ruling.call.extension),
                outcall: text(ruling.call.outcall),
                decisions,
                permissions: (permission(ruling), other.as_ref().and_then(permission)),
            });
        }
    }
}

fn permission(ruling: &Ruling<'_>) -> Option<u64> {
    let snapshot = ruling.snapshot.filter(|_| ruling.outcome.verdict != NO_VERDICT)?;
    snapshot.permission(ruling.outcome.verdict).ok().map(|permission| permission.id)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(LONGEST).collect()
}
