//! A page of events in the making: rows are fetched, verified, and kept where they match.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::batch::sealed;
use super::connection::Session;
use super::names::Learned;
use super::value::{clamp, column};
use crate::error::{Error, Result};
use crate::event::{EventHead, EventPage, EventRef, user_key};
use crate::query::{MAX_PAGE_BYTES, MAX_PAGE_EVENTS, Query, ReadRange};
use crate::span::Span;
use crate::stream::StreamId;

/// The most rows that are looked at for one page; a page of a rare match is short instead of slow.
const PAGE_ROWS: usize = 65_536;
/// The most bytes of the rows of one statement, which are held while the page is made. A statement
/// for `n` rows gives no payload with a row that has more than its n-th part: fewer are asked for
/// then. Summing the sizes up in the server instead doubles its work.
const ROWS_BYTES: usize = 8 << 20;
/// So few rows that they may be of any size.
const FEW_ROWS: usize = 4;
/// How many times fewer rows are asked for where one of them is too large.
const FEWER: usize = 8;

/// The most events that the end of the log is taken to have, where a page begins near to it.
pub(super) const TAIL: usize = 64;

/// By what one statement finds the rows of a range.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    Stream(&'a StreamId),
    /// A tenant and a tag.
    Tag(&'a str, &'a str),
    /// Whoever's user.
    User(&'a str),
    /// A text in the metadata, for which all rows are passed.
    Text(&'a str),
}

/// A page in the making.
pub(super) struct Scan {
    pub(super) page: EventPage,
    pub(super) range: ReadRange,
    pub(super) looked_to: u64,
    /// How many rows the next statement asks for.
    step: usize,
    /// How many it may ask for.
    most: usize,
    /// How many rows may still be looked at.
    pub(super) rows_left: usize,
    /// No more fits on the page.
    pub(super) full: bool,
    /// Nothing that follows can match.
    pub(super) over: bool,
}

impl Scan {
    pub(super) fn new(range: ReadRange) -> Self {
        Self {
            page: EventPage::default(),
            range,
            looked_to: 0,
            step: range.page_limit(),
            most: MAX_PAGE_EVENTS,
            rows_left: PAGE_ROWS,
            full: false,
            over: false,
        }
    }

    /// Adds what matches of the first events behind the beginning of the range. Up to where all is
    /// settled, as far as that was found out, and whether more may be.
    pub(super) async fn tail(
        &mut self,
        session: &mut Session,
        query: &Query,
    ) -> Result<(u64, bool)> {
        let above = self.range.after;
        let most = if query.items.is_empty() { TAIL.min(self.range.page_limit()) } else { TAIL };
        let settled = self.range.prompt && session.is_settled(above);
        let asked = session.shared.statements.call_tail.query();
        let asked = asked.bind(clamp(above)).bind(settled).bind(most as i32);
        let asked = asked.bind((ROWS_BYTES / TAIL) as i64);
        let mut rows = asked.fetch_all(&mut session.conn).await?;
        let horizon: Option<i64> = rows.first().map_or(Ok(None), |row| row.try_get(10))?;
        rows.retain(|row| row.try_get_unchecked::<Option<i64>, _>(0).is_ok_and(|at| at.is_some()));
        if horizon.is_none() {
            let positions: Vec<i64> = column(&rows, 0)?;
            let follow = positions.into_iter().zip(clamp(above) + 1..);
            rows.truncate(follow.take_while(|(at, next)| at == next || leaps()).count());
        }
        let last = rows.last().map_or(Ok(0), |row| number(row, 0))? as u64;
        let settled = horizon.map_or(last.max(above), |horizon| horizon as u64);
        session.settle(settled);
        let more = rows.len() == most;
        self.step = most;
        let whole = self.rows(session, &rows, Some(query)).await? == Some(!more);
        (self.step, self.most) = (self.range.page_limit(), MAX_PAGE_EVENTS);
        if whole && !more && !self.full && !self.over {
            self.looked_to = settled;
        }
        Ok((settled, horizon.is_none()))
    }

    /// Adds what matches in `spans`, until they are exhausted or the page is full.
    pub(super) async fn all(
        &mut self,
        session: &mut Session,
        query: &Query,
        kinds: Option<&[i32]>,
        mut spans: &[Span],
    ) -> Result<()> {
        while let Some(count) = chunk(spans) {
            let (now, later) = spans.split_at(count);
            let mut left = now.to_vec();
            while !left.is_empty() {
                let exhausted = self.spans(session, Some(query), kinds, &left).await?;
                if self.full || self.over {
                    return Ok(());
                }
                left = if exhausted { Vec::new() } else { self.beyond(&left) };
            }
            spans = later;
        }
        Ok(())
    }

    /// What is left of `spans` behind the last row, in the direction of reading.
    pub(super) fn beyond(&self, spans: &[Span]) -> Vec<Span> {
        let at = self.looked_to;
        let rest = |(first, last): &Span| {
            if self.range.backwards {
                (*first, (*last).min(at - 1))
            } else {
                (at.max(*first - 1) + 1, *last)
            }
        };
        spans.iter().map(rest).filter(|(first, last)| first <= last).collect()
    }

    /// The rows of one statement for `spans`; whether they hold no more than it gave.
    pub(super) async fn spans(
        &mut self,
        session: &mut Session,
        query: Option<&Query>,
        kinds: Option<&[i32]>,
        spans: &[Span],
    ) -> Result<bool> {
        loop {
            let rows = self.rows_of_spans(session, kinds, spans).await?;
            if let Some(exhausted) = self.rows(session, &rows, query).await? {
                return Ok(exhausted);
            }
        }
    }

    async fn rows_of_spans(
        &self,
        session: &mut Session,
        kinds: Option<&[i32]>,
        spans: &[Span],
    ) -> Result<Vec<PgRow>> {
        let statements = &session.shared.statements;
        let (one, single, several) = (&statements.events, &statements.events_at, &statements.spans);
        let backwards = self.range.backwards;
        let asked = if let [(first, last)] = spans {
            one.query(backwards).bind(clamp(*first)).bind(clamp(*last))
        } else if spans.iter().all(|(first, last)| first == last) {
            single.query(backwards).bind(spans.iter().map(|span| clamp(span.0)).collect::<Vec<_>>())
        } else {
            let ends = |end: fn(&Span) -> u64| spans.iter().map(end).map(clamp).collect::<Vec<_>>();
            several.query(backwards).bind(ends(|span| span.0)).bind(ends(|span| span.1))
        };
        let asked = asked.bind(kinds).bind(self.step as i64).bind(self.row_bytes());
        Ok(asked.fetch_all(&mut session.conn).await?)
    }

    /// Adds what matches of what is found in a range, until that is exhausted or the page is full.
    pub(super) async fn within(
        &mut self,
        session: &mut Session,
        query: &Query,
        by: By<'_>,
        mut left: ReadRange,
    ) -> Result<()> {
        while left.after < left.until {
            let rows = self.rows_within(session, by, left).await?;
            let rows = self.named(by, &rows)?;
            match self.rows(session, rows, Some(query)).await? {
                Some(exhausted) if exhausted || self.full || self.over => break,
                Some(_) => left = left.continued(self.looked_to),
                None => {}
            }
        }
        Ok(())
    }

    /// The rows, all of which are there that an index names: those of a stream, without a hole from
    /// where they must begin to where they must end; those of a tag, with that tag.
    fn named<'r>(&self, by: By<'_>, rows: &'r [PgRow]) -> Result<&'r [PgRow]> {
        match by {
            By::Stream(_) => {
                let Some((bounds, rows)) = rows.split_first() else { return Ok(rows) };
                self.unbroken(bounds, rows)?;
                Ok(rows)
            }
            By::Tag(_, tag) => {
                let written = serde_json::to_string(tag)
                    .map_err(|cause| Error::invalid("tags", "no JSON").with_source(cause))?;
                for row in rows {
                    let stream: Option<i64> = row.try_get_unchecked(1)?;
                    // A row that is too large comes without either.
                    let metadata: Option<&str> = row.try_get_unchecked(8)?;
                    let whole = row.try_get_unchecked::<Option<&[u8]>, _>(9)?.is_some();
                    let tagged = metadata.is_some_and(|text| text.contains(&written));
                    if stream.is_none() || (whole && !tagged) {
                        return Err(EventHead::corrupted(number(row, 0)? as u64));
                    }
                }
                Ok(rows)
            }
            By::User(_) | By::Text(_) => Ok(rows),
        }
    }

    /// Sees to it that the rows of a stream are those that its bounds promise.
    fn unbroken(&self, bounds: &PgRow, rows: &[PgRow]) -> Result<()> {
        let (last_position, stream) = (number(bounds, 0)?, number(bounds, 1)?);
        let (after, until) = (number(bounds, 2)?, number(bounds, 5)?);
        let torn = bounds.try_get_unchecked::<i32, _>(3)? != 0;
        let promised = (until - after).clamp(0, self.step as i64) as usize;
        for (row, behind) in rows.iter().zip(0..) {
            let version = if self.range.backwards { until - behind } else { after + 1 + behind };
            if (number(row, 1)?, number(row, 2)?) != (stream, version) {
                return Err(EventHead::corrupted(number(row, 0)? as u64));
            }
        }
        if torn || rows.len() != promised {
            return Err(EventHead::corrupted(last_position as u64));
        }
        Ok(())
    }

    async fn rows_within(
        &self,
        session: &mut Session,
        by: By<'_>,
        left: ReadRange,
    ) -> Result<Vec<PgRow>> {
        let statements = &session.shared.statements;
        let statement = match by {
            By::Stream(_) => &statements.stream_events,
            By::Tag(..) => &statements.tag_events,
            By::User(_) => &statements.user_events,
            By::Text(_) => &statements.sift_events,
        };
        let asked = statement.query(self.range.backwards);
        let asked = match by {
            By::Stream(stream) => asked
                .bind(&stream.tenant)
                .bind(&stream.aggregate_type)
                .bind(&stream.aggregate_id)
                .bind(clamp(left.after_version))
                .bind(clamp(left.until_version)),
            By::Tag(tenant, tag) => asked.bind(tenant).bind(tag),
            By::User(user) => asked.bind(user_key(user)),
            By::Text(text) => asked.bind(text),
        };
        let asked = asked.bind(clamp(left.after)).bind(clamp(left.until));
        let asked = asked.bind(self.step as i64).bind(self.row_bytes());
        Ok(asked.fetch_all(&mut session.conn).await?)
    }

    /// The most bytes of a row of the next statement.
    fn row_bytes(&self) -> i64 {
        if self.step <= FEW_ROWS { i64::MAX } else { (ROWS_BYTES / self.step) as i64 }
    }

    /// Adds what matches of `rows`; whether there were no more than these. None where the first of
    /// them is too large for so many.
    async fn rows(
        &mut self,
        session: &mut Session,
        rows: &[PgRow],
        query: Option<&Query>,
    ) -> Result<Option<bool>> {
        let names = names(session, rows).await?;
        for (index, row) in rows.iter().enumerate() {
            if !is_whole(row)? {
                self.ask_for_fewer();
                return Ok((index > 0).then_some(false));
            }
            self.row(&names, row, query)?;
            if self.full || self.over {
                return Ok(Some(false));
            }
        }
        let exhausted = rows.len() < self.step;
        if !exhausted {
            // Where few rows match, look at more of them at once.
            self.step = (self.step * 4).min(self.most);
        }
        Ok(Some(exhausted))
    }

    fn ask_for_fewer(&mut self) {
        self.step = (self.step / FEWER).max(FEW_ROWS);
        self.most = self.step;
    }

    /// Adds a row where it matches.
    fn row(&mut self, names: &Learned, row: &PgRow, query: Option<&Query>) -> Result<()> {
        let (head, metadata, payload) = checked(names, row)?;
        let position = head.position;
        let size = metadata.len() + payload.len();
        if self.range.is_over(&head) {
            self.over = true;
            return Ok(());
        }
        let event = EventRef { head: &head, metadata_bytes: metadata, payload };
        let within = self.range.contains(&event);
        let wanted = within && query.map_or(Ok(true), |query| query.matches(&event))?;
        if wanted {
            if !self.page.is_empty() && self.page.bytes() + size > MAX_PAGE_BYTES {
                self.full = true;
                return Ok(());
            }
            self.page.push(head, metadata, payload);
        }
        self.looked_to = position;
        self.rows_left = self.rows_left.saturating_sub(1);
        self.full = self.page.len() == self.range.page_limit() || self.rows_left == 0;
        Ok(())
    }

    /// The page; where it is not full, everything to `edge` has been looked at.
    pub(super) fn finish(mut self, edge: u64) -> EventPage {
        self.page.looked_to = if self.full { self.looked_to } else { edge };
        self.page.end = !self.full || self.looked_to == edge;
        self.page
    }
}

/// How many spans make one statement: one, or several that are short.
fn chunk(spans: &[Span]) -> Option<usize> {
    let mut rows = 0;
    let short = spans.iter().take_while(|span| {
        rows += span.1 - span.0 + 1;
        rows <= MAX_PAGE_EVENTS as u64
    });
    (!spans.is_empty()).then_some(short.count().max(1))
}

/// The first rows of a span, whatever they are, that one statement gives with all they hold; and
/// whether there are no more.
pub(super) async fn first_rows(session: &mut Session, within: Span) -> Result<(Vec<PgRow>, bool)> {
    let mut scan = Scan::new(ReadRange { limit: usize::MAX, ..ReadRange::default() });
    loop {
        let mut rows = scan.rows_of_spans(session, None, &[within]).await?;
        let found = rows.len();
        for (index, row) in rows.iter().enumerate() {
            if !is_whole(row)? {
                rows.truncate(index);
                break;
            }
        }
        if !rows.is_empty() || found == 0 {
            let exhausted = rows.len() == found && found < scan.step;
            return Ok((rows, exhausted));
        }
        scan.ask_for_fewer();
    }
}

/// The names on rows.
pub(super) async fn names(session: &mut Session, rows: &[PgRow]) -> Result<Learned> {
    let mut streams: Vec<i64> = column(rows, 1)?;
    let mut kinds: Vec<i32> = column(rows, 3)?;
    streams.dedup();
    kinds.dedup();
    let Session { conn, known, shared, .. } = session;
    known.names.learn(conn, &shared.statements, (&streams, &kinds)).await
}

/// Whether a row was not too large for all it holds to come with it.
fn is_whole(row: &PgRow) -> Result<bool> {
    Ok(row.try_get_unchecked::<Option<&[u8]>, _>(9)?.is_some())
}

/// The event of a row that is whole, its metadata and its payload, held against its checksum.
pub(super) fn checked<'r>(
    names: &Learned,
    row: &'r PgRow,
) -> Result<(EventHead, &'r [u8], &'r [u8])> {
    let position = number(row, 0)? as u64;
    let metadata = row.try_get_unchecked::<Option<&str>, _>(8)?.unwrap_or_default().as_bytes();
    let payload = row.try_get_unchecked(9)?;
    let head = head(names, row, position)?;
    if sealed(&head, metadata, payload) != number(row, 7)? {
        return Err(EventHead::corrupted(position));
    }
    Ok((head, metadata, payload))
}

fn head(names: &Learned, row: &PgRow, position: u64) -> Result<EventHead> {
    Ok(EventHead {
        position,
        event_id: row.try_get_unchecked(4)?,
        stream: names.stream(number(row, 1)?)?,
        version: number(row, 2)? as u64,
        kind: names.kind(row.try_get_unchecked(3)?)?,
        timestamp: number(row, 5)?,
        recorded_at: number(row, 6)?,
    })
}

/// A column that the statement says is a BIGINT; see [`column`] on its type.
fn number(row: &PgRow, index: usize) -> sqlx::Result<i64> {
    row.try_get_unchecked(index)
}

/// What the tests of the order must catch: a gap that is stepped over.
fn leaps() -> bool {
    #[cfg(feature = "faults")]
    return super::schema::fault::chosen("gap");
    #[cfg(not(feature = "faults"))]
    false
}
