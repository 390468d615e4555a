//! Automata for Python's compiler: `Automata` does what `AutomatonBuilder` does in Python.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::compiler::builder::{Builder, Limits};
use crate::compiler::state::Item;

/// Bytes of blocks, leaves, programs, literals and wide records.
type Tables = (Bytes, Bytes, Bytes, Bytes, Bytes);
type Bytes = Cow<'static, [u8]>;

/// Grows the automata of one tenant.
#[pyclass(frozen)]
pub struct Automata {
    growing: Mutex<Growing>,
    /// From a character's code to its symbol.
    symbols: Vec<u8>,
}

struct Growing {
    builder: Builder,
    slots: Vec<Slot>,
}

/// A permission in the form that automata know.
struct Slot {
    permission: u64,
    /// 1 to 3, the stronger the lower.
    decision: u32,
    /// The first positions of its patterns, in ascending order.
    places: Vec<u32>,
}

/// The slots that apply in the stages USER, GROUP and OUTCALL.
type Profile = (Vec<u32>, Vec<u32>, Vec<u32>);

#[pymethods]
impl Automata {
    #[new]
    #[pyo3(signature = (symbols, *, gaps, rows, leaf))]
    fn new(symbols: Vec<u8>, gaps: bool, rows: usize, leaf: usize) -> Self {
        let builder = Builder::new(gaps, Limits { rows, leaf });
        Self { growing: Mutex::new(Growing { builder, slots: Vec::new() }), symbols }
    }

    #[getter]
    fn symbols(&self) -> &[u8] {
        &self.symbols
    }

    /// Bytes of the tables.
    fn size(&self) -> usize {
        self.growing().builder.size()
    }

    /// The number of symbols.
    #[getter]
    fn width(&self) -> usize {
        self.growing().builder.width
    }

    /// Bytes of the wide records.
    fn wide_size(&self) -> usize {
        self.growing().builder.wide.len()
    }

    /// The number of tokens from a position to the end of its pattern.
    fn rest(&self, place: u32) -> PyResult<u32> {
        let growing = self.growing();
        growing.check(&[place])?;
        Ok(growing.builder.rest(place))
    }

    /// The first position of a pattern, given by its tokens, of which none is 0.
    #[allow(clippy::needless_pass_by_value, reason = "what Python hands over is made into one of our own")]
    fn pattern(&self, tokens: Vec<u32>) -> u32 {
        self.growing().builder.pattern(&tokens)
    }

    /// Kind and length of the program of a pattern, given by its first position.
    fn kind(&self, place: u32) -> PyResult<u32> {
        let growing = self.growing();
        growing.check(&[place])?;
        Ok(growing.builder.program(place).kind)
    }

    /// Adds the next slot: a permission's id and decision, and the first positions of its patterns.
    fn add_slot(&self, permission: u64, decision: u32, mut places: Vec<u32>) -> PyResult<()> {
        let mut growing = self.growing();
        growing.check(&places)?;
        places.sort_unstable();
        growing.slots.push(Slot { permission, decision, places });
        Ok(())
    }

    /// The root of a profile, given by the slots of each stage; `hard`: no rows are tried.
    #[pyo3(signature = (slots, *, hard=false))]
    fn profile(&self, slots: Profile, hard: bool) -> PyResult<u32> {
        let growing = &mut *self.growing();
        let mut ranked = Vec::new();
        for (stage, indices) in [slots.0, slots.1, slots.2].into_iter().enumerate() {
            for index in indices {
                let slot = growing.slots.get(index as usize).ok_or_else(nothing)?;
                // As `precedence.py` and `verdict.py` have it.
                let verdict = index << 4 | (stage as u32) << 2 | slot.decision;
                ranked.push(((stage, slot.decision, Reverse(slot.permission)), verdict, &slot.places));
            }
        }
        ranked.sort_unstable_by_key(|&(rank, verdict, _)| (rank, verdict));
        let items =
            ranked.iter().flat_map(|&(_, verdict, places)| places.iter().map(move |&place| Item { verdict, place }));
        let items: Vec<Item> = items.collect();
        Ok(growing.builder.profile(items, hard))
    }

    /// The tables, as snapshots have them.
    fn tables(&self) -> Tables {
        let Growing { builder, .. } = &*self.growing();
        let bytes = |table: &[u8]| Cow::Owned(table.to_vec());
        let words = |table: &[u32]| Cow::Owned(table.iter().flat_map(|word| word.to_le_bytes()).collect());
        (
            bytes(&builder.blocks),
            words(&builder.leaves),
            words(&builder.programs),
            bytes(&builder.literals),
            bytes(&builder.wide),
        )
    }
}

impl Automata {
    fn growing(&self) -> MutexGuard<'_, Growing> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Growing {
    /// Fails where a position is none.
    fn check(&self, places: &[u32]) -> PyResult<()> {
        let end = self.builder.programs.len();
        if places.iter().all(|place| (*place as usize) < end) { Ok(()) } else { Err(nothing()) }
    }
}

fn nothing() -> PyErr {
    PyIndexError::new_err("there is no such pattern or slot")
}
