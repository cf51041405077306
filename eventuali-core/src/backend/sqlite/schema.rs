//! The format of the file, and its migrations.

use std::collections::HashSet;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};

/// "Evtl" in ASCII: marks a file as ours in its header.
const APPLICATION_ID: i32 = 0x4576_746c;
/// Migrations in order; a file at format N has the first N of them.
const MIGRATIONS: &[&str] = &[
    include_str!("sql/0001_schema.sql"),
    include_str!("sql/0002_ends.sql"),
    include_str!("sql/0003_chains.sql"),
    include_str!("sql/0004_words.sql"),
    include_str!("sql/0005_users.sql"),
];
const SOMETHING_ELSE: &str = "the database belongs to something else, not to Eventuali";
/// Older ones can corrupt a WAL that two connections write and checkpoint at once.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Refuses a file that something else made, or a newer version of this, before anything is changed.
pub(super) fn inspect(conn: &Connection) -> Result<()> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let text = format!("SQLite {} can corrupt a WAL; 3.51.3 is needed", rusqlite::version());
        return Err(Error::new(ErrorKind::Unavailable, text));
    }
    // One snapshot: another process may be making the schema at this moment.
    let _snapshot = conn.unchecked_transaction()?;
    format_of(conn).map(drop)
}

/// Refuses a file that a newer version has migrated while this one had it open, and whose indexes it
/// would not keep.
pub(super) fn is_still_known(conn: &Connection) -> Result<()> {
    let mut statement = conn.prepare_cached("PRAGMA user_version")?;
    let format: i32 = statement.query_row([], |row| row.get(0))?;
    if format as usize == MIGRATIONS.len() {
        return Ok(());
    }
    let known = MIGRATIONS.len();
    let cure = if format as usize > known {
        "restart this process with the newer version of Eventuali"
    } else {
        "open the store again, which migrates it"
    };
    let text = format!(
        "the database was changed to format {format} while it was open here with format {known}; \
         {cure}"
    );
    Err(Error::new(ErrorKind::SchemaMismatch, text))
}

/// Brings the file to the newest format; safe when many processes start at once.
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    if identity(conn)? == (APPLICATION_ID, MIGRATIONS.len() as i32) {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let format = format_of(&transaction)?;
    for migration in &MIGRATIONS[format..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i32)?;
    Ok(transaction.commit()?)
}

/// How many of the migrations a database has seen.
fn format_of(conn: &Connection) -> Result<usize> {
    let refuse = |text: String| Err(Error::new(ErrorKind::SchemaMismatch, text));
    let (application, format) = identity(conn)?;
    let newest = MIGRATIONS.len();
    match (application, format as usize) {
        (APPLICATION_ID, format) if format > newest => refuse(format!(
            "the database has format {format}; this version of Eventuali knows {newest}"
        )),
        (APPLICATION_ID, format) if format > 0 => Ok(format),
        (APPLICATION_ID | 0, marked) => match format_of_tables(conn)? {
            format if marked == 0 || marked == format => Ok(format),
            _ => refuse(SOMETHING_ELSE.to_owned()),
        },
        _ => refuse(SOMETHING_ELSE.to_owned()),
    }
}

/// The same by what there is, in a database that says nothing: a dump of SQLite's leaves out both
/// marks, and somebody else's tables may lie beside ours.
fn format_of_tables(conn: &Connection) -> Result<usize> {
    let found = objects(conn)?;
    if found.is_empty() {
        return Ok(0);
    }
    let made = Connection::open_in_memory()?;
    let mut format = 0;
    let mut missing: Option<Vec<String>> = None;
    for (index, migration) in MIGRATIONS.iter().enumerate() {
        made.execute_batch(migration)?;
        let ours = objects(&made)?;
        let lacking: Vec<_> = ours.iter().filter(|object| !found.contains(object)).collect();
        if lacking.is_empty() {
            format = index + 1;
        } else if lacking.len() < ours.len()
            && missing.as_ref().is_none_or(|least| lacking.len() < least.len())
        {
            missing = Some(lacking.iter().map(|object| object.name.clone()).collect());
        }
    }
    if format > 0 {
        return Ok(format);
    }
    let text = missing.map_or_else(
        || SOMETHING_ELSE.to_owned(),
        |missing| {
            let missing = missing.join(", ");
            format!("the database contains only a part of a store; missing or changed: {missing}")
        },
    );
    Err(Error::new(ErrorKind::SchemaMismatch, text))
}

/// A table, an index, a trigger or a view, and the SQL that made it.
#[derive(PartialEq, Eq, Hash)]
struct Object {
    name: String,
    sql: String,
}

fn objects(conn: &Connection) -> Result<HashSet<Object>> {
    let mut statement =
        conn.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(1)?;
        // Tools write names and spaces in their own ways.
        let plain = sql.replace(['"', '`', '[', ']'], "").to_lowercase();
        let words: Vec<_> = plain.split_whitespace().collect();
        let sql = words.join(" ").replacen(" if not exists ", " ", 1);
        Ok(Object { name: row.get(0)?, sql })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn identity(conn: &Connection) -> Result<(i32, i32)> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}
