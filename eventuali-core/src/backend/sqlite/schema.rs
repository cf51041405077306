//! The format of the file, and its migrations.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};

/// "Evtl" in ASCII: marks a file as ours in its header.
const APPLICATION_ID: i32 = 0x4576_746c;
/// Migrations in order; a file at format N has the first N of them.
const MIGRATIONS: &[&str] =
    &[include_str!("sql/0001_schema.sql"), include_str!("sql/0002_ends.sql")];
/// Older ones can corrupt a WAL that two connections write and checkpoint at once.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Refuses a file that something else made, or a newer version of this, before anything is changed.
pub(super) fn inspect(conn: &Connection) -> Result<()> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let text = format!("SQLite {} can corrupt a WAL; 3.51.3 is needed", rusqlite::version());
        return Err(Error::new(ErrorKind::Unavailable, text));
    }
    // One snapshot: another process may be making the schema at this moment.
    let snapshot = if conn.is_autocommit() { Some(conn.unchecked_transaction()?) } else { None };
    let (application, format) = identity(conn)?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    drop(snapshot);
    if application == APPLICATION_ID && format as usize <= MIGRATIONS.len() {
        return Ok(());
    }
    if application == APPLICATION_ID {
        let text = format!(
            "the database has format {format}; this version of Eventuali knows {}",
            MIGRATIONS.len()
        );
        return Err(Error::new(ErrorKind::SchemaMismatch, text));
    }
    if tables > 0 || application != 0 || format != 0 {
        let text = "the database holds something else than an Eventuali store";
        return Err(Error::new(ErrorKind::SchemaMismatch, text));
    }
    Ok(())
}

/// Brings the file to the newest format; safe when many processes start at once.
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    if identity(conn)? == (APPLICATION_ID, MIGRATIONS.len() as i32) {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    inspect(&transaction)?;
    let (_, format) = identity(&transaction)?;
    for migration in &MIGRATIONS[format as usize..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i32)?;
    Ok(transaction.commit()?)
}

fn identity(conn: &Connection) -> Result<(i32, i32)> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}
