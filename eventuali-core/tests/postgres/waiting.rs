//! Commits that wait for each other, and for others.

use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::Postgres;
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::record::{ExpectedRecord, RecordChange, RecordKey};
use eventuali_core::storage::Storage;
use eventuali_core::stream::ExpectedVersion;

use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use crate::fixtures::{PostgresTable, beside};
use crate::given::{deposits, log, open, together};

const LONG: Duration = Duration::from_secs(30);

/// Somebody holds a stream for as long as it takes the others to be answered.
#[test]
fn a_stream_that_is_held_stalls_nobody_else() {
    let table = PostgresTable::new();
    let mut options = table.options.clone();
    options.connect_timeout = LONG * 4;
    let store = Postgres::open(options).expect("it opens");
    block_on(store.commit(deposits("held", 1))).expect("it commits");
    let lock = "BEGIN; SELECT FROM {s}.events_streams WHERE aggregate_id = 'held' FOR UPDATE";
    let lock = lock.replace("{s}", &table.options.schema);
    let answer = beside(async |conn| {
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *conn).await?;
        let held = store.commit(deposits("held", 1));
        let others = async {
            for round in 0..2 {
                let commits = (0..20).map(|n| deposits(&format!("{round}-{n}"), 1));
                let answers: Vec<_> = commits.map(|commit| store.commit(commit)).collect();
                for answer in answers {
                    answer.await.expect("it commits");
                }
            }
        };
        timeout(LONG, others).await.expect("they do not wait for as long as the store is patient");
        sqlx::raw_sql("COMMIT").execute(conn).await?;
        Ok(held)
    });
    let committed = block_on(answer.expect("the session ends")).expect("it commits at last");
    assert_eq!(committed.versions, [2]);
    assert_eq!(log(&store).len(), 42);
}

#[test]
fn no_deadlock_reaches_a_caller() {
    let table = PostgresTable::new();
    drop(open(&table));
    thread::scope(|scope| {
        for task in 0..16 {
            let table = &table;
            scope.spawn(move || {
                let mut options = table.options.clone();
                options.max_connections = 2;
                let store = Postgres::open(options);
                let store = store.expect("it opens");
                for n in 0..20 {
                    // Old streams and new ones, in turn.
                    let (one, two) = (format!("a{}", n / 4), format!("b{}", n / 4));
                    let (one, two) = if task % 2 == 0 { (one, two) } else { (two, one) };
                    let commit = together(deposits(&one, 1), deposits(&two, 2));
                    block_on(store.commit(commit)).expect("no deadlock");
                }
            });
        }
    });
    assert_eq!(log(&open(&table)).len(), 16 * 20 * 3);
}

/// Somebody closes the gate for longer than the writer is patient; nothing overtakes what waits.
#[test]
fn what_is_sent_to_a_stream_keeps_its_order() {
    let table = PostgresTable::new();
    let store = open(&table);
    let gate = "BEGIN; SELECT pg_advisory_xact_lock(
        '{s}.events_log'::regclass::oid::bigint::bit(32)::integer, 0)";
    let gate = gate.replace("{s}", &table.options.schema);
    let put = |version| {
        let change = RecordChange::put(RecordKey::new("doc", "a"), "x");
        Commit::change(vec![change.expecting(ExpectedRecord::Exact(version))])
    };
    block_on(
        store.commit(Commit::change(vec![RecordChange::put(RecordKey::new("doc", "a"), "x")])),
    )
    .expect("it commits");
    let answers = beside(async |conn| {
        sqlx::raw_sql(AssertSqlSafe(gate)).execute(&mut *conn).await?;
        let mut answers = Vec::new();
        for version in 0..20 {
            for stream in ["a", "b"] {
                let mut commit = deposits(stream, 1);
                commit.writes[0].expected = ExpectedVersion::Exact(version);
                answers.push(store.commit(commit));
            }
            answers.push(store.commit(put(version + 1)));
            // Some come while earlier ones wait apart, some when the gate is open again.
            tokio::time::sleep(Duration::from_millis(if version < 15 { 100 } else { 0 })).await;
            if version == 15 {
                sqlx::raw_sql("COMMIT").execute(&mut *conn).await?;
            }
        }
        Ok(answers)
    });
    for answer in answers.expect("the session ends") {
        block_on(answer).expect("it is in its order");
    }
}

/// Counts the transactions that write, and slows them down.
const COUNTED: &str = "
    CREATE SEQUENCE {s}.writers;
    ALTER FUNCTION {s}.events_pass RENAME TO counted_pass;
    CREATE FUNCTION {s}.events_pass(alone BOOLEAN, families BIGINT[]) RETURNS VOID LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('{s}.writers');
        PERFORM {s}.counted_pass(alone, families);
        PERFORM pg_sleep(0.05);
    END $$;";

/// Callers who give up and ask for the same again, a thousand times: it is written once, those who
/// still wait are answered, and so is somebody else who waits behind them.
#[test]
fn a_commit_that_is_asked_for_again_and_again_is_carried_out_once() {
    let table = PostgresTable::new();
    let store = open(&table);
    table.run(COUNTED).expect("it counts");
    let put = |n: usize| Commit {
        records: vec![RecordChange::put(RecordKey::new("doc", n.to_string()), "x")],
        ..Commit::default()
    };
    let repeated: Vec<Commit> =
        (0..20).map(|n| if n % 2 == 0 { deposits(&n.to_string(), 1) } else { put(n) }).collect();
    for _ in 0..50 {
        for commit in &repeated {
            // Another one to look at, but for its events.
            let id = if commit.writes.is_empty() { commit.id } else { Commit::default().id };
            drop(store.commit(Commit { id, ..commit.clone() }));
        }
    }
    let bystander = store.commit(deposits("bystander", 1));
    let answers: Vec<_> = repeated.iter().map(|commit| store.commit(commit.clone())).collect();
    for answer in answers {
        let committed = block_on(answer).expect("it is answered");
        assert!(committed.versions == [1] || committed.record_versions == [1]);
    }
    block_on(bystander).expect("it commits");
    block_on(store.close()).expect("it closes");
    // The first one alone, and all others in a few groups.
    let few =
        "DO $$ BEGIN ASSERT (SELECT last_value FROM {s}.writers) < 10, 'transactions'; END $$";
    table.run(few).expect("few transactions");
    assert_eq!(log(&open(&table)).len(), 11);
}

/// The same id with other content is another commit, which is judged for itself.
#[test]
fn commits_that_only_look_alike_are_told_apart() {
    let table = PostgresTable::new();
    let store = open(&table);
    table.run(COUNTED).expect("it counts");
    let commit = deposits("1", 1);
    let mut other = commit.clone();
    other.writes[0].events[0].payload = b"other".to_vec();
    let answers = [&commit, &other, &commit].map(|commit| store.commit(commit.clone()));
    let outcomes = answers.map(block_on);
    assert!(outcomes[0].is_ok());
    let refused = outcomes[1].as_ref().expect_err("the id is taken");
    assert!(matches!(refused.kind(), ErrorKind::IdempotencyConflict { .. }), "{refused}");
    assert_eq!(outcomes[2].as_ref().expect("the same again").positions, [1]);
}

/// More than may wait at once: those who still wait are served when there is room.
#[test]
fn whoever_waits_is_served_however_many_there_are() {
    let table = PostgresTable::new();
    let store = open(&table);
    let answers: Vec<_> =
        (0..6000).map(|n| store.commit(deposits(&(n % 7).to_string(), 1))).collect();
    // Not in the order in which they were asked for.
    for answer in answers.into_iter().rev() {
        block_on(answer).expect("it commits");
    }
    assert_eq!(log(&store).len(), 6000);
    let late: Vec<_> = (0..6000).map(|_| store.commit(deposits("late", 1))).collect();
    block_on(store.close()).expect("it closes");
    let kinds = late.into_iter().map(|answer| block_on(answer).map_err(|e| e.kind().clone()));
    let stored = kinds.filter(|outcome| match outcome {
        Ok(_) => true,
        Err(kind) => {
            assert_eq!(*kind, ErrorKind::Closed);
            false
        }
    });
    let stored = stored.count();
    assert_eq!(log(&open(&table)).len(), 6000 + stored);
}
