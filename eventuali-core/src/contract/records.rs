//! Clauses about a record's life: versions, conditions, deletion.

use super::Fixture;
use super::given::{
    OTHER, Store, deposits, done, key, open, picture, put, put_expecting, record, records, refused,
    reopen, select, together,
};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::record::ExpectedRecord::{self, Absent, Any, Exact, Rising};
use crate::record::{
    Record, RecordChange, RecordCheck, RecordKey, RecordPurge, RecordQuery, RecordSelection,
    RecordValue, Scalar,
};
use crate::text::Words;

pub async fn what_was_put_is_there(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    assert_eq!(record(&store, "a").await, None);
    for (bytes, version) in [("one", 1), ("two", 2), ("", 3)] {
        done(&store, Commit::change(vec![put("a", bytes)])).await;
        let stored = record(&store, "a").await.expect("the record is there");
        assert_eq!(stored.value.bytes, bytes.as_bytes());
        assert_eq!((stored.key, stored.version), (key("a"), version));
    }
}

pub async fn every_byte_comes_back(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let documents: [Vec<u8>; 4] =
        [(0..=255).cycle().take(100_000).collect(), vec![], vec![0], b"\xff\0".to_vec()];
    let change = |(n, bytes): (usize, &Vec<u8>)| RecordChange::put(key(&n.to_string()), &bytes[..]);
    done(&store, Commit::change(documents.iter().enumerate().map(change).collect())).await;
    let store = reopen(fixture, store).await;
    for (n, bytes) in documents.iter().enumerate() {
        let stored = record(&store, &n.to_string()).await.expect("the record is there");
        assert!(stored.value.bytes == *bytes, "document {n} is as given");
    }
}

pub async fn due_and_index_come_back(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let value = RecordValue {
        bytes: b"x".to_vec(),
        due: Some(-62_135_596_800_000_000),
        index: vec![
            ("a".to_owned(), Scalar::Int(i64::MAX)),
            ("a".to_owned(), Scalar::Real(-1.797_693_134_862_315_7e308)),
            ("a".to_owned(), Scalar::Real(f64::MIN_POSITIVE)),
            ("e".to_owned(), Scalar::Text(String::new())),
            ("z".to_owned(), Scalar::Int(i64::MIN)),
            ("Ä".to_owned(), Scalar::Text("\0'\"😀".to_owned())),
        ],
        text: None,
    };
    let mut given = value.clone();
    given.index.extend(value.index.clone());
    given.index.reverse();
    let change = RecordChange { key: key("a"), expected: Any, value: Some(given) };
    done(&store, Commit::change(vec![change])).await;
    assert_eq!(record(&store, "a").await.expect("the record is there").value, value);
    let store = reopen(fixture, store).await;
    assert_eq!(record(&store, "a").await.expect("the record is there").value, value);
}

pub async fn a_record_knows_its_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let alone = Commit::change(vec![put("a", "1")]);
    let with_events = together([deposits("1", 2), Commit::change(vec![put("b", "1")])]);
    for commit in [alone, with_events] {
        done(&store, commit.clone()).await;
        let stored = record(&store, &commit.records[0].key.key).await.expect("it is there");
        assert_eq!(stored.commit_id, commit.identity());
    }
}

pub async fn each_change_adds_one_to_the_version(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for version in 1..6 {
        let commit = Commit::change(vec![put("a", "same"), put(&version.to_string(), "x")]);
        assert_eq!(done(&store, commit).await.record_versions, [version, 1]);
    }
}

pub async fn versions_never_restart(fixture: &dyn Fixture) {
    let mut store = open(fixture).await;
    for round in 0..3 {
        let version = round * 3;
        assert_eq!(changed(&store, put("a", "1")).await, version + 1);
        assert_eq!(changed(&store, put("a", "2")).await, version + 2);
        assert_eq!(changed(&store, RecordChange::delete(key("a"))).await, version + 3);
        store = reopen(fixture, store).await;
    }
    assert_eq!(changed(&store, put("a", "1").expecting(Absent)).await, 10);
}

pub async fn deleting_what_never_was_counts(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for version in 1..4 {
        assert_eq!(changed(&store, RecordChange::delete(key("a"))).await, version);
    }
    assert_eq!(record(&store, "a").await, None);
    assert_eq!(changed(&store, put("a", "1").expecting(Absent)).await, 4);
}

pub async fn any_always_holds(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let changes = ["never", "there", "deleted"].map(|name| put(name, "x").expecting(Any));
    let committed = done(&store, Commit::change(changes.to_vec())).await;
    assert_eq!(committed.record_versions, [1, 3, 3]);
}

pub async fn absent_holds_only_where_nothing_is(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    conflicts(&store, "there", Absent, 2).await;
    for (name, version) in [("never", 1), ("deleted", 3)] {
        assert_eq!(changed(&store, put(name, "x").expecting(Absent)).await, version);
    }
}

pub async fn exact_holds_only_there(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    for version in [0, 1, 3, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        conflicts(&store, "there", Exact(version), 2).await;
    }
    assert_eq!(changed(&store, put("there", "x").expecting(Exact(2))).await, 3);
}

pub async fn exact_never_holds_where_nothing_is(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    for version in 0..4 {
        conflicts(&store, "deleted", Exact(version), 2).await;
        conflicts(&store, "never", Exact(version), 0).await;
    }
}

pub async fn a_deletion_has_conditions_too(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let delete = |name: &str, expected| RecordChange::delete(key(name)).expecting(expected);
    for (name, expected) in [("there", Exact(1)), ("there", Absent), ("deleted", Exact(2))] {
        let kind = refused(&store, Commit::change(vec![delete(name, expected)])).await;
        assert!(matches!(kind, ErrorKind::RecordConflict { .. }), "{kind:?}");
    }
    assert_eq!(changed(&store, delete("there", Exact(2))).await, 3);
    assert_eq!(changed(&store, delete("deleted", Absent)).await, 3);
}

pub async fn the_first_record_in_conflict_is_named(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let commit = Commit::change(vec![
        put("there", "x").expecting(Exact(2)),
        put("deleted", "x").expecting(Exact(9)),
        put("never", "x").expecting(Exact(9)),
    ]);
    let conflict = ErrorKind::RecordConflict { key: key("deleted"), expected: Exact(9), actual: 2 };
    assert_eq!(refused(&store, commit).await, conflict);
    assert_eq!(record(&store, "there").await.expect("it is there").version, 2);
}

pub async fn a_check_holds_only_there(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let before = picture(&store).await;
    for (name, version, actual) in
        [("there", 1, 2), ("there", 3, 2), ("deleted", 2, 2), ("never", 0, 0), ("never", 1, 0)]
    {
        let commit = checking(together([deposits("1", 1), putting("other")]), name, version);
        let expected = Exact(version);
        let conflict = ErrorKind::RecordConflict { key: key(name), expected, actual };
        assert_eq!(refused(&store, commit).await, conflict);
        assert_eq!(picture(&store).await, before);
    }
    done(&store, checking(together([deposits("1", 1), putting("other")]), "there", 2)).await;
    assert_eq!(record(&store, "there").await.expect("it is there").version, 2, "and stays so");
}

pub async fn a_check_holds_against_what_came_just_before(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let change = store.commit(Commit::change(vec![put("there", "x")]));
    let check = store.commit(checking(putting("other"), "there", 2));
    change.await.expect("it is changed");
    let error = check.await.expect_err("it was changed before");
    assert!(matches!(error.kind(), ErrorKind::RecordConflict { actual: 3, .. }), "{error:?}");
}

pub async fn a_repetition_is_checked_no_more(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let commit = checking(together([deposits("1", 1), putting("other")]), "there", 2);
    let committed = done(&store, commit.clone()).await;
    done(&store, putting("there")).await;
    assert_eq!(done(&store, commit).await, committed);
}

pub async fn checks_alone_are_a_question(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let before = picture(&store).await;
    done(&store, checking(Commit::default(), "there", 2)).await;
    let kind = refused(&store, checking(Commit::default(), "there", 1)).await;
    assert!(matches!(kind, ErrorKind::RecordConflict { actual: 2, .. }), "{kind:?}");
    assert_eq!(picture(&store).await, before);
}

pub async fn a_commit_checks_no_record_that_it_changes(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    for commit in [
        checking(putting("there"), "there", 2),
        checking(checking(putting("other"), "there", 2), "there", 2),
    ] {
        assert_eq!(refused(&store, commit).await, ErrorKind::Invalid { field: "key" });
    }
}

fn putting(name: &str) -> Commit {
    Commit::change(vec![put(name, "x")])
}

fn checking(mut commit: Commit, name: &str, version: u64) -> Commit {
    commit.checks.push(RecordCheck { key: key(name), version });
    commit
}

pub async fn deleted_records_are_hidden(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let value = RecordValue {
        bytes: b"x".to_vec(),
        due: Some(1),
        index: vec![("n".to_owned(), Scalar::Int(1))],
        text: None,
    };
    let change = RecordChange { key: key("a"), expected: Any, value: Some(value) };
    done(&store, Commit::change(vec![change])).await;
    assert_eq!(everywhere(&store).await.len(), 4);
    done(&store, Commit::change(vec![RecordChange::delete(key("a"))])).await;
    assert_eq!(everywhere(&store).await, []);
    done(&store, Commit::change(vec![put("a", "again")])).await;
    assert_eq!(everywhere(&store).await.len(), 2, "without index and due, as it was put");
}

pub async fn spaces_stay_apart(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let spaces = ["doc", "Doc", "docs", "d%c"];
    let of = |space: &str| RecordChange::put(RecordKey::new(space, "a"), space);
    let committed = done(&store, Commit::change(spaces.map(of).to_vec())).await;
    assert_eq!(committed.record_versions, [1; 4]);
    for space in spaces {
        let all = RecordSelection::Prefix(String::new());
        let query = RecordQuery { space: space.to_owned(), ..select(all) };
        let stored = records(&store, &query, 10).await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].value.bytes, space.as_bytes());
    }
}

/// In each round, of twenty records: half are new or were deleted, some keep their entries in the
/// index, some get others, some lose theirs.
pub async fn many_changes_behind_a_judged_one(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let owner = |n: u64, round: u64| match n % 4 {
        0 => None,
        1 => Some(Scalar::Int(1)),
        2 => Some(Scalar::Int(round as i64)),
        _ => round.is_multiple_of(2).then(|| Scalar::Text(format!("{round}"))),
    };
    for round in 0..4 {
        let name = |n: u64| format!("{n:02}");
        let change = |n: u64| {
            let index = owner(n, round).map(|scalar| ("n".to_owned(), scalar)).into_iter();
            let value = RecordValue {
                bytes: vec![round as u8],
                index: index.collect(),
                ..RecordValue::default()
            };
            let value = (n % 5 != round).then_some(value);
            RecordChange { key: key(&name(n)), expected: Any, value }
        };
        let mut changes: Vec<_> = (0..20 + round).map(change).collect();
        let expected = if round == 0 { Absent } else { Exact(round) };
        changes.insert(7, put("cursor", "x").expecting(expected));
        let commit = Commit::change(changes);
        let commit = if round == 2 { together([deposits("1", 2), commit]) } else { commit };
        let committed = done(&store, commit.clone()).await;
        let versions = (0..20 + round).map(|n| if n < 20 { round + 1 } else { round + 20 - n });
        let mut versions: Vec<u64> = versions.collect();
        versions.insert(7, round + 1);
        assert_eq!(committed.record_versions, versions);
        assert_eq!(done(&store, commit).await, committed, "the same commit, the same answer");
        let cursor = put("cursor", "x").expecting(expected);
        let late = vec![cursor, put("new", "x"), put("00", "y")];
        let actual = round + 1;
        let conflict = ErrorKind::RecordConflict { key: key("cursor"), expected, actual };
        assert_eq!(refused(&store, Commit::change(late)).await, conflict);
        for n in 0..20 + round {
            let found = record(&store, &name(n)).await.map(|record| record.value);
            assert_eq!(found, change(n).value, "record {n} in round {round}");
        }
        let mut indexed: Vec<_> = (0..20 + round)
            .filter(|n| n % 5 != round)
            .filter_map(|n| owner(n, round).map(|scalar| (scalar, name(n))))
            .collect();
        indexed.sort();
        let all = RecordSelection::Index { name: "n".to_owned(), from: None, to: None };
        let found = records(&store, &select(all), 100).await;
        let found: Vec<_> = found.into_iter().map(|record| record.key.key).collect();
        let indexed: Vec<_> = indexed.into_iter().map(|(_, name)| name).collect();
        assert_eq!(found, indexed, "in round {round}");
    }
}

pub async fn a_thousand_changes_are_one_commit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let count = store.capabilities().limits.commit_records;
    for version in 1..3 {
        let changes = (0..count).map(|n| put(&format!("{n:06}"), "x")).collect();
        let committed = done(&store, Commit::change(changes)).await;
        assert_eq!(committed.record_versions, vec![version; count]);
        assert_eq!((committed.positions.len(), committed.recorded_at), (0, 0));
    }
    let all = select(RecordSelection::Prefix(String::new()));
    assert_eq!(records(&store, &all, 300).await.len(), count);
}

async fn changed(store: &Store, change: RecordChange) -> u64 {
    done(store, Commit::change(vec![change])).await.record_versions[0]
}

async fn conflicts(store: &Store, name: &str, expected: ExpectedRecord, actual: u64) {
    let conflict = ErrorKind::RecordConflict { key: key(name), expected, actual };
    assert_eq!(refused(store, put_expecting(name, expected)).await, conflict);
}

/// `there` is at version 2, `deleted` was deleted by version 2, `never` was never written.
async fn with_three(fixture: &dyn Fixture) -> Store {
    let store = open(fixture).await;
    done(&store, Commit::change(vec![put("there", "1"), put("deleted", "1")])).await;
    let second = vec![put("there", "2"), RecordChange::delete(key("deleted"))];
    done(&store, Commit::change(second)).await;
    store
}

/// The record `a`, as often as the four selections find it.
async fn everywhere(store: &Store) -> Vec<Record> {
    let mut found = Vec::new();
    for chosen in [
        RecordSelection::Keys(vec!["a".to_owned()]),
        RecordSelection::Prefix("a".to_owned()),
        RecordSelection::Index { name: "n".to_owned(), from: None, to: None },
        RecordSelection::Due { until: None },
    ] {
        found.extend(records(store, &select(chosen), 10).await);
    }
    found
}

pub async fn a_purge_leaves_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let of = |space: &str, key: &str| {
        let value = RecordValue {
            bytes: b"x".to_vec(),
            due: Some(1),
            index: vec![
                ("n".to_owned(), Scalar::Int(1)),
                ("t".to_owned(), Scalar::Text("a".into())),
            ],
            text: Some(Words::of(["some words"])),
        };
        let key = RecordKey::new(space, key);
        RecordChange { key, expected: Any, value: Some(value) }
    };
    let keys = ["a", "b", "c", "d", "e"];
    let changes = ["old", "older", "new"].iter().flat_map(|space| keys.map(|key| of(space, key)));
    done(&store, Commit::change(changes.collect())).await;
    done(&store, Commit::change(vec![RecordChange::delete(RecordKey::new("old", "b"))])).await;
    let purge = |most| RecordPurge { tenant: String::new(), space: "old".to_owned(), most };
    // Two at a time, the deleted one among them, in the order of the key.
    for (purged, left) in [(2, vec!["c", "d", "e"]), (2, vec!["e"]), (1, vec![]), (0, vec![])] {
        assert_eq!(store.purge(purge(2)).await.expect("it purges"), purged);
        for select in [
            RecordSelection::Prefix(String::new()),
            RecordSelection::Index { name: "n".to_owned(), from: None, to: None },
            RecordSelection::Due { until: Some(1) },
        ] {
            let query = RecordQuery::new("old", select);
            let page = store.records(query, None, 10).await.expect("it reads");
            let found: Vec<_> = page.records.iter().map(|r| r.key.key.as_str()).collect();
            assert_eq!(found, left);
        }
    }
    for space in ["older", "new"] {
        let select = RecordSelection::Prefix(String::new());
        let query = RecordQuery::new(space, select);
        assert_eq!(store.records(query, None, 10).await.expect("it reads").records.len(), 5);
    }
    assert_eq!(changed(&store, of("old", "b")).await, 1, "a version begins anew");
    let again = Commit::change(vec![of("old", "c").expecting(Exact(1))]);
    assert_eq!(
        refused(&store, again).await,
        ErrorKind::RecordConflict {
            key: RecordKey::new("old", "c"),
            expected: Exact(1),
            actual: 0
        },
        "whoever still writes there is told"
    );
}

pub async fn a_purge_is_of_one_tenant(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for tenant in ["", OTHER] {
        let mut change = put("a", "x");
        tenant.clone_into(&mut change.key.tenant);
        done(&store, Commit::change(vec![change])).await;
    }
    let purge = |tenant: &str, most| {
        let space = key("a").space;
        store.purge(RecordPurge { tenant: tenant.to_owned(), space, most })
    };
    assert_eq!(purge(OTHER, usize::MAX).await.expect("it purges"), 1);
    assert_eq!(record(&store, "a").await.expect("that of the other tenant").version, 1);
    assert_eq!(purge(OTHER, 1).await.expect("it purges"), 0);
    let nothing = purge("", 0).await.expect_err("it would never end");
    assert!(matches!(nothing.kind(), ErrorKind::Invalid { .. }), "{nothing:?}");
}

pub async fn rising_holds_only_below(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let raised = |bytes: &str| Commit {
        records: vec![put("a", bytes).expecting(Rising)],
        ..deposits("1", 1)
    };
    done(&store, raised("05")).await;
    let before = picture(&store).await;
    for bytes in ["", "0", "04", "05"] {
        let conflict = ErrorKind::RecordConflict { key: key("a"), expected: Rising, actual: 1 };
        assert_eq!(refused(&store, raised(bytes)).await, conflict, "{bytes}");
    }
    assert_eq!(picture(&store).await, before);
    for (bytes, version) in [("050", 2), ("06", 3), ("1", 4)] {
        assert_eq!(done(&store, raised(bytes)).await.record_versions, [version]);
    }
    done(&store, Commit::change(vec![RecordChange::delete(key("a"))])).await;
    assert_eq!(done(&store, raised("0")).await.record_versions, [6]);
    let deletion = Commit::change(vec![RecordChange::delete(key("a")).expecting(Rising)]);
    assert_eq!(refused(&store, deletion).await, ErrorKind::Invalid { field: "expected" });
}

pub async fn rising_holds_against_what_came_just_before(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let raised = |bytes: &str| Commit::change(vec![put("a", bytes).expecting(Rising)]);
    let commits = ["1", "3", "2", "3", "4", "4"].map(raised);
    let answers: Vec<_> = commits.iter().map(|commit| store.commit(commit.clone())).collect();
    let mut accepted = Vec::new();
    for answer in answers {
        accepted.push(answer.await.is_ok());
    }
    assert_eq!(accepted, [true, true, false, false, true, false]);
    assert_eq!(record(&store, "a").await.expect("it is there").value.bytes, b"4");
}

pub async fn a_repetition_rises_no_more(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for derived in [false, true] {
        let name = if derived { "derived" } else { "own" };
        let first = Commit {
            records: vec![put(name, "1").expecting(Rising)],
            derived,
            ..deposits(name, 1)
        };
        let answer = done(&store, first.clone()).await;
        done(&store, Commit::change(vec![put(name, "2").expecting(Rising)])).await;
        let before = picture(&store).await;
        assert_eq!(done(&store, first.clone()).await.positions, answer.positions);
        let event_ids = first.event_ids();
        let others = [
            Commit { records: vec![put(name, "3").expecting(Rising)], ..first.clone() },
            Commit { records: Vec::new(), ..first },
        ];
        for other in others {
            let conflict = ErrorKind::IdempotencyConflict { event_ids: event_ids.clone() };
            assert_eq!(refused(&store, other).await, conflict, "{name}");
        }
        assert_eq!(picture(&store).await, before);
    }
}
