//! Inline projections: documents that change in the very commit of the events.
//!
//! Such a document is the fold of one stream, and says up to which version: in a line before what it
//! holds. So whoever saves can tell whether it is behind, and make up for that from the stream; and
//! the runner of the projection, which handles every event of the log in its turn, passes those over
//! that a document has. Who saves writes to a generation that is being rebuilt, too, and checks the
//! record of the generations: what is saved during a rebuild is in what it builds, and no document
//! ends up in a generation that was replaced.

use std::sync::Arc;

use super::projection::{Cursor, PROJECTIONS, Projection, Purpose};
use super::tracking::is_of_tracking;
use crate::commit::{Commit, Committed, StreamWrite};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{
    ExpectedRecord, Record, RecordChange, RecordCheck, RecordKey, RecordQuery, RecordSelection,
    RecordValue,
};
use crate::storage::Answer;
use crate::store::EventStore;
use crate::stream::{ExpectedVersion, StreamId};

/// Begins what is stored of an inline document; no text begins with it.
const MARK: u8 = 0;

/// The generations that whoever saves writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Which ones: the live one and the one that is being filled, where these are of the version.
    pub numbers: Vec<u64>,
    /// The version of the record that says so.
    pub version: u64,
}

/// A document, and the stream that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineDocument {
    /// Its key, the id of the aggregate.
    pub key: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// The version of its record.
    pub version: u64,
    /// The type of the aggregate, and the version of the stream up to which it was folded.
    pub stream: (String, u64),
}

/// A change to such a document.
#[derive(Debug, Clone, PartialEq)]
pub struct InlineChange {
    /// The generation that it is a part of.
    pub number: u64,
    /// The name of its model.
    pub model: String,
    /// Its key.
    pub key: String,
    /// The version that its record must be at; 0 where there must be none.
    pub expected: u64,
    /// The type of the aggregate, and the version of the stream up to which it is folded.
    pub stream: (String, u64),
    /// What it becomes; none deletes it.
    pub value: Option<RecordValue>,
}

/// What an inline document holds, and any other as it is.
#[must_use]
pub fn held(bytes: &[u8]) -> &[u8] {
    match split(bytes) {
        Some((_, held)) => held,
        None => bytes,
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let marked = bytes.strip_prefix(&[MARK])?;
    let end = marked.iter().position(|byte| *byte == b'\n')?;
    Some((&marked[..end], &marked[end + 1..]))
}

fn joined((aggregate_type, version): &(String, u64), bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![MARK];
    all.extend_from_slice(format!("{version} {aggregate_type}\n").as_bytes());
    all.extend_from_slice(bytes);
    all
}

fn document(record: Record) -> Result<InlineDocument> {
    let damaged = || {
        let RecordKey { space, key, .. } = &record.key;
        let text = format!("the document {key:?} in {space:?} does not say what it is made of");
        Error::new(ErrorKind::Corrupted { position: None }, text)
    };
    let (line, held) = split(&record.value.bytes).ok_or_else(damaged)?;
    let line = std::str::from_utf8(line).map_err(|_| damaged())?;
    let (version, aggregate_type) = line.split_once(' ').ok_or_else(damaged)?;
    let version = version.parse().map_err(|_| damaged())?;
    let (bytes, stream) = (held.to_vec(), (aggregate_type.to_owned(), version));
    Ok(InlineDocument { key: record.key.key, bytes, version: record.version, stream })
}

impl Projection {
    /// The generations that whoever saves writes to, of which one is made where there is none; none
    /// where a newer version of the projection is live or being built, and nothing of this one is.
    #[must_use]
    pub fn at_work(&self, model: String) -> Answer<Option<AtWork>> {
        let this = self.clone();
        Box::pin(async move {
            loop {
                let Some((numbers, version)) = this.own().await? else { return Ok(None) };
                if !numbers.is_empty() {
                    return Ok(Some(AtWork { numbers, version }));
                }
                match this.begin(Purpose::Run, vec![model.clone()]).await {
                    Ok(_) => {}
                    // Or a newer one was begun since.
                    Err(error) if *error.kind() == ErrorKind::Projection => {
                        if this.own().await?.is_some() {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// The documents of a generation with these keys, with what they are made of.
    #[must_use]
    pub fn inline_documents(
        &self,
        number: u64,
        model: &str,
        keys: Vec<String>,
    ) -> Answer<Vec<InlineDocument>> {
        let limit = keys.len();
        let query = RecordQuery::new(self.space(number, model), RecordSelection::Keys(keys));
        let answer = self.store().records(RecordQuery { entries: false, ..query }, None, limit);
        Box::pin(async move { answer.await?.records.into_iter().map(document).collect() })
    }

    /// Writes a page of such documents, and how far that is; as [`Projection::advance`] does. Each of
    /// `streams` must be at its version still: a document that is new has no record of which whoever
    /// deletes it would change the version.
    #[must_use]
    pub fn advance_inline(
        &self,
        number: u64,
        from: Cursor,
        to: Cursor,
        documents: Vec<InlineChange>,
        streams: Vec<(StreamId, u64)>,
    ) -> Answer<Cursor> {
        let writes = streams.into_iter().map(|(stream, version)| StreamWrite {
            stream: Arc::new(stream),
            expected: ExpectedVersion::Exact(version),
            events: Vec::new(),
        });
        let records = documents.into_iter().map(|each| self.change(each)).collect();
        let commit = Commit { writes: writes.collect(), ..Commit::change(records) };
        self.advance_by(number, from, to, commit)
    }

    /// Adds the changes to documents to the commit of their events; `version` is that of [`AtWork`].
    #[must_use]
    pub fn with_documents(
        &self,
        mut commit: Commit,
        version: u64,
        documents: Vec<InlineChange>,
    ) -> Commit {
        commit.records.extend(documents.into_iter().map(|each| self.change(each)));
        commit.derived = true;
        let key = RecordKey::new(PROJECTIONS, self.name());
        commit.checks.push(RecordCheck { key, version });
        commit
    }

    fn change(&self, document: InlineChange) -> RecordChange {
        let InlineChange { number, model, key, expected, stream, value } = document;
        let value =
            value.map(|value| RecordValue { bytes: joined(&stream, &value.bytes), ..value });
        let expected = match expected {
            0 => ExpectedRecord::Absent,
            version => ExpectedRecord::Exact(version),
        };
        RecordChange { key: RecordKey::new(self.space(number, &model), key), expected, value }
    }
}

/// Commits events with the documents that they change; none where these, or the generation, are no
/// longer what they were: nothing is written then.
#[must_use]
pub fn commit(store: &EventStore, commit: Commit, here: bool) -> Answer<Option<Committed>> {
    let answer = if here { store.commit_here(commit) } else { store.commit(commit) };
    Box::pin(async move {
        match answer.await {
            Ok(committed) => Ok(Some(committed)),
            Err(error) if is_of_tracking(&error) => Err(error),
            Err(error) if matches!(error.kind(), ErrorKind::RecordConflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_holds_comes_back() {
        for (stream, bytes) in [
            (("Account".to_owned(), 7), &b"{\"a\":1}"[..]),
            (("Ein Konto".to_owned(), u64::MAX), b"\n\0\n"),
            ((String::new(), 0), b""),
        ] {
            let all = joined(&stream, bytes);
            assert_eq!(held(&all), bytes);
            let value = RecordValue { bytes: all, ..RecordValue::default() };
            let key = RecordKey::new("A@1/M", "k");
            let record = Record { key, version: 3, value, commit_id: uuid::Uuid::nil() };
            let found = document(record).expect("it is whole");
            assert_eq!((found.stream, &found.bytes[..], found.version), (stream, bytes, 3));
        }
    }

    #[test]
    fn others_are_as_they_are() {
        for bytes in [&b"{}"[..], b"", b"\0", b"\0no line"] {
            assert_eq!(held(bytes), bytes);
        }
    }
}
