//! Where events that no index finds lie: rows are passed by their stream, kind and correlation,
//! and nothing else of them is looked at.

use rusqlite::params;

use super::candidates::Span;
use super::connection::Session;
use super::reader::clamp;
use crate::error::Result;
use crate::query::{Query, QueryItem};

/// Spans this close are one: a row between them costs less than another statement.
const GAP: u64 = 8;

/// The spans within `whole` that hold every event that one of `items` can match.
pub(super) fn sift(
    session: &mut Session,
    query: &Query,
    items: &[&QueryItem],
    whole: Span,
) -> Result<Vec<Span>> {
    let (named, others): (Vec<&QueryItem>, Vec<&QueryItem>) =
        items.iter().partition(|item| item.correlation_id.is_some());
    let mut spans = Vec::new();
    if !others.is_empty() || items.is_empty() {
        pass(session, query, &others, None, whole, &mut spans)?;
    }
    for item in named {
        pass(session, query, &[item], item.correlation_text().as_deref(), whole, &mut spans)?;
    }
    Ok(spans)
}

fn pass(
    session: &mut Session,
    query: &Query,
    items: &[&QueryItem],
    text: Option<&str>,
    whole: Span,
    spans: &mut Vec<Span>,
) -> Result<()> {
    let Session { conn, names } = session;
    let mut statement = conn.prepare_cached(include_str!("sql/sift.sql"))?;
    let mut rows = statement.query(params![clamp(whole.0), clamp(whole.1), text])?;
    let (mut stream, mut kind, mut matches) = (None, None, false);
    while let Some(row) = rows.next()? {
        let (position, of, what) = (row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?);
        if stream != Some(of) || kind != Some(what) {
            (stream, kind) = (Some(of), Some(what));
            let (of, what) = (names.stream_name(conn, of)?, names.kind_name(conn, what)?);
            matches = query.may_match(items, &of, &what);
        }
        if !matches {
            continue;
        }
        match spans.last_mut() {
            Some(last) if last.1 < position && position <= last.1 + GAP => last.1 = position,
            _ => spans.push((position, position)),
        }
    }
    Ok(())
}
