//! The number of a name, found through an index that a damaged page can empty without a sign.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::error::{damaged, is_checked};
use crate::error::Result;

/// The most names whose digests are kept, 16 bytes each.
const KEPT: usize = 100_000;

/// A name of two columns.
pub(super) type Name<'a> = [ValueRef<'a>; 2];

/// The names of a table.
///
/// What the index has is held against the table's row. What it has not is looked for a second time,
/// among digests of all rows of the table; in a table of very many, the entries on both sides of the
/// name's place are held against their rows, since a damaged one sends who searches past itself.
pub(super) struct Dictionary {
    sql: &'static Statements,
    kept: usize,
    /// Digests of the names up to this number.
    seen: i64,
    digests: HashSet<u64>,
}

/// The statements of a table.
struct Statements {
    /// The number of a name by the index, and whether the table's row says the same.
    find: &'static str,
    /// Numbers and names above a number.
    above: &'static str,
    /// Whether a name is in the table, whatever the index says.
    unindexed: &'static str,
    /// Whether the index is right on both sides of a name.
    beside: &'static str,
}

static CATEGORIES: Statements = Statements {
    find: include_str!("sql/category.sql"),
    above: include_str!("sql/categories_above.sql"),
    unindexed: include_str!("sql/category_unindexed.sql"),
    beside: include_str!("sql/categories_beside.sql"),
};

static STREAMS: Statements = Statements {
    find: include_str!("sql/stream.sql"),
    above: include_str!("sql/streams_above.sql"),
    unindexed: include_str!("sql/stream_unindexed.sql"),
    beside: include_str!("sql/streams_beside.sql"),
};

impl Dictionary {
    fn new(sql: &'static Statements) -> Self {
        Self { sql, kept: KEPT, seen: 0, digests: HashSet::new() }
    }

    /// Tenants and aggregate types.
    pub(super) fn of_categories() -> Self {
        Self::new(&CATEGORIES)
    }

    /// Categories and aggregate ids.
    pub(super) fn of_streams() -> Self {
        Self::new(&STREAMS)
    }

    /// Forgets what a transaction that was rolled back may have made.
    pub(super) fn forget(&mut self) {
        self.seen = 0;
        self.digests.clear();
    }

    /// The number of a name, where there is one.
    pub(super) fn find(&mut self, conn: &Connection, name: Name<'_>) -> Result<Option<i64>> {
        let found: Option<(i64, bool)> = conn
            .prepare_cached(self.sql.find)?
            .query_row(parameters(name), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let right = match found {
            _ if !is_checked() => true,
            Some((_, right)) => right,
            None => self.lacks(conn, name)?,
        };
        if right {
            return Ok(found.map(|(id, _)| id));
        }
        Err(damaged("the index of stream names differs from what was written"))
    }

    /// Whether a name that the index has not isn't there.
    fn lacks(&mut self, conn: &Connection, name: Name<'_>) -> Result<bool> {
        self.catch_up(conn)?;
        let is = |sql| -> Result<bool> {
            Ok(conn.prepare_cached(sql)?.query_row(parameters(name), |row| row.get(0))?)
        };
        if self.digests.contains(&digest(name)) {
            // Or another name has the same digest.
            return Ok(!is(self.sql.unindexed)?);
        }
        if self.digests.len() < self.kept {
            return Ok(true);
        }
        is(self.sql.beside)
    }

    fn catch_up(&mut self, conn: &Connection) -> Result<()> {
        let room = self.kept - self.digests.len();
        let mut statement = conn.prepare_cached(self.sql.above)?;
        let mut rows = statement.query([self.seen, room as i64])?;
        while let Some(row) = rows.next()? {
            self.seen = row.get(0)?;
            self.digests.insert(digest([row.get_ref(1)?, row.get_ref(2)?]));
        }
        Ok(())
    }
}

fn parameters(name: Name<'_>) -> rusqlite::ParamsFromIter<[ToSqlOutput<'_>; 2]> {
    params_from_iter(name.map(ToSqlOutput::Borrowed))
}

fn digest(name: Name<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in name {
        match part {
            ValueRef::Integer(number) => number.hash(&mut hasher),
            ValueRef::Text(text) => text.hash(&mut hasher),
            // What no name is made of.
            ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => {}
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const IDS: [&str; 6] = ["a", "c", "e", "g", "i", "k"];

    /// A file of names.
    fn names(path: &Path) {
        let conn = Connection::open(path).expect("it opens");
        conn.execute_batch(include_str!("sql/0001_schema.sql")).expect("it is made");
        let category = "INSERT INTO categories (tenant, aggregate_type) VALUES ('', 'T')";
        conn.execute(category, []).expect("it is added");
        for id in IDS {
            let sql = "INSERT INTO streams (category, aggregate_id) VALUES (1, ?1)";
            conn.execute(sql, [id]).expect("it is added");
        }
    }

    /// Puts another name into the index, and leaves the table as it is.
    fn damage(path: &Path, id: &str, other: &str) {
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_streams_1'";
        let conn = Connection::open(path).expect("it opens");
        let root: i64 = conn.query_row(root, [], |row| row.get(0)).expect("there is an index");
        drop(conn);
        let mut bytes = std::fs::read(path).expect("it is read");
        let page = &mut bytes[(root as usize - 1) * 4096..][..4096];
        // Behind the category, a constant: the name, and its number.
        let place = page.windows(1).rposition(|byte| byte == id.as_bytes()).expect("it is there");
        page[place] = other.as_bytes()[0];
        std::fs::write(path, bytes).expect("it is written");
    }

    fn find(kept: usize, path: &Path, id: &str) -> Result<Option<i64>> {
        let conn = Connection::open(path).expect("it opens");
        let mut streams = Dictionary { kept, ..Dictionary::of_streams() };
        streams.find(&conn, [ValueRef::Integer(1), id.into()])
    }

    #[test]
    fn what_the_index_has_lost_is_not_taken_for_absent() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("names.db");
        for kept in [2, KEPT] {
            names(&path);
            for (number, id) in IDS.iter().enumerate() {
                let found = find(kept, &path, id).expect("it is whole");
                assert_eq!(found, Some(number as i64 + 1));
            }
            for id in ["", "aa", "z"] {
                assert_eq!(find(kept, &path, id).expect("it is whole"), None);
            }
            damage(&path, "g", "h");
            find(kept, &path, "g").expect_err("the index has it no more");
            find(kept, &path, "h").expect_err("the table has it not");
            std::fs::remove_file(&path).expect("it is removed");
        }
    }

    #[test]
    fn names_with_one_digest_are_told_apart() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("names.db");
        names(&path);
        let conn = Connection::open(&path).expect("it opens");
        let mut streams = Dictionary::of_streams();
        let absent = [ValueRef::Integer(1), "absent".into()];
        streams.digests.insert(digest(absent));
        assert_eq!(streams.find(&conn, absent).expect("it is whole"), None);
    }
}
