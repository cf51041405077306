//! The one thread that writes: it commits whatever waits in one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rusqlite::TransactionState;
use tokio::sync::watch;

use super::ahead::Ahead;
use super::append::append;
use super::connection::{Session, waiting_for, without_waiting};
use super::error::is_io;
use super::queue::{Job, Queue, Request};
use super::rows::Tail;
use super::witness::Witness;
use super::{fork, records, schema};
use crate::commit::Committed;
use crate::error::{Error, ErrorKind, Result};
use crate::record::RecordPurge;

/// The most bytes that go into one transaction.
const GROUP_BYTES: usize = 32 << 20;
/// The most commits that go into one transaction.
const GROUP_COMMITS: usize = 1024;

/// The writer: its connection, and whether that can still be trusted.
pub(super) struct Writer {
    session: Session,
    witness: Witness,
    ahead: Ahead,
    appended: watch::Sender<u64>,
    /// The epoch of the last commit.
    epoch: u64,
    left: Option<Left>,
    /// Set by the first write or fsync that fails: a second fsync of the same file "succeeds"
    /// without having written what the first one lost.
    poisoned: Option<Error>,
}

/// How the last commit left the log.
#[derive(Clone, Copy)]
struct Left {
    /// Another one once anybody else has written.
    data_version: i64,
    position: u64,
    recorded_at: i64,
}

impl Writer {
    pub(super) fn new(
        session: Session,
        witness: Witness,
        ahead: Ahead,
        appended: watch::Sender<u64>,
    ) -> Self {
        let epoch = session.epoch();
        Self { session, witness, ahead, appended, epoch, left: None, poisoned: None }
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
            Job::Purge(purge, answer) => {
                let _inside = fork::at_work();
                // Nobody has to wait for an answer.
                drop(answer.send(self.purge(&purge)));
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
        let begun = match patience(&group) {
            Some(limit) => waiting_for(limit, || self.begin()),
            None => self.begin(),
        };
        match begun {
            Ok(()) => self.carry_out(group),
            Err(error) => fail(group, &error),
        }
    }

    /// Removes records for good, in a transaction of its own.
    fn purge(&mut self, purge: &RecordPurge) -> Result<u64> {
        self.begin()?;
        let purged = schema::is_still_known(&self.session.conn)
            .and_then(|()| records::purge(&self.session, purge))
            .and_then(|purged| self.session.run("COMMIT").map(|()| purged));
        purged.inspect_err(|error| {
            self.roll_back();
            self.judge(error);
        })
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
            let text = "an earlier write to this store failed; open the store again";
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

    /// The end of the log, which is looked up where anybody else has written.
    fn tail(&mut self, data_version: i64) -> Result<Tail> {
        if let Some(left) = self.left
            && left.data_version == data_version
            && self.session.is_of_this_epoch()
        {
            return Ok(Tail::after(left.position, left.recorded_at));
        }
        schema::is_still_known(&self.session.conn)?;
        Tail::of(&mut self.session)
    }

    fn write(&mut self, group: &[Request]) -> Result<(Vec<Result<Committed>>, Left, Tail)> {
        self.ahead.grow()?;
        let data_version = self.session.data_version()?;
        let mut tail = self.tail(data_version)?;
        let mut judged = Vec::with_capacity(group.len());
        for request in group {
            judged.push(append(&mut self.session, &mut tail, &request.commit)?);
        }
        tail.note(&self.session)?;
        let (position, recorded_at) = (tail.position, tail.recorded_at);
        Ok((judged, Left { data_version, position, recorded_at }, tail))
    }

    fn finish(
        &mut self,
        (judged, left, tail): (Vec<Result<Committed>>, Left, Tail),
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
        self.left = Some(left);
        if let Some(id) = tail.last {
            self.session.has_seen(tail.position, id);
        }
        announce(&self.appended, tail.position, self.session.epoch() != self.epoch);
        self.epoch = self.session.epoch();
        Ok(judged)
    }

    fn roll_back(&mut self) {
        self.left = None;
        self.session.forget();
        // SQLite has rolled some failures back by itself.
        let open = self.session.conn.transaction_state(None::<&str>);
        if open.is_ok_and(|state| state != TransactionState::None)
            && let Err(cause) = self.session.conn.execute_batch("ROLLBACK")
        {
            self.poisoned = Some(cause.into());
        }
    }
}

/// Wakes whoever waits for events: where the log is longer now, or another one.
pub(super) fn announce(appended: &watch::Sender<u64>, last: u64, anew: bool) {
    appended.send_if_modified(|seen| {
        let wakes = anew || last > *seen;
        *seen = if anew { last } else { last.max(*seen) };
        wakes
    });
}

/// How long a group waits for another process: as long as the most patient one; none is as long as
/// the connection does.
fn patience(group: &[Request]) -> Option<Duration> {
    let each = group.iter().map(|request| request.commit.patience);
    each.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).flatten()
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::backend::sqlite::connection::Epoch;
    use crate::backend::sqlite::{Durability, Target, reader};
    use crate::commit::Commit;
    use crate::event::{EventKind, Metadata, NewEvent};
    use crate::query::{Query, QueryItem, ReadRange};
    use crate::stream::{ExpectedVersion, StreamId};

    struct Opened {
        writer: Writer,
        path: PathBuf,
        _folder: tempfile::TempDir,
    }

    fn opened() -> Opened {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("events.db");
        Opened { writer: over(&path), path, _folder: folder }
    }

    fn over(path: &Path) -> Writer {
        let target = Target::File(path.to_owned());
        // Before the first connection, as `Sqlite::open` does.
        assert_ne!(eventuali_locks::install(), eventuali_locks::Protection::None);
        drop(std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a file"));
        let session =
            Session::writer(&target, Durability::Full, Epoch::default()).expect("it opens");
        let ahead = Ahead::of(&target, Durability::Full);
        Writer::new(session, Witness::of(&target), ahead, watch::Sender::new(0))
    }

    fn commit(event_type: &str, payload: usize) -> Commit {
        let kind = Arc::new(EventKind::json(event_type, 1));
        let tags = vec!["new".to_owned()];
        let event = NewEvent::new(kind, vec![b' '; payload])
            .with_metadata(Metadata { tags, ..Metadata::default() });
        Commit::append(StreamId::new(event_type, "1"), ExpectedVersion::Any, vec![event])
    }

    /// Commits them as one group; the answers.
    fn together(writer: &mut Writer, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let (group, answers): (Vec<_>, Vec<_>) = commits
            .into_iter()
            .map(|commit| {
                let (answer, told) = oneshot::channel();
                (Request { commit, answer }, told)
            })
            .unzip();
        writer.commit(group);
        answers.into_iter().map(|told| told.blocking_recv().expect("an answer")).collect()
    }

    #[test]
    fn a_group_waits_as_long_as_its_most_patient_commit() {
        let of = |millis: &[Option<u64>]| {
            let request = |millis: &Option<u64>| {
                let patience = millis.map(Duration::from_millis);
                let commit = Commit { patience, ..commit("Opened", 1) };
                Request { commit, answer: oneshot::channel().0 }
            };
            patience(&millis.iter().map(request).collect::<Vec<_>>()).map(|most| most.as_millis())
        };
        assert_eq!(of(&[Some(5)]), Some(5));
        assert_eq!(of(&[Some(5), Some(7), Some(6)]), Some(7));
        assert_eq!(of(&[Some(5), None, Some(6)]), None);
        assert_eq!(of(&[None]), None);
    }

    fn found(session: &mut Session, item: QueryItem) -> usize {
        let query = Query { items: vec![item], ..Query::default() };
        reader::page(session, &query, ReadRange::default()).expect("it reads").len()
    }

    /// Moves the database away as soon as a COMMIT begins.
    #[cfg(unix)]
    fn moved_meanwhile(opened: &Opened) -> PathBuf {
        let (from, to) = (opened.path.clone(), opened.path.with_file_name("elsewhere.db"));
        let wal = |path: &Path| crate::backend::sqlite::ahead::wal_of(path);
        let moves = [(from.clone(), to.clone()), (wal(&from), wal(&to))];
        let hook = move || {
            for (from, to) in &moves {
                std::fs::rename(from, to).expect("it moves");
            }
            false
        };
        opened.writer.session.conn.commit_hook(Some(hook)).expect("it is set");
        to
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_moves_during_the_commit_leaves_it_in_doubt() {
        let mut opened = opened();
        together(&mut opened.writer, vec![commit("Opened", 1)])[0].as_ref().expect("it commits");
        moved_meanwhile(&opened);
        let answers = together(&mut opened.writer, vec![commit("Opened", 1)]);
        let error = answers[0].as_ref().expect_err("nobody can say where it went");
        assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown { .. }), "{error:?}");
    }

    #[cfg(unix)]
    #[test]
    fn whoever_is_refused_for_certain_is_not_in_the_file() {
        let mut opened = opened();
        together(&mut opened.writer, vec![commit("Opened", 1)])[0].as_ref().expect("it commits");
        let elsewhere = moved_meanwhile(&opened);
        let names = ["A", "B", "C"];
        let answers = together(&mut opened.writer, names.map(|name| commit(name, 1)).to_vec());
        let late = together(&mut opened.writer, vec![commit("D", 1)]);
        drop(opened.writer);
        let mut session = over(&elsewhere).session;
        for (name, answer) in names.iter().chain(&["D"]).zip(answers.iter().chain(&late)) {
            let item = QueryItem { event_types: vec![(*name).to_owned()], ..QueryItem::default() };
            let there = found(&mut session, item);
            let error = answer.as_ref().expect_err("it is not acknowledged");
            let doubtful = matches!(error.kind(), ErrorKind::OutcomeUnknown { event_ids }
                if event_ids.len() == 1);
            assert!(doubtful || there == 0, "{name} is in the file: {error:?}");
            assert_eq!(there == 0, *name == "D", "what the test is about");
        }
    }

    #[test]
    fn names_that_a_full_disk_took_back_are_made_again() {
        let mut opened = opened();
        let writer = &mut opened.writer;
        together(writer, vec![commit("Opened", 1)])[0].as_ref().expect("it commits");
        let pages = "SELECT page_count FROM pragma_page_count";
        let pages: i64 =
            writer.session.conn.query_row(pages, [], |row| row.get(0)).expect("it is counted");
        let limit = |writer: &Writer, pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            writer.session.conn.query_row(&sql, [], |_| Ok(())).expect("it is set");
        };
        limit(writer, pages);
        let full = together(writer, vec![commit("New", 100_000)]);
        assert_eq!(*full[0].as_ref().expect_err("the disk is full").kind(), ErrorKind::Full);
        limit(writer, pages + 1_000);
        together(writer, vec![commit("Other", 1)])[0].as_ref().expect("there is room");
        together(writer, vec![commit("New", 1)])[0].as_ref().expect("there is room");
        // A connection that remembers nothing.
        let mut session = Session::reader(&opened.path, Epoch::default()).expect("it opens");
        let all = reader::page(&mut session, &Query::default(), ReadRange::default());
        assert_eq!(all.expect("it reads").len(), 3, "the whole log");
        for name in ["Opened", "Other", "New"] {
            let (text, item) = (name.to_owned(), QueryItem::default());
            let by_type = QueryItem { event_types: vec![text.clone()], ..item.clone() };
            let aggregate_id = Some("1".to_owned());
            let by_stream = QueryItem { aggregate_type: Some(text), aggregate_id, ..item };
            assert_eq!((found(&mut session, by_type), found(&mut session, by_stream)), (1, 1));
        }
        let by_tag = QueryItem { tags: vec!["new".to_owned()], ..QueryItem::default() };
        assert_eq!(found(&mut session, by_tag), 3);
    }
}
