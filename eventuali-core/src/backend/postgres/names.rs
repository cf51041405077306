//! The dictionary: numbers that stand for streams and kinds of event.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::connection::{Session, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::stream::StreamId;

/// Names that are remembered before all of them are forgotten.
const REMEMBERED: usize = 100_000;

/// The names that were looked up. Dictionary rows never change, and only committed ones get here,
/// so that a remembered name is right for ever.
#[derive(Default)]
pub(super) struct Names {
    streams: HashMap<i64, Arc<StreamId>>,
    kinds: HashMap<i32, Arc<EventKind>>,
    kind_ids: HashMap<Arc<EventKind>, i32>,
    loose: HashMap<String, i64>,
}

impl Names {
    /// The name of stream number `id`, once [`Session::learn`] has seen it.
    pub(super) fn stream(&self, id: i64) -> Result<Arc<StreamId>> {
        self.streams.get(&id).cloned().ok_or_else(|| missing("stream"))
    }

    /// The kind number `id`, once [`Session::learn`] has seen it.
    pub(super) fn kind(&self, id: i32) -> Result<Arc<EventKind>> {
        self.kinds.get(&id).cloned().ok_or_else(|| missing("kind"))
    }

    /// The number of a kind, once [`Session::number_kinds`] has seen it.
    pub(super) fn kind_id(&self, kind: &EventKind) -> Result<i32> {
        self.kind_ids.get(kind).copied().ok_or_else(|| missing("kind"))
    }

    /// The number of a tenant's events without a stream, once [`Session::number_loose`] has seen it.
    pub(super) fn loose(&self, tenant: &str) -> Result<i64> {
        self.loose.get(tenant).copied().ok_or_else(|| missing("stream"))
    }

    fn add_kind(&mut self, row: &PgRow) -> Result<()> {
        let kind = Arc::new(EventKind {
            event_type: row.try_get(1)?,
            event_version: row.try_get::<i64, _>(2)? as u32,
            codec: row.try_get(3)?,
        });
        let id = row.try_get(0)?;
        self.kinds.insert(id, Arc::clone(&kind));
        self.kind_ids.insert(kind, id);
        Ok(())
    }

    fn add_stream(&mut self, row: &PgRow) -> Result<()> {
        let stream = StreamId {
            tenant: row.try_get(1)?,
            aggregate_type: row.try_get(2)?,
            aggregate_id: row.try_get(3)?,
        };
        self.streams.insert(row.try_get(0)?, Arc::new(stream));
        Ok(())
    }

    fn make_room(&mut self) {
        if self.streams.len() >= REMEMBERED {
            self.streams.clear();
        }
        if self.kinds.len() >= REMEMBERED {
            self.kinds.clear();
            self.kind_ids.clear();
        }
        if self.loose.len() >= REMEMBERED {
            self.loose.clear();
        }
    }
}

fn missing(what: &str) -> Error {
    let text = format!("the {what} of an event is not in the dictionary");
    Error::new(ErrorKind::Corrupted { position: None }, text)
}

impl Shared {
    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Looks up the numbers on a page of events that are not known yet.
    pub(super) async fn learn(
        &mut self,
        streams: impl Iterator<Item = i64>,
        kinds: impl Iterator<Item = i32>,
    ) -> Result<()> {
        let (streams, kinds) = {
            let names = self.shared.names();
            let streams = streams.filter(|id| !names.streams.contains_key(id));
            let kinds = kinds.filter(|id| !names.kinds.contains_key(id));
            (streams.collect::<HashSet<_>>(), kinds.collect::<HashSet<_>>())
        };
        if !streams.is_empty() {
            let ids: Vec<i64> = streams.into_iter().collect();
            let query = self.shared.statements.stream_names.query().bind(ids);
            let rows = query.fetch_all(&mut self.conn).await?;
            self.remember(&rows, Names::add_stream)?;
        }
        if !kinds.is_empty() {
            let ids: Vec<i32> = kinds.into_iter().collect();
            let query = self.shared.statements.kinds.query().bind(ids);
            let rows = query.fetch_all(&mut self.conn).await?;
            self.remember(&rows, Names::add_kind)?;
        }
        Ok(())
    }

    /// Sees to it that every kind has a number. Not within a transaction: what is new is committed
    /// at once, so that no writer waits for another one because of a kind.
    pub(super) async fn number_kinds(
        &mut self,
        kinds: impl Iterator<Item = &Arc<EventKind>>,
    ) -> Result<()> {
        let new: HashSet<_> = {
            let names = self.shared.names();
            kinds.filter(|kind| !names.kind_ids.contains_key(*kind)).collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        let types: Vec<&str> = new.iter().map(|kind| kind.event_type.as_str()).collect();
        let versions: Vec<i64> = new.iter().map(|kind| i64::from(kind.event_version)).collect();
        let codecs: Vec<&str> = new.iter().map(|kind| kind.codec.as_str()).collect();
        let shared = Arc::clone(&self.shared);
        for round in 0..2 {
            let query = shared.statements.kinds_by_name.query();
            let query = query.bind(&types).bind(&versions).bind(&codecs);
            let rows = query.fetch_all(&mut self.conn).await?;
            self.remember(&rows, Names::add_kind)?;
            if round == 1 || rows.len() == new.len() {
                break;
            }
            let query = shared.statements.insert_kinds.query();
            let query = query.bind(&types).bind(&versions).bind(&codecs);
            query.execute(&mut self.conn).await?;
        }
        Ok(())
    }

    /// Sees to it that a tenant's events without a stream have a number, likewise.
    pub(super) async fn number_loose(&mut self, tenant: &str) -> Result<()> {
        if self.shared.names().loose.contains_key(tenant) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        shared.statements.insert_loose.query().bind(tenant).execute(&mut self.conn).await?;
        let query = shared.statements.loose.query().bind(tenant);
        let id = query.fetch_one(&mut self.conn).await?.try_get(0)?;
        let mut names = shared.names();
        names.make_room();
        names.loose.insert(tenant.to_owned(), id);
        Ok(())
    }

    fn remember(&self, rows: &[PgRow], add: fn(&mut Names, &PgRow) -> Result<()>) -> Result<()> {
        let mut names = self.shared.names();
        names.make_room();
        rows.iter().try_for_each(|row| add(&mut names, row))
    }
}
