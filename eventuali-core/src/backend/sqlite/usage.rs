//! How much tenants have stored, by the names and sizes of events.

use rusqlite::params;

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
    let mut statement = session.statement(include_str!("sql/usage.sql"))?;
    let mut rows = statement.query(params![clamp(span.0), clamp(span.1), query.tenant])?;
    while let Some(row) = rows.next()? {
        let number = |column| row.get::<_, i64>(column).map(|number| number as u64);
        let usage = Usage { events: number(1)?, bytes: number(2)?, streams: number(3)? };
        page.usages.insert(row.get(0)?, usage);
    }
    Ok(page)
}
