//! States of a profile's automaton, and maps by state.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// A verdict, and the position that the match of its pattern has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    pub verdict: u32,
    pub place: u32,
}

/// The items that are alive, best first.
pub type State = Arc<[Item]>;

/// A value, or the state whose value is still to be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    Value(u32),
    State(State),
}

/// A map whose keys are numbers of our own, which nobody chooses so that they collide.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// A set of such keys.
pub type Set<K> = HashSet<K, BuildHasherDefault<Mixer>>;

/// A hash of numbers by multiplication.
#[derive(Default)]
pub struct Mixer(u64);

impl Mixer {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    #[inline]
    const fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(Self::FACTOR);
    }
}

impl Hasher for Mixer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for &word in words {
            self.mix(u64::from_le_bytes(word));
        }
        for &byte in rest {
            self.mix(u64::from(byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The map takes the highest bits and the lowest ones: all of them depend on everything here.
        self.0 ^ (self.0 >> 32)
    }
}
