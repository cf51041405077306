//! What people see who query by hand, and what they cannot do.

use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::event::Metadata;
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::StreamId;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::fixtures::{PostgresTable, beside};
use crate::given::{deposits, log, open};

fn filled() -> PostgresTable {
    let table = PostgresTable::new();
    let mut commit = deposits("acc-1", 3);
    commit.writes[0].events[0].timestamp = -1;
    commit.writes[0].events[1].timestamp = 253_402_300_799_999_999;
    commit.writes[0].events[2].payload = vec![0xff, 0];
    block_on(open(&table).commit(commit)).expect("it commits");
    table
}

#[test]
fn the_view_shows_what_people_query() {
    let table = filled();
    let sql = "
        SELECT aggregate_type || ' ' || aggregate_id || ' ' || aggregate_version || ' ' || event_type
            || ' ' || event_version || ' ' || (event_data::json ->> 'amount') || ' ' || event_data_type
            || ' ' || timestamp, id, tenant, metadata, position, recorded_at::text
        FROM {s}.events WHERE position < 3 ORDER BY position";
    let sql = sql.replace("{s}", &table.options.schema);
    let rows = beside(async |conn| sqlx::query(AssertSqlSafe(sql)).fetch_all(conn).await);
    let rows = rows.expect("the view is read");
    let texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        texts,
        [
            "Account acc-1 1 Deposited 1 0 json 1969-12-31 23:59:59.999999+00",
            "Account acc-1 2 Deposited 1 1 json 9999-12-31 23:59:59.999999+00",
        ]
    );
    let all = "SELECT event_data FROM {s}.events";
    table.run(all).expect("bytes that are no text are shown, too");
}

#[test]
fn events_can_be_neither_changed_nor_deleted() {
    let table = filled();
    for sql in [
        "UPDATE {s}.events_log SET payload = ''",
        "DELETE FROM {s}.events_log",
        "TRUNCATE {s}.events_log",
    ] {
        let error = table.run(sql).expect_err(sql);
        assert!(error.to_string().contains("never"), "{error}");
    }
}

#[test]
fn sequences_that_were_left_behind_catch_up() {
    let table = filled();
    table
        .run("SELECT setval('{s}.events_position', 1), setval('{s}.events_clock', 1)")
        .expect("they are set");
    let store = open(&table);
    let committed = block_on(store.commit(deposits("acc-1", 2))).expect("it commits");
    assert_eq!((committed.positions, committed.versions), (vec![4, 5], vec![5]));
    assert!(log(&store).is_sorted_by_key(|event| event.head.recorded_at));
}

#[test]
fn changed_bytes_are_found_wherever_they_are() {
    for change in [
        "payload = 'other'",
        "metadata = '{}'",
        "event_id = '00000000-0000-0000-0000-000000000001'",
        "timestamp = timestamp + 1",
        "recorded_at = recorded_at + 1",
        "version = version + 1",
        "checksum = checksum # 1",
    ] {
        let table = filled();
        let sql = format!(
            "DROP TRIGGER stays ON {{s}}.events_log;
             UPDATE {{s}}.events_log SET {change} WHERE position = 2"
        );
        table.run(&sql).expect("it changes");
        let error = block_on(open(&table).read(Query::default(), ReadRange::default()))
            .expect_err("the second event is damaged");
        assert_eq!(*error.kind(), ErrorKind::Corrupted { position: Some(2) }, "{change}");
    }
}

#[test]
fn what_events_are_found_by_stays() {
    let table = filled();
    for sql in [
        "UPDATE {s}.events_streams SET aggregate_id = 'other'",
        "UPDATE {s}.events_streams SET aggregate_type = 'Other', version = 3",
        "DELETE FROM {s}.events_streams",
        "TRUNCATE {s}.events_streams",
        "UPDATE {s}.events_kinds SET event_type = 'Other'",
        "DELETE FROM {s}.events_kinds",
        "UPDATE {s}.events_runs SET count = 1",
        "DELETE FROM {s}.events_runs",
        "DELETE FROM {s}.events_kind_spans",
        "DELETE FROM {s}.events_tags",
    ] {
        let error = table.run(sql).expect_err(sql);
        assert!(error.to_string().contains("never"), "{error}");
    }
}

/// Whoever gets past the triggers: what is read of a stream, from any version to any, in any
/// direction and in pages of any size, is right or an error.
#[test]
fn a_stream_comes_whole_or_not_at_all() {
    for change in [
        "DELETE FROM {s}.events_log WHERE position = 1",
        "DELETE FROM {s}.events_log WHERE position = 5",
        "DELETE FROM {s}.events_log WHERE position = 12",
        "UPDATE {s}.events_log SET position = 99 WHERE position = 5",
        "UPDATE {s}.events_log SET version = 7 WHERE position = 5",
        "UPDATE {s}.events_log SET stream = stream + 1 WHERE position = 5",
        "UPDATE {s}.events_log SET kind = 99 WHERE position = 5",
        "DELETE FROM {s}.events_runs WHERE position = 1",
        "DELETE FROM {s}.events_runs WHERE position = 5",
        "DELETE FROM {s}.events_runs WHERE position = 9",
        "DELETE FROM {s}.events_runs WHERE stream = 1",
        "UPDATE {s}.events_runs SET count = 2 WHERE position = 5",
        "UPDATE {s}.events_runs SET count = 2 WHERE position = 9",
        "UPDATE {s}.events_runs SET count = 5 WHERE position = 5",
        "UPDATE {s}.events_runs SET position = 6 WHERE position = 5",
        "UPDATE {s}.events_runs SET position = 13 WHERE position = 9",
        "UPDATE {s}.events_runs SET stream = 2, first_version = 99 WHERE position = 5",
        "UPDATE {s}.events_runs SET first_version = 7 WHERE position = 5",
        "UPDATE {s}.events_streams SET version = 8 WHERE aggregate_id = 'acc-1'",
        "UPDATE {s}.events_streams SET version = 13 WHERE aggregate_id = 'acc-1'",
        "UPDATE {s}.events_streams SET version = 0 WHERE aggregate_id = 'acc-1'",
        "UPDATE {s}.events_streams SET aggregate_id = 'other' WHERE aggregate_id = 'acc-1';
         UPDATE {s}.events_streams SET aggregate_id = 'acc-1' WHERE aggregate_id = 'acc-2'",
        "UPDATE {s}.events_kinds SET event_type = 'Other'",
    ] {
        let table = PostgresTable::new();
        let store = open(&table);
        for _ in 0..3 {
            let mut commit = deposits("acc-1", 4);
            // One run.
            let first = commit.writes[0].events[0].event_id.as_u128();
            for (event, n) in commit.writes[0].events.iter_mut().zip(0..) {
                event.event_id = Uuid::from_u128(first + n);
            }
            block_on(store.commit(commit)).expect("it commits");
        }
        block_on(store.commit(deposits("acc-2", 12))).expect("it commits");
        let stream = Query::stream(&StreamId::new("Account", "acc-1"));
        let ranges = || {
            let bounds = [(0, 12), (0, 4), (3, 9), (4, 5), (4, 12), (6, 8), (11, 12)].into_iter();
            bounds.flat_map(|(after_version, until_version)| {
                [false, true].map(|backwards| ReadRange {
                    after_version,
                    until_version,
                    backwards,
                    limit: 3 + after_version as usize,
                    ..ReadRange::default()
                })
            })
        };
        let read = |store: &dyn Storage, mut range: ReadRange| -> Result<Vec<_>, ErrorKind> {
            let mut ids = Vec::new();
            loop {
                let page = block_on(store.read(stream.clone(), range));
                let page = page.map_err(|error| error.kind().clone())?;
                ids.extend(page.iter().map(|event| (event.head.version, event.head.event_id)));
                if page.end {
                    return Ok(ids);
                }
                range = range.continued(page.looked_to);
            }
        };
        let before: Vec<_> =
            ranges().map(|range| read(&store, range).expect("it is read")).collect();
        let sql =
            "BEGIN; SET LOCAL session_replication_role = replica;".to_owned() + change + "; COMMIT";
        table.run(&sql).expect("it changes");
        let mut found = 0;
        for store in [&store, &open(&table)] {
            for (range, before) in ranges().zip(&before) {
                match read(store, range) {
                    Ok(events) => assert_eq!(events, *before, "{change}: {range:?}"),
                    Err(kind) => {
                        let named = matches!(kind, ErrorKind::Corrupted { position: Some(_) });
                        assert!(named || change.contains("kind"), "{change}: {kind:?}");
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 0, "{change}");
    }
}

#[test]
fn a_tag_finds_its_events_or_says_that_it_does_not() {
    for change in [
        "DELETE FROM {s}.events_log WHERE position = 102",
        "UPDATE {s}.events_log SET position = 110 WHERE position = 102",
        "UPDATE {s}.events_tags SET position = 103 WHERE position = 102",
        "UPDATE {s}.events_tags SET position = 90 WHERE position = 102",
    ] {
        let table = PostgresTable::new();
        let store = open(&table);
        let mut commit = deposits("1", 3);
        for event in &mut commit.writes[0].events[..2] {
            let tags = vec!["a \"tag\" ü".to_owned()];
            *event = event.clone().with_metadata(Metadata { tags, ..Metadata::default() });
        }
        block_on(store.commit(deposits("1", 100))).expect("it commits");
        block_on(store.commit(commit)).expect("it commits");
        let item = QueryItem { tags: vec!["a \"tag\" ü".to_owned()], ..QueryItem::default() };
        let query = Query { items: vec![item], ..Query::default() };
        assert_eq!(crate::given::found(&store, &query).len(), 2);
        let sql =
            "BEGIN; SET LOCAL session_replication_role = replica;".to_owned() + change + "; COMMIT";
        table.run(&sql).expect("it changes");
        let range = ReadRange::default();
        let error = block_on(store.read(query, range)).expect_err(change);
        assert!(matches!(error.kind(), ErrorKind::Corrupted { position: Some(_) }), "{error}");
    }
}
