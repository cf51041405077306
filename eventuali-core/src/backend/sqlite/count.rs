//! How many events match, without their payloads where names say it all.

use std::sync::Arc;

use rusqlite::ToSql;

use super::candidates::candidates;
use super::chains::{Part, TAGS};
use super::connection::Session;
use super::reader;
use super::value::clamp;
use crate::error::Result;
use crate::event::EventKind;
use crate::query::{Query, QueryItem, ReadRange};
use crate::span::Span;
use crate::stream::StreamId;

/// The rows of one statement: readers look up from their work now and then.
const WINDOW: u64 = 1 << 16;

/// See [`crate::storage::Storage::count`].
pub(super) fn count(session: &mut Session, query: &Query, range: ReadRange) -> Result<u64> {
    query.check()?;
    let range = range.counted();
    if range.has_happened() {
        return by_pages(session, query, range);
    }
    if let Some(stream) = query.as_stream() {
        return of_stream(session, query, &stream, range);
    }
    if let Some(tag) = query.as_only_tag().filter(|_| !range.has_versions()) {
        let left = reader::settled(session, query, range)?;
        return of_tag(session, &query.tenant, tag, left);
    }
    if !query.is_of_names() || range.has_versions() {
        return by_pages(session, query, range);
    }
    let mut left = reader::settled(session, query, range)?;
    let mut counting = Counting::new(query);
    while left.after < left.until {
        let (spans, looked_to) = if query.is_indexed_by_name() {
            let found = candidates(session, query, left, WINDOW)?;
            (found.spans, found.looked_to)
        } else {
            let part = left.begun(WINDOW);
            (vec![(part.after + 1, part.until)], part.until)
        };
        for span in spans {
            counting.span(session, span)?;
        }
        left = left.continued(looked_to);
    }
    Ok(counting.count)
}

/// The versions of a stream follow one another.
fn of_stream(
    session: &mut Session,
    query: &Query,
    stream: &StreamId,
    range: ReadRange,
) -> Result<u64> {
    let range = reader::settled(session, query, range)?;
    let id = session.names.stream(&session.conn, stream)?;
    let Some(id) = id.filter(|_| range.after < range.until) else { return Ok(0) };
    let after = range.after_version.max(session.version_after(id, range.after)?);
    let until = range.until_version.min(session.version_until(id, range.until)?);
    Ok(until.saturating_sub(after))
}

fn of_tag(session: &Session, tenant: &str, tag: &str, mut left: ReadRange) -> Result<u64> {
    let mut count = 0;
    while left.after < left.until {
        let key: [&dyn ToSql; 2] = [&tenant, &tag];
        let part = Part::of(left);
        let (places, complete) = TAGS.within(&session.conn, &key, part, WINDOW as usize)?;
        count += places.len() as u64;
        match places.last() {
            Some(last) if !complete => left = left.continued(*last as u64),
            _ => break,
        }
    }
    Ok(count)
}

fn by_pages(session: &mut Session, query: &Query, mut range: ReadRange) -> Result<u64> {
    let mut count = 0;
    loop {
        let page = reader::page(session, query, range)?;
        count += page.len() as u64;
        if page.end {
            return Ok(count);
        }
        range = range.continued(page.looked_to);
    }
}

/// A count in the making, by streams and kinds alone.
struct Counting<'q> {
    query: &'q Query,
    items: Vec<&'q QueryItem>,
    count: u64,
}

impl<'q> Counting<'q> {
    fn new(query: &'q Query) -> Self {
        Self { query, items: query.items.iter().collect(), count: 0 }
    }

    /// Adds what matches between two positions.
    fn span(&mut self, session: &mut Session, span: Span) -> Result<()> {
        session.is_whole(span)?;
        for position in self.known(session, span)? {
            let page = reader::at(session, position)?;
            let head = page.get(0).head;
            self.meet(&head.stream, &head.kind, 1);
        }
        Ok(())
    }

    /// Adds what matches of the rows that are known to be as they were written; the positions of
    /// those that are not, and have to be read whole.
    fn known(&mut self, session: &mut Session, span: Span) -> Result<Vec<u64>> {
        let Session { conn, names, .. } = session;
        let mut statement = conn.prepare_cached(include_str!("sql/sift.sql"))?;
        let mut rows = statement.query([clamp(span.0), clamp(span.1)])?;
        let mut unknown = Vec::new();
        let mut run: Option<((i64, i64), u64)> = None;
        let mut runs = Vec::new();
        while let Some(row) = rows.next()? {
            if !row.get::<_, bool>(3)? {
                unknown.push(row.get::<_, i64>(0)? as u64);
                continue;
            }
            let of = (row.get(1)?, row.get(2)?);
            match &mut run {
                Some((known, count)) if *known == of => *count += 1,
                _ => runs.extend(run.replace((of, 1))),
            }
        }
        drop(rows);
        drop(statement);
        for ((stream, kind), count) in runs.into_iter().chain(run) {
            let (stream, kind) = (names.stream_name(conn, stream)?, names.kind_name(conn, kind)?);
            self.meet(&stream, &kind, count);
        }
        Ok(unknown)
    }

    fn meet(&mut self, stream: &Arc<StreamId>, kind: &Arc<EventKind>, count: u64) {
        if self.query.may_match(&self.items, stream, kind) {
            self.count += count;
        }
    }
}
