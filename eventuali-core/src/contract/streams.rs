//! Clauses about the list of streams.

use super::Fixture;
use super::given::{
    Store, account, deposits, done, event, events, expecting, loose, open, refused, streams,
    together,
};
use crate::commit::Commit;
use crate::stream::ExpectedVersion::{Any, Exact};
use crate::stream::{StreamId, StreamInfo, StreamSelection};

pub async fn listed_with_version_and_last_position(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 2)).await;
    let second = done(&store, together([deposits("2", 1), loose(events(1))])).await;
    let third = done(&store, deposits("1", 3)).await;
    let expected = [("1", 5, third.positions[2]), ("2", 1, second.positions[0])].map(
        |(id, version, last_position)| StreamInfo { stream: account(id), version, last_position },
    );
    assert_eq!(all(&store).await, expected);
}

pub async fn in_the_order_of_bytes(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut names = vec![
        ("a", "b"),
        ("A", "b"),
        ("a", "B"),
        ("aa", "1"),
        ("a", "10"),
        ("a", "2"),
        ("ä", "1"),
        ("z", "1"),
        ("a", "ﬀ"),
        ("a", "😀"),
        ("a", "b c"),
        ("a-b", "1"),
        ("a", "_"),
        ("a", "%"),
    ];
    for (kind, id) in &names {
        done(&store, Commit::append(StreamId::new(*kind, *id), Any, vec![event("x")])).await;
    }
    names.sort_unstable();
    let expected: Vec<_> = names.iter().map(|(kind, id)| StreamId::new(*kind, *id)).collect();
    for limit in [1, 2, 5, 100] {
        let listed = streams(&store, &StreamSelection::default(), limit).await;
        let listed: Vec<_> = listed.into_iter().map(|info| info.stream).collect();
        assert_eq!(listed, expected, "by {limit}");
    }
}

pub async fn every_limit_lists_the_whole(fixture: &dyn Fixture) {
    let store = with_ten(fixture).await;
    let whole = all(&store).await;
    assert_eq!(whole.len(), 10);
    for limit in 1..12 {
        assert_eq!(streams(&store, &StreamSelection::default(), limit).await, whole);
    }
}

pub async fn the_last_page_has_no_next(fixture: &dyn Fixture) {
    let store = with_ten(fixture).await;
    for (limit, more) in [(9, true), (10, false), (11, false), (usize::MAX, false)] {
        let page = store.streams(StreamSelection::default(), None, limit).await;
        assert_eq!(page.expect("streams are read").next.is_some(), more, "limit {limit}");
    }
    let page = store.streams(StreamSelection::default(), None, 0).await.expect("streams are read");
    assert_eq!(page.streams.len(), 1, "a limit of none is one");
}

pub async fn after_need_not_exist(fixture: &dyn Fixture) {
    let store = with_ten(fixture).await;
    for (after, left) in [("3", 6), ("30", 6), ("zzz", 0), ("", 10)] {
        let after = Some(("Account".to_owned(), after.to_owned()));
        let page = store.streams(StreamSelection::default(), after, 100).await;
        assert_eq!(page.expect("streams are read").streams.len(), left);
    }
}

pub async fn by_type(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let selection = |kind: &str| StreamSelection {
        aggregate_type: Some(kind.to_owned()),
        ..StreamSelection::default()
    };
    for limit in [1, 10] {
        assert_eq!(names(streams(&store, &selection("Book"), limit).await), ["Book/1", "Book/2"]);
        assert_eq!(names(streams(&store, &selection("Card"), limit).await), ["Card/1"]);
        assert!(streams(&store, &selection("book"), limit).await.is_empty());
    }
}

pub async fn by_id_of_whatever_type(fixture: &dyn Fixture) {
    let store = with_three(fixture).await;
    let mut selection =
        StreamSelection { aggregate_id: Some("1".to_owned()), ..StreamSelection::default() };
    for limit in [1, 10] {
        assert_eq!(names(streams(&store, &selection, limit).await), ["Book/1", "Card/1"]);
    }
    selection.aggregate_type = Some("Card".to_owned());
    assert_eq!(names(streams(&store, &selection, 10).await), ["Card/1"]);
    selection.aggregate_type = Some("Door".to_owned());
    assert!(streams(&store, &selection, 10).await.is_empty());
}

pub async fn events_without_a_stream_are_not_listed(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, loose(events(3))).await;
    assert_eq!(all(&store).await, []);
}

pub async fn a_refused_commit_leaves_no_stream(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    refused(&store, together([deposits("1", 1), expecting("2", Exact(1), 1)])).await;
    done(&store, expecting("3", Any, 0)).await;
    assert_eq!(all(&store).await, [], "nor does a write without events");
}

async fn all(store: &Store) -> Vec<StreamInfo> {
    streams(store, &StreamSelection::default(), 100).await
}

fn names(streams: Vec<StreamInfo>) -> Vec<String> {
    streams.into_iter().map(|info| info.stream.to_string()).collect()
}

/// The accounts 0 to 9.
async fn with_ten(fixture: &dyn Fixture) -> Store {
    let store = open(fixture).await;
    done(&store, together((0..10).map(|n| deposits(&n.to_string(), 1)))).await;
    store
}

async fn with_three(fixture: &dyn Fixture) -> Store {
    let store = open(fixture).await;
    for (kind, id) in [("Card", "1"), ("Book", "2"), ("Book", "1")] {
        done(&store, Commit::append(StreamId::new(kind, id), Any, events(2))).await;
    }
    store
}
