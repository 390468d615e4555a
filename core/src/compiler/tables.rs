//! The sections that describe the tenant, as opposed to its automata (`Tables` of `writer.py`).

use std::collections::HashMap;

use super::associations::{Group, Holder};
use super::builder::Builder;
use super::keys::KeyTable;
use super::secrets::Secrets;

const UUID: usize = 36;
const WORD: usize = 4;
const PATTERN_WORDS: usize = 4;
/// Bytes of a permission's row, and of the name in it behind the byte with its length.
const ROW: usize = 64;
const NAME: usize = 35;
const ALLOWS: u32 = 1;
const HAS_PASSWORD: u32 = 2;
const ENABLED: u32 = 4;

/// A user, as it is written.
#[derive(Debug)]
pub struct User<'a> {
    pub uuid: &'a str,
    pub password: Option<&'a str>,
    pub name: &'a str,
    pub extension: &'a str,
    pub aliases: Vec<&'a str>,
}

/// What a permission's row says beside its patterns.
#[derive(Debug)]
pub struct Permission<'a> {
    pub id: u64,
    pub name: &'a str,
    pub allows: bool,
    pub password: Option<&'a str>,
    pub enabled: bool,
}

/// A pattern's text, its row in PATTERNS once it has one, and the first positions of its items.
#[derive(Debug)]
pub struct Text {
    number: Option<u32>,
    pub places: Box<[u32]>,
}

/// The sections.
#[derive(Debug)]
pub struct Tables {
    pub users: KeyTable,
    pub outcalls: KeyTable,
    pub aliases: KeyTable,
    pub records: Vec<u32>,
    pub permissions: Vec<u8>,
    pub patterns: Vec<u32>,
    pub strings: Vec<u8>,
    pub secrets: Secrets,
    /// Patterns by text.
    pub texts: HashMap<Box<str>, Text>,
    /// The numbers of permissions' secrets, by id.
    permission_secrets: HashMap<u64, u32>,
    /// The aliases of users that have any, and the user of each alias.
    user_aliases: HashMap<Box<str>, Vec<Box<str>>>,
    alias_owners: HashMap<Box<str>, Box<str>>,
}

impl Tables {
    pub fn new(secrets: Secrets) -> Self {
        Self {
            users: KeyTable::new(UUID),
            outcalls: KeyTable::new(WORD),
            aliases: KeyTable::new(WORD),
            records: Vec::new(),
            permissions: Vec::new(),
            patterns: Vec::new(),
            strings: Vec::new(),
            secrets,
            texts: HashMap::new(),
            permission_secrets: HashMap::new(),
            user_aliases: HashMap::new(),
            alias_owners: HashMap::new(),
        }
    }

    /// Bytes of the tables that grow with every change.
    pub const fn size(&self) -> usize {
        (self.records.len() + self.patterns.len()) * WORD + self.permissions.len() + self.strings.len()
    }

    /// Remembers the first positions of a pattern's items.
    pub fn know(&mut self, text: &str, places: Box<[u32]>) {
        self.texts.insert(text.into(), Text { number: None, places });
    }

    /// Writes a permission's row; its patterns are known.
    pub fn set_permission(&mut self, slot: u32, permission: &Permission<'_>, texts: &[&str], builder: &Builder) {
        let end = (slot as usize + 1) * ROW;
        self.permissions.resize(self.permissions.len().max(end), 0);
        let numbers: Vec<u32> = texts.iter().map(|text| self.pattern(text, builder)).collect();
        let list = self.list(&numbers);
        let secret = self.set_secret(permission.id, permission.password);
        let long = if permission.name.len() >= NAME { self.string(permission.name) } else { (0, 0) };
        let flags =
            [(permission.allows, ALLOWS), (permission.password.is_some(), HAS_PASSWORD), (permission.enabled, ENABLED)];
        let flags = flags.into_iter().filter(|(is, _)| *is).fold(0, |flags, (_, flag)| flags | flag);
        let row = &mut self.permissions[end - ROW..end];
        row.fill(0);
        row[..8].copy_from_slice(&permission.id.to_le_bytes());
        let name = permission.name.as_bytes();
        let name = &name[..name.len().min(NAME)];
        row[8] = name.len() as u8;
        row[9..9 + name.len()].copy_from_slice(name);
        for (at, word) in [flags, list, secret, long.0, long.1].into_iter().enumerate() {
            row[9 + NAME + at * WORD..][..WORD].copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Wipes a permission's password; its row stays, without references.
    pub fn remove_permission(&mut self, id: u64) {
        self.set_secret(id, None);
    }

    /// Writes a group's record and returns whether that has moved.
    pub fn set_group(&mut self, group: &mut Group, id: &str, name: &str) -> bool {
        let ((id, id_length), (name, name_length)) = (self.string(id), self.string(name));
        let enabled = group.members.as_ref().is_some_and(|members| members.enabled);
        let head = [id, id_length, name, name_length, if enabled { ENABLED } else { 0 }, group.slots.len() as u32];
        if let Some((start, room)) = group.record
            && group.slots.len() <= room
        {
            let record = &mut self.records[start as usize..];
            record[..head.len()].copy_from_slice(&head);
            record[head.len()..head.len() + group.slots.len()].copy_from_slice(&group.slots);
            return false;
        }
        group.record = Some((self.records.len() as u32, group.slots.len()));
        self.records.extend_from_slice(&head);
        self.records.extend_from_slice(&group.slots);
        true
    }

    /// Writes a user's record, after those of its groups, which start there.
    pub fn set_user(&mut self, user: &User<'_>, root: u32, holder: &mut Holder, groups: impl IntoIterator<Item = u32>) {
        holder.secret = self.secrets.set(holder.secret, "user", user.uuid, user.password);
        self.users.set(user.uuid.as_bytes(), (root, self.records.len() as u32));
        let (name, extension) = (self.string(user.name), self.string(user.extension));
        self.records.extend([holder.secret, holder.slots.len() as u32]);
        self.records.extend_from_slice(&holder.slots);
        self.records.push(holder.groups.len() as u32);
        self.records.extend(groups);
        self.records.extend([name.0, name.1, extension.0, extension.1]);
        if !user.aliases.is_empty() || !self.user_aliases.is_empty() {
            self.set_aliases(user.uuid, &user.aliases);
        }
    }

    /// Removes a user.
    pub fn remove_user(&mut self, uuid: &str, holder: &mut Holder) {
        self.users.remove(uuid.as_bytes());
        self.set_aliases(uuid, &[]);
        holder.secret = self.secrets.set(holder.secret, "user", uuid, None);
    }

    /// Writes an outcall's record.
    pub fn set_outcall(&mut self, id: &str, name: &str, root: u32, slots: &[u32]) {
        self.outcalls.set(id.as_bytes(), (root, self.records.len() as u32));
        let (id, name) = (self.string(id), self.string(name));
        self.records.extend([id.0, id.1, name.0, name.1]);
        self.list(slots);
    }

    /// Gives a user these aliases, in place of its old ones.
    fn set_aliases(&mut self, user: &str, aliases: &[&str]) {
        let before = self.user_aliases.remove(user).unwrap_or_default();
        if !aliases.is_empty() {
            self.user_aliases.insert(user.into(), aliases.iter().map(|&alias| alias.into()).collect());
        }
        if before.iter().map(|alias| &**alias).eq(aliases.iter().copied()) {
            return;
        }
        for alias in &before {
            // Else another user of the same edit has the alias by now.
            if self.alias_owners.get(alias).is_some_and(|owner| **owner == *user) {
                self.alias_owners.remove(alias);
                self.aliases.remove(alias.as_bytes());
            }
        }
        let place = self.string(user);
        for &alias in aliases {
            self.alias_owners.insert(alias.into(), user.into());
            self.aliases.set(alias.as_bytes(), place);
        }
    }

    /// The number of a known pattern in PATTERNS.
    fn pattern(&mut self, text: &str, builder: &Builder) -> u32 {
        let Some(known) = self.texts.get_mut(text) else { return 0 };
        if let Some(number) = known.number {
            return number;
        }
        let number = (self.patterns.len() / PATTERN_WORDS) as u32;
        known.number = Some(number);
        let first = known.places[0];
        let (start, length) = self.string(text);
        self.patterns.extend([start, length, builder.program(first).kind, first]);
        number
    }

    /// Writes a list and returns where it starts.
    fn list(&mut self, members: &[u32]) -> u32 {
        let start = self.records.len() as u32;
        self.records.push(members.len() as u32);
        self.records.extend_from_slice(members);
        start
    }

    fn string(&mut self, text: &str) -> (u32, u32) {
        let start = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        (start, text.len() as u32)
    }

    fn set_secret(&mut self, permission: u64, password: Option<&str>) -> u32 {
        let before = self.permission_secrets.get(&permission).copied().unwrap_or_default();
        if before == 0 && password.is_none() {
            return 0;
        }
        let number = self.secrets.set(before, "permission", &permission.to_string(), password);
        if number == 0 {
            self.permission_secrets.remove(&permission);
        } else {
            self.permission_secrets.insert(permission, number);
        }
        number
    }
}
