//! SQLite, embedded: one thread that writes, and threads that read beside it.

mod ahead;
mod append;
mod candidates;
mod connection;
mod error;
pub mod fork;
mod names;
mod reader;
mod records;
mod registry;
mod rows;
mod schema;
mod witness;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::{oneshot, watch};

use self::ahead::Ahead;
use self::connection::Session;
use self::registry::Registered;
use self::witness::Witness;
use self::writer::{Job, Request, Writer};
use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::limits::Limits;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordQuery};
use crate::storage::{Answer, Capabilities, Storage};
use crate::stream::{StreamPage, StreamSelection};

/// Threads that read.
const READERS: usize = 2;

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
/// The writer's queue is a channel rather than a lock around the connection: whoever waits is
/// committed together, and a caller that stops waiting stops nothing.
pub struct Sqlite {
    threads: Mutex<Option<Threads>>,
    appended: watch::Receiver<u64>,
    ended: watch::Receiver<bool>,
    durable: bool,
}

struct Threads {
    jobs: Sender<Job>,
    /// None where the readers share the writer's connection.
    reads: Option<Sender<Read>>,
    readers: Vec<JoinHandle<()>>,
}

type Read = Box<dyn FnOnce(Result<&mut Session>) + Send>;

impl Sqlite {
    /// Opens the database, or makes it where there is none. Blocks while it does.
    pub fn open(target: &Target, durability: Durability) -> Result<Self> {
        let target = &match target {
            Target::Memory => Target::Memory,
            // Readers open the file later, and the process may be elsewhere by then.
            Target::File(path) => Target::File(std::path::absolute(path).map_err(|cause| {
                let text = format!("{} has no absolute form", path.display());
                Error::new(ErrorKind::Configuration, text).with_source(cause)
            })?),
        };
        // From before the registry's lock until after it: no child inherits the lock taken.
        let _inside = fork::at_work();
        let (session, registered) = match target {
            Target::Memory => (Session::writer(target, durability)?, None),
            Target::File(path) => {
                let open = || Session::writer(target, durability);
                let (session, registered) = Registered::opening(path, open)?;
                (session, Some(registered))
            }
        };
        let (last, _) = session.last_event()?;
        let (sender, appended) = watch::channel(last);
        let (ending, ended) = watch::channel(false);
        let (jobs, queue) = unbounded();
        let mut writer =
            Writer::new(session, Witness::of(target), Ahead::of(target, durability), sender);
        spawn("eventuali-writer", move || {
            writer.run(&queue);
            let inside = fork::at_work();
            drop(writer);
            drop(registered);
            drop(inside);
            ending.send_replace(true);
        })?;
        let (mut reads, mut readers) = (None, Vec::new());
        if let Target::File(path) = target {
            let (sender, queue) = unbounded::<Read>();
            for _ in 0..READERS {
                let (queue, path) = (queue.clone(), path.clone());
                readers.push(spawn("eventuali-reader", move || read_all(&queue, &path))?);
            }
            reads = Some(sender);
        }
        let threads = Mutex::new(Some(Threads { jobs, reads, readers }));
        Ok(Self { threads, appended, ended, durable: matches!(target, Target::File(_)) })
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
                let read: Read = Box::new(|session| respond(session.and_then(work)));
                return reads.send(read).is_ok();
            }
            let job = Job::Read(Box::new(|session| respond(work(session))));
            threads.jobs.send(job).is_ok()
        });
        answer_from(sent, answer, lost)
    }

    fn with_threads(&self, send: impl FnOnce(&Threads) -> bool) -> bool {
        // A panic while the lock is held leaves nothing half done.
        let threads = self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        threads.as_ref().is_some_and(send)
    }
}

impl Storage for Sqlite {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        if !self.with_threads(|_| true) {
            return Box::pin(std::future::ready(Err(Error::closed())));
        }
        if let Err(error) = commit.check(&Limits::DEFAULT) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let (sender, answer) = oneshot::channel();
        let request = Job::Commit(Box::new(Request { commit, answer: sender }));
        let sent = self.with_threads(|threads| threads.jobs.send(request).is_ok());
        answer_from(sent, answer, || Error::outcome_unknown(Vec::new()))
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
        self.read_with(move |session| reader::streams(session, &selection, after.as_ref(), limit))
    }

    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        self.read_with(move |session| records::page(session, &query, after.as_ref(), limit))
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.appended.clone()
    }

    fn close(&self) -> Answer<()> {
        let threads = self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(Threads { jobs, reads, readers }) = threads {
            // Without a sender the readers end once their queue is empty.
            drop(reads);
            // A writer that is gone has nothing left to close.
            drop(jobs.send(Job::Close(readers)));
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
            limits: Limits::DEFAULT,
        }
    }
}

/// What arrives on `answer`; a job that panicked drops its end, which `lost` puts into words.
fn answer_from<T: Send + 'static>(
    sent: bool,
    answer: oneshot::Receiver<Result<T>>,
    lost: impl FnOnce() -> Error + Send + 'static,
) -> Answer<T> {
    if !sent {
        return Box::pin(std::future::ready(Err(Error::closed())));
    }
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(lost())) })
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the storage failed before it answered")
}

fn read_all(queue: &Receiver<Read>, path: &std::path::Path) {
    let mut open = None;
    while let Ok(read) = queue.recv() {
        let _inside = fork::at_work();
        let session = match open.take().map_or_else(|| Session::reader(path), Ok) {
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
