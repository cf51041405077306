//! How much tenants have stored, by the names and sizes of events.

use std::collections::HashMap;

use super::connection::Session;
use super::value::clamp;
use crate::error::Result;
use crate::usage::{Usage, UsagePage, UsageQuery};

/// The rows of one page: readers look up from their work now and then.
const WINDOW: u64 = 1 << 16;

/// See [`crate::storage::Storage::usage`].
pub(super) fn page(session: &mut Session, query: &UsageQuery) -> Result<UsagePage> {
    query.check()?;
    // Everything up to the last position is settled.
    let (last, _) = session.end()?;
    let until = last.min(query.after.saturating_add(WINDOW)).max(query.after);
    let mut page = UsagePage { looked_to: until, end: until >= last, ..UsagePage::default() };
    if until == query.after {
        return Ok(page);
    }
    let span = (query.after + 1, until);
    session.is_whole(span)?;
    let Session { conn, names, .. } = session;
    let mut statement = conn.prepare_cached(include_str!("sql/usage.sql"))?;
    let mut rows = statement.query([clamp(span.0), clamp(span.1)])?;
    let mut streams = HashMap::<i64, Usage>::new();
    while let Some(row) = rows.next()? {
        let begun = u64::from(row.get::<_, bool>(2)?);
        let one = Usage { events: 1, bytes: row.get::<_, i64>(1)? as u64, streams: begun };
        let of = streams.entry(row.get(0)?).or_default();
        *of = of.plus(one);
    }
    for (stream, usage) in streams {
        let tenant = &names.stream_name(conn, stream)?.tenant;
        if query.tenant.as_ref().is_some_and(|only| only != tenant) {
            continue;
        }
        let of = page.usages.entry(tenant.clone()).or_default();
        *of = of.plus(usage);
    }
    Ok(page)
}
