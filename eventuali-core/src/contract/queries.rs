//! Clauses about which events a query finds.

use super::Fixture;
use super::given::{
    OTHER, Store, account, deposits, done, event, found, found_in, item, log, of_tags, of_type,
    open, positions, query, tagged,
};
use crate::commit::{Commit, StreamWrite};
use crate::error::ErrorKind;
use crate::event::{Metadata, NewEvent, Reference, StoredEvent};
use crate::query::{Partition, Query, QueryItem, ReadRange};
use crate::stream::{ExpectedVersion, StreamId};
use uuid::Uuid;

pub async fn without_items_it_is_everything(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    finds(&store, Query::default(), |_| true, 8).await;
}

pub async fn by_type_of_aggregate(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let of = |kind: &str| QueryItem { aggregate_type: Some(kind.to_owned()), ..item() };
    finds(&store, query([of("Book")]), |e| e.head.stream.aggregate_type == "Book", 4).await;
    finds(&store, query([of("book")]), |_| false, 0).await;
}

pub async fn by_id_of_aggregate(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let of = QueryItem { aggregate_id: Some("1".to_owned()), ..item() };
    finds(&store, query([of]), |e| e.head.stream.aggregate_id == "1", 4).await;
}

pub async fn by_stream(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let book = StreamId::new("Book", "1");
    finds(&store, Query::stream(&book), |e| *e.head.stream == book, 2).await;
    finds(&store, Query::stream(&account("9")), |_| false, 0).await;
}

pub async fn by_one_of_several_types(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    finds(&store, query([of_type("Added")]), |e| e.head.kind.event_type == "Added", 3).await;
    let either = QueryItem { event_types: vec!["Lent".into(), "Returned".into()], ..item() };
    finds(&store, query([either]), |e| e.head.kind.event_type != "Added", 5).await;
}

pub async fn by_all_of_several_tags(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let has = |e: &StoredEvent, tag: &str| e.metadata.tags.iter().any(|found| found == tag);
    finds(&store, query([of_tags(&["red"])]), |e| has(e, "red"), 4).await;
    let both = query([of_tags(&["red", "old"])]);
    finds(&store, both, |e| has(e, "red") && has(e, "old"), 2).await;
    finds(&store, query([of_tags(&["red", "red"])]), |e| has(e, "red"), 4).await;
    finds(&store, query([of_tags(&["Red"])]), |_| false, 0).await;
}

pub async fn by_ids_of_events(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let stored = log(&store).await;
    let wanted = vec![stored[6].head.event_id, Uuid::now_v7(), stored[2].head.event_id];
    let of = QueryItem { event_ids: wanted.clone(), ..item() };
    finds(&store, query([of]), |e| wanted.contains(&e.head.event_id), 2).await;
}

pub async fn by_correlation(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let request = |id: Reference| query([QueryItem { correlation_id: Some(id), ..item() }]);
    let of = |e: &StoredEvent, id: &str| {
        e.metadata.correlation_id.as_ref().is_some_and(|found| found.to_string() == id)
    };
    finds(&store, request(Reference::Text("request".into())), |e| of(e, "request"), 1).await;
    finds(&store, request(Reference::Text("Request".into())), |_| false, 0).await;
    let id = CORRELATION.to_string();
    finds(&store, request(Reference::Uuid(CORRELATION)), |e| of(e, &id), 2).await;
    finds(&store, request(Reference::Text(id.clone())), |e| of(e, &id), 2).await;
}

pub async fn by_user(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let long = "u".repeat(199);
    let users = ["ada", "Ada", "ad", "", "$user:ada", "a\0b", "a\u{1}b", "a\\u0000b", "é😀"];
    let longer = [&long[..], &format!("{long}é"), &format!("{long}éa"), &format!("{long}éb")];
    for user in users.into_iter().chain(longer) {
        let user_id = Some(user.to_owned());
        let metadata = Metadata { user_id, tags: vec!["read".into()], ..Metadata::default() };
        let events = ["Read", "Noted"].map(|name| event(name).with_metadata(metadata.clone()));
        let stream = StreamId::new("Reader", "1");
        done(&store, Commit::append(stream, ExpectedVersion::Any, events.to_vec())).await;
        let foreign = StreamId::new("Reader", "1").with_tenant(OTHER);
        let event = event("Read").with_metadata(metadata);
        done(&store, Commit::append(foreign, ExpectedVersion::Any, vec![event])).await;
    }
    let of = |user: &str| QueryItem { user_id: Some(user.to_owned()), ..item() };
    let is = |e: &StoredEvent, user: &str| e.metadata.user_id.as_deref() == Some(user);
    for user in users.into_iter().chain(longer) {
        finds(&store, query([of(user)]), |e| is(e, user), 2).await;
        let narrow = QueryItem { event_types: vec!["Noted".into()], ..of(user) };
        finds(&store, query([narrow]), |e| is(e, user) && e.head.kind.event_type == "Noted", 1)
            .await;
        let tagged = QueryItem { tags: vec!["read".into()], ..of(user) };
        finds(&store, query([tagged]), |e| is(e, user), 2).await;
    }
    finds(&store, query([of("bob")]), |_| false, 0).await;
    let either = query([of("ada"), of("ad")]);
    finds(&store, either, |e| is(e, "ada") || is(e, "ad"), 4).await;
    let in_stream = QueryItem {
        aggregate_type: Some("Reader".into()),
        aggregate_id: Some("1".into()),
        ..of("ada")
    };
    finds(&store, query([in_stream]), |e| is(e, "ada"), 2).await;
    let reserved = store.read(query([of_tags(&["$user:ada"])]), ReadRange::default()).await;
    assert_eq!(*reserved.expect_err("no tag").kind(), ErrorKind::Invalid { field: "tags" });
}

pub async fn every_part_of_an_item_holds(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let narrow = QueryItem {
        aggregate_type: Some("Book".into()),
        event_types: vec!["Lent".into()],
        tags: vec!["red".into()],
        ..item()
    };
    let matches = |e: &StoredEvent| {
        e.head.stream.aggregate_type == "Book"
            && e.head.kind.event_type == "Lent"
            && e.metadata.tags.contains(&"red".to_owned())
    };
    finds(&store, query([narrow.clone()]), matches, 1).await;
    let nowhere = QueryItem { aggregate_id: Some("9".into()), ..narrow };
    finds(&store, query([nowhere]), |_| false, 0).await;
}

pub async fn an_event_that_several_items_match_comes_once(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let book = QueryItem { aggregate_type: Some("Book".into()), ..item() };
    let items = [of_type("Returned"), of_tags(&["loose"]), book, of_type("Lent")];
    let matches = |e: &StoredEvent| {
        e.head.stream.aggregate_type == "Book" || e.head.kind.event_type != "Added"
    };
    finds(&store, query(items), matches, 7).await;
}

pub async fn a_hundred_items_are_one_query(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let items = (0..127).map(|n| of_tags(&[&format!("tag-{n}")])).chain([of_type("Lent")]);
    finds(&store, query(items), |e| e.head.kind.event_type == "Lent", 3).await;
}

pub async fn events_without_a_stream_are_found_by_type_and_tag(fixture: &dyn Fixture) {
    let store = library(fixture).await;
    let of = QueryItem { tags: vec!["loose".into()], ..of_type("Returned") };
    finds(&store, query([of]), |e| e.metadata.tags == ["loose", "red"], 1).await;
}

pub async fn partitions_cover_everything_once(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let of = |n: usize| StreamWrite {
        stream: account(&n.to_string()).into(),
        expected: ExpectedVersion::Any,
        events: vec![event("Added"), event("Lent")],
    };
    done(&store, Commit { writes: (0..40).map(of).collect(), ..Commit::default() }).await;
    for items in [vec![], vec![of_type("Lent")]] {
        let whole = found(&store, &query(items.clone())).await;
        for count in [1, 2, 3, 7] {
            let mut parts = Vec::new();
            for index in 0..count {
                let partition = Some(Partition { index, count });
                let part = Query { partition, ..query(items.clone()) };
                let range = ReadRange { limit: 5, ..ReadRange::default() };
                let stored = found_in(&store, &part, range).await;
                let inside = Partition { index, count };
                assert!(stored.iter().all(|event| inside.contains(&event.head.stream)));
                parts.extend(stored);
            }
            parts.sort_by_key(|event| event.head.position);
            assert_eq!(parts, whole, "{count} parts");
        }
    }
}

pub async fn a_range_bounds_what_is_found(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    shelves(&store).await;
    let log = log(&store).await;
    let last = positions(&log)[log.len() - 1];
    let has = |e: &StoredEvent, tag: &str| e.metadata.tags.iter().any(|found| found == tag);
    let asked = |e: &StoredEvent| e.metadata.correlation_id.is_some();
    let is_book = |e: &StoredEvent| e.head.stream.aggregate_type == "Book";
    let book = |item| QueryItem { aggregate_type: Some("Book".into()), ..item };
    let first = |item| QueryItem { aggregate_id: Some("1".into()), ..item };
    let request =
        |item| QueryItem { correlation_id: Some(Reference::Text("request".into())), ..item };
    for after in [0, 1, 7, last - 3, last] {
        for until in [after + 1, after + 9, u64::MAX] {
            let range = ReadRange { after, until, ..ReadRange::default() };
            let finds = async |item, matches: &dyn Fn(&StoredEvent) -> bool| {
                let lies = |e: &&StoredEvent| (after + 1..=until).contains(&e.head.position);
                let expected = log.iter().filter(lies).filter(|e| matches(e)).cloned().collect();
                finds_in(&store, query([item]), range, expected).await;
            };
            finds(of_tags(&["third"]), &|e| has(e, "third")).await;
            finds(of_tags(&["third", "fifth"]), &|e| has(e, "third") && has(e, "fifth")).await;
            finds(book(of_tags(&["third"])), &|e| has(e, "third") && is_book(e)).await;
            finds(request(of_tags(&["third"])), &|e| has(e, "third") && asked(e)).await;
            finds(request(item()), &asked).await;
            finds(request(book(item())), &|e| asked(e) && is_book(e)).await;
            finds(book(item()), &is_book).await;
            finds(first(item()), &|e| e.head.stream.aggregate_id == "1").await;
        }
    }
}

pub async fn by_type_of_few_and_of_many_streams(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let to = |kind: &str, id: usize| StreamWrite {
        stream: StreamId::new(kind, id.to_string()).into(),
        expected: ExpectedVersion::Any,
        events: vec![event("Added")],
    };
    let turn = |turn: usize| {
        let few = (0..10).map(|id| to("Few", id));
        Commit { writes: few.chain([to("Many", turn % 40)]).collect(), ..Commit::default() }
    };
    for turns in [0..75, 75..150] {
        let answers: Vec<_> = turns.map(|n| store.commit(turn(n))).collect();
        for answer in answers {
            answer.await.expect("the commit is accepted");
        }
        done(&store, deposits("1", 5000)).await;
    }
    let log = log(&store).await;
    for (kind, count) in [("Few", 1500), ("Many", 150), ("Account", 10_000)] {
        let of = QueryItem { aggregate_type: Some(kind.to_owned()), ..item() };
        let of_kind = |e: &&StoredEvent| e.head.stream.aggregate_type == kind;
        let mut expected: Vec<_> = log.iter().filter(of_kind).cloned().collect();
        assert_eq!(expected.len(), count, "the clause knows its streams");
        for backwards in [false, true] {
            let range = ReadRange { backwards, limit: 400, ..ReadRange::default() };
            assert!(found_in(&store, &query([of.clone()]), range).await == expected, "{kind}");
            expected.reverse();
        }
    }
}

const CORRELATION: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);

/// Eight events of four streams, one of which is none.
async fn library(fixture: &dyn Fixture) -> Store {
    let store = open(fixture).await;
    let correlated = |id: Reference| {
        let metadata = Metadata { correlation_id: Some(id), ..Metadata::default() };
        event("Lent").with_metadata(metadata)
    };
    let written: [(&str, &str, Vec<NewEvent>); 4] = [
        ("Book", "1", vec![tagged("Added", &["red", "old"]), tagged("Lent", &["red"])]),
        ("Book", "2", vec![event("Added"), correlated(Reference::Uuid(CORRELATION))]),
        ("Card", "1", vec![tagged("Added", &["old", "red"]), correlated_text(CORRELATION)]),
        ("", "", vec![tagged("Returned", &["loose", "red"]), named_request()]),
    ];
    for (kind, id, events) in written {
        done(&store, Commit::append(StreamId::new(kind, id), ExpectedVersion::Any, events)).await;
    }
    store
}

fn correlated_text(id: Uuid) -> NewEvent {
    let correlation_id = Some(Reference::Text(id.to_string()));
    event("Lent").with_metadata(Metadata { correlation_id, ..Metadata::default() })
}

fn named_request() -> NewEvent {
    let correlation_id = Some(Reference::Text("request".to_owned()));
    event("Returned").with_metadata(Metadata { correlation_id, ..Metadata::default() })
}

/// Commits of one to three events to books, a card, another tenant and no stream, by turns. Tags
/// count events, each fourth belongs to a request.
async fn shelves(store: &Store) {
    let [book, second, card] =
        [("Book", "1"), ("Book", "2"), ("Card", "1")].map(|(kind, id)| StreamId::new(kind, id));
    let foreign = book.clone().with_tenant(OTHER);
    let streams = [book, card, second, StreamId::none(""), foreign];
    let mut number = 0;
    let mut next = || {
        number += 1;
        let tags = [(3, "third"), (5, "fifth")].iter().filter(|(every, _)| number % every == 0);
        let tags = tags.map(|(_, tag)| (*tag).to_owned()).collect();
        let correlation_id = (number % 4 == 1).then(|| Reference::Text("request".to_owned()));
        event("Lent").with_metadata(Metadata { correlation_id, tags, ..Metadata::default() })
    };
    for (turn, stream) in streams.iter().cycle().take(20).enumerate() {
        let events = (0..=turn % 3).map(|_| next()).collect();
        done(store, Commit::append(stream.clone(), ExpectedVersion::Any, events)).await;
    }
}

/// Asserts that `query` finds the `count` events that `matches` picks from the log, both ways.
async fn finds(store: &Store, query: Query, matches: impl Fn(&StoredEvent) -> bool, count: usize) {
    let expected: Vec<_> = log(store).await.into_iter().filter(|e| matches(e)).collect();
    assert_eq!(expected.len(), count, "the clause knows its library");
    finds_in(store, query, ReadRange::default(), expected).await;
}

/// Asserts that `query` finds what is `expected` in `range`, both ways, and when every row is looked at.
async fn finds_in(store: &Store, query: Query, range: ReadRange, mut expected: Vec<StoredEvent>) {
    let count = store.count(query.clone(), range).await.expect("it counts");
    assert_eq!(count, expected.len() as u64, "{query:?} in {range:?}");
    for backwards in [false, true] {
        for (limit, strict) in [(1, false), (3, false), (100, false), (3, true), (100, true)] {
            let range = ReadRange { backwards, strict, limit, ..range };
            assert_eq!(found_in(store, &query, range).await, expected, "{query:?} in {range:?}");
        }
        expected.reverse();
    }
}
