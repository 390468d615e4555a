//! The associations of users, groups and outcalls with permissions (`associations.py`), kept up to date edit by edit.

use std::collections::HashMap;

use super::names::Names;

/// A permission's part in the associations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Associated {
    pub slot: u32,
    pub enabled: bool,
    pub has_patterns: bool,
    pub users: Box<[u32]>,
    pub groups: Box<[u32]>,
    pub outcalls: Box<[u32]>,
}

/// A group's part.
#[derive(Debug, Default, Clone)]
pub struct Members {
    pub enabled: bool,
    pub users: Box<[u32]>,
}

/// What is known of a user, or of an outcall, which has no groups and aliases.
#[derive(Debug, Default)]
pub struct Holder {
    pub slots: Vec<u32>,
    pub groups: Vec<u32>,
    pub secret: u32,
    pub touched: bool,
}

/// What is known of a group.
#[derive(Debug, Default)]
pub struct Group {
    pub slots: Vec<u32>,
    pub touched: bool,
    /// It has to be written.
    pub changed: bool,
    /// Its members while it exists.
    pub members: Option<Members>,
    /// Where its record starts, and for how many slots that has room.
    pub record: Option<(u32, usize)>,
}

/// Slots by user, group and outcall, in the order of insertion, and groups by user.
///
/// Ids without an entity are kept too: an entity that comes later under such an id has the permissions of that id.
#[derive(Debug, Default)]
pub struct Associations {
    pub users: Names<Holder>,
    pub groups: Names<Group>,
    pub outcalls: Names<Holder>,
    /// By slot, whether its permission is enabled and has patterns.
    active: Vec<bool>,
    permissions: HashMap<u64, Associated>,
    pub touched_users: Vec<u32>,
    pub touched_outcalls: Vec<u32>,
}

impl Associations {
    /// Forgets what changes touched.
    pub fn settle(&mut self) {
        for user in self.touched_users.drain(..) {
            self.users.known[user as usize].touched = false;
        }
        for outcall in self.touched_outcalls.drain(..) {
            self.outcalls.known[outcall as usize].touched = false;
        }
        for group in &mut self.groups.known {
            group.touched = false;
        }
    }

    /// Puts a permission in the place of the one with its id; `None`: there is none any more.
    pub fn replace_permission(&mut self, id: u64, new: Option<Associated>) {
        let old = self.permissions.remove(&id);
        if let Some(old) = &old {
            self.active[old.slot as usize] = false;
        }
        if let Some(new) = &new {
            let slot = new.slot as usize;
            self.active.resize(self.active.len().max(slot + 1), false);
            self.active[slot] = new.enabled && new.has_patterns;
        }
        let unchanged =
            matches!((&old, &new), (Some(old), Some(new)) if old.slot == new.slot && old.enabled == new.enabled);
        let none = Associated::default();
        let (before, after) = (old.as_ref().unwrap_or(&none), new.as_ref().unwrap_or(&none));
        for (number, change) in changes(&before.users, &after.users, unchanged) {
            touch(&mut self.users, number, &mut self.touched_users);
            change.apply(&mut self.users.of(number).slots, before.slot, after.slot);
        }
        for (number, change) in changes(&before.outcalls, &after.outcalls, unchanged) {
            touch(&mut self.outcalls, number, &mut self.touched_outcalls);
            change.apply(&mut self.outcalls.of(number).slots, before.slot, after.slot);
        }
        for (number, change) in changes(&before.groups, &after.groups, unchanged) {
            let group = self.groups.of(number);
            group.touched = true;
            change.apply(&mut group.slots, before.slot, after.slot);
        }
        if let Some(new) = new {
            self.permissions.insert(id, new);
        }
    }

    /// Puts a group in the place of the one with its number; `None`: there is none any more.
    pub fn replace_group(&mut self, number: u32, new: Option<Members>) {
        let old = self.groups.of(number).members.take();
        let unchanged = matches!((&old, &new), (Some(old), Some(new)) if old.enabled == new.enabled);
        let before = old.map(|old| old.users).unwrap_or_default();
        let after: &[u32] = new.as_ref().map_or(&[], |new| &new.users);
        for (user, change) in changes(&before, after, unchanged) {
            touch(&mut self.users, user, &mut self.touched_users);
            change.apply(&mut self.users.of(user).groups, number, number);
        }
        self.groups.of(number).members = new;
    }

    /// Says that all members of a group have to be written.
    pub fn touch_members(&mut self, group: u32) {
        let Some(members) = &self.groups.known[group as usize].members else { return };
        for &user in &members.users {
            touch(&mut self.users, user, &mut self.touched_users);
        }
    }

    /// Those of these slots whose permissions apply, each once, in ascending order.
    pub fn applying(&self, slots: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut slots: Vec<u32> = slots.into_iter().filter(|&slot| self.active[slot as usize]).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The slots that apply to members of these groups, of which only the enabled ones count.
    pub fn applying_in(&self, groups: &[u32]) -> Vec<u32> {
        let groups = groups.iter().map(|&group| &self.groups.known[group as usize]);
        let enabled = groups.filter(|group| group.members.as_ref().is_some_and(|members| members.enabled));
        self.applying(enabled.flat_map(|group| group.slots.iter().copied()))
    }
}

/// Says that a user or an outcall has to be written.
fn touch(holders: &mut Names<Holder>, number: u32, touched: &mut Vec<u32>) {
    let holder = holders.of(number);
    if !holder.touched {
        holder.touched = true;
        touched.push(number);
    }
}

/// What becomes of a member of what somebody holds.
#[derive(Debug, Clone, Copy)]
enum Change {
    Leaves,
    Joins,
}

impl Change {
    fn apply(self, members: &mut Vec<u32>, old: u32, new: u32) {
        match self {
            Self::Leaves => members.retain(|&member| member != old),
            Self::Joins => members.push(new),
        }
    }
}

/// Who leaves, and then who joins; `unchanged`: only they are touched who are not in both, else all of both.
fn changes<'a>(before: &'a [u32], after: &'a [u32], unchanged: bool) -> impl Iterator<Item = (u32, Change)> + 'a {
    let only = move |these: &'a [u32], others: &'a [u32]| {
        these.iter().copied().filter(move |one| !unchanged || others.binary_search(one).is_err())
    };
    let left = only(before, after).map(|one| (one, Change::Leaves));
    left.chain(only(after, before).map(|one| (one, Change::Joins)))
}
