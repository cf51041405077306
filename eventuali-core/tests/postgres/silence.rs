//! Connections that fall silent: nobody says that they are gone.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::{Postgres, PostgresOptions};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::record::{RecordChange, RecordKey};
use eventuali_core::service::subscription::Subscription;
use eventuali_core::storage::Storage;
use eventuali_core::store::EventStore;

use crate::fixtures::PostgresTable;
use crate::given::{deposits, log, open};
use crate::way::Way;

/// A store behind a way that can fall silent.
fn behind(table: &PostgresTable) -> (Way, Postgres) {
    let way = Way::to(table);
    let statement_timeout = Duration::from_secs(2);
    let options = PostgresOptions { statement_timeout, ..way.options.clone() };
    (way, Postgres::open(options).expect("it opens"))
}

const SLOW: &str = "
    CREATE FUNCTION {s}.slow() RETURNS TRIGGER LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER INSERT ON {s}.events_log EXECUTE FUNCTION {s}.slow();";

#[test]
fn a_follower_hears_of_what_comes_after() {
    let table = PostgresTable::new();
    let (way, store) = behind(&table);
    let other = open(&table);
    let store = EventStore::over(Arc::new(store), "").expect("a store");
    let subscription = Subscription::new(&store, Query::default(), 100).expect("it follows");
    for n in 1..=2 {
        let next = subscription.next(n - 1, true);
        let waiting = thread::spawn(move || block_on(next));
        // It listens, and waits for the server to say something.
        thread::sleep(Duration::from_millis(1500));
        if n == 2 {
            way.silence();
        }
        block_on(other.commit(deposits("1", 1))).expect("it commits");
        let page = waiting.join().expect("it ends").expect("it is read").expect("a page");
        assert_eq!(page.iter().map(|event| event.head.position).collect::<Vec<_>>(), [n]);
    }
    block_on(store.close()).expect("it closes");
}

#[test]
fn reads_go_on_over_another_connection() {
    let table = PostgresTable::new();
    let (way, store) = behind(&table);
    block_on(store.commit(deposits("1", 3))).expect("it commits");
    assert_eq!(log(&store).len(), 3);
    way.silence();
    assert_eq!(log(&store).len(), 3);
    way.silence();
    assert_eq!(block_on(store.horizon()).expect("it is read").position, 3);
    way.silence();
    block_on(store.close()).expect("it closes");
}

#[test]
fn a_question_that_is_on_its_way_is_asked_again() {
    let table = PostgresTable::new();
    let (way, store) = behind(&table);
    block_on(store.commit(deposits("1", 3))).expect("it commits");
    table
        .run(
            "CREATE OR REPLACE FUNCTION {s}.events_horizon() RETURNS BIGINT LANGUAGE sql
              AS $$ SELECT 3 FROM pg_sleep(0.5) $$",
        )
        .expect("the horizon takes long");
    let asked = store.read(Query::default(), ReadRange::default());
    thread::sleep(Duration::from_millis(250));
    way.silence();
    assert_eq!(block_on(asked).expect("it is read").len(), 3);
}

#[test]
fn commits_that_are_on_their_way_are_settled() {
    let table = PostgresTable::new();
    let (way, store) = behind(&table);
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    table.run(SLOW).expect("the trigger is made");
    let plain = deposits("1", 2);
    let mut judged = deposits("1", 2);
    judged.records.push(RecordChange::put(RecordKey::new("doc", "a"), "x"));
    for (commit, version) in [(plain, 3), (judged, 5)] {
        let asked = store.commit(Commit::clone(&commit));
        thread::sleep(Duration::from_millis(250));
        way.silence();
        assert_eq!(block_on(asked).expect("it is settled").versions, [version]);
    }
    assert_eq!(log(&open(&table)).len(), 5);
    way.silence();
    block_on(store.commit(deposits("1", 1))).expect("it goes on after an idle silence");
    block_on(store.close()).expect("it closes");
}
