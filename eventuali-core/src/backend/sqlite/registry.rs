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

/// How long somebody else may take to note a file. A fork that did not wait for them (`fork.rs`)
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
    /// Notes the file that is about to be opened, and makes it with `make` where there is none.
    ///
    /// Nothing that takes long happens here, for those who open or close other files wait.
    pub(super) fn noting(path: &Path, make: impl FnOnce() -> Result<()>) -> Result<Self> {
        let found = Identity::of(path);
        let mut entries = alone()?;
        if found.is_none() {
            make()?;
        }
        let process = std::process::id();
        let inherited = |file| entries.iter().any(|e| e.file == file && e.process != process);
        let found = found.or_else(|| Identity::of(path));
        if found.is_some_and(inherited) {
            let text = format!(
                "{} was open when this process was forked; open it after the fork, close it \
                 before, or start the process with the spawn method",
                path.display()
            );
            return Err(Error::new(ErrorKind::Forked, text));
        }
        let entry = found.map(|file| Entry { process, file });
        entries.extend(entry);
        Ok(Self(entry))
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
                let text = "the list of open files stayed locked for 10 s; if this process was forked \
                            while another thread opened a file, fork again, or use the spawn method";
                return Err(Error::new(ErrorKind::Busy, text));
            }
        }
    }
}
