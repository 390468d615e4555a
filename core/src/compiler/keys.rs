//! Hash tables as they are written (`TableBuilder` of `keytable.py`), kept up to date key by key.

use crate::rules::table::{HASHED_BY_CHECKSUM, NUMBERS, PART, checksum};

const WORD: usize = 4;
/// Slots that a key may lie behind the slot of its hash, before another hash is tried.
const CROWD: usize = 256;

/// Where in a key the eight bytes are that are its hash; `None`: it is hashed by CRC-32.
type Way = Option<usize>;

/// The section of a table.
#[derive(Debug)]
pub struct KeyTable {
    slots: usize,
    count: usize,
    width: usize,
    /// The remaining ways to hash keys, the one in use first.
    ways: Vec<Way>,
    table: Vec<u8>,
}

impl KeyTable {
    /// `width`: the least number of bytes of a slot's key.
    pub fn new(width: usize) -> Self {
        let mut ways =
            if width >= PART && width.is_multiple_of(WORD) { vec![Some(width - PART), Some(0)] } else { Vec::new() };
        ways.push(None);
        let mut made = Self { slots: 1, count: 0, width: 0, ways: Vec::new(), table: Vec::new() };
        made.shape(width, ways);
        made.table = vec![0; 2 * made.size()];
        made
    }

    /// The number of keys.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no key.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Makes room for that many keys at once, which is quicker than growing with each.
    pub fn reserve(&mut self, keys: usize) {
        if keys * 5 > self.slots * 3 {
            self.rebuild(keys * 2 + 1, self.width, self.ways.clone());
        }
    }

    /// Sets the numbers of a key, which is not empty and holds no zero byte.
    pub fn set(&mut self, key: &[u8], numbers: (u32, u32)) {
        if !self.fits(key) {
            self.rebuild(self.slots, key.len().max(self.width), vec![None]);
        }
        let (mut at, found) = self.seek(key);
        if !found {
            if (self.count + 1) * 5 > self.slots * 3 {
                self.rebuild(self.slots * 2 + 1, self.width, self.ways.clone());
            }
            while !self.insert(key) {
                self.rebuild(self.slots, self.width, self.ways[1..].to_vec());
            }
            self.count += 1;
            at = self.seek(key).0;
        }
        let at = at + self.width;
        self.table[at..at + WORD].copy_from_slice(&numbers.0.to_le_bytes());
        self.table[at + WORD..at + NUMBERS].copy_from_slice(&numbers.1.to_le_bytes());
    }

    /// Removes a key, if the table has it.
    pub fn remove(&mut self, key: &[u8]) {
        let (mut hole, found) = if self.fits(key) { self.seek(key) } else { (0, false) };
        if !found {
            return;
        }
        self.count -= 1;
        let size = self.size();
        let mut at = hole + size;
        while self.table[at] != 0 {
            // A key that was pushed behind the hole moves into the hole, or a search for that key would end there.
            if self.home(key_of(&self.table[at..at + self.width])) <= hole {
                self.table.copy_within(at..at + size, hole);
                hole = at;
            }
            at += size;
        }
        self.table[hole..hole + size].fill(0);
    }

    /// The section in two parts: its head, and its slots.
    pub fn section(&self) -> ([u8; 16], &[u8]) {
        let way = self.ways[0].map_or(HASHED_BY_CHECKSUM, |part| part as u32);
        let mut head = [0; 16];
        for (place, word) in [self.slots as u32, self.width as u32, self.count as u32, way].into_iter().enumerate() {
            head[place * WORD..][..WORD].copy_from_slice(&word.to_le_bytes());
        }
        (head, &self.table)
    }

    /// Bytes of a slot.
    const fn size(&self) -> usize {
        self.width + NUMBERS
    }

    fn shape(&mut self, width: usize, ways: Vec<Way>) {
        self.width = width.next_multiple_of(WORD);
        self.ways = ways;
    }

    fn fits(&self, key: &[u8]) -> bool {
        key.len() == self.width || (key.len() < self.width && self.ways[0].is_none())
    }

    fn home(&self, key: &[u8]) -> usize {
        let hash = match self.ways[0] {
            Some(part) => key[part..].first_chunk().map_or(0, |part| u64::from_le_bytes(*part)),
            None => u64::from(checksum(key)),
        };
        (hash % self.slots as u64) as usize * self.size()
    }

    /// The slot of a key that fits, or else the slot for inserting it; and whether the key is there.
    fn seek(&self, key: &[u8]) -> (usize, bool) {
        let mut at = self.home(key);
        while self.table[at] != 0 {
            let found = &self.table[at..at + self.width];
            if found[..key.len()] == *key && found[key.len()..].iter().all(|&byte| byte == 0) {
                return (at, true);
            }
            at += self.size();
        }
        (at, false)
    }

    /// Inserts a new key, and keeps a slot empty at the end; `false`, and nothing written, in a crowd.
    fn insert(&mut self, key: &[u8]) -> bool {
        let (at, _) = self.seek(key);
        if self.ways.len() > 1 && at - self.home(key) > CROWD * self.size() {
            return false;
        }
        self.table[at..at + key.len()].copy_from_slice(key);
        if at + self.size() == self.table.len() {
            self.table.resize(at + 2 * self.size(), 0);
        }
        true
    }

    /// Builds the table anew, with the first of these ways to hash by which keys do not crowd.
    fn rebuild(&mut self, slots: usize, width: usize, mut ways: Vec<Way>) {
        let (old, old_width, old_size) = (std::mem::take(&mut self.table), self.width, self.size());
        self.slots = slots;
        loop {
            self.shape(width, ways.clone());
            self.table = vec![0; (slots + 1) * self.size()];
            let mut kept = old.chunks_exact(old_size).filter(|slot| slot[0] != 0);
            if kept.all(|slot| self.take(slot, old_width)) {
                return;
            }
            ways.remove(0);
        }
    }

    /// Inserts the key and the numbers of a slot of the table before; `false` in a crowd.
    fn take(&mut self, slot: &[u8], width: usize) -> bool {
        let key = key_of(&slot[..width]);
        if !self.insert(key) {
            return false;
        }
        let at = self.seek(key).0 + self.width;
        self.table[at..at + NUMBERS].copy_from_slice(&slot[width..]);
        true
    }
}

/// A slot's key without the zeros behind it.
fn key_of(padded: &[u8]) -> &[u8] {
    let length = padded.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &padded[..length]
}
