//! Automata for Python's compiler: `Automata` does what `AutomatonBuilder` does in Python.

use std::borrow::Cow;
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
    /// By a slot's number, the first positions of its patterns in ascending order.
    slots: Vec<Vec<u32>>,
}

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

    /// The next slot has patterns with these first positions.
    fn add_slot(&self, mut places: Vec<u32>) -> PyResult<()> {
        let mut growing = self.growing();
        growing.check(&places)?;
        places.sort_unstable();
        growing.slots.push(places);
        Ok(())
    }

    /// The root of a profile, given by the verdicts of its slots, best first; `hard`: no rows are tried.
    #[pyo3(signature = (verdicts, *, hard=false))]
    fn profile(&self, verdicts: Vec<u32>, hard: bool) -> PyResult<u32> {
        let growing = &mut *self.growing();
        let mut items = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            let places = growing.slots.get((verdict >> 4) as usize).ok_or_else(nothing)?;
            items.extend(places.iter().map(|&place| Item { verdict, place }));
        }
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
