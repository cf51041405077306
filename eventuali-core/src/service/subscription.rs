//! Following the log: first what is stored, then what comes, for as long as somebody asks.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::group::pages::Part;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::query::{Query, ReadRange};
use crate::storage::Answer;
use crate::store::EventStore;

/// So many positions without a match, and a caller who waits hears how far the log was looked at.
pub const AHEAD: u64 = 1000;

/// A query that is followed.
///
/// A signal is a hint and nothing more: what is answered was read from the store, after the position
/// that the caller names. So nothing is lost or given twice where catching up turns into waiting,
/// whatever became of earlier answers. It keeps no page: what is held is what callers hold.
pub struct Subscription {
    inner: Arc<Inner>,
}

struct Inner {
    store: EventStore,
    query: Query,
    /// Where only the events of one partition are wanted.
    part: Option<Arc<Part>>,
    limit: usize,
    /// Nothing was answered with up to here since the last answer, for nothing matches.
    seen: AtomicU64,
    /// Kept for as long as the subscription, so that the backend listens meanwhile.
    signals: watch::Receiver<u64>,
    /// A lock and no channel: it is held for an assignment, and nothing wakes meanwhile.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The past of the store that is followed.
    epoch: u64,
    /// The last event that was answered with.
    last: Option<(u64, Uuid)>,
    settled: Option<Settled>,
    asked: Option<oneshot::Sender<Infallible>>,
}

/// Up to where nothing was left, and the signals as they were before that was read.
struct Settled {
    position: u64,
    signals: watch::Receiver<u64>,
}

impl Subscription {
    /// Follows the events of `store` that match `query`, in pages of at most `limit`.
    pub fn new(store: &EventStore, query: Query, limit: usize) -> Result<Self> {
        Self::of(store, query, None, limit)
    }

    /// Follows those of them that belong to one partition.
    pub(super) fn of(
        store: &EventStore,
        query: Query,
        part: Option<Part>,
        limit: usize,
    ) -> Result<Self> {
        let (store, signals, epoch) = (store.clone(), store.appended()?, store.epoch()?);
        let state = Mutex::new(State { epoch, ..State::default() });
        let (part, seen) = (part.map(Arc::new), AtomicU64::new(0));
        Ok(Self { inner: Arc::new(Inner { store, query, part, limit, seen, signals, state }) })
    }

    /// The next page after a position; waits where there is none yet.
    ///
    /// A caller that is `live` has heard of the end of the log; it is answered once there are
    /// events, or once [`AHEAD`] positions were passed over. Any other is answered by the first page,
    /// be it empty. `None` once the subscription is stopped, or asked again: one answer is on its
    /// way, the last one. A store that is closed answers [`crate::error::ErrorKind::Closed`].
    #[must_use]
    pub fn next(&self, after: u64, live: bool) -> Answer<Option<EventPage>> {
        // In a forked child the lock may be held for ever, and nobody would wake this.
        if let Err(forked) = self.inner.store.capabilities() {
            return Box::pin(ready(Err(forked)));
        }
        let (asked, mut stopped) = oneshot::channel();
        let settled = self.replace(Some(asked)).filter(|settled| settled.position == after);
        let mut following = Box::pin(self.following(after, live, settled));
        Box::pin(poll_fn(move |context| {
            if Pin::new(&mut stopped).poll(context).is_ready() {
                return Poll::Ready(Ok(None));
            }
            following.as_mut().poll(context).map_ok(Some)
        }))
    }

    /// How far was looked without an answer, for whoever waits for one.
    pub(super) fn seen(&self) -> u64 {
        self.inner.seen.load(SeqCst)
    }

    /// Ends the answer that is on its way, with `None`. In a forked child there is none.
    pub fn stop(&self) {
        if self.inner.store.is_own_process() {
            self.replace(None);
        }
    }

    fn replace(&self, asked: Option<oneshot::Sender<Infallible>>) -> Option<Settled> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut state.asked, asked);
        let settled = state.settled.take();
        drop(state);
        // Dropping the sender wakes whoever waits, who may ask again at once.
        drop(before);
        settled
    }

    /// The answer to one question. The first page is sent for before it is waited for, unless
    /// nothing was left when the last one was read.
    fn following(
        &self,
        after: u64,
        live: bool,
        settled: Option<Settled>,
    ) -> impl Future<Output = Result<EventPage>> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        let limit = inner.limit;
        // Who has heard of the end of the log does not wait for it.
        let mut range =
            ReadRange { after, prompt: live, strict: true, limit, ..ReadRange::default() };
        let (mut signals, mut reading) = match settled {
            Some(settled) if live => (settled.signals, None),
            _ => {
                let mut signals = inner.signals.clone();
                signals.mark_unchanged();
                (signals, Some(inner.read(range)))
            }
        };
        async move {
            loop {
                if let Some(asked) = reading.take() {
                    let page = asked.await?;
                    inner.has_its_past(after).await?;
                    let far = page.looked_to.saturating_sub(after) >= AHEAD;
                    let passed = page.is_empty() && !page.end && range.prompt;
                    if !passed && (!page.is_empty() || !page.end || !live || far) {
                        inner.answered(&page);
                        if page.end {
                            inner.settle(Settled { position: page.looked_to, signals });
                        }
                        return Ok(page);
                    }
                    inner.seen.fetch_max(page.looked_to, SeqCst);
                    range = range.continued(page.looked_to);
                    if passed {
                        // What follows may match: it is read to the end, not promptly.
                        range.prompt = false;
                        reading = Some(inner.read(range));
                        continue;
                    }
                }
                // Seen before the read that follows: what comes during it wakes once more.
                signals.changed().await.map_err(|_| Error::closed())?;
                #[cfg(feature = "faults")]
                if fault::chosen("live-from-signal") {
                    // Not every signal has a position: it stands for the end of the log.
                    let end = inner.store.horizon().await?.last;
                    range.after = end.saturating_sub(1).max(range.after);
                }
                range.prompt = live;
                reading = Some(inner.read(range));
            }
        }
    }
}

/// The error of a follower whose past is gone.
fn replaced(position: u64) -> Error {
    let text = format!(
        "another copy of the store was put in its place while its log was followed, up to \
         position {position}; subscribe again"
    );
    let (name, event_id) = (String::new(), Uuid::nil());
    Error::new(ErrorKind::CheckpointMismatch { name, position, event_id }, text)
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The answer that is on its way holds what it needs, and would wait on.
        self.stop();
    }
}

impl Inner {
    fn read(&self, range: ReadRange) -> Answer<EventPage> {
        match &self.part {
            None => self.store.read(self.query.clone(), range),
            Some(part) => part.read(&self.store, &self.query, range),
        }
    }

    /// Refuses to go on where the last event that was answered with is not where it was. That is
    /// looked at where the backend has noticed that something was put in the place of the store.
    async fn has_its_past(&self, after: u64) -> Result<()> {
        let epoch = self.store.epoch()?;
        let (known, last) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.epoch, state.last)
        };
        if known == epoch {
            return Ok(());
        }
        let there = match last {
            None => after == 0,
            Some((position, id)) => {
                let at = ReadRange { after: position - 1, until: position, ..ReadRange::default() };
                let page = self.read(at).await?;
                page.iter().any(|event| event.head.event_id == id)
            }
        };
        if !there {
            return Err(replaced(after));
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).epoch = epoch;
        Ok(())
    }

    fn answered(&self, page: &EventPage) {
        if let Some(last) = page.len().checked_sub(1).map(|index| page.get(index).head) {
            let last = Some((last.position, last.event_id));
            self.state.lock().unwrap_or_else(PoisonError::into_inner).last = last;
        }
    }

    fn settle(&self, settled: Settled) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).settled = Some(settled);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.store.is_own_process() {
            // The last receiver to go wakes the backend, whose locks may be held for ever here.
            std::mem::forget(self.signals.clone());
        }
    }
}

/// What `reliability/` must catch: a follower that takes the signal for the data.
#[cfg(feature = "faults")]
mod fault {
    pub(super) fn chosen(name: &str) -> bool {
        std::env::var("EVENTUALI_FAULT").is_ok_and(|chosen| chosen == name)
    }
}
