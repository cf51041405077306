//! Clauses about which records are found, in which order.

use super::Fixture;
use super::given::{Store, done, key, open, put, records, select};
use crate::commit::Commit;
use crate::record::RecordSelection::{Due, Index, Keys, Prefix};
use crate::record::{
    ExpectedRecord, RecordChange, RecordQuery, RecordSelection, RecordValue, Scalar,
};

pub async fn by_keys_in_their_order(fixture: &dyn Fixture) {
    let store = with_keys(fixture, &["b", "a", "C", "ä", "a/b"]).await;
    let keys = |keys: &[&str]| Keys(keys.iter().map(|key| (*key).to_owned()).collect());
    finds(&store, keys(&["b", "ä", "C", "none", "a", "b"]), &["C", "a", "b", "ä"]).await;
    finds(&store, keys(&["none"]), &[]).await;
    finds(&store, keys(&[]), &[]).await;
}

pub async fn by_prefix_in_the_order_of_bytes(fixture: &dyn Fixture) {
    let given = ["a", "a/1", "a/10", "a/2", "A/1", "b", "ab", "a😀", "aﬀ", "é", "e\u{301}"];
    let store = with_keys(fixture, &given).await;
    finds(&store, Prefix("a/".into()), &["a/1", "a/10", "a/2"]).await;
    finds(&store, Prefix("a".into()), &["a", "a/1", "a/10", "a/2", "ab", "aﬀ", "a😀"]).await;
    finds(&store, Prefix("é".into()), &["é"]).await;
    finds(&store, Prefix("a/1".into()), &["a/1", "a/10"]).await;
    finds(&store, Prefix("c".into()), &[]).await;
    let mut all = given;
    all.sort_unstable();
    finds(&store, Prefix(String::new()), &all).await;
}

pub async fn a_prefix_is_taken_literally(fixture: &dyn Fixture) {
    let given = ["a%b", "a_b", "axb", "a*b", "a?b", "a[x]b", "a\\b", "%", "_", "a'b"];
    let store = with_keys(fixture, &given).await;
    for prefix in ["a%", "a_", "a*", "a?", "a[x]", "a\\", "%", "_", "a'"] {
        let expected: Vec<_> =
            given.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        finds(&store, Prefix(prefix.into()), &expected).await;
    }
}

pub async fn a_prefix_may_end_in_the_last_character(fixture: &dyn Fixture) {
    let given = ["\u{10ffff}", "\u{10ffff}a", "\u{d7ff}", "\u{d7ff}b", "\u{e000}", "z"];
    let store = with_keys(fixture, &given).await;
    finds(&store, Prefix("\u{10ffff}".into()), &["\u{10ffff}", "\u{10ffff}a"]).await;
    finds(&store, Prefix("\u{d7ff}".into()), &["\u{d7ff}", "\u{d7ff}b"]).await;
}

pub async fn by_an_index_of_integers(fixture: &dyn Fixture) {
    let values = [("a", 10), ("b", -3), ("c", i64::MAX), ("d", i64::MIN), ("e", 9), ("f", 10)];
    let store = with_index(fixture, values.map(|(key, n)| (key, Scalar::Int(n)))).await;
    finds(&store, index(None, None), &["d", "b", "e", "a", "f", "c"]).await;
    finds(&store, index(Some(Scalar::Int(9)), Some(Scalar::Int(10))), &["e", "a", "f"]).await;
    finds(&store, index(None, Some(Scalar::Int(-3))), &["d", "b"]).await;
    finds(&store, index(Some(Scalar::Int(11)), None), &["c"]).await;
    finds(&store, index(Some(Scalar::Int(5)), Some(Scalar::Int(4))), &[]).await;
}

pub async fn by_an_index_of_reals(fixture: &dyn Fixture) {
    let values = [("a", 1.5), ("b", -0.25), ("c", 1e300), ("d", -1e300), ("e", 2.0), ("f", 1e-300)];
    let store = with_index(fixture, values.map(|(key, n)| (key, Scalar::Real(n)))).await;
    finds(&store, index(None, None), &["d", "b", "f", "a", "e", "c"]).await;
    finds(&store, index(Some(Scalar::Real(1.5)), Some(Scalar::Real(2.0))), &["a", "e"]).await;
    finds(&store, index(Some(Scalar::Real(1.6)), None), &["e", "c"]).await;
    finds(&store, index(None, Some(Scalar::Real(0.0))), &["d", "b"]).await;
}

pub async fn by_an_index_of_texts(fixture: &dyn Fixture) {
    let values =
        [("a", "b"), ("b", "B"), ("c", "ä"), ("d", "ba"), ("e", ""), ("f", "10"), ("g", "9")];
    let store = with_index(fixture, values.map(|(key, text)| (key, text_of(text)))).await;
    finds(&store, index(None, None), &["e", "f", "g", "b", "a", "d", "c"]).await;
    finds(&store, index(Some(text_of("b")), Some(text_of("ba"))), &["a", "d"]).await;
    finds(&store, index(Some(text_of("b")), Some(text_of("b"))), &["a"]).await;
}

pub async fn integers_before_reals_before_texts(fixture: &dyn Fixture) {
    let store = with_index(
        fixture,
        [
            ("a", text_of("1")),
            ("b", Scalar::Real(-7.5)),
            ("c", Scalar::Int(100)),
            ("d", Scalar::Real(1.0)),
            ("e", Scalar::Int(1)),
            ("f", text_of("")),
        ],
    )
    .await;
    finds(&store, index(None, None), &["e", "c", "b", "d", "f", "a"]).await;
    finds(&store, index(Some(Scalar::Int(2)), None), &["c", "b", "d", "f", "a"]).await;
    finds(&store, index(Some(Scalar::Int(2)), Some(Scalar::Real(0.0))), &["c", "b"]).await;
    finds(&store, index(Some(Scalar::Real(1.0)), Some(Scalar::Real(1.0))), &["d"]).await;
    finds(&store, index(Some(text_of("")), None), &["f", "a"]).await;
}

pub async fn a_name_may_stand_several_times(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let of = |n| ("n".to_owned(), Scalar::Int(n));
    let entries = vec![of(3), of(1), ("m".to_owned(), Scalar::Int(2)), of(5), of(3)];
    done(&store, Commit::change(vec![indexed("a", entries), indexed("b", vec![of(2)])])).await;
    finds(&store, index(None, None), &["a", "b", "a", "a"]).await;
    finds(&store, index(Some(Scalar::Int(2)), Some(Scalar::Int(4))), &["b", "a"]).await;
}

pub async fn names_of_an_index_are_distinct(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let names = ["n", "N", "n_", "nn", "n%"];
    let of = |name: &&str| indexed(name, vec![((*name).to_owned(), Scalar::Int(1))]);
    done(&store, Commit::change(names.iter().map(of).collect())).await;
    for name in names {
        let chosen = Index { name: name.to_owned(), from: None, to: None };
        finds(&store, chosen, &[name]).await;
    }
}

pub async fn index_entries_follow_the_record(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for n in [5, 7, 2] {
        let entries = vec![("n".to_owned(), Scalar::Int(n))];
        done(&store, Commit::change(vec![indexed("a", entries)])).await;
        finds(&store, index(None, None), &["a"]).await;
        finds(&store, index(Some(Scalar::Int(n)), Some(Scalar::Int(n))), &["a"]).await;
    }
    done(&store, Commit::change(vec![put("a", "without index")])).await;
    finds(&store, index(None, None), &[]).await;
}

pub async fn index_entries_go_with_the_record(fixture: &dyn Fixture) {
    let store = with_index(fixture, [("a", Scalar::Int(1)), ("b", Scalar::Int(2))]).await;
    done(&store, Commit::change(vec![RecordChange::delete(key("a"))])).await;
    finds(&store, index(None, None), &["b"]).await;
}

pub async fn due_in_the_order_of_time_and_key(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let times = [("c", Some(50)), ("a", Some(50)), ("b", Some(-7)), ("e", None), ("d", Some(51))];
    done(&store, Commit::change(times.map(|(key, due)| due_at(key, due)).to_vec())).await;
    finds(&store, Due { until: Some(50) }, &["b", "a", "c"]).await;
    finds(&store, Due { until: Some(49) }, &["b"]).await;
    finds(&store, Due { until: Some(i64::MAX) }, &["b", "a", "c", "d"]).await;
    finds(&store, Due { until: Some(i64::MIN) }, &[]).await;
}

pub async fn due_by_the_clock_of_the_store(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let hour = 3_600_000_000;
    let now = crate::clock::now();
    let times = [("past", now - hour), ("future", now + hour), ("long ago", i64::MIN)];
    done(&store, Commit::change(times.map(|(key, due)| due_at(key, Some(due))).to_vec())).await;
    finds(&store, Due { until: None }, &["long ago", "past"]).await;
}

pub async fn due_follows_the_record(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let due = || Due { until: Some(100) };
    for (time, expected) in [(Some(10), &["a"][..]), (Some(200), &[]), (Some(100), &["a"])] {
        done(&store, Commit::change(vec![due_at("a", time)])).await;
        finds(&store, due(), expected).await;
    }
    done(&store, Commit::change(vec![due_at("a", None)])).await;
    finds(&store, due(), &[]).await;
}

pub async fn the_last_page_has_no_next(fixture: &dyn Fixture) {
    let store = with_index(fixture, ["a", "b", "c"].map(|key| (key, Scalar::Int(1)))).await;
    for chosen in [Prefix(String::new()), index(None, None), Keys(vec!["a".into(), "c".into()])] {
        let count = records(&store, &select(chosen.clone()), 10).await.len();
        for (limit, more) in [(count - 1, true), (count, false), (usize::MAX, false)] {
            let page = store.records(select(chosen.clone()), None, limit).await;
            assert_eq!(page.expect("records are read").next.is_some(), more, "limit {limit}");
        }
        let page = store.records(select(chosen), None, 0).await.expect("records are read");
        assert_eq!(page.records.len(), 1, "a limit of none is one");
    }
}

pub async fn paging_goes_on_after_what_was_deleted(fixture: &dyn Fixture) {
    let store = with_index(fixture, ["a", "b", "c"].map(|key| (key, Scalar::Int(1)))).await;
    for chosen in [Prefix(String::new()), index(None, None)] {
        let page = store.records(select(chosen.clone()), None, 2).await.expect("records are read");
        let last = page.records.last().expect("there are two").key.key.clone();
        done(&store, Commit::change(vec![RecordChange::delete(key(&last))])).await;
        let rest = store.records(select(chosen), page.next, 2).await.expect("records are read");
        assert_eq!(rest.records.len(), 1);
        assert_eq!(rest.records[0].key.key, "c");
        let again = RecordChange::put(key(&last), "again");
        let value = RecordValue {
            index: vec![("n".to_owned(), Scalar::Int(1))],
            ..again.value.clone().unwrap_or_default()
        };
        done(&store, Commit::change(vec![RecordChange { value: Some(value), ..again }])).await;
    }
}

fn text_of(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

fn index(from: Option<Scalar>, to: Option<Scalar>) -> RecordSelection {
    Index { name: "n".to_owned(), from, to }
}

fn indexed(name: &str, index: Vec<(String, Scalar)>) -> RecordChange {
    let value = RecordValue { index, bytes: name.into(), ..RecordValue::default() };
    RecordChange { key: key(name), expected: ExpectedRecord::Any, value: Some(value) }
}

fn due_at(name: &str, due: Option<i64>) -> RecordChange {
    let value = RecordValue { due, bytes: name.into(), ..RecordValue::default() };
    RecordChange { key: key(name), expected: ExpectedRecord::Any, value: Some(value) }
}

async fn with_keys(fixture: &dyn Fixture, keys: &[&str]) -> Store {
    let store = open(fixture).await;
    done(&store, Commit::change(keys.iter().map(|key| put(key, key)).collect())).await;
    store
}

/// Records with one entry `n` each.
async fn with_index<const N: usize>(fixture: &dyn Fixture, entries: [(&str, Scalar); N]) -> Store {
    let store = open(fixture).await;
    let change = |(key, scalar)| indexed(key, vec![("n".to_owned(), scalar)]);
    done(&store, Commit::change(entries.map(change).to_vec())).await;
    store
}

/// Asserts which keys are found, in which order, whatever the size of the pages.
async fn finds(store: &Store, chosen: RecordSelection, keys: &[&str]) {
    let query = select(chosen.clone());
    for limit in [1, 2, 3, 100] {
        let stored = records(store, &query, limit).await;
        let names: Vec<_> = stored.iter().map(|record| record.key.key.as_str()).collect();
        assert_eq!(names, keys, "{chosen:?} by {limit}");
        let back = RecordQuery { backwards: true, ..query.clone() };
        let mut back = records(store, &back, limit).await;
        back.reverse();
        assert_eq!(back, stored, "{chosen:?} by {limit}, backwards");
        let mut bare =
            records(store, &RecordQuery { entries: false, ..query.clone() }, limit).await;
        for (record, whole) in bare.iter_mut().zip(&stored) {
            assert_eq!(record.value.index, [], "no entry is wanted");
            record.value.index.clone_from(&whole.value.index);
        }
        assert_eq!(bare, stored, "{chosen:?} by {limit}, without entries");
        let mut names = records(store, &RecordQuery { bytes: false, ..query.clone() }, limit).await;
        for (record, whole) in names.iter_mut().zip(&stored) {
            assert_eq!(record.value.bytes, b"", "no bytes are wanted");
            record.value.bytes.clone_from(&whole.value.bytes);
        }
        assert_eq!(names, stored, "{chosen:?} by {limit}, without bytes");
    }
    let count = store.count_records(query).await.expect("they are counted");
    assert_eq!(count, keys.len() as u64, "{chosen:?}");
}
