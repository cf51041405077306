//! A store seen across all of its tenants, to read.

use std::future::ready;
use std::sync::Arc;

use tokio::sync::watch;

use crate::commit::{Commit, Committed};
use crate::error::Error;
use crate::event::EventPage;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordPurge, RecordQuery};
use crate::storage::{Answer, Capabilities, Horizon, Storage};
use crate::stream::{StreamPage, StreamSelection};
use crate::usage::{UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// The events of all tenants, and how much each of them has: whatever tenant a call names, all are
/// meant. It writes nothing, and has no records and no streams to list, which are of one tenant each.
pub struct AllTenants(Arc<dyn Storage>);

impl AllTenants {
    /// A view of `storage`.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self(storage)
    }
}

fn refused<T: Send + 'static>() -> Answer<T> {
    let text = "records, streams or writing: the view of all tenants only reads events";
    Box::pin(ready(Err(Error::tenant_access("", text))))
}

impl Storage for AllTenants {
    fn commit(&self, _commit: Commit) -> Answer<Committed> {
        refused()
    }

    fn commit_here(&self, _commit: Commit) -> Answer<Committed> {
        refused()
    }

    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        self.0.read(Query { everyone: true, ..query }, range)
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        self.0.count(Query { everyone: true, ..query }, range)
    }

    fn streams(
        &self,
        _selection: StreamSelection,
        _after: Option<(String, String)>,
        _limit: usize,
    ) -> Answer<StreamPage> {
        refused()
    }

    fn records(
        &self,
        _query: RecordQuery,
        _after: Option<RecordCursor>,
        _limit: usize,
    ) -> Answer<RecordPage> {
        refused()
    }

    fn count_records(&self, _query: RecordQuery) -> Answer<u64> {
        refused()
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        self.0.usage(UsageQuery { tenant: None, ..query })
    }

    fn purge(&self, _purge: RecordPurge) -> Answer<u64> {
        refused()
    }

    fn horizon(&self) -> Answer<Horizon> {
        self.0.horizon()
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        self.0.verify(after)
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.0.appended()
    }

    fn epoch(&self) -> u64 {
        self.0.epoch()
    }

    fn close(&self) -> Answer<()> {
        self.0.close()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { sql: false, ..self.0.capabilities() }
    }
}
