//! Commits that wait for the writer, each of them once, however often it is asked for.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
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

    /// Has one more wait for the answer, unless it was given.
    fn join(&self, asked: Asked) -> Result<(), Asked> {
        let mut waiting = lock(&self.waiting);
        let Some(waiting) = waiting.as_mut() else { return Err(asked) };
        // Those who gave up make room for those who ask again.
        waiting.answers.retain(|sender| !sender.is_closed());
        waiting.answers.push(asked.answer);
        Ok(())
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
    /// A lock and no channel: a caller is told of the answer to somebody who asked the same before.
    known: Mutex<HashMap<Uuid, Weak<Request>>>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)), known: Mutex::default() }
    }

    /// Sends a commit to the writer, or waits with those who asked for the same one; whether there
    /// still is a writer. Gives it back where there is no room, unless it brings its own.
    pub(super) fn send(
        &self,
        asked: Asked,
        room: Option<OwnedSemaphorePermit>,
        jobs: &UnboundedSender<Arc<Request>>,
    ) -> Result<bool, Asked> {
        let mut known = lock(&self.known);
        let id = asked.commit.identity();
        let same = known.get(&id).and_then(Weak::upgrade);
        let asked = match same.filter(|same| is_same(&same.commit, &asked.commit)) {
            Some(same) => match same.join(asked) {
                Ok(()) => return Ok(true),
                Err(asked) => asked,
            },
            None => asked,
        };
        let free = || Arc::clone(&self.room).try_acquire_owned().ok();
        let Some(room) = room.or_else(free) else { return Err(asked) };
        let waiting = Waiting { answers: vec![asked.answer], _room: room };
        let waiting = Mutex::new(Some(waiting));
        let request = Arc::new(Request { commit: asked.commit, waiting });
        if known.len() >= 2 * MOST {
            known.retain(|_, request| request.strong_count() > 0);
        }
        known.insert(id, Arc::downgrade(&request));
        Ok(jobs.send(request).is_ok())
    }

    /// Sends a commit once there is room, unless whoever asked gives up before.
    pub(super) async fn send_late(
        &self,
        mut asked: Asked,
        jobs: WeakUnboundedSender<Arc<Request>>,
    ) {
        let room = {
            let mut room = pin!(Arc::clone(&self.room).acquire_owned());
            let mut given_up = pin!(asked.answer.closed());
            poll_fn(|context| match given_up.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => room.as_mut().poll(context).map(Result::ok),
            })
            .await
        };
        match jobs.upgrade() {
            Some(jobs) if room.is_some() => drop(self.send(asked, room, &jobs)),
            // Nobody has to wait for an answer.
            _ => drop(asked.answer.send(Err(Error::closed()))),
        }
    }
}

/// Whether both are the same commit: one with events is known by their ids, not by its own.
fn is_same(one: &Commit, other: &Commit) -> bool {
    one.identity() == other.identity()
        && one.writes == other.writes
        && one.conditions == other.conditions
        && one.records == other.records
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
