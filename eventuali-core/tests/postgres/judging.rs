//! A group of commits that takes longer than one commit may.

use std::thread::sleep;
use std::time::Duration;

use eventuali_core::backend::postgres::Postgres;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::query::{Query, QueryItem};
use eventuali_core::storage::Storage;

use crate::fixtures::PostgresTable;
use crate::given::{deposits, log};

/// Every statement that inserts events sleeps.
const SLOW: &str = "
    CREATE FUNCTION {s}.slow() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(0.15); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER INSERT ON {s}.events_log EXECUTE FUNCTION {s}.slow();";

/// Each of them takes 150 ms, may take two seconds, and waits for those before it.
#[test]
fn the_time_limit_is_that_of_a_commit_and_not_of_its_group() {
    let mut table = PostgresTable::new();
    table.options.statement_timeout = Duration::from_secs(1);
    table.options.connect_timeout = Duration::from_secs(1);
    let store = Postgres::open(table.options.clone()).expect("it opens");
    block_on(store.commit(deposits("0", 1))).expect("it commits");
    table.run(SLOW).expect("the writer is slow");
    let item = QueryItem { event_types: vec!["Deposited".to_owned()], ..QueryItem::default() };
    let nothing = Query { items: vec![item], ..Query::default() };
    let slow = store.commit(deposits("0", 1));
    sleep(Duration::from_millis(50));
    // Half of them go to streams that nobody has written, and one in nine is refused.
    let answers: Vec<_> = (0..40)
        .map(|n| {
            let commit = deposits(&(n / 2 * (n % 2)).to_string(), 1);
            store.commit(commit.on_condition(nothing.clone(), if n % 9 == 0 { 0 } else { 1000 }))
        })
        .collect();
    block_on(slow).expect("it commits");
    for (n, answer) in answers.into_iter().enumerate() {
        match block_on(answer) {
            Ok(_) => assert_ne!(n % 9, 0, "its condition fails"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::ConditionFailed { .. }), "{n}: {error}");
                assert_eq!(n % 9, 0);
            }
        }
    }
    assert_eq!(log(&store).len(), 2 + 35, "each of them once");
}
