//! Between Python's objects and the core's.

use std::collections::BTreeMap;
use std::sync::Arc;

use eventuali_core::commit::Committed;
use eventuali_core::event::{
    EventHead, EventKind, EventPage, EventRef, Metadata, NewEvent, Reference,
};
use eventuali_core::limits::Limits;
use eventuali_core::query::{Query, QueryItem};
use eventuali_core::record::Record;
use eventuali_core::storage::Horizon;
use eventuali_core::stream::{ExpectedVersion, StreamPage};
use eventuali_core::verify::VerifyPage;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyRange, PyString};
use uuid::Uuid;

use crate::error::to_python;

/// Makes an object of a class that stands above this file.
pub(crate) type Make = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What a call to the core gives.
pub(crate) enum Outcome {
    Made(Make),
    Committed(Committed),
    Page(EventPage),
    Followed(Option<EventPage>),
    Record(Option<Record>),
    Changed(u64),
    Begun(u64),
    Streams(StreamPage),
    Horizon(Horizon),
    Verified(VerifyPage),
    Closed,
}

/// A plain value: a number, a tuple, a list.
pub(crate) fn made<T>(value: T) -> Outcome
where
    T: for<'py> IntoPyObject<'py> + Send + 'static,
{
    Outcome::Made(Box::new(|py| value.into_py_any(py)))
}

impl Outcome {
    pub(crate) fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Self::Made(make) => make(py)?,
            Self::Committed(done) => {
                (positions(py, done.positions)?, done.versions, done.recorded_at)
                    .into_pyobject(py)?
                    .into_any()
                    .unbind()
            }
            Self::Page(page) | Self::Followed(Some(page)) => Py::new(py, Page { page })?.into_any(),
            Self::Record(Some(record)) => (record.version, PyBytes::new(py, &record.value.bytes))
                .into_pyobject(py)?
                .into_any()
                .unbind(),
            Self::Changed(number) | Self::Begun(number) => {
                number.into_pyobject(py)?.into_any().unbind()
            }
            Self::Streams(page) => {
                let streams: Vec<_> = page
                    .streams
                    .into_iter()
                    .map(|info| {
                        let name = info.stream;
                        (name.aggregate_type, name.aggregate_id, info.version, info.last_position)
                    })
                    .collect();
                (streams, page.next).into_pyobject(py)?.into_any().unbind()
            }
            Self::Horizon(found) => {
                let micros = found.open_for.map(|age| age.as_micros() as u64);
                (found.position, found.last, found.writers, micros)
                    .into_pyobject(py)?
                    .into_any()
                    .unbind()
            }
            Self::Verified(page) => {
                let damage: Vec<_> =
                    page.damage.into_iter().map(|found| (found.position, found.text)).collect();
                let next = page.next.map(|cursor| PyBytes::new(py, &cursor.0));
                let rows = (page.checked, page.total, page.events, page.streams, page.records);
                (rows, damage, next).into_pyobject(py)?.into_any().unbind()
            }
            Self::Followed(None) | Self::Record(None) | Self::Closed => py.None(),
        })
    }
}

/// A range where the positions follow one another, as on one server; else a list.
fn positions(py: Python<'_>, positions: Vec<u64>) -> PyResult<Bound<'_, PyAny>> {
    if let (Some(first), Some(last)) = (positions.first(), positions.last())
        && last - first == positions.len() as u64 - 1
    {
        return Ok(PyRange::new(py, *first as isize, *last as isize + 1)?.into_any());
    }
    positions.into_pyobject(py)
}

/// A kind of event, made once a class: wire name, schema version, codec.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Kind {
    kind: Arc<EventKind>,
}

#[pymethods]
impl Kind {
    #[new]
    fn new(event_type: String, event_version: u32, codec: String) -> Self {
        Self { kind: Arc::new(EventKind { event_type, event_version, codec }) }
    }

    /// For pickling: an aggregate whose save was cut off keeps what it sent.
    fn __getnewargs__(&self) -> (&str, u32, &str) {
        (&self.kind.event_type, self.kind.event_version, &self.kind.codec)
    }
}

/// (correlation, causation, user, headers, tags); a reference is 16 bytes of a UUID, or a text.
pub(crate) type MetadataTuple =
    (Option<RefArg>, Option<RefArg>, Option<String>, Vec<(String, String)>, Vec<String>);

/// A reference from Python.
#[derive(FromPyObject)]
pub(crate) enum RefArg {
    Text(String),
    Uuid([u8; 16]),
}

impl From<RefArg> for Reference {
    fn from(given: RefArg) -> Self {
        match given {
            RefArg::Text(text) => Self::Text(text),
            RefArg::Uuid(bytes) => Self::Uuid(Uuid::from_bytes(bytes)),
        }
    }
}

/// (kind, id of the first, times in µs, payloads, metadata of each); the ids follow one another.
pub(crate) type RunTuple<'py> =
    (Py<Kind>, [u8; 16], Vec<i64>, Bound<'py, PyList>, Option<MetadataTuple>);

/// Adds the events of a run.
///
/// A payload that no store takes is refused here, before it is copied.
pub(crate) fn add_events(events: &mut Vec<NewEvent>, run: RunTuple<'_>) -> PyResult<()> {
    let (kind, first, times, payloads, metadata) = run;
    let py = payloads.py();
    if times.len() != payloads.len() {
        return Err(PyValueError::new_err("each event of a run needs a time and a payload"));
    }
    let kind = &kind.get().kind;
    let metadata = metadata.map(metadata_of);
    events.reserve(times.len());
    for ((payload, timestamp), id) in
        payloads.iter().zip(times).zip(Uuid::from_bytes(first).as_u128()..)
    {
        let payload = payload.cast::<PyBytes>()?.as_bytes();
        Limits::DEFAULT
            .check_payload(payload.len())
            .map_err(|error| to_python(py, &error.of(&kind.event_type)))?;
        let event = NewEvent {
            event_id: Uuid::from_u128(id),
            kind: Arc::clone(kind),
            timestamp,
            metadata: None,
            payload: payload.to_vec(),
        };
        events.push(match &metadata {
            Some(metadata) => event.with_metadata(metadata.clone()),
            None => event,
        });
    }
    Ok(())
}

fn metadata_of(given: MetadataTuple) -> Metadata {
    let (correlation, causation, user_id, headers, tags) = given;
    Metadata {
        correlation_id: correlation.map(Reference::from),
        causation_id: causation.map(Reference::from),
        user_id,
        headers,
        tags,
    }
}

/// A number, or `"any"`, `"no_stream"`, `"stream_exists"`.
pub(crate) fn expected_version(given: &Bound<'_, PyAny>) -> PyResult<ExpectedVersion> {
    if let Ok(name) = given.cast::<PyString>() {
        return match name.to_str()? {
            "any" => Ok(ExpectedVersion::Any),
            "no_stream" => Ok(ExpectedVersion::NoStream),
            "stream_exists" => Ok(ExpectedVersion::StreamExists),
            _ => Err(PyTypeError::new_err("an expected version is a number or one of its names")),
        };
    }
    Ok(ExpectedVersion::Exact(given.extract()?))
}

/// (type, id, event types, tags, event ids, correlation), and the user where one is asked for.
#[derive(FromPyObject)]
pub(crate) enum ItemTuple {
    Plain(PlainItem),
    OfUser(UserItem),
}

type PlainItem =
    (Option<String>, Option<String>, Vec<String>, Vec<String>, Vec<[u8; 16]>, Option<RefArg>);
type UserItem = (
    Option<String>,
    Option<String>,
    Vec<String>,
    Vec<String>,
    Vec<[u8; 16]>,
    Option<RefArg>,
    String,
);

/// The query that items stand for.
pub(crate) fn query(items: Vec<ItemTuple>) -> Query {
    let plain = |(aggregate_type, aggregate_id, event_types, tags, ids, correlation): PlainItem| {
        QueryItem {
            aggregate_type,
            aggregate_id,
            event_types,
            tags,
            event_ids: ids.into_iter().map(Uuid::from_bytes).collect(),
            correlation_id: correlation.map(Reference::from),
            user_id: None,
        }
    };
    let item = |given| match given {
        ItemTuple::Plain(item) => plain(item),
        ItemTuple::OfUser((kind, id, types, tags, ids, correlation, user)) => {
            QueryItem { user_id: Some(user), ..plain((kind, id, types, tags, ids, correlation)) }
        }
    };
    Query { items: items.into_iter().map(item).collect(), ..Query::default() }
}

/// One page of events; its rows outlive it.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Page {
    page: EventPage,
}

#[pymethods]
impl Page {
    fn __len__(&self) -> usize {
        self.page.len()
    }

    /// Everything that matches up to here (or down to here) has been returned.
    #[getter]
    fn looked_to(&self) -> u64 {
        self.page.looked_to
    }

    /// Whether nothing is left in the range.
    #[getter]
    fn end(&self) -> bool {
        self.page.end
    }

    /// The version of the last event on the page; 0 on an empty page.
    #[getter]
    fn last_version(&self) -> u64 {
        self.page.len().checked_sub(1).map_or(0, |last| self.page.get(last).head.version)
    }

    /// Whose the events are, by position.
    fn tenants(&self) -> BTreeMap<u64, &str> {
        let events = self.page.iter().map(|event| event.head);
        events.map(|head| (head.position, head.stream.tenant.as_str())).collect()
    }

    /// Three lists of the same length: the kinds of the events, payloads and rows. A kind is its
    /// event type where that is of version 1 and JSON, else `type\0version\0codec`: no name has a NUL.
    fn columns<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>)> {
        let (kinds, payloads, rows) = (PyList::empty(py), PyList::empty(py), PyList::empty(py));
        let mut last: Option<(&Arc<EventKind>, Bound<'py, PyString>)> = None;
        for event in self.page.iter() {
            let key = match last.take() {
                Some((kind, key)) if Arc::ptr_eq(kind, &event.head.kind) => key,
                _ => kind_key(py, &event.head.kind),
            };
            kinds.append(&key)?;
            last = Some((&event.head.kind, key));
            payloads.append(PyBytes::new(py, event.payload))?;
            let metadata = event.metadata_bytes.into();
            rows.append(Row { head: event.head.clone(), metadata })?;
        }
        Ok((kinds, payloads, rows))
    }
}

/// What Python looks the decoder of a kind up by.
fn kind_key<'py>(py: Python<'py>, kind: &EventKind) -> Bound<'py, PyString> {
    if kind.event_version == 1 && kind.codec == "json" {
        return PyString::intern(py, &kind.event_type);
    }
    PyString::intern(py, &format!("{}\0{}\0{}", kind.event_type, kind.event_version, kind.codec))
}

/// Makes the `EventMeta` of a row; Python's.
static BUILD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Says what makes the `EventMeta` of a row; the first word counts.
#[pyfunction]
pub(crate) fn build_metadata_with(py: Python<'_>, function: Py<PyAny>) {
    BUILD.get_or_init(py, || function);
}

/// What is stored about one event beside its payload.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Row {
    head: EventHead,
    metadata: Box<[u8]>,
}

impl Row {
    /// Where it is, and which event.
    pub(crate) fn place(&self) -> (u64, Uuid) {
        (self.head.position, self.head.event_id)
    }

    /// The event, but for its payload.
    pub(crate) fn as_event(&self) -> EventRef<'_> {
        EventRef { head: &self.head, metadata_bytes: &self.metadata, payload: b"" }
    }
}

#[pymethods]
impl Row {
    /// The event's id.
    #[getter]
    fn event_id(&self) -> Uuid {
        self.head.event_id
    }

    /// The event's place in the log.
    #[getter]
    pub(crate) fn position(&self) -> u64 {
        self.head.position
    }

    /// The event's number in its stream; 0 without a stream.
    #[getter]
    fn version(&self) -> u64 {
        self.head.version
    }

    /// The event's type, by its wire name.
    #[getter]
    pub(crate) fn event_type(&self) -> &str {
        &self.head.kind.event_type
    }

    /// The version of the event's schema.
    #[getter]
    pub(crate) fn event_version(&self) -> u32 {
        self.head.kind.event_version
    }

    /// The id of the event's stream; None without a stream.
    #[getter]
    pub(crate) fn aggregate_id(&self) -> Option<&str> {
        Some(self.head.stream.aggregate_id.as_str()).filter(|id| !id.is_empty())
    }

    /// The type of the event's stream; None without a stream.
    #[getter]
    pub(crate) fn aggregate_type(&self) -> Option<&str> {
        Some(self.head.stream.aggregate_type.as_str()).filter(|name| !name.is_empty())
    }

    /// The event's number in its stream; None without a stream.
    #[getter]
    pub(crate) fn aggregate_version(&self) -> Option<u64> {
        Some(self.head.version).filter(|version| *version > 0)
    }

    /// When the event happened, µs since 1970 UTC.
    #[getter]
    fn timestamp(&self) -> i64 {
        self.head.timestamp
    }

    /// The `EventMeta` of the event.
    fn meta<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let build = BUILD.get(py).ok_or_else(|| {
            PyRuntimeError::new_err("the class that builds the metadata of an event is not set")
        })?;
        let head = &self.head;
        let metadata = Metadata::decode(&self.metadata).map_err(|e| to_python(py, &e))?;
        let reference = |given: Option<Reference>| -> PyResult<Option<Bound<'py, PyAny>>> {
            Ok(match given {
                None => None,
                Some(Reference::Uuid(id)) => Some(id.into_pyobject(py)?.into_any()),
                Some(Reference::Text(text)) => Some(PyString::new(py, &text).into_any()),
            })
        };
        let stored = (
            head.position,
            head.event_id,
            (&head.stream.aggregate_type, &head.stream.aggregate_id, head.version),
            (&head.kind.event_type, head.kind.event_version),
            head.timestamp,
            head.recorded_at,
        );
        let given = (
            reference(metadata.correlation_id)?,
            reference(metadata.causation_id)?,
            metadata.user_id,
            metadata.headers,
            metadata.tags,
        );
        build.bind(py).call1((stored, given))
    }
}
