//! Clauses about names: what looks alike is not the same.

use super::Fixture;
use super::given::{done, event, found, ids, open, query, reopen, streams};
use crate::commit::Commit;
use crate::query::{Query, QueryItem};
use crate::stream::ExpectedVersion::NoStream;
use crate::stream::{StreamId, StreamSelection};

pub async fn case_is_told_apart(fixture: &dyn Fixture) {
    distinct(fixture, &["a", "A", "straße", "STRASSE", "ß", "ẞ", "i", "İ", "ı"]).await;
}

pub async fn normal_forms_are_told_apart(fixture: &dyn Fixture) {
    distinct(fixture, &["é", "e\u{301}", "ﬁ", "fi", "Ω", "\u{2126}", "가", "\u{1100}\u{1161}"])
        .await;
}

pub async fn patterns_are_taken_literally(fixture: &dyn Fixture) {
    distinct(fixture, &["ab", "a.b", "a*", "*", "a%", "%", "a_", "_", "a?b", "[ab]", "a\\b"]).await;
}

pub async fn quotes_are_taken_literally(fixture: &dyn Fixture) {
    distinct(fixture, &["'", "''", "\"", "\"\"", "`", "a' OR '1'='1", "'; DROP TABLE events;--"])
        .await;
}

pub async fn separators_are_part_of_a_name(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given =
        [("a", "b/c"), ("a/b", "c"), ("a-b", "c"), ("a", "b-c"), ("a:b", "c"), ("a", "b:c")]
            .map(|(kind, id)| StreamId::new(kind, id));
    for stream in &given {
        done(&store, Commit::append(stream.clone(), NoStream, vec![event("x")])).await;
    }
    for stream in &given {
        assert_eq!(found(&store, &Query::stream(stream)).await.len(), 1, "{stream}");
    }
}

pub async fn numbers_are_texts(fixture: &dyn Fixture) {
    distinct(fixture, &["1", "01", "1.0", "+1", "1e0", "0x1", "true", "null", "NaN"]).await;
}

pub async fn inner_white_space_counts(fixture: &dyn Fixture) {
    distinct(fixture, &["a b", "a  b", "a\u{a0}b", "ab", "a\u{200d}b", "a\u{3000}b"]).await;
}

pub async fn every_script_is_a_name(fixture: &dyn Fixture) {
    let scripts = ["счёт", "口座", "계좌", "حساب", "חשבון", "खाता", "🏦", "👩‍🚀", "\u{10ffff}"];
    distinct(fixture, &scripts).await;
}

pub async fn long_names_are_told_apart_by_the_last_byte(fixture: &dyn Fixture) {
    let long = |last: &str| format!("{}{last}", "x".repeat(254));
    let wide = "é".repeat(127);
    distinct(fixture, &[&long("a"), &long("b"), &long("")[..], &wide]).await;
}

/// Asserts that these are different streams, aggregate types, event types and nothing else.
async fn distinct(fixture: &dyn Fixture, names: &[&str]) {
    let store = open(fixture).await;
    let mut given = Vec::new();
    for name in names {
        for stream in [StreamId::new("Account", *name), StreamId::new(*name, "1")] {
            let commit = Commit::append(stream.clone(), NoStream, vec![event(name)]);
            given.push((stream, commit.event_ids()));
            assert_eq!(done(&store, commit).await.versions, [1], "{name} is new");
        }
    }
    let store = reopen(fixture, store).await;
    for (stream, event_ids) in &given {
        assert_eq!(ids(&found(&store, &Query::stream(stream)).await), *event_ids, "{stream}");
    }
    for (name, pair) in names.iter().zip(given.chunks(2)) {
        let of = QueryItem { event_types: vec![(*name).to_owned()], ..QueryItem::default() };
        let both = [pair[0].1[0], pair[1].1[0]];
        assert_eq!(ids(&found(&store, &query([of])).await), both, "by event type {name}");
    }
    let mut expected: Vec<_> = given.into_iter().map(|(stream, _)| stream).collect();
    expected.sort_unstable();
    let listed = streams(&store, &StreamSelection::default(), 7).await;
    assert_eq!(listed.into_iter().map(|info| info.stream).collect::<Vec<_>>(), expected);
}
