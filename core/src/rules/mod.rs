//! Deciding calls from snapshots where they lie: what `pdp/rules` does in Python, without a Python object.
//!
//! The Python modules are the description; this is held to the same verdicts and bytes by property tests. Whatever is
//! not plain here (a value that leads outside a blob, text beyond ASCII) is left to them.

pub mod automaton;
pub mod bytes;
pub mod dialling;
pub mod emergency;
pub mod numbering;
pub mod response;
pub mod snapshot;
pub mod table;
pub mod text;
pub mod wire;

/// A value in a snapshot leads outside of it, or is none that the format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;
