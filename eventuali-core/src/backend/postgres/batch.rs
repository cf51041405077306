//! Events of several commits, as the arrays that one call writes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::connection::Session;
use super::names::Names;
use super::statements::Asked;
use crate::commit::{Commit, Committed, StreamWrite};
use crate::error::{Error, Result};
use crate::event::{EventHead, NewEvent};
use crate::stream::{ExpectedVersion, StreamId};

/// A kind, and the first and last place of a span of its events.
type Span = (i32, i32, i32);

/// Events of a kind that stand further apart than this belong to two spans.
const SPAN_GAP: i32 = 64;
/// Ids of one family have the same bits above these.
const FAMILY_BITS: u32 = 16;

/// The version at which `append` must find a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Any,
    Existing,
    At(i64),
}

impl Found {
    /// What a writer expects; none where no stream can be there.
    pub(super) fn expected(expected: ExpectedVersion) -> Option<Self> {
        Some(match expected {
            ExpectedVersion::Any => Self::Any,
            ExpectedVersion::StreamExists => Self::Existing,
            ExpectedVersion::NoStream => Self::At(0),
            ExpectedVersion::Exact(version) => Self::At(i64::try_from(version).ok()?),
        })
    }

    fn number(self) -> i64 {
        match self {
            Self::Any => -1,
            Self::Existing => -2,
            Self::At(version) => version,
        }
    }
}

/// A stream of a batch: what must be found, and what is added.
struct Extended<'c> {
    name: &'c StreamId,
    found: Found,
    added: i32,
    last: i32,
}

/// Where the events of one commit stand in a batch.
struct Member {
    /// The first place, from 0, and the number of events.
    events: (usize, usize),
    /// For each write, the stream and the events that the batch then has for it.
    writes: Vec<Option<(usize, i32)>>,
}

/// Events on their way into one call of `append`.
#[derive(Default)]
pub(super) struct Batch<'c> {
    streams: Vec<Extended<'c>>,
    by_name: HashMap<&'c StreamId, usize>,
    loose: Vec<&'c str>,
    members: Vec<Member>,
    events: Events<'c>,
    runs: Runs,
    spans: Vec<Span>,
    span_of: HashMap<i32, usize>,
    tags: (Vec<&'c str>, Vec<&'c str>, Vec<i32>),
}

/// The columns of the events. A stream is its place in `streams`, or after them in `loose`.
#[derive(Default)]
struct Events<'c> {
    stream: Vec<Place>,
    number: Vec<i32>,
    id: Vec<Uuid>,
    kind: Vec<i32>,
    timestamp: Vec<i64>,
    crc: Vec<i64>,
    metadata: Vec<Option<String>>,
    payload: Vec<&'c [u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Stream(usize),
    Loose(usize),
}

#[derive(Default)]
struct Runs {
    first: Vec<Uuid>,
    last: Vec<Uuid>,
    place: Vec<i32>,
    count: Vec<i32>,
    records: Vec<i64>,
}

/// What a batch became.
pub(super) struct Written {
    first_position: u64,
    recorded_at: i64,
    /// The version at which each stream was found, in the order of the batch.
    heads: Vec<i64>,
}

impl<'c> Batch<'c> {
    /// The version of a stream after the batch, as far as it can be told before.
    pub(super) fn head(&self, stream: &StreamId) -> Option<(Found, i32)> {
        let known = &self.streams[*self.by_name.get(stream)?];
        Some((known.found, known.added))
    }

    /// Adds the events of a commit; `found` is what must be found of a stream that the batch does
    /// not have yet.
    pub(super) fn add(
        &mut self,
        names: &Names,
        commit: &'c Commit,
        found: impl Fn(&StreamWrite) -> Found,
    ) -> Result<()> {
        let records = commit.records_digest().stored();
        let first = self.events.id.len();
        let mut writes = Vec::with_capacity(commit.writes.len());
        for write in &commit.writes {
            let place = self.place(write, &found);
            let begin = self.events.id.len();
            for event in &write.events {
                self.add_event(names, place, &write.stream, event)?;
            }
            self.runs.add(&self.events.id, begin, records);
            writes.push(match place {
                Place::Stream(index) => Some((index, self.streams[index].added)),
                Place::Loose(_) => None,
            });
        }
        self.members.push(Member { events: (first, self.events.id.len() - first), writes });
        Ok(())
    }

    fn place(&mut self, write: &'c StreamWrite, found: &impl Fn(&StreamWrite) -> Found) -> Place {
        let name: &'c StreamId = &write.stream;
        if name.is_none() {
            let known = self.loose.iter().position(|tenant| *tenant == name.tenant);
            return Place::Loose(known.unwrap_or_else(|| {
                self.loose.push(&name.tenant);
                self.loose.len() - 1
            }));
        }
        let streams = &mut self.streams;
        let index = self.by_name.entry(name).or_insert_with(|| {
            streams.push(Extended { name, found: found(write), added: 0, last: 0 });
            streams.len() - 1
        });
        Place::Stream(*index)
    }

    fn add_event(
        &mut self,
        names: &Names,
        stream: Place,
        name: &Arc<StreamId>,
        event: &'c NewEvent,
    ) -> Result<()> {
        let place = self.events.id.len() as i32 + 1;
        let number = match stream {
            Place::Loose(_) => 0,
            Place::Stream(index) => {
                let stream = &mut self.streams[index];
                (stream.added, stream.last) = (stream.added + 1, place);
                stream.added
            }
        };
        let kind = names.kind_id(&event.kind)?;
        self.events.add(stream, number, kind, name, event)?;
        self.add_span(kind, place);
        let mut seen = BTreeSet::new();
        for tag in event.tags().iter().filter(|tag| seen.insert(tag.as_str())) {
            let (tenants, tags, places) = &mut self.tags;
            tenants.push(match stream {
                Place::Loose(index) => self.loose[index],
                Place::Stream(index) => &self.streams[index].name.tenant,
            });
            tags.push(tag);
            places.push(place);
        }
        Ok(())
    }

    fn add_span(&mut self, kind: i32, place: i32) {
        match self.span_of.get(&kind).map(|index| &mut self.spans[*index]) {
            Some(span) if place - span.2 <= SPAN_GAP => span.2 = place,
            _ => {
                self.span_of.insert(kind, self.spans.len());
                self.spans.push((kind, place, place));
            }
        }
    }

    /// Writes all of it; nothing, and none as the answer, where the streams are not as expected or
    /// an id is stored.
    pub(super) async fn write(
        &self,
        session: &mut Session,
        families: &[i64],
    ) -> Result<Option<Written>> {
        let shared = Arc::clone(&session.shared);
        let names = &session.known.names;
        let loose: Vec<i64> =
            self.loose.iter().map(|tenant| names.loose(tenant)).collect::<Result<_>>()?;
        let order = self.order();
        let statement = shared.statements.call_append.query().bind(families);
        let statement = self.bind_streams(statement, &order).bind(loose);
        let statement = self.bind_events(statement, &order);
        let statement = self.runs.bind(statement);
        let span = |part: fn(&Span) -> i32| self.spans.iter().map(part).collect::<Vec<_>>();
        let statement = statement.bind(span(|span| span.0)).bind(span(|span| span.1));
        let statement = statement.bind(span(|span| span.2));
        let (tenants, tags, places) = &self.tags;
        let statement = statement.bind(tenants).bind(tags).bind(places);
        let Some(row) = statement.fetch_optional(&mut session.conn).await? else { return Ok(None) };
        session.heard |= row.try_get::<Option<bool>, _>(3)?.unwrap_or_default();
        written(&row, &order)
    }

    /// The streams in the order in which every writer locks them.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.streams.len()).collect();
        order.sort_unstable_by_key(|index| self.streams[*index].name);
        order
    }

    fn bind_streams<'q>(&self, statement: Asked<'q>, order: &[usize]) -> Asked<'q> {
        let streams: Vec<&Extended<'_>> = order.iter().map(|index| &self.streams[*index]).collect();
        let text = |part: fn(&StreamId) -> &String| -> Vec<&str> {
            streams.iter().map(|stream| part(stream.name).as_str()).collect()
        };
        statement
            .bind(text(|name| &name.tenant))
            .bind(text(|name| &name.aggregate_type))
            .bind(text(|name| &name.aggregate_id))
            .bind(streams.iter().map(|stream| stream.found.number()).collect::<Vec<_>>())
            .bind(streams.iter().map(|stream| stream.added).collect::<Vec<_>>())
            .bind(streams.iter().map(|stream| stream.last).collect::<Vec<_>>())
    }

    fn bind_events<'q>(&self, statement: Asked<'q>, order: &[usize]) -> Asked<'q> {
        let rank = ranks(order);
        let place = |place: &Place| match place {
            Place::Stream(index) => rank[*index],
            Place::Loose(index) => (order.len() + index + 1) as i32,
        };
        let events = &self.events;
        statement
            .bind(events.stream.iter().map(place).collect::<Vec<_>>())
            .bind(&events.number)
            .bind(&events.id)
            .bind(&events.kind)
            .bind(&events.timestamp)
            .bind(&events.crc)
            .bind(&events.metadata)
            .bind(&events.payload)
    }

    /// What a batch without events becomes: what was found is what stays.
    pub(super) fn unwritten(&self) -> Option<Written> {
        let heads = self.streams.iter().map(|stream| match stream.found {
            Found::At(version) => version,
            Found::Any | Found::Existing => 0,
        });
        let written = Written { first_position: 0, recorded_at: 0, heads: heads.collect() };
        self.events.id.is_empty().then_some(written)
    }

    /// The answer to each commit, in the order in which they were added.
    pub(super) fn answers(&self, written: &Written) -> Vec<Committed> {
        let answer = |member: &Member| {
            let (first, count) = member.events;
            let first = written.first_position + first as u64;
            let version = |write: &Option<(usize, i32)>| {
                write.map_or(0, |(index, added)| (written.heads[index] + i64::from(added)) as u64)
            };
            Committed {
                positions: (first..first + count as u64).collect(),
                versions: member.writes.iter().map(version).collect(),
                record_versions: Vec::new(),
                recorded_at: if count > 0 { written.recorded_at } else { 0 },
            }
        };
        self.members.iter().map(answer).collect()
    }
}

impl<'c> Events<'c> {
    fn add(
        &mut self,
        stream: Place,
        number: i32,
        kind: i32,
        name: &Arc<StreamId>,
        event: &'c NewEvent,
    ) -> Result<()> {
        let metadata = event.metadata.as_ref().map_or(Ok(Vec::new()), |given| given.encode())?;
        let head = EventHead {
            position: 0,
            event_id: event.event_id,
            stream: Arc::clone(name),
            version: 0,
            kind: Arc::clone(&event.kind),
            timestamp: event.timestamp,
            recorded_at: 0,
        };
        self.crc.push(i64::from(head.checksum(&metadata, &event.payload)));
        let text = String::from_utf8(metadata)
            .map_err(|e| Error::invalid("headers", "metadata is not UTF-8").with_source(e))?;
        self.metadata.push((!text.is_empty()).then_some(text));
        self.stream.push(stream);
        self.number.push(number);
        self.id.push(event.event_id);
        self.kind.push(kind);
        self.timestamp.push(event.timestamp);
        self.payload.push(&event.payload);
        Ok(())
    }
}

/// For each stream, its place in `order`, from 1.
fn ranks(order: &[usize]) -> Vec<i32> {
    let mut ranks = vec![0; order.len()];
    for (index, place) in order.iter().zip(1..) {
        ranks[*index] = place;
    }
    ranks
}

/// What `append` answers: nothing where it wrote nothing.
fn written(row: &PgRow, order: &[usize]) -> Result<Option<Written>> {
    let Some(first) = row.try_get::<Option<i64>, _>(0)? else { return Ok(None) };
    let found = row.try_get::<Option<Vec<i64>>, _>(2)?.unwrap_or_default();
    let mut heads = vec![0; order.len()];
    for (index, head) in order.iter().zip(found) {
        heads[*index] = head;
    }
    Ok(Some(Written { first_position: first as u64, recorded_at: row.try_get(1)?, heads }))
}

impl Runs {
    fn bind<'q>(&self, statement: Asked<'q>) -> Asked<'q> {
        let statement = statement.bind(&self.first).bind(&self.last).bind(&self.place);
        statement.bind(&self.count).bind(&self.records)
    }

    /// Adds the runs of one write, whose ids begin at `begin`.
    fn add(&mut self, ids: &[Uuid], begin: usize, records: i64) {
        let mut place = begin as i32 + 1;
        for run in runs(&ids[begin..]) {
            let count = run.len() as i32;
            self.first.push(run[0]);
            self.last.push(run[run.len() - 1]);
            self.place.push(place);
            self.count.push(count);
            self.records.push(records);
            place += count;
        }
    }
}

/// Ids that follow one another as 128-bit numbers: those of one save do.
pub(super) fn runs(ids: &[Uuid]) -> impl Iterator<Item = &[Uuid]> {
    ids.chunk_by(|id, next| id.as_u128().checked_add(1) == Some(next.as_u128()))
}

/// The families of ids, sorted.
pub(super) fn families<'c>(commits: impl Iterator<Item = &'c Commit>) -> Vec<i64> {
    let mut families = BTreeSet::new();
    for commit in commits {
        let upper = commit.events().map(|(_, event)| event.event_id.as_u128() >> FAMILY_BITS);
        let mut last = None;
        for family in upper {
            if last.replace(family) != Some(family) {
                // Neighbours are spread by an odd factor, as keys of the lock table want to be.
                let folded = (family as u64) ^ ((family >> 64) as u64);
                families.insert(folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64);
            }
        }
    }
    families.into_iter().collect()
}

/// What is stored as the checksum: the CRC32C of what the client gave, and in its lower bits a sum
/// of what the server did, in which a change to any one of the three shows.
pub(super) fn sealed(head: &EventHead, metadata: &[u8], payload: &[u8]) -> i64 {
    const PRIME: u64 = 2_147_483_647;
    let bare = EventHead { position: 0, version: 0, recorded_at: 0, ..head.clone() };
    let crc = i64::from(bare.checksum(metadata, payload));
    let time = head.recorded_at % PRIME as i64;
    let sum = (head.position % PRIME * 3 + head.version % PRIME * 5) as i64 + time * 7;
    (crc << 31) ^ (sum % PRIME as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_follow_one_another() {
        let ids = [5, 6, 7, 9, 8, u128::MAX].map(Uuid::from_u128);
        let found: Vec<usize> = runs(&ids).map(<[Uuid]>::len).collect();
        assert_eq!(found, [3, 1, 1, 1]);
        assert_eq!(runs(&[]).count(), 0);
    }
}
