//! The dictionary: numbers that stand for streams and kinds of event.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::event::EventKind;
use crate::stream::StreamId;

/// Names that are remembered before all of them are forgotten.
const REMEMBERED: usize = 100_000;

/// The names that were looked up on a connection. Dictionary rows never change, so a remembered
/// name is right until a transaction that made it is rolled back.
#[derive(Default)]
pub(super) struct Names {
    streams: HashMap<i64, Arc<StreamId>>,
    kinds: HashMap<i64, Arc<EventKind>>,
    kind_ids: HashMap<Arc<EventKind>, i64>,
    /// By tenant and type.
    category_ids: HashMap<String, HashMap<String, i64>>,
    kind_blocks: HashMap<i64, i64>,
}

impl Names {
    /// Forgets what a transaction that was rolled back may have made.
    pub(super) fn forget(&mut self) {
        self.streams.clear();
        self.kinds.clear();
        self.kind_ids.clear();
        self.category_ids.clear();
        self.kind_blocks.clear();
    }

    /// The name of stream number `id`.
    pub(super) fn stream_name(&mut self, conn: &Connection, id: i64) -> Result<Arc<StreamId>> {
        if let Some(name) = self.streams.get(&id) {
            return Ok(Arc::clone(name));
        }
        let mut statement = conn.prepare_cached(include_str!("sql/stream_name.sql"))?;
        let name = Arc::new(statement.query_row([id], |row| {
            Ok(StreamId {
                tenant: row.get(0)?,
                aggregate_type: row.get(1)?,
                aggregate_id: row.get(2)?,
            })
        })?);
        if self.streams.len() >= REMEMBERED {
            self.streams.clear();
        }
        self.streams.insert(id, Arc::clone(&name));
        Ok(name)
    }

    /// The kind number `id`.
    pub(super) fn kind_name(&mut self, conn: &Connection, id: i64) -> Result<Arc<EventKind>> {
        if let Some(kind) = self.kinds.get(&id) {
            return Ok(Arc::clone(kind));
        }
        let mut statement = conn.prepare_cached(include_str!("sql/kind_name.sql"))?;
        let kind = Arc::new(statement.query_row([id], |row| {
            Ok(EventKind {
                event_type: row.get(0)?,
                event_version: row.get(1)?,
                codec: row.get(2)?,
            })
        })?);
        self.kinds.insert(id, Arc::clone(&kind));
        Ok(kind)
    }

    /// The number of a kind; made where there is none.
    pub(super) fn kind_id(&mut self, conn: &Connection, kind: &Arc<EventKind>) -> Result<i64> {
        if let Some(id) = self.kind_ids.get(kind) {
            return Ok(*id);
        }
        let key = params![kind.event_type, kind.event_version, kind.codec];
        let found = conn
            .prepare_cached(include_str!("sql/kind.sql"))?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let id = if let Some(id) = found {
            id
        } else {
            conn.prepare_cached(include_str!("sql/insert_kind.sql"))?.insert(key)?
        };
        self.kind_ids.insert(Arc::clone(kind), id);
        Ok(id)
    }

    /// The number of a tenant's aggregate type, where there is one.
    pub(super) fn category(&mut self, conn: &Connection, stream: &StreamId) -> Result<Option<i64>> {
        let StreamId { tenant, aggregate_type, .. } = stream;
        let known = self.category_ids.get(tenant).and_then(|types| types.get(aggregate_type));
        if let Some(id) = known {
            return Ok(Some(*id));
        }
        let found = conn
            .prepare_cached(include_str!("sql/category.sql"))?
            .query_row(params![tenant, aggregate_type], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            if self.category_ids.values().map(HashMap::len).sum::<usize>() >= REMEMBERED {
                self.category_ids.clear();
            }
            let types = self.category_ids.entry(tenant.clone()).or_default();
            types.insert(aggregate_type.clone(), id);
        }
        Ok(found)
    }

    /// The number of a stream, where there is one.
    pub(super) fn stream(&mut self, conn: &Connection, stream: &StreamId) -> Result<Option<i64>> {
        let Some(category) = self.category(conn, stream)? else { return Ok(None) };
        Ok(conn
            .prepare_cached(include_str!("sql/stream.sql"))?
            .query_row(params![category, stream.aggregate_id], |row| row.get(0))
            .optional()?)
    }

    /// The number of a stream that is made now.
    pub(super) fn new_stream(&mut self, conn: &Connection, stream: &StreamId) -> Result<i64> {
        let category = if let Some(id) = self.category(conn, stream)? {
            id
        } else {
            let key = params![stream.tenant, stream.aggregate_type];
            conn.prepare_cached(include_str!("sql/insert_category.sql"))?.insert(key)?
        };
        let key = params![category, stream.aggregate_id];
        Ok(conn.prepare_cached(include_str!("sql/insert_stream.sql"))?.insert(key)?)
    }

    /// Notes that an event of `kind` stands at `position`.
    pub(super) fn note_kind(&mut self, conn: &Connection, kind: i64, position: u64) -> Result<()> {
        let block = (position >> 6) as i64;
        if self.kind_blocks.get(&kind) != Some(&block) {
            conn.prepare_cached(include_str!("sql/insert_kind_block.sql"))?
                .execute(params![kind, block])?;
            self.kind_blocks.insert(kind, block);
        }
        Ok(())
    }
}
