//! The commit: the one write, all of it or none of it.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::clock;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::limits::Limits;
use crate::query::Query;
use crate::record::RecordChange;
use crate::stream::{ExpectedVersion, StreamId};

/// The most append conditions of a commit.
pub const MAX_CONDITIONS: usize = 128;

/// New events, the conditions that must hold, and changes to records.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The identity of a commit that has no events; one with events is known by their ids.
    pub id: Uuid,
    /// The events, stream by stream; each stream stands here at most once.
    pub writes: Vec<StreamWrite>,
    /// What else must hold.
    pub conditions: Vec<AppendCondition>,
    /// What happens to records.
    pub records: Vec<RecordChange>,
}

/// Events for the end of one stream. Without events it is only a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamWrite {
    /// The stream, or [`StreamId::none`].
    pub stream: Arc<StreamId>,
    /// The version it must be at.
    pub expected: ExpectedVersion,
    /// What is added, in order.
    pub events: Vec<NewEvent>,
}

/// "No event matches `query` after position `after`."
#[derive(Debug, Clone, PartialEq)]
pub struct AppendCondition {
    /// What must not have happened.
    pub query: Query,
    /// The last position that the decision took into account.
    pub after: u64,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            id: clock::new_id(),
            writes: Vec::new(),
            conditions: Vec::new(),
            records: Vec::new(),
        }
    }
}

impl Commit {
    /// A commit of `events` at the end of `stream`.
    #[must_use]
    pub fn append(
        stream: impl Into<Arc<StreamId>>,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Self {
        let write = StreamWrite { stream: stream.into(), expected, events };
        Self { writes: vec![write], ..Self::default() }
    }

    /// A commit that only changes records.
    #[must_use]
    pub fn change(records: Vec<RecordChange>) -> Self {
        Self { records, ..Self::default() }
    }

    /// The same commit, with one more condition.
    #[must_use]
    pub fn on_condition(mut self, query: Query, after: u64) -> Self {
        self.conditions.push(AppendCondition { query, after });
        self
    }

    /// The events, in the order of their positions.
    pub fn events(&self) -> impl Iterator<Item = (&Arc<StreamId>, &NewEvent)> {
        self.writes.iter().flat_map(|write| write.events.iter().map(|event| (&write.stream, event)))
    }

    /// The ids of the events.
    #[must_use]
    pub fn event_ids(&self) -> Vec<Uuid> {
        self.events().map(|(_, event)| event.event_id).collect()
    }

    /// The identity of the commit: that of its first event, or its own where it has none.
    #[must_use]
    pub fn identity(&self) -> Uuid {
        self.events().next().map_or(self.id, |(_, event)| event.event_id)
    }

    /// What tells its record changes from others; 0 where it has none. Part of its identity: the
    /// same events with other record changes are another commit. Stored, so it never changes.
    #[must_use]
    pub fn records_digest(&self) -> i64 {
        if self.records.is_empty() {
            return 0;
        }
        let mut bytes = Vec::new();
        self.records.iter().for_each(|change| change.digest_into(&mut bytes));
        let (high, low) = (crc32c::crc32c(&bytes), crc32c::crc32c_append(1, &bytes));
        // Never 0, which says that there are none.
        ((i64::from(high) << 32) | i64::from(low)) | 1
    }

    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.writes.iter().all(|write| write.events.is_empty())
    }

    /// The bytes that it carries: payloads, headers, tags and records.
    #[must_use]
    pub fn size(&self) -> usize {
        let events: usize = self.events().map(|(_, event)| event.size()).sum();
        events + self.records.iter().map(RecordChange::size).sum::<usize>()
    }

    /// Checks everything that can be checked without a store; every backend calls this first, so
    /// that the same bad input gives the same error on each.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let count: usize = self.writes.iter().map(|write| write.events.len()).sum();
        if count > limits.commit_events {
            return Err(Error::too_large("events", count, limits.commit_events));
        }
        if self.records.len() > limits.commit_records {
            return Err(Error::too_large("records", self.records.len(), limits.commit_records));
        }
        if self.writes.len() > limits.commit_events {
            return Err(Error::too_large("streams", self.writes.len(), limits.commit_events));
        }
        if self.conditions.len() > MAX_CONDITIONS {
            return Err(Error::too_large("conditions", self.conditions.len(), MAX_CONDITIONS));
        }
        let mut streams = HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            write.stream.check()?;
            if !streams.insert(&write.stream) {
                let text = format!("stream {} stands twice in one commit", write.stream);
                return Err(Error::invalid("stream", text));
            }
            if write.stream.is_none() && write.expected != ExpectedVersion::Any {
                return Err(Error::invalid("expected", "events without a stream have no version"));
            }
        }
        // Ids that rise, as those of one save do, are known to differ.
        let rising = self.events().is_sorted_by(|(_, a), (_, b)| a.event_id < b.event_id);
        let mut ids = HashSet::new();
        let mut kind = None;
        for (_, event) in self.events() {
            if !kind.is_some_and(|known| Arc::ptr_eq(known, &event.kind)) {
                event.kind.check()?;
                kind = Some(&event.kind);
            }
            event.check_own(limits)?;
            if !rising && !ids.insert(event.event_id) {
                let text = format!("event_id {} stands twice in one commit", event.event_id);
                return Err(Error::invalid("event_id", text));
            }
        }
        let mut keys = HashSet::with_capacity(self.records.len());
        for change in &self.records {
            change.check(limits)?;
            if !keys.insert(&change.key) {
                let text = format!("record {:?} stands twice in one commit", change.key.key);
                return Err(Error::invalid("key", text));
            }
        }
        for condition in &self.conditions {
            condition.query.check()?;
        }
        if self.size() > limits.commit_bytes {
            return Err(Error::too_large("commit", self.size(), limits.commit_bytes));
        }
        Ok(())
    }
}

/// What a commit became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The position of each event, in the order of the commit.
    pub positions: Vec<u64>,
    /// The version of each write's stream after its last event, in the order of the commit; a
    /// write without events gives the version that was found.
    pub versions: Vec<u64>,
    /// The version of each changed record, in the order of the commit. For a repeated commit whose
    /// record was overwritten since: the version that its condition implies, else the present one.
    pub record_versions: Vec<u64>,
    /// The store's time of the commit, µs since 1970 UTC; 0 for a commit without events.
    pub recorded_at: i64,
}
