//! The same steps on two stores, answer by answer.

use std::fmt::Debug;
use std::sync::Arc;

use eventuali_core::backend::memory::Memory;
use eventuali_core::commit::{Commit, Committed};
use eventuali_core::contract::block_on;
use eventuali_core::error::{Error, ErrorKind};
use eventuali_core::event::StoredEvent;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::record::{ExpectedRecord, RecordKey, RecordPage, RecordQuery, RecordSelection};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId, StreamPage, StreamSelection};
use uuid::Uuid;

use crate::plan::{Change, Step};

type Outcome<T> = Result<T, ErrorKind>;

/// Takes all `steps` with the oracle and with `other`; what differs, if anything does.
pub(crate) fn run(steps: &[Step], other: Arc<dyn Storage>) -> Result<(), String> {
    let oracle = Side { store: Arc::new(Memory::new()), positions: Vec::new() };
    let other = Side { store: other, positions: Vec::new() };
    let mut pair = Pair { oracle, other, sent: Vec::new(), ids: 0 };
    for step in steps {
        pair.take(step).map_err(|difference| format!("{difference}\nin {step:?}"))?;
    }
    pair.compare_everything()
}

/// A store, and where in it the events lie, in the order of the log.
struct Side {
    store: Arc<dyn Storage>,
    positions: Vec<u64>,
}

struct Pair {
    oracle: Side,
    other: Side,
    /// Every commit that was sent, with ranks for positions.
    sent: Vec<Commit>,
    ids: u128,
}

impl Pair {
    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Commit { commit, right } => {
                let mut commit = commit.clone();
                commit.id = self.id();
                for event in commit.writes.iter_mut().flat_map(|write| &mut write.events) {
                    self.ids += 1;
                    event.event_id = Uuid::from_u128(self.ids);
                }
                if *right {
                    self.oracle.make_right(&mut commit);
                }
                self.send(commit)
            }
            Step::Repeat { which, change } => {
                if self.sent.is_empty() {
                    return Ok(());
                }
                let mut commit = which.get(&self.sent).clone();
                self.change(&mut commit, *change);
                self.send(commit)
            }
            Step::Read { query, range } => {
                same(&self.oracle.read(query, *range), &self.other.read(query, *range))?;
                same(&self.oracle.count(query, *range), &self.other.count(query, *range))
            }
            Step::Streams { selection, limit } => same(
                &self.oracle.streams(selection, *limit),
                &self.other.streams(selection, *limit),
            ),
            Step::Records { query, limit } => {
                same(&self.oracle.counted(query), &self.other.counted(query))?;
                same(&self.oracle.records(query, *limit), &self.other.records(query, *limit))
            }
        }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn send(&mut self, commit: Commit) -> Result<(), String> {
        let (expected, found) = (self.oracle.commit(&commit), self.other.commit(&commit));
        self.sent.push(commit);
        same(&expected, &found)
    }

    fn change(&mut self, commit: &mut Commit, change: Change) {
        let id = self.id();
        for write in commit.writes.iter_mut().filter(|write| !write.stream.is_none()) {
            if matches!(change, Change::StaleVersions) {
                write.expected = ExpectedVersion::NoStream;
            }
        }
        let Some(write) = commit.writes.iter_mut().rfind(|write| !write.events.is_empty()) else {
            return;
        };
        let Some(last) = write.events.last_mut() else { return };
        match change {
            Change::Nothing | Change::StaleVersions => {}
            Change::OtherPayload => last.payload.push(0),
            Change::OtherTags => {
                last.metadata.get_or_insert_default().tags.push("other".to_owned());
            }
            Change::OtherStream => {
                write.stream = Arc::new(StreamId::new("C", "1"));
                write.expected = ExpectedVersion::Any;
            }
            Change::OneEventLess => drop(write.events.pop()),
            Change::OneEventMore => {
                let mut more = last.clone();
                more.event_id = id;
                write.events.push(more);
            }
        }
    }

    fn compare_everything(&self) -> Result<(), String> {
        for tenant in ["", "t"] {
            let (query, range) = (Query::all(tenant), ReadRange::default());
            same(&self.oracle.read(&query, range), &self.other.read(&query, range))?;
            let selection = StreamSelection { tenant: tenant.to_owned(), ..Default::default() };
            same(&self.oracle.streams(&selection, 9), &self.other.streams(&selection, 9))?;
            for space in ["s", "o"] {
                let select = RecordSelection::Prefix(String::new());
                let query = record_query(tenant, space, select);
                same(&self.oracle.records(&query, 9), &self.other.records(&query, 9))?;
            }
        }
        Ok(())
    }
}

impl Side {
    fn commit(&mut self, commit: &Commit) -> Outcome<Committed> {
        let mut sent = commit.clone();
        for condition in &mut sent.conditions {
            condition.after = self.position(condition.after);
        }
        let answer = block_on(self.store.commit(sent));
        let mut committed = answer.map_err(|error| self.ranked(&error))?;
        for position in &mut committed.positions {
            if self.positions.last().is_none_or(|last| last < position) {
                self.positions.push(*position);
            }
            *position = self.rank(*position);
        }
        committed.recorded_at = committed.recorded_at.signum();
        Ok(committed)
    }

    /// What the range holds; the ways in which it may be cut into pages are many.
    fn read(&self, query: &Query, range: ReadRange) -> Outcome<Vec<StoredEvent>> {
        let (after, until) = (self.position(range.after), self.position(range.until));
        let mut range = ReadRange { after, until, ..range };
        let mut events = Vec::new();
        loop {
            let page = block_on(self.store.read(query.clone(), range));
            let page = page.map_err(|error| self.ranked(&error))?;
            assert!(page.len() <= range.page_limit(), "a page keeps its limit");
            for event in page.iter() {
                let mut stored = event.to_stored().map_err(|error| self.ranked(&error))?;
                stored.head.position = self.rank(stored.head.position);
                stored.head.recorded_at = 0;
                events.push(stored);
            }
            if page.end {
                return Ok(events);
            }
            let left = range.continued(page.looked_to);
            assert_ne!(left, range, "a page that is not the end gets further");
            range = left;
        }
    }

    fn streams(&self, selection: &StreamSelection, limit: usize) -> Outcome<Vec<StreamPage>> {
        let mut pages: Vec<StreamPage> = Vec::new();
        loop {
            let after = pages.last().and_then(|page| page.next.clone());
            let page = block_on(self.store.streams(selection.clone(), after, limit));
            let mut page = page.map_err(|error| self.ranked(&error))?;
            for info in &mut page.streams {
                info.last_position = self.rank(info.last_position);
            }
            let last = page.next.is_none();
            pages.push(page);
            if last {
                return Ok(pages);
            }
        }
    }

    fn count(&self, query: &Query, range: ReadRange) -> Outcome<u64> {
        let (after, until) = (self.position(range.after), self.position(range.until));
        let range = ReadRange { after, until, ..range };
        block_on(self.store.count(query.clone(), range)).map_err(|error| self.ranked(&error))
    }

    fn counted(&self, query: &RecordQuery) -> Outcome<u64> {
        block_on(self.store.count_records(query.clone())).map_err(|error| self.ranked(&error))
    }

    fn records(&self, query: &RecordQuery, limit: usize) -> Outcome<Vec<RecordPage>> {
        let mut pages: Vec<RecordPage> = Vec::new();
        loop {
            let after = pages.last().and_then(|page| page.next.clone());
            let page = block_on(self.store.records(query.clone(), after, limit));
            let page = page.map_err(|error| self.ranked(&error))?;
            let last = page.next.is_none();
            pages.push(page);
            if last {
                return Ok(pages);
            }
        }
    }

    /// Makes `commit` expect what is there.
    fn make_right(&self, commit: &mut Commit) {
        for write in commit.writes.iter_mut().filter(|write| !write.stream.is_none()) {
            let query = Query::stream(&write.stream);
            let version = self.read(&query, ReadRange::default()).map_or(0, |own| own.len());
            write.expected = ExpectedVersion::Exact(version as u64);
        }
        for change in &mut commit.records {
            let RecordKey { tenant, space, key } = &change.key;
            let query = record_query(tenant, space, RecordSelection::Keys(vec![key.clone()]));
            let page = self.records(&query, 1).ok().and_then(|mut pages| pages.pop());
            let found = page.and_then(|mut page| page.records.pop());
            let version = found.map(|record| ExpectedRecord::Exact(record.version));
            change.expected = version.unwrap_or(ExpectedRecord::Absent);
        }
    }

    /// Where the event of this rank lies, or a position beyond all.
    fn position(&self, rank: u64) -> u64 {
        match rank.checked_sub(1) {
            None => 0,
            Some(index) => self.positions.get(index as usize).copied().unwrap_or(u64::MAX),
        }
    }

    fn rank(&self, position: u64) -> u64 {
        if position == 0 {
            return 0;
        }
        self.positions.binary_search(&position).map_or(u64::MAX, |index| index as u64 + 1)
    }

    fn ranked(&self, error: &Error) -> ErrorKind {
        match error.kind().clone() {
            ErrorKind::ConditionFailed { after, position } => ErrorKind::ConditionFailed {
                after: self.rank(after),
                position: self.rank(position),
            },
            kind => kind,
        }
    }
}

fn record_query(tenant: &str, space: &str, select: RecordSelection) -> RecordQuery {
    RecordQuery { tenant: tenant.to_owned(), ..RecordQuery::new(space, select) }
}

fn same<T: PartialEq + Debug>(expected: &T, found: &T) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("expected {expected:#?}\nfound {found:#?}"))
}
