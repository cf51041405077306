//! What PostgreSQL's errors mean to a caller, and to the writer.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{Error, ErrorKind};

/// The kind of error that an SQLSTATE stands for: its class is the first two characters. What is not
/// named here was refused for what it says, by a trigger for instance, and would be again.
fn kind_of_state(state: &str) -> ErrorKind {
    match (state.get(..2).unwrap_or_default(), state) {
        // Out of space, out of quota.
        (_, "53100" | "53400") => ErrorKind::Full,
        // Neither user nor password; not READ COMMITTED; no such database; not allowed; a setting that
        // cannot be made.
        ("28", _) | (_, "25000" | "3D000" | "42501" | "55P02") => ErrorKind::Configuration,
        // Rolled back for the sake of another transaction, so that both would end; not enough memory
        // or connections; a lock or an object that somebody holds; a time-out; a snapshot too old.
        (_, "40001" | "40P01" | "55P03" | "55006" | "57014") | ("53" | "72", _) => ErrorKind::Busy,
        // Tables, columns, functions and schemas that are not what they were made as.
        ("42", _) | (_, "3F000" | "0A000" | REPLACED) => ErrorKind::SchemaMismatch,
        (_, "XX001" | "XX002") => ErrorKind::Corrupted { position: None },
        // The connection, its session, or a statement prepared on it is gone; a server that starts,
        // stops, is read-only since a failover, or whose disk or configuration fails.
        ("08" | "57" | "58" | "F0", _)
        | (_, "25006" | "25P03" | "25P04" | "26000" | "40003" | "") => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

/// What the store raises itself where its tables have been replaced.
const REPLACED: &str = "EVREP";

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

/// Whether another server may do better: this one is away, or was found wanting.
pub(super) fn is_of_the_server(error: &Error) -> bool {
    *error.kind() == ErrorKind::Unavailable || cause(error).is_none()
}

/// Whether somebody else held a lock for too long.
pub(super) fn is_locked(error: &Error) -> bool {
    matches!(cause(error), Some(sqlx::Error::Database(told)) if told.code().as_deref() == Some("55P03"))
}

/// Whether the tables of the store are not those that the connection remembers.
pub(super) fn is_replaced(error: &Error) -> bool {
    matches!(cause(error), Some(sqlx::Error::Database(told)) if told.code().as_deref() == Some(REPLACED))
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
        || ["25006", "40001", "40P01", "53300", "55P03", "23505", "26000", REPLACED]
            .contains(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_say_whether_to_try_again() {
        use ErrorKind::{Busy, Configuration, Full, Refused, SchemaMismatch, Unavailable};
        let damaged = ErrorKind::Corrupted { position: None };
        for (states, kind) in [
            // What a trigger raises, under any name; a division by zero; a check, a key; too complex.
            (
                &["P0001", "P0004", "MY001", "22012", "22P02", "23514", "23505", "23503"][..],
                Refused,
            ),
            (&["44000", "54001", "40002", "09000", "2F002", "XX000", "55000", "01000"], Refused),
            (
                &["08006", "57P01", "57P03", "57P04", "58030", "25006", "26000", "40003"],
                Unavailable,
            ),
            (&["40001", "40P01", "55P03", "57014", "53300", "53200", "72000"], Busy),
            (&["53100", "53400"], Full),
            (&["28P01", "28000", "3D000", "42501", "25000"], Configuration),
            (&["42P01", "42703", "42883", "42P07", "3F000", "0A000", REPLACED], SchemaMismatch),
            (&["XX001", "XX002"], damaged),
        ] {
            for state in states {
                assert_eq!(kind_of_state(state), kind, "{state}");
            }
        }
    }
}
