//! The one thread that writes: it commits whatever waits in one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use rusqlite::TransactionState;
use tokio::sync::{oneshot, watch};

use super::ahead::Ahead;
use super::append::{Tail, append};
use super::connection::{Session, without_waiting};
use super::error::is_io;
use super::fork;
use super::queue::Queue;
use super::witness::Witness;
use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};

/// The most bytes that go into one transaction.
const GROUP_BYTES: usize = 32 << 20;
/// The most commits that go into one transaction.
const GROUP_COMMITS: usize = 1024;

/// Work on the writer's connection.
pub(super) enum Job {
    /// A commit and where its answer goes.
    Commit(Box<Request>),
    /// Anything else, for a store whose readers share this connection.
    Read(Box<dyn FnOnce(&mut Session) + Send>),
    /// The end, once everything before it is done. The readers are about to end; the writer's
    /// connection is the last to go, so that SQLite folds the WAL into the database.
    Close(Vec<JoinHandle<()>>),
}

/// A commit and where its answer goes.
pub(super) struct Request {
    pub(super) commit: Commit,
    pub(super) answer: oneshot::Sender<Result<Committed>>,
}

/// The writer: its connection, and whether that can still be trusted.
pub(super) struct Writer {
    session: Session,
    witness: Witness,
    ahead: Ahead,
    appended: watch::Sender<u64>,
    /// Set by the first write or fsync that fails: a second fsync of the same file "succeeds"
    /// without having written what the first one lost.
    poisoned: Option<Error>,
}

impl Writer {
    pub(super) fn new(
        session: Session,
        witness: Witness,
        ahead: Ahead,
        appended: watch::Sender<u64>,
    ) -> Self {
        Self { session, witness, ahead, appended, poisoned: None }
    }

    /// Does a job of the queue, on its own thread.
    pub(super) fn run(&mut self, job: Job, queue: &Queue) {
        match job {
            Job::Commit(first) => {
                let _inside = fork::at_work();
                self.group(*first, queue);
            }
            Job::Read(work) => {
                let _inside = fork::at_work();
                // A job that panics has only read.
                drop(catch_unwind(AssertUnwindSafe(|| work(&mut self.session))));
            }
            Job::Close(readers) => {
                for reader in readers {
                    // A reader that panicked has ended too.
                    drop(reader.join());
                }
                queue.end();
            }
        }
    }

    /// Does one commit on the thread of a caller, who can't wait long: where another process is
    /// writing, gives it back.
    pub(super) fn run_here(&mut self, request: Box<Request>) -> Option<Box<Request>> {
        let _inside = fork::at_work();
        match without_waiting(|| self.begin()) {
            Ok(()) => self.carry_out(vec![*request]),
            Err(error) if *error.kind() == ErrorKind::Busy => return Some(request),
            Err(error) => fail(vec![*request], &error),
        }
        None
    }

    /// Commits `first` together with the commits that wait behind it.
    fn group(&mut self, first: Request, queue: &Queue) {
        let mut bytes = first.commit.size();
        let mut group = vec![first];
        while bytes < GROUP_BYTES && group.len() < GROUP_COMMITS {
            let Some(request) = queue.another_commit() else { break };
            bytes += request.commit.size();
            group.push(*request);
        }
        self.commit(group);
    }

    fn commit(&mut self, group: Vec<Request>) {
        match self.begin() {
            Ok(()) => self.carry_out(group),
            Err(error) => fail(group, &error),
        }
    }

    /// The rest of a transaction that has begun, and the answers.
    fn carry_out(&mut self, group: Vec<Request>) {
        let attempt = catch_unwind(AssertUnwindSafe(|| self.attempt(&group)));
        match attempt.unwrap_or_else(|_| Err(self.panicked())) {
            Ok(judged) => {
                for (request, judged) in group.into_iter().zip(judged) {
                    // Nobody has to wait for an answer.
                    drop(request.answer.send(judged));
                }
                #[cfg(feature = "faults")]
                fault::commit_late(&self.session);
            }
            // One of them cannot be written; the others must not fail with it.
            Err(_) if group.len() > 1 && self.poisoned.is_none() => {
                for request in group {
                    self.commit(vec![request]);
                }
            }
            Err(error) => fail(group, &error),
        }
    }

    /// Nothing is known of a transaction in which something panicked.
    fn panicked(&mut self) -> Error {
        self.roll_back();
        let error = Error::outcome_unknown(Vec::new());
        self.judge(&error);
        error
    }

    fn begin(&mut self) -> Result<()> {
        if let Some(cause) = &self.poisoned {
            let text = "a write to this store failed before; open it again";
            return Err(Error::new(ErrorKind::Unavailable, text).with_source(cause.clone()));
        }
        self.witness.is_alone()?;
        let begun = self.session.run("BEGIN IMMEDIATE");
        begun.inspect_err(|error| self.judge(error))
    }

    /// The rest of a transaction: all of the group that holds, durable when this returns.
    fn attempt(&mut self, group: &[Request]) -> Result<Vec<Result<Committed>>> {
        let written = self.write(group).and_then(|judged| self.finish(judged));
        written.inspect_err(|error| {
            self.roll_back();
            self.judge(error);
        })
    }

    /// Whether an error is one after which nothing may be acknowledged.
    fn judge(&mut self, error: &Error) {
        if is_io(error) || matches!(error.kind(), ErrorKind::OutcomeUnknown { .. }) {
            self.poisoned = Some(error.clone());
        }
    }

    fn write(&mut self, group: &[Request]) -> Result<(Vec<Result<Committed>>, u64)> {
        self.ahead.grow()?;
        let mut tail = Tail::of(&self.session)?;
        let before = tail.position;
        let mut judged = Vec::with_capacity(group.len());
        for request in group {
            judged.push(append(&mut self.session, &mut tail, &request.commit)?);
        }
        if tail.position > before {
            tail.put(&self.session)?;
        }
        Ok((judged, tail.position))
    }

    fn finish(
        &mut self,
        (judged, last): (Vec<Result<Committed>>, u64),
    ) -> Result<Vec<Result<Committed>>> {
        #[cfg(feature = "faults")]
        if fault::chosen("ack-before-commit") {
            return Ok(judged);
        }
        if let Err(error) = self.session.run("COMMIT") {
            #[cfg(feature = "faults")]
            if fault::chosen("ignore-failed-flush") {
                return Ok(judged);
            }
            if !is_io(&error) {
                return Err(error);
            }
            // The frames may be in the file, and a later recovery may find them.
            return Err(Error::outcome_unknown(Vec::new()).with_source(error));
        }
        if let Err(error) = self.witness.check() {
            return Err(Error::outcome_unknown(Vec::new()).with_source(error));
        }
        self.ahead.note();
        self.appended.send_if_modified(|seen| std::mem::replace(seen, (*seen).max(last)) < last);
        Ok(judged)
    }

    fn roll_back(&mut self) {
        self.session.names.forget();
        // SQLite has rolled some failures back by itself.
        let open = self.session.conn.transaction_state(None::<&str>);
        if open.is_ok_and(|state| state != TransactionState::None)
            && let Err(cause) = self.session.conn.execute_batch("ROLLBACK")
        {
            self.poisoned = Some(cause.into());
        }
    }
}

/// Tells everybody in a group of an error; whoever is left in doubt, about their own events.
fn fail(group: Vec<Request>, error: &Error) {
    for request in group {
        let mut told = error.clone();
        if matches!(told.kind(), ErrorKind::OutcomeUnknown { .. }) {
            told = Error::outcome_unknown(request.commit.event_ids()).with_source(told);
        }
        drop(request.answer.send(Err(told)));
    }
}

/// What `reliability/` must catch.
#[cfg(feature = "faults")]
mod fault {
    use super::Session;

    pub(super) fn chosen(name: &str) -> bool {
        std::env::var("EVENTUALI_FAULT").is_ok_and(|chosen| chosen == name)
    }

    /// The commit that was acknowledged already, on a disk that takes its time.
    pub(super) fn commit_late(session: &Session) {
        if chosen("ack-before-commit") && !session.conn.is_autocommit() {
            std::thread::sleep(std::time::Duration::from_millis(2));
            drop(session.conn.execute_batch("COMMIT"));
        }
    }
}
