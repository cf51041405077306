//! The inserts and selects of the backend's own SQL, prepared once, without a check.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, params};
use uuid::Uuid;

use crate::{Result, SAVERS, STREAMS, Subject, payload, timed};

const SCHEMA: &str = concat!(
    include_str!("../../src/backend/sqlite/sql/0001_schema.sql"),
    include_str!("../../src/backend/sqlite/sql/0002_ends.sql"),
    include_str!("../../src/backend/sqlite/sql/0003_chains.sql"),
);
const EVENT: &str = include_str!("../../src/backend/sqlite/sql/insert_event.sql");
const STREAM: &str = include_str!("../../src/backend/sqlite/sql/insert_stream.sql");
const STREAM_RUN: &str = include_str!("../../src/backend/sqlite/sql/insert_stream_run.sql");
const END: &str = include_str!("../../src/backend/sqlite/sql/update_end.sql");
const ID_RUN: &str = include_str!("../../src/backend/sqlite/sql/insert_id_run.sql");
const LOG_END: &str = include_str!("../../src/backend/sqlite/sql/update_log_end.sql");
const KIND_BLOCK: &str = include_str!("../../src/backend/sqlite/sql/insert_kind_block.sql");
const KIND_END: &str = include_str!("../../src/backend/sqlite/sql/update_kind_end.sql");
const OF_STREAM: &str = include_str!("../../src/backend/sqlite/sql/stream_events.sql");
const OF_LOG: &str = include_str!("../../src/backend/sqlite/sql/events.sql");

/// Any time and any checksum: as many bytes as real ones.
const TIME: i64 = 1_700_000_000_000_000;
const CHECKSUM: i64 = 1 << 31;

/// A database with the backend's schema and settings.
#[derive(Default)]
pub(crate) struct Raw {
    conn: Option<Connection>,
    position: i64,
    block: i64,
}

/// What one commit adds to one stream.
struct Save {
    stream: i64,
    version: i64,
    first_id: u128,
    payloads: Vec<Vec<u8>>,
}

impl Raw {
    fn conn(&self) -> Result<&Connection> {
        Ok(self.conn.as_ref().ok_or("there is no database yet")?)
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>> {
        Ok(self.conn()?.prepare_cached(sql)?)
    }

    /// Makes streams of one event each, and returns what to add to them.
    fn prepared(&mut self, events: usize, repeat: usize) -> Result<Vec<Save>> {
        let saves = self.new_streams(repeat)?;
        self.commit(&saves)?;
        Ok(saves.iter().map(|save| next(save.stream, 2, events)).collect())
    }

    /// Names streams, and returns the first event of each.
    fn new_streams(&self, count: usize) -> Result<Vec<Save>> {
        self.conn()?.execute_batch("BEGIN IMMEDIATE")?;
        let mut saves = Vec::with_capacity(count);
        for _ in 0..count {
            let name = params![1, Uuid::now_v7().to_string()];
            saves.push(next(self.statement(STREAM)?.insert(name)?, 1, 1));
        }
        self.conn()?.execute_batch("COMMIT")?;
        Ok(saves)
    }

    /// One transaction.
    fn commit(&mut self, saves: &[Save]) -> Result<()> {
        self.conn()?.execute_batch("BEGIN IMMEDIATE")?;
        for save in saves {
            self.insert(save)?;
        }
        self.statement(LOG_END)?.execute([self.position])?;
        Ok(self.conn()?.execute_batch("COMMIT")?)
    }

    fn insert(&mut self, save: &Save) -> Result<()> {
        let first = self.position + 1;
        let mut block = self.block;
        let mut event = self.statement(EVENT)?;
        for (position, (index, payload)) in (first..).zip(save.payloads.iter().enumerate()) {
            let id = (save.first_id + index as u128).to_be_bytes();
            let version = save.version + index as i64;
            let time = TIME + position;
            event.execute(params![
                position,
                save.stream,
                version,
                1,
                &id[..],
                time,
                time,
                CHECKSUM,
                None::<&str>,
                payload
            ])?;
            if block != position >> 6 {
                let prior = std::mem::replace(&mut block, position >> 6);
                self.statement(KIND_BLOCK)?.execute([1, block, prior])?;
                self.statement(KIND_END)?.execute([1, block])?;
            }
        }
        drop(event);
        let count = save.payloads.len() as i64;
        let run = params![save.stream, save.version, first, count];
        self.statement(STREAM_RUN)?.execute(run)?;
        let end = save.version + count - 1;
        if save.version == 1 {
            self.statement(STREAM_RUN)?.execute([save.stream, i64::MAX, end, 0])?;
        } else {
            self.statement(END)?.execute([save.stream, end])?;
        }
        let run = params![&save.first_id.to_be_bytes()[..], first, count, 0];
        self.statement(ID_RUN)?.execute(run)?;
        (self.position, self.block) = (first + count - 1, block);
        Ok(())
    }

    fn save(&mut self, events: usize, repeat: usize) -> Result<f64> {
        let saves = self.prepared(events, repeat)?;
        timed(repeat, || saves.iter().try_for_each(|save| self.commit(std::slice::from_ref(save))))
    }

    /// What 64 savers could share at best: one transaction for all of them.
    fn savers(&mut self, events: usize, repeat: usize) -> Result<f64> {
        let saves = self.prepared(events, SAVERS * repeat)?;
        timed(saves.len(), || saves.chunks(SAVERS).try_for_each(|group| self.commit(group)))
    }

    fn load(&mut self, events: usize, repeat: usize) -> Result<f64> {
        let streams = self.new_streams(repeat)?;
        for save in &streams {
            self.commit(&[next(save.stream, 1, events)])?;
        }
        timed(repeat, || {
            for save in streams {
                let found = self.select(OF_STREAM, &[save.stream, 0, i64::MAX])?;
                assert_eq!(found, events);
            }
            Ok(())
        })
    }

    fn read(&mut self, events: usize) -> Result<f64> {
        let before = self.position;
        let saves = self.new_streams(STREAMS)?;
        for first in (0..events).step_by(100) {
            let number = first / 100;
            let version = (number / STREAMS * 100) as i64 + 1;
            self.commit(&[next(saves[number % STREAMS].stream, version, 100)])?;
        }
        timed(events, || {
            let found = self.select(OF_LOG, &[before, i64::MAX])?;
            assert_eq!(found, events);
            Ok(())
        })
    }

    /// Looks at every column of what a query finds; returns how many rows that were.
    fn select(&self, sql: &str, parameters: &[i64]) -> Result<usize> {
        let mut statement = self.statement(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                std::hint::black_box(row.get_ref(column)?);
            }
            found += 1;
        }
        Ok(found)
    }
}

impl Subject for Raw {
    fn fresh(&mut self, folder: &Path) -> Result<()> {
        *self = Self::default();
        let conn = Connection::open(folder.join("raw.db"))?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "wal_autocheckpoint", 10_000)?;
        conn.pragma_update(None, "cache_size", -65_536)?;
        conn.pragma_update(None, "foreign_keys", false)?;
        conn.execute_batch(SCHEMA)?;
        conn.execute_batch(
            "INSERT INTO categories VALUES (1, '', 'Account');
             INSERT INTO kinds VALUES (1, 'Added', 1, 'json');
             INSERT INTO kind_blocks VALUES (1, 9223372036854775807, -1);",
        )?;
        self.conn = Some(conn);
        Ok(())
    }

    fn measure(&mut self, op: &str, events: usize, repeat: usize) -> Result<f64> {
        match op {
            "save" => self.save(events, repeat),
            "savers" => self.savers(events, repeat),
            "load" => self.load(events, repeat),
            "read" => self.read(events),
            _ => Err(format!("no operation {op}").into()),
        }
    }
}

fn next(stream: i64, version: i64, events: usize) -> Save {
    let payloads = (0..events).map(payload).collect();
    Save { stream, version, first_id: Uuid::now_v7().as_u128(), payloads }
}
