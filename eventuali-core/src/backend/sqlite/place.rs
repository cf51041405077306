//! The file that a path leads to: what may become a store, and how it is made.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::ahead::wal_of;
use super::registry::Registered;
use crate::error::{Error, ErrorKind, Result};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Sees to it that there is a file that SQLite may open, and notes that it is open here. What is
/// not a store's is refused before SQLite touches it, which takes some of that for an empty file.
pub(super) fn prepare(path: &Path) -> Result<Registered> {
    let place = &end_of_links(path)?;
    // First of all, since a store that is being made has no WAL before its file has a header.
    let wal = size_of(&wal_of(place));
    let file = match place.metadata() {
        Ok(found) if found.is_file() => Some(found.len()),
        Ok(found) if found.is_dir() => return refuse(place, "it is a directory"),
        Ok(_) => return refuse(place, "it is not a plain file"),
        Err(cause) if cause.kind() == Io::NotFound => None,
        Err(cause) => return Err(unavailable(place, cause)),
    };
    if file.unwrap_or(0) == 0 && wal > 0 {
        return Err(left_over(place, "-wal"));
    }
    match file {
        // SQLite writes such a file on some systems, and so takes it for an empty one on all.
        Some(1) => {
            let text = format!("{} has one byte and is not a database", place.display());
            Err(Error::new(ErrorKind::Corrupted { position: None }, text))
        }
        Some(_) => Registered::noting(place, || Ok(())),
        // Another process may be in the middle of making it: then the journal is its.
        None if size_of(&journal_of(place)) > 0 && !place.exists() => {
            Err(left_over(place, "-journal"))
        }
        None => {
            let folder = folder_of(place, place != path)?;
            let registered = Registered::noting(place, || make(place))?;
            #[cfg(unix)]
            File::open(&folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|cause| unavailable(place, cause))?;
            Ok(registered)
        }
    }
}

/// How a connection opens a file. It is looked at, and not opened: closing a descriptor of a file
/// gives up the locks that another SQLite library of this process holds on it. NOFOLLOW is not set: a link to
/// another volume is common.
pub(super) fn flags(path: &Path) -> Result<OpenFlags> {
    let found = path.metadata().map_err(|cause| unavailable(path, cause))?;
    let access = if found.permissions().readonly() {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    Ok(access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// The file that a path leads to, also where a link leads to one that is not there yet.
fn end_of_links(path: &Path) -> Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = place.read_link() else { return Ok(place) };
        place = folder(&place).join(target);
    }
    refuse(path, "its symbolic links form a loop, or are too many")
}

/// Makes an empty file that only its owner can read. Its content becomes durable with the first
/// commit to it.
fn make(place: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(place) {
        Ok(file) => {
            eventuali_locks::close(file);
            Ok(())
        }
        // Another process was faster.
        Err(cause) if cause.kind() == Io::AlreadyExists => Ok(()),
        Err(cause) => Err(unavailable(place, cause)),
    }
}

/// Where the file is to be made. What a link leads to may lie on a volume that comes back.
fn folder_of(place: &Path, linked: bool) -> Result<PathBuf> {
    let folder = folder(place);
    if folder.is_dir() {
        return Ok(folder);
    }
    let kind = if linked { ErrorKind::Unavailable } else { ErrorKind::Configuration };
    let text = format!(
        "cannot open {}: the directory {} does not exist",
        place.display(),
        folder.display()
    );
    Err(Error::new(kind, text))
}

fn folder(place: &Path) -> PathBuf {
    place.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn journal_of(place: &Path) -> PathBuf {
    let mut name = place.to_owned().into_os_string();
    name.push("-journal");
    PathBuf::from(name)
}

fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

/// SQLite would delete it, and it may hold what was acknowledged.
fn left_over(place: &Path, suffix: &str) -> Error {
    let place = place.display();
    let text = format!(
        "{place} is missing or empty, but {place}{suffix} exists and may hold its events; restore \
         the database, or move that file away to create a new store"
    );
    Error::new(ErrorKind::Corrupted { position: None }, text)
}

fn refuse<T>(path: &Path, why: &str) -> Result<T> {
    let text = format!("cannot open {}: {why}", path.display());
    Err(Error::new(ErrorKind::Configuration, text))
}

fn unavailable(path: &Path, cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        Io::StorageFull => ErrorKind::Full,
        // Something on the way to it is a file, or it ends with a slash.
        Io::NotADirectory | Io::IsADirectory => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot open {}: {cause}", path.display())).with_source(cause)
}
