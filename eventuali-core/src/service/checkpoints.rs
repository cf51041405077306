//! The checkpoints of a store, seen from outside: listed, put elsewhere, deleted.
//!
//! Each change is one to the record that a follower writes on condition of its version, so that one
//! who follows under the name meanwhile is told at its next write.

use super::place::{Place, SPACE, Stored, place_at};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{RecordChange, RecordKey, RecordQuery, RecordSelection};
use crate::storage::Answer;
use crate::store::EventStore;

/// A checkpoint, and how far it is from the end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// The name under which the log is followed.
    pub name: String,
    /// Everything that matches is handled up to here.
    pub position: u64,
    /// When it was written, µs since 1970 UTC by the clock of who wrote it; none where that was
    /// not noted.
    pub written_at: Option<i64>,
    /// How many positions of the log, of all tenants, lie behind it.
    pub lag: u64,
}

/// Where a checkpoint is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Behind everything up to a position.
    At(u64),
    /// Behind the last event that can be read.
    End,
}

/// The checkpoints of a store, in the order of their names.
#[must_use]
pub fn list(store: &EventStore) -> Answer<Vec<CheckpointInfo>> {
    let store = store.clone();
    Box::pin(async move {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = RecordQuery::new(SPACE, RecordSelection::Prefix(String::new()));
            let page = store.records(query, after, MAX_PAGE_EVENTS).await?;
            for record in page.records {
                let stored = Stored::of(&record)?;
                found.push((record.key.key, stored));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // Looked up later than the checkpoints, it lies behind none of them.
        let last = store.horizon().await?.last;
        Ok(found.into_iter().map(|(name, stored)| info(name, stored, last)).collect())
    })
}

/// Puts the checkpoint of a name elsewhere, whether there is one or not: on the last event at or
/// below the target.
///
/// [`ErrorKind::Invalid`] where a position is beyond what can be read.
#[must_use]
pub fn reset(store: &EventStore, name: &str, to: Target) -> Answer<CheckpointInfo> {
    let (store, key) = (store.clone(), key_of(store, name));
    Box::pin(async move {
        key.check()?;
        settled(&store, &key).await?;
        let horizon = store.horizon().await?;
        let place = match to {
            Target::End => place_at(&store, u64::MAX).await?,
            Target::At(position) if position > horizon.position => {
                let text = format!(
                    "position {position} is beyond {}, the last one that can be read; give a \
                     position of the log",
                    horizon.position
                );
                return Err(Error::invalid("position", text));
            }
            Target::At(position) => place_at(&store, position).await?,
        };
        let bytes = place.encode(true);
        let stored = Stored::decode(&bytes).map_err(|fault| {
            Error::new(ErrorKind::Corrupted { position: Some(place.position) }, fault)
        })?;
        let change = RecordChange::put(key.clone(), bytes);
        store.commit(Commit::change(vec![change])).await?;
        Ok(info(key.key, stored, horizon.last))
    })
}

/// Deletes the checkpoint of a name, which is new from then on; whether there was one.
#[must_use]
pub fn delete(store: &EventStore, name: &str) -> Answer<bool> {
    let (store, key) = (store.clone(), key_of(store, name));
    Box::pin(async move {
        key.check()?;
        settled(&store, &key).await?;
        let query = RecordQuery::new(SPACE, RecordSelection::Keys(vec![key.key.clone()]));
        if store.records(query, None, 1).await?.records.is_empty() {
            return Ok(false);
        }
        store.commit(Commit::change(vec![RecordChange::delete(key)])).await?;
        Ok(true)
    })
}

fn key_of(store: &EventStore, name: &str) -> RecordKey {
    let mut key = RecordKey::new(SPACE, name);
    store.tenant().clone_into(&mut key.tenant);
    key
}

/// Waits for what a follower of this store that has ended still writes.
async fn settled(store: &EventStore, key: &RecordKey) -> Result<()> {
    match store.settle(key).await {
        Err(error) if matches!(error.kind(), ErrorKind::CheckpointMismatch { .. }) => Ok(()),
        settled => settled,
    }
}

fn info(name: String, stored: Stored, last: u64) -> CheckpointInfo {
    let Stored { place: Place { position, .. }, written_at, .. } = stored;
    CheckpointInfo { name, position, written_at, lag: last.saturating_sub(position) }
}
