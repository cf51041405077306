//! The commit: the one write, all of it or none of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::limits::Limits;
use crate::query::Query;
use crate::record::{ExpectedRecord, RecordChange, RecordCheck};
use crate::statement::Statement;
use crate::stream::{ExpectedVersion, StreamId};

/// The most append conditions of a commit.
pub const MAX_CONDITIONS: usize = 128;

/// How many times as many records and bytes a commit may have whose records are derived.
const DERIVED: usize = 4;

/// New events, the conditions that must hold, changes to records, and SQL of the user's.
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
    /// Whether the changes to records follow from the events, and what was there: the same events
    /// with others are the same commit then. Not those that are expected to rise.
    pub derived: bool,
    /// Records that must be at a version, and stay there until all is written.
    pub checks: Vec<RecordCheck>,
    /// What is carried out in the same transaction, in order, once all else is written: all of it,
    /// or the commit is refused. Only beside events or records, by which a repetition is known: that
    /// carries nothing out.
    pub statements: Vec<Statement>,
    /// The store's clock as it is to be for this commit, in µs since 1970 UTC and later than that;
    /// none is the real one. No part of its identity. `recorded_at` never falls all the same.
    pub at: Option<i64>,
    /// How long it waits for locks of other processes at the most; none is as long as the backend
    /// does. No part of its identity. In one transaction with others, it waits as long as they do.
    pub patience: Option<Duration>,
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
            derived: false,
            checks: Vec::new(),
            statements: Vec::new(),
            at: None,
            patience: None,
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

    /// What tells its record changes and statements from others. Part of its identity: the same
    /// events with others are another commit, but for record changes that are derived from them.
    #[must_use]
    pub fn records_digest(&self) -> RecordsDigest {
        let own =
            |change: &&RecordChange| !self.derived || change.expected == ExpectedRecord::Rising;
        RecordsDigest::of(self.records.iter().filter(own), &self.statements)
    }

    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_without_identity() && self.statements.is_empty()
    }

    /// Whether there is neither an event nor a record by which a repetition is known.
    fn is_without_identity(&self) -> bool {
        self.records.is_empty() && self.writes.iter().all(|write| write.events.is_empty())
    }

    /// The bytes that it carries: payloads, headers, tags, records and statements.
    #[must_use]
    pub fn size(&self) -> usize {
        let events: usize = self.events().map(|(_, event)| event.size()).sum();
        let records: usize = self.records.iter().map(RecordChange::size).sum();
        events + records + self.statements.iter().map(Statement::size).sum::<usize>()
    }

    /// Checks everything that can be checked without a store; every backend calls this first, so
    /// that the same bad input gives the same error on each.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let count: usize = self.writes.iter().map(|write| write.events.len()).sum();
        if count > limits.commit_events {
            return Err(Error::too_large("events", count, limits.commit_events));
        }
        // What is derived is a document of each projection and generation beside the events.
        let most = limits.commit_records * if self.derived { DERIVED } else { 1 };
        if self.records.len() > most {
            return Err(Error::too_large("records", self.records.len(), most));
        }
        if self.checks.len() > limits.commit_records {
            return Err(Error::too_large("records", self.checks.len(), limits.commit_records));
        }
        let statements = self.statements.len();
        if statements > limits.commit_statements {
            return Err(Error::too_large("statements", statements, limits.commit_statements));
        }
        if statements > 0 && self.is_without_identity() {
            let text = "statements need an event or a record beside them, by which a repeated \
                        commit is known";
            return Err(Error::invalid("statements", text));
        }
        if self.writes.len() > limits.commit_events {
            return Err(Error::too_large("streams", self.writes.len(), limits.commit_events));
        }
        if self.conditions.len() > MAX_CONDITIONS {
            return Err(Error::too_large("conditions", self.conditions.len(), MAX_CONDITIONS));
        }
        if self.at.is_some_and(|at| at <= 0) {
            return Err(Error::invalid("at", "no commit is recorded before 1970"));
        }
        let mut streams = HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            write.stream.check()?;
            if !streams.insert(&write.stream) {
                let text = format!("stream {} appears twice in one commit", write.stream);
                return Err(Error::invalid("stream", text));
            }
            if write.stream.is_none() && write.expected != ExpectedVersion::Any {
                return Err(Error::invalid(
                    "expected",
                    "events without a stream take no expected version",
                ));
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
                let text = format!("event_id {} appears twice in one commit", event.event_id);
                return Err(Error::invalid("event_id", text));
            }
        }
        let mut keys = HashSet::with_capacity(self.records.len() + self.checks.len());
        for change in &self.records {
            change.check(limits)?;
            if !keys.insert(&change.key) {
                let text = format!("record {:?} appears twice in one commit", change.key.key);
                return Err(Error::invalid("key", text));
            }
        }
        for check in &self.checks {
            check.key.check()?;
            if !keys.insert(&check.key) {
                let text = format!("record {:?} appears twice in one commit", check.key.key);
                return Err(Error::invalid("key", text));
            }
        }
        if self.derived && count == 0 && !self.records.is_empty() {
            let text = "records can only be derived from events, and there are none";
            return Err(Error::invalid("records", text));
        }
        for condition in &self.conditions {
            condition.query.check()?;
        }
        self.statements.iter().try_for_each(Statement::check)?;
        let most = limits.commit_bytes * if self.derived { DERIVED } else { 1 };
        if self.size() > most {
            return Err(Error::too_large("commit", self.size(), most));
        }
        Ok(())
    }
}

/// A digest of the changes to records in a commit, and of its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsDigest {
    stored: i64,
    former: i64,
}

impl RecordsDigest {
    fn of<'c>(records: impl Iterator<Item = &'c RecordChange>, statements: &[Statement]) -> Self {
        let mut records = records.peekable();
        if records.peek().is_none() && statements.is_empty() {
            return Self { stored: 0, former: 0 };
        }
        let (mut sha, mut all, mut bytes) = (Sha256::new(), Vec::new(), Vec::new());
        for change in records {
            bytes.clear();
            change.digest_into(&mut bytes);
            // How many parts there are: no other changes have the same ones.
            let parts = change.value.as_ref().map_or(0, |value| {
                value.index.len() as u64 + 1 + (u64::from(value.text.is_some()) << 63)
            });
            sha.update(parts.to_le_bytes());
            sha.update(&bytes);
            all.extend_from_slice(&bytes);
        }
        if !statements.is_empty() {
            bytes.clear();
            for statement in statements {
                bytes.extend_from_slice(&(statement.parameters.len() as u64).to_le_bytes());
                statement.digest_into(&mut bytes);
            }
            // More than the parts of any change: no record's digest goes on so.
            sha.update(u64::MAX.to_le_bytes());
            sha.update(&bytes);
            all.extend_from_slice(&bytes);
        }
        let sum = sha.finalize();
        let first = i64::from_le_bytes(std::array::from_fn(|index| sum[index]));
        let (high, low) = (crc32c::crc32c(&all), crc32c::crc32c_append(1, &all));
        // An even number is of this form, an odd one of the former, and 0 says that there are none.
        let stored = if first & !1 == 0 { 2 } else { first & !1 };
        Self { stored, former: ((i64::from(high) << 32) | i64::from(low)) | 1 }
    }

    /// What is stored of it, from which [`RecordsDigest::is`] tells it for ever; 0 where there are
    /// no changes.
    #[must_use]
    pub fn stored(self) -> i64 {
        self.stored
    }

    /// Whether `stored` was made from the same changes. What is odd was made in the first format, as
    /// a sum that one can find other changes for; it is compared as it was made.
    #[must_use]
    pub fn is(self, stored: i64) -> bool {
        stored == if stored & 1 == 1 { self.former } else { self.stored }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ExpectedRecord, RecordKey};
    use crate::text::Words;

    fn put(key: &str, bytes: impl Into<Vec<u8>>) -> RecordChange {
        RecordChange::put(RecordKey::new("doc", key), bytes).expecting(ExpectedRecord::Absent)
    }

    fn with_text(key: &str, text: &str) -> RecordChange {
        let mut change = put(key, "deleted");
        change.value.as_mut().expect("it is put").text = Some(Words::of([text]));
        change
    }

    fn digest(records: Vec<RecordChange>) -> RecordsDigest {
        Commit::change(records).records_digest()
    }

    /// `text` and eight bytes more, with the CRC32C of `other` and eight zeros.
    fn like(text: &[u8], other: &[u8]) -> Vec<u8> {
        let wanted = crc32c::crc32c(&[other, &[0; 8]].concat());
        // The sum is linear in its last four bytes: what each bit of them changes is solved for.
        let at = |tail: u32| crc32c::crc32c(&[text, &[0; 4], &tail.to_le_bytes()[..]].concat());
        let zero = at(0);
        let mut rows: Vec<(u32, u32)> =
            (0..32).map(|bit| (at(1 << bit) ^ zero, 1 << bit)).collect();
        let (mut rest, mut tail) = (wanted ^ zero, 0);
        for bit in (0..32).rev() {
            let Some(found) = rows.iter().position(|row| row.0 >> bit & 1 == 1) else { continue };
            let pivot = rows.swap_remove(found);
            for row in rows.iter_mut().filter(|row| row.0 >> bit & 1 == 1) {
                *row = (row.0 ^ pivot.0, row.1 ^ pivot.1);
            }
            if rest >> bit & 1 == 1 {
                (rest, tail) = (rest ^ pivot.0, tail ^ pivot.1);
            }
        }
        [text, &[0; 4], &tail.to_le_bytes()[..]].concat()
    }

    #[test]
    fn changes_of_one_sum_have_two_digests() {
        let (one, other) =
            ([&b"balance 100"[..], &[0; 8]].concat(), like(b"balance 999", b"balance 100"));
        let (one, other) = (digest(vec![put("a", one)]), digest(vec![put("a", other)]));
        assert_eq!(one.former, other.former, "the former digest did not tell them apart");
        assert_ne!(one.stored(), other.stored());
        assert!(!one.is(other.stored()) && one.is(one.stored()) && one.is(one.former));
    }

    #[test]
    fn every_part_counts_and_none_is_nothing() {
        let deleted = RecordChange::delete(RecordKey::new("doc", "a"));
        let all = [
            digest(Vec::new()),
            digest(vec![put("a", "deleted")]),
            digest(vec![put("b", "deleted")]),
            digest(vec![put("a", "deleted").expecting(ExpectedRecord::Any)]),
            digest(vec![deleted.clone()]),
            digest(vec![deleted.clone(), put("b", "")]),
            digest(vec![put("b", ""), deleted]),
            digest(vec![with_text("a", "")]),
            digest(vec![with_text("a", "deleted")]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(one.stored() & 1, 0, "this form is even");
            assert_eq!(one.stored() == 0, index == 0);
            for (other, digest) in all.iter().enumerate() {
                assert_eq!(one.is(digest.stored()), index == other);
            }
        }
    }

    #[test]
    fn statements_count() {
        use crate::statement::Value::{Bool, Bytes, Int, Null, Real, Text};
        let with = |statements: Vec<Statement>| {
            Commit { statements, ..Commit::change(vec![put("a", "x")]) }.records_digest().stored()
        };
        let one = |value| vec![Statement::new("a", vec![value])];
        let mut all = vec![
            with(Vec::new()),
            with(vec![Statement::new("a", Vec::new())]),
            with(vec![Statement::new("b", Vec::new())]),
            with(vec![Statement::new("a", Vec::new()), Statement::new("a", Vec::new())]),
            with(vec![Statement::new("a", vec![Null, Null])]),
            with([one(Null), one(Null)].concat()),
        ];
        let (text, bytes) =
            (|text: &str| Text(text.to_owned()), |given: &[u8]| Bytes(given.into()));
        let values =
            [Null, Bool(true), Int(1), Real(1.0), text("1"), bytes(b"1"), text(""), Int(2)];
        all.extend(values.into_iter().map(|value| with(one(value))));
        let count = all.len();
        assert!(all.iter().all(|stored| *stored != 0 && stored & 1 == 0));
        assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), count);
    }

    #[test]
    fn it_never_changes() {
        let one = digest(vec![put("a", "bytes")]);
        let expected = (5_251_489_411_209_960_366, 6_218_203_694_749_627_677);
        assert_eq!((one.stored(), one.former), expected);
    }
}
