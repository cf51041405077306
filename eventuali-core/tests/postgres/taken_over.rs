//! Following where the server is lost, and another one takes over that knows less.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use eventuali_core::contract::block_on;
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::service::subscription::Subscription;
use eventuali_core::storage::Storage;
use eventuali_core::store::EventStore;
use sqlx::{AssertSqlSafe, Executor};
use uuid::Uuid;

use crate::fixtures::{PostgresTable, beside};
use crate::given::{SetAtEnd, deposits, log, open};

/// Another server takes over, which has the first ten events only.
const TAKE_OVER: &str = "
    BEGIN; SET LOCAL session_replication_role = replica;
    DELETE FROM {s}.events_log WHERE position > 10;
    DELETE FROM {s}.events_runs WHERE position > 10;
    DELETE FROM {s}.events_kind_spans WHERE first > 10;
    UPDATE {s}.events_streams SET version = 10, last_position = 10;
    SELECT setval('{s}.events_position', 10); COMMIT;";
const TERMINATE: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = '{s}' AND pid <> pg_backend_pid()";

fn ids(page: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    page.collect()
}

/// Nobody but a look notices that the server is another one.
#[test]
fn events_of_a_lost_server_are_not_followed() {
    let table = PostgresTable::new().named();
    let store = open(&table);
    let _follows = store.appended();
    block_on(store.commit(deposits("1", 10))).expect("it commits");
    assert_eq!(log(&store).len(), 10);
    thread::sleep(Duration::from_millis(100));
    for _ in 0..5 {
        block_on(store.commit(deposits("1", 1))).expect("it commits");
    }
    table.run(TAKE_OVER).expect("it takes over");
    table.run(TERMINATE).expect("it terminates");
    thread::sleep(Duration::from_secs(5));
    let other = open(&table);
    block_on(other.commit(deposits("1", 5))).expect("it commits");
    let stored = log(&other);
    let plain = log(&store);
    assert_eq!(stored, plain, "the store reads from the server that took over");
    let range = ReadRange { after: 10, prompt: true, ..ReadRange::default() };
    let page = block_on(store.read(Query::default(), range)).expect("it reads");
    assert_eq!(
        ids(page.iter().map(|event| event.head.event_id)),
        ids(stored[10..].iter().map(|event| event.head.event_id)),
        "a prompt reader sees events that no server has, and skips those that are there"
    );
}

/// Follows live from position 10 on, in a thread; what it was answered.
fn follow(store: &EventStore, query: Query, after: u64) -> mpsc::Receiver<Vec<u64>> {
    let (sender, receiver) = mpsc::channel();
    let subscription = Subscription::new(store, query, 100).expect("it follows");
    thread::spawn(move || {
        let page = block_on(subscription.next(after, true)).expect("it is answered");
        let page = page.expect("a page");
        drop(sender.send(page.iter().map(|event| event.head.position).collect()));
    });
    receiver
}

const FAILS: &str = "
    CREATE FUNCTION {s}.fails() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.version = 1 THEN
            PERFORM pg_sleep(2);
            RAISE EXCEPTION 'this one fails';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fails AFTER INSERT ON {s}.events_log FOR EACH ROW EXECUTE FUNCTION {s}.fails();";

fn woken_behind_a_commit_that_fails(taken_over: bool) {
    let table = PostgresTable::new().named();
    let store = Arc::new(open(&table));
    let mut follows = store.appended();
    block_on(store.commit(deposits("1", 10))).expect("it commits");
    assert_eq!(log(&*store).len(), 10);
    thread::sleep(Duration::from_millis(100));
    if taken_over {
        for _ in 0..5 {
            block_on(store.commit(deposits("1", 1))).expect("it commits");
        }
        table.run(TAKE_OVER).expect("it takes over");
        table.run(TERMINATE).expect("it terminates");
        assert_eq!(log(&*store).len(), 10, "it is noticed, and all is forgotten");
    }
    table.run(FAILS).expect("the trigger is made");
    thread::sleep(Duration::from_secs(4));
    follows.mark_unchanged();
    let followed = EventStore::over(Arc::clone(&store) as Arc<dyn Storage>, "").expect("a store");
    let answer = follow(&followed, Query::default(), 10);
    thread::sleep(Duration::from_secs(1));
    let (slow, quick) = (open(&table), open(&table));
    let failing = thread::spawn(move || block_on(slow.commit(deposits("2", 1))).is_err());
    thread::sleep(Duration::from_millis(700));
    block_on(quick.commit(deposits("1", 1))).expect("it commits");
    assert!(failing.join().expect("it ends"));
    let answered = answer.recv_timeout(Duration::from_secs(15));
    let range = ReadRange { after: 10, ..ReadRange::default() };
    let there = block_on(store.read(Query::default(), range)).expect("it reads").len();
    assert_eq!(there, 1);
    assert_eq!(answered, Ok(vec![12]), "the follower sleeps on");
}

#[test]
fn woken_behind_a_commit_that_fails_control() {
    woken_behind_a_commit_that_fails(false);
}

/// What was signalled before is not what is stored now.
#[test]
fn woken_behind_a_commit_that_fails_after_a_take_over() {
    woken_behind_a_commit_that_fails(true);
}

/// A commit that does not match is passed over in silence.
#[test]
fn a_live_caller_is_not_answered_by_nothing() {
    let table = PostgresTable::new();
    let store = Arc::new(open(&table));
    let _follows = store.appended();
    block_on(store.commit(deposits("1", 10))).expect("it commits");
    assert_eq!(log(&*store).len(), 10);
    thread::sleep(Duration::from_millis(100));
    let item = QueryItem { event_types: vec!["Other".to_owned()], ..QueryItem::default() };
    let query = Query { items: vec![item], ..Query::default() };
    let answer = follow(
        &EventStore::over(Arc::clone(&store) as Arc<dyn Storage>, "").expect("a store"),
        query,
        10,
    );
    thread::sleep(Duration::from_millis(500));
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    assert_eq!(answer.recv_timeout(Duration::from_secs(2)), Err(mpsc::RecvTimeoutError::Timeout));
}

/// A writer is stuck between its bound and its draw: who reads plainly sees what a follower saw.
#[test]
fn what_was_followed_can_be_read() {
    let table = PostgresTable::new();
    let store = open(&table);
    let _follows = store.appended();
    block_on(store.commit(deposits("1", 10))).expect("it commits");
    assert_eq!(log(&store).len(), 10);
    let schema = &table.options.schema;
    let bound = format!(
        "SELECT pg_advisory_lock_shared('{schema}.events_position'::regclass::oid::bigint::bit(32)::integer, 10)"
    );
    beside(async |conn| {
        conn.execute(AssertSqlSafe(bound.as_str())).await?;
        store.commit(deposits("1", 1)).await.expect("it commits");
        let range = ReadRange { after: 10, prompt: true, ..ReadRange::default() };
        let prompt = store.read(Query::default(), range).await.expect("it reads");
        let range = ReadRange { after: 10, until: 11, ..ReadRange::default() };
        let plain = store.read(Query::default(), range).await.expect("it reads");
        assert_eq!((prompt.len(), plain.len()), (1, 1), "prompt, plain");
        Ok(())
    })
    .expect("the server answers");
}

/// Pages that end at what prompt readers have made known on the shared connections.
#[test]
fn a_plain_reader_comes_to_the_end_while_others_write() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;
    let table = PostgresTable::new();
    let (store, other) = (open(&table), open(&table));
    let signals = store.appended();
    block_on(store.commit(deposits("1", 10))).expect("it commits");
    log(&store);
    let stop = AtomicBool::new(false);
    let with_follower = std::env::var("REVIEW_NO_FOLLOWER").is_err();
    thread::scope(|scope| {
        let _stopping = SetAtEnd(&stop);
        for name in ["2", "3"] {
            let (store, stop) = (&other, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    block_on(store.commit(deposits(name, 200))).expect("it commits");
                }
            });
        }
        if with_follower {
            scope.spawn(|| {
                let mut range = ReadRange { after: 10, prompt: true, ..ReadRange::default() };
                while !stop.load(Ordering::Acquire) {
                    let page = block_on(store.read(Query::default(), range)).expect("it reads");
                    range = range.continued(page.looked_to);
                }
            });
        }
        let item = QueryItem { event_types: vec!["Other".to_owned()], ..QueryItem::default() };
        let query = Query { items: vec![item], ..Query::default() };
        let mut most = (0, Duration::ZERO);
        for _ in 0..20 {
            let mut range = ReadRange { limit: 1, ..ReadRange::default() };
            let (begun, mut pages) = (Instant::now(), 0);
            while begun.elapsed() < Duration::from_secs(5) {
                let page = block_on(store.read(query.clone(), range)).expect("it reads");
                pages += 1;
                range = range.continued(page.looked_to);
                if page.end {
                    break;
                }
            }
            most = most.max((pages, begun.elapsed()));
        }
        assert!(most.0 < 20, "{most:?}");
    });
    drop(signals);
}

/// The old server does not even say that it is gone, and time-outs empty the pool.
#[test]
fn events_of_a_server_that_is_silent_are_not_followed() {
    let mut table = PostgresTable::new().named();
    table.options.statement_timeout = Duration::from_millis(300);
    let store = open(&table);
    let _follows = store.appended();
    block_on(store.commit(deposits("1", 10))).expect("it commits");
    assert_eq!(log(&store).len(), 10);
    thread::sleep(Duration::from_millis(100));
    for _ in 0..5 {
        block_on(store.commit(deposits("1", 1))).expect("it commits");
    }
    // Whoever asks runs into a time-out, and its connection is not given back.
    let schema = table.options.schema.clone();
    let lock = format!("BEGIN; LOCK TABLE {schema}.events_log IN ACCESS EXCLUSIVE MODE");
    beside(async |conn| {
        sqlx::raw_sql(AssertSqlSafe(lock.as_str())).execute(&mut *conn).await?;
        tokio::time::sleep(Duration::from_secs(6)).await;
        conn.execute("ROLLBACK").await?;
        Ok(())
    })
    .expect("it locks");
    table.run(TAKE_OVER).expect("it takes over");
    let other = open(&table);
    block_on(other.commit(deposits("1", 5))).expect("it commits");
    let stored = log(&other);
    assert_eq!(stored, log(&store), "the store reads from the server that took over");
    let range = ReadRange { after: 10, prompt: true, ..ReadRange::default() };
    let page = block_on(store.read(Query::default(), range)).expect("it reads");
    assert_eq!(
        ids(page.iter().map(|event| event.head.event_id)),
        ids(stored[10..].iter().map(|event| event.head.event_id)),
    );
}
