//! Dead letters: events that a group could not handle, and went on without.
//!
//! A dead letter is a record that points at the event, which stays where it is. The owner of the
//! partition writes it before it goes on, and is the only one to handle it again: whoever wants that
//! says so in the record. So an event is in one pair of hands at a time, and the place of the group
//! in the log never moves back.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::group::records::{decoded, record};
use super::group::{Held, MAX_PARTITIONS};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{
    ExpectedRecord, Record, RecordChange, RecordKey, RecordQuery, RecordSelection, RecordValue,
    Scalar,
};
use crate::storage::Answer;
use crate::store::EventStore;

/// The space of the records.
pub const SPACE: &str = "dead letter";
/// The entry of the index that says whose turn a letter is that is to be handled again.
const AGAIN: &str = "again";
/// The entry of the index that says which stream the event is of.
const STREAM: &str = "stream";
/// The digits of a position in a key.
const DIGITS: usize = 20;

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The position of the event.
    pub position: u64,
    /// Its id.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// The type and the id of its stream; none without a stream.
    pub stream: Option<(String, String)>,
    /// The partition that it belonged to when it was given up.
    pub partition: u32,
    /// The number of its key; see [`Held::key_of`].
    pub key: u64,
    /// Why it was given up: a word for programs.
    pub reason: String,
    /// What was raised, for people.
    pub error: String,
    /// Where it was raised, for people.
    pub trace: String,
    /// Who handled it last, for people.
    pub handled_by: String,
    /// How often it was handled.
    pub tries: u32,
    /// When it was given up, µs since 1970 UTC by the clock of who did.
    pub parked_at: i64,
    /// The payload that takes the place of the stored one when it is handled again, and the version
    /// of its type.
    pub edited: Option<(String, u32)>,
    /// Whether it is to be handled again.
    pub again: bool,
    /// How often that was begun and not ended.
    #[serde(default)]
    pub begun: u32,
}

impl DeadLetter {
    /// The letter as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Corrupted { position: Some(self.position) }, error.to_string())
        })
    }

    /// The letter of a JSON.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|error| Error::invalid("letter", error.to_string()))
    }
}

/// A dead letter, and the version of its record.
pub type Found = (DeadLetter, u64);

fn key(store: &EventStore, group: &str, position: u64) -> RecordKey {
    RecordKey {
        tenant: store.tenant().to_owned(),
        space: SPACE.to_owned(),
        key: format!("{group}/{position:0DIGITS$}"),
    }
}

fn is_of(group: &str, record: &Record) -> bool {
    let number = record.key.key.strip_prefix(group).and_then(|rest| rest.strip_prefix('/'));
    number.is_some_and(|number| number.len() == DIGITS && !number.contains('/'))
}

fn found(record: &Record) -> Result<Found> {
    Ok((decoded(record)?, record.version))
}

/// What the index says: no name has a line break, so these are no other group's.
fn of_stream(group: &str, stream: &(String, String)) -> Scalar {
    Scalar::Text(format!("{group}\n{}\n{}", stream.0, stream.1))
}

fn of_partition(group: &str, partition: u32) -> Scalar {
    Scalar::Text(format!("{group}\n{partition:03}"))
}

fn says(store: &EventStore, group: &str, letter: &DeadLetter) -> Result<RecordChange> {
    let bytes = letter.to_json()?;
    let mut index = Vec::new();
    if let Some(stream) = &letter.stream {
        index.push((STREAM.to_owned(), of_stream(group, stream)));
    }
    if letter.again {
        index.push((AGAIN.to_owned(), of_partition(group, letter.partition)));
    }
    let value = Some(RecordValue { bytes, index, ..RecordValue::default() });
    let key = key(store, group, letter.position);
    Ok(RecordChange { key, expected: ExpectedRecord::Any, value })
}

/// Gives an event up, for as long as the partition is owned; in the place of what was there, or of
/// a letter that is at a version. The version that it is at then.
///
/// [`ErrorKind::RecordConflict`] where it was changed since.
#[must_use]
pub fn park(held: &Held, letter: &DeadLetter, version: Option<u64>) -> Answer<u64> {
    let expected = version.map_or(ExpectedRecord::Any, ExpectedRecord::Exact);
    let change = says(held.store(), held.group(), letter).map(|change| change.expecting(expected));
    fenced(held, change)
}

/// Removes a letter that was handled, for as long as the partition is owned.
///
/// [`ErrorKind::RecordConflict`] where it was changed since.
#[must_use]
pub fn settle(held: &Held, position: u64, version: u64) -> Answer<()> {
    let change = RecordChange::delete(key(held.store(), held.group(), position))
        .expecting(ExpectedRecord::Exact(version));
    let settled = fenced(held, Ok(change));
    Box::pin(async move { settled.await.map(drop) })
}

fn fenced(held: &Held, change: Result<RecordChange>) -> Answer<u64> {
    let (store, check) = (held.store().clone(), held.fence());
    Box::pin(async move {
        let commit = Commit { checks: vec![check], ..Commit::change(vec![change?]) };
        let done = store.commit(commit).await?;
        Ok(done.record_versions.first().copied().unwrap_or(0))
    })
}

/// The letters of a group in the order of their positions, from behind one; at most `limit`.
#[must_use]
pub fn list(store: &EventStore, group: &str, after: u64, limit: usize) -> Answer<Vec<Found>> {
    let (store, group) = (store.clone(), group.to_owned());
    Box::pin(async move {
        let query = RecordQuery::new(SPACE, RecordSelection::Prefix(format!("{group}/")));
        let cursor = key(&store, &group, after).key;
        let mut after = Some(crate::record::RecordCursor { value: None, key: cursor });
        let mut all = Vec::new();
        while all.len() < limit {
            let size = (limit - all.len()).min(MAX_PAGE_EVENTS);
            let page = store.records(query.clone(), after, size).await?;
            for record in page.records.iter().filter(|record| is_of(&group, record)) {
                all.push(found(record)?);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    })
}

/// The letter at a position.
#[must_use]
pub fn find(store: &EventStore, group: &str, position: u64) -> Answer<Option<Found>> {
    let (store, key) = (store.clone(), key(store, group, position));
    Box::pin(async move { record(&store, key).await?.as_ref().map(found).transpose() })
}

/// Changes a letter that is at a version: its payload, or whether it is to be handled again.
///
/// [`ErrorKind::RecordConflict`] where it was changed since.
#[must_use]
pub fn change(store: &EventStore, group: &str, letter: &DeadLetter, version: u64) -> Answer<u64> {
    let store = store.clone();
    let change = says(&store, group, letter);
    Box::pin(async move {
        let change = change?.expecting(ExpectedRecord::Exact(version));
        let done = store.commit(Commit::change(vec![change])).await?;
        Ok(done.record_versions.first().copied().unwrap_or(0))
    })
}

/// Removes a letter that is at a version, and is not handled.
///
/// [`ErrorKind::RecordConflict`] where it was changed since.
#[must_use]
pub fn discard(store: &EventStore, group: &str, position: u64, version: u64) -> Answer<()> {
    let change =
        RecordChange::delete(key(store, group, position)).expecting(ExpectedRecord::Exact(version));
    let store = store.clone();
    Box::pin(async move { store.commit(Commit::change(vec![change])).await.map(drop) })
}

/// The first letters of a partition that are to be handled again, in the order of their positions;
/// where partitions were fewer once, in their order.
#[must_use]
pub fn wanted(held: &Held, limit: usize) -> Answer<Vec<Found>> {
    let (store, group) = (held.store().clone(), held.group().to_owned());
    let (partitioning, number) = (held.partitioning().clone(), held.number());
    Box::pin(async move {
        if !partitioning.was_raised() {
            let page = store.records(again(&group, number..=number), None, limit).await?;
            return page.records.iter().map(found).collect();
        }
        let query = again(&group, 0..=MAX_PARTITIONS - 1);
        let (mut own, mut after) = (Vec::new(), None);
        loop {
            let page = store.records(query.clone(), after, MAX_PAGE_EVENTS).await?;
            for record in &page.records {
                let found = found(record)?;
                if partitioning.number_of(found.0.key) == number {
                    own.push(found);
                }
            }
            after = page.next;
            if after.is_none() || own.len() >= limit {
                own.sort_unstable_by_key(|(letter, _)| letter.position);
                own.truncate(limit);
                return Ok(own);
            }
        }
    })
}

/// How many letters of some partitions are to be handled again.
#[must_use]
pub fn count_wanted(
    store: &EventStore,
    group: &str,
    partitions: RangeInclusive<u32>,
) -> Answer<u64> {
    store.count_records(again(group, partitions))
}

fn again(group: &str, partitions: RangeInclusive<u32>) -> RecordQuery {
    let (from, to) = partitions.into_inner();
    let select = RecordSelection::Index {
        name: AGAIN.to_owned(),
        from: Some(of_partition(group, from)),
        to: Some(of_partition(group, to)),
    };
    RecordQuery::new(SPACE, select)
}

/// Whether a letter of a stream is left.
#[must_use]
pub fn holds(store: &EventStore, group: &str, stream: &(String, String)) -> Answer<bool> {
    let value = of_stream(group, stream);
    let select = RecordSelection::Index {
        name: STREAM.to_owned(),
        from: Some(value.clone()),
        to: Some(value),
    };
    let answer = store.records(RecordQuery::new(SPACE, select), None, 1);
    Box::pin(async move { Ok(!answer.await?.records.is_empty()) })
}
