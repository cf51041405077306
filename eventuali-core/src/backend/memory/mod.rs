//! Everything in memory, gone when dropped: for tests and demos, and the oracle with which the
//! property tests compare the other backends. Plain on purpose: every question is a scan.

mod append;
mod reader;
mod records;
mod usage;
mod verify;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::commit::{Commit, Committed};
use crate::error::{Error, Result};
use crate::event::{EventHead, EventPage, EventRef};
use crate::limits::Limits;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordKey, RecordPage, RecordPurge, RecordQuery, RecordValue};
use crate::storage::{Answer, Capabilities, Horizon, Storage};
use crate::stream::{StreamId, StreamPage, StreamSelection};
use crate::usage::{UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// A store in memory.
#[derive(Debug)]
pub struct Memory {
    /// A lock and no channel: no verb waits for anything while it holds it. A commit checks and
    /// encodes before it changes anything, so that a panic elsewhere leaves nothing half done.
    state: Mutex<State>,
    appended: watch::Sender<u64>,
}

/// All that the store knows.
#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// By position, which is the index plus one.
    events: Vec<StoredRow>,
    /// Where the event of an id lies in `events`, and the digest of its commit's records.
    ids: BTreeMap<Uuid, (usize, i64)>,
    /// The positions of a stream's events; its version is their number.
    streams: BTreeMap<StreamId, Vec<u64>>,
    records: BTreeMap<RecordKey, StoredRecord>,
    /// The time of the last commit with events, which the next one doesn't fall below.
    recorded_at: i64,
}

/// An event as it lies in the store.
#[derive(Debug)]
struct StoredRow {
    head: EventHead,
    metadata: Vec<u8>,
    payload: Vec<u8>,
    checksum: u32,
}

/// A record, or what a deleted one leaves: a version from which to go on.
#[derive(Debug)]
struct StoredRecord {
    version: u64,
    value: Option<RecordValue>,
    commit_id: Uuid,
}

impl StoredRow {
    fn event(&self) -> EventRef<'_> {
        EventRef { head: &self.head, metadata_bytes: &self.metadata, payload: &self.payload }
    }
}

impl State {
    fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).map_or(0, |positions| positions.len() as u64)
    }

    fn record_version(&self, key: &RecordKey) -> u64 {
        self.records.get(key).map_or(0, |record| record.version)
    }

    fn last_position(&self) -> u64 {
        self.events.len() as u64
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Mutex::default(), appended: watch::Sender::new(0) }
    }

    /// What `verb` makes of the state, unless the store is closed.
    fn with<T>(&self, verb: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(Error::closed()) } else { verb(&mut state) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

fn answer<T: Send + 'static>(result: Result<T>) -> Answer<T> {
    Box::pin(ready(result))
}

impl Storage for Memory {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        let limits = self.capabilities().limits;
        let result = self.with(|state| {
            commit.check(&limits)?;
            if !commit.statements.is_empty() {
                return Err(Error::without_sql("a store in memory"));
            }
            state.commit(&commit)
        });
        if let Ok(committed) = &result {
            let highest = committed.positions.iter().copied().max().unwrap_or(0);
            self.appended.send_if_modified(|seen| {
                let more = highest > *seen;
                *seen = highest.max(*seen);
                more
            });
        }
        answer(result)
    }

    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        answer(self.with(|state| state.read(&query, range)))
    }

    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        answer(self.with(|state| state.streams(&selection, after.as_ref(), limit)))
    }

    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        answer(self.with(|state| state.records(&query, after, limit)))
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        answer(self.with(|state| state.count(&query, range)))
    }

    fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        answer(self.with(|state| state.count_records(&query)))
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        answer(self.with(|state| state.usage(&query)))
    }

    fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        answer(self.with(|state| state.purge(&purge)))
    }

    fn horizon(&self) -> Answer<Horizon> {
        answer(self.with(|state| Ok(Horizon::at(state.last_position()))))
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        answer(self.with(|state| match after {
            None => Ok(state.verify()),
            Some(_) => Err(VerifyCursor::unknown()),
        }))
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    fn close(&self) -> Answer<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.appended.send_modify(|_| ());
        answer(Ok(()))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: "memory",
            durable: false,
            shared: false,
            remote: false,
            sql: false,
            full_text: false,
            limits: Limits::DEFAULT,
        }
    }
}
