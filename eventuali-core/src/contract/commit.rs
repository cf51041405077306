//! Clauses about the commit as a whole.

use std::sync::Arc;
use std::thread;

use super::given::{
    account, deposits, done, event, events, expecting, found, ids, log, loose, of_type, open,
    picture, positions, put, query, record, refused, reopen, together,
};
use super::{Fixture, block_on};
use crate::commit::{Commit, Committed, StreamWrite};
use crate::error::ErrorKind;
use crate::query::{Query, ReadRange};
use crate::record::ExpectedRecord;
use crate::stream::ExpectedVersion::{Any, Exact, NoStream, StreamExists};

pub async fn acknowledged_events_are_read_at_once(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for count in 1..5 {
        let commit = deposits("1", count);
        let given = commit.event_ids();
        let committed = done(&store, commit).await;
        let log = log(&store).await;
        let last = &log[log.len() - count..];
        assert_eq!(ids(last), given);
        assert_eq!(positions(last), committed.positions);
    }
}

pub async fn acknowledged_commits_survive_reopening(fixture: &dyn Fixture) {
    let mut store = open(fixture).await;
    if !store.capabilities().durable {
        return;
    }
    for count in 1..4 {
        done(&store, together([deposits("1", count), Commit::change(vec![put("a", "b")])])).await;
        let before = picture(&store).await;
        store = reopen(fixture, store).await;
        assert_eq!(picture(&store).await, before);
    }
}

pub async fn several_streams_are_one_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = together([deposits("b", 2), loose(events(1)), deposits("a", 2)]);
    let given = commit.event_ids();
    let committed = done(&store, commit).await;
    let log = log(&store).await;
    assert_eq!(ids(&log), given, "in the order of the commit");
    assert_eq!(positions(&log), committed.positions);
}

pub async fn events_and_records_are_one_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = together([deposits("1", 1), Commit::change(vec![put("a", "b")])]);
    done(&store, commit).await;
    assert_eq!(log(&store).await.len(), 1);
    assert_eq!(record(&store, "a").await.expect("the record is there").value.bytes, b"b");
}

pub async fn one_conflict_writes_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, together([deposits("1", 1), Commit::change(vec![put("a", "old")])])).await;
    let before = picture(&store).await;
    let commit = together([
        expecting("1", Exact(1), 2),
        loose(events(2)),
        expecting("2", Exact(7), 2),
        Commit::change(vec![put("a", "new"), put("b", "new")]),
    ]);
    assert!(matches!(refused(&store, commit).await, ErrorKind::Conflict { .. }));
    assert_eq!(picture(&store).await, before);
}

pub async fn one_failed_condition_writes_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 1)).await;
    let before = picture(&store).await;
    let commit = together([deposits("2", 2), Commit::change(vec![put("a", "new")])]);
    let commit = commit.on_condition(query([of_type("Deposited")]), 0);
    assert!(matches!(refused(&store, commit).await, ErrorKind::ConditionFailed { .. }));
    assert_eq!(picture(&store).await, before);
}

pub async fn one_record_conflict_writes_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, Commit::change(vec![put("a", "old")])).await;
    let before = picture(&store).await;
    let stale = put("b", "new").expecting(ExpectedRecord::Exact(3));
    let commit = together([deposits("1", 2), Commit::change(vec![put("a", "new"), stale])]);
    assert!(matches!(refused(&store, commit).await, ErrorKind::RecordConflict { .. }));
    assert_eq!(picture(&store).await, before);
}

pub async fn conflict_names_expected_and_actual(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 3)).await;
    for (id, expected, actual) in
        [("1", NoStream, 3), ("1", Exact(2), 3), ("1", Exact(4), 3), ("2", StreamExists, 0)]
    {
        let kind = refused(&store, expecting(id, expected, 1)).await;
        let stream = Arc::new(account(id));
        assert_eq!(kind, ErrorKind::Conflict { stream, expected, actual });
    }
}

pub async fn a_refused_commit_leaves_the_store_working(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for round in 0..5 {
        let kind = refused(&store, expecting("1", Exact(99), 1)).await;
        assert!(matches!(kind, ErrorKind::Conflict { .. }));
        let committed = done(&store, expecting("1", Exact(round), 1)).await;
        assert_eq!(committed.versions, [round + 1]);
    }
}

pub async fn ten_thousand_events_are_one_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let count = store.capabilities().limits.commit_events;
    let commit = deposits("1", count);
    let given = commit.event_ids();
    let committed = done(&store, commit.clone()).await;
    assert_eq!(committed.positions.len(), count);
    assert_eq!(committed.versions, [count as u64]);
    let log = log(&store).await;
    assert!(ids(&log) == given, "all of them, in their order");
    assert!(positions(&log) == committed.positions, "where the answer says");
    assert!(done(&store, commit).await == committed, "a repetition gets the same answer");
}

pub async fn a_thousand_streams_are_one_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let ids: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
    let commit = together(ids.iter().map(|id| expecting(id, NoStream, 1)));
    let committed = done(&store, commit).await;
    assert_eq!(committed.versions, vec![1; 1000]);
    let again = together(ids.iter().map(|id| expecting(id, Exact(1), 1)));
    assert_eq!(done(&store, again).await.versions, vec![2; 1000]);
}

pub async fn an_empty_commit_changes_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 1)).await;
    let before = picture(&store).await;
    assert_eq!(done(&store, Commit::default()).await, Committed::default());
    assert_eq!(picture(&store).await, before);
}

pub async fn a_write_without_events_is_a_condition(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 2)).await;
    for (id, expected, version) in [("1", Exact(2), 2), ("2", NoStream, 0), ("1", Any, 2)] {
        let committed = done(&store, expecting(id, expected, 0)).await;
        assert_eq!(committed, Committed { versions: vec![version], ..Committed::default() });
    }
    let guarded = together([expecting("1", Exact(1), 0), deposits("2", 1)]);
    let kind = refused(&store, guarded).await;
    let stream = Arc::new(account("1"));
    assert_eq!(kind, ErrorKind::Conflict { stream, expected: Exact(1), actual: 2 });
    assert_eq!(log(&store).await.len(), 2);
}

pub async fn readers_never_see_half_a_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..40 {
                block_on(done(&store, together([deposits("1", 3), deposits("2", 2)])));
            }
        });
        while !writer.is_finished() {
            let page = store.read(Query::default(), ReadRange::default());
            assert_eq!(block_on(page).expect("the page is read").len() % 5, 0);
        }
    });
    assert_eq!(log(&store).await.len(), 200);
}

pub async fn one_commit_may_mix_types_and_codecs(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut zipped = event("Opened");
    "json+zstd".clone_into(&mut Arc::make_mut(&mut zipped.kind).codec);
    let events = vec![event("Opened"), zipped, event("Closed")];
    let write = StreamWrite { stream: Arc::new(account("1")), expected: Any, events };
    done(&store, Commit { writes: vec![write.clone()], ..Commit::default() }).await;
    let stored = found(&store, &Query::stream(&account("1"))).await;
    for (stored, given) in stored.iter().zip(&write.events) {
        assert_eq!(stored.head.kind, given.kind);
    }
}
