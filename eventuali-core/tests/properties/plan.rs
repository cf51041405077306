//! What is tried: steps over a few streams, tags, keys and values, so that they meet.

use std::sync::Arc;

use eventuali_core::commit::{AppendCondition, Commit, StreamWrite};
use eventuali_core::event::{EventKind, Metadata, NewEvent, Reference};
use eventuali_core::query::{Partition, Query, QueryItem, ReadRange};
use eventuali_core::record::{
    ExpectedRecord, RecordChange, RecordKey, RecordQuery, RecordSelection, RecordValue, Scalar,
};
use eventuali_core::stream::{ExpectedVersion, StreamId, StreamSelection};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use uuid::Uuid;

/// One call. Positions are ranks here: 3 is the third event of the log, wherever that lies.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A new commit, whose ids are given when it is sent. Where `right`, what it expects of
    /// streams and records is what is there.
    Commit { commit: Commit, right: bool },
    /// A commit that was sent before, changed a little or not at all.
    Repeat { which: Index, change: Change },
    /// All pages of a range.
    Read { query: Query, range: ReadRange },
    /// All pages of streams.
    Streams { selection: StreamSelection, limit: usize },
    /// All pages of records.
    Records { query: RecordQuery, limit: usize },
}

/// How a repeated commit differs from the first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Nothing,
    StaleVersions,
    OtherPayload,
    OtherTags,
    OtherStream,
    OneEventLess,
    OneEventMore,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

fn step() -> impl Strategy<Value = Step> {
    let changes = vec![
        Change::Nothing,
        Change::Nothing,
        Change::Nothing,
        Change::StaleVersions,
        Change::OtherPayload,
        Change::OtherTags,
        Change::OtherStream,
        Change::OneEventLess,
        Change::OneEventMore,
    ];
    let repeat = (any::<Index>(), select(changes));
    prop_oneof![
        6 => (commit(), any::<bool>()).prop_map(|(commit, right)| Step::Commit { commit, right }),
        2 => repeat.prop_map(|(which, change)| Step::Repeat { which, change }),
        3 => (query(), range()).prop_map(|(query, range)| Step::Read { query, range }),
        1 => (selection(), 1..4usize)
            .prop_map(|(selection, limit)| Step::Streams { selection, limit }),
        2 => (record_query(), 1..4usize).prop_map(|(query, limit)| Step::Records { query, limit }),
    ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let streams: Vec<_> = [("A", "1"), ("A", "2"), ("B", "1"), ("", "")]
        .map(|(kind, id)| StreamId::new(kind, id))
        .into_iter()
        .chain([StreamId::new("A", "1").with_tenant("t"), StreamId::none("t")])
        .collect();
    let writes = subsequence(streams, 0..4)
        .prop_flat_map(|streams| streams.into_iter().map(write).collect::<Vec<_>>());
    let conditions = vec((query(), rank()), 0..2).prop_map(|conditions| {
        let condition = |(query, after)| AppendCondition { query, after };
        conditions.into_iter().map(condition).collect()
    });
    let conditions = prop_oneof![3 => Just(Vec::new()), 1 => conditions];
    let records = subsequence(record_keys(), 0..3)
        .prop_flat_map(|keys| keys.into_iter().map(change).collect::<Vec<_>>());
    (writes, conditions, records).prop_map(|(writes, conditions, records)| Commit {
        writes,
        conditions,
        records,
        ..Commit::default()
    })
}

fn write(stream: StreamId) -> impl Strategy<Value = StreamWrite> {
    let expected = if stream.is_none() {
        Just(ExpectedVersion::Any).boxed()
    } else {
        prop_oneof![
            Just(ExpectedVersion::Any),
            Just(ExpectedVersion::NoStream),
            Just(ExpectedVersion::StreamExists),
            (0..6u64).prop_map(ExpectedVersion::Exact),
        ]
        .boxed()
    };
    let stream = Arc::new(stream);
    (expected, vec(event(), 0..4)).prop_map(move |(expected, events)| StreamWrite {
        stream: Arc::clone(&stream),
        expected,
        events,
    })
}

fn event() -> impl Strategy<Value = NewEvent> {
    let metadata = (tags(), option::of(reference()), option::of("[a-c]{0,2}"));
    (select(vec!["X", "Y"]), 1..3u32, any::<i64>(), metadata, vec(any::<u8>(), 0..6)).prop_map(
        |(event_type, version, timestamp, (tags, correlation_id, user_id), payload)| {
            let metadata = Metadata { tags, correlation_id, user_id, ..Metadata::default() };
            let event = NewEvent::new(Arc::new(EventKind::json(event_type, version)), payload);
            NewEvent { timestamp, ..event }.with_metadata(metadata)
        },
    )
}

fn tags() -> impl Strategy<Value = Vec<String>> {
    subsequence(vec!["p", "q", "r"], 0..=3)
        .prop_map(|tags| tags.into_iter().map(str::to_owned).collect())
}

fn reference() -> impl Strategy<Value = Reference> {
    let id = Uuid::from_u128(7);
    select(vec![
        Reference::Uuid(id),
        Reference::Text(id.to_string()),
        Reference::Text("c".to_owned()),
    ])
}

fn tenant() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => Just("t".to_owned())]
}

fn rank() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..30u64, 1 => Just(0), 1 => Just(u64::MAX)]
}

fn query() -> impl Strategy<Value = Query> {
    let partition = option::weighted(
        0.2,
        (1..4u32)
            .prop_flat_map(|count| (0..count).prop_map(move |index| Partition { index, count })),
    );
    (tenant(), vec(item(), 0..3), partition, proptest::bool::weighted(0.15)).prop_map(
        |(tenant, items, partition, everyone)| Query { tenant, items, partition, everyone },
    )
}

fn item() -> impl Strategy<Value = QueryItem> {
    let rarely =
        |values: Vec<&'static str>| option::weighted(0.3, select(values).prop_map(str::to_owned));
    let types = subsequence(vec!["X", "Y", "Z"], 0..=2)
        .prop_map(|types| types.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let ids =
        prop_oneof![4 => Just(Vec::new()), 1 => vec((1..40u128).prop_map(Uuid::from_u128), 1..4)];
    let tags = prop_oneof![1 => Just(Vec::new()), 1 => tags()];
    let types = prop_oneof![1 => Just(Vec::new()), 1 => types];
    (
        rarely(vec!["A", "B"]),
        rarely(vec!["1", "2"]),
        types,
        tags,
        ids,
        option::weighted(0.2, reference()),
        option::weighted(0.2, "[a-c]{0,2}"),
    )
        .prop_map(
            |(
                aggregate_type,
                aggregate_id,
                event_types,
                tags,
                event_ids,
                correlation_id,
                user_id,
            )| QueryItem {
                aggregate_type,
                aggregate_id,
                event_types,
                tags,
                event_ids,
                correlation_id,
                user_id,
            },
        )
}

fn range() -> impl Strategy<Value = ReadRange> {
    let until = prop_oneof![2 => Just(u64::MAX), 1 => rank()];
    let after = prop_oneof![2 => Just(0), 1 => rank()];
    let until_version = prop_oneof![2 => Just(u64::MAX), 1 => 0..6u64];
    let after_version = prop_oneof![2 => Just(0), 1 => 0..4u64];
    let happened_from = prop_oneof![4 => Just(i64::MIN), 1 => any::<i64>()];
    let happened_until = prop_oneof![4 => Just(i64::MAX), 1 => any::<i64>()];
    let bounds = (after, until, after_version, until_version, happened_from, happened_until);
    (bounds, any::<bool>(), 1..8usize).prop_map(|(bounds, backwards, limit)| {
        let (after, until, after_version, until_version, happened_from, happened_until) = bounds;
        ReadRange {
            after,
            until,
            after_version,
            until_version,
            happened_from,
            happened_until,
            backwards,
            limit,
            ..ReadRange::default()
        }
    })
}

fn selection() -> impl Strategy<Value = StreamSelection> {
    let kind = option::of(select(vec!["A".to_owned(), "B".to_owned()]));
    let id = option::of(select(vec!["1".to_owned(), "2".to_owned()]));
    (tenant(), kind, id).prop_map(|(tenant, aggregate_type, aggregate_id)| StreamSelection {
        tenant,
        aggregate_type,
        aggregate_id,
    })
}

fn record_keys() -> Vec<RecordKey> {
    let of = |(tenant, space, key): (&str, &str, &str)| RecordKey {
        tenant: tenant.to_owned(),
        ..RecordKey::new(space, key)
    };
    [("", "s", "a"), ("", "s", "ab"), ("", "s", "b"), ("", "o", "a"), ("t", "s", "a")]
        .map(of)
        .to_vec()
}

fn change(key: RecordKey) -> impl Strategy<Value = RecordChange> {
    let expected = prop_oneof![
        2 => Just(ExpectedRecord::Any),
        1 => Just(ExpectedRecord::Absent),
        1 => (0..4u64).prop_map(ExpectedRecord::Exact),
        1 => Just(ExpectedRecord::Rising),
    ];
    let index = vec((select(vec!["m".to_owned(), "n".to_owned()]), scalar()), 0..4);
    let value = (vec(any::<u8>(), 0..4), option::of(0..5i64), index)
        .prop_map(|(bytes, due, index)| RecordValue { bytes, due, index, text: None });
    (expected, option::weighted(0.7, value)).prop_map(move |(expected, value)| RecordChange {
        key: key.clone(),
        expected,
        value,
    })
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        (-2..3i64).prop_map(Scalar::Int),
        (-2..3i32).prop_map(|half| Scalar::Real(f64::from(half) / 2.0)),
        "[abé]{0,2}".prop_map(Scalar::Text),
    ]
}

fn record_query() -> impl Strategy<Value = RecordQuery> {
    let texts = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
    let name = select(vec!["m".to_owned(), "n".to_owned()]);
    let chosen = prop_oneof![
        1 => subsequence(texts(["a", "ab", "b", "c"]), 0..=4).prop_map(RecordSelection::Keys),
        1 => select(texts(["", "a", "ab", "b"])).prop_map(RecordSelection::Prefix),
        3 => (name, option::of(scalar()), option::of(scalar()))
            .prop_map(|(name, from, to)| RecordSelection::Index { name, from, to }),
        1 => option::of(0..5i64).prop_map(|until| RecordSelection::Due { until }),
    ];
    let space = prop_oneof![4 => Just("s".to_owned()), 1 => Just("o".to_owned())];
    let flags = any::<[bool; 3]>();
    (tenant(), space, chosen, flags).prop_map(
        |(tenant, space, select, [backwards, entries, bytes])| RecordQuery {
            tenant,
            space,
            select,
            backwards,
            entries,
            bytes,
        },
    )
}
