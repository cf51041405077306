//! Where events that match a query can lie, found through the indexes.

use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::connection::Session;
use super::sift::{sift, streams};
use super::value::clamp;
use crate::backend::sql::candidates::{
    Candidates, FEW_STREAMS, FIRST_WINDOW, Gathering, LOOKAHEAD,
};
use crate::error::Result;
use crate::event::user_key;
use crate::query::{Query, QueryItem, ReadRange, Term};
use crate::span::Span;
use crate::stream::StreamId;

/// The candidates of `query`, beginning where the range begins. `range.until` is a real position.
/// Where no index finds them, no more than `window` rows are passed.
pub(super) async fn candidates(
    session: &mut Session,
    query: &Query,
    range: ReadRange,
    window: u64,
) -> Result<Candidates> {
    let mut gathering = Gathering::new(range);
    let mut unindexed = Vec::new();
    for item in &query.items {
        let Some(found) = of_item(session, query, item, range, window).await? else {
            unindexed.push(item);
            continue;
        };
        for found in found {
            let complete = found.len() < LOOKAHEAD;
            gathering.meet(found, complete);
        }
    }
    if query.items.is_empty() {
        gathering.add([gathering.whole()]);
    }
    let sifted = !unindexed.is_empty();
    if sifted {
        gathering.pass(window);
    }
    let bounds = gathering.bounds();
    for item in &unindexed {
        match sift(session, query, item, bounds).await? {
            Some(found) => gathering.add(found),
            None => gathering.add([bounds]),
        }
    }
    Ok(gathering.finish(sifted))
}

/// The spans of one item, in lists that are whole unless they hold [`LOOKAHEAD`]; none where no
/// index serves the item.
async fn of_item(
    session: &mut Session,
    query: &Query,
    item: &QueryItem,
    range: ReadRange,
    window: u64,
) -> Result<Option<Vec<Vec<Span>>>> {
    if !item.event_ids.is_empty() {
        let found = stored_at(session, &item.event_ids).await?;
        let spans = found.iter().flatten().map(|stored| (stored.position, stored.position));
        // Each list is whole: cut where it could look as if it were not.
        let spans: Vec<Span> = spans.collect();
        return Ok(Some(spans.chunks(LOOKAHEAD - 1).map(<[Span]>::to_vec).collect()));
    }
    // Streams and tags stand behind their tenants.
    let owned = !query.everyone;
    if let (true, Some(kind), Some(id)) = (owned, &item.aggregate_type, &item.aggregate_id) {
        let stream = StreamId::new(kind, id).with_tenant(&query.tenant);
        return of_stream(session, &stream, range).await.map(|spans| Some(vec![spans]));
    }
    match item.term().filter(|_| owned) {
        Some(Term::Tag(tag)) => {
            return of_tag(session, &query.tenant, tag, range).await.map(|spans| Some(vec![spans]));
        }
        Some(Term::User(user)) => {
            return of_user(session, user, range).await.map(|spans| Some(vec![spans]));
        }
        None => {}
    }
    if !item.event_types.is_empty() {
        return of_kinds(session, &item.event_types, range).await.map(Some);
    }
    // Where matches are frequent, passing the first rows takes less.
    if window > FIRST_WINDOW
        && item.correlation_id.is_none()
        && let Some(streams) = streams(session, query, item, FEW_STREAMS).await?
    {
        let spans = of_streams(session, &streams, range).await?;
        return Ok((spans.len() < LOOKAHEAD).then(|| vec![spans]));
    }
    Ok(None)
}

async fn of_stream(
    session: &mut Session,
    stream: &StreamId,
    range: ReadRange,
) -> Result<Vec<Span>> {
    let statements = &session.shared.statements;
    let asked = statements.stream_runs.query(range.backwards);
    let asked = asked.bind(&stream.tenant).bind(&stream.aggregate_type);
    let asked = asked.bind(&stream.aggregate_id).bind(clamp(range.after));
    let asked = asked.bind(clamp(range.until)).bind(LOOKAHEAD as i64);
    let rows = asked.fetch_all(&mut session.conn).await?;
    rows.iter().map(|row| Ok((position(row, 0)?, position(row, 1)?))).collect()
}

/// The runs of several streams, in no order; of more than [`LOOKAHEAD`], any.
async fn of_streams(session: &mut Session, streams: &[i64], range: ReadRange) -> Result<Vec<Span>> {
    let asked = session.shared.statements.runs_of_streams.query().bind(streams);
    let asked = asked.bind(clamp(range.after)).bind(clamp(range.until)).bind(LOOKAHEAD as i64);
    let rows = asked.fetch_all(&mut session.conn).await?;
    rows.iter().map(|row| Ok((position(row, 0)?, position(row, 1)?))).collect()
}

async fn of_tag(
    session: &mut Session,
    tenant: &str,
    tag: &str,
    range: ReadRange,
) -> Result<Vec<Span>> {
    let statements = &session.shared.statements;
    let asked = statements.tags.query(range.backwards);
    let asked = asked.bind(tenant).bind(tag).bind(clamp(range.after));
    let asked = asked.bind(clamp(range.until)).bind(LOOKAHEAD as i64);
    let rows = asked.fetch_all(&mut session.conn).await?;
    rows.iter().map(|row| Ok((position(row, 0)?, position(row, 1)?))).collect()
}

async fn of_user(session: &mut Session, user: &str, range: ReadRange) -> Result<Vec<Span>> {
    let asked = session.shared.statements.users.query(range.backwards);
    let asked = asked.bind(user_key(user)).bind(clamp(range.after));
    let asked = asked.bind(clamp(range.until)).bind(LOOKAHEAD as i64);
    let rows = asked.fetch_all(&mut session.conn).await?;
    rows.iter().map(|row| Ok((position(row, 0)?, position(row, 1)?))).collect()
}

fn position(row: &PgRow, column: usize) -> Result<u64> {
    Ok(row.try_get::<i64, _>(column)? as u64)
}

/// A list a kind.
async fn of_kinds(
    session: &mut Session,
    event_types: &[String],
    range: ReadRange,
) -> Result<Vec<Vec<Span>>> {
    let statements = &session.shared.statements;
    let asked = statements.kind_spans.query(range.backwards);
    let asked = asked.bind(event_types).bind(clamp(range.after));
    let asked = asked.bind(clamp(range.until)).bind(LOOKAHEAD as i64);
    let rows = asked.fetch_all(&mut session.conn).await?;
    let mut lists: Vec<(i32, Vec<Span>)> = Vec::new();
    for row in rows {
        let kind: i32 = row.try_get(0)?;
        let span = (position(&row, 1)?, position(&row, 2)?);
        match lists.last_mut() {
            Some((last, spans)) if *last == kind => spans.push(span),
            _ => lists.push((kind, vec![span])),
        }
    }
    Ok(lists.into_iter().map(|(_, spans)| spans).collect())
}

/// Where an event is stored, and the digest of the records of its commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) position: u64,
    pub(super) records: i64,
}

/// For each id, where its event is stored, if it is.
pub(super) async fn stored_at(session: &mut Session, ids: &[Uuid]) -> Result<Vec<Option<Stored>>> {
    let shared = Arc::clone(&session.shared);
    let asked = shared.statements.runs_of_ids.query().bind(ids);
    let rows = asked.fetch_all(&mut session.conn).await?;
    let mut found = Vec::with_capacity(ids.len());
    for (row, id) in rows.iter().zip(ids) {
        let Some(first) = row.try_get::<Option<Uuid>, _>(0)? else {
            found.push(None);
            continue;
        };
        let offset = (id.as_u128() - first.as_u128()) as u64;
        let position = position(row, 2)? + offset;
        found.push(Some(Stored { position, records: row.try_get(3)? }));
    }
    Ok(found)
}
