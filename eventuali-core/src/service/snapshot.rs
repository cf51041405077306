//! Snapshots: what somebody made of a stream up to a version, found as the newest at or below one.
//!
//! They are a cache. Nothing here says whether one is right: who reads it compares it with the
//! stream. A place holds one snapshot at a time, so that a stream has as many records as places.

use std::time::Duration;

use crate::commit::{Commit, Committed};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{
    ExpectedRecord, Record, RecordChange, RecordKey, RecordQuery, RecordSelection, RecordValue,
    Scalar,
};
use crate::storage::Answer;
use crate::store::EventStore;

/// The space of the records.
pub const SPACE: &str = "snapshot";
/// The entry by which the newest is found: the series and the version, as text.
const OF: &str = "of";
/// The entry by which those of a kind are found.
const KIND: &str = "kind";
/// The entry by which those that are not in the first place are found: most streams have but one.
const PLACE: &str = "place";
/// How long a write waits for locks of other processes: a snapshot is not worth more, and whoever
/// closes the store waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is a snapshot of: a stream, as one version of the code sees it. Without `/`.
    pub series: String,
    /// Which of the places of its series it takes.
    pub place: u32,
    /// What sort of snapshot it is, for those who clean up.
    pub kind: String,
    /// The version of the stream.
    pub version: u64,
    /// What it holds; of two in one place, the bytes of the later one are the greater ones.
    pub bytes: Vec<u8>,
    /// When it may be removed, µs since 1970 UTC by the store's clock.
    pub due: Option<i64>,
}

/// What a snapshot takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// An older one, or none; a newer one stays, and the answer is a conflict.
    Older,
    /// The wrong one that is found under a key at a version of its record, and still there.
    Wrong(String, u64),
    /// Whatever is there, which can't be read.
    Anything,
}

/// The newest snapshot of a series at or below a version.
#[must_use]
pub fn newest(store: &EventStore, series: &str, at_most: u64) -> Answer<Option<Record>> {
    let (from, to) = (format!("{series}/"), entry(series, at_most));
    let query = RecordQuery {
        backwards: true,
        entries: false,
        ..within(OF, Some(Scalar::Text(from)), Some(Scalar::Text(to)))
    };
    let answer = store.records(query, None, 1);
    Box::pin(async { Ok(answer.await?.records.pop()) })
}

/// Writes a snapshot.
///
/// [`crate::error::ErrorKind::RecordConflict`] where something else is there than it takes the place
/// of.
#[must_use]
pub fn put(store: &EventStore, snapshot: Snapshot, instead: Instead) -> Answer<Committed> {
    let Snapshot { series, place, kind, version, bytes, due } = snapshot;
    let key = RecordKey::new(SPACE, format!("{series}/{place}"));
    let mut index = vec![
        (OF.to_owned(), Scalar::Text(entry(&series, version))),
        (KIND.to_owned(), Scalar::Text(kind)),
    ];
    if place > 0 {
        index.push((PLACE.to_owned(), Scalar::Int(place.into())));
    }
    let value = RecordValue { bytes, due, index, text: None };
    let change = |expected| RecordChange { key: key.clone(), expected, value: Some(value) };
    let changes = match instead {
        Instead::Older => vec![change(ExpectedRecord::Rising)],
        Instead::Anything => vec![change(ExpectedRecord::Any)],
        Instead::Wrong(wrong, at) if wrong == key.key => vec![change(ExpectedRecord::Exact(at))],
        Instead::Wrong(wrong, at) => {
            let gone = RecordChange::delete(RecordKey::new(SPACE, wrong));
            vec![gone.expecting(ExpectedRecord::Exact(at)), change(ExpectedRecord::Rising)]
        }
    };
    store.commit(Commit { patience: Some(PATIENCE), ..Commit::change(changes) })
}

/// The first snapshots of the kinds from one to another, both included, as (key, version of the
/// record).
#[must_use]
pub fn of_kinds(
    store: &EventStore,
    from: String,
    to: String,
    limit: usize,
) -> Answer<Vec<(String, u64)>> {
    names(store, within(KIND, Some(Scalar::Text(from)), Some(Scalar::Text(to))), limit)
}

/// The first snapshots whose place is not one of so many, as (key, version of the record).
#[must_use]
pub fn above(store: &EventStore, places: u32, limit: usize) -> Answer<Vec<(String, u64)>> {
    names(store, within(PLACE, Some(Scalar::Int(places.into())), None), limit)
}

/// Reads no snapshot itself: a page of them is as large as they are.
fn names(store: &EventStore, query: RecordQuery, limit: usize) -> Answer<Vec<(String, u64)>> {
    let query = RecordQuery { entries: false, bytes: false, ..query };
    let answer = store.records(query, None, limit.min(MAX_PAGE_EVENTS));
    Box::pin(async {
        let found = answer.await?.records.into_iter();
        Ok(found.map(|record| (record.key.key, record.version)).collect())
    })
}

fn within(name: &str, from: Option<Scalar>, to: Option<Scalar>) -> RecordQuery {
    RecordQuery::new(SPACE, RecordSelection::Index { name: name.to_owned(), from, to })
}

/// What the newest is found by; as text, it is in the order of the versions.
fn entry(series: &str, version: u64) -> String {
    format!("{series}/{version:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sort_as_versions_do_within_their_series() {
        let versions = [0, 1, 9, 10, u64::from(u32::MAX), i64::MAX as u64, u64::MAX];
        for pair in versions.windows(2) {
            assert!(entry("a", pair[0]) < entry("a", pair[1]), "{pair:?}");
        }
        assert!("a/" < entry("a", 0).as_str());
        assert!(entry("a", u64::MAX) < entry("b", 0));
    }
}
