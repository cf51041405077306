//! Reading: pages of events and of streams.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::candidates::candidates;
use super::chains::{Links, Part, TAGS, term_text};
use super::connection::Session;
use super::error::{damaged, is_checked};
use super::kept;
use super::names::Names;
use super::value::{clamp, in_order, json};
use crate::backend::sql::candidates::FIRST_WINDOW;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventHead, EventPage, EventRef};
use crate::query::{MAX_PAGE_BYTES, Query, ReadRange};
use crate::span::Span;
use crate::stream::StreamId;

/// The most rows that are looked at for one page; a page of a rare match is short instead of slow.
const PAGE_ROWS: usize = 65_536;

/// One page of the events that match.
pub(super) fn page(session: &mut Session, query: &Query, range: ReadRange) -> Result<EventPage> {
    page_of(session, query, range, PAGE_ROWS)
}

fn page_of(
    session: &mut Session,
    query: &Query,
    range: ReadRange,
    rows: usize,
) -> Result<EventPage> {
    query.check()?;
    let range = settled(session, query, range)?;
    if range.until <= range.after {
        let looked_to = if range.backwards { range.after.saturating_add(1) } else { range.after };
        return Ok(EventPage::nothing(looked_to));
    }
    let scan = Scan::new(range, rows);
    if let Some(stream) = query.as_stream() {
        stream_page(session, query, &stream, scan)
    } else if let Some(term) = query.as_term() {
        tag_page(session, query, &term_text(term), scan)
    } else {
        log_page(session, query, scan)
    }
}

/// The part of `range` that can be read, without its times.
pub(super) fn settled(session: &mut Session, query: &Query, range: ReadRange) -> Result<ReadRange> {
    // Everything up to the last position is settled: a writer holds the only write lock.
    let last = match session.end() {
        Ok((last, _)) => last,
        // A stream has an end of its own.
        Err(error) if is_damage(&error) && query.as_stream().is_some() => u64::MAX,
        Err(error) => return Err(error),
    };
    within_times(session, ReadRange { until: range.until.min(last), ..range })
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupted { .. })
}

/// The part of `range` in which its times lie; `recorded_at` never falls.
fn within_times(session: &Session, range: ReadRange) -> Result<ReadRange> {
    if range.until <= range.after {
        return Ok(range);
    }
    let before = |time: i64| -> Result<u64> {
        let bounds = [clamp(range.after), clamp(range.until), time];
        let mut statement = session.statement(include_str!("sql/position_before.sql"))?;
        Ok(statement.query_row(bounds, |row| row.get::<_, i64>(0))? as u64)
    };
    let mut within = range;
    if range.recorded_from > i64::MIN {
        within.after = before(range.recorded_from)?;
    }
    if range.recorded_until < i64::MAX {
        within.until = before(range.recorded_until + 1)?;
    }
    Ok(within)
}

/// The page that holds the one event at `position`.
pub(super) fn at(session: &mut Session, position: u64) -> Result<EventPage> {
    let range = ReadRange { after: position - 1, limit: 1, ..ReadRange::default() };
    let mut scan = Scan::new(range, PAGE_ROWS);
    scan.span(session, None, (position, position))?;
    if scan.page.is_empty() {
        return Err(EventHead::corrupted(position));
    }
    Ok(scan.page)
}

fn stream_page(
    session: &mut Session,
    query: &Query,
    stream: &StreamId,
    mut scan: Scan,
) -> Result<EventPage> {
    let range = scan.range;
    if let Some(id) = session.names.stream(&session.conn, stream)? {
        let sql = in_order!("sql/stream_events.sql", range.backwards);
        let after = range.after_version.max(session.version_after(id, range.after)?);
        let until = range.until_version.min(session.version_until(id, range.until)?);
        let due = Due::Versions { stream: id, range: (after + 1, until) };
        scan.rows(session, sql, &[id, clamp(after), clamp(until)], Some(query), due)?;
    }
    Ok(scan.finish())
}

fn tag_page(session: &mut Session, query: &Query, tag: &str, mut scan: Scan) -> Result<EventPage> {
    let range = scan.range;
    let sql = in_order!("sql/tag_events.sql", range.backwards);
    let bounds = params![query.tenant, tag, clamp(range.after), clamp(range.until)];
    let links = TAGS.links(&session.conn, &[&query.tenant, &tag], Part::of(range))?;
    let due = Due::Entries { links, tag: tag.to_owned() };
    scan.rows(session, sql, bounds, Some(query), due)?;
    Ok(scan.finish())
}

fn log_page(session: &mut Session, query: &Query, mut scan: Scan) -> Result<EventPage> {
    let correlation = query.as_correlation().filter(|_| !scan.range.strict);
    let mut left = scan.range;
    let mut window = FIRST_WINDOW;
    while left.after < left.until {
        let most = window.min(scan.rows_left as u64);
        let (looked_to, passed) = match &correlation {
            Some(text) => scan.sifted(session, query, text, left.begun(most))?,
            None => scan.found(session, query, left, most)?,
        };
        if scan.full || scan.over {
            return Ok(scan.finish());
        }
        scan.looked_to = looked_to;
        left = left.continued(looked_to);
        scan.rows_left = scan.rows_left.saturating_sub(passed as usize);
        if scan.rows_left == 0 && left.after < left.until {
            scan.full = true;
            return Ok(scan.finish());
        }
        window *= 4;
    }
    Ok(scan.finish())
}

/// A page in the making.
struct Scan {
    page: EventPage,
    range: ReadRange,
    looked_to: u64,
    /// How many rows may still be looked at.
    rows_left: usize,
    /// No more fits on the page.
    full: bool,
    /// Nothing that follows can match.
    over: bool,
}

impl Scan {
    fn new(range: ReadRange, rows_left: usize) -> Self {
        let page = EventPage::default();
        Self { page, range, looked_to: 0, rows_left, full: false, over: false }
    }

    /// Adds what matches among the rows of `part` whose metadata holds `text`. Where the part ends,
    /// and how many rows were passed.
    fn sifted(
        &mut self,
        session: &mut Session,
        query: &Query,
        text: &str,
        part: ReadRange,
    ) -> Result<(u64, u64)> {
        let sql = in_order!("sql/sift_events.sql", part.backwards);
        session.is_whole((part.after + 1, part.until))?;
        let bounds = params![clamp(part.after), clamp(part.until), text];
        self.rows(session, sql, bounds, Some(query), Due::Any)?;
        let end = if part.backwards { part.after + 1 } else { part.until };
        Ok((end, part.until - part.after))
    }

    /// Adds what matches among the candidates with which `left` begins. How far these are all, and
    /// how many rows were passed.
    fn found(
        &mut self,
        session: &mut Session,
        query: &Query,
        left: ReadRange,
        window: u64,
    ) -> Result<(u64, u64)> {
        let found = candidates(session, query, left, window)?;
        let mut spans = found.spans.as_slice();
        while !spans.is_empty() && !self.full && !self.over {
            spans = self.some(session, query, spans)?;
        }
        Ok((found.looked_to, found.passed))
    }

    /// Adds what matches in the first span, or in the first ones if each is a single position;
    /// gives those that are left.
    fn some<'s>(
        &mut self,
        session: &mut Session,
        query: &Query,
        spans: &'s [Span],
    ) -> Result<&'s [Span]> {
        let single = spans.iter().take_while(|span| span.0 == span.1).count();
        if single < 2 {
            self.span(session, Some(query), spans[0])?;
            return Ok(&spans[1..]);
        }
        let (now, later) = spans.split_at(single);
        // Positions that lie apart: a statement for each would take longer than their rows. The
        // outer side of a cross join is read in its order.
        let parameters = [json(now.iter().map(|span| span.0))];
        self.rows(session, include_str!("sql/events_at.sql"), &parameters, Some(query), Due::Any)?;
        Ok(later)
    }

    /// Adds what matches between two positions, both included.
    fn span(&mut self, session: &mut Session, query: Option<&Query>, span: Span) -> Result<()> {
        let sql = in_order!("sql/events.sql", self.range.backwards);
        self.rows(session, sql, &[clamp(span.0 - 1), clamp(span.1)], query, Due::Positions(span))
    }

    fn rows(
        &mut self,
        session: &mut Session,
        sql: &str,
        parameters: &[impl rusqlite::ToSql],
        query: Option<&Query>,
        due: Due,
    ) -> Result<()> {
        let mut due = Sequence::new(due, self.range.backwards);
        let Session { conn, names, .. } = session;
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let place = Place::of(row)?;
            due.meet(place, row)?;
            let (head, metadata, payload) = checked(conn, names, row, place)?;
            if self.range.is_over(&head) {
                self.over = true;
                return Ok(());
            }
            let event = EventRef { head: &head, metadata_bytes: metadata, payload };
            self.rows_left = self.rows_left.saturating_sub(1);
            let within = self.range.contains(&event);
            let wanted = within && query.map_or(Ok(true), |query| query.matches(&event))?;
            if within && !wanted && due.is_misplaced(&event)? {
                return Err(EventHead::corrupted(place.position));
            }
            if wanted {
                if !self.page.is_empty()
                    && self.page.bytes() + metadata.len() + payload.len() > MAX_PAGE_BYTES
                {
                    self.full = true;
                    return Ok(());
                }
                self.page.push(head, metadata, payload);
            }
            self.looked_to = place.position;
            if self.page.len() == self.range.page_limit() || self.rows_left == 0 {
                self.full = true;
                return Ok(());
            }
        }
        due.is_over()
    }

    fn finish(mut self) -> EventPage {
        let (first, last) = (self.range.after + 1, self.range.until);
        let edge = if self.range.backwards { first } else { last };
        self.page.looked_to = if self.full { self.looked_to } else { edge };
        self.page.end = self.page.looked_to == edge;
        self.page
    }
}

/// Which rows a statement is known to give, in the direction of reading.
enum Due {
    /// Nobody can tell.
    Any,
    /// Every entry of a tag, of which each says what is before it.
    Entries { links: Links, tag: String },
    /// Every position between two, which are included.
    Positions(Span),
    /// Every version of a stream between two, which are included.
    Versions { stream: i64, range: Span },
}

/// What is still due of a statement's rows.
struct Sequence {
    /// Of which stream; none where positions are due.
    stream: Option<i64>,
    /// The next one and the last one; none where nobody can tell.
    due: Option<Span>,
    links: Option<(Links, String)>,
    backwards: bool,
}

impl Sequence {
    fn new(due: Due, backwards: bool) -> Self {
        let (stream, range, links) = match due {
            Due::Any => (None, None, None),
            Due::Entries { links, tag } => (None, None, Some((links, tag))),
            Due::Positions(span) => (None, Some(span), None),
            Due::Versions { stream, range } => (Some(stream), Some(range), None),
        };
        Self { stream, due: range.filter(|_| is_checked()), links, backwards }
    }

    /// Takes a row; refuses one that is not due.
    fn meet(&mut self, place: Place, row: &Row<'_>) -> Result<()> {
        if let Some((links, _)) = &mut self.links {
            return links.meet(place.position as i64, row.get(10)?);
        }
        let Some((first, last)) = &mut self.due else { return Ok(()) };
        let met = match self.stream {
            None => place.position,
            Some(stream) if stream == place.stream => place.version,
            Some(_) => return Err(EventHead::corrupted(place.position)),
        };
        let next = if self.backwards { *last } else { *first };
        if met != next || first > last {
            return Err(self.lacks(next));
        }
        if self.backwards {
            *last -= 1;
        } else {
            *first += 1;
        }
        Ok(())
    }

    /// Whether an event stands under a tag that it does not have.
    fn is_misplaced(&self, event: &EventRef<'_>) -> Result<bool> {
        let Some((_, tag)) = &self.links else { return Ok(false) };
        Ok(is_checked() && !event.terms()?.contains(tag))
    }

    /// Refuses to end before all that was due has come.
    fn is_over(&self) -> Result<()> {
        if let Some((links, _)) = &self.links {
            return links.is_over();
        }
        match self.due {
            Some((first, last)) if first <= last => {
                Err(self.lacks(if self.backwards { last } else { first }))
            }
            _ => Ok(()),
        }
    }

    fn lacks(&self, next: u64) -> Error {
        if self.stream.is_none() {
            let text = format!("the event at position {next} is missing");
            return Error::new(ErrorKind::Corrupted { position: Some(next) }, text);
        }
        damaged(format!("version {next} of a stream is missing"))
    }
}

/// Where a row says that its event stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) stream: i64,
    pub(super) version: u64,
}

impl Place {
    pub(super) fn of(row: &Row<'_>) -> Result<Self> {
        let position = row.get::<_, i64>(0)? as u64;
        match (row.get_ref(1)?, row.get_ref(2)?) {
            (ValueRef::Integer(stream), ValueRef::Integer(version)) => {
                Ok(Self { position, stream, version: version as u64 })
            }
            // An index names it, and the log lacks it.
            _ => Err(EventHead::corrupted(position)),
        }
    }
}

/// What a row holds, once its checksum was verified: head, metadata and payload.
pub(super) fn checked<'row>(
    conn: &Connection,
    names: &mut Names,
    row: &'row Row<'_>,
    place: Place,
) -> Result<(EventHead, &'row [u8], &'row [u8])> {
    let (metadata, payload) = (bytes(row, 8, place.position)?, bytes(row, 9, place.position)?);
    let head = head(conn, names, row, place)?;
    if head.checksum(metadata, payload) != kept::whole(row.get(7)?) {
        return Err(EventHead::corrupted(place.position));
    }
    Ok((head, metadata, payload))
}

fn bytes<'row>(row: &'row Row<'_>, column: usize, position: u64) -> Result<&'row [u8]> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(&[]),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(EventHead::corrupted(position)),
    }
}

fn head(conn: &Connection, names: &mut Names, row: &Row<'_>, place: Place) -> Result<EventHead> {
    Ok(EventHead {
        position: place.position,
        event_id: Uuid::from_bytes(row.get(4)?),
        stream: names.stream_name(conn, place.stream)?,
        version: place.version,
        kind: names.kind_name(conn, row.get(3)?)?,
        timestamp: row.get(5)?,
        recorded_at: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::sqlite::append::append;
    use crate::backend::sqlite::connection::Epoch;
    use crate::backend::sqlite::rows::Tail;
    use crate::backend::sqlite::{Durability, Target};
    use crate::commit::Commit;
    use crate::event::{EventKind, Metadata, NewEvent, Reference};
    use crate::query::{Partition, QueryItem};
    use crate::stream::ExpectedVersion;

    const ODD: &str = r#"a "quoted" \ é"#;

    /// 120 events in four streams, of two types, recorded in twelve steps of time.
    fn filled() -> Session {
        let mut session =
            Session::writer(&Target::Memory, Durability::Full, Epoch::default()).expect("it opens");
        let kinds = ["Common", "Rare"].map(|name| Arc::new(EventKind::json(name, 1)));
        session.conn.execute_batch("BEGIN IMMEDIATE").expect("it begins");
        for step in 0..12 {
            let recorded_at = step as i64;
            let mut tail = Tail { now: 0, position: step * 10, recorded_at, last: None, noted: 0 };
            let event = |n: u64| {
                let event = NewEvent::new(Arc::clone(&kinds[usize::from(n % 7 == 3)]), "{}");
                let correlation_id = (n % 11 == 4).then(|| Reference::Text(ODD.to_owned()));
                let tags = [(3, "third"), (5, "fifth")]
                    .into_iter()
                    .filter(|(every, _)| n.is_multiple_of(*every));
                let tags = tags.map(|(_, tag)| tag.to_owned()).collect();
                event.with_metadata(Metadata { correlation_id, tags, ..Metadata::default() })
            };
            let events = (0..10).map(|n| event(step * 10 + n)).collect();
            let stream = StreamId::new("T", format!("s{}", step % 4));
            let commit = Commit::append(stream, ExpectedVersion::Any, events);
            append(&mut session, &mut tail, &commit).expect("it is written").expect("it holds");
            tail.note(&session).expect("it is written");
        }
        session.conn.execute_batch("COMMIT").expect("it commits");
        session
    }

    fn queries() -> Vec<Query> {
        let rare = QueryItem { event_types: vec!["Rare".to_owned()], ..QueryItem::default() };
        let some = QueryItem { aggregate_type: Some("T".to_owned()), ..QueryItem::default() };
        let one = QueryItem { aggregate_id: Some("s3".to_owned()), ..QueryItem::default() };
        let tags = |tags: &[&str]| QueryItem {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..QueryItem::default()
        };
        let odd = Some(Reference::Text(ODD.to_owned()));
        let correlated = QueryItem { correlation_id: odd, ..QueryItem::default() };
        let partition = Some(Partition { index: 1, count: 3 });
        let items = |items| Query { items, ..Query::default() };
        vec![
            Query::default(),
            Query::stream(&StreamId::new("T", "s1")),
            items(vec![rare.clone()]),
            items(vec![one.clone()]),
            items(vec![correlated.clone()]),
            items(vec![correlated, one, rare.clone()]),
            Query { partition, ..Query::default() },
            items(vec![rare, Query::stream(&StreamId::new("T", "s2")).items.remove(0)]),
            items(vec![some]),
            items(vec![tags(&["third"])]),
            items(vec![tags(&["third", "fifth"])]),
            items(vec![tags(&["fifth"]), tags(&["third", "fifth"])]),
        ]
    }

    fn ranges() -> Vec<ReadRange> {
        let whole = ReadRange { limit: 7, ..ReadRange::default() };
        let mut ranges = vec![
            whole,
            ReadRange { after: 33, until: 101, ..whole },
            ReadRange { after_version: 4, until_version: 21, ..whole },
            ReadRange { recorded_until: 5, ..whole },
            ReadRange { recorded_from: 3, recorded_until: 8, after: 2, ..whole },
            ReadRange { strict: true, after: 5, ..whole },
        ];
        let turned: Vec<_> =
            ranges.iter().map(|range| ReadRange { backwards: true, ..*range }).collect();
        ranges.extend(turned);
        ranges
    }

    /// Reads to the end, `rows` at a time, and sees to it that every page gets further.
    fn all(session: &mut Session, query: &Query, mut range: ReadRange, rows: usize) -> Vec<u64> {
        let mut found = Vec::new();
        loop {
            let page = page_of(session, query, range, rows).expect("it reads");
            found.extend(page.iter().map(|event| event.head.position));
            if page.end {
                return found;
            }
            let left = range.continued(page.looked_to);
            assert!(left != range && left.after < left.until, "{range:?} to {left:?}");
            range = left;
        }
    }

    #[test]
    fn pages_that_end_at_a_number_of_rows_make_up_the_whole() {
        let mut session = filled();
        for query in queries() {
            for range in ranges() {
                let whole = all(&mut session, &query, range, PAGE_ROWS);
                for rows in [1, 2, 3, 10, 64] {
                    assert_eq!(
                        all(&mut session, &query, range, rows),
                        whole,
                        "{query:?} {range:?}"
                    );
                }
            }
        }
    }
}
