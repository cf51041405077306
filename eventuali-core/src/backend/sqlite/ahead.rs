//! The WAL grows ahead of the commits that will fill it.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

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
    length: u64,
    grew: u64,
}

impl Ahead {
    /// Looks after the WAL of a file whose commits are flushed, and of nothing else.
    pub(super) fn of(target: &Target, durability: Durability) -> Self {
        let wal = match (target, durability) {
            (Target::File(path), Durability::Full) => {
                let mut name = path.clone().into_os_string();
                name.push("-wal");
                Some(PathBuf::from(name))
            }
            _ => None,
        };
        Self { wal, length: 0, grew: 0 }
    }

    /// Notes after a commit by how much the WAL grew.
    pub(super) fn note(&mut self) {
        let Some(found) = self.wal.as_ref().and_then(|wal| wal.metadata().ok()) else { return };
        self.grew = found.len().saturating_sub(self.length);
        self.length = found.len();
    }

    /// Makes the WAL longer where the last commit did so. Only whoever holds SQLite's write lock
    /// may call this: nobody else puts anything at the end of the WAL meanwhile.
    pub(super) fn grow(&mut self) -> Result<()> {
        let Some(wal) = &self.wal else { return Ok(()) };
        if self.grew == 0 || self.grew > SMALL {
            return Ok(());
        }
        let added = OpenOptions::new().write(true).open(wal).and_then(|mut file| {
            let end = file.seek(SeekFrom::End(0))?;
            (0..STEP / ZEROS.len()).try_for_each(|_| file.write_all(&ZEROS))?;
            Ok(end + STEP as u64)
        });
        self.grew = 0;
        self.length = added.map_err(|cause| {
            let kind = match cause.kind() {
                std::io::ErrorKind::StorageFull => ErrorKind::Full,
                _ => ErrorKind::Unavailable,
            };
            Error::new(kind, format!("{}: {cause}", wal.display())).with_source(cause)
        })?;
        Ok(())
    }
}
