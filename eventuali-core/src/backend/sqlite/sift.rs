//! Where events that no index finds lie: rows are passed by their stream, kind and correlation, and
//! nothing else of them is looked at, but whether these are what was written.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use super::connection::Session;
use super::value::{clamp, json};
use crate::error::Result;
use crate::query::{Query, QueryItem};
use crate::span::Span;
use crate::stream::StreamId;

/// Spans this close are one: a row between them costs less than another statement.
const GAP: u64 = 8;

/// The most streams that are looked for by their numbers. Of more, each row's name is looked up.
const STREAMS: usize = 4096;

/// The spans within `whole` that hold every event that one of `items` can match.
pub(super) fn sift(
    session: &mut Session,
    query: &Query,
    items: &[&QueryItem],
    whole: Span,
) -> Result<Vec<Span>> {
    session.is_whole(whole)?;
    let mut spans = Vec::new();
    let mut others = Vec::new();
    for item in items {
        let only = std::slice::from_ref(item);
        if let Some(text) = item.correlation_text() {
            let sql = include_str!("sql/sift_metadata.sql");
            pass(session, query, only, (sql, &[&text]), whole, &mut spans)?;
        } else if let Some(streams) = streams(session, query, item, STREAMS)? {
            if !streams.is_empty() {
                let streams = json(streams);
                let sql = include_str!("sql/sift_streams.sql");
                pass(session, query, only, (sql, &[&streams]), whole, &mut spans)?;
            }
        } else {
            others.push(*item);
        }
    }
    if !others.is_empty() || items.is_empty() {
        pass(session, query, &others, (include_str!("sql/sift.sql"), &[]), whole, &mut spans)?;
    }
    Ok(spans)
}

/// The numbers of the streams in which an item can match; none where there are more than `most`.
pub(super) fn streams(
    session: &mut Session,
    query: &Query,
    item: &QueryItem,
    most: usize,
) -> Result<Option<Vec<i64>>> {
    if query.everyone {
        return Ok(None);
    }
    let (tenant, limit) = (&query.tenant, most as i64 + 1);
    let found: Vec<i64> = if let Some(id) = &item.aggregate_id {
        let mut statement = session.statement(include_str!("sql/streams_of_id.sql"))?;
        let rows = statement
            .query_map(params![tenant, id, item.aggregate_type, limit], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    } else if let Some(name) = &item.aggregate_type {
        let mut statement = session.statement(include_str!("sql/streams_of_type.sql"))?;
        let rows = statement.query_map(params![tenant, name, limit], |row| row.get(0))?;
        let found: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        let category = StreamId::new(name, "").with_tenant(tenant);
        if found.len() <= most
            && let Some(category) = session.names.category(&session.conn, &category)?
        {
            session.names.has_all_streams(&session.conn, category)?;
        }
        found
    } else {
        return Ok(None);
    };
    Ok((found.len() <= most).then_some(found))
}

fn pass(
    session: &mut Session,
    query: &Query,
    items: &[&QueryItem],
    (sql, parameter): (&str, &[&str]),
    whole: Span,
    spans: &mut Vec<Span>,
) -> Result<()> {
    let Session { conn, names, .. } = session;
    let mut statement = conn.prepare_cached(sql)?;
    let bounds = [Value::from(clamp(whole.0)), Value::from(clamp(whole.1))];
    let parameters = parameter.iter().map(|text| Value::from((*text).to_owned()));
    let mut rows = statement.query(params_from_iter(bounds.into_iter().chain(parameters)))?;
    let (mut stream, mut kind, mut matches) = (None, None, false);
    while let Some(row) = rows.next()? {
        let (position, of, what) = (row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?);
        // What is not known to be what was written is read whole.
        let kept: bool = row.get(3)?;
        if kept && (stream != Some(of) || kind != Some(what)) {
            (stream, kind) = (Some(of), Some(what));
            let (of, what) = (names.stream_name(conn, of)?, names.kind_name(conn, what)?);
            matches = query.may_match(items, &of, &what);
        }
        if kept && !matches {
            continue;
        }
        match spans.last_mut() {
            Some(last) if last.1 < position && position <= last.1 + GAP => last.1 = position,
            _ => spans.push((position, position)),
        }
    }
    Ok(())
}
