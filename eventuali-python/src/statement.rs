//! Statements and their parameters, from Python.

use eventuali_core::statement::{Statement, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

/// (SQL, parameters).
pub(crate) type StatementTuple = (String, Vec<Parameter>);

/// The value of a parameter.
pub(crate) struct Parameter(Value);

impl FromPyObject<'_, '_> for Parameter {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(Self(if given.is_none() {
            Value::Null
        } else if given.is_instance_of::<PyString>() {
            Value::Text(given.extract()?)
        } else if let Ok(truth) = given.cast::<PyBool>() {
            Value::Bool(truth.is_true())
        } else if given.is_instance_of::<PyInt>() {
            Value::Int(given.extract()?)
        } else if given.is_instance_of::<PyFloat>() {
            Value::Real(given.extract()?)
        } else if let Ok(bytes) = given.cast::<PyBytes>() {
            Value::Bytes(bytes.as_bytes().to_vec())
        } else {
            return Err(PyTypeError::new_err(format!("no parameter of SQL: {given:?}")));
        }))
    }
}

/// The statements of a commit.
pub(crate) fn statements(given: Vec<StatementTuple>) -> Vec<Statement> {
    given
        .into_iter()
        .map(|(sql, parameters)| {
            Statement::new(sql, parameters.into_iter().map(|parameter| parameter.0).collect())
        })
        .collect()
}
