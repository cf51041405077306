//! The one map from the core's errors to Python's classes.

use std::error::Error as _;

use eventuali_core::error::{Error, ErrorKind};
use eventuali_core::record::ExpectedRecord;
use eventuali_core::stream::ExpectedVersion;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The Python exception for `error`, with its attributes and its cause.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).unwrap_or_else(|failed| failed)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let with = PyDict::new(py);
    let class = class_and_attributes(error.kind(), &with)?;
    let exception =
        py.import("eventuali.errors")?.getattr(class)?.call((error.to_string(),), Some(&with))?;
    let raised = PyErr::from_value(exception);
    if let Some(source) = error.source() {
        let cause = match source.downcast_ref::<Error>() {
            Some(source) => to_python(py, source),
            None => PyRuntimeError::new_err(source.to_string()),
        };
        raised.set_cause(py, Some(cause));
    }
    Ok(raised)
}

fn class_and_attributes(kind: &ErrorKind, with: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match kind {
        ErrorKind::Conflict { stream, expected, actual } => {
            with.set_item("stream", (&stream.aggregate_type, &stream.aggregate_id))?;
            with.set_item("expected_version", expected_version(with.py(), *expected)?)?;
            with.set_item("actual_version", actual)?;
            "OptimisticConcurrencyError"
        }
        ErrorKind::ConditionFailed { after, position } => {
            with.set_item("after", after)?;
            with.set_item("position", position)?;
            "AppendConditionError"
        }
        ErrorKind::RecordConflict { key, expected, actual } => {
            with.set_item("stream", (&key.space, &key.key))?;
            match expected {
                ExpectedRecord::Any => with.set_item("expected_version", "any")?,
                ExpectedRecord::Absent => with.set_item("expected_version", "absent")?,
                ExpectedRecord::Rising => with.set_item("expected_version", "rising")?,
                ExpectedRecord::Exact(version) => with.set_item("expected_version", version)?,
            }
            with.set_item("actual_version", actual)?;
            "OptimisticConcurrencyError"
        }
        ErrorKind::CheckpointMismatch { name, position, event_id } => {
            with.set_item("name", name)?;
            with.set_item("position", position)?;
            with.set_item("event_id", event_id)?;
            "CheckpointMismatchError"
        }
        ErrorKind::TrackingConflict { name, position, stored } => {
            with.set_item("name", name)?;
            with.set_item("position", position)?;
            with.set_item("stored", stored)?;
            "TrackingConflictError"
        }
        ErrorKind::IdempotencyConflict { event_ids } => {
            with.set_item("event_ids", event_ids.clone())?;
            "IdempotencyConflictError"
        }
        ErrorKind::OutcomeUnknown { event_ids } => {
            with.set_item("event_ids", event_ids.clone())?;
            "OutcomeUnknownError"
        }
        ErrorKind::Corrupted { position } => {
            with.set_item("position", position)?;
            "StorageCorruptedError"
        }
        ErrorKind::Invalid { field } => {
            with.set_item("field", field)?;
            "InvalidEventError"
        }
        ErrorKind::TooLarge { what, size, limit } => {
            with.set_item("what", what)?;
            with.set_item("size", size)?;
            with.set_item("limit", limit)?;
            "PayloadTooLargeError"
        }
        ErrorKind::Statement { index, sql } => {
            with.set_item("index", index)?;
            with.set_item("statement", sql)?;
            "StatementError"
        }
        ErrorKind::TenantLimit { tenant, limit, allowed, used, asked } => {
            with.set_item("tenant", tenant)?;
            with.set_item("limit", limit)?;
            with.set_item("allowed", allowed)?;
            with.set_item("used", used)?;
            with.set_item("asked", asked)?;
            "TenantLimitError"
        }
        ErrorKind::TenantAccess { tenant } => {
            with.set_item("tenant", tenant)?;
            "TenantAccessError"
        }
        ErrorKind::Closed => "StoreClosedError",
        ErrorKind::Forked => "ForkedProcessError",
        ErrorKind::Busy => "StorageBusyError",
        ErrorKind::Unavailable => "StorageUnavailableError",
        ErrorKind::Projection => "ProjectionError",
        ErrorKind::Refused => "DatabaseError",
        ErrorKind::Full => "StorageFullError",
        ErrorKind::SchemaMismatch => "SchemaMismatchError",
        ErrorKind::Configuration => "ConfigurationError",
    })
}

fn expected_version(py: Python<'_>, expected: ExpectedVersion) -> PyResult<Bound<'_, PyAny>> {
    let name = match expected {
        ExpectedVersion::Any => "any",
        ExpectedVersion::NoStream => "no_stream",
        ExpectedVersion::StreamExists => "stream_exists",
        ExpectedVersion::Exact(version) => return Ok(version.into_pyobject(py)?.into_any()),
    };
    Ok(PyString::new(py, name).into_any())
}
