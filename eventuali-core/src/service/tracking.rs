//! How far another log was taken over into this one: a position that is stored with the events.
//!
//! It is a record that only rises, so that of two commits with one position one is refused, whoever
//! sent them, and what was taken over once is not taken over again.

use crate::error::{Error, ErrorKind, Result};
use crate::record::{ExpectedRecord, RecordChange, RecordKey, RecordQuery, RecordSelection};
use crate::storage::Answer;
use crate::store::EventStore;

/// The space of the records.
pub const SPACE: &str = "tracking";

/// A position of another log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// What the other log is called here.
    pub name: String,
    /// Everything up to here is taken over with the commit.
    pub position: u64,
}

impl Tracking {
    /// The change to a record that stores it, on condition that it rises.
    #[must_use]
    pub fn change(&self) -> RecordChange {
        let key = RecordKey::new(SPACE, self.name.clone());
        RecordChange::put(key, format!("{:020}", self.position)).expecting(ExpectedRecord::Rising)
    }

    /// The answer to a commit with this change: where it was refused for that, the error says so.
    #[must_use]
    pub fn answer<T: Send + 'static>(self, store: &EventStore, answer: Answer<T>) -> Answer<T> {
        let store = store.clone();
        Box::pin(async move {
            match answer.await {
                Err(error) if is_of_tracking(&error) => {
                    let stored = tracked(&store, &self.name).await?;
                    Err(self.refused(stored.unwrap_or(self.position)).with_source(error))
                }
                answer => answer,
            }
        })
    }

    fn refused(&self, stored: u64) -> Error {
        let Self { name, position } = self.clone();
        let text = format!(
            "position {position} of {name:?} is not above {stored}, which is stored already; go on \
             behind that"
        );
        Error::new(ErrorKind::TrackingConflict { name, position, stored }, text)
    }
}

/// Whether a commit was refused because a position did not rise.
#[must_use]
pub fn is_of_tracking(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::RecordConflict { key, .. } if key.space == SPACE)
}

/// The last position of another log that is stored; none before the first one.
#[must_use]
pub fn tracked(store: &EventStore, name: &str) -> Answer<Option<u64>> {
    let key = RecordKey::new(SPACE, name);
    if let Err(error) = key.check() {
        return Box::pin(std::future::ready(Err(error)));
    }
    let answer =
        store.records(RecordQuery::new(SPACE, RecordSelection::Keys(vec![key.key])), None, 1);
    Box::pin(async move {
        let record = answer.await?.records.pop();
        record.map(|record| decode(&record.key.key, &record.value.bytes)).transpose()
    })
}

fn decode(name: &str, bytes: &[u8]) -> Result<u64> {
    let position = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    position.ok_or_else(|| {
        let text = format!("the tracked position of {name:?} is damaged");
        Error::new(ErrorKind::Corrupted { position: None }, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_sort_as_they_are_written() {
        let bytes = |position| {
            let tracking = Tracking { name: "a".to_owned(), position };
            tracking.change().value.expect("it is put").bytes
        };
        for pair in [0, 1, 9, 10, u64::from(u32::MAX), u64::MAX - 1, u64::MAX].windows(2) {
            assert!(bytes(pair[0]) < bytes(pair[1]), "{pair:?}");
            assert_eq!(decode("a", &bytes(pair[1])).expect("it is whole"), pair[1]);
        }
        decode("a", b"x").expect_err("it is none");
    }
}
