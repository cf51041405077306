//! Clauses about versions of streams, positions, and what a writer may expect.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Fixture;
use super::given::{
    Store, account, deposits, done, events, expecting, found, log, loose, open, positions, refused,
    reopen, together, versions,
};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::query::Query;
use crate::stream::ExpectedVersion::{self, Any, Exact, NoStream, StreamExists};
use crate::stream::StreamId;

pub async fn versions_count_from_one(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for count in 1..5 {
        done(&store, deposits("1", count)).await;
        done(&store, deposits("2", 1)).await;
    }
    let stored = found(&store, &Query::stream(&account("1"))).await;
    assert_eq!(versions(&stored), (1..=10).collect::<Vec<u64>>());
}

pub async fn refused_commits_leave_no_hole(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for round in 0..6 {
        refused(&store, expecting("1", Exact(50), 3)).await;
        refused(&store, together([deposits("1", 2), expecting("2", StreamExists, 1)])).await;
        done(&store, expecting("1", Exact(round), 1)).await;
    }
    let stored = found(&store, &Query::stream(&account("1"))).await;
    assert_eq!(versions(&stored), (1..=6).collect::<Vec<u64>>());
}

pub async fn two_types_may_share_an_id(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, expecting("1", NoStream, 2)).await;
    let cart = StreamId::new("Cart", "1");
    let committed = done(&store, Commit::append(cart.clone(), NoStream, events(1))).await;
    assert_eq!(committed.versions, [1]);
    assert_eq!(found(&store, &Query::stream(&cart)).await.len(), 1);
    assert_eq!(found(&store, &Query::stream(&account("1"))).await.len(), 2);
}

pub async fn answered_versions_are_the_last_of_each_write(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 2)).await;
    let commit = together([
        deposits("2", 3),
        loose(events(2)),
        deposits("1", 1),
        expecting("3", NoStream, 0),
    ]);
    assert_eq!(done(&store, commit).await.versions, [3, 0, 3, 0]);
}

pub async fn events_without_a_stream_have_version_zero(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for _ in 0..2 {
        assert_eq!(done(&store, loose(events(3))).await.versions, [0]);
    }
    let log = log(&store).await;
    assert_eq!(versions(&log), [0; 6]);
    assert!(log.iter().all(|event| event.head.stream.is_none()));
}

pub async fn positions_rise_within_a_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut last = 0;
    for _ in 0..3 {
        let commit = together([deposits("2", 2), loose(events(1)), deposits("1", 2)]);
        for position in done(&store, commit).await.positions {
            assert!(position > last, "{position} comes after {last}");
            last = position;
        }
    }
}

pub async fn positions_are_unique_for_ever(fixture: &dyn Fixture) {
    let mut store = open(fixture).await;
    let mut seen = BTreeSet::new();
    for round in 0..4 {
        let committed = done(&store, deposits("1", 3)).await;
        refused(&store, expecting("1", Exact(0), 2)).await;
        for position in committed.positions {
            assert!(Some(&position) > seen.last(), "{position} is above all before it");
            seen.insert(position);
        }
        if round % 2 == 1 {
            store = reopen(fixture, store).await;
        }
    }
    assert_eq!(positions(&log(&store).await), seen.into_iter().collect::<Vec<_>>());
}

pub async fn any_version_always_holds(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for version in 1..4 {
        assert_eq!(done(&store, expecting("1", Any, 1)).await.versions, [version]);
    }
}

pub async fn no_stream_holds_only_before_the_first_event(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, expecting("1", NoStream, 1)).await;
    conflicts(&store, "1", NoStream, 1).await;
}

pub async fn stream_exists_holds_only_after_the_first_event(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    conflicts(&store, "1", StreamExists, 0).await;
    done(&store, deposits("1", 1)).await;
    assert_eq!(done(&store, expecting("1", StreamExists, 1)).await.versions, [2]);
}

pub async fn an_exact_version_holds_only_there(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 5)).await;
    for other in [0, 1, 4, 6, 10] {
        conflicts(&store, "1", Exact(other), 5).await;
    }
    assert_eq!(done(&store, expecting("1", Exact(5), 1)).await.versions, [6]);
}

pub async fn exact_zero_is_no_stream(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    assert_eq!(done(&store, expecting("1", Exact(0), 1)).await.versions, [1]);
    conflicts(&store, "1", Exact(0), 1).await;
}

pub async fn a_version_beyond_every_stream_is_a_conflict(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 1)).await;
    for version in [1 << 32, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        conflicts(&store, "1", Exact(version), 1).await;
        conflicts(&store, "2", Exact(version), 0).await;
    }
}

pub async fn the_first_write_in_conflict_is_named(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 1)).await;
    let commit = together([
        expecting("1", Exact(1), 1),
        expecting("9", Exact(3), 1),
        expecting("2", StreamExists, 1),
    ]);
    let stream = Arc::new(account("9"));
    let conflict = ErrorKind::Conflict { stream, expected: Exact(3), actual: 0 };
    assert_eq!(refused(&store, commit).await, conflict);
}

async fn conflicts(store: &Store, id: &str, expected: ExpectedVersion, actual: u64) {
    let stream = Arc::new(account(id));
    let conflict = ErrorKind::Conflict { stream, expected, actual };
    assert_eq!(refused(store, expecting(id, expected, 1)).await, conflict);
}
