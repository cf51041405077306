//! Connections: how a file is opened, and what is remembered beside it.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::hooks::Wal;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension};

use super::names::Names;
use super::reader::clamp;
use super::{Durability, Target, fork, schema, wal};
use crate::error::{Error, ErrorKind, Result};

/// How long a connection waits for another process before it gives up.
const BUSY_LIMIT: Duration = Duration::from_mins(1);
/// WAL pages before they are copied back into the database: 1.2–2x over SQLite's 1,000 in bulk.
const WAL_PAGES: i32 = 10_000;
/// KiB of page cache of the writer, which comes back to the pages of its indexes.
const WRITER_CACHE_KIB: i64 = 65_536;
/// KiB of page cache of a reader: a scan of the log needs each page once, and is a tenth faster where
/// they fit into the cache of the processor.
const READER_CACHE_KIB: i64 = 1_024;

/// One connection, and the names that were looked up on it.
pub(super) struct Session {
    pub(super) conn: Connection,
    pub(super) names: Names,
}

impl Session {
    fn new(conn: Connection) -> Self {
        Self { conn, names: Names::default() }
    }

    /// Opens the writer's connection; makes the file and its schema where there is none.
    pub(super) fn writer(target: &Target, durability: Durability) -> Result<Self> {
        let mut conn = match target {
            Target::Memory => Connection::open_in_memory()?,
            Target::File(path) => {
                prepare_file(path)?;
                if durability == Durability::Full {
                    wal::inspect(path)?;
                }
                Connection::open_with_flags(path, flags(path)?)?
            }
        };
        conn.busy_handler(Some(wait_for_others))?;
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
        conn.busy_handler(Some(wait_aside))?;
        Ok(Self::new(conn))
    }

    /// Opens a connection that only reads.
    pub(super) fn reader(path: &Path) -> Result<Self> {
        let conn = Connection::open_with_flags(path, flags(path)?)?;
        conn.busy_handler(Some(wait_aside))?;
        configure(&conn, READER_CACHE_KIB)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(Self::new(conn))
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

    /// Version and position of the last event of a stream that has some.
    pub(super) fn stream_head(&self, id: i64) -> Result<(u64, u64)> {
        let found: (Option<i64>, Option<i64>, Option<i64>) = self
            .statement(include_str!("sql/stream_head.sql"))?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        match found {
            (None, None, _) => Ok((0, 0)),
            (Some(end), Some(last), position) if end == last => {
                Ok((end as u64, position.unwrap_or(0) as u64))
            }
            (end, last, _) => Err(incomplete("a stream", end, last)),
        }
    }

    /// The version of a stream at a position: that of its last event there or below.
    pub(super) fn version_at(&self, id: i64, position: u64) -> Result<u64> {
        if position == 0 {
            return Ok(0);
        }
        let (end, last) = self.stream_head(id)?;
        if position >= last {
            return Ok(end);
        }
        let version: i64 = self
            .statement(include_str!("sql/version_at.sql"))?
            .query_row([id, clamp(position)], |row| row.get(0))?;
        let version = version as u64;
        // What was searched tells nothing of what is missing there.
        let is_there = version == 0 || self.position_of(id, version)? <= position;
        if version < end && is_there && self.position_of(id, version + 1)? > position {
            return Ok(version);
        }
        Err(damaged("the index of a stream is not what was written"))
    }

    /// The position of a version that a stream has.
    fn position_of(&self, id: i64, version: u64) -> Result<u64> {
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
        let found: (Option<i64>, Option<i64>, Option<i64>) = self
            .statement(include_str!("sql/last_event.sql"))?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        match found {
            (Some(0), None, _) => Ok((0, i64::MIN)),
            (Some(end), Some(last), Some(time)) if end == last => Ok((end as u64, time)),
            (end, last, _) => Err(incomplete("the log", end, last)),
        }
    }

    /// Notes where a stream ends, or the log (stream 0).
    pub(super) fn put_end(&self, stream: i64, version: u64) -> Result<()> {
        let end = [stream, version as i64];
        self.statement(include_str!("sql/put_end.sql"))?.execute(end)?;
        Ok(())
    }
}

/// Something that is not what was written, where no single event is to blame.
pub(super) fn damaged(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupted { position: None }, text)
}

fn incomplete(what: &str, end: Option<i64>, found: Option<i64>) -> Error {
    let shown = |end: Option<i64>| end.map_or_else(|| "nowhere".to_owned(), |end| end.to_string());
    let (end, found) = (shown(end), shown(found));
    damaged(format!("{what} ends at {found} and was written up to {end}; verify() tells more"))
}

fn flags(path: &Path) -> Result<OpenFlags> {
    // Looked at, and not opened: closing a descriptor of a file gives up the locks that another SQLite
    // library of this process holds on it. NOFOLLOW is not set: a link to another volume is common.
    let writable = !path.metadata().map_err(|e| unavailable(path, e))?.permissions().readonly();
    let access =
        if writable { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    Ok(access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Makes an empty file that only its owner can read, and its directory entry durable; refuses
/// what is not a plain file before SQLite touches it.
fn prepare_file(path: &Path) -> Result<()> {
    let refuse = |why: &str| {
        let text = format!("cannot open {}: {why}", path.display());
        Err(Error::new(ErrorKind::Configuration, text))
    };
    match path.metadata() {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(found) if found.is_dir() => return refuse("it is a directory"),
        Ok(_) => return refuse("it is not a plain file"),
        Err(_) => {}
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if !parent.is_dir() {
        return refuse(&format!("the directory {} does not exist", parent.display()));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            let synced = file.sync_all();
            eventuali_locks::close(file);
            synced.map_err(|e| unavailable(path, e))?;
        }
        // Another process was faster.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(unavailable(path, e)),
    }
    #[cfg(unix)]
    File::open(&parent).and_then(|dir| dir.sync_all()).map_err(|e| unavailable(path, e))?;
    Ok(())
}

fn unavailable(path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot open {}: {error}", path.display())).with_source(error)
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
                std::thread::sleep(Duration::from_millis(2));
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
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// Copies a long WAL back into the database, as `wal_autocheckpoint` would, but a file that failed
/// fails the commit that met it: SQLite's own keeps silent, and the writer would trust the file.
fn check_point(wal: &Wal, pages: i32) -> rusqlite::Result<()> {
    if pages < WAL_PAGES {
        return Ok(());
    }
    match wal.checkpoint() {
        Err(cause) if super::error::kind_of(&cause) == ErrorKind::Unavailable => Err(cause),
        // Another process copies, or the disk is full: the WAL keeps everything meanwhile.
        _ => Ok(()),
    }
}

thread_local! {
    static IMPATIENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on this thread so that a lock of another process is an error at once.
pub(super) fn without_waiting<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    IMPATIENT.set(true);
    let result = work();
    IMPATIENT.set(false);
    result
}

/// Waits while another process writes: short naps that grow, so that many writers share a file.
fn wait_for_others(tries: i32) -> bool {
    std::thread::sleep(nap_before(tries));
    is_patient(tries)
}

/// The same, once the store is open: a fork need not wait, since a connection that waits for
/// another process holds no mutex of SQLite's.
fn wait_aside(tries: i32) -> bool {
    if IMPATIENT.get() {
        return false;
    }
    fork::nap(nap_before(tries));
    is_patient(tries)
}

fn nap_before(tries: i32) -> Duration {
    match tries {
        0..=20 => Duration::from_micros(200),
        21..=100 => Duration::from_millis(1),
        _ => Duration::from_millis(5),
    }
}

fn is_patient(tries: i32) -> bool {
    // 20 naps of 0.2 ms and 80 of 1 ms before the long ones.
    i64::from(tries) < 100 + i64::try_from(BUSY_LIMIT.as_millis()).unwrap_or(i64::MAX) / 5
}
