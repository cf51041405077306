//! The WAL grows ahead of the commits that will fill it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use super::registry::Identity;
use super::{Durability, Target};
use crate::error::{Error, ErrorKind, Result};

/// Bytes that are added at a time.
const STEP: usize = 512 << 10;
/// A commit that made the WAL longer by more than this gains nothing from it.
const SMALL: u64 = 96 << 10;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// How long the WAL is, and whether it grows.
///
/// A flush of a file that has become longer takes about twice as long as one of bytes that were
/// there before: the file system must write down its new length and where the blocks lie. So the
/// zeros for many small commits are written at once. SQLite reads a WAL up to the first frame that
/// does not carry its salt, as after a restart of the WAL, so zeros at its end mean nothing.
pub(super) struct Ahead {
    wal: Option<PathBuf>,
    file: Option<Identity>,
    length: u64,
    grew: u64,
}

impl Ahead {
    /// Looks after the WAL of a file whose commits are flushed, and of nothing else.
    pub(super) fn of(target: &Target, durability: Durability) -> Self {
        let wal = match (target, durability) {
            (Target::File(path), Durability::Full) if cfg!(unix) => Some(wal_of(path)),
            _ => None,
        };
        Self { wal, file: None, length: 0, grew: 0 }
    }

    /// Notes after a commit by how much the WAL grew.
    #[cfg(unix)]
    pub(super) fn note(&mut self) {
        let Some(found) = self.wal.as_ref().and_then(|wal| wal.metadata().ok()) else { return };
        self.file = Some(Identity::from(&found));
        self.grew = found.len().saturating_sub(self.length);
        self.length = found.len();
    }

    /// Elsewhere it is left to SQLite.
    #[cfg(not(unix))]
    pub(super) fn note(&mut self) {}

    /// Makes the WAL longer where the last commit did so. Only whoever holds SQLite's write lock
    /// may call this: nobody else puts anything at the end of the WAL meanwhile. Should the name
    /// lead to another file by now, that is left alone; each write is an append all the same, so
    /// that it can never lie over what somebody else has written.
    ///
    /// Where nothing can be added, the commit goes on as it would without: only a write that fails
    /// for another reason than a full disk says that the file can't be trusted.
    pub(super) fn grow(&mut self) -> Result<()> {
        if self.grew == 0 || self.grew > SMALL {
            return Ok(());
        }
        self.grew = 0;
        let Some((mut file, wal)) = self.open().zip(self.wal.as_ref()) else { return Ok(()) };
        for _ in 0..STEP / ZEROS.len() {
            match file.write_all(&ZEROS) {
                Ok(()) => self.length += ZEROS.len() as u64,
                Err(cause) if cause.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(cause) => {
                    let text = format!("{}: {cause}", wal.display());
                    return Err(Error::new(ErrorKind::Unavailable, text).with_source(cause));
                }
            }
        }
        Ok(())
    }

    /// The WAL, if its name still leads to it.
    #[cfg(unix)]
    fn open(&self) -> Option<File> {
        let file = OpenOptions::new().append(true).open(self.wal.as_ref()?).ok()?;
        let found = Identity::from(&file.metadata().ok()?);
        (self.file == Some(found)).then_some(file)
    }

    #[cfg(not(unix))]
    fn open(&self) -> Option<File> {
        None
    }
}

/// The WAL of a database.
pub(super) fn wal_of(path: &std::path::Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push("-wal");
    PathBuf::from(name)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn ahead(wal: &std::path::Path) -> Ahead {
        let mut ahead = Ahead { wal: Some(wal.to_owned()), file: None, length: 0, grew: 0 };
        ahead.note();
        ahead
    }

    fn length(wal: &std::path::Path) -> u64 {
        wal.metadata().expect("it is there").len()
    }

    #[test]
    fn a_file_that_grew_a_little_grows_ahead() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let wal = folder.path().join("wal");
        std::fs::write(&wal, [7; 4096]).expect("it is written");
        let mut ahead = ahead(&wal);
        ahead.grow().expect("it grows");
        assert_eq!(length(&wal), 4096 + STEP as u64);
        assert!(std::fs::read(&wal).expect("it is read").starts_with(&[7; 4096]));
        ahead.note();
        ahead.grow().expect("there is room");
        assert_eq!(length(&wal), 4096 + STEP as u64);
    }

    #[test]
    fn what_grew_much_or_is_another_file_is_left_alone() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let wal = folder.path().join("wal");
        std::fs::write(&wal, vec![7; 1 + SMALL as usize]).expect("it is written");
        ahead(&wal).grow().expect("nothing is done");
        assert_eq!(length(&wal), 1 + SMALL);
        std::fs::write(&wal, [7; 10]).expect("it is written");
        let mut noted = ahead(&wal);
        std::fs::write(folder.path().join("other"), [8; 20]).expect("it is written");
        std::fs::rename(folder.path().join("other"), &wal).expect("it takes the place");
        noted.grow().expect("nothing is done");
        assert_eq!(length(&wal), 20);
        let mut noted = ahead(&wal);
        std::fs::remove_file(&wal).expect("it is deleted");
        noted.grow().expect("nothing is done");
        assert!(!wal.exists());
    }
}
