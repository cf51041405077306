//! Projections and their documents.

use eventuali_core::commit::Commit;
use eventuali_core::record::{RecordCursor, RecordPage, RecordSelection, RecordValue, Scalar};
use eventuali_core::service::documents::Documents;
use eventuali_core::service::inline::{AtWork, InlineChange, InlineDocument};
use eventuali_core::service::projection::{self, Begun, Cursor, DocumentChange, Kind, Purpose};
use eventuali_core::store::EventStore;
use eventuali_core::stream::StreamId;
use eventuali_core::text::{self, TextQuery};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;
use uuid::Uuid;

use crate::convert::Outcome;
use crate::error::to_python;
use crate::runtime::Pending;
use crate::statement::{StatementTuple, statements};

/// (position, (position, id) of the last event that matched, attempts, version).
type CursorTuple = (u64, Option<(u64, Uuid)>, u32, u64);
/// (model, key, JSON or None, entries of the index, words).
type DocumentTuple<'py> = (
    String,
    String,
    Option<Bound<'py, PyBytes>>,
    Vec<(String, ScalarArgument)>,
    Option<Bound<'py, Words>>,
);

/// The words of a document's texts, as they are searched.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Words(text::Words);

#[pymethods]
impl Words {
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "it is converted for this call")]
    fn new(parts: Vec<PyBackedStr>) -> Self {
        Self(text::Words::of(parts.iter().map(|part| &**part)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// (generation, model, key, version of its record or 0, (type, version of the stream), JSON or None,
/// entries of the index, words).
type InlineTuple<'py> = (
    u64,
    String,
    String,
    u64,
    (String, u64),
    Option<Bound<'py, PyBytes>>,
    Vec<(String, ScalarArgument)>,
    Option<Bound<'py, Words>>,
);

/// What changes together with events: the projection, the version of the record of its generations,
/// and documents.
pub(crate) type Inline<'py> = (PyRef<'py, Projection>, u64, Vec<InlineTuple<'py>>);

/// Adds the changes to documents to the commit of their events.
pub(crate) fn with_documents(commit: Commit, inline: Vec<Inline<'_>>) -> Commit {
    inline.into_iter().fold(commit, |commit, (projection, version, documents)| {
        let documents = documents.into_iter().map(inline_change).collect();
        projection.inner.with_documents(commit, version, documents)
    })
}

fn inline_change(
    (number, model, key, expected, stream, json, entries, words): InlineTuple<'_>,
) -> InlineChange {
    InlineChange { number, model, key, expected, stream, value: value(json, entries, words) }
}

fn value(
    json: Option<Bound<'_, PyBytes>>,
    entries: Vec<(String, ScalarArgument)>,
    words: Option<Bound<'_, Words>>,
) -> Option<RecordValue> {
    let index = entries.into_iter().map(|(name, value)| (name, Scalar::from(value))).collect();
    let text = words.map(|words| words.get().0.clone());
    json.map(|json| RecordValue { bytes: json.as_bytes().to_vec(), due: None, index, text })
}

/// A value of an index from Python.
#[derive(FromPyObject)]
pub(crate) enum ScalarArgument {
    Int(i64),
    Real(f64),
    Text(String),
}

impl From<ScalarArgument> for Scalar {
    fn from(given: ScalarArgument) -> Self {
        match given {
            ScalarArgument::Int(number) => Self::Int(number),
            ScalarArgument::Real(number) => Self::Real(number),
            ScalarArgument::Text(text) => Self::Text(text),
        }
    }
}

fn scalar(py: Python<'_>, value: Scalar) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Scalar::Int(number) => number.into_pyobject(py)?.into_any(),
        Scalar::Real(number) => number.into_pyobject(py)?.into_any(),
        Scalar::Text(text) => text.into_pyobject(py)?.into_any(),
    })
}

fn cursor((position, last, attempts, version): CursorTuple) -> Cursor {
    Cursor { position, last, attempts, version }
}

fn tuple(cursor: Cursor) -> CursorTuple {
    (cursor.position, cursor.last, cursor.attempts, cursor.version)
}

fn made(cursor: Cursor) -> Outcome {
    Outcome::Made(Box::new(move |py| Ok(tuple(cursor).into_pyobject(py)?.into_any().unbind())))
}

fn purpose(rebuild: bool) -> Purpose {
    if rebuild { Purpose::Rebuild } else { Purpose::Run }
}

/// (number, whether it is live, cursor).
fn begun_tuple(begun: &Begun) -> (u64, bool, CursorTuple) {
    (begun.number, begun.live, tuple(begun.cursor))
}

fn begun(begun: &Begun) -> Outcome {
    let begun = begun_tuple(begun);
    Outcome::Made(Box::new(move |py| Ok(begun.into_pyobject(py)?.into_any().unbind())))
}

/// ([(key, JSON)], where to go on: (value, key)).
fn listed(page: RecordPage) -> Outcome {
    Outcome::Made(Box::new(move |py| Ok(rows(py, page)?.into_pyobject(py)?.into_any().unbind())))
}

/// Documents, and where a page goes on.
type Rows<'py> = (Vec<(String, Bound<'py, PyBytes>)>, Option<(Option<Bound<'py, PyAny>>, String)>);

fn rows(py: Python<'_>, page: RecordPage) -> PyResult<Rows<'_>> {
    let documents = page
        .records
        .into_iter()
        .map(|record| (record.key.key, PyBytes::new(py, &record.value.bytes)))
        .collect();
    let next = match page.next {
        None => None,
        Some(RecordCursor { value, key }) => {
            Some((value.map(|value| scalar(py, value)).transpose()?, key))
        }
    };
    Ok((documents, next))
}

/// One projection of a store, in a version.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Projection {
    inner: projection::Projection,
    /// Whether answers come from this machine, so that waiting for them awake pays.
    near: bool,
}

impl Projection {
    pub(crate) fn new(
        py: Python<'_>,
        store: &EventStore,
        name: &str,
        version: u32,
        kind: &str,
        near: bool,
    ) -> PyResult<Self> {
        let inner = projection::Projection::new(store, name, version);
        let inner = inner.map_err(|error| to_python(py, &error))?;
        let kind = match kind {
            "documents" => Kind::Documents,
            "inline" => Kind::Inline,
            "sql" => Kind::Sql,
            other => return Err(PyValueError::new_err(format!("no kind {other:?}"))),
        };
        Ok(Self { inner: inner.kept(kind), near })
    }
}

#[pymethods]
impl Projection {
    /// Finds the generation to go on with, or makes one: (number, whether it is live, cursor).
    fn begin(&self, rebuild: bool, models: Vec<String>) -> Pending {
        let answer = self.inner.begin(purpose(rebuild), models);
        Pending::new(async { answer.await.map(|found| begun(&found)) })
    }

    /// The live generation and its version, (version, (number, whether it is live, cursor)); None
    /// before there is one.
    fn live(&self, rebuild: bool) -> Pending {
        let answer = self.inner.live(purpose(rebuild));
        Pending::new(async {
            let found = answer.await?.map(|(version, begun)| (version, begun_tuple(&begun)));
            Ok(Outcome::Made(Box::new(move |py| Ok(found.into_pyobject(py)?.into_any().unbind()))))
        })
    }

    /// Begins a generation in the place of the live one, and carries out what empties its tables.
    fn restart(&self, number: Option<u64>, empties: Vec<StatementTuple>) -> Pending {
        let answer = self.inner.restart(number, statements(empties));
        Pending::new(async { answer.await.map(|found| begun(&found)) })
    }

    /// Adds a model to a generation, before its first document is written.
    fn add_model(&self, number: u64, model: String) -> Pending {
        let answer = self.inner.add_model(number, model);
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }

    /// Writes a page of documents together with the cursor, which must be where it was, and carries
    /// out its statements.
    fn advance(
        &self,
        number: u64,
        from_cursor: CursorTuple,
        to_cursor: CursorTuple,
        documents: Vec<DocumentTuple<'_>>,
        sql: Vec<StatementTuple>,
    ) -> Pending {
        let changes = documents
            .into_iter()
            .map(|(model, key, json, entries, words)| DocumentChange {
                model,
                key,
                value: value(json, entries, words),
            })
            .collect();
        let (from, to) = (cursor(from_cursor), cursor(to_cursor));
        let answer = self.inner.advance(number, from, to, changes, statements(sql));
        Pending::new(async { answer.await.map(made) })
    }

    /// The same of an inline projection; streams (type, id) must be at their versions still.
    fn advance_inline(
        &self,
        number: u64,
        from_cursor: CursorTuple,
        to_cursor: CursorTuple,
        documents: Vec<InlineTuple<'_>>,
        streams: Vec<(String, String, u64)>,
    ) -> Pending {
        let (from, to) = (cursor(from_cursor), cursor(to_cursor));
        let changes = documents.into_iter().map(inline_change).collect();
        let streams = streams.into_iter().map(|(kind, id, at)| (StreamId::new(kind, id), at));
        let answer = self.inner.advance_inline(number, from, to, changes, streams.collect());
        Pending::new(async { answer.await.map(made) })
    }

    /// The generations that whoever saves writes to: (numbers, version of the record that says so);
    /// None while a newer version of the projection is at work.
    fn at_work(&self, model: String) -> Pending {
        let answer = self.inner.at_work(model);
        Pending::new(async {
            let found = answer.await?.map(|AtWork { numbers, version }| (numbers, version));
            Ok(Outcome::Made(Box::new(move |py| Ok(found.into_pyobject(py)?.into_any().unbind()))))
        })
    }

    /// Documents of an inline projection: [(key, JSON, version, (type, version of the stream))].
    fn inline_documents(&self, number: u64, model: &str, keys: Vec<String>) -> Pending {
        let answer = self.inner.inline_documents(number, model, keys);
        let answer = async {
            let found = answer.await?;
            Ok(Outcome::Made(Box::new(move |py| {
                let rows: Vec<_> = found
                    .into_iter()
                    .map(|InlineDocument { key, bytes, version, stream }| {
                        (key, PyBytes::new(py, &bytes), version, stream)
                    })
                    .collect();
                Ok(rows.into_pyobject(py)?.into_any().unbind())
            })))
        };
        Pending::new(answer).coming(self.near)
    }

    /// Puts a generation in the place of the live one; None where it is behind that, unless it may.
    fn swap(&self, number: u64, at: CursorTuple, behind: bool) -> Pending {
        let answer = self.inner.swap(number, cursor(at), behind);
        Pending::new(async {
            let swapped = answer.await?.map(tuple);
            Ok(Outcome::Made(Box::new(move |py| {
                Ok(swapped.into_pyobject(py)?.into_any().unbind())
            })))
        })
    }

    /// The number of a generation that is being rebuilt by this version or an older one, or None.
    fn rebuilt(&self) -> Pending {
        let answer = self.inner.rebuilt();
        Pending::new(async {
            let rebuilt = answer.await?;
            Ok(Outcome::Made(Box::new(move |py| {
                Ok(rebuilt.into_pyobject(py)?.into_any().unbind())
            })))
        })
    }

    /// Gives up a generation that is being filled.
    fn discard(&self, number: u64) -> Pending {
        let answer = self.inner.discard(number);
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }

    /// How far a generation has come.
    fn cursor(&self, number: u64) -> Pending {
        let answer = self.inner.cursor(number);
        Pending::new(async { answer.await.map(made) })
    }

    /// The documents of a generation with these keys: ([(key, JSON)], None).
    fn documents(&self, number: u64, model: &str, keys: Vec<String>) -> Pending {
        let answer = projection::documents_of(&self.inner, number, model, keys);
        Pending::new(async { answer.await.map(listed) }).coming(self.near)
    }
}

/// The documents of a model with these keys.
pub(crate) fn by_keys(documents: &Documents, model: &str, keys: Vec<String>) -> Pending {
    let limit = keys.len();
    let answer = documents.page(model, RecordSelection::Keys(keys), false, None, limit);
    Pending::new(async { answer.await.map(|(page, _)| listed(page)) })
}

/// Documents of a model by an entry of the index, or by their keys where none is named.
pub(crate) fn page(
    documents: &Documents,
    model: &str,
    select: Selection,
    backwards: bool,
    after: Option<(Option<ScalarArgument>, String)>,
    limit: usize,
) -> Pending {
    let after = after.map(|(value, key)| RecordCursor { value: value.map(Scalar::from), key });
    let answer = documents.page(model, chosen(select), backwards, after, limit);
    Pending::new(async {
        let (page, place) = answer.await?;
        Ok(Outcome::Made(Box::new(move |py| {
            let (documents, next) = rows(py, page)?;
            Ok((documents, next, place).into_pyobject(py)?.into_any().unbind())
        })))
    })
}

/// The documents of a model whose texts fit a query best.
pub(crate) fn search(
    documents: &Documents,
    model: &str,
    text: &str,
    limit: usize,
) -> PyResult<Pending> {
    let query = TextQuery::parse(text).map_err(|e| PyValueError::new_err(e.to_string()))?;
    let answer = documents.page(model, RecordSelection::Text(query), false, None, limit);
    Ok(Pending::new(async { answer.await.map(|(page, _)| listed(page)) }))
}

/// How many documents of a model that is.
pub(crate) fn count(documents: &Documents, model: &str, select: Selection) -> Pending {
    let answer = documents.count(model, chosen(select));
    Pending::new(async {
        let counted = answer.await?;
        Ok(Outcome::Made(Box::new(move |py| Ok(counted.into_pyobject(py)?.into_any().unbind()))))
    })
}

/// (name of an index, low, high); without a name, everything.
pub(crate) type Selection = (Option<String>, Option<ScalarArgument>, Option<ScalarArgument>);

fn chosen((name, low, high): Selection) -> RecordSelection {
    let (from, to) = (low.map(Scalar::from), high.map(Scalar::from));
    name.map_or_else(
        || RecordSelection::Prefix(String::new()),
        |name| RecordSelection::Index { name, from, to },
    )
}
