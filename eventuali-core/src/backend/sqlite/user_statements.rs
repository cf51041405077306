//! Statements of the user's, within the writer's transaction.

use std::collections::HashMap;

use rusqlite::ffi::{ErrorCode, SQLITE_CORRUPT_VTAB};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::connection::Session;
use super::error::kind_of;
use crate::error::{Error, ErrorKind, Result};
use crate::statement::{Statement, Value};

/// How many statements stay prepared: a commit has few, with other values.
const PREPARED: usize = 64;

/// Statements that are prepared, by their SQL.
type Prepared<'s> = HashMap<&'s str, rusqlite::Statement<'s>>;

/// Carries statements out, one after the other. An error leaves a transaction that must be rolled
/// back, unless SQLite has done that already.
pub(super) fn run(session: &Session, statements: &[Statement]) -> Result<()> {
    if statements.is_empty() {
        return Ok(());
    }
    let watch = session.guard.watch();
    // Not the connection's own cache: what the store has prepared was never watched.
    let mut prepared = Prepared::new();
    for (index, statement) in statements.iter().enumerate() {
        let done = carry_out(session, &mut prepared, statement);
        let refused = watch.refused();
        done.map_err(|cause| told(index, statement, cause, refused))?;
    }
    Ok(())
}

/// Why a statement was not carried out.
enum Cause {
    Sqlite(rusqlite::Error),
    Statement(String),
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn carry_out<'s>(
    session: &'s Session,
    prepared: &mut Prepared<'s>,
    statement: &'s Statement,
) -> Result<(), Cause> {
    let sql = statement.sql.as_str();
    if !prepared.contains_key(sql) {
        if prepared.len() == PREPARED {
            prepared.clear();
        }
        prepared.insert(sql, session.conn.prepare(sql)?);
    }
    if let Some(ready) = prepared.get_mut(sql) {
        bind(ready, &statement.parameters)?;
        let mut rows = ready.raw_query();
        while rows.next()?.is_some() {}
    }
    if session.conn.is_autocommit() {
        return Err(Cause::Statement("the statement has ended the transaction".to_owned()));
    }
    Ok(())
}

/// Gives a statement its values: a `?` that of its place, `?2` and `$2` the second one.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value]) -> Result<(), Cause> {
    let mut last = 0;
    for place in 1..=statement.parameter_count() {
        let name = statement.parameter_name(place);
        let number = match name {
            None => place,
            Some(name) => name
                .strip_prefix(['?', '$'])
                .and_then(|name| name.parse().ok())
                .ok_or_else(|| {
                    Cause::Statement(format!("the parameter {name} has no number; write ? or $1"))
                })?,
        };
        last = last.max(number);
        if let Some(value) = number.checked_sub(1).and_then(|index| values.get(index)) {
            statement.raw_bind_parameter(place, Bound(value))?;
        }
    }
    if last == values.len() {
        return Ok(());
    }
    let text = format!("the statement has {last} parameters, and {} were given", values.len());
    Err(Cause::Statement(text))
}

/// A value as SQLite takes it.
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(truth) => ValueRef::Integer(i64::from(*truth)),
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The error of a statement: its own, unless the file or the machine failed under it.
fn told(index: usize, statement: &Statement, cause: Cause, refused: Option<String>) -> Error {
    let text = match cause {
        Cause::Statement(text) => text,
        Cause::Sqlite(cause) if is_of_the_file(&cause) => return cause.into(),
        Cause::Sqlite(cause) => refused.unwrap_or_else(|| cause.to_string()),
    };
    Error::statement(index, statement.sql.clone(), format!("SQLite: {text}"))
}

fn is_of_the_file(cause: &rusqlite::Error) -> bool {
    // A damaged index of a virtual table is the user's.
    if cause.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CORRUPT_VTAB) {
        return false;
    }
    match cause.sqlite_error_code() {
        None => false,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NoLargeFileSupport,
        ) => true,
        Some(_) => kind_of(cause) != ErrorKind::Unavailable,
    }
}
