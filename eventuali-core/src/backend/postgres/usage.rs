//! How much tenants have stored, by the names and sizes of events.

use sqlx::Row;

use super::connection::Session;
use super::reader::{Until, last_position};
use super::value::clamp;
use crate::error::Result;
use crate::usage::{Usage, UsagePage, UsageQuery};

/// The positions of one page, so that no statement takes long.
const WINDOW: u64 = 1 << 18;

/// See [`crate::storage::Storage::usage`].
pub(super) async fn page(session: &mut Session, query: &UsageQuery) -> Result<UsagePage> {
    let last = last_position(session, Until::Horizon).await?;
    let until = last.min(query.after.saturating_add(WINDOW)).max(query.after);
    let mut page = UsagePage { looked_to: until, end: until >= last, ..UsagePage::default() };
    if until == query.after {
        return Ok(page);
    }
    let asked = session.shared.statements.usage.query();
    let asked = asked.bind(clamp(query.after) + 1).bind(clamp(until)).bind(&query.tenant);
    for row in asked.fetch_all(&mut session.conn).await? {
        let number = |column| row.try_get::<i64, _>(column).map(|number| number as u64);
        let usage = Usage { events: number(1)?, bytes: number(2)?, streams: number(3)? };
        page.usages.insert(row.try_get(0)?, usage);
    }
    Ok(page)
}
