//! Which streams there are. The index that lists them is held against the table of their names.

use rusqlite::params;

use super::connection::Session;
use super::error::{damaged, is_checked};
use crate::backend::sql::pages;
use crate::error::Result;
use crate::query::MAX_PAGE_EVENTS;
use crate::stream::{StreamId, StreamInfo, StreamPage, StreamSelection};

/// One page of streams, sorted by (type, id).
pub(super) fn streams(
    session: &mut Session,
    selection: &StreamSelection,
    after: Option<&(String, String)>,
    limit: usize,
) -> Result<StreamPage> {
    selection.check()?;
    session.look_at_the_past()?;
    let limit = limit.clamp(1, MAX_PAGE_EVENTS);
    let (from_type, from_id) = after.map_or(("", ""), |(kind, id)| (kind, id));
    let mut streams = Vec::new();
    for (category, aggregate_type) in categories(session, selection, from_type)? {
        let from_id = if aggregate_type == from_type { from_id } else { "" };
        let room = limit + 1 - streams.len();
        for (id, aggregate_id) in
            ids(session, (category, &aggregate_type), selection, from_id, room)?
        {
            let (version, last_position) = session.stream_head(id)?;
            session.is_placed(id, version, last_position)?;
            let stream =
                StreamId::new(&aggregate_type, aggregate_id).with_tenant(&selection.tenant);
            streams.push(StreamInfo { stream, version, last_position });
        }
        if streams.len() <= limit && selection.aggregate_id.is_none() {
            session.names.has_all_streams(&session.conn, category)?;
        }
        if streams.len() > limit {
            break;
        }
    }
    Ok(pages::of_streams(streams, limit))
}

fn categories(
    session: &Session,
    selection: &StreamSelection,
    from: &str,
) -> Result<Vec<(i64, String)>> {
    if selection.aggregate_id.is_none() {
        let mut statement = session.statement(include_str!("sql/categories_are_indexed.sql"))?;
        if !statement.query_row([&selection.tenant], |row| row.get(0))? && is_checked() {
            return Err(damaged("the index of aggregate types differs from what was written"));
        }
    }
    let mut statement = session.statement(include_str!("sql/categories_of_tenant.sql"))?;
    let rows = statement
        .query_map(params![selection.tenant, from], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let wanted = |name: &String| selection.aggregate_type.as_ref().is_none_or(|only| only == name);
    let found: rusqlite::Result<Vec<_>> = rows.collect();
    Ok(found?.into_iter().filter(|(_, name)| wanted(name)).collect())
}

fn ids(
    session: &mut Session,
    (category, aggregate_type): (i64, &str),
    selection: &StreamSelection,
    after: &str,
    limit: usize,
) -> Result<Vec<(i64, String)>> {
    if let Some(only) = &selection.aggregate_id {
        let stream = StreamId::new(aggregate_type, only).with_tenant(&selection.tenant);
        let found = session.names.stream(&session.conn, &stream)?;
        let found = found.filter(|_| only.as_str() > after);
        return Ok(found.map(|id| (id, only.clone())).into_iter().collect());
    }
    let mut statement = session.statement(include_str!("sql/streams_of_category.sql"))?;
    let mut rows = statement.query(params![category, after, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if !row.get(2)? && is_checked() {
            return Err(damaged("the index of stream names differs from what was written"));
        }
        found.push((row.get(0)?, row.get(1)?));
    }
    Ok(found)
}
