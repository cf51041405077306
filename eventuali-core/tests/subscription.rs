//! Following the log: the hand-over from what is stored to what comes, and the end.

#[allow(dead_code)]
mod fixtures;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use eventuali_core::commit::Commit;
use eventuali_core::contract::{Fixture, block_on};
use eventuali_core::error::ErrorKind;
use eventuali_core::event::{EventKind, EventPage, NewEvent};
use eventuali_core::query::{Query, QueryItem};
use eventuali_core::service::subscription::{AHEAD, Subscription};
use eventuali_core::storage::Answer;
use eventuali_core::store::EventStore;
use eventuali_core::stream::{ExpectedVersion, StreamId};

use fixtures::{InProcess, PostgresTable, SqliteFile};

fn opened(fixture: &dyn Fixture) -> EventStore {
    EventStore::over(block_on(fixture.open()).expect("it opens"), "").expect("it is a tenant")
}

fn append(store: &EventStore, stream: &str, count: usize) -> Vec<u64> {
    let kind = Arc::new(EventKind::json("Ticked", 1));
    let events = (0..count).map(|_| NewEvent::new(Arc::clone(&kind), "{}")).collect();
    let commit = Commit::append(StreamId::new("Clock", stream), ExpectedVersion::Any, events);
    block_on(store.commit(commit)).expect("it commits").positions
}

fn following(store: &EventStore, limit: usize) -> Subscription {
    Subscription::new(store, Query::default(), limit).expect("the store is open")
}

/// What is there at once; None where it is on its way.
fn now<T>(answer: &mut Answer<T>) -> Option<eventuali_core::error::Result<T>> {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn positions(page: &EventPage) -> Vec<u64> {
    page.iter().map(|event| event.head.position).collect()
}

/// Takes pages until `count` events were seen.
fn follow(subscription: &Subscription, count: usize) -> Vec<u64> {
    let (mut seen, mut after, mut live) = (Vec::new(), 0, false);
    while seen.len() < count {
        let page = block_on(subscription.next(after, live)).expect("it reads").expect("it goes on");
        seen.extend(positions(&page));
        after = page.looked_to;
        live |= page.end;
    }
    seen
}

fn the_hand_over_loses_and_doubles_nothing(fixture: &dyn Fixture) {
    let store = opened(fixture);
    let mut all = append(&store, "first", 40);
    thread::scope(|scope| {
        let followers: Vec<_> = [1, 7, 1000]
            .map(|limit| following(&store, limit))
            .map(|subscription| scope.spawn(move || follow(&subscription, 240)))
            .into();
        let writers = ["a", "b"].map(|stream| {
            let store = &store;
            scope.spawn(move || (0..50).flat_map(|_| append(store, stream, 2)).collect::<Vec<_>>())
        });
        for writer in writers {
            all.extend(writer.join().expect("the thread ends"));
        }
        all.sort_unstable();
        for follower in followers {
            assert_eq!(follower.join().expect("the thread ends"), all);
        }
    });
}

fn the_end_of_the_catch_up_is_told_once(fixture: &dyn Fixture) {
    let store = opened(fixture);
    let subscription = following(&store, 10);
    let page = block_on(subscription.next(0, false)).expect("it reads").expect("it goes on");
    assert!(page.is_empty() && page.end, "nothing is stored");
    let mut answer = subscription.next(0, true);
    thread::sleep(std::time::Duration::from_millis(20));
    assert!(now(&mut answer).is_none(), "it waits");
    let committed = append(&store, "1", 1);
    let page = block_on(answer).expect("it reads").expect("it goes on");
    assert_eq!(positions(&page), committed);
}

fn an_answer_that_is_dropped_loses_nothing(fixture: &dyn Fixture) {
    let store = opened(fixture);
    let subscription = following(&store, 10);
    drop(block_on(subscription.next(0, false)).expect("it reads"));
    for count in 1..4 {
        let mut waiting = subscription.next(0, true);
        drop(now(&mut waiting));
        append(&store, "1", 1);
        drop(waiting);
        let page = block_on(subscription.next(0, true)).expect("it reads").expect("it goes on");
        assert_eq!(page.len(), count);
    }
}

fn stopping_or_asking_again_ends_the_answer(fixture: &dyn Fixture) {
    let store = opened(fixture);
    let subscription = following(&store, 10);
    drop(block_on(subscription.next(0, false)).expect("it reads"));
    for stop in [true, false] {
        let first = subscription.next(0, true);
        let second = (!stop).then(|| subscription.next(0, true));
        if stop {
            subscription.stop();
        }
        assert!(block_on(first).expect("it ends").is_none());
        drop(second);
    }
    let waiting = subscription.next(0, true);
    drop(subscription);
    assert!(block_on(waiting).expect("it ends").is_none(), "dropped is stopped");
}

fn closing_the_store_ends_it(fixture: &dyn Fixture) {
    let store = opened(fixture);
    let subscription = following(&store, 10);
    drop(block_on(subscription.next(0, false)).expect("it reads"));
    let waiting = subscription.next(0, true);
    thread::scope(|scope| {
        let waiter = scope.spawn(move || block_on(waiting).map(|_| ()));
        block_on(store.close()).expect("it closes");
        let error = waiter.join().expect("the thread ends").expect_err("it is closed");
        assert_eq!(*error.kind(), ErrorKind::Closed);
    });
    let error = block_on(subscription.next(0, true)).map(|_| ()).expect_err("it is closed");
    assert_eq!(*error.kind(), ErrorKind::Closed);
}

fn it_tells_how_far_it_looked_for_a_rare_match(fixture: &dyn Fixture) {
    let store = opened(fixture);
    let item = QueryItem { event_types: vec!["Rung".to_owned()], ..QueryItem::default() };
    let query = Query { items: vec![item], ..Query::default() };
    let subscription = Subscription::new(&store, query, 10).expect("the store is open");
    drop(block_on(subscription.next(0, false)).expect("it reads"));
    let waiting = subscription.next(0, true);
    let last = append(&store, "1", AHEAD as usize).pop();
    let page = block_on(waiting).expect("it reads").expect("it goes on");
    assert_eq!((page.len(), Some(page.looked_to)), (0, last));
}

macro_rules! on_every_backend {
    ($($test:ident)*) => {
        on_every_backend!(memory InProcess::memory(); $($test)*);
        on_every_backend!(sqlite SqliteFile::new(); $($test)*);
        on_every_backend!(sqlite_in_memory InProcess::sqlite(); $($test)*);
        on_every_backend!(postgres PostgresTable::new(); $($test)*);
    };
    ($backend:ident $fixture:expr; $($test:ident)*) => {
        mod $backend {
            use super::*;

            $(#[test]
            fn $test() {
                super::$test(&$fixture);
            })*
        }
    };
}

on_every_backend! {
    the_hand_over_loses_and_doubles_nothing
    the_end_of_the_catch_up_is_told_once
    an_answer_that_is_dropped_loses_nothing
    stopping_or_asking_again_ends_the_answer
    closing_the_store_ends_it
    it_tells_how_far_it_looked_for_a_rare_match
}
