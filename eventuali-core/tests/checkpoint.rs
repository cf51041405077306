//! Writing a checkpoint where that fails.

#[allow(dead_code)]
mod fixtures;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use eventuali_core::commit::Commit;
use eventuali_core::contract::{Fixture, block_on};
use eventuali_core::error::{ErrorKind, Result};
use eventuali_core::event::{EventHead, EventKind, NewEvent};
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::service::checkpoint::{Checkpoint, EVERY, First};
use eventuali_core::store::EventStore;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use uuid::Uuid;

use fixtures::{InProcess, PostgresTable, SqliteFile};

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

/// What is stored, and a checkpoint on a handle of its own, as another process has one.
fn begun(fixture: &dyn Fixture) -> (Checkpoint, u64) {
    let (checkpoint, _) = counted(&opened(fixture));
    let position = block_on(checkpoint.begin(First::Beginning)).expect("it begins");
    (checkpoint, position)
}

fn write(checkpoint: &Checkpoint, event: &EventHead) -> Result<()> {
    checkpoint.handled(event.position, event.event_id)?;
    block_on(checkpoint.flush())
}

/// Four events in a store.
fn four(fixture: &dyn Fixture) -> Vec<EventHead> {
    let store = opened(fixture);
    let kind = Arc::new(EventKind::json("Noted", 1));
    let events = (0..4).map(|_| NewEvent::new(Arc::clone(&kind), "{}")).collect();
    let commit = Commit::append(StreamId::new("T", "s"), ExpectedVersion::Any, events);
    block_on(store.commit(commit)).expect("it commits");
    let log = block_on(store.read(Query::default(), ReadRange::default())).expect("it reads");
    log.iter().map(|event| event.head.clone()).collect()
}

fn is_told(result: Result<()>) {
    let told = result.expect_err("it was overtaken");
    assert!(matches!(told.kind(), ErrorKind::CheckpointMismatch { .. }), "{told}");
}

#[test]
fn a_write_that_comes_late_stops_nobody_who_goes_on() {
    for fixture in [&SqliteFile::new() as &dyn Fixture, &PostgresTable::new()] {
        let events = four(fixture);
        let (killed, _) = begun(fixture);
        write(&killed, &events[0]).expect("it is written");
        let (next, position) = begun(fixture);
        assert_eq!(position, events[0].position);
        write(&killed, &events[2]).expect("it was on its way");
        write(&next, &events[1]).expect("who goes on writes over it");
        let (_, position) = begun(fixture);
        assert_eq!(position, events[1].position, "nothing that is not handled is passed over");
        // But it is no dead one that writes a second time.
        is_told(write(&killed, &events[3]));
        write(&next, &events[2]).expect("it is written");
    }
}

#[test]
fn the_first_write_of_a_name_may_come_late_too() {
    let fixture = SqliteFile::new();
    let events = four(&fixture);
    let ((killed, _), (next, position)) = (begun(&fixture), begun(&fixture));
    assert_eq!(position, 0);
    write(&killed, &events[1]).expect("it was on its way");
    write(&next, &events[0]).expect("who goes on writes over it");
    is_told(write(&killed, &events[2]));
}

#[test]
fn whoever_wrote_twice_is_alive() {
    let fixture = SqliteFile::new();
    let events = four(&fixture);
    let ((one, _), (other, _)) = (begun(&fixture), begun(&fixture));
    write(&other, &events[1]).expect("it is written");
    write(&other, &events[2]).expect("it is written");
    is_told(write(&one, &events[0]));
    is_told(write(&one, &events[3]));
    write(&other, &events[3]).expect("it is written");
}

#[test]
fn a_late_write_is_taken_for_one_once() {
    let fixture = SqliteFile::new();
    let events = four(&fixture);
    let ((one, _), (other, _)) = (begun(&fixture), begun(&fixture));
    write(&one, &events[0]).expect("it is written");
    write(&other, &events[1]).expect("it may be a late one");
    let (third, _) = begun(&fixture);
    write(&third, &events[2]).expect("it is written");
    is_told(write(&other, &events[3]));
    is_told(write(&one, &events[3]));
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
