//! Clauses about sizes: the largest is accepted, and one more is refused without a trace.

use std::sync::Arc;

use super::Fixture;
use super::given::{account, deposits, done, event, log, open, picture, put, refused, together};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::event::{EventKind, Metadata, NewEvent};
use crate::limits::Limits;
use crate::record::{ExpectedRecord, RecordChange, RecordValue, Scalar};
use crate::stream::ExpectedVersion::Any;
use crate::text::Words;

pub async fn of_a_payload(fixture: &dyn Fixture) {
    let of = |size| of_events([NewEvent { payload: vec![b'x'; size], ..event("x") }]);
    up_to(fixture, "payload", |limits| limits.event_bytes, of).await;
}

pub async fn of_headers(fixture: &dyn Fixture) {
    let of = |size: usize| {
        let headers = vec![
            ("name".to_owned(), "v".repeat(size / 2)),
            ("n".to_owned(), "v".repeat(size - size / 2 - 5)),
        ];
        with_metadata(Metadata { headers, ..Metadata::default() })
    };
    up_to(fixture, "headers", |limits| limits.headers_bytes, of).await;
}

pub async fn of_a_user_id(fixture: &dyn Fixture) {
    let of =
        |size| with_metadata(Metadata { user_id: Some("u".repeat(size)), ..Metadata::default() });
    up_to(fixture, "user_id", |limits| limits.headers_bytes, of).await;
}

pub async fn of_the_tags(fixture: &dyn Fixture) {
    let of = |count| {
        let tags = (0..count).map(|n| format!("{n:0>255}")).collect();
        with_metadata(Metadata { tags, ..Metadata::default() })
    };
    up_to(fixture, "tags", |limits| limits.event_tags, of).await;
}

pub async fn of_a_commits_events(fixture: &dyn Fixture) {
    let of = |count| together([deposits("1", count / 2), deposits("2", count - count / 2)]);
    up_to(fixture, "events", |limits| limits.commit_events, of).await;
}

pub async fn of_a_commits_records(fixture: &dyn Fixture) {
    let of = |count| Commit::change((0..count).map(|n| put(&n.to_string(), "x")).collect());
    up_to(fixture, "records", |limits| limits.commit_records, of).await;
}

pub async fn of_a_commits_bytes(fixture: &dyn Fixture) {
    let of = |size: usize| {
        let kind = Arc::new(EventKind::json("x", 1));
        let event = |size| NewEvent::new(Arc::clone(&kind), vec![b'x'; size]);
        let (whole, part) = (size / (512 << 10), size % (512 << 10));
        let half = Commit::change(vec![put("a", &"x".repeat(part + (512 << 10)))]);
        together([of_events((1..whole).map(|_| event(512 << 10))), half])
    };
    up_to(fixture, "commit", |limits| limits.commit_bytes, of).await;
}

pub async fn of_a_commits_headers(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let limits = store.capabilities().limits;
    let headers = vec![("n".to_owned(), "v".repeat(limits.headers_bytes - 1))];
    let metadata = Metadata { headers, ..Metadata::default() };
    let count = limits.commit_bytes / limits.headers_bytes + 1;
    let large = || NewEvent { payload: Vec::new(), ..event("x") }.with_metadata(metadata.clone());
    let kind = refused(&store, of_events((0..count).map(|_| large()))).await;
    let size = count * limits.headers_bytes;
    assert_eq!(kind, ErrorKind::TooLarge { what: "commit", size, limit: limits.commit_bytes });
}

pub async fn of_a_record(fixture: &dyn Fixture) {
    let of = |size| Commit::change(vec![put("a", &"x".repeat(size))]);
    up_to(fixture, "record", |limits| limits.record_bytes, of).await;
}

pub async fn of_an_index(fixture: &dyn Fixture) {
    let of = |count| {
        let index = (0..count).map(|n| (format!("n{n}"), Scalar::Int(n as i64))).collect();
        with_value(RecordValue { index, ..RecordValue::default() })
    };
    up_to(fixture, "index entries", |limits| limits.record_index_entries, of).await;
}

pub async fn of_a_records_text(fixture: &dyn Fixture) {
    let of = |size: usize| {
        let words = "x".repeat(2 - size % 2) + &" x".repeat((size - 1) / 2);
        let words = Words::of([words.as_str()]);
        with_value(RecordValue { text: Some(words), ..RecordValue::default() })
    };
    up_to(fixture, "text", |limits| limits.record_text_bytes, of).await;
}

pub async fn of_a_text_in_an_index(fixture: &dyn Fixture) {
    let of = |size| {
        let index = vec![("n".to_owned(), Scalar::Text("x".repeat(size)))];
        with_value(RecordValue { index, ..RecordValue::default() })
    };
    up_to(fixture, "index text", |limits| limits.index_text_bytes, of).await;
}

pub async fn the_largest_metadata_comes_back(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let limits = store.capabilities().limits;
    let name = |n: usize| format!("{n:\u{1f600}>63}");
    let metadata = Metadata {
        user_id: Some("u".repeat(limits.headers_bytes)),
        headers: vec![("h".to_owned(), "\0".repeat(limits.headers_bytes - 1))],
        tags: (0..limits.event_tags).map(name).collect(),
        ..Metadata::default()
    };
    done(&store, with_metadata(metadata.clone())).await;
    assert!(log(&store).await[0].metadata == metadata, "as it was given");
}

fn of_events(events: impl IntoIterator<Item = NewEvent>) -> Commit {
    Commit::append(account("1"), Any, events.into_iter().collect())
}

fn with_metadata(metadata: Metadata) -> Commit {
    of_events([event("x").with_metadata(metadata)])
}

fn with_value(value: RecordValue) -> Commit {
    let key = super::given::key("a");
    Commit::change(vec![RecordChange { key, expected: ExpectedRecord::Any, value: Some(value) }])
}

/// Asserts that a commit of the limit's size is accepted, and that one more is refused.
async fn up_to(
    fixture: &dyn Fixture,
    what: &'static str,
    limit: impl Fn(&Limits) -> usize,
    of: impl Fn(usize) -> Commit,
) {
    let store = open(fixture).await;
    let limit = limit(&store.capabilities().limits);
    done(&store, of(limit)).await;
    let before = picture(&store).await;
    let too_large = ErrorKind::TooLarge { what, size: limit + 1, limit };
    assert_eq!(refused(&store, of(limit + 1)).await, too_large);
    assert!(picture(&store).await == before, "nothing is written");
    done(&store, deposits("1", 1)).await;
}
