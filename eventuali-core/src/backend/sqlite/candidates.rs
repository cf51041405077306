//! Where events that match a query can lie, found through the indexes.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::append::position_of;
use super::connection::Session;
use super::reader::{FIRST_WINDOW, clamp};
use super::sift::{sift, streams};
use crate::error::Result;
use crate::query::{Query, QueryItem, ReadRange};
use crate::span::{Span, merged};
use crate::stream::StreamId;

/// Index entries that one item looks at before it says how far it came.
const LOOKAHEAD: usize = 1024;

/// The most streams whose runs are looked up, all of them. The rows of more streams are passed.
const FEW_STREAMS: usize = 32;

/// Spans that hold every match between the start of the range and `looked_to`, and more besides.
pub(super) struct Candidates {
    pub(super) spans: Vec<Span>,
    pub(super) looked_to: u64,
    /// How many rows were passed, because no index finds what is asked for.
    pub(super) passed: u64,
}

/// The candidates of `query`, beginning where the range begins. `range.until` is a real position.
/// Where no index finds them, no more than `window` rows are passed.
pub(super) fn candidates(
    session: &mut Session,
    query: &Query,
    range: ReadRange,
    window: u64,
) -> Result<Candidates> {
    let whole = (range.after + 1, range.until);
    let mut spans = Vec::new();
    let mut unindexed = Vec::new();
    let mut looked_to = if range.backwards { whole.0 } else { whole.1 };
    for item in &query.items {
        let mut meet = |found: Vec<Span>, complete: bool| {
            if !complete && let Some(last) = found.last() {
                looked_to = if range.backwards {
                    looked_to.max(last.0.max(whole.0))
                } else {
                    looked_to.min(last.1.min(whole.1))
                };
            }
            spans.extend(found);
        };
        if !of_item(session, query, item, range, window, &mut meet)? {
            unindexed.push(item);
        }
    }
    let everything = query.items.is_empty() && query.partition.is_none();
    let sifted = !unindexed.is_empty() || (query.items.is_empty() && !everything);
    if sifted && range.backwards {
        looked_to = looked_to.max((whole.1 + 1).saturating_sub(window));
    } else if sifted {
        looked_to = looked_to.min(range.after.saturating_add(window));
    }
    let bounds = if range.backwards { (looked_to, whole.1) } else { (whole.0, looked_to) };
    if everything {
        spans.push(whole);
    } else if sifted {
        spans.extend(sift(session, query, &unindexed, bounds)?);
    }
    let passed = if sifted { bounds.1 + 1 - bounds.0 } else { 0 };
    Ok(Candidates { spans: merged(spans, bounds, range.backwards), looked_to, passed })
}

/// Gives the spans of one item to `meet`, with whether they are all there are in the range; says
/// whether an index serves the item at all.
fn of_item(
    session: &mut Session,
    query: &Query,
    item: &QueryItem,
    range: ReadRange,
    window: u64,
    meet: &mut impl FnMut(Vec<Span>, bool),
) -> Result<bool> {
    let (after, until) = (Value::from(clamp(range.after)), Value::from(clamp(range.until)));
    let text = |text: &String| Value::from(text.clone());
    if !item.event_ids.is_empty() {
        let mut spans = Vec::new();
        for id in &item.event_ids {
            spans.extend(position_of(session, *id)?.map(|position| (position, position)));
        }
        meet(spans, true);
    } else if let (Some(kind), Some(id)) = (&item.aggregate_type, &item.aggregate_id) {
        let name = StreamId::new(kind, id).with_tenant(&query.tenant);
        if let Some(stream) = session.names.stream(&session.conn, &name)? {
            of_stream(session, stream, range, LOOKAHEAD, meet)?;
        }
    } else if let Some(tag) = item.tags.first() {
        let sql = [include_str!("sql/tags_forward.sql"), include_str!("sql/tags_backward.sql")];
        let bounds = [text(&query.tenant), text(tag), after, until];
        look(session, sql, &bounds, LOOKAHEAD, range, meet)?;
    } else if !item.event_types.is_empty() {
        let sql = [
            include_str!("sql/kind_blocks_forward.sql"),
            include_str!("sql/kind_blocks_backward.sql"),
        ];
        for kind in kinds(session, &item.event_types)? {
            let bounds = [kind.into(), after.clone(), until.clone()];
            look(session, sql, &bounds, LOOKAHEAD, range, meet)?;
        }
    } else if window > FIRST_WINDOW
        && item.correlation_id.is_none()
        && let Some(streams) = streams(session, query, item, FEW_STREAMS)?
    {
        // Where matches are frequent, passing the first rows takes less.
        let mut spans = Vec::new();
        for stream in streams {
            let most = LOOKAHEAD - spans.len();
            of_stream(session, stream, range, most, &mut |found, _| spans.extend(found))?;
            if spans.len() == LOOKAHEAD {
                return Ok(false);
            }
        }
        meet(spans, true);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Gives the runs of a stream, no more than `most`.
fn of_stream(
    session: &mut Session,
    stream: i64,
    range: ReadRange,
    most: usize,
    meet: &mut impl FnMut(Vec<Span>, bool),
) -> Result<()> {
    let sql =
        [include_str!("sql/stream_runs_forward.sql"), include_str!("sql/stream_runs_backward.sql")];
    let above = session.version_at(stream, range.after)?;
    // Forwards, most ask for all that follows, and what is beyond the range is cut off.
    let to = if range.backwards { session.version_at(stream, range.until)? } else { u64::MAX };
    let bounds = [stream.into(), clamp(above).into(), clamp(to).into()];
    look(session, sql, &bounds, most, range, meet)
}

fn look(
    session: &Session,
    [forward, backward]: [&str; 2],
    parameters: &[Value],
    most: usize,
    range: ReadRange,
    meet: &mut impl FnMut(Vec<Span>, bool),
) -> Result<()> {
    let sql = if range.backwards { backward } else { forward };
    let limit = [Value::from(most as i64)];
    let mut statement = session.statement(sql)?;
    let spans = statement
        .query_map(params_from_iter(parameters.iter().chain(&limit)), |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })?
        .collect::<rusqlite::Result<Vec<Span>>>()?;
    let complete = spans.len() < most;
    meet(spans, complete);
    Ok(())
}

fn kinds(session: &Session, event_types: &[String]) -> Result<Vec<i64>> {
    let mut statement = session.statement(include_str!("sql/kinds_of_type.sql"))?;
    let mut found = Vec::new();
    for name in event_types {
        for id in statement.query_map([name], |row| row.get(0))? {
            found.push(id?);
        }
    }
    Ok(found)
}
