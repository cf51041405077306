//! A member of a group: what it owns, and the thread that keeps it.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::held::{Held, Status};
use super::pages::Pages;
use super::partition::{Layout, MAX_PARTITIONS, Partitioning};
use super::records::{Keys, says};
use super::round::Round;
use super::{Options, PARTITIONS};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::Query;
use crate::record::ExpectedRecord;
use crate::service::checkpoint::{First, may_pass};
use crate::service::place::place_at;
use crate::storage::Answer;
use crate::store::EventStore;

/// How often a member looks at the others at the least.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// So many µs in which a handler keeps the thread that it shares are no concern of the others.
const NOTICED: u64 = 1000;
/// The shortest lease: a disk that is busy for so long must not cost one.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);

/// A member of a group, from when it joins until it has left.
///
/// A thread of its own keeps what it owns, whatever those do who handle the events. Who drops it
/// leaves the group, as soon as what it owns is released.
pub struct Member {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: EventStore,
    pub(super) keys: Keys,
    pub(super) query: Query,
    /// The most events of a page.
    pub(super) page: usize,
    pub(super) options: Options,
    /// How the group divides the log, and the version of the record that says so.
    partitioning: Mutex<(Arc<Partitioning>, u64)>,
    pub(super) base: Instant,
    /// Until when what it owns is its own, in µs behind `base`, if nothing more is written.
    pub(super) valid_until: AtomicU64,
    /// Whose handler runs on the thread that handlers share, and since when: one more than the time,
    /// [`MAX_PARTITIONS`] times, and the number. 0 for none.
    inside: AtomicU64,
    pub(super) pages: Arc<Pages>,
    /// A lock and no channel: it is held for assignments.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) held: BTreeMap<u32, Arc<Held>>,
    /// What is lost while an event of it is in hand: nobody here takes it meanwhile.
    pub(super) lost: Vec<(u32, Weak<Held>)>,
    /// What nobody has begun to work through.
    pub(super) fresh: VecDeque<Arc<Held>>,
    pub(super) asking: Option<oneshot::Sender<Result<Option<Arc<Held>>>>>,
    pub(super) releases: Vec<Release>,
    pub(super) leaving: bool,
    leavers: Vec<oneshot::Sender<Result<()>>>,
    ended: Option<Result<()>>,
    failure: Option<Error>,
    pub(super) members: usize,
    /// Whether it owns its share, and all others are owned by members that are there.
    pub(super) settled: bool,
}

pub(super) struct Release {
    pub(super) held: Arc<Held>,
    pub(super) crashed: bool,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

impl Member {
    /// Joins a group, which is made where it is new.
    ///
    /// [`ErrorKind::Configuration`] where the group has other partitions than are asked for.
    #[must_use]
    pub fn join(
        store: &EventStore,
        options: Options,
        mut query: Query,
        page: usize,
    ) -> Answer<Self> {
        store.tenant().clone_into(&mut query.tenant);
        let made = Keys::new(store, &options.name).and_then(|keys| {
            store.capabilities()?;
            query.check()?;
            if options.lease < SHORTEST {
                return Err(Error::invalid("lease", format!("a lease lasts {SHORTEST:?} or more")));
            }
            Ok(keys)
        });
        let keys = match made {
            Ok(keys) => keys,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let mut inner = Inner {
            store: store.clone(),
            keys,
            query,
            page,
            options,
            partitioning: Mutex::default(),
            base: Instant::now(),
            valid_until: AtomicU64::new(0),
            inside: AtomicU64::new(0),
            pages: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        Box::pin(async move {
            let (found, version) = inner.found_or_made().await?;
            inner.partitioning = Mutex::new((Arc::new(found), version));
            let inner = Arc::new(inner);
            inner.start()?;
            Ok(Self { inner })
        })
    }

    /// How many partitions the group has now.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.inner.partitioning().partitions
    }

    /// The next partition to work through; `None` once it leaves. One asks at a time: whoever asked
    /// before is answered with `None`.
    #[must_use]
    pub fn next(&self) -> Answer<Option<Arc<Held>>> {
        if let Err(forked) = self.inner.store.capabilities() {
            return Box::pin(ready(Err(forked)));
        }
        let mut state = self.inner.lock();
        if let Some(Err(error)) = &state.ended {
            return Box::pin(ready(Err(error.clone())));
        }
        if state.leaving || state.ended.is_some() {
            return Box::pin(ready(Ok(None)));
        }
        if let Some(held) = state.fresh.pop_front() {
            return Box::pin(ready(Ok(Some(held))));
        }
        let (sender, answer) = oneshot::channel();
        state.asking = Some(sender);
        Box::pin(async move { answer.await.unwrap_or(Ok(None)) })
    }

    /// Leaves the group: what it owns is to be released, and once all of it is, this is answered.
    #[must_use]
    pub fn leave(&self) -> Answer<()> {
        if let Err(forked) = self.inner.store.capabilities() {
            return Box::pin(ready(Err(forked)));
        }
        let mut state = self.inner.lock();
        if let Some(ended) = &state.ended {
            return Box::pin(ready(ended.clone()));
        }
        let (sender, answer) = oneshot::channel();
        state.leavers.push(sender);
        self.inner.leaves(state);
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Error::closed())) })
    }

    /// How many members the group has, as far as this one knows; 0 before it has looked.
    #[must_use]
    pub fn members(&self) -> usize {
        self.inner.lock().members
    }

    /// Whether it owns its share, and the others have theirs, as far as this one knows.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.inner.lock().settled
    }

    /// The numbers of the partitions that it owns.
    #[must_use]
    pub fn owned(&self) -> Vec<u32> {
        self.inner.lock().held.keys().copied().collect()
    }

    /// Why it can't reach the store now; none where it can.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.inner.lock().failure.clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // In a forked child the lock may be held for ever, and there is no thread.
        if self.inner.store.is_own_process() {
            let state = self.inner.lock();
            self.inner.leaves(state);
        }
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> &str {
        &self.options.name
    }

    /// Microseconds since it joined.
    pub(super) fn now(&self) -> u64 {
        self.base.elapsed().as_micros() as u64
    }

    /// Whose handler runs on the thread that handlers share, and since when.
    pub(super) fn inside(&self) -> Option<(u32, u64)> {
        let inside = self.inside.load(SeqCst).checked_sub(1)?;
        let number = inside % u64::from(MAX_PARTITIONS);
        Some((number as u32, inside / u64::from(MAX_PARTITIONS)))
    }

    pub(super) fn steps_in(&self, number: u32) {
        let inside = self.now() * u64::from(MAX_PARTITIONS) + u64::from(number) + 1;
        self.inside.store(inside, SeqCst);
    }

    /// Ends what [`Inner::steps_in`] began; nothing where that is another's, or has ended.
    pub(super) fn steps_out(&self, number: u32) {
        let Some((_, from)) = self.inside().filter(|(inside, _)| *inside == number) else { return };
        self.inside.store(0, SeqCst);
        let to = self.now();
        if to - from > NOTICED {
            let state = self.lock();
            for held in state.held.values().filter(|held| held.number() != number) {
                held.was_kept_up(from, to);
            }
        }
    }

    /// Whether what it owns can be nobody else's yet.
    pub(super) fn is_valid(&self) -> bool {
        #[cfg(feature = "faults")]
        if fault::chosen("lease-never-ends") {
            return true;
        }
        self.now() < self.valid_until.load(SeqCst)
    }

    pub(super) fn partitioning(&self) -> Arc<Partitioning> {
        self.layout().0
    }

    /// How the group divides the log, and the version of the record that says so.
    pub(super) fn layout(&self) -> (Arc<Partitioning>, u64) {
        self.partitioning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how the group divides the log by now.
    pub(super) fn is_divided(&self, found: Partitioning, version: u64) {
        let mut known = self.partitioning.lock().unwrap_or_else(PoisonError::into_inner);
        if known.1 != version {
            *known = (Arc::new(found), version);
        }
    }

    fn leaves(&self, mut state: MutexGuard<'_, State>) {
        state.leaving = true;
        state.asking = None;
        for fresh in std::mem::take(&mut state.fresh) {
            let (answer, _) = oneshot::channel();
            let crashed = fresh.careful();
            state.releases.push(Release { held: fresh, crashed, answer });
        }
        for held in state.held.values() {
            held.becomes(Status::Wanted);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn release(&self, held: &Arc<Held>, crashed: bool) -> oneshot::Receiver<Result<()>> {
        let (answer, released) = oneshot::channel();
        let mut state = self.lock();
        let is_held = state.held.get(&held.number()).is_some_and(|owned| Arc::ptr_eq(owned, held));
        if state.ended.is_some() || !is_held {
            drop(answer.send(Ok(()))); // it is given away already
        } else {
            let held = Arc::clone(held);
            state.releases.push(Release { held, crashed, answer });
            drop(state);
            self.changed.notify_all();
        }
        released
    }

    /// How the group divides the log, as the store says, or as it is to; the version of its record.
    async fn found_or_made(&self) -> Result<(Partitioning, u64)> {
        loop {
            let found = self.keys.partitioning(&self.store).await?;
            let (made, expected) = match found {
                None => (self.made().await?, ExpectedRecord::Absent),
                Some((found, version)) => match self.with_its_names(&found)? {
                    None => return Ok((found, version)),
                    Some(more) => (more, ExpectedRecord::Exact(version)),
                },
            };
            let change = says(self.keys.group(), &made)?.expecting(expected);
            match self.store.commit(Commit::change(vec![change])).await {
                Err(error) if error.is_record_conflict() => {} // somebody else has made it
                made => drop(made?),
            }
        }
    }

    /// How a new group divides the log.
    async fn made(&self) -> Result<Partitioning> {
        let Options { partitions, tag, names, first, .. } = &self.options;
        if !names.is_empty() {
            return Partitioning::named(names);
        }
        let mut made = Partitioning::new(partitions.unwrap_or(PARTITIONS), tag.clone())?;
        if *first == First::End {
            let last = place_at(&self.store, u64::MAX).await?;
            made.before.push(Layout { handled: vec![last.position], is_begin: true });
        }
        Ok(made)
    }

    /// What the store says, with the names that are new; none where there are none.
    fn with_its_names(&self, found: &Partitioning) -> Result<Option<Partitioning>> {
        let Options { name, partitions, tag, names, .. } = &self.options;
        if names.is_empty() != found.names.is_empty() {
            let text = format!(
                "the group {name:?} shares projections, or the log, and not both: use another name"
            );
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        if !names.is_empty() {
            let mut all = found.names.clone();
            all.extend(names.iter().filter(|name| !found.names.contains(name)).cloned());
            let more = (all.len() > found.names.len()).then(|| Partitioning::named(&all));
            return more.transpose();
        }
        // Fewer than there are was right once: they can only have been raised.
        let more = partitions.is_some_and(|asked| asked > found.partitions);
        if more || *tag != found.tag {
            let say = |tag: &Option<String>| {
                tag.as_ref().map_or("by stream".into(), |tag| format!("by the tag {tag:?}"))
            };
            let text = format!(
                "the group {name:?} has {} partitions {}, and not {} {}; they are chosen when its \
                 first member joins: say the same, begin a group of another name, or raise their \
                 number with `repartition`",
                found.partitions,
                say(&found.tag),
                partitions.unwrap_or(found.partitions),
                say(tag)
            );
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        Ok(None)
    }

    fn start(self: &Arc<Self>) -> Result<()> {
        let inner = Arc::clone(self);
        let begun = Builder::new().name("eventuali-group".into()).spawn(move || inner.run());
        begun.map(drop).map_err(|error| {
            let text = "cannot start a thread that keeps the leases of a group";
            Error::new(ErrorKind::Unavailable, text).with_source(error)
        })
    }

    fn run(self: &Arc<Self>) {
        let tick = (self.options.lease / 10).min(LOOK);
        let mut round = Round::new();
        let mut failures = 0;
        loop {
            let turn = self.turn(&mut round);
            let (leaving, left) = {
                let state = self.lock();
                let left = state.held.is_empty() && state.releases.is_empty();
                (state.leaving, state.leaving && left)
            };
            let ended = match turn {
                Ok(()) if left => Some(self.goes(&round)),
                // Nobody who leaves waits for a database that is not there: the lease has ended.
                Err(error) if leaving && (left || !self.is_valid()) => Some(Err(error)),
                Ok(()) => {
                    failures = 0;
                    self.lock().failure = None;
                    None
                }
                Err(error) if may_pass(&error) => {
                    failures += 1;
                    self.lock().failure = Some(error);
                    None
                }
                Err(error) => Some(Err(error)),
            };
            if let Some(ended) = ended {
                return self.ends(&ended);
            }
            let state = self.lock();
            let asked = state.leaving && failures == 0 && state.held.is_empty();
            if !asked && (state.releases.is_empty() || failures > 0) {
                drop(self.changed.wait_timeout(state, tick));
            }
        }
    }

    /// Tells everybody that there is nothing more to own.
    fn ends(&self, ended: &Result<()>) {
        self.lose_all();
        let mut state = self.lock();
        state.ended = Some(ended.clone());
        for release in std::mem::take(&mut state.releases) {
            drop(release.answer.send(ended.clone()));
        }
        for leaver in std::mem::take(&mut state.leavers) {
            drop(leaver.send(ended.clone()));
        }
        if let (Some(asking), Err(error)) = (state.asking.take(), ended) {
            drop(asking.send(Err(error.clone())));
        }
    }
}

/// What `reliability/` and the tests must catch.
#[cfg(feature = "faults")]
pub(super) mod fault {
    pub(in crate::service::group) fn chosen(name: &str) -> bool {
        std::env::var("EVENTUALI_FAULT").is_ok_and(|chosen| chosen == name)
    }
}
