//! Wide records: whole profiles as bit-parallel automata (`automaton.py`).

use super::builder::{Builder, LEAF, STAR};
use super::profile::bits;
use super::state::Item;

const WIDE: u32 = 1 << 31;

/// The value of a wide record for a whole profile, given by its patterns' first positions.
pub fn widen(builder: &mut Builder, items: &[Item]) -> u32 {
    let programs: Vec<Vec<u32>> = items.iter().map(|item| builder.tokens(item.place).to_vec()).collect();
    let size = (programs.iter().map(Vec::len).sum::<usize>() + programs.len()).div_ceil(8);
    let (mut first, mut stars, mut last) = (vec![0; size], vec![0; size], vec![0; size]);
    let mut symbols = vec![vec![0; size]; builder.width];
    let mut finals = Vec::with_capacity(items.len());
    let mut at = 0;
    for tokens in &programs {
        set_bit(&mut first, at);
        for &token in tokens {
            if token == STAR {
                set_bit(&mut stars, at);
            } else {
                for symbol in bits(builder.columns(token)) {
                    set_bit(&mut symbols[symbol], at);
                }
            }
            at += 1;
        }
        set_bit(&mut last, at);
        finals.push(at as u32);
        at += 1;
    }
    let value = LEAF + builder.leaves.len() as u32;
    builder.leaves.extend_from_slice(&[WIDE | items.len() as u32, builder.wide.len() as u32, size as u32]);
    builder.leaves.extend(finals);
    builder.leaves.extend(items.iter().map(|item| item.verdict));
    for mask in [first, stars, last].iter().chain(&symbols) {
        builder.wide.extend_from_slice(mask);
    }
    value
}

fn set_bit(mask: &mut [u8], bit: usize) {
    mask[bit >> 3] |= 1 << (bit & 7);
}
