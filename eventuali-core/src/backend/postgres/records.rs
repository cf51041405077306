//! Records: judged and changed within a commit, and read in pages.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

use super::connection::Session;
use super::statements::{Asked, OfRecords, Statement};
use super::value::up_to_nul;
use super::words;
use crate::backend::sql::pages;
use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{
    ABOVE_KEYS, ExpectedRecord, Record, RecordChange, RecordCursor, RecordKey, RecordPage,
    RecordPurge, RecordQuery, RecordSelection, RecordValue, Scalar,
};

/// Above and below every rank of a scalar.
const RANKS: (i16, i16) = (-1, 9);
/// With fewer records, a look at all of them is one statement less; tests with few take either way.
const MIN_UNSEEN: usize = if cfg!(feature = "faults") { 1 } else { 8 };

/// Version, commit and presence of a record; a version of 0 where it was never written.
#[derive(Debug, Clone, Copy)]
struct State {
    version: u64,
    commit_id: Uuid,
    present: bool,
}

/// The records of a group of commits, locked for its transaction.
#[derive(Default)]
pub(super) struct Locked<'c> {
    states: HashMap<&'c RecordKey, State>,
    /// The states of records that only must be where they are.
    checked: HashMap<&'c RecordKey, State>,
    /// What records hold that are expected to rise.
    contents: HashMap<&'c RecordKey, Vec<u8>>,
    /// The last change to each record.
    changes: BTreeMap<&'c RecordKey, &'c RecordChange>,
    /// The changes to records that were not looked at, and the commit that makes them.
    unseen: (Uuid, BTreeMap<&'c RecordKey, &'c RecordChange>),
}

/// Whether it is worth while to write some records of a commit without a look at them: only one that
/// is judged by others can tell by these whether it was made before.
pub(super) fn writes_unseen(commit: &Commit) -> bool {
    let unseen = commit.records.iter().filter(|change| !is_judged(change)).count();
    unseen >= MIN_UNSEEN && unseen < commit.records.len()
}

/// Whether a change depends on what is there.
pub(super) fn is_judged(change: &RecordChange) -> bool {
    change.expected != ExpectedRecord::Any
}

impl<'c> Locked<'c> {
    /// The records of `keys`, of which `row` holds version, commit and presence in three columns
    /// from `column` on.
    pub(super) fn of(keys: BTreeSet<&'c RecordKey>, row: &PgRow, column: usize) -> Result<Self> {
        let versions: Vec<i64> = list(row, column)?;
        let commits: Vec<Uuid> = list(row, column + 1)?;
        let present: Vec<bool> = list(row, column + 2)?;
        if versions.len() != keys.len() {
            let text = "a record was purged while it was looked at";
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        let mut states = HashMap::with_capacity(keys.len());
        for (((key, version), commit_id), present) in
            keys.into_iter().zip(versions).zip(commits).zip(present)
        {
            states.insert(key, State { version: version as u64, commit_id, present });
        }
        Ok(Self { states, ..Self::default() })
    }

    /// Locks the records that are checked, shared, and that no commit changes. It comes last, since
    /// whoever changes what is checked, such as the generations of a projection, rarely changes
    /// anything else that a save does. Where two wait for each other all the same, one gives up in
    /// `lock_timeout` and is tried again.
    pub(super) async fn check(
        &mut self,
        session: &mut Session,
        commits: &[&'c Commit],
    ) -> Result<()> {
        let checks = commits.iter().flat_map(|commit| &commit.checks).map(|check| &check.key);
        let changed: HashSet<&RecordKey> =
            commits.iter().flat_map(|commit| &commit.records).map(|change| &change.key).collect();
        let keys: BTreeSet<&RecordKey> = checks.filter(|key| !changed.contains(key)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&session.shared);
        let keys: Vec<&RecordKey> = keys.into_iter().collect();
        let asked = Columns::of(keys.iter().copied()).bind(shared.statements.check_records.query());
        for row in asked.fetch_all(&mut session.conn).await? {
            let place: i64 = row.try_get(0)?;
            let (version, commit_id) = (row.try_get::<i64, _>(1)? as u64, row.try_get(2)?);
            let state = State { version, commit_id, present: row.try_get(3)? };
            self.checked.insert(keys[place as usize - 1], state);
        }
        Ok(())
    }

    /// Reads what the records hold that are expected to rise; they are locked by now.
    pub(super) async fn read_rising(
        &mut self,
        session: &mut Session,
        commits: &[&'c Commit],
    ) -> Result<()> {
        let changes = commits.iter().flat_map(|commit| &commit.records);
        let rising = changes.filter(|change| change.expected == ExpectedRecord::Rising);
        let keys: BTreeSet<&RecordKey> = rising.map(|change| &change.key).collect();
        let keys: Vec<&RecordKey> =
            keys.into_iter().filter(|key| self.state(key).present).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&session.shared);
        let asked = Columns::of(keys.iter().copied()).bind(shared.statements.record_bytes.query());
        for row in asked.fetch_all(&mut session.conn).await? {
            let place: i64 = row.try_get(0)?;
            self.contents.insert(keys[place as usize - 1], row.try_get(1)?);
        }
        Ok(())
    }

    /// What a record holds that is expected to rise, with what the group has made of it.
    fn rising(&self, key: &RecordKey) -> Option<&[u8]> {
        match self.changes.get(key) {
            Some(change) => change.value.as_ref().map(|value| &value.bytes[..]),
            None => self.contents.get(key).map(Vec::as_slice),
        }
    }

    /// Whether a commit that looked at some of its records only may have been made before.
    pub(super) fn may_repeat(&self, commit: &Commit) -> bool {
        let mut judged = commit.records.iter().filter(|change| is_judged(change));
        judged.any(|change| self.state(&change.key).commit_id == commit.identity())
    }

    fn state(&self, key: &RecordKey) -> State {
        let never = State { version: 0, commit_id: Uuid::nil(), present: false };
        self.states.get(key).copied().unwrap_or(never)
    }

    /// Whether nobody has ever written a record.
    pub(super) fn is_new(&self, key: &RecordKey) -> bool {
        self.state(key).version == 0
    }

    /// Why a commit's changes cannot be made, if so.
    pub(super) fn judge(&self, commit: &Commit) -> Option<Error> {
        commit
            .records
            .iter()
            .find_map(|change| {
                let found = self.state(&change.key);
                change.refuse(found.version, found.present, self.rising(&change.key))
            })
            .or_else(|| {
                commit.checks.iter().find_map(|check| {
                    let found = self.checked.get(&check.key).copied();
                    let found = found.unwrap_or_else(|| self.state(&check.key));
                    check.refuse(found.version, found.present)
                })
            })
    }

    /// Makes a commit's changes, to be written at the end; the new versions.
    pub(super) fn apply(&mut self, commit: &'c Commit) -> Vec<u64> {
        let mut versions = Vec::with_capacity(commit.records.len());
        for change in &commit.records {
            if !self.states.contains_key(&change.key) {
                self.unseen.0 = commit.identity();
                self.unseen.1.insert(&change.key, change);
                versions.push(0); // `write` tells
                continue;
            }
            let version = self.state(&change.key).version + 1;
            let present = change.value.is_some();
            let state = State { version, commit_id: commit.identity(), present };
            self.states.insert(&change.key, state);
            self.changes.insert(&change.key, change);
            versions.push(version);
        }
        versions
    }

    /// The answer to a commit of records alone that was made before, and that nothing has touched
    /// since.
    pub(super) fn repetition(&self, commit: &Commit) -> Option<Committed> {
        let states = commit.records.iter().map(|change| self.state(&change.key));
        let mine = |state: State| {
            (state.version > 0 && state.commit_id == commit.identity()).then_some(state.version)
        };
        let versions = states.map(mine).collect::<Option<Vec<u64>>>()?;
        let repeated = !versions.is_empty();
        repeated.then(|| Committed { record_versions: versions, ..Committed::default() })
    }

    /// The versions that a commit gave to records, as far as they can still be told.
    pub(super) fn versions_of_repeated(&self, commit: &Commit) -> Vec<u64> {
        let version = |change: &RecordChange| {
            let found = self.state(&change.key);
            match change.expected {
                _ if found.commit_id == commit.identity() => found.version,
                ExpectedRecord::Exact(before) => before.saturating_add(1),
                _ => found.version,
            }
        };
        commit.records.iter().map(version).collect()
    }

    /// Writes what was changed; the versions of records that were not looked at.
    pub(super) async fn write(&self, session: &mut Session) -> Result<HashMap<&'c RecordKey, u64>> {
        let written = self.write_unseen(session).await?;
        if self.changes.is_empty() {
            return Ok(written);
        }
        let columns = Columns::of(self.changes.keys().copied());
        let states = self.changes.keys().map(|key| self.state(key));
        let (versions, commits): (Vec<i64>, Vec<Uuid>) =
            states.map(|state| (state.version as i64, state.commit_id)).unzip();
        let (dues, bytes) = values(&self.changes);
        let texts = words::columns(&self.changes);
        let statements = &Arc::clone(&session.shared).statements;
        let asked =
            if texts.is_some() { &statements.call_keep_texts } else { &statements.call_keep };
        let asked = columns.bind(asked.query());
        let mut asked = asked.bind(versions).bind(commits).bind(dues).bind(bytes);
        if let Some((texts, lexemes)) = texts {
            asked = asked.bind(texts).bind(lexemes);
        }
        let index = self.changes.iter().flat_map(|(key, change)| entries_of(key, change));
        bind_entries(asked, index).execute(&mut session.conn).await?;
        Ok(written)
    }

    async fn write_unseen(&self, session: &mut Session) -> Result<HashMap<&'c RecordKey, u64>> {
        let (commit_id, changes) = &self.unseen;
        let mut written = HashMap::with_capacity(changes.len());
        if changes.is_empty() {
            return Ok(written);
        }
        let (dues, bytes) = values(changes);
        let texts = words::columns(changes);
        let statements = &Arc::clone(&session.shared).statements;
        let asked = if texts.is_some() { &statements.put_texts } else { &statements.put_records };
        let asked = Columns::of(changes.keys().copied()).bind(asked.query());
        let mut asked = asked.bind(*commit_id).bind(dues).bind(bytes);
        if let Some((texts, lexemes)) = texts {
            asked = asked.bind(texts).bind(lexemes);
        }
        for row in asked.fetch_all(&mut session.conn).await? {
            let (tenant, space, key) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some((key, _)) = changes.get_key_value(&RecordKey { tenant, space, key }) {
                written.insert(*key, row.try_get::<i64, _>(3)? as u64);
            }
        }
        self.index_unseen(session, &written).await?;
        Ok(written)
    }

    /// Brings the entries of the records in line that were not looked at, where they differ.
    async fn index_unseen(
        &self,
        session: &mut Session,
        written: &HashMap<&'c RecordKey, u64>,
    ) -> Result<()> {
        let statements = &Arc::clone(&session.shared).statements;
        let old = written.iter().filter(|(_, version)| **version > 1).map(|(key, _)| *key);
        let old: Vec<&RecordKey> = old.collect();
        let asked = Columns::of(old.iter().copied()).bind(statements.record_entries.query());
        let mut found: HashMap<&RecordKey, BTreeSet<(String, Scalar)>> = HashMap::new();
        if !old.is_empty() {
            for row in asked.fetch_all(&mut session.conn).await? {
                let words: &[u8] = row.try_get(5)?;
                let (whole, fraction) = (row.try_get(3)?, row.try_get(4)?);
                let scalar = Parts { rank: row.try_get(2)?, whole, fraction, words }.scalar()?;
                let place: i64 = row.try_get(0)?;
                let entry = (row.try_get(1)?, scalar);
                found.entry(old[place as usize]).or_default().insert(entry);
            }
        }
        let wanted = |key: &RecordKey| {
            let value = self.unseen.1.get(key).and_then(|change| change.value.as_ref());
            value.into_iter().flat_map(|value| &value.index).collect::<BTreeSet<_>>()
        };
        let none = BTreeSet::new();
        let differs = |key: &RecordKey| {
            let there = found.get(key).unwrap_or(&none);
            !wanted(key).into_iter().eq(there)
        };
        let others = self.unseen.1.keys().copied().filter(|key| differs(key));
        let others: Vec<&RecordKey> = others.collect();
        let stale: Vec<_> = others.iter().filter(|key| found.contains_key(**key)).collect();
        if !stale.is_empty() {
            let asked = statements.delete_record_entries.query();
            let asked = Columns::of(stale.into_iter().copied()).bind(asked);
            asked.execute(&mut session.conn).await?;
        }
        if !others.is_empty() {
            let index = others.iter().filter_map(|key| self.unseen.1.get_key_value(*key));
            let index = index.flat_map(|(key, change)| entries_of(key, change));
            let asked = bind_entries(statements.insert_record_entries.query(), index);
            asked.execute(&mut session.conn).await?;
        }
        Ok(())
    }
}

/// When records are due, and what they hold, a column each.
fn values<'c>(
    changes: &BTreeMap<&'c RecordKey, &'c RecordChange>,
) -> (Vec<Option<i64>>, Vec<Option<&'c [u8]>>) {
    let values = changes.values().map(|change| change.value.as_ref());
    values.map(|v| (v.and_then(|v| v.due), v.map(|v| v.bytes.as_slice()))).unzip()
}

/// The entries of a change in the index, each once.
fn entries_of<'c>(
    key: &'c RecordKey,
    change: &'c RecordChange,
) -> impl Iterator<Item = (&'c RecordKey, &'c str, Parts<'c>)> {
    let index = change.value.iter().flat_map(|value| &value.index).collect::<BTreeSet<_>>();
    index.into_iter().map(move |(name, scalar)| (key, name.as_str(), Parts::of(scalar)))
}

fn bind_entries<'q, 'c>(
    asked: Asked<'q>,
    index: impl Iterator<Item = (&'c RecordKey, &'c str, Parts<'c>)>,
) -> Asked<'q> {
    let (mut keys, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (key, name, parts) in index {
        keys.push(key);
        names.push(name);
        values.push(parts);
    }
    Columns::of(keys.into_iter())
        .bind(asked)
        .bind(names)
        .bind(values.iter().map(|parts| parts.rank).collect::<Vec<_>>())
        .bind(values.iter().map(|parts| parts.whole).collect::<Vec<_>>())
        .bind(values.iter().map(|parts| parts.fraction).collect::<Vec<_>>())
        .bind(values.iter().map(|parts| parts.words).collect::<Vec<_>>())
}

/// Keys of records, a column each part.
pub(super) struct Columns<'c>(Vec<&'c str>, Vec<&'c str>, Vec<&'c str>);

impl<'c> Columns<'c> {
    pub(super) fn of(keys: impl Iterator<Item = &'c RecordKey>) -> Self {
        let mut columns = Self(Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            columns.0.push(&key.tenant);
            columns.1.push(&key.space);
            columns.2.push(&key.key);
        }
        columns
    }

    pub(super) fn bind<'q>(&self, statement: Asked<'q>) -> Asked<'q> {
        statement.bind(self.0.clone()).bind(self.1.clone()).bind(self.2.clone())
    }
}

/// Removes records for good, the first ones by key; says how many.
pub(super) async fn purge(session: &mut Session, purge: &RecordPurge) -> Result<u64> {
    let shared = Arc::clone(&session.shared);
    let asked = shared.statements.purge_records.query().bind(&purge.tenant).bind(&purge.space);
    let row = asked.bind(purge.limit() as i64).fetch_one(&mut session.conn).await?;
    Ok(row.try_get::<i64, _>(0)? as u64)
}

/// A scalar as the index holds it: its rank, and three columns of which one says something.
#[derive(Clone, Copy)]
struct Parts<'s> {
    rank: i16,
    whole: i64,
    fraction: f64,
    words: &'s [u8],
}

impl<'s> Parts<'s> {
    const fn edge(rank: i16) -> Self {
        Self { rank, whole: 0, fraction: 0.0, words: &[] }
    }

    fn of_bound(scalar: Option<&'s Scalar>, unbounded: i16) -> Self {
        scalar.map_or(Self::edge(unbounded), Self::of)
    }

    fn of(scalar: &'s Scalar) -> Self {
        let parts = Self::edge(i16::from(scalar.rank()));
        match scalar {
            Scalar::Int(number) => Self { whole: *number, ..parts },
            Scalar::Real(number) => Self { fraction: *number, ..parts },
            Scalar::Text(text) => Self { words: text.as_bytes(), ..parts },
        }
    }

    fn bind(self, statement: Asked<'_>) -> Asked<'_> {
        statement.bind(self.rank).bind(self.whole).bind(self.fraction).bind(self.words.to_vec())
    }

    fn scalar(self) -> Result<Scalar> {
        Ok(match self.rank {
            0 => Scalar::Int(self.whole),
            1 => Scalar::Real(self.fraction),
            2 => Scalar::Text(std::str::from_utf8(self.words).map_err(corrupted)?.to_owned()),
            _ => return Err(corrupted("rank")),
        })
    }
}

fn corrupted(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let text = "the index of a record differs from what was written";
    Error::new(ErrorKind::Corrupted { position: None }, text).with_source(cause)
}

/// One page of records.
pub(super) async fn page(
    session: &mut Session,
    query: &RecordQuery,
    after: Option<&RecordCursor>,
    limit: usize,
) -> Result<RecordPage> {
    query.check()?;
    query.check_after(after)?;
    let limit = limit.clamp(1, MAX_PAGE_EVENTS);
    // A search ends with its page.
    let more = usize::from(!matches!(query.select, RecordSelection::Text(_)));
    let found = selected(session, query, after, limit + more).await?;
    Ok(pages::of_records(found, limit))
}

type Found = (Record, Option<Scalar>);

async fn selected(
    session: &mut Session,
    query: &RecordQuery,
    after: Option<&RecordCursor>,
    limit: usize,
) -> Result<Vec<Found>> {
    let shared = Arc::clone(&session.shared);
    let statements = &shared.statements;
    let edge = if query.backwards { ABOVE_KEYS.as_str() } else { "" };
    let after_key = up_to_nul(after.map_or(edge, |after| &after.key));
    let after_value = after.and_then(|after| after.value.as_ref());
    let of_space =
        |of: &OfRecords| of.query(query).bind(query.tenant.clone()).bind(query.space.clone());
    let statement = match &query.select {
        RecordSelection::Keys(keys) => {
            // A key is looked for by itself, and once.
            let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
            let ahead = |key: &&str| {
                let ahead = if query.backwards { *key < after_key } else { *key > after_key };
                ahead && !key.contains('\0')
            };
            let keys: Vec<&str> = keys.into_iter().filter(ahead).collect();
            of_space(&statements.records_by_keys).bind(keys)
        }
        // No key has a NUL.
        RecordSelection::Prefix(prefix) if prefix.contains('\0') => return Ok(Vec::new()),
        RecordSelection::Prefix(prefix) => {
            let above = after.is_none() && query.backwards;
            let behind = if above { format!("{prefix}{edge}") } else { after_key.to_owned() };
            of_space(&statements.records_by_prefix).bind(prefix).bind(behind)
        }
        RecordSelection::Due { until } => {
            let after_due = match after_value {
                Some(Scalar::Int(due)) => *due,
                _ if query.backwards => i64::MAX,
                _ => i64::MIN,
            };
            of_space(&statements.records_due).bind(*until).bind(after_due).bind(after_key)
        }
        RecordSelection::Index { name, from, to } => {
            let statement =
                bounded(of_space(&statements.records_by_index), name, from.as_ref(), to.as_ref());
            let edge = if query.backwards { RANKS.1 } else { RANKS.0 };
            Parts::of_bound(after_value, edge).bind(statement).bind(after_key)
        }
        RecordSelection::Text(text) => {
            words::bind(of_space(&statements.records_by_words), text, &query.tenant, &query.space)
        }
    };
    let rows = statement.bind(limit as i64).bind(query.bytes).fetch_all(&mut session.conn).await?;
    let mut found = rows.iter().map(|row| found(query, row)).collect::<Result<Vec<_>>>()?;
    if let RecordSelection::Prefix(prefix) = &query.select {
        found.retain(|(record, _)| record.key.key.starts_with(prefix.as_str()));
    }
    Ok(found)
}

/// A selection by the index, but for where a page begins.
fn bounded<'q>(
    statement: Asked<'q>,
    name: &'q str,
    from: Option<&Scalar>,
    to: Option<&Scalar>,
) -> Asked<'q> {
    let statement = Parts::of_bound(from, RANKS.0).bind(statement.bind(name));
    Parts::of_bound(to, RANKS.1).bind(statement)
}

/// How many records, or entries, a selection has.
pub(super) async fn count(session: &mut Session, query: &RecordQuery) -> Result<u64> {
    query.check()?;
    let shared = Arc::clone(&session.shared);
    let statements = &shared.statements;
    let of_space = |of: &Statement| of.query().bind(query.tenant.clone()).bind(query.space.clone());
    let statement = match &query.select {
        RecordSelection::Keys(keys) => {
            let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
            let keys: Vec<&str> = keys.into_iter().filter(|key| !key.contains('\0')).collect();
            of_space(&statements.count_records_by_keys).bind(keys)
        }
        RecordSelection::Prefix(prefix) if prefix.contains('\0') => return Ok(0),
        RecordSelection::Prefix(prefix) => {
            let above = format!("{prefix}{}", *ABOVE_KEYS);
            of_space(&statements.count_records_by_prefix).bind(prefix).bind(above)
        }
        RecordSelection::Due { until } => of_space(&statements.count_records_due).bind(*until),
        RecordSelection::Index { name, from, to } => {
            bounded(of_space(&statements.count_records_by_index), name, from.as_ref(), to.as_ref())
        }
        RecordSelection::Text(text) => words::bind(
            of_space(&statements.count_records_by_words),
            text,
            &query.tenant,
            &query.space,
        ),
    };
    let row = statement.fetch_one(&mut session.conn).await?;
    Ok(row.try_get::<i64, _>(0)? as u64)
}

/// A record, and what it is sorted by.
fn found(query: &RecordQuery, row: &PgRow) -> Result<Found> {
    let key = RecordKey {
        tenant: query.tenant.clone(),
        space: query.space.clone(),
        key: row.try_get(0)?,
    };
    let due: Option<i64> = row.try_get(3)?;
    let value = RecordValue { due, bytes: row.try_get(4)?, index: entries(row)?, text: None };
    let sorted_by = match &query.select {
        RecordSelection::Due { .. } => due.map(Scalar::Int),
        RecordSelection::Index { .. } => {
            let words: &[u8] = row.try_get(13)?;
            let (whole, fraction) = (row.try_get(11)?, row.try_get(12)?);
            Some(Parts { rank: row.try_get(10)?, whole, fraction, words }.scalar()?)
        }
        _ => None,
    };
    let version = row.try_get::<i64, _>(1)? as u64;
    Ok((Record { key, version, value, commit_id: row.try_get(2)? }, sorted_by))
}

/// The entries of a record in the index; a set, in the order of (name, value).
fn entries(row: &PgRow) -> Result<Vec<(String, Scalar)>> {
    let names: Vec<String> = list(row, 5)?;
    let (ranks, wholes): (Vec<i16>, Vec<i64>) = (list(row, 6)?, list(row, 7)?);
    let (fractions, words): (Vec<f64>, Vec<Vec<u8>>) = (list(row, 8)?, list(row, 9)?);
    let parts = ranks.iter().zip(wholes).zip(fractions).zip(&words);
    let scalars = parts.map(|(((rank, whole), fraction), words)| {
        Parts { rank: *rank, whole, fraction, words }.scalar()
    });
    names.into_iter().zip(scalars).map(|(name, scalar)| Ok((name, scalar?))).collect()
}

pub(super) fn list<'r, T>(row: &'r PgRow, column: usize) -> Result<Vec<T>>
where
    Vec<T>: Decode<'r, Postgres> + Type<Postgres>,
{
    Ok(row.try_get::<Option<Vec<T>>, _>(column)?.unwrap_or_default())
}
