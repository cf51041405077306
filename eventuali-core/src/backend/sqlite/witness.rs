//! Whether the files under a store are still the ones that it opened.

use std::path::{Path, PathBuf};

use eventuali_locks::Protection;

use super::Target;
use super::ahead::wal_of;
use super::registry::Identity;
use crate::error::{Error, ErrorKind, Result};

/// The database and its WAL, as they were when the store was opened.
///
/// A person moves or deletes the file, or a program puts another one in its place. What is written
/// afterwards goes to a file without a name. So each commit looks, before it is acknowledged, whether
/// both names still lead to the same files.
#[derive(Clone)]
pub(super) struct Witness {
    files: Vec<(PathBuf, Option<Identity>)>,
    /// Whether another SQLite library in this process must keep away from the file.
    exclusive: bool,
}

impl Witness {
    /// Notes what there is. A file that is not there yet is noted when it is first looked for.
    pub(super) fn of(target: &Target) -> Self {
        let Target::File(path) = target else {
            return Self { files: Vec::new(), exclusive: false };
        };
        let files = [path.clone(), wal_of(path)].map(|path| (path.clone(), Identity::of(&path)));
        let exclusive = eventuali_locks::install() == Protection::None;
        Self { files: files.into(), exclusive }
    }

    /// Refuses to write beside another SQLite library in this process where no locks hold between the
    /// two.
    pub(super) fn is_alone(&self) -> Result<()> {
        match self.files.first() {
            Some((path, _)) if self.exclusive => refuse_company(path),
            _ => Ok(()),
        }
    }

    /// Looks again.
    pub(super) fn check(&mut self) -> Result<()> {
        self.files.iter_mut().try_for_each(|(path, noted)| look_again(path, noted))
    }

    /// The same for the database alone, for who only reads: two connections of one store must not
    /// read two files.
    pub(super) fn check_database(&mut self) -> Result<()> {
        self.files.first_mut().map_or(Ok(()), |(path, noted)| look_again(path, noted))
    }
}

fn look_again(path: &Path, noted: &mut Option<Identity>) -> Result<()> {
    let found = Identity::of(path);
    if noted.is_none() {
        *noted = found;
    }
    if *noted == found {
        return Ok(());
    }
    let text = format!(
        "{} was moved, deleted or replaced while the store was open; open it again",
        path.display()
    );
    Err(Error::new(ErrorKind::Unavailable, text))
}

/// Refuses a file that something else in this process has open, on a platform whose locks don't hold
/// within a process: two SQLite libraries would destroy it.
pub(super) fn refuse_company(path: &Path) -> Result<()> {
    if !eventuali_locks::is_open_elsewhere(path) {
        return Ok(());
    }
    let text = format!(
        "something else in this process has {} open, such as a connection of sqlite3, SQLAlchemy or \
         Django, and on this platform no lock protects the two from each other; close it, or use \
         it from another process",
        path.display()
    );
    Err(Error::new(ErrorKind::Configuration, text))
}
