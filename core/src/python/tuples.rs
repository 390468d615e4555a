//! Named tuples of Python's, made without their constructor, which takes as long as all the rest of a decision.

#![allow(unsafe_code, reason = "a tuple's fields are set one by one, before anybody sees it")]

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use pyo3::{PyTypeInfo as _, ffi};

/// A class of named tuples with so many fields.
pub struct NamedTuple<const FIELDS: usize>(Py<PyType>);

impl<const FIELDS: usize> NamedTuple<FIELDS> {
    /// Fails where the class is none of tuples.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        if !class.is_subclass(&PyTuple::type_object(class.py()))? {
            return Err(pyo3::exceptions::PyTypeError::new_err("a named tuple is a tuple"));
        }
        Ok(Self(class.clone().unbind()))
    }

    /// A tuple with these fields.
    #[inline]
    pub fn make<'py>(&self, py: Python<'py>, fields: [Bound<'py, PyAny>; FIELDS]) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the class is a subclass of tuple (`new` has looked), which allocates by its base's rules; the object
        // is new and nobody else's, as `PyTuple_SetItem` demands, and each of its fields is set, to a reference that it
        // then owns.
        unsafe {
            let made = ffi::PyType_GenericAlloc(self.0.bind(py).as_type_ptr(), FIELDS.cast_signed());
            let made = Bound::from_owned_ptr_or_err(py, made)?;
            for (at, field) in fields.into_iter().enumerate() {
                if ffi::PyTuple_SetItem(made.as_ptr(), at.cast_signed(), field.into_ptr()) != 0 {
                    return Err(PyErr::fetch(py));
                }
            }
            Ok(made)
        }
    }
}
