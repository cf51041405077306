//! A tenant's store with limits.

use std::future::ready;
use std::sync::Arc;
use std::thread::Builder;

use tokio::sync::{oneshot, watch};

use super::counter::{Counter, Reservation, begun, sizes};
use crate::commit::{Commit, Committed, StreamWrite};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordPurge, RecordQuery};
use crate::storage::{Answer, Capabilities, Horizon, Storage, answer_from, lost};
use crate::stream::{ExpectedVersion, StreamId, StreamPage, StreamSelection};
use crate::usage::{TenantLimits, Usage, UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// A store in which one tenant may have so many events and bytes: a commit of its that would exceed a
/// limit is refused, before anything is written. One that is stored already is answered as ever.
///
/// What other processes commit is known with the next count: within a second, and before each commit
/// that leaves less than a tenth of a limit.
pub struct Limited {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Arc<dyn Storage>,
    tenant: String,
    limits: TenantLimits,
    counter: Arc<Counter>,
}

impl Limited {
    /// `storage` with limits for `tenant`, of which `counter` knows what is stored.
    #[must_use]
    pub fn new(
        storage: Arc<dyn Storage>,
        tenant: &str,
        limits: TenantLimits,
        counter: Arc<Counter>,
    ) -> Self {
        let tenant = tenant.to_owned();
        Self { inner: Arc::new(Inner { storage, tenant, limits, counter }) }
    }

    fn within_limits(&self, commit: Commit, here: bool) -> Answer<Committed> {
        let inner = &self.inner;
        // What can't be stored is refused for what it is.
        let asked = match inner.asked(&commit) {
            Ok(asked) if asked.events > 0 => asked,
            _ => return inner.send(commit, None, here),
        };
        if let Some(room) = inner.counter.reserve_early(&inner.limits, asked) {
            return inner.send(commit, Some(room), here);
        }
        let Some(counting) = inner.counter.begin() else {
            return Box::pin(ready(Err(Error::closed())));
        };
        let (inner, ids) = (Arc::clone(inner), commit.event_ids());
        let work = async move { inner.counted(commit, asked).await };
        apart(work, counting, || Error::outcome_unknown(ids))
    }
}

impl Inner {
    /// What a commit adds.
    fn asked(&self, commit: &Commit) -> Result<Usage> {
        commit.check(&self.storage.capabilities().limits)?;
        let mut asked = Usage::default();
        for (_, event) in commit.events() {
            asked.events += 1;
            let metadata =
                event.metadata.as_ref().map_or(Ok(0), |m| m.encode().map(|m| m.len()))?;
            asked.bytes += (event.payload.len() + metadata) as u64;
        }
        Ok(asked)
    }

    /// Commits where there is room, by a count of now.
    async fn counted(&self, commit: Commit, asked: Usage) -> Result<Committed> {
        let wanted = (&self.limits, asked);
        match self.counter.reserve_counted(&*self.storage, &self.tenant, wanted).await? {
            Ok(room) => self.send(commit, Some(room), false).await,
            Err(exceeded) => {
                self.repeated(commit, Error::tenant_limit(&self.tenant, exceeded)).await
            }
        }
    }

    /// The answer to a commit that is stored already; else `refusal`, and nothing is written: it goes
    /// on a condition that a new commit can't meet, and a repeated one need not.
    async fn repeated(&self, mut commit: Commit, refusal: Error) -> Result<Committed> {
        let nowhere = StreamId::new("nowhere", commit.identity().to_string());
        let nowhere = Arc::new(nowhere.with_tenant(&self.tenant));
        commit.writes.push(StreamWrite {
            stream: Arc::clone(&nowhere),
            expected: ExpectedVersion::Exact(u64::MAX),
            events: Vec::new(),
        });
        match self.storage.commit(commit).await {
            Ok(mut answer) => {
                answer.versions.pop();
                Ok(answer)
            }
            Err(error) => match error.kind() {
                ErrorKind::Conflict { stream, .. } if *stream == nowhere => Err(refusal),
                _ => Err(error),
            },
        }
    }

    fn send(&self, commit: Commit, room: Option<Reservation>, here: bool) -> Answer<Committed> {
        let writes = if room.is_some() { sizes(&commit) } else { Vec::new() };
        let answer =
            if here { self.storage.commit_here(commit) } else { self.storage.commit(commit) };
        let Some(room) = room else { return answer };
        Box::pin(async move {
            let result = answer.await;
            if let Ok(committed) = &result {
                room.stored(begun(&writes, committed), committed);
            }
            result
        })
    }
}

/// Does `work` on a thread of its own, from now on, whether or not the answer is awaited. `during` is
/// dropped once the answer is there.
fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
    during: impl Send + 'static,
    lost: impl FnOnce() -> Error + Send + 'static,
) -> Answer<T> {
    let (sender, answer) = oneshot::channel();
    let spawned = Builder::new().name("eventuali-limits".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let result = match runtime {
            Ok(runtime) => runtime.block_on(work),
            Err(cause) => Err(no_thread(cause)),
        };
        drop(sender.send(result));
        drop(during);
    });
    match spawned {
        Ok(_) => answer_from(true, answer, lost),
        Err(cause) => Box::pin(ready(Err(no_thread(cause)))),
    }
}

/// Closes a store once the commits have been sent that wait for a count.
pub(crate) fn close_after(counters: Vec<Arc<Counter>>, storage: Arc<dyn Storage>) -> Answer<()> {
    let busy: Vec<_> = counters.into_iter().filter(|counter| !counter.close()).collect();
    if busy.is_empty() {
        return storage.close();
    }
    let work = async move {
        for counter in busy {
            counter.idle().await;
        }
        storage.close().await
    };
    apart(work, (), lost)
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "cannot start a thread").with_source(cause)
}

impl Storage for Limited {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        self.within_limits(commit, false)
    }

    fn commit_here(&self, commit: Commit) -> Answer<Committed> {
        self.within_limits(commit, true)
    }

    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        self.inner.storage.read(query, range)
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        self.inner.storage.count(query, range)
    }

    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        self.inner.storage.streams(selection, after, limit)
    }

    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        self.inner.storage.records(query, after, limit)
    }

    fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        self.inner.storage.count_records(query)
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        self.inner.storage.usage(query)
    }

    fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        self.inner.storage.purge(purge)
    }

    fn horizon(&self) -> Answer<Horizon> {
        self.inner.storage.horizon()
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        self.inner.storage.verify(after)
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.inner.storage.appended()
    }

    fn epoch(&self) -> u64 {
        self.inner.storage.epoch()
    }

    fn close(&self) -> Answer<()> {
        close_after(vec![Arc::clone(&self.inner.counter)], Arc::clone(&self.inner.storage))
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.storage.capabilities()
    }
}
