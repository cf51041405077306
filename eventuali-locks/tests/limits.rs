//! What happens where the system gives no descriptor, or only one that reads. Alone in their process,
//! for they change what it may.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use eventuali_locks::{Protection, install};
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Names the database in a child that writes to it.
const WRITES: &str = "EVENTUALI_LOCKS_WRITES";

fn connect(path: &Path) -> Connection {
    assert_eq!(install(), Protection::Full);
    let conn = Connection::open(path).unwrap();
    conn.busy_timeout(std::time::Duration::ZERO).unwrap();
    conn
}

fn count(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
}

/// Sets how many descriptors the process may have; returns how many it might before.
fn allow(descriptors: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of this function, for calls that keep nothing.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        let before = std::mem::replace(&mut limit.rlim_cur, descriptors);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        before
    }
}

/// The limit under which so many descriptors are free.
fn limit_for(free: usize) -> libc::rlim_t {
    let names = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let listed: Vec<libc::rlim_t> =
        names.filter_map(|name| name.file_name().to_str()?.parse().ok()).collect();
    let open = |fd: libc::rlim_t| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    // The listing had one of its own.
    let used: Vec<_> = listed.into_iter().filter(|fd| open(*fd)).collect();
    let mut limit = 0;
    let mut left = free;
    while left > 0 {
        left -= usize::from(!used.contains(&limit));
        limit += 1;
    }
    limit
}

/// A child that writes a row for each line that it is sent, and says how many there are.
struct Writer(Child);

impl Writer {
    fn of(path: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(WRITES, path).args(["--exact", "the_limits_of_a_process", "--nocapture"]);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn write(&mut self) -> i64 {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix("rows ").map(str::to_owned));
        line.unwrap().parse().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

fn write_at_each_line(path: &Path) {
    let conn = connect(path);
    for _ in std::io::stdin().lines() {
        conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
        let rows = format!("\nrows {}\n", count(&conn).unwrap());
        std::io::stdout().write_all(rows.as_bytes()).unwrap();
    }
}

#[test]
fn the_limits_of_a_process() {
    if let Some(path) = std::env::var_os(WRITES) {
        return write_at_each_line(Path::new(&path));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let make = "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (0)";
    connect(&path).execute_batch(make).unwrap();
    without_a_descriptor(&path);
    where_it_may_only_be_read(&path, folder.path());
}

/// With each number of descriptors there is an error that goes by, or all that is needed.
fn without_a_descriptor(path: &Path) {
    let mut refused = 0;
    for more in 0..12 {
        let before = allow(limit_for(more));
        let answer = Connection::open(path).and_then(|conn| {
            conn.execute("INSERT INTO t VALUES (1)", [])?;
            count(&conn)
        });
        allow(before);
        let here = count(&connect(path)).unwrap();
        match answer {
            Ok(found) => assert_eq!(found, here),
            Err(error) => {
                refused += 1;
                let code = error.sqlite_error_code();
                let known = [ErrorCode::CannotOpen, ErrorCode::SystemIoFailure];
                assert!(code.is_some_and(|code| known.contains(&code)), "{more}: {error}");
            }
        }
        let whole: String =
            connect(path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
    }
    assert!((1..12).contains(&refused), "{refused} of 12 were refused");
    let conn = connect(path);
    conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
}

/// Somebody who may not write reads what another process writes, and takes no lock from it.
fn where_it_may_only_be_read(path: &Path, folder: &Path) {
    let mut writer = Writer::of(path);
    let rows = writer.write();
    let public = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, public).unwrap();
    // SAFETY: calls without pointers.
    let root = unsafe { libc::geteuid() } == 0;
    if root {
        // SAFETY: as above; the other threads of the process wait for this one.
        assert_eq!(unsafe { libc::seteuid(65_534) }, 0);
        assert!(std::fs::OpenOptions::new().write(true).open(path).is_err(), "it may write");
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    assert_eq!(count(&conn).unwrap(), rows);
    conn.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&conn).unwrap(), rows);
    assert_eq!(writer.write(), rows + 1);
    assert_eq!(count(&conn).unwrap(), rows, "a snapshot");
    conn.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&conn).unwrap(), rows + 1);
    drop(conn);
    assert_eq!(writer.write(), rows + 2);
    if root {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::seteuid(0) }, 0);
    }
}
