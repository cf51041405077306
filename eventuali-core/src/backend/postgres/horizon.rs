//! How far the log is settled, and who holds its readers back.

use std::time::Duration;

use sqlx::Row;

use super::connection::Session;
use crate::error::Result;
use crate::storage::Horizon;

/// Looks for the horizon, and for the writers below it.
pub(super) async fn look(session: &mut Session) -> Result<Horizon> {
    let asked = session.shared.statements.writers.query();
    let row = asked.fetch_one(&mut session.conn).await?;
    let open_for: Option<i64> = row.try_get(3)?;
    Ok(Horizon {
        position: row.try_get::<i64, _>(0)? as u64,
        last: row.try_get::<i64, _>(1)? as u64,
        writers: row.try_get::<i64, _>(2)? as u64,
        // A server's clock may be set back.
        open_for: open_for.map(|micros| Duration::from_micros(micros.max(0) as u64)),
    })
}
