//! Commits that wait for each other, and for others.

use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::Postgres;
use eventuali_core::contract::block_on;
use eventuali_core::storage::Storage;

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
