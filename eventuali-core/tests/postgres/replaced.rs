//! A store that is replaced under those who have it open.

use std::sync::Arc;

use eventuali_core::backend::postgres::{Postgres, PostgresOptions};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::event::{EventKind, NewEvent};
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::record::{RecordChange, RecordKey, RecordQuery, RecordSelection};
use eventuali_core::service::subscription::Subscription;
use eventuali_core::storage::Storage;
use eventuali_core::store::EventStore;
use eventuali_core::stream::{ExpectedVersion, StreamId, StreamSelection};

use crate::fixtures::PostgresTable;
use crate::given::{deposits, found, log, open};

fn placed(stream: &str, names: &[&str]) -> Commit {
    let event = |name: &&str| NewEvent::new(EventKind::json(*name, 1).into(), "{}");
    let events = names.iter().map(event).collect();
    Commit::append(StreamId::new("Order", stream), ExpectedVersion::Any, events)
}

fn put() -> Commit {
    Commit::change(vec![RecordChange::put(RecordKey::new("doc", "a"), "x")])
}

fn types(store: &Postgres) -> Vec<String> {
    log(store).iter().map(|event| event.head.kind.event_type.clone()).collect()
}

/// Every verb once.
fn verbs(store: &Postgres) -> Vec<Result<(), ErrorKind>> {
    let stream = Query::stream(&StreamId::new("Order", "1"));
    let item = QueryItem { event_types: vec!["Paid".to_owned()], ..QueryItem::default() };
    let paid = Query { items: vec![item], ..Query::default() };
    let item = QueryItem { tags: vec!["none".to_owned()], ..QueryItem::default() };
    let tagged = Query { items: vec![item], ..Query::default() };
    let deep = ReadRange { after: 0, limit: 1, ..ReadRange::default() };
    let mut outcomes = Vec::new();
    for query in [Query::default(), stream, paid, tagged] {
        for range in [ReadRange::default(), deep] {
            outcomes.push(block_on(store.read(query.clone(), range)).map(drop));
        }
    }
    let select = RecordSelection::Keys(vec!["a".to_owned()]);
    let query = RecordQuery::new("doc", select);
    outcomes.push(block_on(store.records(query, None, 10)).map(drop));
    outcomes.push(block_on(store.streams(StreamSelection::default(), None, 10)).map(drop));
    outcomes.push(block_on(store.horizon()).map(drop));
    outcomes.push(block_on(store.commit(placed("1", &["Placed"]))).map(drop));
    outcomes.push(block_on(store.commit(put())).map(drop));
    outcomes.into_iter().map(|outcome| outcome.map_err(|error| error.kind().clone())).collect()
}

const ANEW: &str = "DROP SCHEMA {s} CASCADE";

#[test]
fn another_store_in_its_place_is_named() {
    // Whatever is done first is what notices.
    for first in 0..4 {
        let table = PostgresTable::new();
        let app = open(&table);
        block_on(app.commit(placed("1", &["Placed", "Paid", "Sent"]))).expect("it commits");
        block_on(app.commit(put())).expect("it commits");
        assert_eq!(types(&app).len(), 3);
        table.run(ANEW).expect("it is dropped");
        let other = open(&table);
        block_on(other.commit(placed("2", &["Paid"]))).expect("it commits");
        let refused = match first {
            0 => block_on(app.commit(placed("1", &["Placed"]))).map(drop),
            1 => block_on(app.read(Query::default(), ReadRange::default())).map(drop),
            2 => block_on(app.commit(put())).map(drop),
            _ => block_on(app.horizon()).map(drop),
        };
        let refused = refused.expect_err("it is another store");
        assert_eq!(*refused.kind(), ErrorKind::SchemaMismatch, "{refused}");
        assert!(verbs(&app).iter().all(|outcome| *outcome == Err(ErrorKind::SchemaMismatch)));
        assert_eq!(types(&other), ["Paid"]);
    }
}

#[test]
fn a_store_that_is_gone_is_named() {
    let table = PostgresTable::new();
    let app = open(&table);
    block_on(app.commit(placed("1", &["Placed"]))).expect("it commits");
    assert!(verbs(&app).iter().all(Result::is_ok));
    table.run(ANEW).expect("it is dropped");
    let outcomes = verbs(&app);
    assert!(outcomes.iter().all(|o| *o == Err(ErrorKind::SchemaMismatch)), "{outcomes:?}");
}

/// Keeps a copy of the store as it is.
const COPIED: &str = "
    CREATE SCHEMA {s}_kept;
    CREATE TABLE {s}_kept.log AS SELECT * FROM {s}.events_log;
    CREATE TABLE {s}_kept.streams AS SELECT * FROM {s}.events_streams;
    CREATE TABLE {s}_kept.kinds AS SELECT * FROM {s}.events_kinds;
    CREATE TABLE {s}_kept.runs AS SELECT * FROM {s}.events_runs;
    CREATE TABLE {s}_kept.spans AS SELECT * FROM {s}.events_kind_spans;";

/// Puts the copy back.
const RESTORED: &str = "
    BEGIN;
    SET LOCAL session_replication_role = replica;
    TRUNCATE {s}.events_log, {s}.events_streams, {s}.events_kinds, {s}.events_runs, {s}.events_kind_spans
        RESTART IDENTITY;
    INSERT INTO {s}.events_log SELECT * FROM {s}_kept.log;
    INSERT INTO {s}.events_streams OVERRIDING SYSTEM VALUE SELECT * FROM {s}_kept.streams;
    INSERT INTO {s}.events_kinds OVERRIDING SYSTEM VALUE SELECT * FROM {s}_kept.kinds;
    INSERT INTO {s}.events_runs SELECT * FROM {s}_kept.runs;
    INSERT INTO {s}.events_kind_spans SELECT * FROM {s}_kept.spans;
    SELECT setval('{s}.events_position', 1);
    SELECT setval(pg_get_serial_sequence('{s}.events_kinds', 'id'), 1);
    SELECT setval(pg_get_serial_sequence('{s}.events_streams', 'id'), 1);
    DROP SCHEMA {s}_kept CASCADE;
    COMMIT;";

/// What `pg_restore --clean`, and one that empties the tables first, leave behind: the same store
/// with less in it, or with other numbers.
#[test]
fn an_older_copy_in_its_place_is_looked_at_anew() {
    let table = PostgresTable::new();
    let (app, other) = (open(&table), open(&table));
    block_on(app.commit(placed("1", &["Placed"]))).expect("it commits");
    table.run(COPIED).expect("it is copied");
    block_on(app.commit(placed("2", &["Paid", "Sent"]))).expect("it commits");
    assert_eq!(types(&app), ["Placed", "Paid", "Sent"]);
    assert_eq!(types(&other), ["Placed", "Paid", "Sent"]);
    table.run(RESTORED).expect("it is restored");
    // Numbers 2 and 3 of both dictionaries stand for something else from now on.
    block_on(other.commit(placed("3", &["Sent", "Paid"]))).expect("it commits");
    let committed = block_on(app.commit(placed("4", &["Paid"]))).expect("it commits");
    assert_eq!((committed.positions, committed.versions), (vec![4], vec![1]));
    for store in [&app, &other] {
        assert_eq!(types(store), ["Placed", "Sent", "Paid", "Paid"]);
        let item = QueryItem { event_types: vec!["Paid".to_owned()], ..QueryItem::default() };
        let paid = Query { items: vec![item], ..Query::default() };
        assert_eq!(found(store, &paid).len(), 2);
    }
}

/// Its position names another event, or none, in the copy: it must not go on as if nothing were.
#[test]
fn a_follower_of_an_older_copy_is_told() {
    for waits in [false, true] {
        let table = PostgresTable::new();
        let (app, other) = (open(&table), open(&table));
        block_on(app.commit(placed("1", &["Placed"]))).expect("it commits");
        table.run(COPIED).expect("it is copied");
        block_on(app.commit(placed("2", &["Paid", "Sent"]))).expect("it commits");
        let store = EventStore::over(Arc::new(app), "").expect("a store");
        let follower = Subscription::new(&store, Query::default(), 100).expect("it follows");
        let page = block_on(follower.next(0, false)).expect("it reads").expect("it goes on");
        assert_eq!(page.looked_to, 3);
        let waiting = waits.then(|| follower.next(3, true));
        table.run(RESTORED).expect("it is restored");
        block_on(other.commit(placed("3", &["Sent", "Paid", "Sent"]))).expect("it commits");
        let answer = waiting.unwrap_or_else(|| follower.next(3, true));
        let told = block_on(answer).expect_err("it is another past");
        assert!(matches!(told.kind(), ErrorKind::CheckpointMismatch { .. }), "{told}");
    }
}

#[test]
fn tables_that_are_written_anew_are_the_same_store() {
    let table = PostgresTable::new();
    let app = open(&table);
    block_on(app.commit(placed("1", &["Placed"]))).expect("it commits");
    for sql in
        ["VACUUM FULL {s}.events_kinds", "VACUUM FULL {s}.events_log", "VACUUM {s}.events_streams"]
    {
        assert_eq!(types(&app).len(), 1);
        table.run(sql).expect(sql);
        assert!(verbs(&app).iter().all(Result::is_ok), "{sql}");
        table.run("
            BEGIN; SET LOCAL session_replication_role = replica;
            DELETE FROM {s}.events_log WHERE position > 1; DELETE FROM {s}.events_runs WHERE position > 1;
            DELETE FROM {s}.events_kind_spans WHERE first > 1;
            UPDATE {s}.events_streams SET version = 1, last_position = 1; COMMIT;").expect("as before");
    }
}

/// The schema is renamed, and another store stands under the old name.
#[test]
fn a_store_that_was_renamed_reads_and_writes_itself() {
    let table = PostgresTable::new();
    let aside = PostgresTable::new();
    block_on(open(&table).commit(deposits("1", 2))).expect("it commits");
    let rename = format!("ALTER SCHEMA {{s}} RENAME TO {}", aside.options.schema);
    let app = open(&table);
    assert_eq!(log(&app).len(), 2);
    table.run(&rename).expect("it is renamed");
    block_on(open(&table).commit(deposits("other", 1))).expect("another store takes its place");
    let refused = block_on(app.commit(deposits("1", 1))).expect_err("it is another store");
    assert_eq!(*refused.kind(), ErrorKind::SchemaMismatch);

    let off = PostgresOptions { migrate: false, ..aside.options.clone() };
    let Err(refused) = Postgres::open(off.clone()) else { panic!("its functions are not its own") };
    assert_eq!(*refused.kind(), ErrorKind::SchemaMismatch);
    let moved = open(&aside);
    assert_eq!(block_on(moved.commit(deposits("1", 1))).expect("it commits").versions, [3]);
    assert_eq!(log(&moved).len(), 3);
    Postgres::open(off).expect("the functions are its own now");
    assert_eq!(log(&open(&table)).len(), 1);
}
