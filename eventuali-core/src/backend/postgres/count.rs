//! How many events match, without their payloads where names say it all.

use sqlx::Row;

use super::candidates::candidates;
use super::connection::Session;
use super::reader::{Until, last_position, page, wanted_kinds, within_times};
use super::value::{clamp, column};
use crate::error::Result;
use crate::query::{Query, QueryItem, ReadRange};
use crate::span::Span;
use crate::stream::StreamId;

/// The positions of one statement, so that none takes long.
const WINDOW: u64 = 1 << 20;

/// See [`crate::storage::Storage::count`].
pub(super) async fn count(session: &mut Session, query: &Query, range: ReadRange) -> Result<u64> {
    let range = range.counted();
    if range.has_happened() {
        return by_pages(session, query, range).await;
    }
    if let Some(stream) = query.as_stream() {
        return of_stream(session, &stream, range).await;
    }
    if let Some(tag) = query.as_only_tag().filter(|_| !range.has_versions()) {
        return of_tag(session, &query.tenant, tag, range).await;
    }
    if !query.is_of_names() || range.has_versions() || query.everyone {
        return by_pages(session, query, range).await;
    }
    let mut left = settled(session, range).await?;
    let kinds = wanted_kinds(session, query).await?;
    let mut count = 0;
    while left.after < left.until {
        let (spans, looked_to) = if query.is_indexed_by_name() {
            let found = candidates(session, query, left, WINDOW).await?;
            (found.spans, found.looked_to)
        } else {
            let part = left.begun(WINDOW);
            (vec![(part.after + 1, part.until)], part.until)
        };
        count += of_spans(session, query, kinds.as_deref(), &spans).await?;
        left = left.continued(looked_to);
    }
    Ok(count)
}

/// The part of `range` that can be read, without its times.
async fn settled(session: &mut Session, range: ReadRange) -> Result<ReadRange> {
    let last = last_position(session, Until::Horizon).await?;
    within_times(session, ReadRange { until: range.until.min(last), ..range }).await
}

async fn of_tag(session: &mut Session, tenant: &str, tag: &str, range: ReadRange) -> Result<u64> {
    let left = settled(session, range).await?;
    let asked = session.shared.statements.count_tag.query().bind(tenant).bind(tag);
    let asked = asked.bind(clamp(left.after)).bind(clamp(left.until));
    Ok(asked.fetch_one(&mut session.conn).await?.try_get::<i64, _>(0)? as u64)
}

async fn of_stream(session: &mut Session, stream: &StreamId, range: ReadRange) -> Result<u64> {
    let mut range = range;
    if range.has_times() {
        // A stream is read beyond where the log is settled.
        let last = last_position(session, Until::Last).await?;
        let until = range.until.min(last);
        range = within_times(session, ReadRange { until, ..range }).await?;
    }
    if range.until <= range.after {
        return Ok(0);
    }
    let asked = session.shared.statements.count_stream.query();
    let asked = asked
        .bind(&stream.tenant)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(clamp(range.after))
        .bind(clamp(range.until))
        .bind(clamp(range.after_version))
        .bind(clamp(range.until_version));
    let found = asked.fetch_optional(&mut session.conn).await?;
    Ok(found.map_or(Ok(0), |row| row.try_get::<i64, _>(0))? as u64)
}

async fn by_pages(session: &mut Session, query: &Query, mut range: ReadRange) -> Result<u64> {
    let mut count = 0;
    loop {
        let found = page(session, query, range, Until::Horizon).await?;
        count += found.len() as u64;
        if found.end {
            return Ok(count);
        }
        range = range.continued(found.looked_to);
    }
}

/// How many match between pairs of positions: the server counts them by their names, and these say
/// which of them do.
async fn of_spans(
    session: &mut Session,
    query: &Query,
    kinds: Option<&[i32]>,
    spans: &[Span],
) -> Result<u64> {
    if spans.is_empty() {
        return Ok(0);
    }
    let items: Vec<&QueryItem> = query.items.iter().collect();
    let apart = query.partition.is_some() || items.iter().any(|item| item.aggregate_id.is_some());
    let ends = |end: fn(&Span) -> u64| spans.iter().map(end).map(clamp).collect::<Vec<_>>();
    let asked = session.shared.statements.count_events.query();
    let asked = asked.bind(ends(|span| span.0)).bind(ends(|span| span.1)).bind(kinds);
    let asked = asked.bind(apart).bind(&query.tenant);
    let rows = asked.fetch_all(&mut session.conn).await?;
    let mut met: Vec<i32> = column(&rows, 3)?;
    met.sort_unstable();
    met.dedup();
    let Session { conn, known, shared, .. } = session;
    let names = known.names.learn(conn, &shared.statements, (&[], &met)).await?;
    let mut count = 0;
    for row in &rows {
        let stream = StreamId::new(row.try_get::<String, _>(1)?, row.try_get::<String, _>(2)?)
            .with_tenant(row.try_get::<String, _>(0)?);
        let kind = names.kind(row.try_get(3)?)?;
        if query.may_match(&items, &stream, &kind) {
            count += row.try_get::<i64, _>(4)? as u64;
        }
    }
    Ok(count)
}
