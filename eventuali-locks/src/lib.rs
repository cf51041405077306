//! SQLite's file locks, taken so that they hold against another SQLite library in the same process.
//!
//! The locks that `fcntl(F_SETLK)` takes belong to a process: two libraries in one process (ours and
//! the one behind Python's `sqlite3`) don't see each other's, and whoever closes any descriptor of a
//! file gives up the locks of both. Locks of *open file descriptions* (`F_OFD_SETLK`, Linux 3.15)
//! conflict within a process too, and go only with the description that took them. So SQLite's unix
//! VFS, which lets a program replace its system calls, gets three of its calls from here:
//!
//! - `fcntl`: one description a file, opened here and used for nothing else, holds all of its locks.
//!   SQLite counts the locks of its connections itself and unlocks through whichever descriptor comes
//!   last, which is why they can't be left to the descriptor that asks.
//! - `close`: a descriptor is closed only while all of the file is locked by us, because closing it
//!   would give up the locks that another library holds. Until that can be had, it is kept.
//! - `open`: takes a kept descriptor where there is one, so that they don't pile up.
//!
//! A forked child closes its copies of the lock descriptions at once: a lock ends with the process
//! that took it, whoever was forked from it.
//!
//! This crate exists for its `unsafe`: function pointers of C, and descriptors that outlive their
//! owners. Everything else in the workspace forbids it.

#[cfg(unix)]
mod calls;
#[cfg(unix)]
mod descriptors;
#[cfg(unix)]
mod table;

use std::path::Path;

/// How the locks of this process hold against another SQLite library in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// As they do between processes.
    Full,
    /// Not at all: the platform's locks belong to the process, so a file that something else in this
    /// process has open must be left alone. [`is_open_elsewhere`] tells.
    None,
}

/// Sees to it that SQLite takes its locks from here. To be called before a file is opened, on each
/// occasion; the first one counts.
#[must_use]
pub fn install() -> Protection {
    #[cfg(unix)]
    return calls::install();
    // The locks of Windows belong to the handle that took them.
    #[cfg(not(unix))]
    Protection::Full
}

/// Whether this process has the file open through something that is not our SQLite: another library's
/// connection, a file object. Asks the system about each descriptor of the process.
#[must_use]
pub fn is_open_elsewhere(path: &Path) -> bool {
    #[cfg(unix)]
    return descriptors::is_open_elsewhere(path);
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Closes a file that SQLite did not open, without giving up the locks that another library of this
/// process holds on it.
pub fn close(file: std::fs::File) {
    #[cfg(unix)]
    calls::close_file(file);
    #[cfg(not(unix))]
    drop(file);
}
