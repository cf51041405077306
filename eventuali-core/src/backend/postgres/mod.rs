//! PostgreSQL: one task that writes, connections that read beside it, on a runtime of their own.

mod apart;
mod append;
mod batch;
mod bridge;
mod candidates;
mod connection;
mod count;
mod error;
mod horizon;
mod listener;
mod names;
mod options;
mod pooler;
mod queue;
mod reader;
mod recent;
mod records;
mod row_security;
mod scan;
mod schema;
mod sift;
mod statements;
mod test_clock;
mod usage;
mod user_statements;
mod value;
mod verify;
mod words;
mod writer;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

pub use self::options::PostgresOptions;
pub use self::row_security::{row_security_sql, tenant_role_sql};
pub use self::schema::schema_sql;
pub use self::test_clock::drop_test_schema;

use self::connection::{Pool, Purpose, Session, Shared};
use self::error::{is_transient, timed_out};
use self::listener::Signal;
use self::queue::{Asked, Queue, Request};
use self::reader::Until;
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

/// A store in PostgreSQL.
///
/// Everything happens on a runtime that belongs to the store, in tasks that nobody cancels: a
/// transaction that is dropped half done would leave its connection in it.
pub struct Postgres {
    /// None once the store is closed.
    open: Mutex<Option<Open>>,
    signal: Arc<Signal>,
    ended: watch::Receiver<bool>,
    /// The tenant that the role is restricted to, if it is.
    tenant: Option<String>,
}

struct Open {
    jobs: UnboundedSender<Arc<Request>>,
    queue: Arc<Queue>,
    pool: Arc<Pool>,
    runtime: Handle,
    /// Held by everything that is going on; the runtime ends when the last one is dropped.
    busy: Sender<Infallible>,
}

/// Work on a connection that is only read from.
type Reading<'s, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 's>>;

impl Postgres {
    /// Opens the database, and makes what it needs where that is missing. Blocks while it does.
    pub fn open(options: PostgresOptions) -> Result<Self> {
        options.check()?;
        let shared = Arc::new(Shared::new(options)?);
        // One thread: a commit goes through several tasks, and waking another thread for each of
        // them costs a third of all that a commit costs this process.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_name("eventuali-postgres")
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let (opened, wait) = std::sync::mpsc::channel();
        Builder::new()
            .name("eventuali-postgres".to_owned())
            .spawn(move || serve(&runtime, shared, &opened))
            .map_err(no_thread)?;
        // A thread that panics drops its end.
        wait.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// The tenant that the role is restricted to by row-level security; none where it sees everything.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Runs `work` beside the writer and answers with what it returns.
    fn read_with<T: Send + 'static>(
        &self,
        work: impl for<'s> Fn(&'s mut Session) -> Reading<'s, T> + Send + Sync + 'static,
    ) -> Answer<T> {
        let (sender, answer) = oneshot::channel();
        let sent = self.with(|open| {
            let (pool, busy) = (Arc::clone(&open.pool), open.busy.clone());
            open.runtime.spawn(async move {
                let result = read(&pool, work).await;
                drop(sender.send(result));
                drop(busy);
            });
            true
        });
        answer_from(sent, answer, lost)
    }

    /// The answer of a store that is closed, or to what no server has to see to be refused.
    fn refused<T: Send + 'static>(&self, check: impl FnOnce() -> Result<()>) -> Option<Answer<T>> {
        let checked = if self.with(|_| true) { check() } else { Err(Error::closed()) };
        checked.err().map(|error| Box::pin(std::future::ready(Err(error))) as Answer<T>)
    }

    fn with(&self, send: impl FnOnce(&Open) -> bool) -> bool {
        // A panic while the lock is held leaves nothing half done.
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().is_some_and(send)
    }
}

impl Storage for Postgres {
    fn commit(&self, commit: Commit) -> Answer<Committed> {
        if let Some(refused) = self.refused(|| commit.check(&Limits::DEFAULT)) {
            return refused;
        }
        let ids = commit.event_ids();
        let (sender, answer) = oneshot::channel();
        let asked = Asked { commit, answer: sender };
        let sent = self.with(|open| open.queue.send(asked, &open.jobs));
        answer_from(sent, answer, || Error::outcome_unknown(ids))
    }

    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage> {
        if let Some(refused) = self.refused(|| query.check()) {
            return refused;
        }
        let mut kept = None;
        self.with(|open| {
            kept = open.pool.recent().page(&query, &range);
            true
        });
        if let Some(page) = kept {
            return Box::pin(std::future::ready(Ok(page)));
        }
        let query = Arc::new(query);
        self.read_with(move |session| {
            let query = Arc::clone(&query);
            Box::pin(async move { reader::page(session, &query, range, Until::Horizon).await })
        })
    }

    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        if let Some(refused) = self.refused(|| selection.check()) {
            return refused;
        }
        let asked = Arc::new((selection, after));
        self.read_with(move |session| {
            let asked = Arc::clone(&asked);
            Box::pin(
                async move { reader::streams(session, &asked.0, asked.1.as_ref(), limit).await },
            )
        })
    }

    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        if let Some(refused) = self.refused(|| query.check()) {
            return refused;
        }
        let asked = Arc::new((query, after));
        self.read_with(move |session| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { records::page(session, &asked.0, asked.1.as_ref(), limit).await })
        })
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        if let Some(refused) = self.refused(|| query.check()) {
            return refused;
        }
        let query = Arc::new(query);
        self.read_with(move |session| {
            let query = Arc::clone(&query);
            Box::pin(async move { count::count(session, &query, range).await })
        })
    }

    fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        if let Some(refused) = self.refused(|| query.check()) {
            return refused;
        }
        let query = Arc::new(query);
        self.read_with(move |session| {
            let query = Arc::clone(&query);
            Box::pin(async move { records::count(session, &query).await })
        })
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        if let Some(refused) = self.refused(|| query.check()) {
            return refused;
        }
        let query = Arc::new(query);
        self.read_with(move |session| {
            let query = Arc::clone(&query);
            Box::pin(async move { usage::page(session, &query).await })
        })
    }

    fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        if let Some(refused) = self.refused(|| purge.check()) {
            return refused;
        }
        let purge = Arc::new(purge);
        // It can be repeated as a read can: a second time, the next ones are removed.
        self.read_with(move |session| {
            let purge = Arc::clone(&purge);
            Box::pin(async move { records::purge(session, &purge).await })
        })
    }

    fn horizon(&self) -> Answer<Horizon> {
        self.read_with(|session| Box::pin(horizon::look(session)))
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        let after = Arc::new(after);
        self.read_with(move |session| {
            let after = Arc::clone(&after);
            Box::pin(async move { verify::page(session, after.as_ref().as_ref()).await })
        })
    }

    fn epoch(&self) -> u64 {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map_or(0, |open| open.pool.replaced())
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }

    fn close(&self) -> Answer<()> {
        drop(self.open.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut ended = self.ended.clone();
        Box::pin(async move {
            // Whoever closes waits for the same end. A sender that is dropped has ended too.
            drop(ended.wait_for(|ended| *ended).await);
            Ok(())
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: "postgres",
            durable: true,
            shared: true,
            remote: true,
            sql: true,
            full_text: true,
            limits: Limits::DEFAULT,
        }
    }
}

/// The life of a store, from `open` to the end of everything that was begun.
fn serve(
    runtime: &Runtime,
    shared: Arc<Shared>,
    opened: &std::sync::mpsc::Sender<Result<Postgres>>,
) {
    let (highest, tenant) = match runtime.block_on(prepare(&shared)) {
        Ok(prepared) => prepared,
        Err(error) => return drop(opened.send(Err(error))),
    };
    let shared = if tenant.is_some() { Arc::new(shared.restricted()) } else { shared };
    let (pool, signal) = (Arc::new(Pool::new(shared)), Arc::new(Signal::new()));
    signal.wake(highest);
    let (jobs, sent) = mpsc::unbounded_channel();
    let queue = Arc::new(Queue::new());
    let line = jobs.downgrade();
    let (busy, idle) = mpsc::channel(1);
    let (ending, ended) = watch::channel(false);
    let writer = Writer::new(Arc::clone(&pool), Arc::clone(&signal), busy.clone());
    let open = Open {
        jobs,
        queue: Arc::clone(&queue),
        pool: Arc::clone(&pool),
        runtime: runtime.handle().clone(),
        busy,
    };
    let store =
        Postgres { open: Mutex::new(Some(open)), signal: Arc::clone(&signal), ended, tenant };
    // Whoever opened it may have given up; then the store is dropped here, and ends.
    drop(opened.send(Ok(store)));
    let writing = async {
        let admitted = Arc::clone(&queue);
        let admitting = tokio::spawn(async move { admitted.admit(line).await });
        writer.run(sent).await;
        admitting.abort();
        queue.close();
    };
    runtime.block_on(live(pool, &signal, writing, idle));
    ending.send_replace(true);
    signal.wake(0);
}

/// Makes the schema, or sees to it that it is there; the position of the last event, and the tenant that
/// the role is restricted to.
async fn prepare(shared: &Arc<Shared>) -> Result<(u64, Option<String>)> {
    let options = &shared.options;
    let limit = options.connect_timeout.saturating_add(options.statement_timeout);
    let prepared = async {
        let mut conn = shared.connect(Purpose::Open).await?;
        let secured = schema::prepare(&mut conn, options).await?;
        let tenant =
            if secured { row_security::tenant_of(&mut conn, options).await? } else { None };
        shared.recognise(&mut conn).await?;
        let query = shared.statements.last_position.query();
        let last: i64 = sqlx::Row::try_get(&query.fetch_one(&mut conn).await?, 0)?;
        Ok((last as u64, tenant))
    };
    timeout(limit, prepared).await.unwrap_or_else(|_| Err(timed_out("opening")))
}

async fn live(
    pool: Arc<Pool>,
    signal: &Arc<Signal>,
    writing: impl Future<Output = ()>,
    mut idle: Receiver<Infallible>,
) {
    let background = [
        tokio::spawn(listener::announce(Arc::clone(&pool), Arc::clone(signal))),
        tokio::spawn(listener::watch(Arc::clone(&pool), Arc::clone(signal))),
    ];
    writing.await;
    // Every reader holds a sender, as does what the writer left behind, and none sends.
    while idle.recv().await.is_some() {}
    background.iter().for_each(tokio::task::JoinHandle::abort);
    // Where that fails, others will see by polling.
    drop(timeout(std::time::Duration::from_secs(1), signal.announce(&pool)).await);
    pool.close().await;
}

/// Runs `work` on a connection, and on another one where the first is lost: reading can be
/// repeated.
async fn read<T>(
    pool: &Pool,
    work: impl for<'s> Fn(&'s mut Session) -> Reading<'s, T> + Send + Sync,
) -> Result<T> {
    let options = &pool.shared().options;
    let limit = options.statement_timeout + options.connect_timeout;
    let mut deadline = None;
    let mut pause = std::time::Duration::from_millis(5);
    loop {
        let attempt = async {
            let mut session = pool.take().await?;
            let result = work(&mut session).await?;
            session.give_back();
            Ok(result)
        };
        let result = pool.limited("reading", limit, attempt).await;
        let Err(error) = &result else { return result };
        // From when it began to fail: noticing that a connection is silent takes long.
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + options.connect_timeout);
        if !is_transient(error) || Instant::now() + pause > deadline {
            return result;
        }
        sleep(pause).await;
        pause = (pause * 2).min(std::time::Duration::from_millis(500));
    }
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "cannot start a thread").with_source(cause)
}
