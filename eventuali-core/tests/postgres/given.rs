//! Stores and commits for these tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventuali_core::backend::postgres::Postgres;
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::event::{EventKind, NewEvent, StoredEvent};
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};

use crate::fixtures::PostgresTable;

pub(crate) fn open(table: &PostgresTable) -> Postgres {
    Postgres::open(table.options.clone()).expect("the store opens; is there a PostgreSQL?")
}

pub(crate) fn events(count: usize) -> Vec<NewEvent> {
    let kind = Arc::new(EventKind::json("Deposited", 1));
    (0..count).map(|n| NewEvent::new(Arc::clone(&kind), format!("{{\"amount\":{n}}}"))).collect()
}

/// A commit of `count` events to the stream `id`, whatever its version.
pub(crate) fn deposits(id: &str, count: usize) -> Commit {
    Commit::append(StreamId::new("Account", id), ExpectedVersion::Any, events(count))
}

/// Both commits as one.
pub(crate) fn together(mut first: Commit, second: Commit) -> Commit {
    first.writes.extend(second.writes);
    first
}

/// All that matches, page by page.
pub(crate) fn found(store: &dyn Storage, query: &Query) -> Vec<StoredEvent> {
    let (mut range, mut found) = (ReadRange { limit: 500, ..ReadRange::default() }, Vec::new());
    loop {
        let page = block_on(store.read(query.clone(), range)).expect("the page is read");
        found.extend(page.iter().map(|event| event.to_stored().expect("it is readable")));
        if page.end {
            return found;
        }
        range = range.continued(page.looked_to);
    }
}

/// The whole log.
pub(crate) fn log(store: &dyn Storage) -> Vec<StoredEvent> {
    found(store, &Query::default())
}

/// Sets a flag when it is dropped, by a panic too: threads that go on until then end with a test
/// that fails.
pub(crate) struct SetAtEnd<'f>(pub(crate) &'f AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
