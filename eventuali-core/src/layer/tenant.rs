//! A store seen as one tenant.

use std::sync::Arc;

use tokio::sync::watch;

use crate::commit::{Commit, Committed};
use crate::error::{Error, Result};
use crate::event::EventPage;
use crate::layer::counter::Counter;
use crate::layer::limits::Limited;
use crate::name::check_tenant;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordPurge, RecordQuery};
use crate::storage::{Answer, Capabilities, Horizon, Storage};
use crate::stream::{StreamId, StreamPage, StreamSelection};
use crate::usage::{TenantLimits, UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// A store seen as one tenant: whatever tenant a call names, this one is meant.
///
/// What concerns the store as a whole stays that: the horizon, the damage, the limits, the end. A view
/// of a view is the inner one's: a tenant gives no access to another. Statements can name any table, so
/// only the default tenant, to whom everything belongs that no tenant owns, has them carried out.
pub struct Tenant {
    /// What is asked, with the limits of this tenant around it.
    storage: Arc<dyn Storage>,
    /// The same without limits, which are no other tenant's.
    unlimited: Arc<dyn Storage>,
    name: String,
}

impl Tenant {
    /// A view of `storage`; refuses what is no name of a tenant. Empty is the default tenant.
    pub fn new(storage: Arc<dyn Storage>, name: &str) -> Result<Self> {
        check_tenant(name)?;
        Ok(Self { unlimited: Arc::clone(&storage), storage, name: name.to_owned() })
    }

    /// A view of the same store as another tenant, without limits.
    pub fn other(&self, name: &str) -> Result<Self> {
        Self::new(Arc::clone(&self.unlimited), name)
    }

    /// The same view of `storage` with a layer around it, and without limits.
    pub(crate) fn with(&self, layer: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>) -> Self {
        let storage = layer(Arc::clone(&self.unlimited));
        Self { unlimited: Arc::clone(&storage), storage, name: self.name.clone() }
    }

    /// The same view with limits, held against what `counter` says.
    #[must_use]
    pub fn limited(&self, limits: TenantLimits, counter: &Arc<Counter>) -> Self {
        let (unlimited, counter) = (Arc::clone(&self.unlimited), Arc::clone(counter));
        let storage = Arc::new(Limited::new(Arc::clone(&unlimited), &self.name, limits, counter));
        Self { storage, unlimited, name: self.name.clone() }
    }

    /// Whose view it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn own(&self, query: &mut Query) {
        query.tenant.clone_from(&self.name);
        query.everyone = false;
    }

    /// The commit, of this tenant; refuses SQL of a tenant that is named.
    fn owned(&self, mut commit: Commit) -> Result<Commit> {
        if !self.name.is_empty() && !commit.statements.is_empty() {
            return Err(Error::without_sql("the store of a tenant"));
        }
        for write in &mut commit.writes {
            if write.stream.tenant != self.name {
                let stream = StreamId::clone(&write.stream).with_tenant(&self.name);
                write.stream = Arc::new(stream);
            }
        }
        for condition in &mut commit.conditions {
            self.own(&mut condition.query);
        }
        for change in &mut commit.records {
            change.key.tenant.clone_from(&self.name);
        }
        for check in &mut commit.checks {
            check.key.tenant.clone_from(&self.name);
        }
        Ok(commit)
    }
}

impl Storage for Tenant {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        match self.owned(commit) {
            Ok(commit) => self.storage.commit(commit),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn commit_here(&self, commit: Commit) -> Answer<Committed> {
        match self.owned(commit) {
            Ok(commit) => self.storage.commit_here(commit),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn read(&self, mut query: Query, range: ReadRange) -> Answer<EventPage> {
        self.own(&mut query);
        self.storage.read(query, range)
    }

    fn count(&self, mut query: Query, range: ReadRange) -> Answer<u64> {
        self.own(&mut query);
        self.storage.count(query, range)
    }

    fn streams(
        &self,
        mut selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        selection.tenant.clone_from(&self.name);
        self.storage.streams(selection, after, limit)
    }

    fn records(
        &self,
        mut query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        query.tenant.clone_from(&self.name);
        self.storage.records(query, after, limit)
    }

    fn count_records(&self, mut query: RecordQuery) -> Answer<u64> {
        query.tenant.clone_from(&self.name);
        self.storage.count_records(query)
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        self.storage.usage(UsageQuery { tenant: Some(self.name.clone()), ..query })
    }

    fn purge(&self, mut purge: RecordPurge) -> Answer<u64> {
        purge.tenant.clone_from(&self.name);
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
        let inner = self.storage.capabilities();
        Capabilities { sql: inner.sql && self.name.is_empty(), ..inner }
    }
}
