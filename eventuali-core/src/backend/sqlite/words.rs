//! The words of records, in an index of SQLite's FTS5: a row for each record that has a text, whose
//! words stand behind letters for its tenant and space. The texts themselves are not kept.

use std::collections::HashMap;

use rusqlite::params;

use super::connection::Session;
use crate::backend::sql::words::{scope, scoped};
use crate::error::Result;
use crate::record::{RecordKey, RecordPurge};
use crate::text::{TextQuery, Words};

/// So many that two spaces never share them by chance.
const SCOPE: usize = 12;

/// What says whether the words of a record have changed: a sum, which can be made in any order.
pub(super) fn sum_of(text: &Words) -> i64 {
    let marks = text.iter().zip(0..).map(|(word, place)| mark(word, place));
    marks.fold(0, u64::wrapping_add) as i64
}

/// FNV-1a of a word, spread over 64 bits together with its place.
fn mark(word: &str, place: u64) -> u64 {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed =
        (hash ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 32)
}

/// Brings the words of a record in line, of which so many were there before.
pub(super) fn keep(
    session: &Session,
    key: &RecordKey,
    id: i64,
    was_there: bool,
    text: Option<&Words>,
) -> Result<()> {
    if was_there {
        session.statement(include_str!("sql/delete_words.sql"))?.execute([id])?;
    }
    let Some(text) = text else { return Ok(()) };
    let scope = scope(&key.tenant, &key.space, SCOPE);
    let mut words = String::with_capacity(text.len() * 3);
    for word in text.iter() {
        words.push_str(&scope);
        words.push_str(word);
        words.push(' ');
    }
    let insert = || -> Result<()> {
        session.statement(include_str!("sql/insert_words.sql"))?.execute(params![id, words])?;
        Ok(())
    };
    let inserted = insert();
    if inserted.is_err() && !is_there(session)? {
        session.run(include_str!("sql/create_words.sql"))?;
        return insert();
    }
    inserted
}

/// Whether there is an index of words: it is made with the first text.
pub(super) fn is_there(session: &Session) -> Result<bool> {
    let mut statement = session.statement(include_str!("sql/has_words.sql"))?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Removes the words of what is purged up to a key, before that is purged.
pub(super) fn purge(session: &Session, purge: &RecordPurge, last: &str) -> Result<()> {
    if is_there(session)? {
        let purged = params![purge.tenant, purge.space, last];
        session.statement(include_str!("sql/purge_words.sql"))?.execute(purged)?;
    }
    Ok(())
}

/// The sum of each row, by what the index has of it.
fn sums(session: &Session) -> Result<HashMap<i64, u64>> {
    open_places(session)?;
    let mut sums = HashMap::<i64, u64>::new();
    let mut statement = session.statement("SELECT doc, term, offset FROM temp.word_places")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let word = row.get_ref(1)?.as_str().ok().and_then(|word| word.get(SCOPE..));
        let mark = mark(word.unwrap_or_default(), row.get::<_, i64>(2)? as u64);
        let sum = sums.entry(row.get(0)?).or_default();
        *sum = sum.wrapping_add(mark);
    }
    Ok(sums)
}

/// Makes the table of places, which is this connection's own, and nothing of the file.
fn open_places(session: &Session) -> Result<()> {
    let only_reads: bool = session.conn.pragma_query_value(None, "query_only", |row| row.get(0))?;
    session.conn.pragma_update(None, "query_only", false)?;
    let made = session.run(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.word_places
        USING fts5vocab('main', 'record_words', 'instance')",
    );
    session.conn.pragma_update(None, "query_only", only_reads)?;
    made
}

/// What the index has of each record against the sum of its text: what differs, `most` of it, and
/// how many texts there are.
pub(super) fn astray(session: &Session, most: usize) -> Result<(Vec<String>, u64)> {
    let mut indexed = if is_there(session)? { sums(session)? } else { HashMap::new() };
    let mut found = Vec::new();
    let mut texts = 0;
    let sql =
        "SELECT id, space, key, words, bytes IS NOT NULL FROM records WHERE words IS NOT NULL";
    let mut statement = session.statement(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        texts += 1;
        let sum = indexed.remove(&row.get(0)?).unwrap_or(0);
        if row.get::<_, i64>(3)? as u64 != sum || !row.get::<_, bool>(4)? {
            let (space, key): (String, String) = (row.get(1)?, row.get(2)?);
            let text =
                format!("record {key:?} of {space:?} is indexed by other words than its own");
            found.push(text);
        }
    }
    let others = indexed.keys();
    found.extend(
        others.map(|id| format!("the index of words has record number {id}, which has no text")),
    );
    found.truncate(most);
    Ok((found, texts))
}

/// A query as FTS5 takes it. A word holds nothing that has a meaning there.
pub(super) fn expression(query: &TextQuery, tenant: &str, space: &str) -> String {
    let scope = scope(tenant, space, SCOPE);
    let phrases = query.phrases().iter().map(|phrase| {
        let words = scoped(phrase, &scope).join(" ");
        format!("\"{words}\"{}", if phrase.prefix { " *" } else { "" })
    });
    phrases.collect::<Vec<_>>().join(" AND ")
}
