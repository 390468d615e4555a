//! Compiling rules into automata: what `pdp/rules/compiler/automata.py` and `profiles.py` do in Python, byte for byte.
//!
//! The Python modules are the description, and say why it is done so; property tests hold the two together.

pub mod builder;
pub mod profile;
pub mod state;
mod wide;
