//! What Python sees of the core.

use pyo3::prelude::*;

mod counts;
mod front;
mod limits;
mod matcher;
mod sections;
mod settings;
mod tuples;

/// Rightcall's gRPC front in Rust.
#[pymodule(gil_used = true)]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::{PyString, PyTuple};

    #[pymodule_export]
    use super::{
        counts::Counts,
        front::Front,
        limits::Limits,
        matcher::Matcher,
        sections::Sections,
        settings::{FrontLimits, FrontPolicy},
    };

    /// The tokens of a pattern; `None`: the text is none, for which Python has the words.
    #[pyfunction]
    fn tokens<'py>(py: Python<'py>, text: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let found = text.to_str().ok().and_then(crate::compiler::parser::tokens);
        found.map(|tokens| PyTuple::new(py, tokens)).transpose()
    }

    /// Changes with whatever Python calls here, so that neither is used with another release of the other.
    #[pymodule_export]
    const API: u32 = 5;

    #[pymodule_export]
    const FORMAT: u32 = crate::rules::snapshot::FORMAT_VERSION;

    #[pymodule_export]
    const CHALLENGE: u32 = crate::challenge::VERSION;

    #[pymodule_export]
    const BUCKETS: [u64; 17] = crate::counters::BUCKETS;
}
