//! Metadata of a stored event under its flat name, such as `event.aggregate_id`.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert::Row;

/// Reads from the row of a stored event, and leaves everything else to the descriptor in whose
/// place it stands.
///
/// Like that, it has no `__set__`, so that a field of the same name goes first.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct FlatName {
    piece: Piece,
    descriptor: Py<PyAny>,
}

/// A field of a row.
#[derive(Clone, Copy)]
enum Piece {
    AggregateId,
    AggregateType,
    AggregateVersion,
    EventType,
    EventVersion,
    Position,
}

#[pymethods]
impl FlatName {
    #[new]
    fn new(name: &str, descriptor: Py<PyAny>) -> PyResult<Self> {
        let piece = match name {
            "aggregate_id" => Piece::AggregateId,
            "aggregate_type" => Piece::AggregateType,
            "aggregate_version" => Piece::AggregateVersion,
            "event_type" => Piece::EventType,
            "event_version" => Piece::EventVersion,
            "position" => Piece::Position,
            _ => return Err(PyValueError::new_err(format!("a row has no field {name}"))),
        };
        Ok(Self { piece, descriptor })
    }

    fn __get__<'py>(
        &self,
        event: Option<&Bound<'py, PyAny>>,
        class: Option<&Bound<'py, PyAny>>,
        py: Python<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(event) = event
            && let Ok(slot) = event.getattr(intern!(py, "_envelope"))
            && let Ok(row) = slot.cast::<Row>()
        {
            return self.piece.of(py, row.get());
        }
        let class = class.cloned().or_else(|| Some(event?.get_type().into_any()));
        self.descriptor.bind(py).call_method1(intern!(py, "__get__"), (event, class))
    }
}

impl Piece {
    fn of<'py>(self, py: Python<'py>, row: &Row) -> PyResult<Bound<'py, PyAny>> {
        let text = |text| PyString::new(py, text).into_any();
        Ok(match self {
            Self::AggregateId => row.aggregate_id().map(text).into_pyobject(py)?,
            Self::AggregateType => row.aggregate_type().map(text).into_pyobject(py)?,
            Self::AggregateVersion => row.aggregate_version().into_pyobject(py)?,
            Self::EventType => text(row.event_type()),
            Self::EventVersion => row.event_version().into_pyobject(py)?.into_any(),
            Self::Position => row.position().into_pyobject(py)?.into_any(),
        })
    }
}
