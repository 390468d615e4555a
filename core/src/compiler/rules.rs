//! A tenant in the last state that was compiled, and all that was made from that state (`state.py`).

use std::cmp::Reverse;
use std::collections::HashMap;

use super::associations::{Associated, Associations, Members};
use super::builder::{Builder, Limits, VERDICT};
use super::seal::Content;
use super::secrets::Secrets;
use super::state::{Item, Map};
use super::tables::{Permission, Tables, User};
use crate::rules::automaton::NO_VERDICT;

/// The dead state: the root of those to whom no permission applies.
const DEAD: u32 = VERDICT + NO_VERDICT;
const ALLOW: u32 = 1;
const DENY: u32 = 2;
const CHALLENGE: u32 = 3;

/// A permission in the form that automata know.
#[derive(Debug)]
pub struct Slot {
    pub permission: u64,
    allows: bool,
    has_password: bool,
    /// The first positions of its patterns.
    pub patterns: Box<[u32]>,
}

impl Slot {
    /// 1 to 3, as `precedence.py` and `verdict.py` have it.
    const fn decision(&self) -> u32 {
        match (self.allows, self.has_password) {
            (true, _) => ALLOW,
            (false, false) => DENY,
            (false, true) => CHALLENGE,
        }
    }
}

/// The slots that apply in the stages USER, GROUP and OUTCALL.
pub type Profile = [Vec<u32>; 3];

/// A permission with all that it is associated with.
#[derive(Debug)]
pub struct Entity<'a> {
    pub row: Permission<'a>,
    pub extensions: Vec<&'a str>,
    pub users: Vec<&'a str>,
    pub groups: Vec<&'a str>,
    pub outcalls: Vec<&'a str>,
}

/// A tenant's rules.
#[derive(Debug)]
pub struct Rules {
    pub builder: Builder,
    pub tables: Tables,
    pub associations: Associations,
    slots: Vec<Slot>,
    /// The slots that each permission has had.
    slots_of: Map<u64, Vec<u32>>,
    /// Roots by the lengths of a profile's parts, and their slots.
    roots: Map<Box<[u32]>, u32>,
    /// The slots that apply to members of the same groups.
    in_groups: HashMap<Box<[u32]>, Vec<u32>>,
}

impl Rules {
    /// `gaps`: whether there are columns for the characters that ranges reach and patterns cannot name.
    pub fn new(gaps: bool, limits: Limits, secrets: Secrets) -> Self {
        Self {
            builder: Builder::new(gaps, limits),
            tables: Tables::new(secrets),
            associations: Associations::default(),
            slots: Vec::new(),
            slots_of: Map::default(),
            roots: Map::default(),
            in_groups: HashMap::new(),
        }
    }

    /// Bytes of the tables that grow with every change.
    pub const fn size(&self) -> usize {
        self.tables.size() + self.builder.size()
    }

    /// Begins an edit.
    pub fn begin(&mut self) {
        self.in_groups.clear();
        self.associations.settle();
    }

    /// A slot, by its index.
    pub fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(index as usize)
    }

    /// Puts a group in the place of the one with its id.
    pub fn replace_group<'a>(&mut self, id: &str, enabled: bool, users: impl IntoIterator<Item = &'a str>) {
        let number = self.associations.groups.number(id);
        let users = self.associations.users.set(users);
        self.associations.replace_group(number, Some(Members { enabled, users }));
        self.associations.groups.of(number).changed = true;
    }

    /// Forgets a group.
    pub fn remove_group(&mut self, id: &str) {
        let number = self.associations.groups.number(id);
        self.associations.replace_group(number, None);
        self.associations.groups.of(number).record = None;
    }

    /// Puts a permission, whose patterns are known, in the place of the one with its id.
    pub fn replace_permission(&mut self, entity: &Entity<'_>) {
        let known = entity.extensions.iter().filter_map(|text| self.tables.texts.get(*text));
        let patterns: Box<[u32]> = known.flat_map(|text| text.places.iter().copied()).collect();
        let Permission { id, allows, password, enabled, .. } = entity.row;
        let slot = self.slot_for(Slot { permission: id, allows, has_password: password.is_some(), patterns });
        let associations = &mut self.associations;
        let associated = Associated {
            slot,
            enabled,
            has_patterns: !entity.extensions.is_empty(),
            users: associations.users.set(entity.users.iter().copied()),
            groups: associations.groups.set(entity.groups.iter().copied()),
            outcalls: associations.outcalls.set(entity.outcalls.iter().copied()),
        };
        associations.replace_permission(id, Some(associated));
        self.tables.set_permission(slot, &entity.row, &entity.extensions, &self.builder);
    }

    /// Forgets a permission.
    pub fn remove_permission(&mut self, id: u64) {
        self.associations.replace_permission(id, None);
        self.tables.remove_permission(id);
    }

    /// Writes a group's record if the group was touched or has changed; its members are touched if theirs must follow.
    pub fn write_group(&mut self, id: &str, name: &str) {
        let number = self.associations.groups.number(id);
        let group = self.associations.groups.of(number);
        let (touched, changed) = (group.touched, std::mem::take(&mut group.changed));
        if touched || changed {
            let moved = self.tables.set_group(group, id, name);
            if touched || moved {
                self.associations.touch_members(number);
            }
        }
    }

    /// The profile of a user.
    pub fn profile_of_user(&mut self, user: u32) -> Profile {
        let holder = &self.associations.users.known[user as usize];
        let own = self.associations.applying(holder.slots.iter().copied());
        if holder.groups.is_empty() {
            return [own, Vec::new(), Vec::new()];
        }
        if let Some(slots) = self.in_groups.get(&holder.groups[..]) {
            return [own, slots.clone(), Vec::new()];
        }
        let slots = self.associations.applying_in(&holder.groups);
        self.in_groups.insert(holder.groups[..].into(), slots.clone());
        [own, slots, Vec::new()]
    }

    /// The profile of an outcall.
    pub fn profile_of_outcall(&self, outcall: u32) -> Profile {
        let slots = &self.associations.outcalls.known[outcall as usize].slots;
        [Vec::new(), Vec::new(), self.associations.applying(slots.iter().copied())]
    }

    /// Writes a user's record.
    pub fn write_user(&mut self, number: u32, user: &User<'_>, root: u32) {
        let Associations { users, groups, .. } = &mut self.associations;
        let holder = users.of(number);
        let records: Vec<u32> =
            holder.groups.iter().map(|&group| groups.of(group).record.map_or(0, |(start, _)| start)).collect();
        self.tables.set_user(user, root, holder, records);
    }

    /// Removes a user.
    pub fn remove_user(&mut self, uuid: &str) {
        let number = self.associations.users.number(uuid);
        self.tables.remove_user(uuid, self.associations.users.of(number));
    }

    /// Writes an outcall's record.
    pub fn write_outcall(&mut self, number: u32, id: &str, name: &str, root: u32) {
        self.tables.set_outcall(id, name, root, &self.associations.outcalls.known[number as usize].slots);
    }

    /// The root of a profile that has one.
    pub fn root(&self, profile: &Profile) -> Option<u32> {
        if profile.iter().all(Vec::is_empty) { Some(DEAD) } else { self.roots.get(&key(profile)[..]).copied() }
    }

    /// Remembers a profile's root.
    pub fn remember(&mut self, profile: &Profile, root: u32) {
        self.roots.insert(key(profile).into(), root);
    }

    /// How many patterns a profile has; `None`: it has slots that do not exist.
    pub fn patterns(&self, profile: &Profile) -> Option<usize> {
        profile.iter().flatten().map(|&slot| Some(self.slot(slot)?.patterns.len())).sum()
    }

    /// Builds a profile, all of whose slots exist; `hard`: no rows are tried.
    pub fn build(&mut self, profile: &Profile, hard: bool) -> u32 {
        let mut ranked = Vec::new();
        for (stage, indices) in profile.iter().enumerate() {
            for &index in indices {
                let slot = &self.slots[index as usize];
                let decision = slot.decision();
                // As `precedence.py` and `verdict.py` have it.
                let verdict = index << 4 | (stage as u32) << 2 | decision;
                ranked.push(((stage, decision, Reverse(slot.permission)), verdict, &slot.patterns));
            }
        }
        ranked.sort_unstable_by_key(|&(rank, verdict, _)| (rank, verdict));
        let mut items: Vec<Item> = Vec::new();
        for (_, verdict, places) in ranked {
            let first = items.len();
            items.extend(places.iter().map(|&place| Item { verdict, place }));
            items[first..].sort_unstable();
        }
        self.builder.profile(items, hard)
    }

    /// The sections of a blob.
    pub fn sections<'a>(&'a self, meta: &'a [u8], symbols: &'a [u8], dialling: &'a [u8]) -> [Content<'a>; 16] {
        let Self { builder, tables, .. } = self;
        let joined = |(head, rest)| Content::Joined(head, rest);
        let aliases = if tables.aliases.is_empty() { Content::Bytes(&[]) } else { joined(tables.aliases.section()) };
        [
            Content::Bytes(meta),
            Content::Bytes(symbols),
            Content::Bytes(&builder.blocks),
            Content::Words(&builder.leaves),
            Content::Words(&builder.programs),
            Content::Bytes(&builder.literals),
            Content::Bytes(&builder.wide),
            joined(tables.users.section()),
            joined(tables.outcalls.section()),
            Content::Words(&tables.records),
            Content::Bytes(&tables.permissions),
            Content::Words(&tables.patterns),
            Content::Bytes(&tables.strings),
            Content::Bytes(&tables.secrets.bytes),
            aliases,
            Content::Bytes(dialling),
        ]
    }

    /// The index of a slot, which is a new one where the permission had none like it.
    fn slot_for(&mut self, slot: Slot) -> u32 {
        let known = self.slots_of.entry(slot.permission).or_default();
        let same = |&&index: &&u32| {
            let other = &self.slots[index as usize];
            (other.allows, other.has_password) == (slot.allows, slot.has_password) && other.patterns == slot.patterns
        };
        if let Some(&index) = known.iter().find(same) {
            return index;
        }
        let index = self.slots.len() as u32;
        known.push(index);
        self.slots.push(slot);
        index
    }
}

fn key(profile: &Profile) -> Vec<u32> {
    let [users, groups, outcalls] = profile;
    let lengths = [users.len() as u32, groups.len() as u32];
    [&lengths[..], users, groups, outcalls].concat()
}
