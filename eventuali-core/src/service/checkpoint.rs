//! Where a named subscription goes on: a record with a position, and the id of the event there.
//!
//! A position alone would not do: a database that is restored from an older copy gives the same
//! positions to other events.

use std::future::ready;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Builder, Thread, current, park};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::place::{Place, SPACE, Stored, last_of, place_at};
use crate::clock::{Moved, SetClock};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::{Query, ReadRange};
use crate::record::{
    ExpectedRecord, Record, RecordChange, RecordCheck, RecordKey, RecordQuery, RecordSelection,
};
use crate::storage::Answer;
use crate::store::{EventStore, Settle};

/// So long after a write has ended, the next one begins; twice as long after each that fails.
pub const EVERY: Duration = Duration::from_millis(100);
/// So long after a write has failed again and again.
const LONGEST: Duration = Duration::from_secs(5);
/// So many events that are handled are written down without waiting for that.
pub const EVENTS: usize = 500;
/// So many events are handled and not written down at the most.
pub const UNWRITTEN: usize = 1000;
/// So many positions without a match are not looked at twice.
pub const AHEAD: u64 = 1000;
/// How long the thread stays when there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// The checkpoint of one name, as one follower knows it.
///
/// A thread of its own writes it, so that it neither waits for a slow handler nor keeps a fast one
/// waiting. It tries again what fails, after pauses that grow; what would fail again, such as on a
/// closed store, only when somebody asks for it. Whoever drops it has what is handled written down
/// once more; the next one of this name on the same store waits for that.
///
/// Of two that follow under one name, one is told at its next write: the one that finds that the
/// other has written since. But for one write: that may be the last one of a process that was
/// killed, on its way when this one began.
pub struct Checkpoint {
    inner: Arc<Inner>,
}

struct Inner {
    store: EventStore,
    key: RecordKey,
    query: Query,
    /// What must hold for it to be written: the lease of whoever follows.
    fence: Option<RecordCheck>,
    /// Told when a write has failed and nobody waits for it.
    failed: Box<dyn Fn() + Send + Sync>,
    /// A lock and no channel: it is held for assignments, and whoever handles events asks for
    /// nothing else.
    state: Mutex<State>,
    changed: Condvar,
}

/// Where those begin whose name is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// With the first event of the log.
    Beginning,
    /// Behind the last event that can be read then.
    End,
}

/// A write that may have happened; repeating it with its id does nothing twice.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    id: Uuid,
    place: Place,
    expected: ExpectedRecord,
}

struct State {
    expected: ExpectedRecord,
    written: u64,
    handled: Option<Place>,
    unwritten: usize,
    looked_to: u64,
    searched_to: u64,
    attempt: Option<Attempt>,
    /// Version and position with which it began; none once it has written.
    began: Option<(u64, u64)>,
    /// When the last write ended, and how many have failed since one did not.
    ended: Instant,
    /// What a clock showed then that a test set.
    ended_at: Option<i64>,
    failures: u32,
    /// The last one failed, and would again: it is tried when somebody asks for it.
    stopped: bool,
    /// Somebody else follows under this name: nothing is written any more.
    fenced: Option<Error>,
    flushes: Vec<oneshot::Sender<Result<()>>>,
    running: bool,
    dropped: bool,
}

impl Checkpoint {
    /// The checkpoint of `name` for those who follow `query`; reads nothing yet.
    ///
    /// `failed` is told, on another thread, when a write has failed that nobody waits for.
    pub fn new(
        store: &EventStore,
        name: &str,
        query: Query,
        failed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::of(store, RecordKey::new(SPACE, name), query, None, failed)
    }

    /// The checkpoint under a key, which is written for as long as the fence holds.
    pub(super) fn of(
        store: &EventStore,
        mut key: RecordKey,
        mut query: Query,
        fence: Option<RecordCheck>,
        failed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        store.tenant().clone_into(&mut query.tenant);
        store.tenant().clone_into(&mut key.tenant);
        let state = State {
            expected: ExpectedRecord::Absent,
            written: 0,
            handled: None,
            unwritten: 0,
            looked_to: 0,
            searched_to: 0,
            attempt: None,
            began: None,
            ended: Instant::now(),
            ended_at: store.clock().map(SetClock::now),
            failures: 0,
            stopped: false,
            fenced: None,
            flushes: Vec::new(),
            running: false,
            dropped: false,
        };
        let inner = Inner {
            store: store.clone(),
            key,
            query,
            fence,
            failed: Box::new(failed),
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        let inner = Arc::new(inner);
        if let Some(clock) = store.clock() {
            let waiting: Weak<dyn Moved> = Arc::<Inner>::downgrade(&inner);
            clock.tell(waiting);
        }
        Self { inner }
    }

    /// The position to go on from. Where the name is new, that is `first`; where it is the end, it
    /// is written down before this answers, so that the next one goes on from there, too.
    ///
    /// [`ErrorKind::CheckpointMismatch`] where the event of the checkpoint is not there any more,
    /// [`ErrorKind::Corrupted`] where the record is none of a checkpoint.
    #[must_use]
    pub fn begin(&self, first: First) -> Answer<u64> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            match inner.store.settle(&inner.key).await {
                // Whoever followed before was told; what it could not write comes again.
                Err(error) if matches!(error.kind(), ErrorKind::CheckpointMismatch { .. }) => {}
                settled => settled?,
            }
            let position = match (inner.read().await?, first) {
                (Some(position), _) => position,
                (None, First::Beginning) => 0,
                (None, First::End) => inner.begin_at_end().await?,
            };
            let known: Arc<dyn Settle> = inner.clone();
            inner.store.writes_later(&inner.key, &known);
            Ok(position)
        })
    }

    /// Notes an event that is handled, after all those before it.
    ///
    /// `true` where much is not written down, or writing failed: it is time to wait for
    /// [`Checkpoint::flush`], which says why.
    pub fn handled(&self, position: u64, event_id: Uuid) -> Result<bool> {
        self.note(|state| {
            state.handled = Some(Place { position, event_id });
            state.unwritten += 1;
            matches!(state.unwritten, 1 | EVENTS)
        })
    }

    /// Notes that everything that matches up to a position is handled; see
    /// [`Checkpoint::handled`].
    pub fn looked(&self, position: u64) -> Result<bool> {
        let inner = &self.inner;
        self.note(|state| {
            state.looked_to = position;
            inner.far(state)
        })
    }

    /// Writes down what is handled by now, and waits for that.
    #[must_use]
    pub fn flush(&self) -> Answer<()> {
        Arc::clone(&self.inner).settle()
    }

    fn note(&self, change: impl FnOnce(&mut State) -> bool) -> Result<bool> {
        self.inner.store.capabilities()?;
        let mut state = self.inner.lock();
        if change(&mut state) {
            self.inner.wake(&mut state);
        }
        Ok(state.failures > 0 || state.unwritten >= UNWRITTEN)
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        // In a forked child the lock may be held for ever, and there is no thread.
        if self.inner.store.is_own_process() {
            let mut state = self.inner.lock();
            state.dropped = true;
            if state.running || (state.fenced.is_none() && self.inner.is_left(&state)) {
                self.inner.wake(&mut state);
            }
        }
    }
}

impl Settle for Inner {
    fn settle(self: Arc<Self>) -> Answer<()> {
        if let Err(forked) = self.store.capabilities() {
            return Box::pin(ready(Err(forked)));
        }
        let mut state = self.lock();
        if let Some(fenced) = &state.fenced {
            return Box::pin(ready(Err(fenced.clone())));
        }
        if !self.is_left(&state) && !state.running {
            return Box::pin(ready(Ok(())));
        }
        let (sender, answer) = oneshot::channel();
        state.flushes.push(sender);
        self.wake(&mut state);
        Box::pin(async { answer.await.unwrap_or_else(|_| Err(Error::closed())) })
    }
}

impl Moved for Inner {
    fn moved(&self) {
        // As in `drop`: in a forked child there is no thread to wake.
        if self.store.is_own_process() {
            drop(self.lock());
            self.changed.notify_all();
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread, or begins it.
    fn wake(self: &Arc<Self>, state: &mut State) {
        if state.running {
            self.changed.notify_all();
            return;
        }
        let inner = Arc::clone(self);
        let begun = Builder::new().name("eventuali-checkpoint".into()).spawn(move || inner.run());
        match begun {
            Ok(_) => state.running = true,
            Err(error) => {
                let text =
                    format!("cannot start a thread to write the checkpoint of {:?}", self.key.key);
                let error = Error::new(ErrorKind::Unavailable, text).with_source(error);
                for flush in state.flushes.drain(..) {
                    drop(flush.send(Err(error.clone())));
                }
                state.failures += 1;
            }
        }
    }

    /// Whether there is anything to write.
    fn is_left(&self, state: &State) -> bool {
        state.unwritten > 0 || state.attempt.is_some() || self.far(state)
    }

    /// Whether many positions without a match lie behind the last one that is written or handled.
    fn far(&self, state: &State) -> bool {
        let seen = state.known().max(state.searched_to);
        !self.query.items.is_empty() && state.looked_to.saturating_sub(seen) >= AHEAD
    }

    /// How long to wait before the next write; none where there is nothing to write.
    fn due(&self, state: &State) -> Option<Duration> {
        if state.fenced.is_some() || !self.is_left(state) {
            return None;
        }
        if state.dropped || (state.unwritten >= EVENTS && state.failures == 0) {
            return Some(Duration::ZERO);
        }
        let pause = (EVERY * (1 << state.failures.min(6))).min(LONGEST);
        (!state.stopped).then(|| pause.saturating_sub(self.since_write(state)))
    }

    /// How long ago the last write ended: by the machine's clock or by one that a test set, by
    /// which it is longer.
    fn since_write(&self, state: &State) -> Duration {
        let shown = self.store.clock().zip(state.ended_at).map(|(clock, at)| clock.now() - at);
        let shown = Duration::from_micros(shown.unwrap_or(0).max(0) as u64);
        state.ended.elapsed().max(shown)
    }

    /// Writes whenever it is time to; ends when there has been nothing to do for a while.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            let due = self.due(&state);
            if state.flushes.is_empty() && due != Some(Duration::ZERO) {
                if due.is_none() && state.dropped {
                    break;
                }
                let waited = self.changed.wait_timeout(state, due.unwrap_or(IDLE));
                let (woken, result) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                let idle = result.timed_out() && self.due(&state).is_none();
                if idle && state.flushes.is_empty() {
                    break;
                }
                continue;
            }
            // Who flushes from now on asks for what this does not write.
            let flushes = std::mem::take(&mut state.flushes);
            drop(state);
            let written = self.write();
            state = self.lock();
            state.ended = Instant::now();
            state.ended_at = self.store.clock().map(SetClock::now);
            state.failures = if written.is_err() { state.failures + 1 } else { 0 };
            state.stopped = written.as_ref().is_err_and(|error| !may_pass(error));
            if state.dropped && state.failures > 0 {
                // Nobody goes on with this one: what it could not write comes again.
                state.unwritten = 0;
                state.attempt = None;
                state.looked_to = 0;
            } else if state.failures > 0 && flushes.is_empty() {
                drop(state);
                (self.failed)();
                state = self.lock();
            }
            for flush in flushes {
                // Who was cancelled meanwhile does not wait any more.
                drop(flush.send(written.clone()));
            }
        }
        state.running = false;
    }

    /// Writes how far everything is handled.
    fn write(&self) -> Result<()> {
        let in_doubt = self.lock().attempt;
        in_doubt.map_or(Ok(()), |attempt| self.put(attempt))?;
        let (unwritten, handled, known, looked_to, far) = {
            let state = self.lock();
            let far = self.far(&state);
            (state.unwritten, state.handled, state.known(), state.looked_to, far)
        };
        let mut place = handled;
        if far {
            let bounds = ReadRange {
                after: known,
                until: looked_to,
                backwards: true,
                limit: 1,
                ..ReadRange::default()
            };
            place = self.place(Query::default(), bounds)?.or(place);
            self.lock().searched_to = looked_to;
        }
        if let Some(place) = place {
            let attempt = {
                let mut state = self.lock();
                let attempt = Attempt { id: Uuid::now_v7(), place, expected: state.expected };
                (place.position > state.written).then(|| *state.attempt.insert(attempt))
            };
            attempt.map_or(Ok(()), |attempt| self.put(attempt))?;
        }
        self.lock().unwritten -= unwritten;
        Ok(())
    }

    /// The last event of a page.
    fn place(&self, query: Query, range: ReadRange) -> Result<Option<Place>> {
        Ok(last_of(&block_on(self.store.read(query, range))?))
    }

    fn put(&self, attempt: Attempt) -> Result<()> {
        let position = attempt.place.position;
        let value = attempt.place.encode(false);
        let change = RecordChange::put(self.key.clone(), value).expecting(attempt.expected);
        let checks = self.fence.iter().cloned().collect();
        #[cfg(feature = "faults")]
        let (change, checks) = fault::without_the_generation(change, checks);
        let commit = Commit { id: attempt.id, checks, ..Commit::change(vec![change]) };
        match block_on(self.store.commit(commit)) {
            Ok(done) => {
                let mut state = self.lock();
                state.attempt = None;
                state.began = None;
                state.written = position;
                state.expected =
                    ExpectedRecord::Exact(done.record_versions.first().copied().unwrap_or(0));
                Ok(())
            }
            Err(error) if error.is_record_conflict() => {
                if let Some(version) = self.late_write(attempt)? {
                    let expected = ExpectedRecord::Exact(version);
                    let again = Attempt { id: Uuid::now_v7(), expected, ..attempt };
                    self.lock().attempt = Some(again);
                    return self.put(again);
                }
                let text = match &self.fence {
                    Some(_) => "was taken over by another member of its group",
                    None => {
                        "was moved by another subscriber, or reset or deleted; use one subscriber \
                         for each name, and subscribe again after a reset"
                    }
                };
                let fenced = self.mismatch(attempt.place, text).with_source(error);
                self.lock().fenced = Some(fenced.clone());
                Err(fenced)
            }
            Err(error) => Err(error),
        }
    }

    /// The version of the record where somebody who followed before, and was killed, had one write
    /// on its way that came behind the look with which this one began. What that says was handled,
    /// this one has been handed as well, so that it may write over it.
    fn late_write(&self, attempt: Attempt) -> Result<Option<u64>> {
        let (began, dropped) = {
            let state = self.lock();
            (state.began, state.dropped)
        };
        let Some((version, position)) = began.filter(|_| !dropped) else { return Ok(None) };
        let begins =
            if version == 0 { ExpectedRecord::Absent } else { ExpectedRecord::Exact(version) };
        if attempt.expected != begins || self.fence.is_some() {
            return Ok(None);
        }
        let found = block_on(self.record())?.filter(|record| record.version == version + 1);
        // Once: what comes behind that is somebody who lives.
        self.lock().began = None;
        let stored = found.as_ref().and_then(|record| Stored::decode(&record.value.bytes).ok());
        // Whoever reset it means this one.
        let place = stored.filter(|stored| !stored.reset).map(|stored| stored.place);
        Ok(found.filter(|_| place.is_some_and(|at| at.position > position)).map(|at| at.version))
    }

    fn record(&self) -> Answer<Option<Record>> {
        let select = RecordSelection::Keys(vec![self.key.key.clone()]);
        let query = RecordQuery::new(self.key.space.clone(), select);
        let answer = self.store.records(query, None, 1);
        Box::pin(async { Ok(answer.await?.records.into_iter().next()) })
    }

    /// Where it stands; none where the name is new.
    async fn read(&self) -> Result<Option<u64>> {
        let record = self.record().await?;
        let Some(record) = record else {
            self.lock().began = Some((0, 0));
            return Ok(None);
        };
        let place = Stored::of(&record)?.place;
        self.is_there(place).await?;
        let mut state = self.lock();
        state.expected = ExpectedRecord::Exact(record.version);
        state.began = Some((record.version, place.position));
        state.written = place.position;
        state.looked_to = place.position;
        Ok(Some(place.position))
    }

    /// Writes down that a new name begins at the end of the log.
    async fn begin_at_end(&self) -> Result<u64> {
        let place = place_at(&self.store, u64::MAX).await?;
        let change = RecordChange::put(self.key.clone(), place.encode(false));
        let commit = Commit::change(vec![change.expecting(ExpectedRecord::Absent)]);
        match self.store.commit(commit).await {
            Ok(_) => {}
            // Another one of this name has begun meanwhile: this one goes on from there.
            Err(error) if error.is_record_conflict() => {}
            Err(error) => return Err(error),
        }
        let position = self.read().await?;
        position
            .ok_or_else(|| self.mismatch(place, "was deleted while it was begun; subscribe again"))
    }

    /// Refuses a place whose event is not there.
    async fn is_there(&self, place: Place) -> Result<()> {
        if place.position == 0 {
            return Ok(());
        }
        let mut found = None;
        // A stream is readable sooner than the log as a whole is settled.
        for query in [Query::default(), self.query.clone()] {
            let (after, until) = (place.position - 1, place.position);
            let range = ReadRange { after, until, limit: 1, ..ReadRange::default() };
            found = last_of(&self.store.read(query, range).await?);
            if found.is_some() {
                break;
            }
        }
        if found.is_none_or(|found| found.event_id != place.event_id) {
            let there = found.map_or("no event".to_owned(), |e| format!("event {}", e.event_id));
            let text = format!(
                "is at position {}, event {}, but {there} is there now: this is another store, or \
                 it lost events; find out which, or subscribe under another name",
                place.position, place.event_id
            );
            return Err(self.mismatch(place, &text));
        }
        Ok(())
    }

    fn mismatch(&self, place: Place, text: &str) -> Error {
        let Place { position, event_id } = place;
        let name = self.key.key.clone();
        let text = format!("the checkpoint of {name:?} {text}");
        Error::new(ErrorKind::CheckpointMismatch { name, position, event_id }, text)
    }
}

impl State {
    /// The position of the last event that is known to be handled or passed over.
    fn known(&self) -> u64 {
        self.handled.map_or(0, |place| place.position).max(self.written)
    }
}

/// Whether a write that failed may succeed later, without anybody doing anything about it.
pub(super) fn may_pass(error: &Error) -> bool {
    use ErrorKind::{Busy, Full, OutcomeUnknown, Unavailable};
    matches!(error.kind(), Busy | Full | OutcomeUnknown { .. } | Unavailable)
}

/// Waits for an answer on a thread that has nothing else to do.
pub(super) fn block_on<T>(mut answer: Answer<T>) -> Result<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => park(),
        }
    }
}

/// What `reliability/` must catch: a checkpoint of a group that anybody writes who once owned it.
#[cfg(feature = "faults")]
mod fault {
    use super::{ExpectedRecord, RecordChange, RecordCheck};

    pub(super) fn without_the_generation(
        change: RecordChange,
        checks: Vec<RecordCheck>,
    ) -> (RecordChange, Vec<RecordCheck>) {
        let chosen = |name| std::env::var("EVENTUALI_FAULT").is_ok_and(|chosen| chosen == name);
        if checks.is_empty() || !chosen("unfenced-checkpoint") {
            return (change, checks);
        }
        (change.expecting(ExpectedRecord::Any), Vec::new())
    }
}

#[cfg(test)]
mod tests;
