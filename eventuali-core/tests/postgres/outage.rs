//! Connections that are terminated under load.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::Postgres;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::StreamId;
use uuid::Uuid;

use crate::fixtures::PostgresTable;
use crate::given::{deposits, found, log, open, together};

/// Ends every session of the store but this one.
const TERMINATE: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = '{s}' AND pid <> pg_backend_pid() AND random() < 0.7";

#[test]
fn nothing_is_lost_and_nothing_is_there_twice() {
    let table = PostgresTable::new().named();
    let store = open(&table);
    let (stop, unknown) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged: HashSet<Uuid> = thread::scope(|scope| {
        let killer = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                table.run(TERMINATE).expect("it terminates");
                thread::sleep(Duration::from_millis(15));
            }
        });
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                scope.spawn({
                    let (store, unknown) = (&store, &unknown);
                    move || write_all(store, writer, unknown)
                })
            })
            .collect();
        let acknowledged = writers.into_iter().flat_map(|w| w.join().expect("it ends")).collect();
        stop.store(true, Ordering::Release);
        killer.join().expect("it ends");
        acknowledged
    });
    let log = log(&store);
    let stored: HashSet<Uuid> = log.iter().map(|event| event.head.event_id).collect();
    assert_eq!(stored.len(), log.len(), "nothing is there twice");
    assert!(acknowledged.is_subset(&stored), "nothing is lost");
    for writer in 0..8 {
        let stream = StreamId::new("Account", format!("own-{writer}"));
        let own = found(&store, &Query::stream(&stream));
        assert!(own.iter().zip(1..).all(|(event, version)| event.head.version == version));
    }
    let sessions = "DO $$ BEGIN ASSERT NOT EXISTS (
        SELECT FROM pg_stat_activity WHERE application_name = '{s}' AND state LIKE 'idle in %'
    ); END $$";
    table.run(sessions).expect("no session stays in a transaction");
}

/// The ids that were acknowledged, at the first attempt or by repetition.
fn write_all(store: &Postgres, writer: usize, unknown: &AtomicUsize) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    for n in 0..60 {
        let commit =
            together(deposits(&format!("own-{writer}"), 1), deposits(&format!("{}", n % 3), 1));
        loop {
            match block_on(store.commit(commit.clone())) {
                Ok(committed) => {
                    assert_eq!(committed.positions.len(), 2);
                    acknowledged.extend(commit.event_ids());
                    break;
                }
                Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown { .. }) => {
                    unknown.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => assert_eq!(*error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }
    }
    acknowledged
}

#[test]
fn dropped_answers_leave_no_transaction_open() {
    let mut table = PostgresTable::new().named();
    table.options.max_connections = 2;
    let store = open(&table);
    for n in 0..500 {
        let answer = store.commit(together(deposits("all", 1), deposits(&n.to_string(), 1)));
        drop(answer);
        drop(store.read(Query::default(), ReadRange::default()));
    }
    block_on(store.commit(deposits("last", 1))).expect("the store goes on");
    assert_eq!(log(&store).len(), 1001);
    let sessions = "DO $$ BEGIN ASSERT NOT EXISTS (
        SELECT FROM pg_stat_activity WHERE application_name = '{s}' AND state LIKE 'idle in %'
    ); END $$";
    table.run(sessions).expect("no session stays in a transaction");
}

#[test]
fn others_wake_when_they_are_told() {
    let table = PostgresTable::new().named();
    let (one, other) = (open(&table), open(&table));
    let mut receiver = other.appended();
    for n in 0..20 {
        let committed = block_on(one.commit(deposits(&n.to_string(), 1))).expect("it commits");
        block_on(receiver.wait_for(|highest| *highest >= committed.positions[0]))
            .expect("it wakes");
    }
    table.run(TERMINATE).expect("it terminates");
    let committed = block_on(one.commit(deposits("1", 1))).expect("it commits");
    block_on(receiver.wait_for(|highest| *highest >= committed.positions[0])).expect("it wakes");
}
