//! The pages of the log that the partitions of one member share: each is read once, and not once for
//! each of them.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::partition::Partitioning;
use crate::error::Result;
use crate::event::EventPage;
use crate::query::{Query, ReadRange};
use crate::storage::Answer;
use crate::store::EventStore;

/// How many pages are kept for partitions that are slower than others.
const KEPT: usize = 64;
/// How many bytes of payload and metadata they have, but for the last one.
const KEPT_BYTES: usize = 8 << 20;

/// What the partitions of a member read of the log while they catch up.
#[derive(Default)]
pub(super) struct Pages {
    /// A lock and no channel: it is held for assignments.
    asked: Mutex<VecDeque<Arc<Asked>>>,
}

/// A page that is on its way, or there.
struct Asked {
    after: u64,
    /// The past of the store that it is read from.
    epoch: u64,
    /// The answer, until somebody waits for it.
    answer: Mutex<Option<Answer<EventPage>>>,
    page: OnceCell<Shared>,
    /// How many partitions have taken what is theirs.
    taken: AtomicUsize,
}

/// A page, and the hash of the key of each of its events.
struct Shared {
    page: EventPage,
    hashes: Vec<u64>,
}

/// What one partition reads.
pub(in crate::service) struct Part {
    partitioning: Arc<Partitioning>,
    number: u32,
    pages: Arc<Pages>,
}

impl Part {
    pub(super) fn new(partitioning: Arc<Partitioning>, number: u32, pages: Arc<Pages>) -> Self {
        Self { partitioning, number, pages }
    }

    /// The events of the partition in a range. The work begins at once.
    pub(in crate::service) fn read(
        self: &Arc<Self>,
        store: &EventStore,
        query: &Query,
        range: ReadRange,
    ) -> Answer<EventPage> {
        let part = Arc::clone(self);
        // Whoever has caught up looks by itself: what another has seen may be older.
        if range.prompt || range.until != u64::MAX || self.partitioning.partitions == 1 {
            let answer = store.read(query.clone(), range);
            return Box::pin(async move {
                let mut page = answer.await?;
                let Part { partitioning, number, .. } = &*part;
                if !partitioning.is_whole() {
                    page.keep(|event| partitioning.has(*number, event))?;
                }
                Ok(page)
            });
        }
        let epoch = match store.epoch() {
            Ok(epoch) => epoch,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let read = || store.read(query.clone(), range);
        let (asked, is_own) = self.pages.asked(range.after, epoch, read);
        let (store, query) = (store.clone(), query.clone());
        Box::pin(async move {
            let shared = asked.page.get_or_try_init(|| async {
                let sent = asked.answer().take();
                // Whoever waited for it before may be gone, or it failed.
                Shared::of(sent.unwrap_or_else(|| store.read(query, range)), &part).await
            });
            let shared = shared.await?;
            let mut page = part.of(shared, range.after);
            page.end &= is_own; // another may have read it before this one asked
            let partitions = Arc::strong_count(&part.pages) - 1; // the member has one
            if shared.page.end || asked.taken.fetch_add(1, SeqCst) + 1 >= partitions {
                part.pages.forget(&asked);
            }
            Ok(page)
        })
    }

    /// What of a page belongs to the partition, and lies behind a position.
    fn of(&self, shared: &Shared, after: u64) -> EventPage {
        let Shared { page, hashes } = shared;
        page.only(|index, position| {
            position > after && self.partitioning.has_key(self.number, hashes[index], position)
        })
    }
}

impl Shared {
    async fn of(answer: Answer<EventPage>, part: &Part) -> Result<Self> {
        let page = answer.await?;
        let hashes = part.partitioning.hashes(&page)?;
        Ok(Self { page, hashes })
    }
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Asked>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page behind a position, and whether it was asked for now.
    fn asked(
        &self,
        after: u64,
        epoch: u64,
        read: impl FnOnce() -> Answer<EventPage>,
    ) -> (Arc<Asked>, bool) {
        let mut asked = self.lock();
        asked.retain(|each| each.epoch == epoch);
        if let Some(found) = asked.iter().find(|each| each.has(after)) {
            return (Arc::clone(found), false);
        }
        let (answer, page) = (Mutex::new(Some(read())), OnceCell::new());
        let new = Arc::new(Asked { after, epoch, answer, page, taken: AtomicUsize::new(0) });
        while asked.len() >= KEPT
            || asked.iter().map(|each| each.bytes()).sum::<usize>() > KEPT_BYTES
        {
            asked.pop_front();
        }
        asked.push_back(Arc::clone(&new));
        (new, true)
    }

    /// Whoever asks from now on is answered by the store.
    fn forget(&self, gone: &Arc<Asked>) {
        self.lock().retain(|each| !Arc::ptr_eq(each, gone));
    }
}

impl Asked {
    fn answer(&self) -> MutexGuard<'_, Option<Answer<EventPage>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> usize {
        self.page.get().map_or(0, |shared| shared.page.bytes())
    }

    /// Whether what follows a position begins on this page.
    fn has(&self, after: u64) -> bool {
        let is_behind = |shared: &Shared| after < shared.page.looked_to;
        self.after == after || (self.after < after && self.page.get().is_some_and(is_behind))
    }
}
