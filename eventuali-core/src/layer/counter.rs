//! What a tenant has stored, counted once and kept up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::commit::{Commit, Committed};
use crate::error::Result;
use crate::storage::Storage;
use crate::usage::{Exceeded, TenantLimits, Usage, UsageQuery};

/// How long a count is good enough, while much of a limit is left.
const FRESH: Duration = Duration::from_secs(1);
/// The part of a limit that must be left for that: one in so many.
const LEFT: u64 = 10;
/// How long a commit waits for others, of which a count can't tell whether they are in it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a tenant has stored, as far as is known: what was counted up to a position, and commits that
/// were made here since.
#[derive(Debug, Default)]
pub struct Counter {
    /// A lock: it is held for a look.
    state: Mutex<State>,
    /// Wakes who waits for what is on its way.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Up to `looked_to`.
    counted: Usage,
    looked_to: u64,
    /// When that was; none before the first count.
    at: Option<Instant>,
    /// See [`Storage::epoch`].
    epoch: u64,
    /// Commits that end above `looked_to`, by the first position: the last one, and what they hold.
    own: BTreeMap<u64, (u64, Usage)>,
    /// What is on its way.
    reserved: Usage,
    /// How many commits wait for a count.
    counting: usize,
    /// The store is being closed.
    closing: bool,
}

impl State {
    fn stored(&self) -> Usage {
        self.own.values().fold(self.counted, |all, (_, usage)| all.plus(*usage))
    }
}

impl Counter {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is stored, as far as is known.
    #[must_use]
    pub fn stored(&self) -> Usage {
        self.state().stored()
    }

    /// Counts what has come since the last count, of `tenant`.
    pub async fn count(&self, storage: &dyn Storage, tenant: &str) -> Result<()> {
        loop {
            let (after, epoch) = self.place(storage);
            let query = UsageQuery { tenant: Some(tenant.to_owned()), after };
            let page = storage.usage(query).await?;
            let mut state = self.state();
            // Somebody else may have counted the same.
            if (state.looked_to, state.epoch) == (after, epoch) {
                let found = page.usages.get(tenant).copied().unwrap_or_default();
                state.counted = state.counted.plus(found);
                state.looked_to = page.looked_to;
                state.own.retain(|_, (last, _)| *last > page.looked_to);
                state.at = page.end.then(Instant::now);
            }
            if page.end {
                return Ok(());
            }
        }
    }

    /// Where to go on counting. A store whose past is another one is counted anew.
    fn place(&self, storage: &dyn Storage) -> (u64, u64) {
        let mut state = self.state();
        let epoch = storage.epoch();
        if state.epoch != epoch {
            *state = State {
                epoch,
                reserved: state.reserved,
                counting: state.counting,
                closing: state.closing,
                ..State::default()
            };
        }
        (state.looked_to, epoch)
    }

    /// Notes that a commit waits for a count; none where the store is being closed.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Counting> {
        let mut state = self.state();
        if state.closing {
            return None;
        }
        state.counting += 1;
        Some(Counting(Arc::clone(self)))
    }

    /// Has no further commit wait for a count; whether none does.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state();
        state.closing = true;
        state.counting == 0
    }

    /// Waits until no commit waits for a count.
    pub(super) async fn idle(&self) {
        loop {
            let settled = self.settled.notified();
            if self.state().counting == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Makes room for what a commit adds, if a count is at hand that says there is plenty.
    pub(super) fn reserve_early(
        self: &Arc<Self>,
        limits: &TenantLimits,
        asked: Usage,
    ) -> Option<Reservation> {
        let fresh = self.state().at.is_some_and(|at| at.elapsed() < FRESH);
        let narrow = |limit: Option<u64>| limit.map(|limit| limit - limit.div_ceil(LEFT));
        let narrow = TenantLimits { events: narrow(limits.events), bytes: narrow(limits.bytes) };
        fresh.then(|| self.reserve(&narrow, asked).ok())?
    }

    /// Makes room for what a commit adds, by a count of now; the limit that it would exceed.
    pub(super) async fn reserve_counted(
        self: &Arc<Self>,
        storage: &dyn Storage,
        tenant: &str,
        (limits, asked): (&TenantLimits, Usage),
    ) -> Result<Result<Reservation, Exceeded>> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let settled = self.settled.notified();
            self.count(storage, tenant).await?;
            let room = self.reserve(limits, asked);
            let full = limits.exceeded(self.stored(), asked).is_some();
            // What is on its way may be counted already, and then counts twice.
            if room.is_ok() || full || timeout_at(until, settled).await.is_err() {
                return Ok(room);
            }
        }
    }

    /// Makes room for what a commit adds; the limit that it would exceed.
    pub(super) fn reserve(
        self: &Arc<Self>,
        limits: &TenantLimits,
        asked: Usage,
    ) -> Result<Reservation, Exceeded> {
        let mut state = self.state();
        let used = state.stored().plus(state.reserved);
        if let Some(exceeded) = limits.exceeded(used, asked) {
            return Err(exceeded);
        }
        state.reserved = state.reserved.plus(asked);
        Ok(Reservation { counter: Arc::clone(self), asked })
    }
}

/// A commit that waits for a count, until this is dropped.
pub(super) struct Counting(Arc<Counter>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.state().counting -= 1;
        self.0.settled.notify_waiters();
    }
}

/// Room that is made for a commit, until this is dropped.
pub(super) struct Reservation {
    counter: Arc<Counter>,
    asked: Usage,
}

impl Reservation {
    /// Notes that the commit is stored.
    pub(super) fn stored(self, begun: u64, committed: &Committed) {
        let positions = committed.positions.iter();
        let (first, last) = (positions.clone().min(), positions.max());
        if let (Some(first), Some(last)) = (first, last) {
            let mut state = self.counter.state();
            // A repeated one may have been counted.
            if *last > state.looked_to {
                state.own.insert(*first, (*last, Usage { streams: begun, ..self.asked }));
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.counter.state();
        state.reserved.events -= self.asked.events;
        state.reserved.bytes -= self.asked.bytes;
        drop(state);
        self.counter.settled.notify_waiters();
    }
}

/// How many streams a commit has begun.
pub(super) fn begun(sizes: &[Option<u64>], committed: &Committed) -> u64 {
    let begun =
        sizes.iter().zip(&committed.versions).filter(|(size, version)| **size == Some(**version));
    begun.count() as u64
}

/// The events of each write; none where it begins no stream.
pub(super) fn sizes(commit: &Commit) -> Vec<Option<u64>> {
    let of = |size: usize| (size > 0).then_some(size as u64);
    let writes = commit.writes.iter();
    writes.map(|w| of(w.events.len()).filter(|_| !w.stream.is_none())).collect()
}
