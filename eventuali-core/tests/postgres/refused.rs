//! What is refused: by name, at once, and without a trace.

use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::Postgres;
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::record::{
    ExpectedRecord, RecordChange, RecordKey, RecordQuery, RecordSelection,
};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId, StreamSelection};

use crate::fixtures::PostgresTable;
use crate::given::{deposits, events, log, open, together};
use crate::way::{LOSE_ALL, Way};

fn trigger(body: &str) -> String {
    format!(
        "CREATE FUNCTION {{s}}.refuses() RETURNS TRIGGER LANGUAGE plpgsql AS $$
         BEGIN IF NEW.payload = 'bad' THEN {body} END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuses BEFORE INSERT ON {{s}}.events_log
         FOR EACH ROW EXECUTE FUNCTION {{s}}.refuses();"
    )
}

#[test]
fn what_the_database_would_refuse_again_is_not_tried_again() {
    for refuses in [
        trigger("RAISE EXCEPTION 'no';"),
        trigger("RAISE EXCEPTION 'no' USING ERRCODE = 'MY042';"),
        trigger("ASSERT false;"),
        trigger("NEW.version := 1 / 0;"),
        trigger("NEW.version := 'x'::bigint;"),
        "ALTER TABLE {s}.events_log ADD CHECK (payload <> 'bad')".to_owned(),
        "CREATE UNIQUE INDEX ON {s}.events_log ((1)) WHERE payload = 'bad';
         CREATE FUNCTION {s}.add() RETURNS TRIGGER LANGUAGE plpgsql AS $$
         BEGIN IF NEW.payload = 'bad' THEN RAISE unique_violation; END IF; RETURN NEW; END $$;
         CREATE TRIGGER add BEFORE INSERT ON {s}.events_log FOR EACH ROW EXECUTE FUNCTION {s}.add();"
            .to_owned(),
        // Found out at COMMIT.
        trigger("NULL;").replace("BEFORE INSERT", "AFTER INSERT")
            + "CREATE FUNCTION {s}.late() RETURNS TRIGGER LANGUAGE plpgsql AS $$
               BEGIN IF NEW.payload = 'bad' THEN RAISE 'no'; END IF; RETURN NULL; END $$;
               CREATE CONSTRAINT TRIGGER late AFTER INSERT ON {s}.events_log
               DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {s}.late();",
    ] {
        let mut table = PostgresTable::new();
        table.options.connect_timeout = Duration::from_millis(500);
        let store = open(&table);
        table.run(&refuses).expect("it is made");
        let bad = || {
            let mut event = events(1);
            event[0].payload = b"bad".to_vec();
            Commit::append(StreamId::new("Account", "bad"), ExpectedVersion::Any, event)
        };
        let put = RecordChange::put(RecordKey::new("doc", "a"), "x");
        let answers = [
            store.commit(deposits("1", 1)),
            store.commit(bad()),
            store.commit(deposits("2", 1)),
            store.commit(Commit { records: vec![put], ..bad() }),
        ];
        let outcomes = answers.map(|answer| block_on(answer).map_err(|e| e.kind().clone()));
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{refuses}: {outcomes:?}");
        for refused in [&outcomes[1], &outcomes[3]] {
            assert_eq!(*refused, Err(ErrorKind::Refused), "{refuses}");
        }
        assert_eq!(log(&store).len(), 2);
    }
}

/// Fails where a stream or a record is a name and no more.
const NO_NAMES: &str = "DO $$ BEGIN
    ASSERT NOT EXISTS (SELECT FROM {s}.events_streams WHERE version = 0), 'streams';
    ASSERT NOT EXISTS (SELECT FROM {s}.events_records WHERE version = 0), 'records';
END $$";

#[test]
fn nothing_is_left_of_commits_that_are_refused() {
    let table = PostgresTable::new();
    let store = open(&table);
    let first = deposits("1", 2);
    block_on(store.commit(first.clone())).expect("it commits");
    let expecting =
        |id: &str, expected| Commit::append(StreamId::new("Account", id), expected, events(1));
    let item = QueryItem { event_types: vec!["Deposited".to_owned()], ..QueryItem::default() };
    let anything = Query { items: vec![item], ..Query::default() };
    let missing = RecordChange::put(RecordKey::new("doc", "a"), "x");
    let missing = missing.expecting(ExpectedRecord::Exact(1));
    let repeated = |id: &str| {
        let events = first.writes[0].events.clone();
        Commit::append(StreamId::new("Account", id), ExpectedVersion::Any, events)
    };
    let refused = [
        expecting("a", ExpectedVersion::StreamExists),
        expecting("b", ExpectedVersion::Exact(1)),
        together(expecting("c", ExpectedVersion::Any), expecting("1", ExpectedVersion::Exact(7))),
        together(expecting("1", ExpectedVersion::Any), expecting("d", ExpectedVersion::Exact(7))),
        expecting("e", ExpectedVersion::Any).on_condition(anything, 0),
        Commit { records: vec![missing.clone()], ..expecting("f", ExpectedVersion::Any) },
        Commit::change(vec![missing]),
        repeated("g"),
    ];
    for commit in &refused {
        block_on(store.commit(commit.clone())).expect_err("it is refused");
    }
    table.run(NO_NAMES).expect("nothing is left");
    // In one group with others that hold.
    table
        .run(
            "CREATE FUNCTION {s}.slow() RETURNS TRIGGER LANGUAGE plpgsql AS $$
              BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
              CREATE TRIGGER slow AFTER INSERT ON {s}.events_log EXECUTE FUNCTION {s}.slow();",
        )
        .expect("the writer is slow");
    let slow = store.commit(deposits("slow", 1));
    thread::sleep(Duration::from_millis(100));
    let answers: Vec<_> = refused
        .iter()
        .enumerate()
        .map(|(n, commit)| {
            (store.commit(deposits(&n.to_string(), 1)), store.commit(commit.clone()))
        })
        .collect();
    block_on(slow).expect("it commits");
    for (holds, refused) in answers {
        block_on(holds).expect("it commits");
        block_on(refused).expect_err("it is refused");
    }
    table.run(NO_NAMES).expect("nothing is left");
}

#[test]
fn bad_input_is_told_of_without_a_server() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    let bad = || " bad ".to_owned();
    let ask = || {
        let item = QueryItem { tags: vec![bad()], ..QueryItem::default() };
        let query = Query { items: vec![item], ..Query::default() };
        let selection =
            StreamSelection { aggregate_type: Some(bad()), ..StreamSelection::default() };
        let select = RecordSelection::Keys(vec![bad()]);
        let records = RecordQuery { tenant: bad(), ..RecordQuery::new("doc", select) };
        [
            block_on(store.read(query.clone(), ReadRange::default())).map(drop),
            block_on(store.streams(selection, None, 10)).map(drop),
            block_on(store.records(records, None, 10)).map(drop),
            block_on(store.commit(deposits("1", 1).on_condition(query, 0))).map(drop),
        ]
        .map(|outcome| outcome.expect_err("it is bad").kind().clone())
    };
    let there = ask();
    assert!(there.iter().all(|kind| matches!(kind, ErrorKind::Invalid { .. })), "{there:?}");
    way.set(LOSE_ALL);
    assert_eq!(ask(), there);
    block_on(store.close()).expect("it closes");
    assert!(ask().iter().all(|kind| *kind == ErrorKind::Closed));
}
