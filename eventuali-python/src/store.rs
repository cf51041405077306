//! The store, verb by verb.

use std::path::Path;
use std::sync::Arc;

use eventuali_core::backend::postgres::PostgresOptions;
use eventuali_core::backend::sqlite::Durability;
use eventuali_core::commit::{AppendCondition, Commit, StreamWrite};
use eventuali_core::error::{Error, ErrorKind};
use eventuali_core::query::ReadRange;
use eventuali_core::record::{
    ExpectedRecord, RecordChange, RecordKey, RecordQuery, RecordSelection, RecordValue,
};
use eventuali_core::service::checkpoints::{self, CheckpointInfo, Target};
use eventuali_core::service::documents::Documents;
use eventuali_core::service::tracking::{self, Tracking};
use eventuali_core::service::{inline, subscription};
use eventuali_core::store::{EventStore, Options};
use eventuali_core::stream::{StreamId, StreamSelection};
use eventuali_core::usage::TenantLimits;
use eventuali_core::verify::VerifyCursor;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use uuid::Uuid;

use crate::clock::SetClock;
use crate::convert::{ItemTuple, Outcome, RunTuple, add_events, expected_version, made, query};
use crate::error::to_python;
use crate::group::{self, OptionsTuple};
use crate::postgres::Postgres;
use crate::projection::{self, Projection, ScalarArgument};
use crate::runtime::Pending;
use crate::snapshot::Snapshots;
use crate::subscription::Subscription;

/// An open store; every verb begins its work at once and answers through a `Pending`.
#[pyclass(frozen, weakref, module = "eventuali._eventuali")]
pub(crate) struct Store {
    core: EventStore,
    blocking: bool,
    /// Whether reading takes no network.
    near: bool,
    documents: Documents,
}

impl Store {
    fn new(core: EventStore, blocking: bool, near: bool) -> Self {
        let documents = Documents::new(&core);
        Self { core, blocking, near, documents }
    }
}

impl From<EventStore> for Outcome {
    fn from(store: EventStore) -> Self {
        let near = store.capabilities().is_ok_and(|can| !can.remote);
        let store = Store::new(store, false, near);
        Self::Made(Box::new(|py| Ok(Py::new(py, store)?.into_any())))
    }
}

fn checkpoint_tuple(info: CheckpointInfo) -> (String, u64, Option<i64>, u64) {
    (info.name, info.position, info.written_at, info.lag)
}

/// What is opened.
#[derive(FromPyObject)]
enum Place<'py> {
    Url(String),
    Postgres(Bound<'py, Postgres>),
}

impl Store {
    /// The commit of (type, id, expected version, events) of each stream, on conditions.
    fn commit_of(
        &self,
        writes: Vec<WriteTuple<'_>>,
        conditions: Vec<(Vec<ItemTuple>, u64)>,
    ) -> PyResult<Commit> {
        let mut commit = Commit::default();
        for (aggregate_type, aggregate_id, expected, runs) in writes {
            let mut events = Vec::new();
            runs.into_iter().try_for_each(|run| add_events(&mut events, run))?;
            commit.writes.push(StreamWrite {
                stream: Arc::new(
                    StreamId::new(aggregate_type, aggregate_id).with_tenant(self.core.tenant()),
                ),
                expected: expected_version(&expected)?,
                events,
            });
        }
        for (items, after) in conditions {
            commit.conditions.push(AppendCondition { query: query(items), after });
        }
        Ok(commit)
    }
}

/// Opens a store on a thread of its own, for opening blocks.
fn opening(
    open: impl FnOnce() -> eventuali_core::error::Result<EventStore> + Send + 'static,
) -> PyResult<Pending> {
    let (sender, answer) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("eventuali-open".to_owned()).spawn(move || {
        drop(sender.send(open().map(Outcome::from)));
    })?;
    Ok(Pending::new(async move {
        answer.await.unwrap_or_else(|_| {
            let text = "the store could not be opened";
            Err(Error::new(ErrorKind::Unavailable, text))
        })
    }))
}

/// The name of another log, and a position of it.
type TrackingTuple = (String, u64);

/// Adds a position of another log to a commit.
fn tracked_in(commit: &mut Commit, given: Option<TrackingTuple>) -> Option<Tracking> {
    let tracking = given.map(|(name, position)| Tracking { name, position })?;
    commit.records.push(tracking.change());
    Some(tracking)
}

/// (type, id, expected version, runs of events).
type WriteTuple<'py> = (String, String, Bound<'py, PyAny>, Vec<RunTuple<'py>>);

/// (space, key, version that it must be at or None where there must be none, bytes or None, when it
/// is due in µs since 1970 UTC).
type RecordTuple<'py> = (String, String, Option<u64>, Option<Bound<'py, PyBytes>>, Option<i64>);

fn record_change((space, key, expected, bytes, due): RecordTuple<'_>) -> RecordChange {
    let expected = expected.map_or(ExpectedRecord::Absent, ExpectedRecord::Exact);
    let value = bytes.map(|bytes| RecordValue {
        bytes: bytes.as_bytes().to_vec(),
        due,
        ..RecordValue::default()
    });
    RecordChange { key: RecordKey::new(space, key), expected, value }
}

/// The same commit with records of the caller's own. Beside events they are derived: a repetition is
/// known by the events.
fn with_records(mut commit: Commit, records: Vec<RecordTuple<'_>>) -> Commit {
    if !records.is_empty() {
        commit.derived |= commit.writes.iter().any(|write| !write.events.is_empty());
        commit.records.extend(records.into_iter().map(record_change));
    }
    commit
}

#[pymethods]
impl Store {
    /// Opens the store that a URL names, or that options describe, on a thread of its own. It goes
    /// by `clock`, if a test gives one.
    #[staticmethod]
    #[pyo3(signature = (place, tenant, relaxed, clock=None))]
    fn open(
        place: Place<'_>,
        tenant: String,
        relaxed: bool,
        clock: Option<Bound<'_, SetClock>>,
    ) -> PyResult<Pending> {
        let clock = clock.map(|clock| Arc::clone(&clock.get().inner));
        let told = move |store: EventStore| match clock {
            Some(clock) => store.with_clock(clock),
            None => store,
        };
        match place {
            Place::Url(url) => {
                let durability = if relaxed { Durability::Relaxed } else { Durability::Full };
                opening(move || EventStore::open(&url, &Options { tenant, durability }).map(told))
            }
            Place::Postgres(postgres) => {
                let options = PostgresOptions { relaxed, ..postgres.get().options.clone() };
                opening(move || EventStore::postgres(options, &tenant).map(told))
            }
        }
    }

    /// What was opened, without a password.
    #[getter]
    fn url(&self) -> &str {
        self.core.url()
    }

    /// What the clock shows that a test gave, in µs since 1970 UTC; None where there is none.
    fn clock(&self) -> Option<i64> {
        self.core.clock().map(eventuali_core::clock::SetClock::now)
    }

    /// Whose events these are.
    #[getter]
    fn tenant(&self) -> &str {
        self.core.tenant()
    }

    /// The name of the backend.
    #[getter]
    fn backend(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.core.capabilities().map_err(|e| to_python(py, &e))?.backend)
    }

    /// Whether commits of this store may have statements of SQL.
    fn takes_sql(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.core.capabilities().map_err(|e| to_python(py, &e))?.sql)
    }

    /// The file that was opened, absolute; None where it is in none.
    #[getter]
    fn file(&self) -> Option<&Path> {
        self.core.file()
    }

    /// The highest position that this store has written, read or heard of.
    fn last_position(&self, py: Python<'_>) -> PyResult<u64> {
        self.core.last_position().map_err(|e| to_python(py, &e))
    }

    /// The same store, seen as another tenant.
    fn for_tenant(&self, py: Python<'_>, tenant: &str) -> PyResult<Self> {
        let store = self.core.for_tenant(tenant).map_err(|e| to_python(py, &e))?;
        Ok(Self::new(store, self.blocking, self.near))
    }

    /// The same store, in which its tenant may have so many events and bytes.
    #[pyo3(signature = (events, bytes))]
    fn with_limits(&self, events: Option<u64>, bytes: Option<u64>) -> Self {
        let store = self.core.with_limits(TenantLimits { events, bytes });
        Self::new(store, self.blocking, self.near)
    }

    /// The events of all tenants, to read.
    fn all_tenants(&self, py: Python<'_>) -> PyResult<Self> {
        let store = self.core.all_tenants().map_err(|e| to_python(py, &e))?;
        Ok(Self::new(store, self.blocking, self.near))
    }

    /// How much this tenant has stored: (events, bytes, streams).
    fn usage(&self) -> Pending {
        let answer = self.core.usage();
        Pending::new(async { answer.await.map(|has| made((has.events, has.bytes, has.streams))) })
    }

    /// How much each tenant has stored, of `all_tenants`: [(tenant, events, bytes, streams)].
    fn usages(&self) -> Pending {
        let answer = self.core.usages();
        Pending::new(async {
            let all = answer.await?.into_iter();
            let all = all.map(|(tenant, has)| (tenant, has.events, has.bytes, has.streams));
            Ok(made(all.collect::<Vec<_>>()))
        })
    }

    /// The same store, for callers that wait for each answer, and may do the work of a commit
    /// themselves; or for those that do not.
    fn blocking(&self, blocking: bool) -> Self {
        Self::new(self.core.clone(), blocking, self.near)
    }

    /// Commits (type, id, expected version, events) of each stream, on conditions (items, after),
    /// with records, and (name, position) of another log. Without events, the same id again is the
    /// same commit.
    #[pyo3(signature = (writes, conditions, records=Vec::new(), id=None, tracking=None))]
    fn commit(
        &self,
        py: Python<'_>,
        writes: Vec<WriteTuple<'_>>,
        conditions: Vec<(Vec<ItemTuple>, u64)>,
        records: Vec<RecordTuple<'_>>,
        id: Option<Uuid>,
        tracking: Option<TrackingTuple>,
    ) -> PyResult<Pending> {
        let mut commit = with_records(self.commit_of(writes, conditions)?, records);
        commit.id = id.unwrap_or(commit.id);
        let tracking = tracked_in(&mut commit, tracking);
        let mut answer = if self.blocking {
            py.detach(|| self.core.commit_here(commit))
        } else {
            self.core.commit(commit)
        };
        if let Some(tracking) = tracking {
            answer = tracking.answer(&self.core, answer);
        }
        Ok(Pending::new(async { answer.await.map(Outcome::Committed) }))
    }

    /// The same, with documents of inline projections; None where these are no longer what they
    /// were, and nothing was written.
    #[pyo3(signature = (writes, conditions, documents, records=Vec::new(), tracking=None))]
    fn commit_with(
        &self,
        py: Python<'_>,
        writes: Vec<WriteTuple<'_>>,
        conditions: Vec<(Vec<ItemTuple>, u64)>,
        documents: Vec<projection::Inline<'_>>,
        records: Vec<RecordTuple<'_>>,
        tracking: Option<TrackingTuple>,
    ) -> PyResult<Pending> {
        let mut commit = with_records(self.commit_of(writes, conditions)?, records);
        let tracking = tracked_in(&mut commit, tracking);
        let own = commit.records.iter().map(|change| change.key.clone()).collect();
        let commit = projection::with_documents(commit, documents);
        let mut answer = py.detach(|| inline::commit(&self.core, commit, own, self.blocking));
        if let Some(tracking) = tracking {
            answer = tracking.answer(&self.core, answer);
        }
        Ok(Pending::new(async { Ok(answer.await?.map_or(Outcome::Closed, Outcome::Committed)) }))
    }

    /// Reads one page of events.
    #[pyo3(signature = (
        items, *, after=0, until=u64::MAX, after_version=0, until_version=u64::MAX,
        recorded_from=i64::MIN, recorded_until=i64::MAX,
        happened_from=i64::MIN, happened_until=i64::MAX, backwards=false, limit=1000
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are the fields of ReadRange")]
    fn read(
        &self,
        items: Vec<ItemTuple>,
        after: u64,
        until: u64,
        after_version: u64,
        until_version: u64,
        recorded_from: i64,
        recorded_until: i64,
        happened_from: i64,
        happened_until: i64,
        backwards: bool,
        limit: usize,
    ) -> Pending {
        let range = ReadRange {
            after,
            until,
            after_version,
            until_version,
            recorded_from,
            recorded_until,
            happened_from,
            happened_until,
            backwards,
            limit,
            ..ReadRange::default()
        };
        let answer = self.core.read(query(items), range);
        Pending::new(async { answer.await.map(Outcome::Page) }).coming(self.near)
    }

    /// How many events a read of the same would give.
    #[pyo3(signature = (
        items, *, after=0, until=u64::MAX, recorded_from=i64::MIN, recorded_until=i64::MAX,
        happened_from=i64::MIN, happened_until=i64::MAX
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are fields of ReadRange")]
    fn count(
        &self,
        items: Vec<ItemTuple>,
        after: u64,
        until: u64,
        recorded_from: i64,
        recorded_until: i64,
        happened_from: i64,
        happened_until: i64,
    ) -> Pending {
        let range = ReadRange {
            after,
            until,
            recorded_from,
            recorded_until,
            happened_from,
            happened_until,
            ..ReadRange::default()
        };
        let answer = self.core.count(query(items), range);
        Pending::new(async { answer.await.map(made) })
    }

    /// Lists one page of streams: ([(type, id, version, last position)], where to continue).
    fn streams(
        &self,
        aggregate_type: Option<String>,
        aggregate_id: Option<String>,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Pending {
        let selection = StreamSelection { tenant: String::new(), aggregate_type, aggregate_id };
        let answer = self.core.streams(selection, after, limit);
        Pending::new(async { answer.await.map(Outcome::Streams) }).coming(self.near)
    }

    /// How far the log is settled: (position, last position, writers, age of the oldest in µs).
    fn horizon(&self) -> Pending {
        let answer = self.core.horizon();
        Pending::new(async { answer.await.map(Outcome::Horizon) }).coming(self.near)
    }

    /// Checks a part of what is stored: ((rows checked, rows in all, events, streams, records),
    /// [(position, text)] of what is damaged, where to go on).
    fn verify(&self, after: Option<Vec<u8>>) -> Pending {
        let answer = self.core.verify(after.map(VerifyCursor));
        Pending::new(async { answer.await.map(Outcome::Verified) })
    }

    /// Follows what a query asks for, in pages of at most `limit` events.
    fn subscribe(
        &self,
        py: Python<'_>,
        items: Vec<ItemTuple>,
        limit: usize,
    ) -> PyResult<Subscription> {
        let (store, query) = (self.core.clone(), query(items));
        let made = subscription::Subscription::new(&store, query.clone(), limit);
        let inner = Arc::new(made.map_err(|e| to_python(py, &e))?);
        Ok(Subscription { store, query, inner })
    }

    /// Joins a consumer group that handles what a query asks for, in pages of at most `limit`.
    fn join(&self, options: OptionsTuple, items: Vec<ItemTuple>, limit: usize) -> Pending {
        group::join(&self.core, options, query(items), limit)
    }

    /// Raises the number of partitions of a consumer group.
    fn repartition(&self, group: &str, partitions: u32) -> Pending {
        group::repartition(&self.core, group, partitions)
    }

    /// The dead letters of a group behind a position: [(JSON, version of its record)].
    fn dead_letters(&self, group: &str, after: u64, limit: usize) -> Pending {
        group::dead_letters(&self.core, group, after, limit)
    }

    /// The dead letter of a position, alone in a list, or none.
    fn dead_letter(&self, group: &str, position: u64) -> Pending {
        group::find_dead_letter(&self.core, group, position)
    }

    /// Changes a dead letter that is at a version; the answer is its new version.
    fn change_dead_letter(
        &self,
        py: Python<'_>,
        group: &str,
        json: &[u8],
        version: u64,
    ) -> PyResult<Pending> {
        group::change_dead_letter(py, &self.core, group, json, version)
    }

    /// Removes a dead letter that is at a version.
    fn discard_dead_letter(&self, group: &str, position: u64, version: u64) -> Pending {
        group::discard_dead_letter(&self.core, group, position, version)
    }

    /// The checkpoints: [(name, position, when written in µs, lag in positions)].
    fn checkpoints(&self) -> Pending {
        let answer = checkpoints::list(&self.core);
        Pending::new(async {
            let all: Vec<_> = answer.await?.into_iter().map(checkpoint_tuple).collect();
            Ok(made(all))
        })
    }

    /// Puts a checkpoint behind a position, or at the end of the log.
    #[pyo3(signature = (name, position))]
    fn reset_checkpoint(&self, name: &str, position: Option<u64>) -> Pending {
        let to = position.map_or(Target::End, Target::At);
        let answer = checkpoints::reset(&self.core, name, to);
        Pending::new(async { answer.await.map(|info| made(checkpoint_tuple(info))) })
    }

    /// Deletes a checkpoint; whether there was one.
    fn delete_checkpoint(&self, name: &str) -> Pending {
        let answer = checkpoints::delete(&self.core, name);
        Pending::new(async { answer.await.map(made) })
    }

    /// The last position of another log that was stored, or None.
    fn tracked(&self, name: &str) -> Pending {
        let answer = tracking::tracked(&self.core, name);
        Pending::new(async { answer.await.map(made) })
    }

    /// A projection of this store, in a version, kept in `documents`, `inline` ones or `sql`.
    #[pyo3(signature = (name, version, kind="documents"))]
    fn projection(
        &self,
        py: Python<'_>,
        name: &str,
        version: u32,
        kind: &str,
    ) -> PyResult<Projection> {
        Projection::new(py, &self.core, name, version, kind, self.near)
    }

    /// The documents of a model with these keys: ([(key, JSON)], None).
    fn documents_by_keys(&self, model: &str, keys: Vec<String>) -> Pending {
        projection::by_keys(&self.documents, model, keys).coming(self.near)
    }

    /// One page of a model's documents by an index, or by their keys without the name of one:
    /// ([(key, JSON)], where to go on: (value, key)).
    fn documents(
        &self,
        model: &str,
        select: projection::Selection,
        backwards: bool,
        after: Option<(Option<ScalarArgument>, String)>,
        limit: usize,
    ) -> Pending {
        projection::page(&self.documents, model, select, backwards, after, limit).coming(self.near)
    }

    /// The documents of a model whose texts fit a query best: ([(key, JSON)], None).
    fn search(&self, model: &str, text: &str, limit: usize) -> PyResult<Pending> {
        Ok(projection::search(&self.documents, model, text, limit)?.coming(self.near))
    }

    /// How many documents of a model an index has between two values, or in all without its name.
    fn count_documents(&self, model: &str, select: projection::Selection) -> Pending {
        projection::count(&self.documents, model, select).coming(self.near)
    }

    /// The snapshots of this store.
    fn snapshots(&self) -> Snapshots {
        Snapshots::new(&self.core, self.near)
    }

    /// The record of a key: (version, bytes), or None.
    fn record(&self, space: String, key: String) -> Pending {
        let select = RecordSelection::Keys(vec![key]);
        let query = RecordQuery::new(space, select);
        let answer = self.core.records(query, None, 1);
        Pending::new(async {
            answer.await.map(|page| Outcome::Record(page.records.into_iter().next()))
        })
    }

    /// The first records of a space that are due by the store's clock: [(key, version)].
    fn due_records(&self, space: String, limit: usize) -> Pending {
        let select = RecordSelection::Due { until: None };
        let query = RecordQuery { entries: false, bytes: false, ..RecordQuery::new(space, select) };
        let answer = self.core.records(query, None, limit);
        Pending::new(async {
            let page = answer.await?;
            let found = page.records.into_iter().map(|record| (record.key.key, record.version));
            let found: Vec<_> = found.collect();
            Ok(Outcome::Made(Box::new(move |py| Ok(found.into_pyobject(py)?.into_any().unbind()))))
        })
    }

    /// Writes a record that is at a version, or absent; gives its new version. The same id again
    /// is the same commit.
    fn put_record(
        &self,
        space: String,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
        id: Uuid,
    ) -> Pending {
        let expected = expected.map_or(ExpectedRecord::Absent, ExpectedRecord::Exact);
        let change = RecordChange::put(RecordKey::new(space, key), value).expecting(expected);
        let answer = self.core.commit(Commit { id, ..Commit::change(vec![change]) });
        Pending::new(async {
            answer
                .await
                .map(|done| Outcome::Changed(done.record_versions.first().copied().unwrap_or(0)))
        })
    }

    /// Waits for the writes that have begun, then releases everything.
    fn close(&self) -> Pending {
        let answer = self.core.close();
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }
}
