//! Connections: how they are opened, checked, lent, and let go.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Row};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use super::bridge;
use super::error::{is_lost, is_of_the_server, is_replaced, timed_out};
use super::names::Names;
use super::options::PostgresOptions;
use super::pooler;
use super::recent::Recent;
use super::schema::{self, Relations};
use super::statements::Statements;
use crate::error::{Error, ErrorKind, Result};

/// The oldest server with everything that the statements need.
const OLDEST_SERVER: i32 = 130_000;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To open the store, and to see what there is.
    Open,
    /// To read and write in a store that is open.
    Work,
}

impl Purpose {
    /// A standby is a wrong configuration to who opens a store, and a failover on its way to a
    /// store that is open.
    fn kind_of_standby(self) -> ErrorKind {
        match self {
            Self::Open => ErrorKind::Configuration,
            Self::Work => ErrorKind::Unavailable,
        }
    }
}

/// What all connections of a store share.
pub(super) struct Shared {
    pub(super) options: PostgresOptions,
    pub(super) statements: Statements,
    pub(super) channel: String,
    servers: Vec<PgConnectOptions>,
    /// The one of them that was the primary when somebody last asked.
    primary: AtomicUsize,
    /// The store that was opened.
    id: OnceLock<Uuid>,
}

impl Shared {
    pub(super) fn new(options: PostgresOptions) -> Result<Self> {
        let servers = options.servers()?;
        let relations = Relations::of(&options);
        let statements = Statements::new(&relations, false);
        let channel = relations.channel();
        let primary = AtomicUsize::new(0);
        Ok(Self { options, statements, channel, servers, primary, id: OnceLock::new() })
    }

    /// The same, of a role that is restricted to a tenant.
    pub(super) fn restricted(&self) -> Self {
        let relations = Relations::of(&self.options);
        Self {
            options: self.options.clone(),
            statements: Statements::new(&relations, true),
            channel: self.channel.clone(),
            servers: self.servers.clone(),
            primary: AtomicUsize::new(self.primary.load(Ordering::Relaxed)),
            id: self.id.clone(),
        }
    }

    /// Where and how to connect, the password included.
    ///
    /// Not where the clock stands before 1970 and the connection may be encrypted: rustls panics
    /// when it compares that time with a certificate's.
    pub(super) fn server(&self) -> Result<&PgConnectOptions> {
        let server = &self.servers[self.primary.load(Ordering::Relaxed)];
        if bridge::may_encrypt(server) && SystemTime::now() < UNIX_EPOCH {
            let text = "PostgreSQL: the clock of this machine is set before 1970, so no \
                        certificate can be checked; set the clock, or use sslmode=disable";
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        Ok(server)
    }

    /// Opens a connection and sees to it that it is one that the store can use: to the primary
    /// among the servers, each of which has its share of the time.
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<PgConnection> {
        let count = self.servers.len();
        let limit = self.options.connect_timeout / count as u32;
        let mut tried = 0;
        loop {
            let first = self.primary.load(Ordering::Relaxed);
            let connected = timeout(limit, self.connect_once(purpose)).await;
            let result = connected.unwrap_or_else(|_| Err(timed_out("connecting")));
            let result = result.map_err(|error| of_server(error, &self.servers[first]));
            tried += 1;
            match result {
                Err(error) if tried < count && is_of_the_server(&error) => {
                    // Somebody else may have gone on already.
                    let next = (first + 1) % count;
                    let (order, primary) = (Ordering::Relaxed, &self.primary);
                    let _ = primary.compare_exchange(first, next, order, order);
                }
                result => return result,
            }
        }
    }

    async fn connect_once(&self, purpose: Purpose) -> Result<PgConnection> {
        let server = self.server()?;
        let mut conn = match purpose {
            Purpose::Open => pooler::connect_apart(server).await?,
            Purpose::Work => bridge::connect(server).await?,
        };
        if purpose == Purpose::Work {
            self.set_up(&mut conn).await?;
        } else {
            self.prepare(&mut conn, purpose).await?;
        }
        Ok(conn)
    }

    /// Makes the settings of a connection that the store works on, also again.
    pub(super) async fn set_up(&self, conn: &mut PgConnection) -> Result<()> {
        self.prepare(conn, Purpose::Work).await?;
        self.recognise(conn).await
    }

    /// Sees to it that a connection leads to the store that was opened, and has it remember which
    /// tables those are from now on.
    pub(super) async fn recognise(&self, conn: &mut PgConnection) -> Result<()> {
        let remembered = self.statements.remember.query().fetch_one(conn).await?;
        let found: Uuid = remembered.try_get(0)?;
        if *self.id.get_or_init(|| found) == found {
            return Ok(());
        }
        let text = format!(
            "PostgreSQL: {} is now another store than the one that was opened, and what was read \
             before does not apply to it; open the store again",
            self.channel
        );
        Err(Error::new(ErrorKind::SchemaMismatch, text))
    }

    async fn prepare(&self, conn: &mut PgConnection, purpose: Purpose) -> Result<()> {
        let millis = self.options.statement_timeout.as_millis().to_string();
        let row = sqlx::query(include_str!("sql/session.sql"))
            .bind(&millis)
            .bind(if self.options.relaxed { "off" } else { "" })
            .fetch_one(conn)
            .await?;
        let refuse = |kind, text: &str| Err(Error::new(kind, format!("PostgreSQL: {text}")));
        if row.try_get::<i32, _>("version")? < OLDEST_SERVER {
            return refuse(ErrorKind::Configuration, "the server is older than version 13");
        }
        if row.try_get::<bool, _>("standby")? {
            let text =
                "the server is a standby, which does not show who is writing; use the primary";
            return refuse(purpose.kind_of_standby(), text);
        }
        if row.try_get::<&str, _>("encoding")? != "UTF8" {
            return refuse(ErrorKind::Configuration, "the encoding of the database is not UTF8");
        }
        Ok(())
    }
}

/// The error of a server that is away, with its place before the text.
fn of_server(error: Error, server: &PgConnectOptions) -> Error {
    if *error.kind() != ErrorKind::Unavailable {
        return error;
    }
    let socket = server.get_socket().map(|path| path.display().to_string());
    let host = socket.as_deref().unwrap_or_else(|| server.get_host());
    // Without a name, a database is that of the user.
    let database = server.get_database().unwrap_or_else(|| server.get_username());
    error.of(&format!("host {host}, port {}, database {database}", server.get_port()))
}

/// The connections of a store, each lent to one at a time.
pub(super) struct Pool {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Idle>>>,
    recent: Arc<Recent>,
    /// How often other tables were found in the place of those that were known.
    replaced: AtomicU64,
}

impl Pool {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let permits = Semaphore::new(shared.options.max_connections as usize);
        let permits = Arc::new(permits);
        let (idle, recent, replaced) = (Arc::default(), Arc::default(), AtomicU64::new(0));
        Self { shared, permits, idle, recent, replaced }
    }

    /// See [`crate::storage::Storage::epoch`].
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::SeqCst)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Lends a connection, an idle one or a new one.
    pub(super) async fn take(&self) -> Result<Session> {
        let permit =
            timeout(self.shared.options.connect_timeout, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            let text = "PostgreSQL: every connection of the store was busy for too long";
            return Err(Error::new(ErrorKind::Busy, text));
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (Idle { conn, known }, epoch) = if let Some(idle) = idle {
            (idle, self.recent.epoch())
        } else {
            let conn = self.shared.connect(Purpose::Work).await?;
            // Another server may answer now.
            (Idle { conn, known: Known::default() }, self.recent.forget())
        };
        Ok(Session {
            conn,
            known,
            heard: false,
            epoch,
            shared: Arc::clone(&self.shared),
            idle: Arc::clone(&self.idle),
            recent: Arc::clone(&self.recent),
            _permit: permit,
        })
    }

    /// Lets go of the idle connections: where one is broken, the others are, too.
    pub(super) fn forget(&self) {
        self.recent.forget();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// `work` on a connection of the pool, given up after `limit`: a connection that falls silent
    /// says nothing, ever. Where one is lost, or leads to
    /// other tables than before, none is trusted any more.
    pub(super) async fn limited<T>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = timeout(limit, work).await.unwrap_or_else(|_| Err(timed_out(what)));
        if result.as_ref().is_err_and(|error| is_lost(error) || is_replaced(error)) {
            self.forget();
        }
        if result.as_ref().is_err_and(is_replaced) {
            self.replaced.fetch_add(1, Ordering::SeqCst);
        }
        result
    }

    /// Says goodbye on every connection that is idle.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let goodbyes =
            idle.into_iter().map(|idle| tokio::spawn(sqlx::Connection::close(idle.conn)));
        let goodbyes: Vec<_> = goodbyes.collect();
        let said = async {
            for goodbye in goodbyes {
                drop(goodbye.await);
            }
        };
        // A server that is gone needs no goodbye.
        drop(timeout(Duration::from_secs(1), said).await);
    }
}

/// What was learnt on a connection, and holds for as long as that does. It goes with the
/// connection, for the server that takes over from a lost one, or comes back, may know less.
#[derive(Default)]
pub(super) struct Known {
    /// A horizon that was seen: nothing will ever appear below it.
    pub(super) settled: u64,
    pub(super) names: Names,
    /// Whether a test has told it a time.
    pub(super) is_told_time: bool,
}

/// A connection that nobody uses.
struct Idle {
    conn: PgConnection,
    known: Known,
}

/// A connection that is lent. Unless it is given back it is closed when dropped, and whatever
/// transaction it was in is rolled back by the server.
pub(super) struct Session {
    pub(super) conn: PgConnection,
    pub(super) known: Known,
    /// Something was written, and somebody listens.
    pub(super) heard: bool,
    /// See [`Recent::epoch`].
    pub(super) epoch: u64,
    pub(super) shared: Arc<Shared>,
    idle: Arc<Mutex<Vec<Idle>>>,
    recent: Arc<Recent>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    /// Returns a connection that is in no transaction and on which nothing failed.
    pub(super) fn give_back(self) {
        let idle = Idle { conn: self.conn, known: self.known };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }

    /// Whether everything up to a position is known to be settled.
    pub(super) fn is_settled(&self, position: u64) -> bool {
        position <= self.known.settled.max(self.recent.settled(self.epoch))
    }

    /// A horizon was read here.
    pub(super) fn settle(&mut self, horizon: u64) {
        #[cfg(feature = "faults")]
        let horizon = horizon + if schema::fault::chosen("kept") { 3 } else { 0 };
        self.known.settled = self.known.settled.max(horizon);
        self.recent.settle(self.epoch, horizon);
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        schema::run(&mut self.conn, sql).await
    }
}
