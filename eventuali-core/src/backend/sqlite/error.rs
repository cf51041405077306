//! What SQLite's errors mean to a caller.

use rusqlite::ffi::{ErrorCode, SQLITE_IOERR_LOCK, SQLITE_IOERR_RDLOCK, SQLITE_IOERR_SHMSIZE};

use crate::error::{Error, ErrorKind};

/// The kind of error that SQLite's code stands for.
pub(super) fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    // The -shm file holds no data: that it cannot grow says that the disk is full, no more.
    if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) {
        return ErrorKind::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            ErrorKind::Corrupted { position: None }
        }
        Some(_) => ErrorKind::Unavailable,
        // A column that has another type than what was written there.
        None => ErrorKind::Corrupted { position: None },
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let kind = kind_of(&error);
        let code = error.sqlite_error().map(|error| error.extended_code);
        let hint = match (&kind, code) {
            (ErrorKind::Busy, _) => " by another connection, in another process or in this one",
            (_, Some(SQLITE_IOERR_LOCK | SQLITE_IOERR_RDLOCK)) => {
                ": cannot get a lock; the process may have too many files open"
            }
            _ => "",
        };
        Self::new(kind, format!("SQLite: {error}{hint}")).with_source(error)
    }
}

/// Whether the file itself failed under SQLite, so that nothing after it can be trusted.
pub(super) fn is_io(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Corrupted { .. })
}

/// Whether reads are held against what is known; not where `reliability/` wants to see it missed.
pub(super) fn is_checked() -> bool {
    #[cfg(feature = "faults")]
    return std::env::var("EVENTUALI_FAULT").as_deref() != Ok("unchecked");
    #[cfg(not(feature = "faults"))]
    true
}

/// Something that is not what was written, where no single event is to blame.
pub(super) fn damaged(text: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupted { position: None }, format!("{text}; run verify()"))
}

/// Something that ends elsewhere than where it was written up to.
pub(super) fn incomplete(what: &str, end: Option<i64>, found: Option<i64>) -> Error {
    let found = found.map_or_else(|| "no event".to_owned(), |found| found.to_string());
    damaged(match end {
        Some(end) => format!("{what} ends at {found}, but was written up to {end}"),
        None => format!("{what} ends at {found}, but the end that was written is missing"),
    })
}
