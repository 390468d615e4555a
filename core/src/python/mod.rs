//! What Python sees of the core.

use pyo3::prelude::*;

mod automata;
mod counts;
mod front;
mod limits;
mod matcher;
mod settings;
mod tuples;

/// Rightcall's gRPC front in Rust.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::{
        automata::Automata,
        counts::Counts,
        front::Front,
        limits::Limits,
        matcher::Matcher,
        settings::{FrontLimits, FrontPolicy},
    };

    /// Changes with whatever Python calls here, so that neither is used with another release of the other.
    #[pymodule_export]
    const API: u32 = 3;

    #[pymodule_export]
    const FORMAT: u32 = crate::rules::snapshot::FORMAT_VERSION;

    #[pymodule_export]
    const CHALLENGE: u32 = crate::challenge::VERSION;

    #[pymodule_export]
    const BUCKETS: [u64; 17] = crate::counters::BUCKETS;
}
