//! Where events that no index finds lie: the server passes rows by their stream and correlation,
//! and gives positions.

use super::candidates::Span;
use super::connection::Session;
use super::reader::{clamp, column};
use crate::error::Result;
use crate::query::{Query, QueryItem};

/// Spans this close are one: a row between them costs less than another span.
const GAP: u64 = 8;

/// The spans within `whole` that hold every event that `item` can match. None where nothing of it
/// can be looked for.
pub(super) async fn sift(
    session: &mut Session,
    query: &Query,
    item: &QueryItem,
    whole: Span,
) -> Result<Option<Vec<Span>>> {
    let statements = &session.shared.statements;
    let text = item.correlation_text();
    let asked = if item.aggregate_type.is_none() && item.aggregate_id.is_none() {
        let Some(text) = text else { return Ok(None) };
        statements.sift.query().bind(clamp(whole.0)).bind(clamp(whole.1)).bind(text)
    } else {
        let asked = statements.sift_streams.query().bind(clamp(whole.0)).bind(clamp(whole.1));
        let asked = asked.bind(text).bind(&query.tenant);
        asked.bind(&item.aggregate_type).bind(&item.aggregate_id)
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
