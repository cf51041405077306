//! Whether the files under a store are still the ones that it opened.

use std::path::PathBuf;

use super::Target;
use super::ahead::wal_of;
use super::registry::Identity;
use crate::error::{Error, ErrorKind, Result};

/// The database and its WAL, as they were when the store was opened.
///
/// A second SQLite in this process, such as the one in Python's `sqlite3`, undoes the locks of
/// this one, folds the WAL in and deletes it; so does a person who moves or deletes the file. What
/// is written afterwards goes to a file without a name. So each commit looks, before it is
/// acknowledged, whether both names still lead to the same files.
pub(super) struct Witness {
    files: Vec<(PathBuf, Option<Identity>)>,
}

impl Witness {
    /// Notes what there is. A file that is not there yet is noted when it is first looked for.
    pub(super) fn of(target: &Target) -> Self {
        let Target::File(path) = target else { return Self { files: Vec::new() } };
        let files = [path.clone(), wal_of(path)];
        Self { files: files.map(|path| (path.clone(), Identity::of(&path))).into() }
    }

    /// Looks again.
    pub(super) fn check(&mut self) -> Result<()> {
        for (path, noted) in &mut self.files {
            let found = Identity::of(path);
            if noted.is_none() {
                *noted = found;
            }
            if *noted != found {
                let text = format!(
                    "{} was moved, deleted or replaced while the store was open, perhaps by a \
                     second SQLite library in this process",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Unavailable, text));
            }
        }
        Ok(())
    }
}
