//! Writing a checkpoint where that fails.

#[allow(dead_code)]
mod fixtures;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use eventuali_core::contract::{Fixture, block_on};
use eventuali_core::error::ErrorKind;
use eventuali_core::query::Query;
use eventuali_core::service::checkpoint::{Checkpoint, EVERY};
use eventuali_core::store::EventStore;
use uuid::Uuid;

use fixtures::{InProcess, PostgresTable};

fn opened(fixture: &dyn Fixture) -> EventStore {
    EventStore::over(block_on(fixture.open()).expect("it opens"), "").expect("it is a tenant")
}

/// A checkpoint, and how many of its writes have failed that nobody waited for.
fn counted(store: &EventStore) -> (Checkpoint, Arc<AtomicUsize>) {
    let failed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&failed);
    let count = move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    (Checkpoint::new(store, "name", Query::default(), count), failed)
}

fn wait_for(failed: &AtomicUsize, count: usize) {
    let begun = Instant::now();
    while failed.load(Ordering::SeqCst) < count {
        assert!(begun.elapsed() < Duration::from_secs(30), "no write has failed");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_closed_store_is_asked_once() {
    let store = opened(&InProcess::memory());
    let (checkpoint, failed) = counted(&store);
    block_on(store.close()).expect("it closes");
    checkpoint.handled(1, Uuid::now_v7()).expect("it is noted");
    wait_for(&failed, 1);
    // Longer than the thread stays that has nothing to do.
    sleep(Duration::from_secs(2));
    assert_eq!(failed.load(Ordering::SeqCst), 1);
    assert!(checkpoint.handled(2, Uuid::now_v7()).expect("it is noted"), "time to flush");
    let told = block_on(checkpoint.flush()).expect_err("it is closed");
    assert_eq!(*told.kind(), ErrorKind::Closed);
}

const REFUSE: &str = "
    CREATE FUNCTION {s}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {s}.events_records
    FOR EACH ROW EXECUTE FUNCTION {s}.refuse();";

#[test]
fn what_was_refused_is_tried_again_when_somebody_asks_or_is_gone() {
    let table = PostgresTable::new();
    let store = opened(&table);
    let (checkpoint, failed) = counted(&store);
    table.run(REFUSE).expect("the trigger is made");
    checkpoint.handled(1, Uuid::now_v7()).expect("it is noted");
    wait_for(&failed, 1);
    sleep(EVERY * 15);
    assert_eq!(failed.load(Ordering::SeqCst), 1);
    let told = block_on(checkpoint.flush()).expect_err("it is refused");
    assert_eq!(*told.kind(), ErrorKind::Refused);
    table.run("DROP TRIGGER refuse ON {s}.events_records").expect("it is dropped");
    block_on(checkpoint.flush()).expect("it is written");
    assert!(!checkpoint.handled(2, Uuid::now_v7()).expect("it is noted"));
    block_on(checkpoint.flush()).expect("it is written");

    table
        .run(&REFUSE.replace("FUNCTION {s}.refuse() RET", "OR REPLACE FUNCTION {s}.refuse() RET"))
        .expect("the trigger is made");
    checkpoint.handled(3, Uuid::now_v7()).expect("it is noted");
    wait_for(&failed, 2);
    sleep(EVERY * 15);
    table.run("DROP TRIGGER refuse ON {s}.events_records").expect("it is dropped");
    drop(checkpoint);
    let written = "DO $$ BEGIN ASSERT EXISTS (SELECT FROM {s}.events_records
        WHERE space = 'checkpoint' AND convert_from(bytes, 'UTF8') LIKE '%\"position\": 3,%'); END $$";
    let begun = Instant::now();
    while table.run(written).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not written");
        sleep(Duration::from_millis(20));
    }
}
