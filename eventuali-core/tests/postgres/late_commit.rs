//! A commit that is drawn early and seen late is stepped over by nobody.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::event::{EventKind, NewEvent};
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use uuid::Uuid;

use crate::fixtures::PostgresTable;
use crate::given::{SetAtEnd, deposits, events, log, open, together};

/// Stores that write, as processes would. A look that comes late shows only where, at times, nobody
/// is on the way.
fn writers() -> usize {
    let late = std::env::var("EVENTUALI_FAULT").is_ok_and(|fault| fault == "late-look");
    if late { 3 } else { 6 }
}

/// Commits of each.
const COMMITS: usize = 60;

/// One insert in sixteen sleeps, and another one in sixteen fails.
const LATE: &str = "
    CREATE FUNCTION {s}.late() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.0625 THEN
            PERFORM pg_sleep(random() * 0.1);
        ELSIF random() < 0.0625 THEN
            RAISE EXCEPTION 'this one fails';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER late AFTER INSERT ON {s}.events_log FOR EACH ROW EXECUTE FUNCTION {s}.late();";

#[test]
fn nobody_steps_over_it() {
    all_see_all(&PostgresTable::new());
}

/// Bounds are published as 32 bits, which begin again at 0.
#[test]
fn nobody_steps_over_it_where_bounds_begin_again() {
    let table = PostgresTable::new();
    let store = open(&table);
    table.run("SELECT setval('{s}.events_position', 4294967200)").expect("it is set");
    block_on(store.commit(deposits("first", 1))).expect("it commits");
    drop(store);
    all_see_all(&table);
}

fn all_see_all(table: &PostgresTable) {
    let before = log(&open(table)).into_iter().map(|event| event.head.event_id);
    let before: HashSet<Uuid> = before.collect();
    table.run(LATE).expect("the trigger is made");
    let (written, finished) = (AtomicBool::new(false), AtomicBool::new(false));
    let writing: Vec<_> = (0..writers()).map(|_| Arc::new(open(table))).collect();
    let (accepted, seen) = thread::scope(|scope| {
        let (all_written, all_finished) = (SetAtEnd(&written), SetAtEnd(&finished));
        let foreign = scope.spawn(|| stay_in_a_transaction(table, &finished));
        let written = &written;
        let mut readers: Vec<_> = [1, 7, 500]
            .map(|limit| scope.spawn(move || read_all(|| Arc::new(open(table)), limit, written)))
            .into();
        // Who follows where somebody writes is told of that without asking the server.
        readers.extend(writing.iter().map(|store| {
            scope.spawn(move || {
                let signals = store.appended();
                let seen = read_all(|| Arc::clone(store), 500, written);
                drop(signals);
                seen
            })
        }));
        let writers: Vec<_> = writing
            .iter()
            .enumerate()
            .map(|(writer, store)| scope.spawn(move || write_all(&**store, writer)))
            .collect();
        let accepted: HashSet<Uuid> =
            writers.into_iter().flat_map(|writer| writer.join().expect("it ends")).collect();
        drop(all_written);
        let seen: Vec<_> =
            readers.into_iter().map(|reader| reader.join().expect("it ends")).collect();
        drop(all_finished);
        foreign.join().expect("it ends");
        (accepted, seen)
    });
    let log = log(&open(table));
    let accepted: HashSet<Uuid> = accepted.union(&before).copied().collect();
    let stored: Vec<_> =
        log.iter().map(|event| (event.head.position, event.head.event_id)).collect();
    assert_eq!(stored.iter().map(|(_, id)| *id).collect::<HashSet<_>>(), accepted);
    assert!(log.is_sorted_by_key(|event| event.head.recorded_at), "the time never falls");
    let mut versions = HashMap::new();
    for event in &log {
        let version = versions.entry(&event.head.stream).or_insert(0);
        *version += 1;
        assert_eq!(event.head.version, *version, "each stream in its order");
    }
    for seen in seen {
        assert_eq!(seen.len(), stored.len(), "skipped or doubled");
        assert_eq!(seen, stored, "a reader sees what is stored, in its order");
    }
}

/// The ids of the events that were accepted.
fn write_all(store: &dyn Storage, writer: usize) -> Vec<Uuid> {
    let mut accepted = Vec::new();
    for n in 0..COMMITS {
        let own = deposits(&format!("own-{writer}"), 1 + n % 3);
        // One in four is a single event, which is written by simpler statements.
        let commit = if n % 4 == 0 {
            deposits(&format!("own-{writer}"), 1)
        } else {
            together(deposits(&format!("shared-{}", n % 5), 1), own)
        };
        let ids = commit.event_ids();
        match block_on(store.commit(commit)) {
            Ok(_) => accepted.extend(ids),
            Err(error) => assert_eq!(*error.kind(), ErrorKind::Refused, "{error}"),
        }
    }
    accepted
}

/// What a reader sees that goes on from where it was, until all is written; it opens its store
/// again and again.
fn read_all<S: Storage>(
    open: impl Fn() -> Arc<S>,
    limit: usize,
    written: &AtomicBool,
) -> Vec<(u64, Uuid)> {
    let mut store = open();
    let mut range = ReadRange { limit, ..ReadRange::default() };
    let mut seen = Vec::new();
    for turn in 1.. {
        let finished = written.load(Ordering::Acquire);
        range.prompt = turn % 2 == 0;
        let page = block_on(store.read(Query::default(), range)).expect("the page is read");
        seen.extend(page.iter().map(|event| (event.head.position, event.head.event_id)));
        range = range.continued(page.looked_to);
        if finished && page.end {
            break;
        }
        if turn % 200 == 0 {
            store = open();
        }
        thread::sleep(Duration::from_micros(300));
    }
    seen
}

/// A session of somebody else that is idle in a transaction, which has written.
fn stay_in_a_transaction(table: &PostgresTable, finished: &AtomicBool) {
    table.run("CREATE TABLE {s}.theirs (x INTEGER)").expect("a table is made");
    let begin = "BEGIN; INSERT INTO {s}.theirs VALUES (1)";
    let begin = begin.replace("{s}", &table.options.schema);
    let stay = crate::fixtures::beside(async |conn| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(begin)).execute(conn).await?;
        while !finished.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    });
    stay.expect("the session stays");
}

/// Sixteen loops that read, decide and append against a limit of ten.
#[test]
fn a_condition_sees_everything() {
    let table = PostgresTable::new();
    drop(open(&table));
    table.run(LATE).expect("the trigger is made");
    let item = QueryItem { tags: vec!["course:1".to_owned()], ..QueryItem::default() };
    let query = Query { items: vec![item], ..Query::default() };
    thread::scope(|scope| {
        for _ in 0..4 {
            let (table, query) = (&table, &query);
            scope.spawn(move || {
                let store = open(table);
                thread::scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| enrol_until_full(&store, query));
                    }
                });
            });
        }
    });
    let enrolled = crate::given::found(&open(&table), &query).len();
    assert_eq!(enrolled, 10, "more than there is room for");
}

fn enrol_until_full(store: &dyn Storage, query: &Query) {
    loop {
        let page = block_on(store.read(query.clone(), ReadRange::default()));
        let page = page.expect("the page is read");
        if page.len() >= 10 {
            return;
        }
        let kind = Arc::new(EventKind::json("Enrolled", 1));
        let metadata = eventuali_core::event::Metadata {
            tags: vec!["course:1".to_owned()],
            ..Default::default()
        };
        let event = NewEvent::new(kind, "{}").with_metadata(metadata);
        let stream = StreamId::new("Student", event.event_id.to_string());
        let commit = Commit::append(stream, ExpectedVersion::NoStream, vec![event]);
        // One is refused because another one was faster, or by the trigger.
        drop(block_on(store.commit(commit.on_condition(query.clone(), page.looked_to))));
    }
}

/// A match of somebody else is on its way while a condition is judged, wherever that stands in its
/// group. A plain commit sleeps in the writer, so that those behind it make one group.
#[test]
fn a_condition_waits_wherever_it_stands_in_a_group() {
    let table = PostgresTable::new();
    drop(open(&table));
    let sleeps = "
        CREATE FUNCTION {s}.sleeps() RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_sleep(convert_from(NEW.payload, 'UTF8')::float);
            RETURN NEW;
        END $$;
        CREATE TRIGGER sleeps AFTER INSERT ON {s}.events_log FOR EACH ROW EXECUTE FUNCTION {s}.sleeps();";
    table.run(sleeps).expect("the trigger is made");
    let (store, other) = (open(&table), open(&table));
    let slow = |name: &str, stream: &str, seconds: &str| {
        let event = NewEvent::new(Arc::new(EventKind::json(name, 1)), seconds);
        Commit::append(StreamId::new("Account", stream), ExpectedVersion::Any, vec![event])
    };
    let item = QueryItem { event_types: vec!["Taken".to_owned()], ..QueryItem::default() };
    let query = Query { items: vec![item], ..Query::default() };
    for (round, place) in [0, 1, 4].into_iter().enumerate() {
        let after = log(&store).len() as u64;
        let others = other.commit(slow("Taken", &format!("{round}-other"), "0.4"));
        let first = store.commit(slow("Slow", &format!("{round}-first"), "0.2"));
        thread::sleep(Duration::from_millis(100));
        let group: Vec<_> = (0..5)
            .map(|n| {
                let plain = slow("Plain", &format!("{round}-{n}"), "0");
                store.commit(if n == place {
                    plain.on_condition(query.clone(), after)
                } else {
                    plain
                })
            })
            .collect();
        block_on(others).expect("it commits");
        block_on(first).expect("it commits");
        for (n, answer) in group.into_iter().enumerate() {
            match block_on(answer) {
                Ok(_) => assert_ne!(n, place, "a condition that fails is accepted"),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::ConditionFailed { .. }), "{error}");
                    assert_eq!(n, place);
                }
            }
        }
    }
}

/// Positions that were drawn by nobody who commits are given again after a crash: no reader looks
/// further than to the last event that is there.
#[test]
fn no_reader_looks_beyond_the_last_event() {
    let table = PostgresTable::new();
    let store = open(&table);
    block_on(store.commit(deposits("1", 2))).expect("it commits");
    let fails = LATE.replace("random() < 0.0625", "false").replace("ELSIF false", "ELSIF true");
    table.run(&fails).expect("the trigger is made");
    for _ in 0..3 {
        block_on(store.commit(deposits("1", 1))).expect_err("the trigger refuses it");
    }
    for store in [&store, &open(&table)] {
        for prompt in [false, true] {
            for after in [0, 2] {
                let range = ReadRange { after, prompt, ..ReadRange::default() };
                let page = block_on(store.read(Query::default(), range)).expect("it is read");
                assert_eq!(page.looked_to, 2);
            }
        }
        let horizon = block_on(store.horizon()).expect("it is read");
        assert_eq!((horizon.position, horizon.last), (2, 2));
    }
}

/// Two writers with an id in common, under different first ids: it is stored once.
#[test]
fn an_id_is_stored_once() {
    let table = PostgresTable::new();
    drop(open(&table));
    let sleep = LATE.replace("random() < 0.0625", "true").replace("random() * 0.1", "0.02");
    table.run(&sleep).expect("the trigger is made");
    let stores = [open(&table), open(&table)];
    for round in 0..10 {
        let mut shared = events(3);
        let first = shared[0].event_id.as_u128();
        for (event, n) in shared.iter_mut().zip(0..) {
            event.event_id = Uuid::from_u128(first + n);
        }
        let commit = |n: usize, from: usize| {
            let stream = StreamId::new("Account", format!("{round}-{n}"));
            Commit::append(stream, ExpectedVersion::Any, shared[from..].to_vec())
        };
        let accepted = thread::scope(|scope| {
            let send = |n: usize| {
                let store = &stores[n];
                let commit = commit(n, n);
                scope.spawn(move || block_on(store.commit(commit)).is_ok())
            };
            let threads = [send(0), send(1)];
            threads.map(|thread| usize::from(thread.join().expect("it ends"))).iter().sum::<usize>()
        });
        assert_eq!(accepted, 1, "one of two is refused");
    }
    let ids: Vec<_> = log(&stores[0]).iter().map(|event| event.head.event_id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}
