//! The commit: is it a repetition, does what it expects hold, and then all of it.

use std::sync::Arc;

use uuid::Uuid;

use super::{State, StoredRecord, StoredRow};
use crate::clock;
use crate::commit::{Commit, Committed};
use crate::error::{Error, Result};
use crate::event::{EventHead, NewEvent};
use crate::record::{ExpectedRecord, RecordChange, RecordCheck, RecordKey};

impl State {
    /// Does all of `commit`, which has been checked, or nothing.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Committed> {
        if let Some(original) = self.repetition(commit)? {
            return Ok(original);
        }
        self.check_versions(commit)?;
        self.check_conditions(commit)?;
        self.check_records(commit)?;
        self.write(commit)
    }

    /// The answer that this commit got before, if it did.
    fn repetition(&self, commit: &Commit) -> Result<Option<Committed>> {
        let stored =
            |event: &NewEvent| self.ids.get(&event.event_id).map(|(at, _)| &self.events[*at]);
        let records = commit.records_digest();
        let like = |event: &NewEvent| records.is(self.ids[&event.event_id].1);
        let rows: Vec<_> = commit.events().filter_map(|(_, event)| stored(event)).collect();
        if rows.is_empty() {
            return Ok(self.record_repetition(commit));
        }
        let mut same = rows.is_sorted_by_key(|row| row.head.position);
        for (stream, event) in commit.events() {
            let found = stored(event).map(|row| row.event());
            same &= found.map_or(Ok(false), |found| found.is(stream, event))? && like(event);
        }
        if !same {
            let event_ids: Vec<Uuid> = rows.iter().map(|row| row.head.event_id).collect();
            return Err(Error::idempotency_conflict(event_ids));
        }
        let version = |event: &NewEvent| stored(event).map_or(0, |row| row.head.version);
        Ok(Some(Committed {
            positions: rows.iter().map(|row| row.head.position).collect(),
            versions: commit
                .writes
                .iter()
                .map(|write| write.events.last().map_or(self.version(&write.stream), version))
                .collect(),
            record_versions: self.versions_of_repeated(commit),
            recorded_at: rows[0].head.recorded_at,
        }))
    }

    /// A commit without events is known by its records.
    fn record_repetition(&self, commit: &Commit) -> Option<Committed> {
        let wrote = |key| self.records.get(key).is_some_and(|r| r.commit_id == commit.identity());
        let repeated = commit.events().next().is_none()
            && !commit.records.is_empty()
            && commit.records.iter().all(|change| wrote(&change.key));
        repeated.then(|| Committed {
            versions: commit.writes.iter().map(|write| self.version(&write.stream)).collect(),
            record_versions: self.versions_of_repeated(commit),
            ..Committed::default()
        })
    }

    fn versions_of_repeated(&self, commit: &Commit) -> Vec<u64> {
        let version = |change: &RecordChange| {
            let wrote = self.records.get(&change.key).map(|record| record.commit_id);
            match change.expected {
                ExpectedRecord::Exact(version) if wrote != Some(commit.identity()) => {
                    version.saturating_add(1)
                }
                _ => self.record_version(&change.key),
            }
        };
        commit.records.iter().map(version).collect()
    }

    fn check_versions(&self, commit: &Commit) -> Result<()> {
        for write in &commit.writes {
            let (expected, actual) = (write.expected, self.version(&write.stream));
            if !expected.holds(actual) {
                return Err(Error::conflict(&write.stream, expected, actual));
            }
        }
        Ok(())
    }

    fn check_conditions(&self, commit: &Commit) -> Result<()> {
        for condition in &commit.conditions {
            let after = condition.after;
            // The event at position 1 is the first one.
            let first =
                usize::try_from(after).map_or(self.events.len(), |at| at.min(self.events.len()));
            for row in &self.events[first..] {
                if condition.query.matches(&row.event())? {
                    return Err(Error::condition_failed(after, row.head.position));
                }
            }
        }
        Ok(())
    }

    fn check_records(&self, commit: &Commit) -> Result<()> {
        let present =
            |key: &RecordKey| self.records.get(key).is_some_and(|record| record.value.is_some());
        for change in &commit.records {
            let value = self.records.get(&change.key).and_then(|record| record.value.as_ref());
            let (bytes, actual) = (value.map(|v| &v.bytes[..]), self.record_version(&change.key));
            if let Some(refused) = change.refuse(actual, value.is_some(), bytes) {
                return Err(refused);
            }
        }
        let refuse = |check: &RecordCheck| {
            check.refuse(self.record_version(&check.key), present(&check.key))
        };
        commit.checks.iter().find_map(refuse).map_or(Ok(()), Err)
    }

    fn write(&mut self, commit: &Commit) -> Result<Committed> {
        let mut committed = Committed::default();
        let now = commit.at.unwrap_or_else(clock::now);
        let rows = self.rows(commit, now.max(self.recorded_at))?;
        let records = commit.records_digest().stored();
        for row in rows {
            let head = &row.head;
            self.ids.insert(head.event_id, (self.events.len(), records));
            if !head.stream.is_none() {
                let positions = self.streams.entry((*head.stream).clone()).or_default();
                positions.push(head.position);
            }
            self.recorded_at = head.recorded_at;
            committed.recorded_at = head.recorded_at;
            committed.positions.push(head.position);
            self.events.push(row);
        }
        committed.versions = commit.writes.iter().map(|w| self.version(&w.stream)).collect();
        for change in &commit.records {
            let version = self.record_version(&change.key) + 1;
            let (mut value, commit_id) = (change.value.clone(), commit.identity());
            if let Some(value) = &mut value {
                value.index.sort_unstable();
                value.index.dedup();
                value.text = None;
            }
            self.records.insert(change.key.clone(), StoredRecord { version, value, commit_id });
            committed.record_versions.push(version);
        }
        Ok(committed)
    }

    /// The events of `commit` as they will lie in the store.
    fn rows(&self, commit: &Commit, recorded_at: i64) -> Result<Vec<StoredRow>> {
        let mut rows: Vec<StoredRow> = Vec::new();
        for write in &commit.writes {
            let version = self.version(&write.stream);
            for (event, number) in write.events.iter().zip(1..) {
                let head = EventHead {
                    position: self.last_position() + rows.len() as u64 + 1,
                    event_id: event.event_id,
                    stream: Arc::clone(&write.stream),
                    version: if write.stream.is_none() { 0 } else { version + number },
                    kind: Arc::clone(&event.kind),
                    timestamp: event.timestamp,
                    recorded_at,
                };
                let metadata = event.metadata.as_ref().map_or(Ok(Vec::new()), |m| m.encode())?;
                let payload = event.payload.clone();
                let checksum = head.checksum(&metadata, &payload);
                rows.push(StoredRow { head, metadata, payload, checksum });
            }
        }
        Ok(rows)
    }
}
