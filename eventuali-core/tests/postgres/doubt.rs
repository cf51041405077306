//! Answers that are lost on the way, between a store and its server.

use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::{Postgres, PostgresOptions};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::query::{Query, QueryItem};
use eventuali_core::record::{RecordChange, RecordKey};
use eventuali_core::storage::Storage;

use crate::fixtures::PostgresTable;
use crate::given::{deposits, found, log, open};
use crate::way::{LOSE_ALL, LOSE_ONE, OPEN, Way};

#[test]
fn a_lost_answer_is_found_out() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    for n in 0..5 {
        block_on(store.commit(deposits("1", 1))).expect("it commits");
        way.set(LOSE_ONE);
        let committed = block_on(store.commit(deposits("1", 2))).expect("it is settled");
        assert_eq!(committed.versions, [3 * (n + 1)]);
    }
    assert_eq!(log(&open(&table)).len(), 15);
}

#[test]
fn a_lost_answer_to_records_is_found_out() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    let put = || Commit::change(vec![RecordChange::put(RecordKey::new("doc", "a"), "x")]);
    for n in 0..5 {
        // One answer after the other of the transaction is lost; the last one is that of COMMIT.
        let commit = put();
        let asked = store.commit(commit);
        thread::sleep(Duration::from_micros(400 * n));
        way.set(LOSE_ONE);
        let committed = block_on(asked).expect("it is settled");
        way.set(OPEN);
        assert_eq!(committed.record_versions, [n + 1]);
    }
}

/// Each answer in turn is the last one that comes, and then somebody else writes the record.
#[test]
fn a_record_that_somebody_overwrote_meanwhile_is_not_written_again() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    let others = open(&table);
    let put = || Commit::change(vec![RecordChange::put(RecordKey::new("doc", "a"), "x")]);
    let mut doubts = 0;
    for answers in 0.. {
        let before = block_on(store.commit(put())).expect("it commits").record_versions[0];
        way.lose_after(answers);
        let asked = store.commit(put());
        thread::sleep(Duration::from_millis(300));
        let theirs = block_on(others.commit(put())).expect("it commits").record_versions[0];
        way.set(OPEN);
        let is_stored = theirs == before + 2;
        match block_on(asked) {
            Ok(committed) if is_stored => {
                assert_eq!(committed.record_versions, [before + 1], "it is written once");
                break;
            }
            Ok(committed) => assert_eq!(committed.record_versions, [theirs + 1]),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown { .. }), "{error}");
                doubts += usize::from(is_stored);
            }
        }
    }
    assert!(doubts > 0, "the answer to COMMIT is lost once");
}

#[test]
fn what_cannot_be_found_out_is_unknown_until_it_is_repeated() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    // Until it is announced, too, and its connection is free: a new one would not be made.
    thread::sleep(Duration::from_millis(200));
    way.set(LOSE_ALL);
    let commit = deposits("1", 2);
    let doubt = block_on(store.commit(commit.clone())).expect_err("nobody answers");
    let event_ids = commit.event_ids();
    assert_eq!(*doubt.kind(), ErrorKind::OutcomeUnknown { event_ids });
    way.set(OPEN);
    let committed = block_on(store.commit(commit)).expect("the store recovers");
    assert_eq!(committed.versions, [3]);
    assert_eq!(log(&store).len(), 3);
}

/// Each answer in turn is the last one that comes, of commits that are judged before they are written.
#[test]
fn whatever_may_be_stored_is_in_doubt() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let connect_timeout = Duration::from_millis(300);
    let options = PostgresOptions { connect_timeout, ..way.options.clone() };
    let store = Postgres::open(options).expect("it opens");
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    let nothing = QueryItem { event_types: vec!["Never".to_owned()], ..QueryItem::default() };
    let nothing = Query { items: vec![nothing], ..Query::default() };
    let with_condition = || deposits("1", 1).on_condition(nothing.clone(), 0);
    let with_records = || {
        let put = RecordChange::put(RecordKey::new("doc", "a"), "x");
        Commit { records: vec![put], ..deposits("1", 1) }
    };
    for make in [&with_condition as &dyn Fn() -> Commit, &with_records] {
        let (mut doubts, mut stored) = (0, 0);
        for answers in 0.. {
            // A connection that is free and knows every statement.
            block_on(store.commit(make())).expect("it commits");
            let commit = make();
            way.lose_after(answers);
            let outcome = block_on(store.commit(commit.clone()));
            way.set(OPEN);
            let item = QueryItem { event_ids: commit.event_ids(), ..QueryItem::default() };
            let query = Query { items: vec![item], ..Query::default() };
            let is_stored = !found(&open(&table), &query).is_empty();
            stored += usize::from(is_stored);
            match outcome {
                Ok(_) => break,
                Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown { .. }) => {
                    doubts += 1;
                }
                Err(error) => assert!(!is_stored, "it is stored, and the store says: {error}"),
            }
        }
        assert!(doubts > 0 && stored > 1, "{doubts} in doubt, {stored} stored");
    }
}
