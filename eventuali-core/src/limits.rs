//! The sizes that a store accepts.

use crate::error::{Error, Result};

/// The sizes that a store accepts; the same everywhere unless a backend says less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an event's payload.
    pub event_bytes: usize,
    /// Bytes of an event's headers, names and values together.
    pub headers_bytes: usize,
    /// Tags of an event.
    pub event_tags: usize,
    /// Events of a commit.
    pub commit_events: usize,
    /// Record changes of a commit.
    pub commit_records: usize,
    /// Statements of a commit.
    pub commit_statements: usize,
    /// Bytes of a commit: payloads, headers, tags, records and statements.
    pub commit_bytes: usize,
    /// Bytes of a record.
    pub record_bytes: usize,
    /// Index entries of a record.
    pub record_index_entries: usize,
    /// Bytes of a text in a record's index.
    pub index_text_bytes: usize,
    /// Bytes of the words of a record's text.
    pub record_text_bytes: usize,
}

impl Limits {
    /// The limits that every backend of this crate has.
    pub const DEFAULT: Self = Self {
        event_bytes: 1 << 20,
        headers_bytes: 64 << 10,
        event_tags: 64,
        commit_events: 10_000,
        commit_records: 10_000,
        commit_statements: 10_000,
        commit_bytes: 16 << 20,
        record_bytes: 8 << 20,
        record_index_entries: 64,
        index_text_bytes: 1 << 10,
        record_text_bytes: 256 << 10,
    };

    /// Checks the size of an event's payload.
    pub fn check_payload(&self, size: usize) -> Result<()> {
        if size > self.event_bytes {
            return Err(Error::too_large("payload", size, self.event_bytes));
        }
        Ok(())
    }
}
