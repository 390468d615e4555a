//! Deciding for Python's services: `Matcher` does what `matcher.Matcher` does in Python.

use std::borrow::Cow;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyType};

use super::tuples::NamedTuple;
use crate::memory::held;
use crate::rules::Corrupt;
use crate::rules::automaton::NO_VERDICT;
use crate::rules::emergency::Emergency;
use crate::rules::snapshot::{Facts, Snapshot};

/// Decides from a blob in place.
#[pyclass(frozen)]
pub struct Matcher(Snapshot);

#[pymethods]
impl Matcher {
    /// Fails with `ValueError` where the blob is not of a format that is understood here.
    #[new]
    fn new(blob: PyBuffer<u8>) -> PyResult<Self> {
        let memory = held(blob).map_err(PyValueError::new_err)?;
        let facts = Facts {
            tenant: String::new(),
            number: 0,
            revision: String::new(),
            closed: false,
            emergency: Emergency::default(),
        };
        let opened = Snapshot::open(memory, facts);
        opened.map(Self).map_err(|Corrupt| PyValueError::new_err("the core does not understand this snapshot"))
    }

    /// Whether the caller is a user of the tenant.
    fn knows_caller(&self, caller: &Bound<'_, PyString>) -> PyResult<bool> {
        let found = self.0.user(&bytes(caller)?);
        Ok(found.map_err(|Corrupt| corrupt(caller.py()))?.is_some())
    }

    /// The number of the verdict of the first stage that has one, or 0.
    #[pyo3(name = "match")]
    fn decided(
        &self,
        caller: &Bound<'_, PyString>,
        extension: &Bound<'_, PyString>,
        outcall: &Bound<'_, PyString>,
    ) -> PyResult<u32> {
        let found = self.0.decide_word(&bytes(caller)?, &bytes(extension)?, &bytes(outcall)?);
        found.map_err(|Corrupt| corrupt(caller.py()))
    }

    /// The verdict with a number that `match` returned.
    fn verdict<'py>(&self, py: Python<'py>, number: u32) -> PyResult<Bound<'py, PyAny>> {
        let names = NAMES.get_or_try_init(py, || Names::import(py))?;
        if number == NO_VERDICT {
            return Ok(names.unrestricted.bind(py).clone());
        }
        let permission = self.0.permission(number).map_err(|Corrupt| corrupt(py))?;
        let (decision, stage) = &names.outcomes[(number & 15) as usize];
        let id = permission.id.into_pyobject(py)?.into_any();
        let name = PyString::from_bytes(py, permission.name)?.into_any();
        names.verdict.make(py, [decision.bind(py).clone(), stage.bind(py).clone(), id, name])
    }

    /// The verdict on a call.
    fn decide<'py>(
        &self,
        caller: &Bound<'py, PyString>,
        extension: &Bound<'py, PyString>,
        outcall: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.verdict(caller.py(), self.decided(caller, extension, outcall)?)
    }
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

/// What Python has in `pdp.rules.snapshot.verdict`.
struct Names {
    /// Decision and stage by the low bits of a verdict's number.
    outcomes: [(Py<PyAny>, Py<PyAny>); 16],
    unrestricted: Py<PyAny>,
    verdict: NamedTuple<4>,
}

impl Names {
    fn import(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("pdp.rules.snapshot.verdict")?;
        Ok(Self {
            outcomes: module.getattr("OUTCOMES")?.extract::<Vec<_>>()?.try_into().map_err(|_| corrupt(py))?,
            unrestricted: module.getattr("UNRESTRICTED")?.unbind(),
            verdict: NamedTuple::new(module.getattr("Verdict")?.cast::<PyType>()?)?,
        })
    }
}

/// A text in UTF-8, with what is no text in it as Python would pass it on.
#[inline]
fn bytes<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let encoded = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
    Ok(Cow::Owned(encoded.cast::<PyBytes>()?.as_bytes().to_vec()))
}

fn corrupt(py: Python<'_>) -> PyErr {
    let error = py.import("pdp.rules.errors").and_then(|errors| errors.getattr("SnapshotCorrupt"));
    match error.and_then(|class| class.call1(("a value in it leads outside",))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
