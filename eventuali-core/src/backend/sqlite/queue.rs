//! What waits for the writer, and whose turn it is to write.

use std::collections::VecDeque;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::connection::Session;
use crate::commit::{Commit, Committed};
use crate::error::Result;
use crate::record::RecordPurge;

/// How long the writer's thread stays awake when there is nothing to do: about as long as a caller
/// takes from an answer to its next commit.
const AWAKE: Duration = Duration::from_micros(200);

/// Work on the writer's connection.
pub(super) enum Job {
    /// A commit and where its answer goes.
    Commit(Box<Request>),
    /// Anything else, for a store whose readers share this connection.
    Read(Box<dyn FnOnce(&mut Session) + Send>),
    /// Records that are removed for good, and where their number goes.
    Purge(RecordPurge, oneshot::Sender<Result<u64>>),
    /// The end, once everything before it is done. The readers are about to end; the writer's
    /// connection is the last to go, so that SQLite folds the WAL into the database.
    Close(Vec<JoinHandle<()>>),
}

/// A commit and where its answer goes.
pub(super) struct Request {
    pub(super) commit: Commit,
    pub(super) answer: oneshot::Sender<Result<Committed>>,
}

/// The jobs in the order in which they came. One thread at a time has the turn to do them: the
/// writer's own, or that of a caller who would wait for it anyway.
///
/// A mutex and a wake-up rather than a channel: a caller who can have the turn at once wakes nobody.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    some: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    taken: bool,
    /// Whether a job had to wait for another one since the writer's thread last looked.
    busy: bool,
    ended: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job at the end; false where nobody will do it any more.
    pub(super) fn put(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.ended {
            return false;
        }
        state.busy |= state.taken || !state.jobs.is_empty();
        state.jobs.push_back(job);
        self.wake(&state);
        true
    }

    /// Gives the caller the turn to do a commit, where nothing is done or waits; else puts it at
    /// the end. None where nobody will do it any more.
    pub(super) fn put_or_take(&self, request: Box<Request>) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        if state.taken || !state.jobs.is_empty() {
            state.busy = true;
            state.jobs.push_back(Job::Commit(request));
            return Some(Place::InQueue);
        }
        state.taken = true;
        Some(Place::Here(request, Turn(self)))
    }

    /// Puts a commit back to where it was taken from.
    pub(super) fn put_back(&self, request: Box<Request>) {
        self.lock().jobs.push_front(Job::Commit(request));
    }

    /// The next job and the turn to do it, once there is one; None at the end.
    ///
    /// It looks for a while before it sleeps: whoever saves one event after the other has the next
    /// one ready by then, and to wake a thread takes up to a third of the time of a flush. Not where
    /// several save at once: they need the processor, and more of them are there when it wakes.
    pub(super) fn next(&self) -> Option<(Job, Turn<'_>)> {
        let waits = |state: &mut State| state.taken || (state.jobs.is_empty() && !state.ended);
        let alone = !std::mem::take(&mut self.lock().busy);
        let begun = Instant::now();
        // With one processor, the caller it looks out for would have to wait for it.
        while alone && several_processors() && waits(&mut self.lock()) && begun.elapsed() < AWAKE {
            std::thread::yield_now();
        }
        let state = self.lock();
        let mut state = self.some.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        let job = state.jobs.pop_front()?;
        state.taken = true;
        Some((job, Turn(self)))
    }

    /// The next job, where it is a commit; for whoever has the turn.
    pub(super) fn another_commit(&self) -> Option<Box<Request>> {
        match self.lock().jobs.pop_front_if(|job| matches!(job, Job::Commit(_)))? {
            Job::Commit(request) => Some(request),
            _ => None,
        }
    }

    /// Takes no more jobs; what waits is done.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        self.wake(&state);
    }

    /// Drops what waits, because nobody is left to do it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.ended = true;
        let left = std::mem::take(&mut state.jobs);
        drop(state);
        drop(left);
    }

    fn wake(&self, state: &State) {
        if !state.taken {
            self.some.notify_one();
        }
    }
}

fn several_processors() -> bool {
    static SEVERAL: LazyLock<bool> =
        LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1));
    *SEVERAL
}

/// What became of a commit that somebody would do at once.
pub(super) enum Place<'queue> {
    /// It waits.
    InQueue,
    /// It is the caller's to do.
    Here(Box<Request>, Turn<'queue>),
}

/// The turn to write, until this is dropped.
pub(super) struct Turn<'queue>(&'queue Queue);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.taken = false;
        if !state.jobs.is_empty() || state.ended {
            self.0.some.notify_one();
        }
    }
}
