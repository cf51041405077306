//! Where events that no index finds lie: the server passes rows by their stream and correlation,
//! and gives positions.

use super::connection::Session;
use super::value::{clamp, column};
use crate::error::Result;
use crate::query::{Query, QueryItem};
use crate::span::Span;

/// Spans this close are one: a row between them costs less than another span.
const GAP: u64 = 8;

/// The most streams that are looked for by their numbers. Of more, each row's name is looked up.
const STREAMS: usize = 4096;

/// The spans within `whole` that hold every event that `item` can match. None where nothing of it
/// can be looked for.
pub(super) async fn sift(
    session: &mut Session,
    query: &Query,
    item: &QueryItem,
    whole: Span,
) -> Result<Option<Vec<Span>>> {
    let (first, last) = (clamp(whole.0), clamp(whole.1));
    if query.everyone && item.correlation_text().is_none() {
        return Ok(None);
    }
    let streams = match item.correlation_text() {
        Some(_) => None,
        None => streams(session, query, item, STREAMS).await?,
    };
    let statements = &session.shared.statements;
    let asked = match (item.correlation_text(), streams, &item.aggregate_type) {
        (Some(text), ..) => statements.sift.query().bind(first).bind(last).bind(text),
        (None, Some(streams), _) if streams.is_empty() => return Ok(Some(Vec::new())),
        (None, Some(streams), _) => {
            statements.sift_streams.query().bind(first).bind(last).bind(streams)
        }
        (None, None, Some(name)) => {
            statements.sift_names.query().bind(first).bind(last).bind(&query.tenant).bind(name)
        }
        (None, None, None) => return Ok(None),
    };
    let positions: Vec<i64> = column(&asked.fetch_all(&mut session.conn).await?, 0)?;
    let mut spans: Vec<Span> = Vec::new();
    for position in positions {
        let position = position as u64;
        match spans.last_mut() {
            Some(last) if position <= last.1 + GAP => last.1 = position,
            _ => spans.push((position, position)),
        }
    }
    Ok(Some(spans))
}

/// The numbers of the streams in which an item can match; none where there are more than `most`.
pub(super) async fn streams(
    session: &mut Session,
    query: &Query,
    item: &QueryItem,
    most: usize,
) -> Result<Option<Vec<i64>>> {
    if query.everyone {
        return Ok(None);
    }
    let (statements, limit) = (&session.shared.statements, most as i64 + 1);
    let asked = match (&item.aggregate_type, &item.aggregate_id) {
        (Some(name), id) => {
            let asked = statements.streams_of_item.query().bind(&query.tenant).bind(name);
            asked.bind(id).bind(limit)
        }
        (None, Some(id)) => {
            statements.streams_of_id.query().bind(&query.tenant).bind(id).bind(limit)
        }
        (None, None) => return Ok(None),
    };
    let found: Vec<i64> = column(&asked.fetch_all(&mut session.conn).await?, 0)?;
    Ok((found.len() <= most).then_some(found))
}
