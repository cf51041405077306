//! Commits that wait for the writer, each of them once, however often it is asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use crate::commit::{Commit, Committed};
use crate::error::{Error, Result};

/// The most commits that wait, or are being written; who has more to say waits for room.
const MOST: usize = 4096;

/// A commit, and those who wait for its answer.
pub(super) struct Request {
    pub(super) commit: Commit,
    waiting: Mutex<Option<Waiting>>,
}

struct Waiting {
    answers: Vec<oneshot::Sender<Result<Committed>>>,
    _room: OwnedSemaphorePermit,
}

impl Request {
    /// Answers everybody. Nobody has to wait for an answer.
    pub(super) fn answer(&self, answer: &Result<Committed>) {
        let waiting = lock(&self.waiting).take();
        for sender in waiting.into_iter().flat_map(|waiting| waiting.answers) {
            drop(sender.send(answer.clone()));
        }
    }

    /// Has one more wait for the answer; gives them back where it was given.
    fn join(&self, asked: Asked) -> Option<Asked> {
        let mut waiting = lock(&self.waiting);
        let Some(waiting) = waiting.as_mut() else { return Some(asked) };
        // Those who gave up make room for those who ask again.
        waiting.answers.retain(|sender| !sender.is_closed());
        waiting.answers.push(asked.answer);
        None
    }
}

/// A commit that somebody asks for.
pub(super) struct Asked {
    pub(super) commit: Commit,
    pub(super) answer: oneshot::Sender<Result<Committed>>,
}

/// What waits, as those know it who ask.
pub(super) struct Queue {
    room: Arc<Semaphore>,
    /// Somebody waits for room.
    crowded: Notify,
    /// A lock and no channel: a caller is told of the answer to somebody who asked the same before.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Uuid, Weak<Request>>,
    /// Those for whom there was no room, in the order in which they asked: nobody overtakes them.
    line: VecDeque<Asked>,
    /// As long a line is gone through for those who gave up.
    long: usize,
}

impl Queue {
    pub(super) fn new() -> Self {
        let room = Arc::new(Semaphore::new(MOST));
        Self { room, crowded: Notify::new(), state: Mutex::default() }
    }

    /// Sends a commit to the writer, or waits with those who asked for the same one, or in line
    /// where there is no room; whether there still is a writer.
    pub(super) fn send(&self, asked: Asked, jobs: &UnboundedSender<Arc<Request>>) -> bool {
        let mut state = lock(&self.state);
        let Some(asked) = state.join(asked) else { return true };
        let room = Arc::clone(&self.room).try_acquire_owned();
        if let Some(room) = room.ok().filter(|_| state.line.is_empty()) {
            return state.send(asked, room, jobs);
        }
        state.stand(asked);
        self.crowded.notify_one();
        true
    }

    /// Sends those who stand in line, the first one first, whenever there is room; returns once
    /// there is no writer.
    pub(super) async fn admit(&self, jobs: WeakUnboundedSender<Arc<Request>>) {
        loop {
            self.crowded.notified().await;
            loop {
                let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
                let Some(jobs) = jobs.upgrade() else { return };
                let mut state = lock(&self.state);
                let Some(asked) = state.next() else { break };
                if let Some(asked) = state.join(asked) {
                    state.send(asked, room, &jobs);
                }
            }
        }
    }

    /// Tells those who stand in line that the store is closed.
    pub(super) fn close(&self) {
        let line = std::mem::take(&mut lock(&self.state).line);
        for asked in line {
            // Nobody has to wait for an answer.
            drop(asked.answer.send(Err(Error::closed())));
        }
    }
}

impl State {
    /// Has somebody wait with those who asked for the same commit; gives them back where nobody did.
    fn join(&self, asked: Asked) -> Option<Asked> {
        let same = self.known.get(&asked.commit.identity()).and_then(Weak::upgrade);
        match same.filter(|same| is_same(&same.commit, &asked.commit)) {
            Some(same) => same.join(asked),
            None => Some(asked),
        }
    }

    fn send(
        &mut self,
        asked: Asked,
        room: OwnedSemaphorePermit,
        jobs: &UnboundedSender<Arc<Request>>,
    ) -> bool {
        let id = asked.commit.identity();
        let waiting = Waiting { answers: vec![asked.answer], _room: room };
        let waiting = Mutex::new(Some(waiting));
        let request = Arc::new(Request { commit: asked.commit, waiting });
        if self.known.len() >= 2 * MOST {
            self.known.retain(|_, request| request.strong_count() > 0);
        }
        self.known.insert(id, Arc::downgrade(&request));
        jobs.send(request).is_ok()
    }

    fn stand(&mut self, asked: Asked) {
        if self.line.len() >= self.long {
            self.line.retain(|asked| !asked.answer.is_closed());
            self.long = 2 * self.line.len().max(MOST);
        }
        self.line.push_back(asked);
    }

    /// The first in line who has not given up.
    fn next(&mut self) -> Option<Asked> {
        std::iter::from_fn(|| self.line.pop_front()).find(|asked| !asked.answer.is_closed())
    }
}

/// Whether both are the same commit: one with events is known by their ids, not by its own.
fn is_same(one: &Commit, other: &Commit) -> bool {
    one.identity() == other.identity()
        && one.writes == other.writes
        && one.conditions == other.conditions
        && one.records == other.records
        && one.derived == other.derived
        && one.checks == other.checks
        && one.statements == other.statements
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
