//! Clauses about waking up.

use std::thread;

use super::given::{Store, deposits, done, log, open, pages, refused};
use super::{Fixture, block_on};
use crate::commit::Commit;
use crate::query::{Query, ReadRange};
use crate::stream::ExpectedVersion::Exact;

pub async fn a_commit_wakes_who_waits(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut receiver = store.appended();
    thread::scope(|scope| {
        let waiter = scope.spawn(move || block_on(receiver.changed()).is_ok());
        block_on(done(&store, deposits("1", 1)));
        assert!(waiter.join().expect("the thread ends"));
    });
}

pub async fn every_receiver_wakes(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut receivers: Vec<_> = (0..10).map(|_| store.appended()).collect();
    receivers.push(receivers[0].clone());
    done(&store, deposits("1", 1)).await;
    for receiver in &mut receivers {
        receiver.changed().await.expect("the store is open");
    }
}

pub async fn a_signal_before_the_wait_is_not_lost(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut receiver = store.appended();
    for _ in 0..3 {
        done(&store, deposits("1", 2)).await;
        receiver.changed().await.expect("the store is open");
    }
}

pub async fn a_commit_through_another_handle_wakes(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    if !store.capabilities().shared {
        return;
    }
    let other = open(fixture).await;
    let mut receiver = store.appended();
    for _ in 0..3 {
        let committed = done(&other, deposits("1", 2)).await;
        while *receiver.borrow_and_update() < committed.positions[1] {
            receiver.changed().await.expect("the store is open");
        }
        let seen = log(&store).await.last().map(|event| event.head.position);
        assert_eq!(seen, committed.positions.last().copied(), "it can be read");
    }
    drop(receiver);
    // Whoever comes later, when nobody has waited for a while, wakes as well.
    thread::sleep(std::time::Duration::from_millis(50));
    let mut receiver = store.appended();
    let committed = done(&other, deposits("1", 1)).await;
    while *receiver.borrow_and_update() < committed.positions[0] {
        receiver.changed().await.expect("the store is open");
    }
}

pub async fn it_tells_the_highest_position(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut receiver = store.appended();
    for count in 1..4 {
        let committed = done(&store, deposits("1", count)).await;
        receiver.changed().await.expect("the store is open");
        assert_eq!(Some(&*receiver.borrow_and_update()), committed.positions.last());
    }
    assert_eq!(*store.appended().borrow(), *receiver.borrow(), "to a late receiver too");
}

pub async fn it_never_falls(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let first = deposits("1", 1);
    done(&store, first.clone()).await;
    done(&store, deposits("1", 2)).await;
    let highest = *store.appended().borrow();
    done(&store, first).await;
    refused(&store, super::given::expecting("1", Exact(9), 1)).await;
    done(&store, Commit::default()).await;
    assert_eq!(*store.appended().borrow(), highest, "nothing was appended since");
}

pub async fn what_was_signalled_can_be_read(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut receiver = store.appended();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..30 {
                block_on(done(&store, deposits("1", 2)));
            }
        });
        let mut seen = 0;
        while seen < 60 {
            block_on(receiver.changed()).expect("the store is open");
            let signalled = *receiver.borrow_and_update();
            let log = block_on(log(&store));
            let last = log.last().map_or(0, |event| event.head.position);
            assert!(last >= signalled, "{signalled} was signalled, {last} can be read");
            seen = log.len();
        }
        writer.join().expect("the thread ends");
    });
}

pub async fn a_subscriber_misses_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    thread::scope(|scope| {
        let subscriber = scope.spawn(|| block_on(subscribe(&store, 120)));
        let write = |id: &str| (0..30).for_each(|_| drop(block_on(done(&store, deposits(id, 2)))));
        scope.spawn(move || write("1"));
        scope.spawn(move || write("2"));
        let seen = subscriber.join().expect("the thread ends");
        let stored = block_on(log(&store));
        assert_eq!(seen, stored.iter().map(|event| event.head.position).collect::<Vec<_>>());
    });
}

pub async fn closing_wakes_who_waits(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut receiver = store.appended();
    thread::scope(|scope| {
        let waiter = scope.spawn(move || drop(block_on(receiver.changed())));
        block_on(store.close()).expect("the store closes");
        waiter.join().expect("the thread ends");
    });
}

/// Reads to the end and waits for more, until it has seen `count` events.
async fn subscribe(store: &Store, count: usize) -> Vec<u64> {
    let (mut receiver, mut range) = (store.appended(), ReadRange::default());
    let mut seen = Vec::new();
    loop {
        receiver.mark_unchanged();
        for page in pages(store, &Query::default(), range).await {
            seen.extend(page.iter().map(|event| event.head.position));
            range = range.continued(page.looked_to);
        }
        if seen.len() >= count {
            return seen;
        }
        receiver.changed().await.expect("the store is open");
    }
}
