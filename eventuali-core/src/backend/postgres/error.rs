//! What PostgreSQL's errors mean to a caller, and to the writer.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{Error, ErrorKind};

/// The kind of error that an SQLSTATE stands for.
fn kind_of_state(state: &str) -> ErrorKind {
    match state {
        // Out of space, out of quota.
        "53100" | "53400" => ErrorKind::Full,
        // Serialization, deadlock, lock or statement time-out, too many connections.
        "40001" | "40P01" | "55P03" | "57014" | "53300" => ErrorKind::Busy,
        // No such table, column, function, object or schema; an object that is there already.
        "42P01" | "42703" | "42883" | "42704" | "3F000" | "42P07" | "42P06" | "42723" | "EVREP" => {
            ErrorKind::SchemaMismatch
        }
        // No such user, password or database; not allowed; not READ COMMITTED.
        "28000" | "28P01" | "3D000" | "42501" | "25000" => ErrorKind::Configuration,
        "XX001" | "XX002" => ErrorKind::Corrupted { position: None },
        _ => ErrorKind::Unavailable,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Database(cause) => {
                kind_of_state(cause.code().as_deref().unwrap_or_default())
            }
            sqlx::Error::Configuration(_) => ErrorKind::Configuration,
            // A column that has another type than what was written there.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                ErrorKind::Corrupted { position: None }
            }
            _ => ErrorKind::Unavailable,
        };
        let text = match &error {
            sqlx::Error::Database(cause) => format!("PostgreSQL: {}", cause.message()),
            other => format!("PostgreSQL: {other}"),
        };
        Self::new(kind, text).with_source(error)
    }
}

/// The error of a wait that took too long.
pub(super) fn timed_out(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("PostgreSQL: {what} took too long"))
}

fn cause(error: &Error) -> Option<&sqlx::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether the connection is gone, or may be: what was asked for may happen all the same.
pub(super) fn is_lost(error: &Error) -> bool {
    match cause(error) {
        Some(sqlx::Error::Database(database)) => database
            .try_downcast_ref::<PgDatabaseError>()
            .is_none_or(|told| told.severity() != PgSeverity::Error),
        Some(
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Configuration(_),
        ) => false,
        Some(_) => true,
        None => *error.kind() == ErrorKind::Unavailable,
    }
}

/// Whether somebody else held a lock for too long.
pub(super) fn is_locked(error: &Error) -> bool {
    matches!(cause(error), Some(sqlx::Error::Database(told)) if told.code().as_deref() == Some("55P03"))
}

/// Whether the tables of the store are not those that the connection remembers.
pub(super) fn is_replaced(error: &Error) -> bool {
    matches!(cause(error), Some(sqlx::Error::Database(told)) if told.code().as_deref() == Some("EVREP"))
}

/// Whether every connection was in use: no statement was to blame.
pub(super) fn is_crowded(error: &Error) -> bool {
    *error.kind() == ErrorKind::Busy && cause(error).is_none()
}

/// Whether the same can succeed in a moment, without anybody doing anything about it.
pub(super) fn is_transient(error: &Error) -> bool {
    let Some(sqlx::Error::Database(database)) = cause(error) else { return is_lost(error) };
    let state = database.code();
    let state = state.as_deref().unwrap_or_default();
    // Connection trouble, a server that starts or stops, one that is read-only since a failover,
    // contention, a race for a new name, and tables that are to be looked at anew.
    state.starts_with("08")
        || state.starts_with("57P")
        || ["25006", "40001", "40P01", "53300", "55P03", "23505", "EVREP"].contains(&state)
}
