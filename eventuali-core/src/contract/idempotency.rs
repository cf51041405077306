//! Clauses about the same event ids again, and about answers that nobody waited for.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::given::{
    OTHER, Store, account, deposits, done, event, events, expecting, found, ids, key, log, loose,
    of_type, open, picture, put, query, record, refused, reopen, tagged, together, versions,
};
use super::{Fixture, block_on};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::event::{Metadata, NewEvent};
use crate::query::Query;
use crate::record::{ExpectedRecord, RecordChange};
use crate::stream::ExpectedVersion::{Any, Exact, NoStream};

pub async fn the_same_commit_gives_the_same_answer(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = deposits("1", 3);
    let committed = done(&store, commit.clone()).await;
    let before = picture(&store).await;
    for _ in 0..3 {
        assert_eq!(done(&store, commit.clone()).await, committed);
    }
    assert_eq!(picture(&store).await, before, "and writes nothing");
}

pub async fn another_order_is_a_conflict(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = deposits("1", 3);
    done(&store, commit.clone()).await;
    let before = picture(&store).await;
    let mut turned = commit;
    turned.writes[0].events.reverse();
    let event_ids = turned.event_ids();
    assert_eq!(refused(&store, turned).await, ErrorKind::IdempotencyConflict { event_ids });
    assert_eq!(picture(&store).await, before);
}

pub async fn a_stale_expectation_does_not_matter(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = expecting("1", NoStream, 2);
    let committed = done(&store, commit.clone()).await;
    done(&store, deposits("1", 3)).await;
    assert_eq!(done(&store, commit).await, committed);
}

pub async fn a_stale_condition_does_not_matter(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = deposits("1", 2).on_condition(query([of_type("Deposited")]), 0);
    let committed = done(&store, commit.clone()).await;
    assert_eq!(done(&store, commit).await, committed);
}

pub async fn a_new_handle_gives_the_same_answer(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = together([expecting("1", NoStream, 2), loose(events(2))]);
    let committed = done(&store, commit.clone()).await;
    done(&store, deposits("1", 1)).await;
    let store = reopen(fixture, store).await;
    assert_eq!(done(&store, commit).await, committed);
    assert_eq!(log(&store).await.len(), 5);
}

pub async fn several_streams_are_repeated_as_one(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("2", 4)).await;
    let commit = together([
        expecting("1", NoStream, 2),
        loose(events(1)),
        expecting("2", Exact(4), 1),
        expecting("3", NoStream, 0),
    ]);
    let mut committed = done(&store, commit.clone()).await;
    done(&store, together([deposits("1", 5), deposits("2", 5), deposits("3", 6)])).await;
    committed.versions[3] = 6;
    assert_eq!(done(&store, commit).await, committed, "without events: the present version");
}

pub async fn sixteen_callers_of_one_commit_get_one_answer(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = expecting("1", NoStream, 3);
    let answers: Vec<_> = (0..16).map(|_| store.commit(commit.clone())).collect();
    let mut committed = Vec::new();
    for answer in answers {
        committed.push(answer.await.expect("the commit is accepted"));
    }
    committed.dedup();
    assert_eq!(committed.len(), 1, "one answer for all");
    assert_eq!(ids(&log(&store).await), commit.event_ids());
}

pub async fn sixteen_threads_with_one_commit_get_one_answer(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = together([expecting("1", NoStream, 2), Commit::change(vec![put("a", "b")])]);
    let mut committed: Vec<_> = thread::scope(|scope| {
        let send = || block_on(done(&store, commit.clone()));
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ends")).collect()
    });
    committed.dedup();
    assert_eq!(committed.len(), 1, "one answer for all");
    assert_eq!(ids(&log(&store).await), commit.event_ids());
}

pub async fn a_repetition_does_not_raise_record_versions(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, Commit::change(vec![put("a", "0")])).await;
    let change = vec![
        put("a", "1").expecting(ExpectedRecord::Exact(1)),
        put("b", "1").expecting(ExpectedRecord::Absent),
        RecordChange::delete(key("c")),
    ];
    let commit = together([deposits("1", 1), Commit::change(change)]);
    let committed = done(&store, commit.clone()).await;
    assert_eq!(committed.record_versions, [2, 1, 1]);
    assert_eq!(done(&store, commit).await, committed);
    assert_eq!(record(&store, "a").await.expect("a is there").version, 2);
}

pub async fn a_repetition_does_not_undo_later_records(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let change = vec![put("a", "1"), put("b", "1").expecting(ExpectedRecord::Absent)];
    let mut commit = together([deposits("1", 1), Commit::change(change)]);
    done(&store, Commit::change(vec![put("c", "0")])).await;
    commit.records.push(put("c", "1").expecting(ExpectedRecord::Exact(1)));
    done(&store, commit.clone()).await;
    for later in ["2", "3"] {
        let change = vec![put("a", later), put("b", later), put("c", later)];
        done(&store, Commit::change(change)).await;
    }
    let repeated = done(&store, commit).await;
    assert_eq!(repeated.record_versions, [3, 3, 2], "present, present, implied by its condition");
    assert_eq!(record(&store, "a").await.expect("a is there").value.bytes, b"3");
}

pub async fn other_record_changes_are_a_conflict(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let plain = deposits("1", 1);
    let with = |value| Commit { records: vec![put("a", value)], ..deposits("2", 1) };
    let noted = with("x");
    done(&store, plain.clone()).await;
    done(&store, noted.clone()).await;
    let before = picture(&store).await;
    let others = [
        Commit { records: vec![put("a", "x")], ..plain },
        Commit { records: Vec::new(), ..noted.clone() },
        Commit { records: with("y").records, ..noted.clone() },
        Commit { records: vec![put("b", "x")], ..noted.clone() },
        Commit { records: vec![put("a", "x"), put("b", "x")], ..noted.clone() },
    ];
    for other in others {
        let event_ids = other.event_ids();
        assert_eq!(refused(&store, other).await, ErrorKind::IdempotencyConflict { event_ids });
    }
    assert_eq!(done(&store, noted).await.record_versions, [1]);
    assert_eq!(picture(&store).await, before);
}

pub async fn derived_record_changes_are_no_part_of_it(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let derived =
        |value| Commit { records: vec![put("a", value)], derived: true, ..deposits("2", 1) };
    let first = derived("x");
    let committed = done(&store, first.clone()).await;
    let before = picture(&store).await;
    let again = [
        Commit { records: vec![put("a", "y").expecting(ExpectedRecord::Absent)], ..first.clone() },
        Commit { records: Vec::new(), ..first.clone() },
        first.clone(),
    ];
    for again in again {
        let repeated = done(&store, again).await;
        assert_eq!(repeated.positions, committed.positions);
    }
    let own = Commit { derived: false, ..first };
    let event_ids = own.event_ids();
    assert_eq!(refused(&store, own).await, ErrorKind::IdempotencyConflict { event_ids });
    assert_eq!(picture(&store).await, before);
    let alone = Commit { derived: true, ..Commit::change(vec![put("a", "z")]) };
    assert_eq!(refused(&store, alone).await, ErrorKind::Invalid { field: "records" });
}

pub async fn a_commit_of_records_is_known_by_its_id(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let change = vec![
        put("a", "1").expecting(ExpectedRecord::Absent),
        RecordChange::delete(key("b")).expecting(ExpectedRecord::Any),
    ];
    let commit = Commit::change(change);
    let committed = done(&store, commit.clone()).await;
    assert_eq!(done(&store, commit.clone()).await, committed);
    assert_eq!(committed.record_versions, [1, 1]);
    let with_condition = together([expecting("1", NoStream, 0), commit.clone()]);
    let with_condition = Commit { id: commit.id, ..with_condition };
    assert_eq!(done(&store, with_condition).await.versions, [0], "writes are answered too");
    let another = Commit { id: Uuid::now_v7(), ..commit };
    assert!(matches!(refused(&store, another).await, ErrorKind::RecordConflict { .. }));
}

pub async fn a_part_of_the_ids_is_a_conflict(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given = events(5);
    done(&store, deposits_of("1", &given[..3])).await;
    for (sent, stored) in [(&given[..], &given[..3]), (&given[1..4], &given[1..3])] {
        conflicts(&store, deposits_of("1", sent), stored).await;
    }
}

pub async fn a_part_of_a_commit_alone_is_repeated(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given = events(5);
    let whole = done(&store, deposits_of("1", &given)).await;
    let part = done(&store, deposits_of("1", &given[1..3])).await;
    assert_eq!(part.positions, whole.positions[1..3]);
    assert_eq!(part.versions, [3], "as its last event was stored");
    assert_eq!(part.recorded_at, whole.recorded_at);
}

pub async fn stored_ids_are_listed_in_the_order_of_the_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given = events(6);
    done(&store, deposits_of("1", &given[3..4])).await;
    done(&store, deposits_of("2", &given[..1])).await;
    let commit = together([deposits_of("2", &given[..3]), deposits_of("1", &given[3..])]);
    conflicts(&store, commit, &[given[0].clone(), given[3].clone()]).await;
}

pub async fn another_payload_is_a_conflict(fixture: &dyn Fixture) {
    changed(fixture, |event| event.payload.push(b' ')).await;
    changed(fixture, |event| event.payload.clear()).await;
}

pub async fn another_kind_is_a_conflict(fixture: &dyn Fixture) {
    changed(fixture, |event| Arc::make_mut(&mut event.kind).event_type.push('2')).await;
    changed(fixture, |event| Arc::make_mut(&mut event.kind).event_version += 1).await;
    changed(fixture, |event| Arc::make_mut(&mut event.kind).codec.push_str("+zstd")).await;
}

pub async fn another_time_is_a_conflict(fixture: &dyn Fixture) {
    changed(fixture, |event| event.timestamp += 1).await;
}

pub async fn other_metadata_is_a_conflict(fixture: &dyn Fixture) {
    let metadata = |event: &mut NewEvent| event.metadata.take().unwrap_or_default();
    changed(fixture, |event| event.metadata = None).await;
    changed(fixture, |event| {
        let tags = vec!["other".to_owned()];
        event.metadata = Some(Box::new(Metadata { tags, ..*metadata(event) }));
    })
    .await;
    changed(fixture, |event| {
        let user_id = Some(String::new());
        event.metadata = Some(Box::new(Metadata { user_id, ..*metadata(event) }));
    })
    .await;
}

pub async fn another_stream_is_a_conflict(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given = events(2);
    done(&store, deposits_of("1", &given)).await;
    conflicts(&store, deposits_of("2", &given), &given).await;
    conflicts(&store, loose(given.clone()), &given).await;
}

pub async fn ids_are_unique_across_tenants(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given = events(2);
    done(&store, deposits_of("1", &given)).await;
    let foreign = account("1").with_tenant(OTHER);
    conflicts(&store, Commit::append(foreign, Any, given.clone()), &given).await;
}

pub async fn a_refused_commit_may_be_sent_again(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut commit = expecting("1", Exact(1), 2);
    refused(&store, commit.clone()).await;
    commit.writes[0].expected = NoStream;
    assert_eq!(done(&store, commit).await.versions, [2]);
    assert_eq!(log(&store).await.len(), 2);
}

pub async fn a_dropped_answer_is_written_all_the_same(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commits: Vec<_> = (0..20).map(|_| deposits("1", 2)).collect();
    for commit in &commits {
        drop(store.commit(commit.clone()));
    }
    for _ in 0..10_000 {
        if log(&store).await.len() == 40 {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("a write whose answer was dropped never came");
}

pub async fn a_dropped_answer_is_settled_by_repetition(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for round in 0..50 {
        let change = Commit::change(vec![put("a", &round.to_string())]);
        let commit = together([expecting("1", Exact(round), 1), change]);
        drop(store.commit(commit.clone()));
        assert_eq!(done(&store, commit.clone()).await.versions, [round + 1]);
        assert_eq!(done(&store, commit).await.record_versions, [round + 1]);
    }
    let stored = found(&store, &Query::stream(&account("1"))).await;
    assert_eq!(versions(&stored), (1..=50).collect::<Vec<u64>>(), "never twice");
}

pub async fn an_answer_outlives_the_handle(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let answer = store.commit(deposits("1", 2));
    drop(store);
    assert_eq!(answer.await.expect("the commit is accepted").versions, [2]);
}

fn deposits_of(id: &str, events: &[NewEvent]) -> Commit {
    Commit::append(account(id), Any, events.to_vec())
}

/// Sends `commit`, of whose events exactly `stored` are there already, in vain.
async fn conflicts(store: &Store, commit: Commit, stored: &[NewEvent]) {
    let before = picture(store).await;
    let event_ids = stored.iter().map(|event| event.event_id).collect();
    assert_eq!(refused(store, commit).await, ErrorKind::IdempotencyConflict { event_ids });
    assert_eq!(picture(store).await, before, "nothing is written");
}

/// Sends a commit again, once one of its events is other than it was.
async fn changed(fixture: &dyn Fixture, change: impl Fn(&mut NewEvent)) {
    let store = open(fixture).await;
    let mut given = vec![event("Opened"), tagged("Named", &["name"]), event("Closed")];
    done(&store, deposits_of("1", &given)).await;
    change(&mut given[1]);
    conflicts(&store, deposits_of("1", &given), &given).await;
}
