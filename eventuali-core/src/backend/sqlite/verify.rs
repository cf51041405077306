//! A check of the whole file: the events, and every index in both directions.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::connection::Session;
use super::ids::position_of;
use super::reader;
use super::value::clamp;
use super::words;
use crate::error::Result;
use crate::event::Metadata;
use crate::verify::{Damage, VerifyCursor, VerifyPage};

/// Rows of a step.
const WINDOW: u64 = 4096;
/// Streams, or runs of ids, of a step; each is a statement or two.
const FEW: usize = 512;
/// What a statement that lists damage names at the most.
const NAMED: i64 = 100;

/// What a step looks at, from where on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Part {
    /// The pages of the file, by SQLite's own check.
    Pages,
    /// Events above a position.
    Events(u64),
    /// Streams above a number.
    Streams(i64),
    /// Runs of ids above one.
    Ids(Vec<u8>),
    /// Blocks of kinds above one.
    Kinds(i64, i64),
    /// Tags above one of a tenant, and its position.
    Tags(String, String, i64),
    /// Records above a number.
    Records(i64),
    /// What the index of records names.
    Index,
    /// What the index of words has.
    Words,
}

/// One step of the check.
pub(super) fn page(session: &mut Session, after: Option<&VerifyCursor>) -> Result<VerifyPage> {
    let part = match after {
        None => Part::Pages,
        Some(cursor) => serde_json::from_slice(&cursor.0)
            .map_err(|cause| VerifyCursor::unknown().with_source(cause))?,
    };
    // Where that is damaged, too, a part tells of it.
    drop(session.look_at_the_past());
    let mut step = Step { session, page: VerifyPage::default() };
    step.page.total = step.total()?;
    let next = match step.look_at(&part) {
        Ok(next) => next,
        // A page that can't be read: the other parts can be, perhaps.
        Err(cause) => {
            step.page.damage.push(Damage::of(format!("{}: {cause}", part.name())));
            part.after_damage(step.page.total)
        }
    };
    let mut page = step.page;
    page.next = match next {
        None => None,
        Some(part) => Some(VerifyCursor(
            serde_json::to_vec(&part).map_err(|e| VerifyCursor::unknown().with_source(e))?,
        )),
    };
    Ok(page)
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Self::Pages => "the file",
            Self::Events(_) => "the events",
            Self::Streams(_) => "the streams",
            Self::Ids(_) => "the index of ids",
            Self::Kinds(..) => "the index of event types",
            Self::Tags(..) => "the index of tags",
            Self::Records(_) => "the records",
            Self::Index => "the index of records",
            Self::Words => "the index of words",
        }
    }

    /// The part behind this one.
    fn following(&self) -> Option<Self> {
        Some(match self {
            Self::Pages => Self::Events(0),
            Self::Events(_) => Self::Streams(0),
            Self::Streams(_) => Self::Ids(Vec::new()),
            Self::Ids(_) => Self::Kinds(i64::MIN, 0),
            Self::Kinds(..) => Self::Tags(String::new(), String::new(), 0),
            Self::Tags(..) => Self::Records(i64::MIN),
            Self::Records(_) => Self::Index,
            Self::Index => Self::Words,
            Self::Words => return None,
        })
    }

    /// Where to go on behind what can't be read, of so many rows.
    fn after_damage(&self, total: u64) -> Option<Self> {
        match self {
            Self::Events(after) if after + WINDOW < total => Some(Self::Events(after + WINDOW)),
            part => part.following(),
        }
    }
}

/// A step in the making.
struct Step<'session> {
    session: &'session mut Session,
    page: VerifyPage,
}

/// A stream's number, tenant, type and id, and where it ends.
type Listed = (i64, Option<String>, Option<String>, String, Option<i64>);

/// An event, as far as the indexes have to agree with it.
struct Found {
    position: u64,
    stream: i64,
    version: u64,
    kind: i64,
    event_id: Uuid,
    recorded_at: i64,
    tenant: String,
    loose: bool,
    tags: Vec<String>,
}

impl Step<'_> {
    fn total(&self) -> Result<u64> {
        // Rows of the two largest tables; the others are of their order or smaller.
        let count = "SELECT
            (SELECT coalesce(max(position), 0) FROM event_log)
            + (SELECT count(*) FROM streams) + (SELECT count(*) FROM id_runs WHERE count > 0)
            + (SELECT count(*) FROM kind_blocks WHERE block < 9223372036854775807) + (SELECT count(*) FROM tags)
            + (SELECT count(*) FROM records) + (SELECT count(*) FROM record_index)
            + (SELECT count(*) FROM records WHERE words IS NOT NULL)";
        let counted = self.session.statement(count)?.query_row([], |row| row.get::<_, i64>(0));
        // A table that can't be counted is told of when it is looked at.
        Ok(counted.unwrap_or(0) as u64)
    }

    fn find(&mut self, damage: Damage) {
        self.page.damage.push(damage);
    }

    fn look_at(&mut self, part: &Part) -> Result<Option<Part>> {
        let next = match part {
            Part::Pages => self.pages()?,
            Part::Events(after) => self.events(*after)?,
            Part::Streams(after) => self.streams(*after)?,
            Part::Ids(after) => self.ids(after)?,
            Part::Kinds(kind, block) => self.kinds(*kind, *block)?,
            Part::Tags(tenant, tag, position) => self.tags(tenant, tag, *position)?,
            Part::Records(after) => self.records(*after)?,
            Part::Index => self.index()?,
            Part::Words => self.words()?,
        };
        Ok(next.or_else(|| part.following()))
    }

    fn pages(&mut self) -> Result<Option<Part>> {
        // FTS5 remembers how an index was laid out, and looks anew where a query begins, but not here.
        if words::is_there(self.session)? {
            self.session.statement("SELECT rowid FROM record_words LIMIT 1")?.exists([])?;
        }
        // It names a hundred things at the most.
        let mut statement = self.session.statement("PRAGMA integrity_check")?;
        let told: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        for text in told.into_iter().filter(|text| text != "ok") {
            self.find(Damage::of(format!("SQLite: {text}")));
        }
        if let Err(cause) = self.session.last_event() {
            self.find(Damage::of(cause.to_string()));
        }
        Ok(None)
    }

    fn events(&mut self, after: u64) -> Result<Option<Part>> {
        let last = "SELECT max(
            (SELECT coalesce(max(position), 0) FROM event_log),
            coalesce((SELECT position FROM id_runs
                WHERE first_id = x'ffffffffffffffffffffffffffffffffff'), 0))";
        let last = self.session.statement(last)?.query_row([], |row| row.get::<_, i64>(0))? as u64;
        let until = last.min(after + WINDOW);
        let mut due = after + 1;
        let mut time = i64::MIN;
        for (position, found) in self.rows(after, until)? {
            if position > due {
                self.missing(due, position - 1);
            }
            due = position + 1;
            self.page.events += 1;
            match found {
                Ok(found) => {
                    if found.recorded_at < time {
                        self.find(Damage::at(position, "recorded_at is lower than before"));
                    }
                    time = found.recorded_at;
                    self.indexed(&found)?;
                }
                Err(cause) => self.find(Damage::at(position, cause.to_string())),
            }
        }
        if due <= until {
            self.missing(due, until);
        }
        self.page.checked += until.saturating_sub(after);
        Ok((until < last).then_some(Part::Events(until)))
    }

    fn missing(&mut self, first: u64, last: u64) {
        let text = if first == last {
            format!("the event at position {first} is missing")
        } else {
            format!("the events at positions {first} to {last} are missing")
        };
        self.find(Damage::at(first, text));
    }

    /// The rows between two positions, each with why it can't be right.
    fn rows(&mut self, after: u64, until: u64) -> Result<Vec<(u64, Result<Found>)>> {
        let Session { conn, names, .. } = &mut *self.session;
        let mut statement = conn.prepare_cached(include_str!("sql/events.sql"))?;
        let mut rows = statement.query([clamp(after), clamp(until)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let position = row.get::<_, i64>(0)? as u64;
            let checked = reader::Place::of(row)
                .and_then(|place| reader::checked(conn, names, row, place))
                .and_then(|(head, metadata, _)| {
                    Ok(Found {
                        position,
                        stream: row.get(1)?,
                        version: head.version,
                        kind: row.get(3)?,
                        event_id: head.event_id,
                        recorded_at: head.recorded_at,
                        tenant: head.stream.tenant.clone(),
                        loose: head.stream.is_none(),
                        tags: Metadata::decode_terms(metadata)?,
                    })
                });
            found.push((position, checked));
        }
        Ok(found)
    }

    /// Whether every index has the event.
    fn indexed(&mut self, event: &Found) -> Result<()> {
        let position = event.position;
        let mut lacks = Vec::new();
        let there = |found: Result<u64>| found.is_ok_and(|found| found == position);
        if !event.loose && !there(self.session.position_of(event.stream, event.version)) {
            lacks.push(format!("its stream, as version {}", event.version));
        }
        if position_of(self.session, event.event_id)? != Some(position) {
            lacks.push(format!("ids, as {}", event.event_id));
        }
        let block = (position >> 6) as i64;
        let kinds = "SELECT EXISTS (SELECT 1 FROM kind_blocks WHERE kind = ?1 AND block = ?2)";
        if !self.session.statement(kinds)?.query_row([event.kind, block], |row| row.get(0))? {
            lacks.push("event types".to_owned());
        }
        for tag in &event.tags {
            let sql = "SELECT EXISTS (
                SELECT 1 FROM tags WHERE tenant = ?1 AND tag = ?2 AND position = ?3)";
            let key = params![event.tenant, tag, position as i64];
            if !self.session.statement(sql)?.query_row(key, |row| row.get(0))? {
                lacks.push(format!("tags, under {tag:?}"));
            }
        }
        for index in lacks {
            let text = format!("the event is missing in the index of {index}");
            self.find(Damage::at(position, text));
        }
        Ok(())
    }

    fn streams(&mut self, after: i64) -> Result<Option<Part>> {
        let sql = "SELECT s.id, c.tenant, c.aggregate_type, s.aggregate_id, e.position
            FROM streams AS s
            LEFT JOIN categories AS c ON c.id = s.category
            LEFT JOIN stream_runs AS e ON e.stream = s.id AND e.first_version = 9223372036854775807
            WHERE s.id > ?1 ORDER BY s.id LIMIT ?2";
        let named: Vec<Listed> = self
            .session
            .statement(sql)?
            .query_map([after, FEW as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (id, tenant, kind, name, end) in &named {
            let (Some(_), Some(kind)) = (tenant, kind) else {
                self.find(Damage::of(format!("stream {name} has no aggregate type")));
                continue;
            };
            if !kind.is_empty() {
                self.page.streams += 1;
                self.stream(*id, &format!("{kind} {name}"), end.unwrap_or(0))?;
            }
        }
        self.page.checked += named.len() as u64;
        if named.len() == FEW {
            return Ok(named.last().map(|listed| Part::Streams(listed.0)));
        }
        let unnamed = "SELECT DISTINCT stream FROM stream_runs
            WHERE stream NOT IN (SELECT id FROM streams)";
        self.listed(unnamed, |row| {
            Ok(format!("stream number {} has events but no name", row.get::<_, i64>(0)?))
        })?;
        Ok(None)
    }

    /// The runs of one stream: without a hole from 1 to its end, and each one's events there.
    fn stream(&mut self, id: i64, name: &str, end: i64) -> Result<()> {
        let sql = "SELECT first_version, position, count FROM stream_runs
            WHERE stream = ?1 AND first_version < 9223372036854775807 ORDER BY first_version";
        let runs: Vec<(i64, i64, i64)> = self
            .session
            .statement(sql)?
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut due = 1;
        for (first, position, count) in runs {
            if first != due || count < 1 {
                let text = format!("stream {name}: version {due} is missing in its index");
                self.find(Damage::of(text));
            }
            due = first.saturating_add(count);
            let sql = "SELECT count(*) FROM event_log
                WHERE position >= ?1 AND position < ?1 + ?2
                AND stream = ?3 AND version = ?4 + position - ?1";
            let bounds = [position, count, id, first];
            let there: i64 = self.session.statement(sql)?.query_row(bounds, |row| row.get(0))?;
            if there != count {
                let text = format!(
                    "stream {name}: of {count} events from version {first} on, {there} are at the \
                     positions that its index lists"
                );
                self.find(Damage::at(position as u64, text));
            }
        }
        if due - 1 != end {
            let text = format!(
                "stream {name} was written up to version {end}, but its index ends at {}",
                due - 1
            );
            self.find(Damage::of(text));
        }
        Ok(())
    }

    fn ids(&mut self, after: &[u8]) -> Result<Option<Part>> {
        let sql = "SELECT first_id, position, count FROM id_runs
            WHERE first_id > ?1 AND first_id < x'ffffffffffffffffffffffffffffffffff'
            ORDER BY first_id LIMIT ?2";
        let runs: Vec<([u8; 16], i64, i64)> = self
            .session
            .statement(sql)?
            .query_map(params![after, FEW as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (first, position, count) in &runs {
            let sql = "SELECT event_id FROM event_log
                WHERE position >= ?1 AND position < ?1 + ?2 ORDER BY position";
            let due = (0..*count as u128).map(|n| u128::from_be_bytes(*first).wrapping_add(n));
            let there: Vec<[u8; 16]> = self
                .session
                .statement(sql)?
                .query_map([position, count], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            if !there.into_iter().map(u128::from_be_bytes).eq(due) {
                let id = Uuid::from_bytes(*first);
                let text = format!("the index of ids does not match the events from id {id} on");
                self.find(Damage::at(*position as u64, text));
            }
        }
        self.page.checked += runs.len() as u64;
        let next = runs.last().filter(|_| runs.len() == FEW);
        Ok(next.map(|(first, ..)| Part::Ids(first.to_vec())))
    }

    fn kinds(&mut self, kind: i64, block: i64) -> Result<Option<Part>> {
        let sql = "SELECT k.kind, k.block, EXISTS (
                SELECT 1 FROM event_log AS e
                WHERE e.position >= k.block << 6 AND e.position <= (k.block << 6) + 63
                AND e.kind = k.kind),
            k.prior = coalesce(
                (SELECT max(b.block) FROM kind_blocks AS b WHERE b.kind = k.kind AND b.block < k.block),
                -1)
            FROM kind_blocks AS k
            WHERE (k.kind, k.block) > (?1, ?2) AND k.block < 9223372036854775807
            ORDER BY k.kind, k.block LIMIT ?3";
        let blocks: Vec<(i64, i64, bool, bool)> = self
            .session
            .statement(sql)?
            .query_map([kind, block, WINDOW as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (kind, block, there, follows) in &blocks {
            let (first, last) = ((*block << 6).max(1), (*block << 6) + 63);
            if !there {
                let text = format!(
                    "the index of event types lists kind {kind} between positions {first} and \
                     {last}, where no event has it"
                );
                self.find(Damage::at(first as u64, text));
            }
            if !follows {
                let text = format!(
                    "the index of event types lacks kind {kind} before position {first}, or \
                     lists one that does not exist"
                );
                self.find(Damage::at(first as u64, text));
            }
        }
        if (blocks.len() as u64) < WINDOW {
            let ends = "SELECT k.id FROM kinds AS k
                WHERE (SELECT max(block) FROM kind_blocks
                    WHERE kind = k.id AND block < 9223372036854775807)
                IS NOT (SELECT prior FROM kind_blocks
                    WHERE kind = k.id AND block = 9223372036854775807)";
            self.listed(ends, |row| {
                let kind: i64 = row.get(0)?;
                Ok(format!(
                    "the index of event types does not end where kind {kind} was last written"
                ))
            })?;
        }
        self.page.checked += blocks.len() as u64;
        let next = blocks.last().filter(|_| blocks.len() as u64 == WINDOW);
        Ok(next.map(|(kind, block, ..)| Part::Kinds(*kind, *block)))
    }

    fn tags(&mut self, tenant: &str, tag: &str, position: i64) -> Result<Option<Part>> {
        let sql = "SELECT t.tenant, t.tag, t.position, (
                SELECT CAST(e.metadata AS BLOB)
                FROM event_log AS e
                INNER JOIN streams AS s ON s.id = e.stream
                INNER JOIN categories AS c ON c.id = s.category
                WHERE e.position = t.position AND c.tenant = t.tenant),
            t.prior = coalesce(
                (SELECT max(b.position) FROM tags AS b
                    WHERE b.tenant = t.tenant AND b.tag = t.tag AND b.position < t.position),
                -1)
            FROM tags AS t WHERE (t.tenant, t.tag, t.position) > (?1, ?2, ?3)
            ORDER BY t.tenant, t.tag, t.position LIMIT ?4";
        let entries: Vec<(String, String, i64, bool, bool)> = self
            .session
            .statement(sql)?
            .query_map(params![tenant, tag, position, WINDOW as i64], |row| {
                let tag: String = row.get(1)?;
                let metadata: Option<Vec<u8>> = row.get(3)?;
                let terms = Metadata::decode_terms(&metadata.unwrap_or_default());
                let there = terms.is_ok_and(|terms| terms.contains(&tag));
                Ok((row.get(0)?, tag, row.get(2)?, there, row.get(4)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (_, tag, position, there, follows) in &entries {
            if !there {
                let text =
                    format!("the index of tags lists an event under {tag:?} that lacks the tag");
                self.find(Damage::at(*position as u64, text));
            }
            if !follows {
                let text = format!(
                    "the index of tags lacks an event under {tag:?} before this one, or lists one \
                     that does not exist"
                );
                self.find(Damage::at(*position as u64, text));
            }
        }
        if (entries.len() as u64) < WINDOW {
            let ends = "SELECT tag FROM (
                    SELECT e.tag, e.position AS written, (
                        SELECT max(t.position) FROM tags AS t
                        WHERE t.tenant = e.tenant AND t.tag = e.tag) AS found
                    FROM tag_ends AS e
                    UNION ALL
                    SELECT t.tag, NULL, t.position FROM tags AS t
                    WHERE t.prior = -1 AND NOT EXISTS (
                        SELECT 1 FROM tag_ends AS e WHERE e.tenant = t.tenant AND e.tag = t.tag)
                ) WHERE written IS NOT found";
            self.listed(ends, |row| {
                let tag: String = row.get(0)?;
                Ok(format!("the index of tags does not end where {tag:?} was last written"))
            })?;
        }
        self.page.checked += entries.len() as u64;
        let next = entries.last().filter(|_| entries.len() as u64 == WINDOW);
        Ok(next
            .map(|(tenant, tag, position, ..)| Part::Tags(tenant.clone(), tag.clone(), *position)))
    }

    fn records(&mut self, after: i64) -> Result<Option<Part>> {
        let sql = "SELECT id, space, key, version FROM records WHERE id > ?1 ORDER BY id LIMIT ?2";
        let records: Vec<(i64, String, String, i64)> = self
            .session
            .statement(sql)?
            .query_map([after, WINDOW as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (_, space, key, version) in records.iter().filter(|record| record.3 < 1) {
            self.find(Damage::of(format!(
                "record {key:?} of {space:?} has the impossible version {version}"
            )));
        }
        self.page.records += records.len() as u64;
        self.page.checked += records.len() as u64;
        let next = records.last().filter(|_| records.len() as u64 == WINDOW);
        Ok(next.map(|record| Part::Records(record.0)))
    }

    fn index(&mut self) -> Result<Option<Part>> {
        let sql = "SELECT i.space, i.key, i.name FROM record_index AS i
            LEFT JOIN records AS r ON r.tenant = i.tenant AND r.space = i.space AND r.key = i.key
            WHERE r.bytes IS NULL";
        self.listed(sql, |row| {
            let (space, key, name): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!(
                "the index {name:?} of {space:?} lists record {key:?}, which does not exist"
            ))
        })?;
        let count: Option<i64> = self
            .session
            .statement("SELECT count(*) FROM record_index")?
            .query_row([], |row| row.get(0))
            .optional()?;
        self.page.checked += count.unwrap_or(0) as u64;
        Ok(None)
    }

    /// What the index has of each record, in the order of the words, against the sum of its text.
    fn words(&mut self) -> Result<Option<Part>> {
        let (found, checked) = words::astray(self.session, NAMED as usize)?;
        self.page.checked += checked;
        for text in found {
            self.find(Damage::of(text));
        }
        Ok(None)
    }

    /// Finds what a statement lists, in the words of `text`.
    fn listed(
        &mut self,
        sql: &str,
        text: impl Fn(&Row<'_>) -> rusqlite::Result<String>,
    ) -> Result<()> {
        let mut statement = self.session.statement(&format!("{sql} LIMIT ?1"))?;
        let found: Vec<String> = statement
            .query_map([Value::from(NAMED)], |row| text(row))?
            .collect::<rusqlite::Result<_>>()?;
        drop(statement);
        for text in found {
            self.find(Damage::of(text));
        }
        Ok(())
    }
}
