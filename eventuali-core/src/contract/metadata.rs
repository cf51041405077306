//! Clauses about references, users, headers and tags: given back as they were given.

use uuid::Uuid;

use super::Fixture;
use super::given::{account, done, event, found, log, of_tags, open, query, reopen};
use crate::commit::Commit;
use crate::event::{Metadata, NewEvent, Reference};
use crate::stream::ExpectedVersion::Any;

const ID: Uuid = Uuid::from_u128(0x0198_5b5e_0000_7abc_8def_0123_4567_89ab);

pub async fn references_stay_text_or_uuid(fixture: &dyn Fixture) {
    let written = [
        Reference::Uuid(ID),
        Reference::Text(ID.to_string()),
        Reference::Text(ID.to_string().to_uppercase()),
        Reference::Text(ID.simple().to_string()),
        Reference::Text("trace 4711".to_owned()),
        Reference::Uuid(Uuid::nil()),
    ];
    let mut given = Vec::new();
    for correlation_id in written.iter().cloned().map(Some).chain([None]) {
        for causation_id in written.iter().cloned().map(Some).chain([None]) {
            let correlation_id = correlation_id.clone();
            given.push(Metadata { correlation_id, causation_id, ..Metadata::default() });
        }
    }
    come_back(fixture, given).await;
}

pub async fn users_are_any_text(fixture: &dyn Fixture) {
    let users = ["", " ", "ada", "a\0b", "\u{1f600}", "\u{2028}", "\\u0000", "x\"y'z", "null"];
    let of = |user: &str| Metadata { user_id: Some(user.to_owned()), ..Metadata::default() };
    come_back(fixture, users.map(of).to_vec()).await;
}

pub async fn headers_keep_their_order(fixture: &dyn Fixture) {
    let orders: [&[(&str, &str)]; 4] = [
        &[("b", "1"), ("a", "2"), ("c", "3")],
        &[("a", "1"), ("a", "2"), ("a", "1")],
        &[("A", "1"), ("a", "2")],
        &[("", ""), ("", "")],
    ];
    come_back(fixture, orders.map(headers).to_vec()).await;
}

pub async fn headers_keep_every_character(fixture: &dyn Fixture) {
    let all: String = (0..=0x17f).filter_map(char::from_u32).collect();
    let texts = [
        all.as_str(),
        "\0",
        "\u{10ffff}\u{1f469}\u{200d}\u{1f680}",
        "é e\u{301}",
        "\u{feff}\u{202e}\u{2028}",
        "\\ \" ' \\u0000 \\n",
    ];
    come_back(fixture, texts.map(|text| headers(&[(text, text), ("n", text)])).to_vec()).await;
}

pub async fn tags_come_back_as_given(fixture: &dyn Fixture) {
    let lists: [&[&str]; 6] = [
        &["b", "a", "c"],
        &["a"],
        &["A", "a"],
        &["é", "e\u{301}"],
        &["seat:1", "it's", "a%b", "a,b", "a\"b", "[\"a\"]"],
        &["same", "other", "same"],
    ];
    let of = |tags: &[&str]| Metadata {
        tags: tags.iter().map(ToString::to_string).collect(),
        ..Metadata::default()
    };
    come_back(fixture, lists.map(of).to_vec()).await;
}

pub async fn tags_are_compared_as_bytes(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let tags = ["a", "A", "é", "e\u{301}", "a%", "a_", "ab", "it's", "a\"b"];
    for tag in tags {
        let metadata = Metadata { tags: vec![tag.to_owned()], ..Metadata::default() };
        let event = event(tag).with_metadata(metadata);
        done(&store, Commit::append(account("1"), Any, vec![event])).await;
    }
    for tag in tags {
        let stored = found(&store, &query([of_tags(&[tag])])).await;
        assert_eq!(stored.len(), 1, "{tag}");
        assert_eq!(stored[0].head.kind.event_type, tag);
    }
}

pub async fn none_is_the_same_as_empty(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let none = event("x");
    let empty = NewEvent { metadata: Some(Box::default()), ..event("x") };
    let commit = Commit::append(account("1"), Any, vec![none, empty]);
    let committed = done(&store, commit.clone()).await;
    for stored in log(&store).await {
        assert_eq!(stored.metadata, Metadata::default());
    }
    let mut again = commit;
    again.writes[0].events[0].metadata = Some(Box::default());
    again.writes[0].events[1].metadata = None;
    assert_eq!(done(&store, again).await, committed, "a repetition all the same");
}

pub async fn everything_together(fixture: &dyn Fixture) {
    let full = Metadata {
        correlation_id: Some(Reference::Text("c".to_owned())),
        causation_id: Some(Reference::Uuid(ID)),
        user_id: Some("u".to_owned()),
        headers: vec![("h".to_owned(), "v".to_owned())],
        tags: vec!["t".to_owned()],
    };
    come_back(fixture, vec![full.clone(), Metadata::default(), full]).await;
}

fn headers(headers: &[(&str, &str)]) -> Metadata {
    let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Metadata { headers: owned.collect(), ..Metadata::default() }
}

/// Asserts that it comes back, from a new handle too, and that the commit is known when repeated.
async fn come_back(fixture: &dyn Fixture, given: Vec<Metadata>) {
    let store = open(fixture).await;
    let events = given.iter().map(|metadata| event("x").with_metadata(metadata.clone())).collect();
    let commit = Commit::append(account("1"), Any, events);
    let committed = done(&store, commit.clone()).await;
    let store = reopen(fixture, store).await;
    let stored: Vec<_> = log(&store).await.into_iter().map(|event| event.metadata).collect();
    assert_eq!(stored, given);
    assert_eq!(done(&store, commit).await, committed, "repeated");
}
