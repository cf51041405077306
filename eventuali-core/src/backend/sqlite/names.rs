//! The dictionary: numbers that stand for streams and kinds of event.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::chains::{note_block, note_kind};

use super::dictionary::Dictionary;
use super::error::{damaged, is_checked};
use crate::error::Result;
use crate::event::EventKind;
use crate::stream::StreamId;

/// Names that are remembered before all of them are forgotten.
const REMEMBERED: usize = 100_000;

/// The same, of streams that were asked for by name: those that are written to and loaded again.
const REMEMBERED_IDS: usize = 10_000;

/// The names that were looked up on a connection. Dictionary rows never change, so a remembered
/// name is right until a transaction that made it is rolled back.
pub(super) struct Names {
    category_index: Dictionary,
    stream_index: Dictionary,
    streams: HashMap<i64, Arc<StreamId>>,
    stream_ids: HashMap<StreamId, i64>,
    /// How many streams of each category the table has, up to the one with this number.
    stream_counts: HashMap<i64, i64>,
    counted_to: i64,
    kinds: HashMap<i64, Arc<EventKind>>,
    kind_ids: HashMap<Arc<EventKind>, i64>,
    /// The kinds of each event type, up to the one with this number.
    by_type: HashMap<String, BTreeSet<i64>>,
    last_kind: Option<i64>,
    /// By tenant and type.
    category_ids: HashMap<String, HashMap<String, i64>>,
    /// The block of a kind that was noted last.
    kind_blocks: HashMap<i64, i64>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            category_index: Dictionary::of_categories(),
            stream_index: Dictionary::of_streams(),
            streams: HashMap::new(),
            stream_ids: HashMap::new(),
            stream_counts: HashMap::new(),
            counted_to: 0,
            kinds: HashMap::new(),
            kind_ids: HashMap::new(),
            by_type: HashMap::new(),
            last_kind: None,
            category_ids: HashMap::new(),
            kind_blocks: HashMap::new(),
        }
    }
}

impl Names {
    /// Forgets what a transaction that was rolled back may have made.
    pub(super) fn forget(&mut self) {
        self.category_index.forget();
        self.stream_index.forget();
        self.streams.clear();
        self.stream_ids.clear();
        self.stream_counts.clear();
        self.counted_to = 0;
        self.kinds.clear();
        self.kind_ids.clear();
        self.by_type.clear();
        self.last_kind = None;
        self.category_ids.clear();
        self.kind_blocks.clear();
    }

    /// The name of stream number `id`.
    pub(super) fn stream_name(&mut self, conn: &Connection, id: i64) -> Result<Arc<StreamId>> {
        if let Some(name) = self.streams.get(&id) {
            return Ok(Arc::clone(name));
        }
        let mut statement = conn.prepare_cached(include_str!("sql/stream_name.sql"))?;
        let name = statement.query_row([id], |row| {
            Ok(StreamId {
                tenant: row.get(0)?,
                aggregate_type: row.get(1)?,
                aggregate_id: row.get(2)?,
            })
        });
        let name = Arc::new(name.optional()?.ok_or_else(|| damaged("a stream has no name"))?);
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
        let kind = statement.query_row([id], |row| {
            Ok(EventKind {
                event_type: row.get(0)?,
                event_version: row.get(1)?,
                codec: row.get(2)?,
            })
        });
        let kind = Arc::new(kind.optional()?.ok_or_else(|| damaged("an event has no type"))?);
        self.kinds.insert(id, Arc::clone(&kind));
        Ok(kind)
    }

    /// The numbers of the kinds of an event type.
    pub(super) fn kinds_of_type(&mut self, conn: &Connection, name: &str) -> Result<Vec<i64>> {
        let last: Option<i64> = conn
            .prepare_cached(include_str!("sql/last_kind.sql"))?
            .query_row([], |row| row.get(0))?;
        if self.last_kind != last {
            self.by_type = kinds_by_type(conn)?;
            self.last_kind = last;
        }
        Ok(self.by_type.get(name).into_iter().flatten().copied().collect())
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
            let id = conn.prepare_cached(include_str!("sql/insert_kind.sql"))?.insert(key)?;
            note_kind(conn, id)?;
            id
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
        let name = [ValueRef::from(tenant.as_str()), aggregate_type.as_str().into()];
        let found = self.category_index.find(conn, name)?;
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
        if let Some(id) = self.stream_ids.get(stream) {
            return Ok(Some(*id));
        }
        let Some(category) = self.category(conn, stream)? else { return Ok(None) };
        let name = [ValueRef::Integer(category), stream.aggregate_id.as_str().into()];
        let found = self.stream_index.find(conn, name)?;
        if let Some(id) = found {
            self.remember(stream, id);
        }
        Ok(found)
    }

    /// Refuses an index of stream names that has not as many of a category as the table.
    pub(super) fn has_all_streams(&mut self, conn: &Connection, category: i64) -> Result<()> {
        let mut statement = conn.prepare_cached(include_str!("sql/count_streams.sql"))?;
        let mut rows = statement.query([self.counted_to])?;
        while let Some(row) = rows.next()? {
            *self.stream_counts.entry(row.get(0)?).or_default() += row.get::<_, i64>(1)?;
            self.counted_to = self.counted_to.max(row.get(2)?);
        }
        let indexed: i64 = conn
            .prepare_cached(include_str!("sql/count_streams_indexed.sql"))?
            .query_row([category], |row| row.get(0))?;
        if self.stream_counts.get(&category).copied().unwrap_or(0) == indexed || !is_checked() {
            return Ok(());
        }
        Err(damaged("the index of stream names differs from what was written"))
    }

    fn remember(&mut self, stream: &StreamId, id: i64) {
        if self.stream_ids.len() >= REMEMBERED_IDS {
            self.stream_ids.clear();
        }
        self.stream_ids.insert(stream.clone(), id);
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
        let id = conn.prepare_cached(include_str!("sql/insert_stream.sql"))?.insert(key)?;
        self.remember(stream, id);
        Ok(id)
    }

    /// Notes that an event of `kind` stands at `position`.
    pub(super) fn note_kind(&mut self, conn: &Connection, kind: i64, position: u64) -> Result<()> {
        let block = (position >> 6) as i64;
        if self.kind_blocks.get(&kind) == Some(&block) {
            return Ok(());
        }
        note_block(conn, kind, block)?;
        self.kind_blocks.insert(kind, block);
        Ok(())
    }
}

/// The numbers of the kinds by their event type, by the table and by its index: there are few.
fn kinds_by_type(conn: &Connection) -> Result<HashMap<String, BTreeSet<i64>>> {
    let mut all = conn.prepare_cached(include_str!("sql/kinds_unindexed.sql"))?;
    let mut indexed = conn.prepare_cached(include_str!("sql/kinds_of_type.sql"))?;
    let mut by_type: HashMap<String, BTreeSet<i64>> = HashMap::new();
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        by_type.entry(row.get(1)?).or_default().insert(row.get(0)?);
    }
    for (name, ids) in &by_type {
        let found = indexed.query_map([name], |row| row.get(0))?;
        let found: BTreeSet<i64> = found.collect::<rusqlite::Result<_>>()?;
        if found != *ids && is_checked() {
            return Err(damaged("the names of event types differ from what was written"));
        }
    }
    Ok(by_type)
}
