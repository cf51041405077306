//! Connections: how a file is opened, and what is remembered beside it.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{CheckpointMode, Wal};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use uuid::Uuid;

use super::error::{damaged, incomplete, is_checked};
use super::guard::Guard;
use super::names::Names;
use super::place::flags;
use super::value::clamp;
use super::{Durability, Target, fork, kept, schema, wal};
use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;

/// How long a connection waits for another process before it gives up.
const BUSY_LIMIT: Duration = Duration::from_mins(1);
/// The same in naps: 20 of 0.2 ms and 80 of 1 ms before those of 5 ms.
const PATIENT: i32 = 100 + BUSY_LIMIT.as_millis() as i32 / 5;
/// WAL pages before they are copied back into the database: 1.2–2x over SQLite's 1,000 in bulk.
const WAL_PAGES: i32 = 10_000;
/// WAL pages after which writers are kept away while the rest is copied.
const LONG_WAL: i32 = 12_000;
/// How many pages a reader may stand behind who is not waited for in vain, and for how many naps of
/// 0.2 ms: the writers wait, too.
const NEAR: i32 = 500;
const READER_TRIES: i32 = 20;
/// KiB of page cache of the writer, which comes back to the pages of its indexes.
const WRITER_CACHE_KIB: i64 = 65_536;
/// KiB of page cache of a reader: a scan of the log needs each page once, and is a tenth faster where
/// they fit into the cache of the processor.
const READER_CACHE_KIB: i64 = 1_024;

/// One connection, and the names that were looked up on it.
pub(super) struct Session {
    pub(super) conn: Connection,
    pub(super) names: Names,
    pub(super) guard: Guard,
    past: Past,
}

/// How often the past of a store was found to be another one, by any of its connections.
pub(super) type Epoch = Arc<AtomicU64>;

/// The past that a session knows.
#[derive(Default)]
struct Past {
    epoch: Epoch,
    /// The epoch that what is remembered is of.
    known: u64,
    /// Where the log ended, and with which event.
    seen: Option<(u64, [u8; 16])>,
}

impl Past {
    /// Whether somebody has put another copy of the store under this session, by an event that is not
    /// where it was.
    fn is_another(&self, found: Option<[u8; 16]>) -> bool {
        self.seen.is_some_and(|(_, id)| found != Some(id))
    }

    /// Tells the other sessions, unless one of them was faster.
    fn begin_anew(&mut self) {
        let next = self.known + 1;
        let told =
            self.epoch.compare_exchange(self.known, next, Ordering::SeqCst, Ordering::SeqCst);
        self.known = told.map_or_else(|faster| faster, |_| next);
    }
}

impl Session {
    fn new(conn: Connection, epoch: Epoch) -> Self {
        let known = epoch.load(Ordering::SeqCst);
        let past = Past { epoch, known, seen: None };
        Self { conn, names: Names::default(), guard: Guard::default(), past }
    }

    /// Opens the writer's connection; makes the schema where there is none.
    pub(super) fn writer(target: &Target, durability: Durability, epoch: Epoch) -> Result<Self> {
        let mut conn = match target {
            Target::Memory => Connection::open_in_memory()?,
            Target::File(path) => {
                if durability == Durability::Full {
                    wal::inspect(path)?;
                }
                Connection::open_with_flags(path, flags(path)?)?
            }
        };
        conn.busy_handler(Some(wait_aside))?;
        schema::inspect(&conn)?;
        if matches!(target, Target::File(_)) {
            switch_to_wal(&conn)?;
        }
        configure(&conn, WRITER_CACHE_KIB)?;
        let synchronous = match durability {
            Durability::Full => "FULL",
            Durability::Relaxed => "NORMAL",
        };
        conn.pragma_update(None, "synchronous", synchronous)?;
        conn.wal_hook(Some(check_point));
        schema::migrate(&mut conn)?;
        let session = Self::new(conn, epoch);
        session.guard.install(&session.conn)?;
        Ok(session)
    }

    /// Opens a connection that only reads.
    pub(super) fn reader(path: &Path, epoch: Epoch) -> Result<Self> {
        let conn = Connection::open_with_flags(path, flags(path)?)?;
        conn.busy_handler(Some(wait_aside))?;
        configure(&conn, READER_CACHE_KIB)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(Self::new(conn, epoch))
    }

    /// A statement, prepared once a connection.
    pub(super) fn statement(&self, sql: &str) -> Result<CachedStatement<'_>> {
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// Runs a statement without parameters that gives no rows.
    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.statement(sql)?.execute([])?;
        Ok(())
    }

    /// Runs `work` on one state of the store, whatever others commit meanwhile: what it finds is held
    /// against what it finds elsewhere.
    pub(super) fn at_once<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.run("BEGIN")?;
        let found = work(self);
        self.run("COMMIT")?;
        found
    }

    /// Version and position of the last event of a stream that has some.
    pub(super) fn stream_head(&self, id: i64) -> Result<(u64, u64)> {
        let mut statement = self.statement(include_str!("sql/stream_head.sql"))?;
        let mut rows = statement.query([id])?;
        let (mut end, mut last) = (None, None);
        while let Some(row) = rows.next()? {
            let run: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            match run {
                (i64::MAX, version, _) => end = Some(version),
                (first, position, count) => {
                    last = Some((first + count - 1, position + count - 1));
                    break;
                }
            }
        }
        match (end, last) {
            (Some(end), Some((version, position))) if end == version => {
                Ok((version as u64, position as u64))
            }
            (_, last) if !is_checked() => {
                let (version, position) = last.unwrap_or_default();
                Ok((version as u64, position as u64))
            }
            (end, last) => Err(incomplete("a stream", end, last.map(|(version, _)| version))),
        }
    }

    /// The version of a stream at a position: that of its last event there or below. Whoever begins
    /// there passes over all of them, so that what says so is held against the event.
    pub(super) fn version_after(&self, id: i64, position: u64) -> Result<u64> {
        if position == 0 {
            return Ok(0);
        }
        let (end, last) = self.stream_head(id)?;
        if position >= last {
            self.is_placed(id, end, last)?;
            return Ok(end);
        }
        self.version_before(id, position, end)
    }

    /// The same for whoever ends there. It may be too high, where the index says of the last event
    /// that it is lower than it is: the reader looks at positions, too.
    pub(super) fn version_until(&self, id: i64, position: u64) -> Result<u64> {
        if position == 0 {
            return Ok(0);
        }
        let (end, last) = self.stream_head(id)?;
        if position >= last { Ok(end) } else { self.version_before(id, position, end) }
    }

    /// The version of the last event at a position or below, which is not the last of its stream.
    fn version_before(&self, id: i64, position: u64, end: u64) -> Result<u64> {
        let version: i64 = self
            .statement(include_str!("sql/version_at.sql"))?
            .query_row([id, clamp(position)], |row| row.get(0))?;
        let version = version as u64;
        // What was searched tells nothing of what is missing there, nor whether an entry that is
        // there says what was written: its event does.
        let is_there = version == 0 || self.placed(id, version)? <= position;
        if version < end && is_there && self.placed(id, version + 1)? > position {
            return Ok(version);
        }
        Err(damaged("the index of a stream differs from what was written"))
    }

    /// The position of a version that a stream has; refuses one where it is not.
    pub(super) fn placed(&self, id: i64, version: u64) -> Result<u64> {
        let position = self.position_of(id, version)?;
        self.is_placed(id, version, position)?;
        Ok(position)
    }

    /// Refuses a position where a version of a stream is not.
    pub(super) fn is_placed(&self, id: i64, version: u64, position: u64) -> Result<()> {
        let mut statement = self.statement(include_str!("sql/is_version.sql"))?;
        let bounds = [clamp(position), id, clamp(version)];
        if statement.query_row(bounds, |row| row.get(0))? || !is_checked() {
            return Ok(());
        }
        Err(damaged("the index of a stream differs from what was written"))
    }

    /// The position of a version that a stream has.
    pub(super) fn position_of(&self, id: i64, version: u64) -> Result<u64> {
        let found: Option<i64> = self
            .statement(include_str!("sql/position_of_version.sql"))?
            .query_row([id, version as i64], |row| row.get(0))
            .optional()?;
        found
            .map(|position| position as u64)
            .ok_or_else(|| damaged("the index of a stream lacks a version"))
    }

    /// Position and time of the last event; zeros where there is none.
    pub(super) fn last_event(&self) -> Result<(u64, i64)> {
        self.look().map(|look| (look.end, look.recorded_at))
    }

    /// The same, for whoever goes on with what this session remembers: all of that is forgotten where
    /// the past is another one, since somebody restored a copy of the store under it.
    pub(super) fn end(&mut self) -> Result<(u64, i64)> {
        let epoch = self.past.epoch.load(Ordering::SeqCst);
        // Where the end can't be told, nor can the past.
        let look = self.look().inspect_err(|_| self.names.forget())?;
        if self.past.known != epoch {
            // Another session was told apart from its past: it is the same one.
            self.past.known = epoch;
            self.names.forget();
        } else if self.past.is_another(look.seen) {
            self.past.begin_anew();
            self.names.forget();
        }
        self.past.seen = look.last.map(|id| (look.end, id));
        Ok((look.end, look.recorded_at))
    }

    /// Forgets what is remembered of another past, for whoever needs no end of the log.
    pub(super) fn look_at_the_past(&mut self) -> Result<()> {
        match self.end() {
            Err(error) if !matches!(error.kind(), ErrorKind::Corrupted { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Forgets what a transaction that was rolled back has made or seen.
    pub(super) fn forget(&mut self) {
        self.names.forget();
        self.past.seen = None;
    }

    /// Notes what this session has just added to the end of the log.
    pub(super) fn has_seen(&mut self, end: u64, id: Uuid) {
        self.past.seen = Some((end, id.into_bytes()));
    }

    /// Whether no other session has found the past to be another one.
    pub(super) fn is_of_this_epoch(&self) -> bool {
        self.past.epoch.load(Ordering::SeqCst) == self.past.known
    }

    /// A number that is another one once anybody but this connection has written.
    pub(super) fn data_version(&self) -> Result<i64> {
        let mut statement = self.statement("PRAGMA data_version")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// The epoch in which [`Session::end`] found the log.
    pub(super) fn epoch(&self) -> u64 {
        self.past.known
    }

    fn look(&self) -> Result<Look> {
        type Id = Option<[u8; 16]>;
        let seen = self.past.seen.map_or(0, |(position, _)| position);
        let found: (Option<i64>, Option<i64>, Option<i64>, Id, Id) = self
            .statement(include_str!("sql/last_event.sql"))?
            .query_row([seen as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?;
        let (end, last_position, recorded_at, last, seen) = found;
        match (end, last_position) {
            (Some(0), None) => {}
            (Some(end), Some(last)) if end == last => {}
            _ if !is_checked() => {}
            _ => return Err(incomplete("the log", end, last_position)),
        }
        let end = last_position.unwrap_or(0) as u64;
        Ok(Look { end, recorded_at: recorded_at.unwrap_or(i64::MIN), last, seen })
    }

    /// Refuses a stretch of the log that lacks a row, where what passes the rows can't tell.
    pub(super) fn is_whole(&self, (first, last): Span) -> Result<()> {
        let due = (last + 1).saturating_sub(first);
        let there: i64 = self
            .statement(include_str!("sql/count_events.sql"))?
            .query_row([clamp(first), clamp(last)], |row| row.get(0))?;
        if there as u64 == due {
            return Ok(());
        }
        Err(damaged(format!(
            "only {there} of the {due} events at positions {first} to {last} exist"
        )))
    }

    /// Notes that versions of a stream, its last ones, stand from a position on, and that it ends there.
    pub(super) fn put_run(
        &self,
        stream: i64,
        first_version: u64,
        (position, count): (u64, u64),
    ) -> Result<()> {
        let end = (first_version + count - 1) as i64;
        let mut insert = self.statement(include_str!("sql/insert_stream_run.sql"))?;
        insert.execute([stream, first_version as i64, position as i64, count as i64])?;
        if first_version == 1 {
            insert.execute([stream, i64::MAX, end, 0])?;
        } else if self.statement(include_str!("sql/update_end.sql"))?.execute([stream, end])? == 0 {
            return Err(damaged("the end of a stream is missing"));
        }
        Ok(())
    }

    /// Notes where the log ends.
    pub(super) fn put_log_end(&self, position: u64) -> Result<()> {
        let end = [position as i64];
        let there = self.statement(include_str!("sql/update_log_end.sql"))?.execute(end)?;
        if there == 0 { Err(damaged("the end of the log is missing")) } else { Ok(()) }
    }
}

/// Where a log ends.
struct Look {
    end: u64,
    recorded_at: i64,
    /// The last event.
    last: Option<[u8; 16]>,
    /// The event that is now where the log ended when it was looked at before.
    seen: Option<[u8; 16]>,
}

/// SQLite does not wait for others while it switches a fresh file to WAL, so this does.
fn switch_to_wal(conn: &Connection) -> Result<()> {
    let begun = Instant::now();
    loop {
        match ask_for_wal(conn) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let text = format!("this file cannot be used with a WAL (journal mode {mode})");
                return Err(Error::new(ErrorKind::Unavailable, text));
            }
            Err(e)
                if super::error::kind_of(&e) == ErrorKind::Busy && begun.elapsed() < BUSY_LIMIT =>
            {
                fork::nap(Duration::from_millis(2));
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// The journal mode after the switch. The statement runs to its end: it answers first and commits
/// then, so that a caller who stops at the answer never hears of a switch that failed.
fn ask_for_wal(conn: &Connection) -> rusqlite::Result<String> {
    let mut statement = conn.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    Ok(mode)
}

fn configure(conn: &Connection, cache_kib: i64) -> Result<()> {
    conn.set_prepared_statement_cache_capacity(64);
    // Else a statement with a bound LIMIT is planned anew each time that one is bound.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    kept::install(conn)?;
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// Copies a long WAL back into the database, as `wal_autocheckpoint` would, but a file that failed
/// fails the commit that met it: SQLite's own keeps silent, and the writer would trust the file.
///
/// The next commit begins the WAL anew where nobody has added to it meanwhile. Among many writers
/// somebody always has, so once it has grown on, they are kept away for what is left; unless a
/// reader needs what is old.
fn check_point(wal: &Wal, pages: i32) -> rusqlite::Result<()> {
    if pages < WAL_PAGES {
        return Ok(());
    }
    if let Some((pages, copied)) = copy(wal, CheckpointMode::PASSIVE)?
        && pages >= LONG_WAL
        && pages - copied <= NEAR
    {
        waiting_at_most(READER_TRIES, || copy(wal, CheckpointMode::RESTART))?;
    }
    Ok(())
}

/// Pages that were in the WAL, and how many of them are copied; none where that has to wait.
fn copy(wal: &Wal, mode: CheckpointMode) -> rusqlite::Result<Option<(i32, i32)>> {
    match wal.checkpoint_v2(mode) {
        Ok(pages) => Ok(Some(pages)),
        Err(cause) if super::error::kind_of(&cause) == ErrorKind::Unavailable => Err(cause),
        // Another process copies, or the disk is full: the WAL keeps everything meanwhile.
        Err(_) => Ok(None),
    }
}

thread_local! {
    /// How often this thread looks for a lock of another process.
    static TRIES: Cell<i32> = const { Cell::new(PATIENT) };
}

/// Runs `work` on this thread so that a lock of another process is an error at once.
pub(super) fn without_waiting<T>(work: impl FnOnce() -> T) -> T {
    waiting_at_most(0, work)
}

/// Runs `work` on this thread so that it waits no longer for a lock of another process.
pub(super) fn waiting_for<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let millis = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    waiting_at_most((100 + millis / 5).min(PATIENT), work)
}

fn waiting_at_most<T>(tries: i32, work: impl FnOnce() -> T) -> T {
    let before = TRIES.replace(tries);
    let result = work();
    TRIES.set(before);
    result
}

/// Waits while another process writes: short naps that grow, so that many writers share a file. A
/// fork need not wait meanwhile, since a connection that waits for another process holds no mutex
/// of SQLite's.
fn wait_aside(tries: i32) -> bool {
    let again = tries < TRIES.get();
    if again {
        fork::nap(nap_before(tries));
    }
    again
}

fn nap_before(tries: i32) -> Duration {
    match tries {
        0..=20 => Duration::from_micros(200),
        21..=100 => Duration::from_millis(1),
        _ => Duration::from_millis(5),
    }
}
