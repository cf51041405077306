//! A store whose clock is set by a test.

use std::sync::Arc;

use tokio::sync::watch;

use crate::commit::{Commit, Committed};
use crate::event::EventPage;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordPurge, RecordQuery, RecordSelection};
use crate::storage::{Answer, Capabilities, Horizon, Storage};
use crate::stream::{StreamPage, StreamSelection};
use crate::usage::{UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// A store that goes by a clock that is set: what is recorded, and what is due, is so by that.
///
/// A commit and a query that say a time themselves keep it.
pub struct Clocked {
    storage: Arc<dyn Storage>,
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Clocked {
    /// `storage` with a clock that says the µs since 1970 UTC.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self { storage, now }
    }

    fn timed(&self, commit: Commit) -> Commit {
        let at = commit.at.or_else(|| Some((self.now)()));
        Commit { at, ..commit }
    }

    fn due(&self, mut query: RecordQuery) -> RecordQuery {
        if let RecordSelection::Due { until } = &mut query.select {
            until.get_or_insert_with(|| (self.now)());
        }
        query
    }
}

impl Storage for Clocked {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        self.storage.commit(self.timed(commit))
    }

    fn commit_here(&self, commit: Commit) -> Answer<Committed> {
        self.storage.commit_here(self.timed(commit))
    }

    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        self.storage.read(query, range)
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        self.storage.count(query, range)
    }

    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        self.storage.streams(selection, after, limit)
    }

    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        self.storage.records(self.due(query), after, limit)
    }

    fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        self.storage.count_records(self.due(query))
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        self.storage.usage(query)
    }

    fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        self.storage.purge(purge)
    }

    fn horizon(&self) -> Answer<Horizon> {
        self.storage.horizon()
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        self.storage.verify(after)
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.storage.appended()
    }

    fn epoch(&self) -> u64 {
        self.storage.epoch()
    }

    fn close(&self) -> Answer<()> {
        self.storage.close()
    }

    fn capabilities(&self) -> Capabilities {
        self.storage.capabilities()
    }
}
