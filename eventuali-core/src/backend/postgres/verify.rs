//! A check of the whole store: the events, and every index in both directions.
//!
//! Each statement sees all of a commit or nothing of it, and what is checked only ever grows: a
//! writer beside the check is no damage.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::connection::Session;
use super::names::Names;
use super::reader::{self, Until};
use super::scan;
use super::value::clamp;
use super::words;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Metadata;
use crate::query::MAX_PAGE_EVENTS;
use crate::verify::{Damage, VerifyCursor, VerifyPage};

/// Rows of a step.
const WINDOW: i64 = MAX_PAGE_EVENTS as i64;
/// Positions of a step.
const POSITIONS: u64 = MAX_PAGE_EVENTS as u64;
/// How many times fewer of them are looked at where some can't be read, to find out which.
const FEWER: u64 = 16;
/// Streams, or runs, of a step: for each of them, others are looked at.
const FEW: i64 = 512;
/// Versions of the streams, or events of the runs, of a step that has more than one.
const BEHIND: i64 = 65_536;
/// Bytes of the metadata that a step reads for the tags it looks at, likewise.
const METADATA_BYTES: i64 = 8 << 20;
/// Bytes of texts of records that are looked at together.
const TEXT_BYTES: i64 = 8 << 20;

/// How far a check has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// Counted once: counting takes as long as a step or more.
    total: u64,
    part: Part,
}

/// What a step looks at, from where on.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Part {
    /// Events above a position, the last of which was recorded at a time; so many positions.
    Events(u64, i64, u64),
    /// Streams above a number.
    Streams(i64),
    /// Runs that begin at an id or above.
    Runs(uuid::Bytes),
    /// Spans of kinds above one, and its first position.
    Kinds(i32, i64),
    /// Tags above one of a tenant, and its position.
    Tags(String, String, i64),
    /// Records above one.
    Records(Name),
    /// What the index of records names above a record.
    Index(Name),
}

/// A record: its tenant, its space and its key.
type Name = (String, String, String);

/// One step of the check.
pub(super) async fn page(
    session: &mut Session,
    after: Option<&VerifyCursor>,
) -> Result<VerifyPage> {
    // What is checked is what is stored, not what is remembered of it.
    session.known.names = Names::default();
    let cursor = match after {
        None => {
            let total = unless_damaged(total(session).await)?;
            Cursor { total, part: Part::Events(0, i64::MIN, POSITIONS) }
        }
        Some(cursor) => serde_json::from_slice(&cursor.0)
            .map_err(|cause| VerifyCursor::unknown().with_source(cause))?,
    };
    let mut step = Step { session, page: VerifyPage::default() };
    step.page.total = cursor.total;
    let next = match step.look_at(&cursor.part).await {
        Err(cause) if is_damage(&cause) => step.behind(&cursor.part, &cause).await?,
        next => next?,
    };
    let mut page = step.page;
    let encode = |part| serde_json::to_vec(&Cursor { part, ..cursor });
    let next = next.map(encode).transpose();
    page.next = next.map_err(|cause| VerifyCursor::unknown().with_source(cause))?.map(VerifyCursor);
    Ok(page)
}

/// Whether what is stored is to blame for an error, and other parts may be read all the same.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupted { .. } | ErrorKind::Refused)
}

/// Nothing in place of what can't be read, which is told of when it is looked at.
fn unless_damaged(number: Result<u64>) -> Result<u64> {
    match number {
        Err(cause) if is_damage(&cause) => Ok(0),
        number => number,
    }
}

async fn total(session: &mut Session) -> Result<u64> {
    let asked = session.shared.statements.verify_total.query();
    let others: i64 = asked.fetch_one(&mut session.conn).await?.try_get(0)?;
    Ok(reader::last_position(session, Until::Horizon).await? + others as u64)
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Self::Events(..) => "the events",
            Self::Streams(_) => "the streams",
            Self::Runs(_) => "the index of streams and ids",
            Self::Kinds(..) => "the index of event types",
            Self::Tags(..) => "the index of tags",
            Self::Records(_) => "the records",
            Self::Index(_) => "the index of records",
        }
    }

    /// The part behind this one.
    fn following(&self) -> Option<Self> {
        Some(match self {
            Self::Events(..) => Self::Streams(i64::MIN),
            Self::Streams(_) => Self::Runs(uuid::Bytes::default()),
            Self::Runs(_) => Self::Kinds(i32::MIN, i64::MIN),
            Self::Kinds(..) => Self::Tags(String::new(), String::new(), i64::MIN),
            Self::Tags(..) => Self::Records(Name::default()),
            Self::Records(_) => Self::Index(Name::default()),
            Self::Index(_) => return None,
        })
    }
}

/// A step in the making.
struct Step<'session> {
    session: &'session mut Session,
    page: VerifyPage,
}

/// Tags that events have: their tenants, themselves, and the positions.
type Tagged = (Vec<String>, Vec<String>, Vec<i64>);

impl Step<'_> {
    fn find(&mut self, damage: Damage) {
        self.page.damage.push(damage);
    }

    /// Where to go on after what can't be read: behind it, where it is known what that is.
    async fn behind(&mut self, part: &Part, cause: &Error) -> Result<Option<Part>> {
        // Nothing else of the step counts, or it would count twice.
        self.page = VerifyPage { total: self.page.total, ..VerifyPage::default() };
        let &Part::Events(after, time, most) = part else {
            self.find(Damage::of(format!("{}: {cause}", part.name())));
            return Ok(part.following());
        };
        if most > 1 {
            return Ok(Some(Part::Events(after, time, most / FEWER)));
        }
        let position = after.saturating_add(1);
        self.find(Damage::at(position, cause.to_string()));
        self.page.checked = 1;
        let horizon = reader::last_position(self.session, Until::Horizon).await;
        let horizon = unless_damaged(horizon)?;
        let next = Part::Events(position, time, 1);
        Ok(if position < horizon { Some(next) } else { part.following() })
    }

    async fn look_at(&mut self, part: &Part) -> Result<Option<Part>> {
        let next = match part {
            Part::Events(after, time, most) => self.events(*after, *time, *most).await?,
            Part::Streams(after) => self.streams(*after).await?,
            Part::Runs(from) => self.runs(Uuid::from_bytes(*from)).await?,
            Part::Kinds(kind, first) => self.kinds(*kind, *first).await?,
            Part::Tags(tenant, tag, position) => self.tags(tenant, tag, *position).await?,
            Part::Records(after) => self.records(after).await?,
            Part::Index(after) => self.index(after).await?,
        };
        Ok(next.or_else(|| part.following()))
    }

    async fn events(&mut self, after: u64, mut time: i64, most: u64) -> Result<Option<Part>> {
        let horizon = reader::last_position(self.session, Until::Horizon).await?;
        if horizon <= after {
            return Ok(None);
        }
        let until = horizon.min(after.saturating_add(most));
        let (rows, exhausted) = scan::first_rows(self.session, (after + 1, until)).await?;
        let names = scan::names(self.session, &rows).await?;
        let mut last = after;
        let mut tagged = Tagged::default();
        for row in &rows {
            last = row.try_get::<i64, _>(0)? as u64;
            let checked = scan::checked(&names, row).and_then(|(head, metadata, _)| {
                let tags = Metadata::decode_tags(metadata)?;
                Ok((head, tags))
            });
            match checked {
                Ok((head, tags)) => {
                    if head.recorded_at < time {
                        self.find(Damage::at(last, "recorded_at is lower than before"));
                    }
                    time = head.recorded_at;
                    for tag in tags {
                        tagged.0.push(head.stream.tenant.clone());
                        tagged.1.push(tag);
                        tagged.2.push(clamp(last));
                    }
                }
                Err(cause) => self.find(Damage::at(last, cause.to_string())),
            }
        }
        self.page.events += rows.len() as u64;
        let until = if exhausted { until } else { last };
        self.indexed(after, until, tagged).await?;
        self.page.checked += until - after;
        let most = most.saturating_mul(FEWER).clamp(1, POSITIONS);
        Ok((until < horizon).then_some(Part::Events(until, time, most)))
    }

    /// Whether every index has the events between two positions, and their tags.
    async fn indexed(&mut self, after: u64, until: u64, tagged: Tagged) -> Result<()> {
        let shared = Arc::clone(&self.session.shared);
        let asked = shared.statements.verify_events.query();
        let asked = asked.bind(clamp(after) + 1).bind(clamp(until));
        for row in asked.fetch_all(&mut self.session.conn).await? {
            let indexes = [(1, "streams and ids"), (2, "event types")];
            for (column, index) in indexes {
                if row.try_get(column)? {
                    self.lacks(&row, index)?;
                }
            }
        }
        let (tenants, tags, positions) = tagged;
        if tags.is_empty() {
            return Ok(());
        }
        let asked = shared.statements.verify_tagged.query();
        let asked = asked.bind(tenants).bind(tags).bind(positions);
        for row in asked.fetch_all(&mut self.session.conn).await? {
            let tag: String = row.try_get(1)?;
            self.lacks(&row, &format!("tags, under {tag:?}"))?;
        }
        Ok(())
    }

    fn lacks(&mut self, row: &PgRow, index: &str) -> Result<()> {
        let position = row.try_get::<i64, _>(0)? as u64;
        let text = format!("the event is missing in the index of {index}");
        self.find(Damage::at(position, text));
        Ok(())
    }

    /// The streams: their runs without a hole from 1 to the end that was written.
    async fn streams(&mut self, after: i64) -> Result<Option<Part>> {
        let asked = self.session.shared.statements.verify_streams.query();
        let asked = asked.bind(after).bind(FEW).bind(BEHIND);
        let rows = asked.fetch_all(&mut self.session.conn).await?;
        let mut last = None;
        for row in &rows {
            last = Some(Part::Streams(row.try_get(0)?));
            let (kind, id): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
            let (version, position): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
            let astray: Option<i64> = row.try_get(5)?;
            let (versions, end): (i64, i64) = (row.try_get(6)?, row.try_get(7)?);
            // A name alone is no stream, nor is what holds the events without one.
            self.page.streams += u64::from(version > 0 && !kind.is_empty());
            if let Some(astray) = astray {
                let text = format!(
                    "stream {kind} {id}: version {astray} does not follow those before in its index"
                );
                self.find(Damage::of(text));
            }
            if (version, position) != (versions, end) {
                let text = format!(
                    "stream {kind} {id} was written up to version {version} at position {position}, \
                     but its index has {versions} versions up to position {end}"
                );
                self.find(Damage::of(text));
            }
        }
        self.page.checked += rows.len() as u64;
        Ok(last)
    }

    /// The runs: each one's events there.
    async fn runs(&mut self, from: Uuid) -> Result<Option<Part>> {
        let asked = self.session.shared.statements.verify_runs.query();
        let asked = asked.bind(from).bind(FEW).bind(BEHIND);
        let rows = asked.fetch_all(&mut self.session.conn).await?;
        let mut next = None;
        for row in &rows {
            let (first, last): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            let (position, count): (i64, i32) = (row.try_get(2)?, row.try_get(3)?);
            let (named, there): (bool, i64) = (row.try_get(4)?, row.try_get(5)?);
            next = first.as_u128().checked_add(1).map(u128::to_be_bytes);
            if !named {
                let text = format!("the stream of the events from id {first} on has no name");
                self.find(Damage::at(position as u64, text));
            }
            let ids = last.as_u128().wrapping_sub(first.as_u128()).wrapping_add(1);
            if there != i64::from(count) || ids != there as u128 || ids == 0 {
                let text = format!(
                    "of {count} events from id {first} on, {there} are at the positions in the \
                     index of streams and ids"
                );
                self.find(Damage::at(position as u64, text));
            }
        }
        self.page.checked += rows.len() as u64;
        Ok(next.map(Part::Runs))
    }

    async fn kinds(&mut self, kind: i32, first: i64) -> Result<Option<Part>> {
        let asked = self.session.shared.statements.verify_kinds.query();
        let asked = asked.bind(kind).bind(first).bind(WINDOW);
        let rows = asked.fetch_all(&mut self.session.conn).await?;
        let mut last = None;
        for row in &rows {
            let kind: i32 = row.try_get(0)?;
            let (first, end): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
            last = Some(Part::Kinds(kind, first));
            if !row.try_get::<bool, _>(3)? {
                let text = format!(
                    "the index of event types lists kind {kind} at positions {first} and {end}, \
                     but not both have an event of it"
                );
                self.find(Damage::at(first as u64, text));
            }
        }
        self.page.checked += rows.len() as u64;
        Ok(last)
    }

    async fn tags(&mut self, tenant: &str, tag: &str, position: i64) -> Result<Option<Part>> {
        let asked = self.session.shared.statements.verify_tags.query();
        let asked = asked.bind(tenant).bind(tag).bind(position).bind(WINDOW).bind(METADATA_BYTES);
        let rows = asked.fetch_all(&mut self.session.conn).await?;
        let mut last = None;
        for row in &rows {
            let (tenant, tag): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let position: i64 = row.try_get(2)?;
            let owner: Option<&str> = row.try_get(3)?;
            let metadata: Option<&str> = row.try_get(4)?;
            // What can't be decoded is found as an event.
            let tags = Metadata::decode_tags(metadata.unwrap_or_default().as_bytes());
            if owner != Some(&tenant) || !tags.unwrap_or_default().contains(&tag) {
                let text =
                    format!("the index of tags lists an event under {tag:?} that lacks the tag");
                self.find(Damage::at(position as u64, text));
            }
            last = Some(Part::Tags(tenant, tag, position));
        }
        self.page.checked += rows.len() as u64;
        Ok(last)
    }

    async fn records(&mut self, (tenant, space, key): &Name) -> Result<Option<Part>> {
        let asked = self.session.shared.statements.verify_records.query();
        let asked = asked.bind(tenant).bind(space).bind(key).bind(WINDOW);
        let rows = asked.fetch_all(&mut self.session.conn).await?;
        let mut last = None;
        let (mut texts, mut bytes) = (Vec::new(), 0);
        for row in &rows {
            let name @ (_, space, key) = &name(row)?;
            let (version, present): (i64, bool) = (row.try_get(3)?, row.try_get(4)?);
            let (text, fits): (Option<i64>, bool) = (row.try_get(5)?, row.try_get(6)?);
            if !fits {
                let text = format!(
                    "record {key:?} of {space:?} has a text without words, or words without a text"
                );
                self.find(Damage::of(text));
            }
            if let Some(size) = text {
                bytes += size;
                texts.push(name.clone());
                if bytes >= TEXT_BYTES {
                    self.texts(&std::mem::take(&mut texts)).await?;
                    bytes = 0;
                }
            }
            // At version 0 it was claimed and never written.
            if version < i64::from(present) {
                let text =
                    format!("record {key:?} of {space:?} has the impossible version {version}");
                self.find(Damage::of(text));
            }
            self.page.records += u64::from(version != 0 || present);
            last = Some(Part::Records(name.clone()));
        }
        self.texts(&texts).await?;
        self.page.checked += rows.len() as u64;
        Ok(last)
    }

    /// Whether records are indexed by the words of their texts.
    async fn texts(&mut self, records: &[Name]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.session.shared);
        let column = |part: fn(&Name) -> &str| records.iter().map(part).collect::<Vec<_>>();
        let asked = shared.statements.verify_texts.query();
        let asked = asked.bind(column(|name| &name.0)).bind(column(|name| &name.1));
        let asked = asked.bind(column(|name| &name.2));
        let (mut tenants, mut spaces, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let (mut texts, mut lexemes) = (Vec::new(), Vec::new());
        for row in asked.fetch_all(&mut self.session.conn).await? {
            let (tenant, space, key) = name(&row)?;
            let text: String = row.try_get(3)?;
            lexemes.push(words::lexemes(&text, &tenant, &space));
            texts.push(text);
            tenants.push(tenant);
            spaces.push(space);
            keys.push(key);
        }
        let asked = shared.statements.verify_words.query();
        let asked = asked.bind(tenants).bind(spaces).bind(keys).bind(texts).bind(lexemes);
        for row in asked.fetch_all(&mut self.session.conn).await? {
            let (space, key): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let text =
                format!("record {key:?} of {space:?} is indexed by other words than its own");
            self.find(Damage::of(text));
        }
        Ok(())
    }

    async fn index(&mut self, (tenant, space, key): &Name) -> Result<Option<Part>> {
        let asked = self.session.shared.statements.verify_record_index.query();
        let asked = asked.bind(tenant).bind(space).bind(key).bind(WINDOW);
        let mut last = None;
        for row in asked.fetch_all(&mut self.session.conn).await? {
            let record @ (_, space, key) = &name(&row)?;
            let (count, index): (i64, String) = (row.try_get(3)?, row.try_get(4)?);
            if !row.try_get::<bool, _>(5)? {
                let text = format!(
                    "the index {index:?} of {space:?} lists record {key:?}, which does not exist"
                );
                self.find(Damage::of(text));
            }
            self.page.checked += count as u64;
            last = Some(Part::Index(record.clone()));
        }
        Ok(last)
    }
}

fn name(row: &PgRow) -> Result<Name> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}
