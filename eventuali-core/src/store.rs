//! The store as users open it: a URL becomes a backend, and the layers around it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use crate::backend::memory::Memory;
use crate::backend::postgres::{Postgres, PostgresOptions};
use crate::backend::sqlite::{Durability, Sqlite, Target};
use crate::clock::SetClock;
use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::layer::all_tenants::AllTenants;
use crate::layer::clock::Clocked;
use crate::layer::counter::Counter;
use crate::layer::limits::close_after;
use crate::layer::tenant::Tenant;
use crate::name::check_tenant;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordKey, RecordPage, RecordPurge, RecordQuery};
use crate::storage::{Answer, Capabilities, Horizon, Storage};
use crate::stream::{StreamPage, StreamSelection};
use crate::url::Location;
use crate::usage::{TenantLimits, Usage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// How a store is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whose events; empty for the default tenant.
    pub tenant: String,
    /// What an acknowledged commit survives.
    pub durability: Durability,
}

/// Whoever writes a record when it is time to, and not when it is asked to.
pub(crate) trait Settle: Send + Sync {
    /// Writes what is left, and waits for that.
    fn settle(self: Arc<Self>) -> Answer<()>;
}

/// An open store, seen as one tenant, as [`Tenant`] has it.
#[derive(Clone)]
pub struct EventStore {
    storage: Arc<Tenant>,
    /// What it goes by in a test; none is the real time.
    clock: Option<Arc<SetClock>>,
    url: String,
    process: u32,
    /// Who writes which record later. A lock: it is held for a look.
    writers: Arc<Mutex<HashMap<RecordKey, Weak<dyn Settle>>>>,
    /// What each tenant has stored, as far as is known. A lock: it is held for a look.
    counters: Arc<Mutex<HashMap<String, Arc<Counter>>>>,
    file: Option<PathBuf>,
    /// The highest position that was read.
    seen: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
}

impl EventStore {
    /// Opens the store that `url` names; see [`Location::parse`] for its forms. Blocks while it does.
    pub fn open(url: &str, options: &Options) -> Result<Self> {
        check_tenant(&options.tenant)?;
        let location = Location::parse(url)?;
        let storage: Arc<dyn Storage> = match &location {
            Location::Memory => Arc::new(Memory::new()),
            Location::SqliteMemory => Arc::new(Sqlite::open(&Target::Memory, options.durability)?),
            Location::Sqlite(path) => {
                Arc::new(Sqlite::open(&Target::File(path.clone()), options.durability)?)
            }
            Location::Postgres(url) => {
                let relaxed = options.durability == Durability::Relaxed;
                let server = PostgresOptions { relaxed, ..PostgresOptions::new(url.clone()) };
                Arc::new(open_postgres(server, &options.tenant)?)
            }
        };
        let mut store = Self::over(storage, &options.tenant)?;
        store.url = location.to_string();
        if let Location::Sqlite(path) = &location {
            // The working directory may be another one later.
            store.file = std::path::absolute(path).ok();
        }
        Ok(store)
    }

    /// Opens a store in PostgreSQL, seen as `tenant`. Blocks while it does.
    pub fn postgres(options: PostgresOptions, tenant: &str) -> Result<Self> {
        check_tenant(tenant)?;
        let url = options.url.to_string();
        let mut store = Self::over(Arc::new(open_postgres(options, tenant)?), tenant)?;
        store.url = url;
        Ok(store)
    }

    /// A store over a backend of one's own.
    pub fn over(storage: Arc<dyn Storage>, tenant: &str) -> Result<Self> {
        let url = format!("{}://", storage.capabilities().backend);
        Ok(Self {
            storage: Arc::new(Tenant::new(storage, tenant)?),
            clock: None,
            url,
            process: std::process::id(),
            writers: Arc::default(),
            counters: Arc::default(),
            file: None,
            seen: Arc::default(),
            closed: Arc::default(),
        })
    }

    /// The same store, seen as another tenant; only the default tenant's store gives that. As its own,
    /// it keeps its limits.
    pub fn for_tenant(&self, tenant: &str) -> Result<Self> {
        let mut other = self.clone();
        if tenant != self.tenant() {
            let view = self.storage.other(tenant)?;
            self.default_tenant("another tenant")?;
            other.storage = Arc::new(view);
        }
        Ok(other)
    }

    /// The same store, with limits for its tenant. They are of this view, and no part of the store.
    #[must_use]
    pub fn with_limits(&self, limits: TenantLimits) -> Self {
        let mut other = self.clone();
        other.storage = Arc::new(self.storage.limited(limits, &self.counter()));
        other
    }

    /// All tenants, to read: what [`AllTenants`] allows. Only the default tenant's store gives it.
    pub fn all_tenants(&self) -> Result<Self> {
        self.default_tenant("all tenants")?;
        let mut other = self.clone();
        other.storage = Arc::new(self.storage.with(|inner| Arc::new(AllTenants::new(inner))));
        Ok(other)
    }

    /// Refuses what is of all tenants to the store of one.
    fn default_tenant(&self, what: &str) -> Result<()> {
        match self.tenant() {
            "" => Ok(()),
            tenant => Err(Error::tenant_access(tenant, what)),
        }
    }

    fn counter(&self) -> Arc<Counter> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(self.tenant().to_owned()).or_default())
    }

    /// The same store, going by a clock that a test sets.
    #[must_use]
    pub fn with_clock(&self, clock: Arc<SetClock>) -> Self {
        let mut other = self.clone();
        let told = Arc::clone(&clock);
        let now = Arc::new(move || told.now());
        other.storage = Arc::new(self.storage.with(|inner| Arc::new(Clocked::new(inner, now))));
        other.clock = Some(clock);
        other
    }

    /// The clock that a test sets; none where the store goes by the real time.
    #[must_use]
    pub fn clock(&self) -> Option<&SetClock> {
        self.clock.as_deref()
    }

    /// What was opened, without a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file that was opened, absolute; none where it is in none.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whose events these are.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.storage.name()
    }

    /// Whether this process opened the store. In a forked child its threads do not exist, and
    /// nothing of it may be touched.
    #[must_use]
    pub fn is_own_process(&self) -> bool {
        self.process == std::process::id()
    }

    fn storage(&self) -> Result<&dyn Storage> {
        if self.is_own_process() {
            return Ok(&*self.storage);
        }
        let text = "the store was opened before this process was forked; open it again here";
        Err(Error::new(ErrorKind::Forked, text))
    }

    /// See [`Storage::commit`].
    #[must_use]
    pub fn commit(&self, commit: Commit) -> Answer<Committed> {
        self.ask(|storage| storage.commit(commit))
    }

    /// See [`Storage::commit_here`].
    #[must_use]
    pub fn commit_here(&self, commit: Commit) -> Answer<Committed> {
        self.ask(|storage| storage.commit_here(commit))
    }

    /// See [`Storage::read`].
    #[must_use]
    pub fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        let answer = self.ask(|storage| storage.read(query, range));
        let seen = Arc::clone(&self.seen);
        Box::pin(async move {
            let page = answer.await?;
            if !page.is_empty() {
                let highest = page.get(if range.backwards { 0 } else { page.len() - 1 });
                seen.fetch_max(highest.head.position, Relaxed);
            }
            Ok(page)
        })
    }

    /// See [`Storage::count`].
    #[must_use]
    pub fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        self.ask(|storage| storage.count(query, range))
    }

    /// See [`Storage::streams`].
    #[must_use]
    pub fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        self.ask(|storage| storage.streams(selection, after, limit))
    }

    /// See [`Storage::records`].
    #[must_use]
    pub fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        self.ask(|storage| storage.records(query, after, limit))
    }

    /// See [`Storage::count_records`].
    #[must_use]
    pub fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        self.ask(|storage| storage.count_records(query))
    }

    /// How much this tenant has stored. The whole log is looked through the first time, and what has
    /// come since from then on.
    #[must_use]
    pub fn usage(&self) -> Answer<Usage> {
        let (storage, counter) = (Arc::clone(&self.storage), self.counter());
        if let Err(error) = self.storage() {
            return Box::pin(std::future::ready(Err(error)));
        }
        Box::pin(async move {
            counter.count(&*storage, storage.name()).await?;
            Ok(counter.stored())
        })
    }

    /// How much each tenant has stored that has events; of [`EventStore::all_tenants`].
    #[must_use]
    pub fn usages(&self) -> Answer<BTreeMap<String, Usage>> {
        if let Err(error) = self.storage() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let storage = Arc::clone(&self.storage);
        Box::pin(async move {
            let (mut all, mut after) = (BTreeMap::<String, Usage>::new(), 0);
            loop {
                let page = storage.usage(UsageQuery { tenant: None, after }).await?;
                for (tenant, usage) in page.usages {
                    let of = all.entry(tenant).or_default();
                    *of = of.plus(usage);
                }
                if page.end {
                    return Ok(all);
                }
                after = page.looked_to;
            }
        })
    }

    /// See [`Storage::purge`].
    #[must_use]
    pub fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        self.ask(|storage| storage.purge(purge))
    }

    /// See [`Storage::horizon`]. It is that of all tenants.
    #[must_use]
    pub fn horizon(&self) -> Answer<Horizon> {
        let (answer, seen) = (self.ask(Storage::horizon), Arc::clone(&self.seen));
        Box::pin(async move {
            let found = answer.await?;
            seen.fetch_max(found.last, Relaxed);
            Ok(found)
        })
    }

    /// The highest position that this store has written, read or heard of.
    pub fn last_position(&self) -> Result<u64> {
        if self.closed.load(Relaxed) {
            return Err(Error::closed());
        }
        let known = *self.appended()?.borrow();
        Ok(known.max(self.seen.load(Relaxed)))
    }

    /// Notes who writes a record of this store from now on.
    pub(crate) fn writes_later(&self, key: &RecordKey, writer: &Arc<dyn Settle>) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|_, writer| writer.strong_count() > 0);
        writers.insert(key.clone(), Arc::downgrade(writer));
    }

    /// Waits until whoever writes a record has written what is left.
    pub(crate) fn settle(&self, key: &RecordKey) -> Answer<()> {
        if let Err(forked) = self.storage() {
            return Box::pin(std::future::ready(Err(forked)));
        }
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = writers.get(key).and_then(Weak::upgrade);
        drop(writers);
        writer
            .map_or_else(|| -> Answer<()> { Box::pin(std::future::ready(Ok(()))) }, Settle::settle)
    }

    /// See [`Storage::verify`]: all tenants', which only the default one's store tells of.
    #[must_use]
    pub fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        if let Err(error) = self.default_tenant("what is stored of others, which verify checks") {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.ask(|storage| storage.verify(after))
    }

    /// See [`Storage::epoch`].
    pub fn epoch(&self) -> Result<u64> {
        self.storage().map(Storage::epoch)
    }

    /// See [`Storage::appended`].
    pub fn appended(&self) -> Result<watch::Receiver<u64>> {
        Ok(self.storage()?.appended())
    }

    /// See [`Storage::close`].
    #[must_use]
    pub fn close(&self) -> Answer<()> {
        self.closed.store(true, Relaxed);
        if let Err(error) = self.storage() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = counters.values().map(Arc::clone).collect();
        close_after(counters, Arc::clone(&self.storage) as Arc<dyn Storage>)
    }

    /// See [`Storage::capabilities`].
    pub fn capabilities(&self) -> Result<Capabilities> {
        Ok(self.storage()?.capabilities())
    }

    fn ask<T: Send + 'static>(&self, verb: impl FnOnce(&dyn Storage) -> Answer<T>) -> Answer<T> {
        match self.storage() {
            Ok(storage) => verb(storage),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// Opens a store in PostgreSQL; a role that is restricted to another tenant gets none.
fn open_postgres(options: PostgresOptions, tenant: &str) -> Result<Postgres> {
    let opened = Postgres::open(options)?;
    match opened.tenant() {
        Some(only) if only != tenant => {
            let text = format!(
                "PostgreSQL: the role is restricted to tenant {only:?}; open the store with that \
                 tenant, or as another role"
            );
            Err(Error::new(ErrorKind::TenantAccess { tenant: only.to_owned() }, text))
        }
        _ => Ok(opened),
    }
}

impl Drop for EventStore {
    fn drop(&mut self) {
        if !self.is_own_process() {
            // The child must not run the parent's shutdown: its locks may be held for ever here.
            std::mem::forget(Arc::clone(&self.storage));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, NewEvent};
    use crate::stream::{ExpectedVersion, StreamId};

    /// The answers of the memory backend are ready at once.
    fn now<T>(mut answer: Answer<T>) -> Result<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match answer.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => panic!("the answer is not ready"),
        }
    }

    #[test]
    fn every_verb_means_the_tenant_of_the_store() {
        let all = EventStore::over(Arc::new(Memory::new()), "").expect("it opens");
        let seen = |tenant| all.for_tenant(tenant).expect("it is seen");
        let (store, other) = (seen("acme"), seen("other"));
        let event = NewEvent::new(Arc::new(EventKind::json("Opened", 1)), "{}");
        let stream = StreamId::new("Account", "acc-1").with_tenant("other");
        now(store.commit(Commit::append(stream, ExpectedVersion::NoStream, vec![event])))
            .expect("it commits");
        for (seen, count) in [(&store, 1), (&other, 0)] {
            let page = now(seen.read(Query::all("other"), ReadRange::default())).expect("it reads");
            assert_eq!(page.len(), count);
            let page = now(seen.streams(StreamSelection::default(), None, 10)).expect("it lists");
            assert_eq!(page.streams.len(), count);
        }
        assert_eq!((store.tenant(), store.url()), ("acme", "memory://"));
        assert!(all.for_tenant("../b").is_err());
    }
}
