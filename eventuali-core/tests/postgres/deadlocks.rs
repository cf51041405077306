//! Commits to the same streams in another order.

use std::thread;

use eventuali_core::contract::block_on;
use eventuali_core::storage::Storage;

use crate::fixtures::PostgresTable;
use crate::given::{deposits, log, open, together};

#[test]
fn none_reaches_a_caller() {
    let table = PostgresTable::new();
    drop(open(&table));
    thread::scope(|scope| {
        for task in 0..16 {
            let table = &table;
            scope.spawn(move || {
                let mut options = table.options.clone();
                options.max_connections = 2;
                let store = eventuali_core::backend::postgres::Postgres::open(options);
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
