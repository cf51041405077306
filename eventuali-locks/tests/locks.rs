//! What our locks promise beside another library of the same process, for which raw calls stand here.

#![cfg(target_os = "linux")]
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use eventuali_locks::{Protection, install, is_open_elsewhere};
use rusqlite::Connection;

/// A byte that SQLite never locks in a database with a WAL, between those that it does.
const FREE: i64 = 0x4000_0001;
/// What every connection to a database with a WAL holds for as long as it is open.
const SHARED: i64 = 0x4000_0002;
/// The lock of whoever writes, in the index of the WAL.
const WRITER: i64 = 120;

/// One test at a time: between its fork and its exec, a child that a test starts has a copy of each
/// description, and what another test closes stays locked for that long.
static ALONE: Mutex<()> = Mutex::new(());

struct Place {
    _alone: Option<MutexGuard<'static, ()>>,
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        Self::of(Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Another one in the same test.
    fn second() -> Self {
        Self::of(None)
    }

    fn of(alone: Option<MutexGuard<'static, ()>>) -> Self {
        assert_eq!(install(), Protection::Full);
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("events.db");
        let place = Self { _alone: alone, _folder: folder, path };
        let conn = place.connect();
        conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        place
    }

    fn connect(&self) -> Connection {
        let conn = Connection::open(&self.path).unwrap();
        conn.busy_timeout(std::time::Duration::ZERO).unwrap();
        conn
    }

    fn index(&self) -> PathBuf {
        self.path.with_extension("db-shm")
    }

    /// How many descriptors of this process lead to the database or what belongs to it.
    fn descriptors(&self) -> usize {
        let names = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let targets = names.filter_map(|name| std::fs::read_link(name.path()).ok());
        let folder = self.path.parent().unwrap();
        targets.filter(|target| target.starts_with(folder)).count()
    }
}

/// Another library, which uses the locks of the process.
struct Stranger(File);

impl Stranger {
    fn open(path: &Path) -> Self {
        Self(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    /// Tries to lock a byte; whether it is free.
    fn lock(&self, byte: i64) -> bool {
        self.call(libc::F_SETLK, libc::F_WRLCK, byte) == 0
    }

    fn unlock(&self, byte: i64) {
        assert_eq!(self.call(libc::F_SETLK, libc::F_UNLCK, byte), 0);
    }

    fn call(&self, command: libc::c_int, kind: libc::c_int, byte: i64) -> libc::c_int {
        // SAFETY: zeros are a valid `flock`, which lives as long as the call.
        unsafe {
            let mut lock: libc::flock = std::mem::zeroed();
            lock.l_type = kind as libc::c_short;
            (lock.l_start, lock.l_len) = (byte, 1);
            libc::fcntl(self.0.as_raw_fd(), command, &raw mut lock)
        }
    }
}

/// Whether the process holds a lock on a byte, as a description that is asked for nothing else sees it.
fn is_locked(path: &Path, byte: i64) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    // SAFETY: zeros are a valid `flock`, which lives as long as the call.
    let found = unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        (lock.l_start, lock.l_len) = (byte, 1);
        assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock), 0);
        lock.l_type
    };
    std::mem::forget(file); // closing it would give up the locks of the process
    found != libc::F_UNLCK as libc::c_short
}

#[test]
fn our_locks_hold_against_the_process_that_took_them() {
    let place = Place::new();
    let conn = place.connect();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stranger = Stranger::open(&place.index());
    assert!(!stranger.lock(WRITER));
    conn.execute_batch("COMMIT").unwrap();
    assert!(stranger.lock(WRITER));
    let refused = conn.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    stranger.unlock(WRITER);
    conn.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
}

#[test]
fn closing_a_descriptor_gives_up_none_of_ours() {
    let place = Place::new();
    let conn = place.connect();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    for path in [&place.path, &place.index()] {
        drop(File::open(path).unwrap());
    }
    assert!(!Stranger::open(&place.index()).lock(WRITER));
    assert!(!Stranger::open(&place.path).lock(SHARED));
}

#[test]
fn closing_ours_gives_up_none_of_the_strangers() {
    let place = Place::new();
    let keeper = place.connect();
    keeper.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    let (database, index) = (Stranger::open(&place.path), Stranger::open(&place.index()));
    assert!(database.lock(FREE) && index.lock(WRITER));
    let before = place.descriptors();
    for _ in 0..20 {
        let conn = place.connect();
        conn.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    }
    assert!(is_locked(&place.path, FREE) && is_locked(&place.index(), WRITER));
    assert!(place.descriptors() <= before + 4, "what is kept is used again");
    drop(keeper);
    assert!(is_locked(&place.path, FREE));
    for _ in 0..20 {
        let conn = place.connect();
        conn.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    }
    assert!(is_locked(&place.path, FREE));
    assert!(place.descriptors() <= before + 6, "what is kept is used again");
}

#[test]
fn what_was_kept_is_closed_once_nobody_holds_a_lock() {
    let place = Place::new();
    assert_eq!(place.descriptors(), 0, "nothing is open");
    let conn = place.connect();
    conn.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    let stranger = Stranger::open(&place.path);
    assert!(stranger.lock(FREE));
    drop(conn);
    assert!(place.descriptors() > 1);
    drop(stranger);
    drop(Place::second()); // any other file
    assert_eq!(place.descriptors(), 0);
}

/// Another process that has the database open, until this is dropped.
struct Elsewhere(std::process::Child);

impl Elsewhere {
    fn open(path: &Path) -> Self {
        let text = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                    db.execute('SELECT * FROM t').fetchall(); print('open', flush=True); sys.stdin.read()";
        let mut command = std::process::Command::new("python3");
        command.args(["-c", text]).arg(path);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn nothing_is_kept_for_the_locks_of_other_processes() {
    let place = Place::new();
    let _elsewhere = Elsewhere::open(&place.path);
    let conn = place.connect();
    conn.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    drop(conn);
    assert_eq!(place.descriptors(), 0);
    let stranger = Stranger::open(&place.path);
    let conn = place.connect();
    conn.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    assert!(stranger.lock(FREE));
    drop(conn);
    assert!(place.descriptors() > 1);
    assert!(is_locked(&place.path, FREE));
}

#[test]
fn a_lock_goes_whoever_of_ours_ends_last() {
    for first_goes_first in [true, false] {
        let place = Place::new();
        let (first, second) = (place.connect(), place.connect());
        for conn in [&first, &second] {
            conn.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
        }
        let stranger = Stranger::open(&place.path);
        let (goes, stays) = if first_goes_first { (first, second) } else { (second, first) };
        drop(goes);
        assert!(!stranger.lock(SHARED));
        drop(stays);
        assert!(stranger.lock(SHARED));
    }
}

#[test]
fn a_stranger_is_told_from_our_own() {
    let place = Place::new();
    let conn = place.connect();
    conn.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    assert!(!is_open_elsewhere(&place.path));
    let stranger = Stranger::open(&place.path);
    assert!(is_open_elsewhere(&place.path));
    drop(stranger);
    assert!(!is_open_elsewhere(&place.path));
    assert!(!is_open_elsewhere(Path::new("/no/such/file")));
}

#[test]
fn a_file_that_somebody_else_made_is_closed_likewise() {
    let place = Place::new();
    let stranger = Stranger::open(&place.path);
    assert!(stranger.lock(FREE));
    eventuali_locks::close(File::open(&place.path).unwrap());
    assert!(is_locked(&place.path, FREE));
}
