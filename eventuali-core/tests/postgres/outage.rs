//! Connections that are terminated under load.

use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::given::{SetAtEnd, deposits, found, log, open, together};

/// Fails where a session of the store is idle in a transaction.
const NOBODY_STAYS: &str = "DO $$ BEGIN ASSERT NOT EXISTS (
    SELECT FROM pg_stat_activity WHERE application_name = '{s}' AND state LIKE 'idle in %'
); END $$";

/// Ends every session of the store but this one.
const TERMINATE: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = '{s}' AND pid <> pg_backend_pid() AND random() < 0.7";

#[test]
fn terminated_sessions_lose_nothing() {
    let table = PostgresTable::new().named();
    nothing_is_lost_under(&table, 60, &|| {
        table.run(TERMINATE).expect("it terminates");
        thread::sleep(Duration::from_millis(15));
    });
}

/// A crash takes what was committed without a flush, and numbers are drawn again.
#[test]
fn what_a_lost_server_forgot_is_learnt_again() {
    let table = PostgresTable::new().named();
    let store = open(&table);
    block_on(store.commit(deposits("1", 2))).expect("it commits");
    let forget = "
        BEGIN; SET LOCAL session_replication_role = replica;
        DELETE FROM {s}.events_log; DELETE FROM {s}.events_runs; DELETE FROM {s}.events_kind_spans;
        DELETE FROM {s}.events_kinds; DELETE FROM {s}.events_streams; COMMIT;";
    table.run(forget).expect("it forgets");
    table.run(&TERMINATE.replace("AND random() < 0.7", "")).expect("it terminates");
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    assert_eq!(log(&open(&table)).len(), 1);
    assert_eq!(log(&store).len(), 1);
}

/// The command kills the server, as `pg_ctl restart -m immediate` does, and starts it again.
#[test]
#[ignore = "needs a server of its own, and the command of EVENTUALI_TEST_POSTGRES_RESTART"]
fn restarts_lose_nothing() {
    let command = std::env::var("EVENTUALI_TEST_POSTGRES_RESTART").expect("the command");
    let table = PostgresTable::new().named();
    nothing_is_lost_under(&table, 3000, &|| {
        let run = Command::new("sh").args(["-c", &command]).output().expect("it runs");
        assert!(run.status.success(), "{run:?}");
        thread::sleep(Duration::from_millis(300));
    });
}

/// Writes and reads while `attack` is repeated: what was acknowledged is stored, nothing is there
/// twice, and a reader sees all of it once.
fn nothing_is_lost_under(table: &PostgresTable, commits: usize, attack: &(dyn Fn() + Sync)) {
    let store = open(table);
    let stop = AtomicBool::new(false);
    let (acknowledged, seen) = thread::scope(|scope| {
        let stopping = SetAtEnd(&stop);
        let attacker = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                attack();
            }
        });
        let reader = scope.spawn(|| read_all(&store, &stop));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || write_all(store, writer, commits))
            })
            .collect();
        let acknowledged: HashSet<Uuid> =
            writers.into_iter().flat_map(|writer| writer.join().expect("it ends")).collect();
        drop(stopping);
        attacker.join().expect("it ends");
        (acknowledged, reader.join().expect("it ends"))
    });
    let log = log(&store);
    let ids: Vec<Uuid> = log.iter().map(|event| event.head.event_id).collect();
    let stored: HashSet<Uuid> = ids.iter().copied().collect();
    assert_eq!(stored.len(), log.len(), "nothing is there twice");
    assert!(acknowledged.is_subset(&stored), "nothing is lost");
    assert_eq!(seen, ids, "a reader skips nothing");
    for writer in 0..8 {
        let stream = StreamId::new("Account", format!("own-{writer}"));
        let own = found(&store, &Query::stream(&stream));
        assert_eq!(own.len(), commits);
        assert!(own.iter().zip(1..).all(|(event, version)| event.head.version == version));
    }
    table.run(NOBODY_STAYS).expect("no session stays in a transaction");
}

/// What a reader sees that goes on from where it was, until nothing comes any more.
fn read_all(store: &Postgres, stop: &AtomicBool) -> Vec<Uuid> {
    let (mut range, mut seen) = (ReadRange { limit: 50, ..ReadRange::default() }, Vec::new());
    loop {
        let stopped = stop.load(Ordering::Acquire);
        let Ok(page) = block_on(store.read(Query::default(), range)) else { continue };
        seen.extend(page.iter().map(|event| event.head.event_id));
        range = range.continued(page.looked_to);
        if stopped && page.end {
            return seen;
        }
    }
}

/// The ids that were acknowledged, at the first attempt or by repetition.
fn write_all(store: &Postgres, writer: usize, commits: usize) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    for n in 0..commits {
        let commit =
            together(deposits(&format!("own-{writer}"), 1), deposits(&format!("{}", n % 3), 1));
        loop {
            match block_on(store.commit(commit.clone())) {
                Ok(committed) => {
                    assert_eq!(committed.positions.len(), 2);
                    acknowledged.extend(commit.event_ids());
                    break;
                }
                // What is unknown is settled by repetition.
                Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown { .. }) => {}
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
    table.run(NOBODY_STAYS).expect("no session stays in a transaction");
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
