//! The dictionary: numbers that stand for streams and kinds of event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::statements::Statements;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::stream::StreamId;

/// Streams that a connection remembers before all of them are forgotten.
const REMEMBERED: usize = 20_000;

/// The names that were looked up. Dictionary rows never change, and only committed ones get here,
/// so that a remembered name is right for as long as the connection. No longer: a commit that was
/// not flushed is gone after a crash, and its number may then stand for something else.
#[derive(Default)]
pub(super) struct Names {
    streams: HashMap<i64, Arc<StreamId>>,
    kinds: HashMap<i32, Arc<EventKind>>,
    kind_ids: HashMap<Arc<EventKind>, i32>,
    loose: HashMap<String, i64>,
}

impl Names {
    /// The number of a kind, once [`Names::number_kinds`] has seen it.
    pub(super) fn kind_id(&self, kind: &EventKind) -> Result<i32> {
        self.kind_ids.get(kind).copied().ok_or_else(|| missing("kind"))
    }

    /// The number of a tenant's events without a stream, once [`Names::number_loose`] has seen it.
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
}

/// The names on one page of events, which stay while others are forgotten.
#[derive(Default)]
pub(super) struct Learned {
    streams: HashMap<i64, Option<Arc<StreamId>>>,
    kinds: HashMap<i32, Option<Arc<EventKind>>>,
}

impl Learned {
    /// The name of stream number `id`.
    pub(super) fn stream(&self, id: i64) -> Result<Arc<StreamId>> {
        self.streams.get(&id).cloned().flatten().ok_or_else(|| missing("stream"))
    }

    /// The kind number `id`.
    pub(super) fn kind(&self, id: i32) -> Result<Arc<EventKind>> {
        self.kinds.get(&id).cloned().flatten().ok_or_else(|| missing("kind"))
    }

    /// Takes over what is remembered.
    fn recall(&mut self, names: &Names) {
        for (id, name) in self.streams.iter_mut().filter(|(_, name)| name.is_none()) {
            *name = names.streams.get(id).cloned();
        }
        for (id, kind) in self.kinds.iter_mut().filter(|(_, kind)| kind.is_none()) {
            *kind = names.kinds.get(id).cloned();
        }
    }
}

fn missing(what: &str) -> Error {
    let text = format!("the {what} of an event is missing in the table of names");
    Error::new(ErrorKind::Corrupted { position: None }, text)
}

impl Names {
    /// The names behind the numbers on a page of events.
    pub(super) async fn learn(
        &mut self,
        conn: &mut PgConnection,
        statements: &Statements,
        (streams, kinds): (&[i64], &[i32]),
    ) -> Result<Learned> {
        let mut learned = Learned {
            streams: streams.iter().map(|id| (*id, None)).collect(),
            kinds: kinds.iter().map(|id| (*id, None)).collect(),
        };
        learned.recall(self);
        let new = learned.streams.iter().filter(|(_, name)| name.is_none());
        let new: Vec<i64> = new.map(|(id, _)| *id).collect();
        if !new.is_empty() {
            let asked = statements.stream_names.query().bind(new);
            let rows = asked.fetch_all(&mut *conn).await?;
            self.remember(&rows, Names::add_stream, &mut learned)?;
        }
        let new = learned.kinds.iter().filter(|(_, kind)| kind.is_none());
        let new: Vec<i32> = new.map(|(id, _)| *id).collect();
        if !new.is_empty() {
            let asked = statements.kinds.query().bind(new);
            let rows = asked.fetch_all(&mut *conn).await?;
            self.remember(&rows, Names::add_kind, &mut learned)?;
        }
        Ok(learned)
    }

    /// Sees to it that every kind has a number. Not within a transaction: what is new is committed
    /// at once, so that no writer waits for another one because of a kind.
    pub(super) async fn number_kinds(
        &mut self,
        conn: &mut PgConnection,
        statements: &Statements,
        kinds: impl Iterator<Item = &Arc<EventKind>>,
    ) -> Result<()> {
        let known = &self.kind_ids;
        let new: HashSet<_> = kinds.filter(|kind| !known.contains_key(*kind)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let types: Vec<&str> = new.iter().map(|kind| kind.event_type.as_str()).collect();
        let versions: Vec<i64> = new.iter().map(|kind| i64::from(kind.event_version)).collect();
        let codecs: Vec<&str> = new.iter().map(|kind| kind.codec.as_str()).collect();
        for round in 0..2 {
            let query = statements.kinds_by_name.query();
            let query = query.bind(&types).bind(&versions).bind(&codecs);
            let rows = query.fetch_all(&mut *conn).await?;
            self.remember(&rows, Names::add_kind, &mut Learned::default())?;
            if round == 1 || rows.len() == new.len() {
                break;
            }
            let query = statements.insert_kinds.query();
            let query = query.bind(&types).bind(&versions).bind(&codecs);
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Sees to it that a tenant's events without a stream have a number, likewise.
    pub(super) async fn number_loose(
        &mut self,
        conn: &mut PgConnection,
        statements: &Statements,
        tenant: &str,
    ) -> Result<()> {
        if self.loose.contains_key(tenant) {
            return Ok(());
        }
        statements.insert_loose.query().bind(tenant).execute(&mut *conn).await?;
        let query = statements.loose.query().bind(tenant);
        let id = query.fetch_one(&mut *conn).await?.try_get(0)?;
        self.loose.insert(tenant.to_owned(), id);
        Ok(())
    }

    fn remember(
        &mut self,
        rows: &[PgRow],
        add: fn(&mut Names, &PgRow) -> Result<()>,
        learned: &mut Learned,
    ) -> Result<()> {
        if self.streams.len() + rows.len() > REMEMBERED {
            self.streams.clear();
        }
        for row in rows {
            add(self, row)?;
        }
        learned.recall(self);
        Ok(())
    }
}
