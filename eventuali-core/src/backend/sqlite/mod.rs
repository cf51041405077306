//! SQLite, embedded: one thread that writes, and threads that read beside it.

mod ahead;
mod append;
mod candidates;
mod chains;
mod connection;
mod count;
mod dictionary;
mod error;
pub mod fork;
mod guard;
mod ids;
mod kept;
mod listener;
mod listing;
mod names;
mod place;
mod queue;
mod reader;
mod records;
mod registry;
mod rows;
mod schema;
mod sift;
mod usage;
mod user_statements;
mod value;
mod verify;
mod wal;
mod witness;
mod words;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use eventuali_locks::Protection;
use tokio::sync::{oneshot, watch};

use self::ahead::Ahead;
use self::connection::{Epoch, Session};
use self::listener::Listener;
use self::queue::{Job, Place, Queue, Request};
use self::witness::Witness;
use self::writer::Writer;
use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::limits::Limits;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordPurge, RecordQuery};
use crate::storage::{Answer, Capabilities, Horizon, Storage, answer_from, lost};
use crate::stream::{StreamPage, StreamSelection};
use crate::usage::{UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// Threads that read.
const READERS: usize = 2;
/// The largest commit that a caller does itself: bytes, and events.
const HERE: (usize, usize) = (256 << 10, 1_000);

/// Where the database lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In this process, until the store is closed.
    Memory,
    /// In a file, with `-wal` and `-shm` beside it.
    File(PathBuf),
}

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: every commit is flushed to the device (WAL, `synchronous=FULL`).
    #[default]
    Full,
    /// The end of the process, but not a power cut, which can take the last commits
    /// (WAL, `synchronous=NORMAL`).
    Relaxed,
}

/// A store in SQLite.
///
/// The writer has a queue rather than a lock around the connection: whoever waits is committed
/// together, and a caller that stops waiting stops nothing.
pub struct Sqlite {
    queue: Arc<Queue>,
    /// Locked by whoever has the turn of the queue; none once the store is closed.
    writer: Arc<Mutex<Option<Writer>>>,
    threads: Mutex<Option<Threads>>,
    appended: watch::Receiver<u64>,
    ended: watch::Receiver<bool>,
    durable: bool,
    epoch: Epoch,
}

struct Threads {
    /// None where the readers share the writer's connection.
    reads: Option<Sender<Read>>,
    readers: Vec<JoinHandle<()>>,
    /// None where nobody else can write.
    listener: Option<Listener>,
}

impl Threads {
    fn reading(
        path: &Path,
        witness: &Witness,
        highest: watch::Sender<u64>,
        epoch: &Epoch,
    ) -> Result<Self> {
        let (sender, queue) = unbounded::<Read>();
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let (queue, path, epoch) = (queue.clone(), path.to_owned(), Arc::clone(epoch));
            let witness = witness.clone();
            let run = move || read_all(&queue, &path, witness, &epoch);
            readers.push(spawn("eventuali-reader", run)?);
        }
        let listener = Some(Listener::new(path, witness, highest, Arc::clone(epoch)));
        Ok(Self { reads: Some(sender), readers, listener })
    }
}

type Read = Box<dyn FnOnce(Result<&mut Session>) + Send>;

impl Sqlite {
    /// Opens the database, or makes it where there is none. Blocks while it does.
    pub fn open(target: &Target, durability: Durability) -> Result<Self> {
        let target = &match target {
            Target::Memory => Target::Memory,
            // Readers open the file later, and the process may be elsewhere by then.
            Target::File(path) => Target::File(std::path::absolute(path).map_err(|cause| {
                let text = format!("cannot find the absolute path of {}", path.display());
                Error::new(ErrorKind::Configuration, text).with_source(cause)
            })?),
        };
        if let (Target::File(path), Protection::None) = (target, eventuali_locks::install()) {
            witness::refuse_company(path)?;
        }
        // From before the registry's lock until after it: no child inherits the lock taken.
        let _inside = fork::at_work();
        let registered = match target {
            Target::Memory => None,
            Target::File(path) => Some(place::prepare(path)?),
        };
        let epoch = Epoch::default();
        let session = Session::writer(target, durability, Arc::clone(&epoch))?;
        let target = &without_links(target)?;
        let last = match session.last_event() {
            Ok((last, _)) => last,
            // Where SQLite finds nothing wrong itself, it can be opened all the same: to read what is
            // whole, and to find out about the rest.
            Err(error)
                if matches!(error.kind(), ErrorKind::Corrupted { .. })
                    && std::error::Error::source(&error).is_none() =>
            {
                0
            }
            Err(error) => return Err(error),
        };
        let (sender, appended) = watch::channel(last);
        let (ending, ended) = watch::channel(false);
        let ahead = Ahead::of(target, durability);
        let witness = Witness::of(target);
        let writer = Writer::new(session, witness.clone(), ahead, sender.clone());
        let writer = Arc::new(Mutex::new(Some(writer)));
        let queue = Arc::new(Queue::default());
        let (shared, jobs) = (Arc::clone(&writer), Arc::clone(&queue));
        spawn("eventuali-writer", move || {
            let _end = End(&jobs);
            write_all(&jobs, &shared);
            let inside = fork::at_work();
            drop(locked(&shared).take());
            drop(registered);
            drop(inside);
            ending.send_replace(true);
        })?;
        let threads =
            Mutex::new(Some(Threads { reads: None, readers: Vec::new(), listener: None }));
        let durable = matches!(target, Target::File(_));
        // From here on the writer's thread ends when this is dropped.
        let store = Self { queue, writer, threads, appended, ended, durable, epoch };
        if let Target::File(path) = target {
            *locked(&store.threads) = Some(Threads::reading(path, &witness, sender, &store.epoch)?);
        }
        Ok(store)
    }

    /// Runs `work` beside the writer and answers with what it returns.
    fn read_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (sender, answer) = oneshot::channel();
        let respond = |result| drop(sender.send(result));
        let sent = self.with_threads(|threads| {
            if let Some(reads) = &threads.reads {
                let read: Read =
                    Box::new(|session| respond(session.and_then(|session| session.at_once(work))));
                return reads.send(read).is_ok();
            }
            let job = Job::Read(Box::new(|session| respond(session.at_once(work))));
            self.queue.put(job)
        });
        answer_from(sent, answer, lost)
    }

    fn with_threads(&self, send: impl FnOnce(&Threads) -> bool) -> bool {
        locked(&self.threads).as_ref().is_some_and(send)
    }

    /// Checks a commit, and gives it to `put`, which says whether anybody will do it.
    fn send(&self, commit: Commit, put: impl FnOnce(Box<Request>) -> bool) -> Answer<Committed> {
        if !self.with_threads(|_| true) {
            return Box::pin(std::future::ready(Err(Error::closed())));
        }
        if let Err(error) = commit.check(&Limits::DEFAULT) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let ids = commit.event_ids();
        let (sender, answer) = oneshot::channel();
        let sent = put(Box::new(Request { commit, answer: sender }));
        answer_from(sent, answer, || Error::outcome_unknown(ids))
    }

    /// Does a commit on this thread, or leaves it to the writer's where that is busy or would be.
    fn write_here(&self, request: Box<Request>) -> bool {
        match self.queue.put_or_take(request) {
            None => return false,
            Some(Place::InQueue) => {}
            Some(Place::Here(request, turn)) => {
                let mut writer = locked(&self.writer);
                let left = writer.as_mut().and_then(|writer| writer.run_here(request));
                drop(writer);
                if let Some(request) = left {
                    self.queue.put_back(request);
                }
                drop(turn);
            }
        }
        true
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Storage for Sqlite {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        self.send(commit, |request| self.queue.put(Job::Commit(request)))
    }

    fn commit_here(&self, commit: Commit) -> Answer<Committed> {
        // Nothing reaches the caller meanwhile, Ctrl-C for instance: what takes long is not for here.
        let large = commit.size() > HERE.0 || commit.events().count() > HERE.1;
        if large || !commit.conditions.is_empty() || !commit.statements.is_empty() {
            return self.commit(commit);
        }
        self.send(commit, |request| self.write_here(request))
    }

    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        self.read_with(move |session| reader::page(session, &query, range))
    }

    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        self.read_with(move |session| listing::streams(session, &selection, after.as_ref(), limit))
    }

    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        self.read_with(move |session| records::page(session, &query, after.as_ref(), limit))
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        self.read_with(move |session| count::count(session, &query, range))
    }

    fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        self.read_with(move |session| records::count(session, &query))
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        self.read_with(move |session| usage::page(session, &query))
    }

    fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        if !self.with_threads(|_| true) {
            return Box::pin(std::future::ready(Err(Error::closed())));
        }
        if let Err(error) = purge.check() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let (sender, answer) = oneshot::channel();
        answer_from(self.queue.put(Job::Purge(purge, sender)), answer, lost)
    }

    fn horizon(&self) -> Answer<Horizon> {
        self.read_with(|session| Ok(Horizon::at(session.last_event()?.0)))
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        self.read_with(move |session| verify::page(session, after.as_ref()))
    }

    fn appended(&self) -> watch::Receiver<u64> {
        let receiver = self.appended.clone();
        if let Some(listener) = locked(&self.threads).as_mut().and_then(|t| t.listener.as_mut()) {
            // Without a thread to spare, only what this process commits wakes.
            drop(listener.begin());
        }
        receiver
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn close(&self) -> Answer<()> {
        if let Some(Threads { reads, mut readers, listener }) = locked(&self.threads).take() {
            // Without a sender the readers end once their queue is empty.
            drop(reads);
            readers.extend(listener.into_iter().flat_map(Listener::end));
            self.queue.put(Job::Close(readers));
        }
        let mut ended = self.ended.clone();
        Box::pin(async move {
            // Whoever closes waits for the same end. A sender that is dropped has ended too.
            drop(ended.wait_for(|ended| *ended).await);
            Ok(())
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: "sqlite",
            durable: self.durable,
            shared: self.durable,
            remote: false,
            sql: true,
            full_text: true,
            limits: Limits::DEFAULT,
        }
    }
}

/// The file itself: SQLite puts the WAL beside it, and not beside a link to it.
fn without_links(target: &Target) -> Result<Target> {
    let Target::File(path) = target else { return Ok(target.clone()) };
    let found = path.canonicalize().map_err(|cause| {
        let text = format!("{} no longer exists", path.display());
        Error::new(ErrorKind::Unavailable, text).with_source(cause)
    })?;
    Ok(Target::File(found))
}

/// The end of the writer's thread, however it comes: nobody may wait for it any more.
struct End<'queue>(&'queue Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A panic while one of these locks is held leaves nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_all(queue: &Queue, writer: &Mutex<Option<Writer>>) {
    while let Some((job, turn)) = queue.next() {
        if let Some(writer) = locked(writer).as_mut() {
            writer.run(job, queue);
        }
        drop(turn);
    }
}

fn read_all(queue: &Receiver<Read>, path: &Path, mut witness: Witness, epoch: &Epoch) {
    let mut open = None;
    while let Ok(read) = queue.recv() {
        let _inside = fork::at_work();
        let opened = open.take().map_or_else(|| Session::reader(path, Arc::clone(epoch)), Ok);
        // Behind the opening, since what was opened must be the file of the others.
        let session = match opened.and_then(|session| witness.check_database().map(|()| session)) {
            Ok(session) => session,
            Err(error) => {
                read(Err(error));
                continue;
            }
        };
        // A job that panics takes its connection with it, not the thread.
        open = catch_unwind(AssertUnwindSafe(move || {
            let mut session = session;
            read(Ok(&mut session));
            session
        }))
        .ok();
    }
    let _inside = fork::at_work();
    drop(open);
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(run).map_err(|cause| {
        Error::new(ErrorKind::Unavailable, "cannot start a thread").with_source(cause)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::event::{EventKind, NewEvent};
    use crate::stream::{ExpectedVersion, StreamId};

    fn commit() -> Commit {
        let event = NewEvent::new(Arc::new(EventKind::json("Opened", 1)), "{}");
        Commit::append(StreamId::new("T", "s"), ExpectedVersion::Any, vec![event])
    }

    /// What is there at once; None where it is on its way.
    fn now<T>(answer: &mut Answer<T>) -> Option<Result<T>> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match answer.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => Some(result),
            std::task::Poll::Pending => None,
        }
    }

    fn done<T>(mut answer: Answer<T>) -> Result<T> {
        loop {
            match now(&mut answer) {
                Some(result) => return result,
                None => std::thread::yield_now(),
            }
        }
    }

    fn opened(folder: &tempfile::TempDir) -> (PathBuf, Sqlite) {
        let path = folder.path().join("events.db");
        let store = Sqlite::open(&Target::File(path.clone()), Durability::Full).expect("it opens");
        (path, store)
    }

    #[test]
    fn a_caller_that_waits_does_the_work() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (_, store) = opened(&folder);
        let done = now(&mut store.commit_here(commit())).expect("no thread was asked");
        assert_eq!(done.expect("it commits").positions, [1]);
    }

    #[test]
    fn a_read_sees_one_state_of_the_store() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (_, store) = opened(&folder);
        done(store.commit(commit())).expect("it commits");
        let store = Arc::new(store);
        let writer = Arc::clone(&store);
        let read = store.read_with(move |session| {
            let before = session.last_event()?;
            done(writer.commit(commit())).expect("it commits");
            Ok((before, session.last_event()?))
        });
        let (before, after) = done(read).expect("it reads");
        assert_eq!(before, after);
        assert_eq!(done(store.horizon()).expect("it reads").last, 2);
    }

    #[test]
    fn it_does_not_wait_for_another_process() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (path, store) = opened(&folder);
        let other = rusqlite::Connection::open(path).expect("it opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("it locks");
        let mut answer = store.commit_here(commit());
        assert!(now(&mut answer).is_none(), "the writer's thread waits for the lock");
        other.execute_batch("COMMIT").expect("it unlocks");
        let begun = Instant::now();
        let done = loop {
            if let Some(done) = now(&mut answer) {
                break done;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "it hangs");
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(done.expect("it commits").positions, [1]);
    }
}
