//! Records: judged and changed within a commit, and read in pages.

use std::collections::BTreeSet;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::connection::Session;
use super::value::in_order;
use super::words;
use crate::backend::sql::pages;
use crate::commit::{Commit, Committed};
use crate::error::{Error, Result};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{
    ABOVE_KEYS, ExpectedRecord, Record, RecordChange, RecordCheck, RecordCursor, RecordKey,
    RecordPage, RecordPurge, RecordQuery, RecordSelection, RecordValue, Scalar,
};

/// Above and below every rank of a scalar.
const RANKS: (i64, i64) = (-1, 9);

/// Version, commit and presence of a record; a version of 0 where it was never written.
struct State {
    version: u64,
    commit_id: Uuid,
    present: bool,
}

fn state(session: &Session, key: &RecordKey) -> Result<State> {
    let found = session
        .statement(include_str!("sql/record.sql"))?
        .query_row(params![key.tenant, key.space, key.key], |row| {
            Ok(State {
                version: row.get::<_, i64>(0)? as u64,
                commit_id: Uuid::from_bytes(row.get(1)?),
                present: row.get(2)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or(State { version: 0, commit_id: Uuid::nil(), present: false }))
}

/// Why a check does not hold, if so.
pub(super) fn refuse(session: &Session, check: &RecordCheck) -> Result<Option<Error>> {
    let found = state(session, &check.key)?;
    Ok(check.refuse(found.version, found.present))
}

/// Why a change cannot be made, if so.
pub(super) fn judge(session: &Session, change: &RecordChange) -> Result<Option<Error>> {
    if change.expected == ExpectedRecord::Any {
        return Ok(None);
    }
    let found = state(session, &change.key)?;
    let rising = change.expected == ExpectedRecord::Rising && found.present;
    let bytes = if rising { bytes_of(session, &change.key)? } else { None };
    Ok(change.refuse(found.version, found.present, bytes.as_deref()))
}

fn bytes_of(session: &Session, key: &RecordKey) -> Result<Option<Vec<u8>>> {
    let mut statement = session.statement(include_str!("sql/record_bytes.sql"))?;
    let found = statement.query_row(params![key.tenant, key.space, key.key], |row| row.get(0));
    Ok(found.optional()?.flatten())
}

/// Makes a change; returns the record's new version.
pub(super) fn apply(session: &Session, change: &RecordChange, commit_id: Uuid) -> Result<u64> {
    let key = &change.key;
    let value = change.value.as_ref();
    let text = value.and_then(|value| value.text.as_ref());
    let sum = text.map(words::sum_of);
    let put = session.statement(include_str!("sql/put_record.sql"))?.query_row(
        params![
            key.tenant,
            key.space,
            key.key,
            commit_id.as_bytes().as_slice(),
            value.and_then(|value| value.due),
            value.map(|value| &value.bytes),
            sum,
        ],
        |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)),
    )?;
    let (version, id, known): (u64, i64, Option<i64>) = put;
    // What is new has its sum by now, what was there has the one of before.
    let before = known.filter(|_| version > 1);
    if before != sum {
        words::keep(session, key, id, before.is_some(), text)?;
        if version > 1 {
            session.statement(include_str!("sql/update_words.sql"))?.execute(params![id, sum])?;
        }
    }
    let index = value.map_or(&[][..], |value| &value.index);
    if version > 1 {
        let wanted: BTreeSet<_> = index.iter().collect();
        if wanted.into_iter().eq(&entries(session, key)?) {
            return Ok(version);
        }
        session
            .statement(include_str!("sql/delete_record_index.sql"))?
            .execute(params![key.tenant, key.space, key.key])?;
    }
    let mut insert = session.statement(include_str!("sql/insert_record_index.sql"))?;
    for (name, scalar) in index {
        let rank = i64::from(scalar.rank());
        insert.execute(params![key.tenant, key.space, name, rank, to_sql(scalar), key.key])?;
    }
    Ok(version)
}

/// The entries of a record in the index, in the order of (name, value).
fn entries(session: &Session, key: &RecordKey) -> Result<Vec<(String, Scalar)>> {
    let mut statement = session.statement(include_str!("sql/record_entries.sql"))?;
    let mut rows = statement.query(params![key.tenant, key.space, key.key])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(value) = scalar(row, 1)? {
            found.push((row.get(0)?, value));
        }
    }
    Ok(found)
}

/// Removes records for good, the first ones by key; says how many.
pub(super) fn purge(session: &Session, purge: &RecordPurge) -> Result<u64> {
    let last: Option<String> = session
        .statement(include_str!("sql/last_record_to_purge.sql"))?
        .query_row(params![purge.tenant, purge.space, purge.limit() as i64], |row| row.get(0))?;
    let Some(last) = last else { return Ok(0) };
    let until = params![purge.tenant, purge.space, last];
    session.statement(include_str!("sql/purge_record_index.sql"))?.execute(until)?;
    words::purge(session, purge, &last)?;
    Ok(session.statement(include_str!("sql/purge_records.sql"))?.execute(until)? as u64)
}

/// The answer to a commit of records alone that was made before, and that nothing has touched since.
pub(super) fn repetition(session: &Session, commit: &Commit) -> Result<Option<Committed>> {
    let mut versions = Vec::with_capacity(commit.records.len());
    for change in &commit.records {
        let found = state(session, &change.key)?;
        if found.version == 0 || found.commit_id != commit.identity() {
            return Ok(None);
        }
        versions.push(found.version);
    }
    let repeated = !versions.is_empty();
    Ok(repeated.then(|| Committed { record_versions: versions, ..Committed::default() }))
}

/// The versions that a commit gave to records, as far as they can still be told.
pub(super) fn versions_of_repeated(session: &Session, commit: &Commit) -> Result<Vec<u64>> {
    let version = |change: &RecordChange| {
        let found = state(session, &change.key)?;
        Ok(match change.expected {
            _ if found.commit_id == commit.identity() => found.version,
            ExpectedRecord::Exact(before) => before.saturating_add(1),
            _ => found.version,
        })
    };
    commit.records.iter().map(version).collect()
}

/// One page of records.
pub(super) fn page(
    session: &Session,
    query: &RecordQuery,
    after: Option<&RecordCursor>,
    limit: usize,
) -> Result<RecordPage> {
    query.check()?;
    query.check_after(after)?;
    let limit = limit.clamp(1, MAX_PAGE_EVENTS);
    let found = match &query.select {
        RecordSelection::Keys(keys) => by_keys(session, query, keys, after, limit + 1)?,
        RecordSelection::Text(_) if !words::is_there(session)? => Vec::new(),
        RecordSelection::Text(_) => selected(session, query, None, limit)?,
        _ => selected(session, query, after, limit + 1)?,
    };
    Ok(pages::of_records(found, limit))
}

type Found = (Record, Option<Scalar>);

fn by_keys(
    session: &Session,
    query: &RecordQuery,
    keys: &[String],
    after: Option<&RecordCursor>,
    limit: usize,
) -> Result<Vec<Found>> {
    let ahead = |key: &&String| {
        after
            .is_none_or(|after| if query.backwards { **key < after.key } else { **key > after.key })
    };
    let mut keys: Vec<&String> = keys.iter().filter(ahead).collect();
    keys.sort_unstable();
    keys.dedup();
    if query.backwards {
        keys.reverse();
    }
    let mut found = Vec::new();
    for key in keys {
        let [tenant, space, key] =
            [&query.tenant, &query.space, key].map(|text| text.clone().into());
        let parameters = [tenant, space, key, query.bytes.into()];
        found.extend(run(session, query, include_str!("sql/record_by_key.sql"), &parameters)?);
        if found.len() == limit {
            break;
        }
    }
    Ok(found)
}

fn selected(
    session: &Session,
    query: &RecordQuery,
    after: Option<&RecordCursor>,
    limit: usize,
) -> Result<Vec<Found>> {
    let backwards = query.backwards;
    let mut parameters = parameters(query);
    let edge = if backwards { ABOVE_KEYS.as_str() } else { "" };
    let after_key = after.map_or_else(|| edge.to_owned(), |after| after.key.clone());
    let after_value = after.and_then(|after| after.value.as_ref());
    let sql = match &query.select {
        RecordSelection::Keys(_) => return Ok(Vec::new()),
        RecordSelection::Prefix(prefix) => {
            let above = after.is_none() && backwards;
            parameters.push(if above { format!("{prefix}{edge}") } else { after_key }.into());
            in_order!("sql/records_by_prefix.sql", backwards)
        }
        RecordSelection::Due { .. } => {
            let edge = if backwards { i64::MAX } else { i64::MIN };
            let after_due = after_value.map_or(Value::Integer(edge), to_sql);
            parameters.extend([after_due, after_key.into()]);
            in_order!("sql/records_due.sql", backwards)
        }
        RecordSelection::Index { .. } => {
            let edge = if backwards { RANKS.1 } else { RANKS.0 };
            parameters.extend(bound(after_value, edge));
            parameters.push(after_key.into());
            in_order!("sql/records_by_index.sql", backwards)
        }
        RecordSelection::Text(_) => include_str!("sql/records_by_words.sql"),
    };
    parameters.extend([(limit as i64).into(), query.bytes.into()]);
    let mut found = run(session, query, sql, &parameters)?;
    if let RecordSelection::Prefix(prefix) = &query.select {
        found.retain(|(record, _)| record.key.key.starts_with(prefix.as_str()));
    }
    Ok(found)
}

/// What a selection is made by, but for where a page begins.
fn parameters(query: &RecordQuery) -> Vec<Value> {
    let mut parameters: Vec<Value> = vec![query.tenant.clone().into(), query.space.clone().into()];
    match &query.select {
        RecordSelection::Keys(_) => {}
        RecordSelection::Prefix(prefix) => parameters.push(prefix.clone().into()),
        RecordSelection::Due { until } => {
            parameters.push(until.unwrap_or_else(crate::clock::now).into());
        }
        RecordSelection::Index { name, from, to } => {
            parameters.push(name.clone().into());
            parameters.extend(bound(from.as_ref(), RANKS.0));
            parameters.extend(bound(to.as_ref(), RANKS.1));
        }
        RecordSelection::Text(text) => {
            parameters.push(words::expression(text, &query.tenant, &query.space).into());
        }
    }
    parameters
}

/// Rank and value of a bound.
fn bound(scalar: Option<&Scalar>, unbounded: i64) -> [Value; 2] {
    let rank = scalar.map_or(unbounded, |scalar| i64::from(scalar.rank()));
    [rank.into(), scalar.map_or(Value::Integer(0), to_sql)]
}

/// How many records, or entries, a selection has.
pub(super) fn count(session: &Session, query: &RecordQuery) -> Result<u64> {
    query.check()?;
    let mut parameters = parameters(query);
    let sql = match &query.select {
        RecordSelection::Keys(keys) => {
            return Ok(by_keys(session, query, keys, None, usize::MAX)?.len() as u64);
        }
        RecordSelection::Prefix(prefix) => {
            parameters.push(format!("{prefix}{}", *ABOVE_KEYS).into());
            include_str!("sql/count_records_by_prefix.sql")
        }
        RecordSelection::Due { .. } => include_str!("sql/count_records_due.sql"),
        RecordSelection::Index { .. } => include_str!("sql/count_records_by_index.sql"),
        RecordSelection::Text(_) if !words::is_there(session)? => return Ok(0),
        RecordSelection::Text(_) => include_str!("sql/count_records_by_words.sql"),
    };
    let parameters = rusqlite::params_from_iter(parameters);
    let count: i64 = session.statement(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(count as u64)
}

fn run(
    session: &Session,
    query: &RecordQuery,
    sql: &str,
    parameters: &[Value],
) -> Result<Vec<Found>> {
    let mut statement = session.statement(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let record = record(session, query, row)?;
        found.push((record, scalar(row, 5)?));
    }
    Ok(found)
}

fn record(session: &Session, query: &RecordQuery, row: &Row<'_>) -> Result<Record> {
    let key =
        RecordKey { tenant: query.tenant.clone(), space: query.space.clone(), key: row.get(0)? };
    let index = if query.entries { entries(session, &key)? } else { Vec::new() };
    Ok(Record {
        version: row.get::<_, i64>(1)? as u64,
        commit_id: Uuid::from_bytes(row.get(2)?),
        value: RecordValue { due: row.get(3)?, bytes: row.get(4)?, index, text: None },
        key,
    })
}

fn to_sql(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Int(number) => Value::Integer(*number),
        Scalar::Real(number) => Value::Real(*number),
        Scalar::Text(text) => Value::Text(text.clone()),
    }
}

fn scalar(row: &Row<'_>, column: usize) -> Result<Option<Scalar>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(Scalar::Int(number)),
        ValueRef::Real(number) => Some(Scalar::Real(number)),
        ValueRef::Text(_) | ValueRef::Blob(_) => Some(Scalar::Text(row.get(column)?)),
    })
}
