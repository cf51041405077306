//! Clauses about payloads, times and ids: what was stored comes back.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::Fixture;
use super::given::{
    Store, account, deposits, done, event, events, found, log, loose, of_type, open, picture,
    query, reopen, together,
};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::event::{EventKind, NewEvent, StoredEvent};
use crate::query::Query;
use crate::stream::ExpectedVersion::Any;

/// Year 1 and year 9999 of the common era, µs since 1970 UTC.
const YEAR_1: i64 = -62_135_596_800_000_000;
const YEAR_9999: i64 = 253_402_300_799_999_999;

pub async fn every_byte_of_a_payload(fixture: &dyn Fixture) {
    let all: Vec<u8> = (0..=255).collect();
    let singles = (0..=255).map(|byte| vec![byte]);
    come_back(fixture, singles.chain([all.clone(), all.into_iter().rev().collect()])).await;
}

pub async fn an_empty_payload(fixture: &dyn Fixture) {
    come_back(fixture, [vec![], vec![0], vec![], vec![0, 0]]).await;
}

pub async fn payloads_need_not_be_text(fixture: &dyn Fixture) {
    let broken: [&[u8]; 5] = [b"\xff\xfe", b"\xed\xa0\x80", b"a\0b", b"\xc3", b"\x1f\x8b\x08\0"];
    come_back(fixture, broken.map(<[u8]>::to_vec)).await;
}

pub async fn payloads_are_not_rewritten(fixture: &dyn Fixture) {
    let json = [
        r#"{ "b": 1.0, "a": 1e2, "a": 12345678901234567890.123 }"#,
        "\u{feff}{}",
        "\r\n\t {\"x\":\"\\u00e9\"} \n",
        "null",
    ];
    come_back(fixture, json.map(|text| text.as_bytes().to_vec())).await;
}

pub async fn a_payload_of_the_largest_size(fixture: &dyn Fixture) {
    let most = open(fixture).await.capabilities().limits.event_bytes;
    let bytes: Vec<u8> = (0..most).map(|n| (n * 31 + n / 251) as u8).collect();
    come_back(fixture, [bytes.clone(), bytes[1..].to_vec()]).await;
}

pub async fn times_to_the_microsecond(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let times = [0, 1, -1, 999_999, 1_000_001, YEAR_1, YEAR_9999, 1_767_225_600_123_456];
    let at = |timestamp| NewEvent { timestamp, ..event("x") };
    done(&store, Commit::append(account("1"), Any, times.map(at).to_vec())).await;
    let store = reopen(fixture, store).await;
    let stored: Vec<_> = log(&store).await.iter().map(|event| event.head.timestamp).collect();
    assert_eq!(stored, times);
}

pub async fn ids_of_every_sort(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let given = [Uuid::max(), Uuid::from_u128(1), Uuid::from_u128(1 << 127), Uuid::now_v7()];
    let with = |event_id| NewEvent { event_id, ..event("x") };
    done(&store, Commit::append(account("1"), Any, given.map(with).to_vec())).await;
    let stored: Vec<_> = log(&store).await.iter().map(|event| event.head.event_id).collect();
    assert_eq!(stored, given);
}

pub async fn kinds_of_every_sort(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let kinds = [
        ("Opened", 1, "json"),
        ("Opened", 2, "json"),
        ("Opened", u32::MAX, "json+zstd+aes"),
        ("opened", 1, "protobuf"),
        ("order.placed", 1 << 31, "json"),
        ("__init", 1, "j"),
    ]
    .map(|(name, version, codec)| {
        let codec = codec.to_owned();
        Arc::new(EventKind { codec, ..EventKind::json(name, version) })
    });
    let given = kinds.iter().map(|kind| NewEvent::new(Arc::clone(kind), "{}")).collect();
    done(&store, Commit::append(account("1"), Any, given)).await;
    let store = reopen(fixture, store).await;
    let stored: Vec<_> = log(&store).await.into_iter().map(|event| event.head.kind).collect();
    assert_eq!(stored, kinds);
}

pub async fn recorded_at_never_falls(fixture: &dyn Fixture) {
    let mut store = open(fixture).await;
    let before = crate::clock::now();
    for _ in 0..3 {
        for _ in 0..10 {
            done(&store, deposits("1", 1)).await;
        }
        if store.capabilities().durable {
            store = reopen(fixture, store).await;
        }
    }
    let times = recorded(&log(&store).await);
    assert!(times.is_sorted());
    assert!(times[0] >= before, "it is the time of the commit");
    assert!(times[29] <= crate::clock::now());
}

pub async fn one_commit_is_recorded_at_one_time(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let committed = done(&store, together([deposits("1", 500), deposits("2", 500)])).await;
    assert_eq!(recorded(&log(&store).await), vec![committed.recorded_at; 1000]);
}

pub async fn recorded_at_moves_with_the_clock(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let first = done(&store, deposits("1", 1)).await;
    thread::sleep(Duration::from_millis(3));
    let second = done(&store, deposits("1", 1)).await;
    assert!(second.recorded_at >= first.recorded_at + 1000, "a time, not a counter");
}

pub async fn a_commit_may_say_its_time(fixture: &dyn Fixture) {
    let mut store = open(fixture).await;
    let day = 86_400_000_000;
    let at = |days: i64, commit| Commit { at: Some(days * day), ..commit };
    let first = at(10_000, together([deposits("1", 2), loose(events(1)), deposits("2", 1)]));
    assert_eq!(done(&store, first.clone()).await.recorded_at, 10_000 * day);
    if store.capabilities().durable {
        store = reopen(fixture, store).await;
    }
    let earlier = done(&store, at(9_000, deposits("1", 1))).await;
    assert_eq!(earlier.recorded_at, 10_000 * day, "it never falls");
    let conditional = deposits("1", 1).on_condition(query([of_type("Nothing")]), 0);
    assert_eq!(done(&store, at(11_000, conditional)).await.recorded_at, 11_000 * day);
    let again = Commit { at: Some(12_000 * day), ..first.clone() };
    assert_eq!(done(&store, again).await.recorded_at, 10_000 * day, "it is the same commit");
    let before = crate::clock::now();
    let real = done(&store, deposits("1", 1)).await.recorded_at;
    assert!(before <= real && real <= crate::clock::now(), "{before} {real}");
    let ahead = done(&store, at(70_000, deposits("2", 1))).await;
    assert_eq!(done(&store, deposits("2", 1)).await.recorded_at, ahead.recorded_at);
    let said = [10_000, 10_000, 10_000, 10_000, 10_000, 11_000].map(|days| days * day);
    let times = recorded(&log(&store).await);
    assert_eq!(times[..6], said);
    assert_eq!(times[6..], [real, 70_000 * day, 70_000 * day]);
}

pub async fn a_time_before_1970_is_refused(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for at in [0, -1, i64::MIN] {
        let commit = Commit { at: Some(at), ..deposits("1", 1) };
        let error = store.commit(commit).await.expect_err("it is refused");
        assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error:?}");
    }
    assert_eq!(done(&store, deposits("1", 1)).await.versions, [1]);
}

pub async fn the_answer_says_what_is_stored(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for _ in 0..3 {
        let commit = together([deposits("1", 2), loose(events(1)), deposits("2", 1)]);
        let committed = done(&store, commit.clone()).await;
        let log = log(&store).await;
        let last = &log[log.len() - 4..];
        assert_eq!(recorded(last), [committed.recorded_at; 4]);
        for ((stream, given), (stored, position)) in
            commit.events().zip(last.iter().zip(committed.positions))
        {
            assert_eq!(stored.head.position, position);
            assert_eq!(stored.head.stream, *stream);
            same(stored, given);
        }
        assert_eq!(last[1].head.version, committed.versions[0]);
        assert_eq!(last[3].head.version, committed.versions[2]);
    }
}

pub async fn every_way_of_reading_shows_the_same(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, together([deposits("1", 3), loose(events(2)), deposits("2", 3)])).await;
    let log = log(&store).await;
    for id in ["1", "2"] {
        let own: Vec<_> =
            log.iter().filter(|event| event.head.stream.aggregate_id == id).cloned().collect();
        assert_eq!(found(&store, &Query::stream(&account(id))).await, own);
    }
}

pub async fn reopening_changes_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    if !store.capabilities().durable {
        return;
    }
    let bytes = (0..=255).collect::<Vec<u8>>();
    let given = vec![NewEvent { payload: bytes, timestamp: -5, ..event("x") }, event("Ä")];
    done(&store, together([loose(given), deposits("1", 20)])).await;
    let before = picture(&store).await;
    let store = reopen(fixture, store).await;
    assert_eq!(picture(&store).await, before);
}

/// Asserts that events with these payloads come back, now and from a new handle.
async fn come_back(fixture: &dyn Fixture, payloads: impl IntoIterator<Item = Vec<u8>>) {
    let store = open(fixture).await;
    let with = |payload| NewEvent { payload, ..event("x") };
    let given: Vec<_> = payloads.into_iter().map(with).collect();
    done(&store, Commit::append(account("1"), Any, given.clone())).await;
    stored_as(&store, &given).await;
    let store = reopen(fixture, store).await;
    stored_as(&store, &given).await;
}

async fn stored_as(store: &Store, given: &[NewEvent]) {
    let log = log(store).await;
    assert_eq!(log.len(), given.len());
    log.iter().zip(given).for_each(|(stored, given)| same(stored, given));
}

fn same(stored: &StoredEvent, given: &NewEvent) {
    assert_eq!(stored.head.event_id, given.event_id);
    assert_eq!(stored.head.kind, given.kind);
    assert_eq!(stored.head.timestamp, given.timestamp);
    assert_eq!(stored.metadata, given.metadata.as_deref().cloned().unwrap_or_default());
    assert!(stored.payload == given.payload, "the payload is as given");
}

fn recorded(events: &[StoredEvent]) -> Vec<i64> {
    events.iter().map(|event| event.head.recorded_at).collect()
}
