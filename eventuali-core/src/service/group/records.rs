//! What a group keeps in the store: its partitions, who handles them, and who is there.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::partition::Partitioning;
use crate::error::{Error, ErrorKind, Result};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{Record, RecordChange, RecordKey, RecordQuery, RecordSelection};
use crate::store::EventStore;

/// How a group divides the log: a record a group.
pub(super) const GROUPS: &str = "group";
/// Who handles a partition: a record each. Its version is the generation.
pub(super) const LEASES: &str = "group lease";
/// Who is there: a record each, which is changed again and again for as long as they are.
pub(super) const MEMBERS: &str = "group member";
/// How far a partition is handled: a record each.
pub(super) const CHECKPOINTS: &str = "group checkpoint";
/// Which event a partition tries that may have ended a process before: a record each.
pub(super) const ATTEMPTS: &str = "group attempt";

/// The most bytes of a group's name: the records of its members have longer ones.
const NAME_BYTES: usize = 200;

/// Who handles a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    /// None where it is free.
    pub(super) owner: Option<Uuid>,
    /// Whether whoever handled it before ended in the middle, as far as one can know.
    pub(super) crashed: bool,
}

/// A member, as long as this changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beat {
    /// The id of its process, for people.
    pub(super) process: u32,
    /// How often it was written.
    pub(super) count: u64,
    /// How long the others wait for it, in ms.
    pub(super) lease: u64,
    /// Whether it gives away what it owns, and takes nothing any more.
    pub(super) leaving: bool,
    /// The numbers of the partitions that it can take; none for all.
    #[serde(default)]
    pub(super) can: Option<Vec<u32>>,
    /// What it lost while an event of it was in hand that is in hand still: others take that, above
    /// their share.
    #[serde(default)]
    pub(super) hangs: Vec<u32>,
}

/// An event that is tried by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Its position.
    pub(super) position: u64,
    /// How often it was begun.
    pub(super) tries: u32,
}

/// The names of a group's records.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    tenant: String,
    name: String,
}

impl Keys {
    pub(super) fn new(store: &EventStore, name: &str) -> Result<Self> {
        if name.len() > NAME_BYTES {
            let text = format!("the name of a group has at most {NAME_BYTES} bytes");
            return Err(Error::invalid("name", text));
        }
        let keys = Self { tenant: store.tenant().to_owned(), name: name.to_owned() };
        keys.group().check()?;
        Ok(keys)
    }

    fn key(&self, space: &str, key: String) -> RecordKey {
        RecordKey { tenant: self.tenant.clone(), space: space.to_owned(), key }
    }

    pub(super) fn group(&self) -> RecordKey {
        self.key(GROUPS, self.name.clone())
    }

    pub(super) fn of(&self, space: &str, partition: u32) -> RecordKey {
        self.key(space, format!("{}/{partition}", self.name))
    }

    pub(super) fn member(&self, id: Uuid) -> RecordKey {
        self.key(MEMBERS, format!("{}/{id}", self.name))
    }

    /// The id of a member, where a key is that of one of this group.
    fn id_of(&self, key: &str) -> Option<Uuid> {
        Uuid::parse_str(key.strip_prefix(&self.name)?.strip_prefix('/')?).ok()
    }

    /// The partitions' records of a space, by number; none where it is not there.
    pub(super) async fn by_partition(
        &self,
        store: &EventStore,
        space: &str,
        partitions: u32,
    ) -> Result<Vec<Option<Record>>> {
        let keys: Vec<String> = (0..partitions).map(|number| self.of(space, number).key).collect();
        let query = RecordQuery::new(space, RecordSelection::Keys(keys.clone()));
        let mut found = vec![None; keys.len()];
        let mut after = None;
        loop {
            let page = store.records(query.clone(), after, MAX_PAGE_EVENTS).await?;
            for record in page.records {
                if let Some(index) = keys.iter().position(|key| *key == record.key.key) {
                    found[index] = Some(record);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// The members, with the versions of their records.
    pub(super) async fn members(&self, store: &EventStore) -> Result<Vec<(Uuid, u64, Beat)>> {
        let select = RecordSelection::Prefix(format!("{}/", self.name));
        let query = RecordQuery::new(MEMBERS, select);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.records(query.clone(), after, MAX_PAGE_EVENTS).await?;
            for record in page.records {
                // Another group's name may begin with this one's.
                if let Some(id) = self.id_of(&record.key.key) {
                    found.push((id, record.version, decoded(&record)?));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// How the group divides the log, and the version of that; none before it was ever joined.
    pub(super) async fn partitioning(
        &self,
        store: &EventStore,
    ) -> Result<Option<(Partitioning, u64)>> {
        let record = record(store, self.group()).await?;
        record.map(|record| Ok((decoded(&record)?, record.version))).transpose()
    }
}

/// What is under a key.
pub(in crate::service) async fn record(
    store: &EventStore,
    key: RecordKey,
) -> Result<Option<Record>> {
    let query = RecordQuery::new(key.space, RecordSelection::Keys(vec![key.key]));
    Ok(store.records(query, None, 1).await?.records.into_iter().next())
}

/// What a record says.
pub(in crate::service) fn decoded<T: DeserializeOwned>(record: &Record) -> Result<T> {
    serde_json::from_slice(&record.value.bytes).map_err(|error| {
        let RecordKey { space, key, .. } = &record.key;
        let text = format!("the record {key:?} of the space {space:?} is damaged: {error}");
        Error::new(ErrorKind::Corrupted { position: None }, text)
    })
}

/// A change to a record that makes it say something.
pub(super) fn says(key: RecordKey, value: &impl Serialize) -> Result<RecordChange> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::new(ErrorKind::Corrupted { position: None }, error.to_string()))?;
    Ok(RecordChange::put(key, bytes))
}
