//! What people see who query by hand, and what they cannot do.

use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::storage::Storage;
use sqlx::{AssertSqlSafe, Row};

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
