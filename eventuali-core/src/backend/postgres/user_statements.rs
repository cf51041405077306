//! Statements of the user's, within a transaction that has no others than their commit.
//!
//! A statement is prepared by SQL's PREPARE, sent as one of the extended protocol: that takes a single
//! statement, and PREPARE takes only what reads and writes rows. Its values go as literals without a
//! type, so that the server reads each as what it found the parameter to be, and many executions go in
//! one message.

use std::collections::HashMap;
use std::fmt::Write;
use std::future::poll_fn;
use std::sync::Arc;

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::connection::Session;
use super::error::{is_lost, is_replaced};
use crate::error::{Error, ErrorKind, Result};
use crate::statement::{Statement, Value};

/// What reads and writes rows, and may have parameters.
const OF_ROWS: [&str; 6] = ["INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "SELECT"];
/// What changes tables.
const OF_TABLES: [&str; 4] = ["CREATE", "ALTER", "DROP", "TRUNCATE"];
/// How many executions go in one message, and from how many bytes on it takes no more.
const MESSAGE: (usize, usize) = (200, 1 << 20);
/// How many statements stay prepared: a commit has few, with other values.
const PREPARED: usize = 64;

/// A commit's statements on their way.
pub(super) struct Run<'s> {
    session: &'s mut Session,
    statements: &'s [Statement],
    /// How many are carried out.
    done: usize,
    /// Those that are prepared, by their SQL, and the number in the name.
    prepared: HashMap<&'s str, usize>,
    /// See `sql/touched.sql`.
    untouched: String,
}

impl<'s> Run<'s> {
    /// Begins, within a transaction in which all else of the commit is written.
    pub(super) async fn begin(
        session: &'s mut Session,
        statements: &'s [Statement],
    ) -> Result<Self> {
        let untouched = touched(session).await?;
        session.run(include_str!("sql/usual_plans.sql")).await?;
        Ok(Self { session, statements, done: 0, prepared: HashMap::new(), untouched })
    }

    /// Carries some out; whether more are left.
    pub(super) async fn step(&mut self) -> Result<bool> {
        let (first, mut script) = (self.done, String::new());
        while let Some(statement) = self.statements.get(self.done) {
            let known = self.prepared.get(statement.sql.as_str());
            if let Some(number) = known {
                let has_nul =
                    |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
                if let Some(index) = statement.parameters.iter().position(has_nul) {
                    let text =
                        format!("PostgreSQL: ${} has a NUL, which no text can have", index + 1);
                    return Err(Error::statement(self.done, &statement.sql, text));
                }
                execute(&mut script, *number, &statement.parameters);
                self.done += 1;
                if self.done - first == MESSAGE.0 || script.len() >= MESSAGE.1 {
                    break;
                }
            } else if script.is_empty() {
                self.make_ready(statement).await?;
            } else {
                break;
            }
        }
        if !script.is_empty() {
            self.send(first, script).await?;
        }
        Ok(self.done < self.statements.len())
    }

    /// Prepares the next statement, or carries it out where it changes tables.
    async fn make_ready(&mut self, statement: &'s Statement) -> Result<()> {
        let keyword = statement.keyword().unwrap_or_default();
        let refuse = |text: String| Err(Error::statement(self.done, &statement.sql, text));
        if OF_ROWS.contains(&keyword.as_str()) {
            if self.prepared.len() == PREPARED {
                self.unprepare().await?;
            }
            let number = self.prepared.len();
            let sql = format!("PREPARE {} AS {}", name(number), statement.sql);
            self.one(statement, sql).await?;
            self.prepared.insert(&statement.sql, number);
            return Ok(());
        }
        if !OF_TABLES.contains(&keyword.as_str()) {
            let (rows, tables) = (OF_ROWS.join(", "), OF_TABLES.join(", "));
            return refuse(format!(
                "PostgreSQL: a statement must begin with one of {rows}, {tables}, and not with \
                 {keyword:?}"
            ));
        }
        if !statement.parameters.is_empty() {
            return refuse(format!("PostgreSQL: {keyword} takes no parameters"));
        }
        // What is prepared keeps the types of its parameters, which may be others from now on.
        self.unprepare().await?;
        self.one(statement, statement.sql.clone()).await?;
        self.done += 1;
        Ok(())
    }

    /// Sends one statement, and nothing that could be two.
    async fn one(&mut self, statement: &Statement, sql: String) -> Result<()> {
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let sent = query.execute(&mut self.session.conn).await;
        sent.map(drop).map_err(|cause| told(Some((self.done, statement)), cause))
    }

    /// Sends executions of what is prepared, from a statement on.
    async fn send(&mut self, first: usize, script: String) -> Result<()> {
        let statements = &self.statements[first..self.done];
        let ended = run_all(&mut self.session.conn, script).await;
        ended.map_err(|(count, cause)| {
            // What follows the last one is not of any.
            let failed = statements.get(count).map(|statement| (first + count, statement));
            told(failed, cause)
        })
    }

    async fn unprepare(&mut self) -> Result<()> {
        let script = self.deallocations();
        if script.is_empty() { Ok(()) } else { self.session.run(&script).await }
    }

    /// What forgets everything that is prepared.
    fn deallocations(&mut self) -> String {
        let mut script = String::new();
        for number in self.prepared.drain().map(|(_, number)| number) {
            writeln!(script, "DEALLOCATE {};", name(number)).expect("a string takes it");
        }
        script
    }

    /// Checks what is checked behind all of them, and leaves the session as it was.
    pub(super) async fn end(mut self) -> Result<()> {
        let (first, last) = ("SET CONSTRAINTS ALL IMMEDIATE;", include_str!("sql/discard.sql"));
        let script = format!("{first}\n{}{last}", self.deallocations());
        let ended = run_all(&mut self.session.conn, script).await;
        ended.map_err(|(_, cause)| told(None, cause))?;
        let found = touched(self.session).await;
        // Where that can't even be asked, because a table is gone for instance.
        let found = found.or_else(|error| match error.kind() {
            ErrorKind::SchemaMismatch => Ok(String::new()),
            _ => Err(error),
        })?;
        if found != self.untouched {
            let text = "PostgreSQL: a statement has changed tables or functions of the store";
            let kind = ErrorKind::Statement { index: None, sql: String::new() };
            return Err(Error::new(kind, text));
        }
        self.session.known.is_told_time = false; // the settings are gone
        let shared = Arc::clone(&self.session.shared);
        shared.set_up(&mut self.session.conn).await
    }
}

/// See `sql/touched.sql`.
async fn touched(session: &mut Session) -> Result<String> {
    let query = session.shared.statements.touched.query();
    Ok(query.fetch_one(&mut session.conn).await?.try_get(0)?)
}

/// Runs several statements; where one fails, how many went before it.
async fn run_all(conn: &mut PgConnection, script: String) -> Result<(), (usize, sqlx::Error)> {
    let mut results = sqlx::raw_sql(AssertSqlSafe(script)).execute_many(conn);
    let mut count = 0;
    while let Some(result) = poll_fn(|context| results.as_mut().poll_next(context)).await {
        result.map_err(|cause| (count, cause))?;
        count += 1;
    }
    Ok(())
}

fn name(number: usize) -> String {
    format!("eventuali_statement_{number}")
}

/// Adds the execution of what is prepared to a script.
fn execute(script: &mut String, number: usize, values: &[Value]) {
    script.push_str("EXECUTE ");
    script.push_str(&name(number));
    for (index, value) in values.iter().enumerate() {
        script.push_str(if index == 0 { "(" } else { ", " });
        literal(script, value);
    }
    script.push_str(if values.is_empty() { ";" } else { ");" });
}

/// Adds a value. A text has no type yet: the server reads it as what the parameter is.
fn literal(script: &mut String, value: &Value) {
    let written = match value {
        Value::Null => write!(script, "NULL"),
        Value::Bool(truth) => write!(script, "{truth}"),
        Value::Int(number) => write!(script, "{number}"),
        Value::Real(number) => write!(script, "'{number:?}'"),
        Value::Bytes(bytes) => {
            script.push_str("'\\x");
            let written = bytes.iter().try_for_each(|byte| write!(script, "{byte:02x}"));
            script.push_str("'::bytea");
            written
        }
        Value::Text(text) => {
            script.push_str("E'");
            for character in text.chars() {
                if matches!(character, '\'' | '\\') {
                    script.push(character);
                }
                script.push(character);
            }
            script.push('\'');
            Ok(())
        }
    };
    written.expect("a string takes it");
}

/// The error of a statement, or of none of them: the user's, unless the server or the connection
/// failed, or somebody else was in the way.
fn told(statement: Option<(usize, &Statement)>, cause: sqlx::Error) -> Error {
    let said = match &cause {
        sqlx::Error::Database(database) => said(database.as_ref()),
        _ => return cause.into(),
    };
    let error = Error::from(cause);
    let passes = matches!(
        error.kind(),
        ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Corrupted { .. }
    );
    if passes || is_lost(&error) || is_replaced(&error) {
        return error;
    }
    // Without the cause, by which the writer tells whether to try again.
    match statement {
        Some((index, statement)) => Error::statement(index, &statement.sql, said),
        None => Error::new(ErrorKind::Statement { index: None, sql: String::new() }, said),
    }
}

/// All that the server says of an error.
fn said(error: &dyn sqlx::error::DatabaseError) -> String {
    let mut said = format!("PostgreSQL: {}", error.message());
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        for more in [error.detail(), error.hint()].into_iter().flatten() {
            write!(said, "; {more}").expect("a string takes it");
        }
    }
    if let Some(code) = error.code() {
        write!(said, " ({code})").expect("a string takes it");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_literals() {
        let mut script = String::new();
        execute(&mut script, 3, &[]);
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Real(1e300),
            Value::Bytes(vec![0, 255]),
            text(r"it's a \ and \'; COMMIT; --"),
        ];
        execute(&mut script, 12, &values);
        let expected = r"EXECUTE eventuali_statement_3;EXECUTE eventuali_statement_12(NULL, true, -9223372036854775808, '1e300', '\x00ff'::bytea, E'it''s a \\ and \\''; COMMIT; --');";
        assert_eq!(script, expected);
    }
}
