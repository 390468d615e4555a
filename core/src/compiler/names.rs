//! Numbers for the ids of entities: an id has its number for as long as its tenant is compiled by edits.

use std::collections::HashMap;
use std::sync::Arc;

/// Ids by number, and what is known of each.
#[derive(Debug, Default)]
pub struct Names<T> {
    numbers: HashMap<Arc<str>, u32>,
    ids: Vec<Arc<str>>,
    pub known: Vec<T>,
}

impl<T: Default> Names<T> {
    /// The number of an id, which is a new one where there is none.
    pub fn number(&mut self, id: &str) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = self.ids.len() as u32;
        let id: Arc<str> = id.into();
        self.numbers.insert(Arc::clone(&id), number);
        self.ids.push(id);
        self.known.push(T::default());
        number
    }

    /// The numbers of ids, each once, in ascending order.
    pub fn set<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) -> Box<[u32]> {
        let mut numbers: Vec<u32> = ids.into_iter().map(|id| self.number(id)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into()
    }

    /// The id of a number.
    pub fn id(&self, number: u32) -> &Arc<str> {
        &self.ids[number as usize]
    }

    /// What is known of a number.
    pub fn of(&mut self, number: u32) -> &mut T {
        &mut self.known[number as usize]
    }
}
