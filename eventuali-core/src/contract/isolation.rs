//! Clauses about many callers at once.

use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::given::{
    Store, account, deposits, done, events, expecting, found, ids, log, loose, of_tags, open,
    positions, put, put_expecting, query, record, tagged, together, versions,
};
use super::{Fixture, block_on};
use crate::commit::{Commit, Committed};
use crate::error::{ErrorKind, Result};
use crate::query::{Query, ReadRange};
use crate::record::ExpectedRecord;
use crate::stream::ExpectedVersion::{Any, Exact};

pub async fn one_of_sixteen_racers_wins_a_version(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 3)).await;
    let lost = one_wins(&store, 16, |_| expecting("1", Exact(3), 2));
    for kind in lost {
        assert!(matches!(kind, ErrorKind::Conflict { actual: 5, .. }), "{kind:?}");
    }
    assert_eq!(log(&store).await.len(), 5);
}

pub async fn one_of_eight_racers_wins_a_condition(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let after = done(&store, loose(vec![tagged("Reserved", &["seat:1"])])).await.positions[0];
    let lost = one_wins(&store, 8, |n| {
        let reserved = vec![tagged("Reserved", &["seat:1"])];
        let stream = account(&n.to_string());
        Commit::append(stream, Any, reserved).on_condition(query([of_tags(&["seat:1"])]), after)
    });
    for kind in lost {
        assert!(matches!(kind, ErrorKind::ConditionFailed { .. }), "{kind:?}");
    }
    assert_eq!(log(&store).await.len(), 2);
}

pub async fn one_of_eight_racers_wins_a_record(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let lost = one_wins(&store, 8, |_| put_expecting("lease", ExpectedRecord::Absent));
    for kind in lost {
        assert!(matches!(kind, ErrorKind::RecordConflict { actual: 1, .. }), "{kind:?}");
    }
    assert_eq!(record(&store, "lease").await.expect("the record is there").version, 1);
}

pub async fn one_of_eight_racers_raises_a_record(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for position in ["1", "2"] {
        let raised = |n: usize| Commit {
            records: vec![put("log", position).expecting(ExpectedRecord::Rising)],
            ..expecting(&format!("{position}-{n}"), Exact(0), 1)
        };
        for kind in one_wins(&store, 8, raised) {
            assert!(matches!(kind, ErrorKind::RecordConflict { .. }), "{kind:?}");
        }
    }
    assert_eq!(record(&store, "log").await.expect("the record is there").version, 2);
    assert_eq!(log(&store).await.len(), 2);
}

pub async fn a_conflict_fails_only_its_own_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commits: Vec<_> = (0..64)
        .map(|n| expecting(&n.to_string(), if n == 37 { Exact(5) } else { Exact(0) }, 2))
        .collect();
    for (n, result) in at_once(&store, &commits).await.into_iter().enumerate() {
        match result {
            Ok(committed) => assert_eq!((n == 37, committed.versions), (false, vec![2])),
            Err(error) => {
                assert_eq!(n, 37, "{error}");
                assert!(matches!(error.kind(), ErrorKind::Conflict { actual: 0, .. }));
            }
        }
    }
    assert_eq!(log(&store).await.len(), 126);
}

pub async fn every_sort_of_refusal_fails_only_its_own_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let known = events(1);
    done(&store, loose(known.clone())).await;
    let mut nil = deposits("nil", 1);
    nil.writes[0].events[0].event_id = Uuid::nil();
    let mut partial = deposits("partial", 1);
    partial.writes[0].events.extend(known);
    let mut commits: Vec<_> = (0..32).map(|n| expecting(&n.to_string(), Exact(0), 1)).collect();
    commits.insert(3, nil);
    commits.insert(9, partial);
    commits.insert(11, deposits("condition", 1).on_condition(Query::default(), 0));
    commits.insert(20, put_expecting("a", ExpectedRecord::Exact(1)));
    commits.insert(29, expecting("version", Exact(1), 1));
    for (n, result) in at_once(&store, &commits).await.into_iter().enumerate() {
        assert_eq!(result.is_err(), [3, 9, 11, 20, 29].contains(&n), "{n}: {result:?}");
    }
    assert_eq!(log(&store).await.len(), 33);
}

pub async fn callers_of_one_stream_wait_in_turn(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commits: Vec<_> = (0..64).map(|_| deposits("1", 3)).collect();
    let mut last = Vec::new();
    for (result, commit) in at_once(&store, &commits).await.into_iter().zip(&commits) {
        let committed = result.expect("the commit is accepted");
        last.push(committed.versions[0]);
        let own = query([crate::query::QueryItem {
            event_ids: commit.event_ids(),
            ..super::given::item()
        }]);
        let stored = found(&store, &own).await;
        assert_eq!(ids(&stored), commit.event_ids());
        assert_eq!(positions(&stored), committed.positions);
        assert_eq!(versions(&stored)[2], committed.versions[0]);
    }
    last.sort_unstable();
    assert_eq!(last, (1..=64).map(|n| n * 3).collect::<Vec<u64>>());
}

pub async fn events_of_one_commit_stay_together(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commits: Vec<_> = (0..32).map(|_| together([deposits("1", 2), deposits("2", 2)])).collect();
    for result in at_once(&store, &commits).await {
        result.expect("the commit is accepted");
    }
    let stored = ids(&log(&store).await);
    for commit in commits {
        let given = commit.event_ids();
        let at = stored.iter().position(|id| *id == given[0]).expect("the first event is stored");
        assert_eq!(stored[at..at + 4], given);
    }
}

pub async fn answers_need_not_be_awaited_in_order(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut answers: Vec<_> = (0..20).map(|_| store.commit(deposits("1", 1))).collect();
    while let Some(answer) = answers.pop() {
        answer.await.expect("the commit is accepted");
    }
    assert_eq!(log(&store).await.len(), 20);
}

pub async fn a_reader_skips_nothing_while_four_write(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let write = |writer: usize| {
            for n in 0..40 {
                let id = format!("{}", (writer + n) % 6);
                block_on(done(&store, deposits(&id, 1 + n % 3)));
            }
        };
        let writers: Vec<_> = (0..4).map(|w| scope.spawn(move || write(w))).collect();
        let mut range = ReadRange { limit: 7, ..ReadRange::default() };
        loop {
            let finished = writers.iter().all(thread::ScopedJoinHandle::is_finished);
            let page = block_on(store.read(Query::default(), range)).expect("the page is read");
            seen.extend(page.iter().map(|event| event.head.position));
            range = range.continued(page.looked_to);
            if finished && page.end {
                break;
            }
        }
    });
    assert!(seen.is_sorted(), "in the order of positions");
    assert_eq!(seen, positions(&log(&store).await), "all of them");
}

pub async fn many_threads_share_a_store(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for version in 0..15 {
                    let id = writer.to_string();
                    let committed = block_on(done(store, expecting(&id, Exact(version), 1)));
                    assert_eq!(committed.versions, [version + 1]);
                    let own = block_on(found(store, &Query::stream(&account(&id))));
                    assert_eq!(own.len() as u64, version + 1, "a caller sees its own writes");
                }
            });
        }
    });
    assert_eq!(log(&store).await.len(), 120);
}

pub async fn two_handles_are_one_store(fixture: &dyn Fixture) {
    let first = open(fixture).await;
    if !first.capabilities().shared {
        return;
    }
    let second = open(fixture).await;
    for round in 0..10 {
        done(&first, expecting("1", Exact(round * 2), 1)).await;
        done(&second, expecting("1", Exact(round * 2 + 1), 1)).await;
        assert_eq!(log(&first).await, log(&second).await);
    }
    let lost: usize = thread::scope(|scope| {
        let race = |store: &Store| block_on(store.commit(expecting("1", Exact(20), 1))).is_err();
        let threads = [&first, &second].map(|store| scope.spawn(move || race(store)));
        threads.map(|thread| usize::from(thread.join().expect("the thread ends"))).iter().sum()
    });
    assert_eq!(lost, 1, "exactly one wins");
}

pub async fn two_handles_skip_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    if !store.capabilities().shared {
        return;
    }
    let others = [open(fixture).await, open(fixture).await];
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let write = |store: &Store| {
            for n in 0..30 {
                block_on(done(store, deposits("1", 1 + n % 2)));
            }
        };
        let writers = others.each_ref().map(|store| scope.spawn(move || write(store)));
        let mut range = ReadRange::default();
        loop {
            let finished = writers.iter().all(thread::ScopedJoinHandle::is_finished);
            let page = block_on(store.read(Query::default(), range)).expect("the page is read");
            seen.extend(page.iter().map(|event| event.head.position));
            range = range.continued(page.looked_to);
            if finished && page.end {
                break;
            }
            thread::sleep(Duration::from_micros(200));
        }
    });
    assert_eq!(seen, positions(&log(&store).await), "all of them");
}

/// Sends every commit before it waits for the first answer.
async fn at_once(store: &Store, commits: &[Commit]) -> Vec<Result<Committed>> {
    let answers: Vec<_> = commits.iter().map(|commit| store.commit(commit.clone())).collect();
    let mut results = Vec::new();
    for answer in answers {
        results.push(answer.await);
    }
    results
}

/// Sends a commit from each of `racers` threads, of which one is accepted; why the others weren't.
fn one_wins(store: &Store, racers: usize, commit: impl Fn(usize) -> Commit) -> Vec<ErrorKind> {
    let results: Vec<_> = thread::scope(|scope| {
        let send = |commit| scope.spawn(move || block_on(store.commit(commit)));
        let threads: Vec<_> = (0..racers).map(|n| send(commit(n))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ends")).collect()
    });
    let lost: Vec<_> =
        results.into_iter().filter_map(Result::err).map(|error| error.kind().clone()).collect();
    assert_eq!(lost.len(), racers - 1, "exactly one wins");
    lost
}
