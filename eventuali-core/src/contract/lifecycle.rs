//! Clauses about opening, closing, and what lies between.

use std::task::{Context, Poll, Waker};
use std::thread;

use super::given::{
    Store, deposits, done, expecting, log, open, picture, put, reopen, select, together,
};
use super::{Fixture, block_on};
use crate::commit::Commit;
use crate::error::{ErrorKind, Result};
use crate::limits::Limits;
use crate::query::{Query, ReadRange};
use crate::record::{RecordPurge, RecordSelection};
use crate::stream::ExpectedVersion::{self, Exact};
use crate::stream::{StreamId, StreamSelection};

pub async fn every_verb_says_closed(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 1)).await;
    store.close().await.expect("the store closes");
    for _ in 0..2 {
        is_closed(store.commit(deposits("1", 1)).await);
        is_closed(store.commit(Commit::default()).await);
        is_closed(store.read(Query::default(), ReadRange::default()).await);
        is_closed(store.streams(StreamSelection::default(), None, 10).await);
        let all = select(RecordSelection::Prefix(String::new()));
        is_closed(store.records(all, None, 10).await);
        let purge = RecordPurge { tenant: String::new(), space: "doc".to_owned(), most: 1 };
        is_closed(store.purge(purge).await);
        let everything = select(RecordSelection::Prefix(String::new()));
        is_closed(store.count_records(everything).await);
        is_closed(store.horizon().await);
    }
}

pub async fn closed_comes_before_bad_input(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    store.close().await.expect("the store closes");
    let bad = Commit::append(StreamId::new("", "$"), ExpectedVersion::Any, Vec::new());
    is_closed(store.commit(bad).await);
    is_closed(store.read(Query::all("no tenant"), ReadRange::default()).await);
}

pub async fn closing_twice_is_fine(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for _ in 0..3 {
        store.close().await.expect("the store closes");
    }
    let (first, second) = (store.close(), store.close());
    second.await.expect("the store is closed");
    first.await.expect("the store is closed");
}

pub async fn everybody_who_closes_waits_for_the_end(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let begun: Vec<_> = (0..50).map(|n| store.commit(deposits(&n.to_string(), 20))).collect();
    let first = store.close();
    store.close().await.expect("the store closes");
    let mut context = Context::from_waker(Waker::noop());
    for mut answer in begun {
        let Poll::Ready(answer) = answer.as_mut().poll(&mut context) else {
            panic!("the store is closed, and a write that has begun is not done")
        };
        answer.expect("the write is done");
    }
    first.await.expect("the store closes");
}

pub async fn closing_from_two_threads_is_fine(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 1)).await;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| block_on(store.close()).expect("the store closes"));
        }
    });
}

pub async fn an_unused_store_closes(fixture: &dyn Fixture) {
    open(fixture).await.close().await.expect("the store closes");
    open(fixture).await.close().await.expect("the store closes");
}

pub async fn closing_finishes_what_was_accepted(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let answers: Vec<_> = (0..40).map(|_| store.commit(deposits("1", 2))).collect();
    let closed = store.close();
    let mut accepted = 0;
    for answer in answers {
        match answer.await {
            Ok(_) => accepted += 1,
            Err(error) => assert_eq!(*error.kind(), ErrorKind::Closed, "{error}"),
        }
    }
    closed.await.expect("the store closes");
    if store.capabilities().durable {
        drop(store);
        assert_eq!(log(&open(fixture).await).await.len(), accepted * 2);
    } else {
        assert_eq!(accepted, 40);
    }
}

pub async fn a_commit_before_the_close_is_accepted(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let answer = store.commit(deposits("1", 2));
    store.close().await.expect("the store closes");
    assert_eq!(answer.await.expect("the commit is accepted").versions, [2]);
}

pub async fn reopening_shows_everything(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    if !store.capabilities().durable {
        return;
    }
    let change = Commit::change(vec![put("a", "b")]);
    done(&store, together([deposits("1", 2), deposits("2", 2), change])).await;
    let before = picture(&store).await;
    let store = reopen(fixture, store).await;
    assert_eq!(picture(&store).await, before);
    let committed = done(&store, expecting("1", Exact(2), 1)).await;
    assert_eq!(committed.versions, [3], "and goes on");
}

pub async fn dropping_without_closing_loses_nothing(fixture: &dyn Fixture) {
    let mut store = open(fixture).await;
    for round in 0..4 {
        done(&store, expecting("1", Exact(round), 1)).await;
        drop(store);
        store = open(fixture).await;
    }
    assert_eq!(log(&store).await.len(), 4);
}

pub async fn answers_need_no_runtime(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let answer = store.commit(deposits("1", 1));
    let committed = thread::spawn(move || block_on(answer)).join().expect("the thread ends");
    assert_eq!(committed.expect("the commit is accepted").versions, [1]);
    let page = store.read(Query::default(), ReadRange::default());
    let page = thread::spawn(move || block_on(page)).join().expect("the thread ends");
    assert_eq!(page.expect("the page is read").len(), 1);
}

pub async fn limits_are_those_of_the_port_or_less(fixture: &dyn Fixture) {
    let limits = open(fixture).await.capabilities().limits;
    let most = Limits::DEFAULT;
    for (own, most) in [
        (limits.event_bytes, most.event_bytes),
        (limits.headers_bytes, most.headers_bytes),
        (limits.event_tags, most.event_tags),
        (limits.commit_events, most.commit_events),
        (limits.commit_records, most.commit_records),
        (limits.commit_bytes, most.commit_bytes),
        (limits.record_bytes, most.record_bytes),
        (limits.record_index_entries, most.record_index_entries),
        (limits.index_text_bytes, most.index_text_bytes),
    ] {
        assert!(0 < own && own <= most, "{own} of {most}");
    }
}

pub async fn capabilities_outlive_the_close(fixture: &dyn Fixture) {
    let store: Store = open(fixture).await;
    let before = store.capabilities();
    assert!(!before.backend.is_empty());
    store.close().await.expect("the store closes");
    assert_eq!(store.capabilities(), before);
}

fn is_closed<T>(result: Result<T>) {
    match result {
        Ok(_) => panic!("the store is closed"),
        Err(error) => assert_eq!(*error.kind(), ErrorKind::Closed),
    }
}
