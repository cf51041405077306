//! Where events that match a query can lie, found through the indexes.

use rusqlite::ToSql;

use super::chains::{KIND_BLOCKS, Part, TAGS, term_text};
use super::connection::Session;
use super::error::{damaged, is_checked};
use super::ids::position_of;
use super::sift::{sift, streams};
use super::value::{clamp, in_order};
use crate::backend::sql::candidates::{
    Candidates, FEW_STREAMS, FIRST_WINDOW, Gathering, LOOKAHEAD,
};
use crate::error::{Error, Result};
use crate::query::{Query, QueryItem, ReadRange};
use crate::span::Span;
use crate::stream::StreamId;

/// The candidates of `query`, beginning where the range begins. `range.until` is a real position.
/// Where no index finds them, no more than `window` rows are passed.
pub(super) fn candidates(
    session: &mut Session,
    query: &Query,
    range: ReadRange,
    window: u64,
) -> Result<Candidates> {
    let mut gathering = Gathering::new(range);
    let mut unindexed = Vec::new();
    for item in &query.items {
        let mut meet = |found, complete| gathering.meet(found, complete);
        if !of_item(session, query, item, range, window, &mut meet)? {
            unindexed.push(item);
        }
    }
    let everything = query.items.is_empty() && query.partition.is_none();
    let sifted = !unindexed.is_empty() || (query.items.is_empty() && !everything);
    if sifted {
        gathering.pass(window);
    }
    let bounds = gathering.bounds();
    if everything {
        gathering.add([gathering.whole()]);
    } else if sifted && range.strict {
        gathering.add([bounds]);
    } else if sifted {
        gathering.add(sift(session, query, &unindexed, bounds)?);
    }
    // What is read whole is counted by who reads it.
    Ok(gathering.finish(sifted && !range.strict))
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
    // Streams and tags stand behind their tenants.
    let owned = !query.everyone;
    let safe = (owned && item.aggregate_type.is_some() && item.aggregate_id.is_some())
        || (owned && item.term().is_some())
        || !item.event_types.is_empty();
    if range.strict && !safe {
        // The other indexes can't tell that they lost an entry.
        return Ok(false);
    }
    if !range.strict && !item.event_ids.is_empty() {
        let mut spans = Vec::new();
        for id in &item.event_ids {
            spans.extend(position_of(session, *id)?.map(|position| (position, position)));
        }
        meet(spans, true);
    } else if let (true, Some(kind), Some(id)) = (owned, &item.aggregate_type, &item.aggregate_id) {
        let name = StreamId::new(kind, id).with_tenant(&query.tenant);
        if let Some(stream) = session.names.stream(&session.conn, &name)? {
            of_stream(session, stream, range, LOOKAHEAD, meet)?;
        }
    } else if let Some(term) = item.term().filter(|_| owned) {
        let term = term_text(term);
        let key: [&dyn ToSql; 2] = [&query.tenant, &term];
        let (places, complete) = TAGS.within(&session.conn, &key, Part::of(range), LOOKAHEAD)?;
        meet(places.into_iter().map(|place| (place as u64, place as u64)).collect(), complete);
    } else if !item.event_types.is_empty() {
        for name in &item.event_types {
            for kind in session.names.kinds_of_type(&session.conn, name)? {
                let blocks = Part::of(range).blocks();
                let (blocks, complete) =
                    KIND_BLOCKS.within(&session.conn, &[&kind], blocks, LOOKAHEAD)?;
                let span = |block: i64| ((block << 6) as u64, (block << 6) as u64 + 63);
                meet(blocks.into_iter().map(span).collect(), complete);
            }
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

/// Gives the runs of a stream, no more than `most`. Their versions tell whether one is missing.
fn of_stream(
    session: &mut Session,
    stream: i64,
    range: ReadRange,
    most: usize,
    meet: &mut impl FnMut(Vec<Span>, bool),
) -> Result<()> {
    let sql = in_order!("sql/stream_runs.sql", range.backwards);
    let above = session.version_after(stream, range.after)?;
    let end = session.version_until(stream, range.until)?;
    if end <= above {
        return Ok(());
    }
    let bounds = [stream, clamp(above), clamp(end), most as i64];
    let mut statement = session.statement(sql)?;
    let mut rows = statement.query(bounds)?;
    let (mut spans, mut due) = (Vec::new(), (above + 1, end));
    while let Some(row) = rows.next()? {
        let column = |index| row.get::<_, i64>(index).map(|number| number as u64);
        let (first, last) = (column(2)?, column(3)?);
        let next = if range.backwards { due.1 } else { due.0 };
        if !(row.get(4)? && (first..=last).contains(&next)) && is_checked() {
            return Err(broken());
        }
        due = if range.backwards { (due.0, first - 1) } else { (last + 1, due.1) };
        spans.push((column(0)?, column(1)?));
        if due.0 > due.1 {
            break;
        }
    }
    let complete = due.0 > due.1 || spans.len() < most;
    if complete && due.0 <= due.1 && is_checked() {
        return Err(broken());
    }
    meet(spans, complete);
    Ok(())
}

fn broken() -> Error {
    damaged("the index of a stream differs from what was written")
}
