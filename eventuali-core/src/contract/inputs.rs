//! Clauses about input that no store accepts: the same error everywhere, and nothing written.

use std::sync::Arc;

use uuid::Uuid;

use super::Fixture;
use super::given::{
    Store, account, deposits, done, event, events, expecting, item, key, no_stream, of_tags,
    of_type, open, picture, put, query, refused, select, together,
};
use crate::commit::{Commit, StreamWrite};
use crate::error::{ErrorKind, Result};
use crate::event::{Metadata, NewEvent, Reference};
use crate::query::{Partition, Query, QueryItem, ReadRange};
use crate::record::{RecordChange, RecordKey, RecordQuery, RecordSelection, RecordValue, Scalar};
use crate::stream::ExpectedVersion::{Any, Exact, NoStream, StreamExists};
use crate::stream::{StreamId, StreamSelection};

/// What no name may be, and is not looked for.
const BAD: [&str; 12] = [
    "",
    " ",
    "a ",
    "\u{a0}a",
    "$all",
    "a\0",
    "a\nb",
    "\u{1b}[0m",
    "a\u{202e}b",
    "a\u{200b}b",
    "a\u{85}b",
    "\u{feff}a",
];

/// What no new name may be: it has something that nobody sees.
const HIDDEN: [&str; 10] = [
    "a\u{ad}b",
    "a\u{34f}b",
    "a\u{1160}",
    "a\u{180e}b",
    "a\u{2065}b",
    "\u{3164}",
    "a\u{ffa0}b",
    "a\u{fff9}b",
    "a\u{1d173}b",
    "a\u{e0041}b",
];

pub async fn names_of_streams(fixture: &dyn Fixture) {
    let ids = bad_names().into_iter().map(|id| (to(StreamId::new("Account", id)), "aggregate_id"));
    let types =
        bad_names().into_iter().map(|kind| (to(StreamId::new(kind, "1")), "aggregate_type"));
    refuses(fixture, ids.chain(types)).await;
}

pub async fn names_of_tenants(fixture: &dyn Fixture) {
    let long = "x".repeat(65);
    let bad = ["a b", "../b", "a' OR '1'='1", "*", "a.b", "ä", "a\0", &long];
    let streams = bad.map(|tenant| (to(account("1").with_tenant(tenant)), "tenant"));
    let none = bad.map(|tenant| (to(StreamId::none(tenant)), "tenant"));
    refuses(fixture, streams.into_iter().chain(none)).await;
    let store = open(fixture).await;
    done(&store, to(account("1").with_tenant("x".repeat(64)))).await;
}

pub async fn names_of_event_types(fixture: &dyn Fixture) {
    let bad = bad_names().into_iter().chain(["__class__".to_owned(), "____".to_owned()]);
    refuses(fixture, bad.map(|name| (of(event(&name)), "event_type"))).await;
}

pub async fn names_of_codecs(fixture: &dyn Fixture) {
    let with = |codec: String| {
        let mut event = event("x");
        Arc::make_mut(&mut event.kind).codec = codec;
        of(event)
    };
    refuses(fixture, bad_names().into_iter().map(|name| (with(name), "codec"))).await;
}

pub async fn names_of_tags(fixture: &dyn Fixture) {
    let with = |tag: String| {
        let tags = vec!["good".to_owned(), tag];
        of(event("x").with_metadata(Metadata { tags, ..Metadata::default() }))
    };
    refuses(fixture, bad_names().into_iter().map(|name| (with(name), "tags"))).await;
}

pub async fn references(fixture: &dyn Fixture) {
    let with = |metadata| of(event("x").with_metadata(metadata));
    let bad = |name: String| Some(Reference::Text(name));
    let correlations = bad_names()
        .into_iter()
        .map(|name| Metadata { correlation_id: bad(name), ..Metadata::default() });
    let causations = bad_names()
        .into_iter()
        .map(|name| Metadata { causation_id: bad(name), ..Metadata::default() });
    refuses(fixture, correlations.map(|m| (with(m), "correlation_id"))).await;
    refuses(fixture, causations.map(|m| (with(m), "causation_id"))).await;
}

pub async fn the_nil_event_id(fixture: &dyn Fixture) {
    let nil = NewEvent { event_id: Uuid::nil(), ..event("x") };
    refuses(fixture, [(of(nil), "event_id")]).await;
}

pub async fn event_version_zero(fixture: &dyn Fixture) {
    let mut zero = event("x");
    Arc::make_mut(&mut zero.kind).event_version = 0;
    refuses(fixture, [(of(zero), "event_version")]).await;
}

pub async fn an_event_twice_in_a_commit(fixture: &dyn Fixture) {
    let twice = event("x");
    let within = Commit::append(account("1"), Any, vec![twice.clone(), event("x"), twice.clone()]);
    let across =
        [account("1"), account("2")].map(|stream| Commit::append(stream, Any, vec![twice.clone()]));
    refuses(fixture, [(within, "event_id"), (together(across), "event_id")]).await;
}

pub async fn a_stream_twice_in_a_commit(fixture: &dyn Fixture) {
    let twice = together([deposits("1", 1), deposits("2", 1), deposits("1", 1)]);
    let loose = [to(no_stream()), to(no_stream())];
    let empty = together([expecting("1", Any, 0), deposits("1", 1)]);
    let cases = [(twice, "stream"), (together(loose), "stream"), (empty, "stream")];
    refuses(fixture, cases).await;
}

pub async fn a_record_twice_in_a_commit(fixture: &dyn Fixture) {
    let twice = vec![put("a", "1"), put("b", "1"), RecordChange::delete(key("a"))];
    refuses(fixture, [(Commit::change(twice), "key")]).await;
}

pub async fn an_expected_version_without_a_stream(fixture: &dyn Fixture) {
    let expected = [NoStream, StreamExists, Exact(0), Exact(1)];
    let with = |expected| (Commit::append(no_stream(), expected, events(1)), "expected");
    refuses(fixture, expected.map(with)).await;
}

pub async fn half_a_stream(fixture: &dyn Fixture) {
    let cases = [
        (to(StreamId::new("", "1")), "aggregate_type"),
        (to(StreamId::new("Account", "")), "aggregate_id"),
    ];
    refuses(fixture, cases).await;
}

pub async fn names_of_records(fixture: &dyn Fixture) {
    let at = |key: RecordKey| Commit::change(vec![RecordChange::put(key, "x")]);
    let keys = bad_names().into_iter().map(|name| (at(RecordKey::new("doc", name)), "key"));
    let spaces = bad_names().into_iter().map(|name| (at(RecordKey::new(name, "a")), "space"));
    let foreign = RecordKey { tenant: "no tenant".to_owned(), ..key("a") };
    let deletion = Commit::change(vec![RecordChange::delete(RecordKey::new("doc", ""))]);
    let others = [(at(foreign), "tenant"), (deletion, "key")];
    refuses(fixture, keys.chain(spaces).chain(others)).await;
}

pub async fn entries_of_an_index(fixture: &dyn Fixture) {
    let with = |name: String, scalar| {
        let value = RecordValue { index: vec![(name, scalar)], ..RecordValue::default() };
        (Commit::change(vec![RecordChange { value: Some(value), ..put("a", "") }]), "index")
    };
    let names = bad_names().into_iter().map(|name| with(name, Scalar::Int(1)));
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        .map(|number| with("n".to_owned(), Scalar::Real(number)));
    refuses(fixture, names.chain(numbers)).await;
}

pub async fn queries_of_conditions(fixture: &dyn Fixture) {
    let cases = bad_queries();
    let ask = |(query, field)| (deposits("1", 1).on_condition(query, 0), field);
    refuses(fixture, cases.into_iter().map(ask)).await;
}

pub async fn queries_of_readers(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for (query, field) in bad_queries() {
        let read = store.read(query, ReadRange::default()).await;
        assert_eq!(invalid(read.map(|page| page.len())), field);
    }
    works(&store).await;
}

pub async fn queries_of_too_many_items(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let many = query((0..129).map(|n| of_tags(&[&n.to_string()])));
    let too_large = ErrorKind::TooLarge { what: "query items", size: 129, limit: 128 };
    let commit = deposits("1", 1).on_condition(many.clone(), 0);
    assert_eq!(refused(&store, commit).await, too_large);
    let read = store.read(many, ReadRange::default()).await.expect_err("it is refused");
    assert_eq!(*read.kind(), too_large);
    works(&store).await;
}

pub async fn selections_of_streams(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for name in never_names() {
        let of_type = StreamSelection { aggregate_type: Some(name.clone()), ..Default::default() };
        let of_id = StreamSelection { aggregate_id: Some(name), ..Default::default() };
        for (selection, field) in [(of_type, "aggregate_type"), (of_id, "aggregate_id")] {
            let listed = store.streams(selection, None, 10).await;
            assert_eq!(invalid(listed.map(|page| page.streams.len())), field);
        }
    }
    let foreign = StreamSelection { tenant: "no tenant".to_owned(), ..Default::default() };
    let listed = store.streams(foreign, None, 10).await;
    assert_eq!(invalid(listed.map(|page| page.streams.len())), "tenant");
    works(&store).await;
}

pub async fn selections_of_records(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let all = || select(RecordSelection::Prefix(String::new()));
    let mut cases = vec![(RecordQuery { tenant: "no tenant".to_owned(), ..all() }, "tenant")];
    cases.extend(never_names().into_iter().map(|space| (RecordQuery { space, ..all() }, "space")));
    cases.extend(
        never_names()
            .into_iter()
            .map(|name| (select(RecordSelection::Index { name, from: None, to: None }), "index")),
    );
    for (query, field) in cases {
        let found = store.records(query, None, 10).await;
        assert_eq!(invalid(found.map(|page| page.records.len())), field);
    }
    works(&store).await;
}

pub async fn names_that_were_allowed_are_looked_for(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for name in HIDDEN {
        let some = || Some(name.to_owned());
        let reference = Some(Reference::Text(name.to_owned()));
        let items = [
            QueryItem { aggregate_type: some(), ..item() },
            QueryItem { aggregate_id: some(), ..item() },
            QueryItem { correlation_id: reference, ..item() },
            of_type(name),
            of_tags(&[name]),
        ];
        let read = store.read(query(items), ReadRange::default()).await.expect("it is looked for");
        assert_eq!(read.len(), 0);
        let of_id = StreamSelection { aggregate_id: some(), ..Default::default() };
        let of_type = StreamSelection { aggregate_type: some(), ..Default::default() };
        for selection in [of_id, of_type] {
            let listed = store.streams(selection, None, 10).await.expect("it is looked for");
            assert_eq!(listed.streams.len(), 0);
        }
        let records = RecordQuery {
            space: name.to_owned(),
            ..select(RecordSelection::Keys(vec![name.to_owned()]))
        };
        let found = store.records(records, None, 10).await.expect("it is looked for");
        assert_eq!(found.records.len(), 0);
    }
    works(&store).await;
}

pub async fn commits_and_queries_without_bound(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let too_large = |what, limit| ErrorKind::TooLarge { what, size: limit + 1, limit };
    let terms = (0..1001).map(|n| n.to_string()).collect();
    let wide = query([QueryItem { event_types: terms, ..item() }]);
    let read = store.read(wide, ReadRange::default()).await.expect_err("it is refused");
    assert_eq!(*read.kind(), too_large("query terms", 1000));
    let mut conditional = deposits("1", 1);
    for _ in 0..129 {
        conditional = conditional.on_condition(Query::default(), u64::MAX);
    }
    assert_eq!(refused(&store, conditional).await, too_large("conditions", 128));
    let limit = store.capabilities().limits.commit_events;
    let write = |n: usize| StreamWrite {
        stream: Arc::new(StreamId::new("Account", n.to_string())),
        expected: NoStream,
        events: Vec::new(),
    };
    let broad = Commit { writes: (0..=limit).map(write).collect(), ..Commit::default() };
    assert_eq!(refused(&store, broad).await, too_large("streams", limit));
    let keys = select(RecordSelection::Keys((0..1001).map(|n| n.to_string()).collect()));
    let found = store.records(keys, None, 10).await.expect_err("it is refused");
    assert_eq!(*found.kind(), too_large("keys", 1000));
    works(&store).await;
}

pub async fn bad_input_comes_before_conflicts(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let known = deposits("1", 1);
    done(&store, known.clone()).await;
    let mut bad = together([expecting("1", Exact(9), 1), known, deposits("2", 1)]);
    bad.writes.remove(1);
    bad.writes[1].events.push(NewEvent { event_id: Uuid::nil(), ..event("x") });
    let bad = bad.on_condition(Query::default(), 0);
    assert_eq!(refused(&store, bad).await, ErrorKind::Invalid { field: "event_id" });
    works(&store).await;
}

fn bad_names() -> Vec<String> {
    never_names().into_iter().chain(HIDDEN.map(str::to_owned)).collect()
}

fn never_names() -> Vec<String> {
    let long = ["x".repeat(256), "é".repeat(128)];
    BAD.iter().map(|name| (*name).to_owned()).chain(long).collect()
}

fn bad_queries() -> Vec<(Query, &'static str)> {
    let some = || Some("$".to_owned());
    let mut cases = vec![
        (Query::all("no tenant"), "tenant"),
        (query([QueryItem { aggregate_type: some(), ..item() }]), "aggregate_type"),
        (query([QueryItem { aggregate_id: some(), ..item() }]), "aggregate_id"),
        (query([of_type("good"), of_type("__bad__")]), "event_type"),
        (query([of_tags(&["good", ""])]), "tags"),
        (
            query([QueryItem { correlation_id: some().map(Reference::Text), ..item() }]),
            "correlation_id",
        ),
    ];
    for (index, count) in [(0, 0), (1, 1), (5, 3), (u32::MAX, u32::MAX)] {
        let partition = Some(Partition { index, count });
        cases.push((Query { partition, ..Query::default() }, "partition"));
    }
    cases
}

fn to(stream: StreamId) -> Commit {
    Commit::append(stream, Any, events(1))
}

/// A commit of which only the last event is at fault.
fn of(bad: NewEvent) -> Commit {
    let stream = Arc::new(account("1"));
    let write = StreamWrite { stream, expected: Any, events: vec![event("good"), bad] };
    let record = Commit::change(vec![put("a", "x")]);
    together([deposits("2", 1), Commit { writes: vec![write], ..Commit::default() }, record])
}

/// Asserts that each commit is refused for its field, that nothing of it is written, and that the
/// store goes on.
async fn refuses(fixture: &dyn Fixture, cases: impl IntoIterator<Item = (Commit, &'static str)>) {
    let store = open(fixture).await;
    works(&store).await;
    let before = picture(&store).await;
    for (commit, field) in cases {
        let kind = refused(&store, commit.clone()).await;
        assert_eq!(kind, ErrorKind::Invalid { field }, "{commit:?}");
    }
    assert_eq!(picture(&store).await, before);
    works(&store).await;
}

async fn works(store: &Store) {
    done(store, deposits("works", 1)).await;
}

fn invalid(result: Result<usize>) -> &'static str {
    match result.expect_err("it is refused").kind() {
        ErrorKind::Invalid { field } => field,
        other => panic!("{other:?}"),
    }
}
