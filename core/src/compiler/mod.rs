//! Compiling a tenant's rules: what `sections.py` of `pdp/rules/compiler`, and all that it stands on, do in Python, byte for byte.
//!
//! The Python modules are the description, and say why it is done so; property tests hold the two together.

pub mod associations;
pub mod builder;
pub mod keys;
pub mod names;
pub mod parser;
pub mod profile;
pub mod rules;
pub mod seal;
pub mod secrets;
pub mod state;
pub mod tables;
mod wide;
