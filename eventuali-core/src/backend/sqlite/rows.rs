//! The rows of the event log: sixteen a statement where there are as many.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};
use uuid::Uuid;

use super::chains::note_tag;
use super::connection::Session;
use super::kept;
use crate::commit::StreamWrite;
use crate::error::{Error, Result};
use crate::event::{EventHead, NewEvent, user_term};

/// Rows that `insert_16_events.sql` takes: SQLite's cost of a statement is shared by them.
const ROWS: usize = 16;
const COLUMNS: usize = 10;

/// The end of the log within one transaction, carried from commit to commit.
pub(super) struct Tail {
    pub(super) position: u64,
    /// When the last event was recorded.
    pub(super) recorded_at: i64,
    /// When the transaction began.
    pub(super) now: i64,
    /// The event that was added last.
    pub(super) last: Option<Uuid>,
    /// Up to where the end of the log is noted.
    pub(super) noted: u64,
}

impl Tail {
    pub(super) fn of(session: &mut Session) -> Result<Self> {
        let (position, recorded_at) = session.end()?;
        Ok(Self::after(position, recorded_at))
    }

    /// The end of a log whose last event has this position and was recorded then.
    pub(super) fn after(position: u64, recorded_at: i64) -> Self {
        let now = crate::clock::now();
        Self { position, recorded_at, now, last: None, noted: position }
    }

    /// Sets the time of what is added next, which never falls: `at`, or that of the transaction.
    pub(super) fn record_at(&mut self, at: Option<i64>) {
        self.recorded_at = self.recorded_at.max(at.unwrap_or(self.now));
    }

    /// Notes where the log ends now, for whoever reads.
    pub(super) fn note(&mut self, session: &Session) -> Result<()> {
        if self.noted < self.position {
            session.put_log_end(self.position)?;
            self.noted = self.position;
        }
        Ok(())
    }
}

/// Adds the events of `write` to stream number `stream`, which is at `version`.
pub(super) fn insert(
    session: &mut Session,
    tail: &mut Tail,
    (stream, version): (i64, u64),
    write: &StreamWrite,
) -> Result<()> {
    let Session { conn, names, .. } = session;
    let Some(first) = write.events.first() else { return Ok(()) };
    let mut row = Row { stream, kind: names.kind_id(conn, &first.kind)?, head: head(write, first) };
    row.head.version = version;
    row.head.position = tail.position;
    row.head.recorded_at = tail.recorded_at;
    for events in write.events.chunks(ROWS) {
        let many = events.len() == ROWS;
        let mut statement = if many {
            conn.prepare_cached(include_str!("sql/insert_16_events.sql"))?
        } else {
            conn.prepare_cached(include_str!("sql/insert_event.sql"))?
        };
        for (index, event) in events.iter().enumerate() {
            if !Arc::ptr_eq(&row.head.kind, &event.kind) {
                row.kind = names.kind_id(conn, &event.kind)?;
                row.head.kind = Arc::clone(&event.kind);
            }
            row.head.position += 1;
            row.head.version += u64::from(!write.stream.is_none());
            row.bind(&mut statement, if many { index * COLUMNS } else { 0 }, event)?;
            if !many || index == ROWS - 1 {
                statement.raw_execute()?;
            }
            names.note_kind(conn, row.kind, row.head.position)?;
            insert_tags(conn, &row.head, event)?;
        }
    }
    tail.position = row.head.position;
    tail.last = Some(row.head.event_id);
    Ok(())
}

fn head(write: &StreamWrite, first: &NewEvent) -> EventHead {
    EventHead {
        position: 0,
        event_id: Uuid::nil(),
        stream: Arc::clone(&write.stream),
        version: 0,
        kind: Arc::clone(&first.kind),
        timestamp: 0,
        recorded_at: 0,
    }
}

/// A row in the making; what events of one write share stays from one to the next.
struct Row {
    stream: i64,
    kind: i64,
    head: EventHead,
}

impl Row {
    /// Binds the row of `event` to the parameters after the first `bound`.
    fn bind(
        &mut self,
        statement: &mut CachedStatement<'_>,
        bound: usize,
        event: &NewEvent,
    ) -> Result<()> {
        let head = &mut self.head;
        head.event_id = event.event_id;
        head.timestamp = event.timestamp;
        let metadata = event.metadata.as_ref().map_or(Ok(Vec::new()), |given| given.encode())?;
        let text = std::str::from_utf8(&metadata)
            .map_err(|e| Error::invalid("headers", "metadata is not UTF-8").with_source(e))?;
        statement.raw_bind_parameter(bound + 1, head.position as i64)?;
        statement.raw_bind_parameter(bound + 2, self.stream)?;
        statement.raw_bind_parameter(bound + 3, head.version as i64)?;
        statement.raw_bind_parameter(bound + 4, self.kind)?;
        statement.raw_bind_parameter(bound + 5, head.event_id.as_bytes().as_slice())?;
        statement.raw_bind_parameter(bound + 6, head.timestamp)?;
        statement.raw_bind_parameter(bound + 7, head.recorded_at)?;
        let whole = head.checksum(&metadata, &event.payload);
        let checksum = kept::stored(whole, self.stream, self.kind, &metadata);
        statement.raw_bind_parameter(bound + 8, checksum)?;
        statement.raw_bind_parameter(bound + 9, (!text.is_empty()).then_some(text))?;
        statement.raw_bind_parameter(bound + 10, event.payload.as_slice())?;
        Ok(())
    }
}

fn insert_tags(conn: &Connection, head: &EventHead, event: &NewEvent) -> Result<()> {
    for tag in event.tags() {
        note_tag(conn, &head.stream.tenant, tag, head.position as i64)?;
    }
    if let Some(user) = event.user_id() {
        note_tag(conn, &head.stream.tenant, &user_term(user), head.position as i64)?;
    }
    Ok(())
}
