//! One profile's automaton (`profiles.py`): subset construction over its ranked items, put together into blocks.

use std::collections::VecDeque;

use super::builder::{Builder, LEAF, VERDICT};
use super::state::{Item, Map, Set, State, Target};
use super::wide::widen;
use crate::rules::automaton::{END, FULL_WIDTH};

/// Bytes that a cell can lead ahead.
const FARTHEST: usize = 255;
/// Rows of a block that has just been begun; a long block is filled again, shorter, if there are too many exits.
const ROWS_A_BLOCK: usize = 16;
/// Items of a state above which a second row would have too many exits.
const FEW_ITEMS: usize = 16;
/// Tokens of a pattern, the only one left, for which a profile has rows of its own; the rows for more are shared.
const SHORT_REST: u32 = 3;
/// Items of a state whose row counts once.
const ITEMS_A_ROW: usize = 32;
const PATTERNS_A_BUDGET: usize = 1024;
const SYMBOLS: usize = FULL_WIDTH as usize;
/// Items of a state whose moves, two each, have a bit of a number.
const FEW_MOVING: usize = 32;

/// The root of a profile that has these items, best first, and so many rows for every 1,024 of them.
pub fn build(builder: &mut Builder, start: State, rows: usize) -> u32 {
    let budget = rows * (1 + start.len() / PATTERNS_A_BUDGET);
    let mut profile = Profile {
        builder,
        start: State::clone(&start),
        budget,
        states: Map::default(),
        queue: VecDeque::new(),
        wide: None,
    };
    let target = profile.settled(Target::State(start));
    let root = profile.value(&target);
    while let Some((block, exits)) = profile.queue.pop_front() {
        for (number, target) in exits.iter().enumerate() {
            let value = profile.value(target);
            profile.builder.lead(block, number + 1, value);
        }
    }
    let Profile { builder, states, wide, .. } = profile;
    if wide.is_none() {
        builder.shared.extend(states);
    }
    root
}

struct Profile<'a> {
    builder: &'a mut Builder,
    start: State,
    budget: usize,
    states: Map<State, u32>,
    /// Blocks whose exits have no values yet.
    queue: VecDeque<(u32, Vec<Target>)>,
    /// The value of the whole profile's wide record, where it has one.
    wide: Option<u32>,
}

/// A block under construction: the states of its rows, the rows, and the targets of its exits, numbered from 1.
struct Block {
    states: Vec<State>,
    rows: Vec<u8>,
    exits: Vec<Target>,
}

impl Block {
    /// The number of the exit to a target, which is a new one where there is none.
    fn exit(&mut self, target: Target) -> usize {
        let found = self.exits.iter().position(|one| *one == target).unwrap_or_else(|| {
            self.exits.push(target);
            self.exits.len() - 1
        });
        found + 1
    }
}

impl Profile<'_> {
    /// The value of a target that `settled` returned.
    fn value(&mut self, target: &Target) -> u32 {
        let state = match target {
            Target::Value(value) => return *value,
            Target::State(state) => state,
        };
        let known = self.states.get(state).or_else(|| self.builder.shared.get(state)).copied();
        known.unwrap_or_else(|| self.new_value(state))
    }

    /// The value of a state that is not empty, if known at once; else the state, pruned.
    fn settled(&mut self, target: Target) -> Target {
        let Target::State(mut state) = target else { return target };
        if state.len() > 1 {
            state = self.prune(state);
        }
        if let [item] = *state {
            if self.builder.accepts_all(item.place) {
                return Target::Value(VERDICT + item.verdict);
            }
            if let Some(literal) = self.builder.literal(item) {
                return Target::Value(literal);
            }
        }
        Target::State(state)
    }

    /// The state without the items that a better one makes irrelevant.
    fn prune(&self, state: State) -> State {
        let mut kept: Vec<Item> = Vec::with_capacity(state.len());
        let mut seen: Set<u32> = Set::default();
        for &item in &*state {
            let again = if state.len() <= FEW_ITEMS {
                kept.iter().any(|one| one.place == item.place)
            } else {
                !seen.insert(item.place)
            };
            if again {
                continue;
            }
            kept.push(item);
            if self.builder.accepts_all(item.place) {
                break;
            }
        }
        if kept.len() == state.len() { state } else { kept.into() }
    }

    /// Makes a block that is entered in this state, of as many rows as there is room for.
    fn new_value(&mut self, state: &State) -> u32 {
        let mut rows = if state.len() <= FEW_ITEMS { ROWS_A_BLOCK } else { 1 };
        while self.budget >= cost(state) {
            let before = self.budget;
            self.budget -= cost(state);
            // With more exits than cells can name: those of fewer rows are fewer.
            let Some(block) = self.fill(state, rows) else {
                self.budget = before;
                rows = (rows / 4).max(1);
                continue;
            };
            let Some(value) = self.builder.block(&block.rows, block.exits.len()) else { break };
            self.states.insert(State::clone(state), value);
            self.queue.push_back((value, block.exits));
            return value;
        }
        self.without_rows(state)
    }

    /// A block of at most so many rows; `None` where it would have more exits than cells can name.
    ///
    /// A target without a row in the block is an exit. The exits of one row are never too many: at most one per symbol.
    fn fill(&mut self, entry: &State, limit: usize) -> Option<Block> {
        let (width, length) = (self.builder.width, self.builder.width + 1);
        let mut block = Block { states: vec![State::clone(entry)], rows: Vec::new(), exits: Vec::new() };
        let mut known: Map<State, Target> = Map::default();
        let mut number = 0;
        while number < block.states.len() {
            block.rows.resize((number + 1) * length, 0);
            let farthest = number + FARTHEST / length;
            for (alive, symbols) in self.moved(&block.states[number]) {
                let target = self.settled_once(alive, &mut known);
                let ahead = match &target {
                    Target::Value(_) => None,
                    Target::State(state) => self.row(&mut block, state, limit.min(farthest + 1)),
                };
                let cell = match ahead.filter(|ahead| (number + 1..=farthest).contains(ahead)) {
                    Some(ahead) => (ahead - number) * length,
                    None => Some(block.exit(target)).filter(|&exit| exit <= width)?,
                };
                for symbol in bits(symbols) {
                    block.rows[number * length + symbol] = cell as u8;
                }
            }
            number += 1;
        }
        Some(block)
    }

    /// `settled`, which remembers what it said.
    fn settled_once(&mut self, alive: Target, known: &mut Map<State, Target>) -> Target {
        let Target::State(state) = alive else { return alive };
        if let Some(target) = known.get(&state) {
            return target.clone();
        }
        let target = self.settled(Target::State(State::clone(&state)));
        known.insert(state, target.clone());
        target
    }

    /// The number of the row of a block for this state: the one that it has, or a new one where there is room.
    fn row(&mut self, block: &mut Block, state: &State, limit: usize) -> Option<usize> {
        let found = block.states.iter().position(|one| one == state);
        if found.is_some() || !self.has_room(state, block.states.len(), limit) {
            return found;
        }
        block.states.push(State::clone(state));
        self.budget -= cost(state);
        Some(block.states.len() - 1)
    }

    /// Whether a block with so many rows shall have one for this state, rather than lead to a shared block.
    fn has_room(&self, state: &State, rows: usize, limit: usize) -> bool {
        if rows >= limit || self.budget < cost(state) || self.builder.shared.contains_key(state) {
            return false;
        }
        state.len() > 1 || self.builder.rest(state[0].place) <= SHORT_REST
    }

    /// The targets of a state, each with the symbols that lead there: the items alive then; at END, a verdict.
    fn moved(&self, state: &State) -> Vec<(Target, u32)> {
        if let [item] = **state
            && let (Some((symbols, place)), None) = self.builder.moves(item.place)
        {
            return vec![(Target::State([Item { place, ..item }].into()), symbols)];
        }
        let mut moved: Vec<(Target, u32)> = Vec::with_capacity(SYMBOLS);
        let mut add = |items: &[Item], symbols: u32| {
            let same = |target: &Target| matches!(target, Target::State(state) if **state == *items);
            match moved.iter_mut().find(|(target, _)| same(target)) {
                Some((_, others)) => *others |= symbols,
                None => moved.push((Target::State(items.into()), symbols)),
            }
        };
        if state.len() <= FEW_MOVING {
            self.few_moved(state, &mut add);
        } else {
            self.many_moved(state, &mut add);
        }
        if let Some(item) = state.iter().find(|item| self.builder.accepts(item.place)) {
            moved.push((Target::Value(VERDICT + item.verdict), 1 << END));
        }
        moved
    }

    /// What `moved` is made of, for few items: each with the symbols that lead there. A bit stands for a move of an item.
    fn few_moved(&self, state: &State, add: &mut impl FnMut(&[Item], u32)) {
        let mut after = [Item { verdict: 0, place: 0 }; 2 * FEW_MOVING];
        let mut alive = [0_u64; SYMBOLS];
        let mut order = [0; SYMBOLS];
        let mut seen = 0;
        for (number, &item) in state.iter().enumerate() {
            let (first, second) = self.builder.moves(item.place);
            for (other, (symbols, place)) in [first, second].into_iter().flatten().enumerate() {
                let bit = 2 * number + other;
                after[bit] = Item { place, ..item };
                for symbol in bits(symbols) {
                    if alive[symbol] == 0 {
                        order[seen] = symbol;
                        seen += 1;
                    }
                    alive[symbol] |= 1 << bit;
                }
            }
        }
        let mut items = Vec::with_capacity(after.len());
        let order = &order[..seen];
        for (at, &symbol) in order.iter().enumerate() {
            let living = alive[symbol];
            if order[..at].iter().any(|&before| alive[before] == living) {
                continue;
            }
            let same = order[at..].iter().filter(|&&other| alive[other] == living);
            let symbols = same.fold(0, |symbols, other| symbols | 1 << other);
            items.clear();
            items.extend((0..after.len()).filter(|bit| living >> bit & 1 == 1).map(|bit| after[bit]));
            add(&items, symbols);
        }
    }

    /// The same for any number of items.
    fn many_moved(&self, state: &State, add: &mut impl FnMut(&[Item], u32)) {
        let mut alive: [Vec<Item>; SYMBOLS] = Default::default();
        let mut order = Vec::with_capacity(SYMBOLS);
        for &item in &**state {
            let (first, second) = self.builder.moves(item.place);
            for (symbols, place) in [first, second].into_iter().flatten() {
                for symbol in bits(symbols) {
                    if alive[symbol].is_empty() {
                        order.push(symbol);
                    }
                    alive[symbol].push(Item { place, ..item });
                }
            }
        }
        for symbol in order {
            add(&alive[symbol], 1 << symbol);
        }
    }

    /// The value of a state without a row: a leaf that tries the items, or the whole profile's wide record.
    fn without_rows(&mut self, state: &State) -> u32 {
        if state.len() > self.builder.limits.leaf {
            if let Some(wide) = self.wide {
                return wide;
            }
            let wide = widen(self.builder, &self.start);
            self.wide = Some(wide);
            return wide;
        }
        let value = LEAF + self.builder.leaves.len() as u32;
        self.states.insert(State::clone(state), value);
        self.builder.leaves.push(state.len() as u32);
        for item in &**state {
            let program = self.builder.program(item.place);
            self.builder.leaves.extend_from_slice(&[item.verdict, program.kind, program.first]);
        }
        value
    }
}

/// The rows of the budget that a row for this state uses up.
fn cost(state: &State) -> usize {
    1 + state.len() / ITEMS_A_ROW
}

/// The bits that are set, lowest first.
pub fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        lowest
    })
}
