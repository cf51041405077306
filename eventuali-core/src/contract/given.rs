//! What clauses are given, and what they look at afterwards.

use std::sync::Arc;

use uuid::Uuid;

use super::Fixture;
use crate::commit::{Commit, Committed};
use crate::error::ErrorKind;
use crate::event::{EventKind, EventPage, Metadata, NewEvent, StoredEvent};
use crate::query::{Query, QueryItem, ReadRange};
use crate::record::{
    ExpectedRecord, Record, RecordChange, RecordKey, RecordQuery, RecordSelection,
};
use crate::storage::Storage;
use crate::stream::{ExpectedVersion, StreamId, StreamInfo, StreamSelection};

pub(super) type Store = Arc<dyn Storage>;

/// A second tenant; the first is the default one.
pub(super) const OTHER: &str = "other";

pub(super) async fn open(fixture: &dyn Fixture) -> Store {
    fixture.open().await.expect("the fixture opens its store")
}

/// The same store through a new handle; a durable one is closed in between.
pub(super) async fn reopen(fixture: &dyn Fixture, store: Store) -> Store {
    if store.capabilities().durable {
        store.close().await.expect("the store closes");
    }
    drop(store);
    open(fixture).await
}

pub(super) fn account(id: &str) -> StreamId {
    StreamId::new("Account", id)
}

pub(super) fn no_stream() -> StreamId {
    StreamId::none("")
}

/// An event of a type, unlike any other.
pub(super) fn event(event_type: &str) -> NewEvent {
    let event = NewEvent::new(Arc::new(EventKind::json(event_type, 1)), Vec::new());
    let payload = format!("{{\"n\":\"{}\"}}", event.event_id).into_bytes();
    NewEvent { payload, ..event }
}

pub(super) fn events(count: usize) -> Vec<NewEvent> {
    let kind = Arc::new(EventKind::json("Deposited", 1));
    (0..count).map(|n| NewEvent::new(Arc::clone(&kind), n.to_string())).collect()
}

pub(super) fn tagged(event_type: &str, tags: &[&str]) -> NewEvent {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    event(event_type).with_metadata(Metadata { tags, ..Metadata::default() })
}

/// A commit of `count` events at the end of an account, whatever its version.
pub(super) fn deposits(id: &str, count: usize) -> Commit {
    Commit::append(account(id), ExpectedVersion::Any, events(count))
}

/// A commit of `count` events at the end of an account that must be as `expected`.
pub(super) fn expecting(id: &str, expected: ExpectedVersion, count: usize) -> Commit {
    Commit::append(account(id), expected, events(count))
}

/// A commit of events that belong to no stream.
pub(super) fn loose(events: Vec<NewEvent>) -> Commit {
    Commit::append(no_stream(), ExpectedVersion::Any, events)
}

/// One commit of everything in `commits`.
pub(super) fn together(commits: impl IntoIterator<Item = Commit>) -> Commit {
    let mut all = Commit::default();
    for commit in commits {
        all.writes.extend(commit.writes);
        all.conditions.extend(commit.conditions);
        all.records.extend(commit.records);
        all.checks.extend(commit.checks);
    }
    all
}

pub(super) fn key(key: &str) -> RecordKey {
    RecordKey::new("doc", key)
}

pub(super) fn put(name: &str, bytes: &str) -> RecordChange {
    RecordChange::put(key(name), bytes)
}

pub(super) fn put_expecting(name: &str, expected: ExpectedRecord) -> Commit {
    Commit::change(vec![put(name, "new").expecting(expected)])
}

pub(super) fn item() -> QueryItem {
    QueryItem::default()
}

pub(super) fn query(items: impl IntoIterator<Item = QueryItem>) -> Query {
    Query { items: items.into_iter().collect(), ..Query::default() }
}

pub(super) fn of_type(event_type: &str) -> QueryItem {
    QueryItem { event_types: vec![event_type.to_owned()], ..item() }
}

pub(super) fn of_tags(tags: &[&str]) -> QueryItem {
    QueryItem { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..item() }
}

pub(super) fn of_stream(stream: &StreamId, item: QueryItem) -> QueryItem {
    let aggregate_id = Some(stream.aggregate_id.clone());
    QueryItem { aggregate_type: Some(stream.aggregate_type.clone()), aggregate_id, ..item }
}

/// Commits of one to four events to account 1, some side by side, most with others between them:
/// of account 2, of another tenant, and of no stream. Types alternate; each third event is rare.
pub(super) async fn interleaved(store: &Store) {
    let mut number = 0;
    let mut several = |count| -> Vec<NewEvent> {
        let numbers = number..number + count;
        number += count;
        let tags = |n| if n % 3 == 0 { &["rare"][..] } else { &[] };
        numbers.map(|n| tagged(if n % 2 == 0 { "Even" } else { "Odd" }, tags(n))).collect()
    };
    let foreign = account("1").with_tenant(OTHER);
    let to = |stream, events| Commit::append(stream, ExpectedVersion::Any, events);
    done(store, to(account("2"), several(2))).await;
    for count in [1, 4, 1, 2, 3] {
        done(store, to(account("1"), several(count))).await;
        let both = [to(account("1"), several(1)), to(account("2"), several(2))];
        done(store, together(both)).await;
        done(store, together([loose(several(1)), to(foreign.clone(), several(1))])).await;
    }
}

/// Commits what must be accepted.
pub(super) async fn done(store: &Store, commit: Commit) -> Committed {
    store.commit(commit).await.expect("the commit is accepted")
}

/// Commits what must be refused.
pub(super) async fn refused(store: &Store, commit: Commit) -> ErrorKind {
    store.commit(commit).await.expect_err("the commit is refused").kind().clone()
}

/// Every page of a range, in the order of reading.
pub(super) async fn pages(store: &Store, query: &Query, range: ReadRange) -> Vec<EventPage> {
    let (mut pages, mut range) = (Vec::new(), range);
    loop {
        let page = store.read(query.clone(), range).await.expect("the page is read");
        let (end, left) = (page.end, range.continued(page.looked_to));
        pages.push(page);
        if end {
            return pages;
        }
        assert_ne!(range, left, "a page that is not the end gets further");
        range = left;
    }
}

/// All that matches, page by page.
pub(super) async fn found_in(store: &Store, query: &Query, range: ReadRange) -> Vec<StoredEvent> {
    let pages = pages(store, query, range).await;
    let events = pages.iter().flat_map(EventPage::iter);
    events.map(|event| event.to_stored().expect("the metadata is readable")).collect()
}

/// All that matches in the whole log.
pub(super) async fn found(store: &Store, query: &Query) -> Vec<StoredEvent> {
    found_in(store, query, ReadRange::default()).await
}

/// The whole log of the default tenant.
pub(super) async fn log(store: &Store) -> Vec<StoredEvent> {
    found(store, &Query::default()).await
}

pub(super) fn ids(events: &[StoredEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.head.event_id).collect()
}

pub(super) fn positions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.head.position).collect()
}

pub(super) fn versions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.head.version).collect()
}

/// Every stream of a selection, page by page.
pub(super) async fn streams(
    store: &Store,
    selection: &StreamSelection,
    limit: usize,
) -> Vec<StreamInfo> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.streams(selection.clone(), after, limit).await.expect("streams are read");
        assert!(page.streams.len() <= limit, "no more than the limit on a page");
        found.extend(page.streams);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// Every record of a query, page by page.
pub(super) async fn records(store: &Store, query: &RecordQuery, limit: usize) -> Vec<Record> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.records(query.clone(), after, limit).await.expect("records are read");
        assert!(page.records.len() <= limit, "no more than the limit on a page");
        found.extend(page.records);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// The records of the default tenant and the space `doc`.
pub(super) fn select(select: RecordSelection) -> RecordQuery {
    RecordQuery::new("doc", select)
}

/// The record under a key of the space `doc`.
pub(super) async fn record(store: &Store, name: &str) -> Option<Record> {
    let query = select(RecordSelection::Keys(vec![name.to_owned()]));
    records(store, &query, 10).await.pop()
}

/// Everything that a store shows of the default tenant and [`OTHER`].
#[derive(Debug, PartialEq)]
pub(super) struct Picture {
    events: Vec<StoredEvent>,
    streams: Vec<StreamInfo>,
    records: Vec<Record>,
}

pub(super) async fn picture(store: &Store) -> Picture {
    let mut picture = Picture { events: Vec::new(), streams: Vec::new(), records: Vec::new() };
    for tenant in ["", OTHER] {
        let selection = StreamSelection { tenant: tenant.to_owned(), ..StreamSelection::default() };
        let all = RecordSelection::Prefix(String::new());
        let query = RecordQuery { tenant: tenant.to_owned(), ..select(all) };
        picture.events.extend(found(store, &Query::all(tenant)).await);
        picture.streams.extend(streams(store, &selection, 100).await);
        picture.records.extend(records(store, &query, 100).await);
    }
    picture
}
