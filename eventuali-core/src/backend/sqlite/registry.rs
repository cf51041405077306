//! Which files this process has open.
//!
//! SQLite keeps a table of the files that a process has open, with their locks and mutexes, and a
//! forked child inherits it: a connection that the child opens to such a file waits for mutexes
//! that nobody will release, or believes that it holds locks that it does not. So the child's
//! attempt is refused. This table is inherited in the same way, which is how the child knows.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How long somebody else may take to open a file. A fork that did not wait for them (`fork.rs`)
/// has left the lock held for ever.
const PATIENCE: Duration = Duration::from_secs(10);

static OPEN: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    process: u32,
    file: Identity,
}

/// A file, whatever its name: device and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// The file that a path leads to now; none where it leads nowhere.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|found| Self::from(&found))
    }

    /// Elsewhere there is no fork, and an open file can be neither deleted nor replaced.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> Option<Self> {
        None
    }
}

#[cfg(unix)]
impl From<&std::fs::Metadata> for Identity {
    fn from(found: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(found.dev(), found.ino())
    }
}

/// A file that is open here, until this is dropped.
pub(super) struct Registered(Option<Entry>);

impl Registered {
    /// Runs `open`, which may make the file, while nobody else in this process opens one; and
    /// notes the file.
    ///
    /// Alone, because closing any descriptor of a file gives up the locks that SQLite holds on it
    /// in this process, and making a file closes one.
    pub(super) fn opening<T>(path: &Path, open: impl FnOnce() -> Result<T>) -> Result<(T, Self)> {
        let mut entries = alone()?;
        let process = std::process::id();
        let inherited = |file| entries.iter().any(|e| e.file == file && e.process != process);
        if Identity::of(path).is_some_and(inherited) {
            let text = format!(
                "{} was open when this process was forked; open it after the fork, close it \
                 before, or start the process with the spawn method",
                path.display()
            );
            return Err(Error::new(ErrorKind::Forked, text));
        }
        let opened = open()?;
        let entry = Identity::of(path).map(|file| Entry { process, file });
        entries.extend(entry);
        Ok((opened, Self(entry)))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let (Some(entry), Ok(mut entries)) = (self.0, alone())
            && let Some(index) = entries.iter().position(|other| *other == entry)
        {
            entries.swap_remove(index);
        }
    }
}

fn alone() -> Result<MutexGuard<'static, Vec<Entry>>> {
    let begun = Instant::now();
    loop {
        match OPEN.try_lock() {
            Ok(entries) => return Ok(entries),
            // A panic while the lock was held left the list whole.
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(TryLockError::WouldBlock) => {
                let text = "another store is being opened, perhaps since before a fork";
                return Err(Error::new(ErrorKind::Busy, text));
            }
        }
    }
}
