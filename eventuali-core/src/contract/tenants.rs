//! Clauses about tenants, which never see each other.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier};

use super::Fixture;
use super::block_on;
use super::given::{
    OTHER, Store, account, done, events, found, ids, key, open, records, refused, select, streams,
    tagged,
};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::event::StoredEvent;
use crate::layer::counter::Counter;
use crate::layer::tenant::Tenant;
use crate::query::{Query, QueryItem, ReadRange};
use crate::record::{ExpectedRecord, RecordChange, RecordQuery, RecordSelection};
use crate::stream::ExpectedVersion::{self, Any, Exact, NoStream};
use crate::stream::{StreamId, StreamSelection};
use crate::usage::{TenantLimits, Usage, UsageQuery};

/// The default tenant, and names that a careless comparison would confuse.
const TENANTS: [&str; 5] = ["", OTHER, "OTHER", "other_", "a-b"];

pub async fn events_stay_apart(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut given = Vec::new();
    for tenant in TENANTS {
        let commit = of(tenant, NoStream);
        given.push((tenant, commit.event_ids()));
        done(&store, commit).await;
    }
    for (tenant, expected) in given {
        assert_eq!(ids(&found(&store, &Query::all(tenant)).await), expected);
        let stream = Query::stream(&account("1").with_tenant(tenant));
        assert_eq!(ids(&found(&store, &stream).await), expected);
    }
    assert!(found(&store, &Query::all("nobody")).await.is_empty());
}

pub async fn a_known_id_gives_no_access(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = of(OTHER, NoStream);
    let event_ids = commit.event_ids();
    done(&store, commit).await;
    let items = vec![QueryItem { event_ids, ..QueryItem::default() }];
    assert!(found(&store, &Query { items, ..Query::default() }).await.is_empty());
}

pub async fn versions_stay_apart(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for tenant in TENANTS {
        assert_eq!(done(&store, of(tenant, NoStream)).await.versions, [2]);
    }
    for tenant in TENANTS {
        assert_eq!(done(&store, of(tenant, Exact(2))).await.versions, [4]);
        let kind = refused(&store, of(tenant, Exact(2))).await;
        let ErrorKind::Conflict { stream, actual: 4, .. } = kind else { panic!("{kind:?}") };
        assert_eq!(stream.tenant, tenant);
    }
}

pub async fn streams_stay_apart(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for tenant in TENANTS {
        done(&store, of(tenant, NoStream)).await;
        let selection = StreamSelection { tenant: tenant.to_owned(), ..Default::default() };
        let listed = streams(&store, &selection, 10).await;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].stream, account("1").with_tenant(tenant));
    }
}

pub async fn records_stay_apart(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for tenant in TENANTS {
        let change = change(tenant, tenant).expecting(ExpectedRecord::Absent);
        assert_eq!(done(&store, Commit::change(vec![change])).await.record_versions, [1]);
    }
    for tenant in TENANTS {
        for chosen in
            [RecordSelection::Keys(vec!["a".into()]), RecordSelection::Prefix(String::new())]
        {
            assert_eq!(documents(&store, tenant, chosen).await, [tenant.as_bytes()]);
        }
    }
}

pub async fn deleting_a_record_leaves_the_others(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, Commit::change(TENANTS.map(|tenant| change(tenant, "x")).to_vec())).await;
    let mut deletion = RecordChange::delete(key("a"));
    OTHER.clone_into(&mut deletion.key.tenant);
    done(&store, Commit::change(vec![deletion])).await;
    for tenant in TENANTS {
        let left = documents(&store, tenant, RecordSelection::Prefix(String::new())).await;
        assert_eq!(left.is_empty(), tenant == OTHER);
    }
}

pub async fn events_without_a_stream_stay_apart(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for tenant in TENANTS {
        let commit = Commit::append(StreamId::none(tenant), Any, events(2));
        done(&store, commit.clone()).await;
        assert_eq!(ids(&found(&store, &Query::all(tenant)).await), commit.event_ids());
    }
}

pub async fn usage_is_of_one_tenant(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for tenant in TENANTS {
        assert_eq!(used(&store, Some(tenant)).await, []);
    }
    let mut given = Vec::new();
    for (tenant, rounds) in TENANTS.into_iter().zip(1..) {
        for _ in 0..rounds {
            done(&store, of(tenant, Any)).await;
            let loose = vec![tagged("Noted", &["red"])];
            done(&store, Commit::append(StreamId::none(tenant), Any, loose)).await;
        }
        let all = found(&store, &Query::all(tenant)).await;
        let usage = Usage { events: 3 * rounds, bytes: bytes(&all), streams: 1 };
        given.push((tenant.to_owned(), usage));
    }
    for one in given {
        assert_eq!(used(&store, Some(&one.0)).await, [one]);
    }
    assert_eq!(used(&store, Some("nobody")).await, []);
}

pub async fn usage_of_all_is_that_of_each_tenant(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    assert_eq!(used(&store, None).await, []);
    let mut expected = Vec::new();
    for tenant in TENANTS {
        done(&store, of(tenant, Any)).await;
    }
    for tenant in TENANTS {
        expected.extend(used(&store, Some(tenant)).await);
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(expected.len(), TENANTS.len());
    assert_eq!(used(&store, None).await, expected);
}

pub async fn usage_goes_on_after_a_position(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let (mut after, mut sum) = (0, Usage::default());
    for round in 1..=5 {
        done(&store, of(OTHER, Any)).await;
        done(&store, of("", Any)).await;
        let query = UsageQuery { tenant: Some(OTHER.to_owned()), after };
        let page = store.usage(query).await.expect("it counts");
        assert!(page.end && page.looked_to > after);
        assert_eq!(page.usages[OTHER].events, 2);
        (after, sum) = (page.looked_to, sum.plus(page.usages[OTHER]));
        assert_eq!(sum.events, 2 * round);
    }
    assert_eq!(used(&store, Some(OTHER)).await, [(OTHER.to_owned(), sum)]);
    let beyond = UsageQuery { tenant: None, after: after + 1000 };
    let page = store.usage(beyond).await.expect("it counts");
    assert!(page.end && page.usages.is_empty());
}

pub async fn everyone_is_every_tenant(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for round in 0..4 {
        for tenant in TENANTS {
            let event = tagged(["Opened", "Closed"][round % 2], &["red", "blue"][round % 2..]);
            let stream = account(&(round % 3).to_string()).with_tenant(tenant);
            done(&store, Commit::append(stream, Any, vec![event])).await;
            done(&store, Commit::append(StreamId::none(tenant), Any, events(1))).await;
        }
    }
    let some: Vec<_> = found(&store, &Query::all(OTHER)).await.iter().map(id).take(3).collect();
    let own = |value: &str| Some(value.to_owned());
    let items = [
        QueryItem::default(),
        QueryItem { aggregate_type: own("Account"), ..QueryItem::default() },
        QueryItem { aggregate_id: own("1"), ..QueryItem::default() },
        QueryItem {
            aggregate_type: own("Account"),
            aggregate_id: own("1"),
            ..QueryItem::default()
        },
        QueryItem { event_types: vec!["Opened".to_owned()], ..QueryItem::default() },
        QueryItem { tags: vec!["red".to_owned()], ..QueryItem::default() },
        QueryItem { event_ids: some, ..QueryItem::default() },
        QueryItem { tags: vec!["none".to_owned()], ..QueryItem::default() },
    ];
    for (index, item) in items.into_iter().enumerate() {
        let items = if index == 0 { Vec::new() } else { vec![item] };
        let mut expected = Vec::new();
        for tenant in TENANTS {
            let query = Query { items: items.clone(), ..Query::all(tenant) };
            expected.extend(found(&store, &query).await);
        }
        expected.sort_by_key(|event| event.head.position);
        let query = Query { items, everyone: true, ..Query::all(OTHER) };
        assert_eq!(found(&store, &query).await, expected, "{index}");
        let range = ReadRange::default();
        let count = store.count(query.clone(), range).await.expect("it counts");
        assert_eq!(count, expected.len() as u64, "{index}");
        for strict in [false, true] {
            let range = ReadRange { backwards: true, strict, ..range };
            let page = store.read(query.clone(), range).await.expect("it reads");
            expected.sort_by_key(|event| std::cmp::Reverse(event.head.position));
            let read = page.iter().map(|event| event.to_stored().expect("it is readable"));
            assert_eq!(read.collect::<Vec<_>>(), expected, "{index}");
            assert!(page.end);
        }
    }
}

pub async fn a_commit_beyond_a_limit_writes_nothing(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, of(OTHER, Any)).await;
    done(&store, of("", Any)).await;
    let size = bytes(&found(&store, &Query::all(OTHER)).await);
    for limits in [
        TenantLimits { events: Some(4), bytes: None },
        TenantLimits { events: None, bytes: Some(2 * size) },
    ] {
        let (limited, before) = (limited(&store, limits), found(&store, &Query::all("")).await);
        let own = found(&store, &Query::all(OTHER)).await.len() as u64;
        if own == 2 {
            done(&limited, of("", Any)).await;
        }
        let mut large = of("", Any);
        large.records.push(RecordChange::put(key("a"), "x"));
        let kind = refused(&limited, large).await;
        let ErrorKind::TenantLimit { tenant, limit, allowed, used, asked } = kind else {
            panic!("{kind:?}")
        };
        let of_bytes = limits.bytes.is_some();
        assert_eq!((tenant.as_str(), limit), (OTHER, ["events", "bytes"][usize::from(of_bytes)]));
        let expected = if of_bytes { (2 * size, 2 * size, size) } else { (4, 4, 2) };
        assert_eq!((allowed, used, asked), expected);
        assert_eq!(found(&store, &Query::all(OTHER)).await.len(), 4);
        assert_eq!(found(&store, &Query::all("")).await, before);
        let query = RecordQuery {
            tenant: OTHER.to_owned(),
            ..select(RecordSelection::Keys(vec!["a".into()]))
        };
        assert!(records(&store, &query, 10).await.is_empty());
        // What adds no event is not asked for room.
        done(&limited, Commit::change(vec![RecordChange::put(key("b"), "x")])).await;
    }
}

pub async fn a_stored_commit_exceeds_no_limit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let limited = limited(&store, TenantLimits { events: Some(2), bytes: None });
    let mut commit = Commit::append(account("1"), NoStream, events(1));
    commit.records.push(RecordChange::put(key("a"), "x"));
    let answer = done(&limited, commit.clone()).await;
    let loose = Commit::append(StreamId::none(""), Any, events(1));
    let other = done(&limited, loose.clone()).await;
    for _ in 0..3 {
        assert_eq!(done(&limited, commit.clone()).await, answer);
        assert_eq!(done(&limited, loose.clone()).await, other);
    }
    let mut more = commit.clone();
    more.writes[0].events.extend(events(1));
    let kind = refused(&limited, more).await;
    assert!(matches!(kind, ErrorKind::IdempotencyConflict { .. }), "{kind:?}");
    let kind = refused(&limited, Commit::append(StreamId::none(""), Any, events(1))).await;
    assert!(matches!(kind, ErrorKind::TenantLimit { .. }), "{kind:?}");
    assert_eq!(found(&store, &Query::all(OTHER)).await.len(), 2);
}

pub async fn what_others_write_counts_towards_a_limit(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let limits = TenantLimits { events: Some(10), bytes: None };
    let (one, two) = (limited(&store, limits), limited(&store, limits));
    done(&store, of(OTHER, Any)).await;
    for _ in 0..3 {
        done(&one, of("", Any)).await;
    }
    done(&two, of("", Any)).await;
    for limited in [one, two] {
        let kind = refused(&limited, of("", Any)).await;
        assert!(matches!(kind, ErrorKind::TenantLimit { used: 10, .. }), "{kind:?}");
    }
    assert_eq!(found(&store, &Query::all(OTHER)).await.len(), 10);
}

pub async fn a_limit_holds_for_callers_at_once(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let limited = limited(&store, TenantLimits { events: Some(20), bytes: None });
    let (go, accepted) = (Barrier::new(16), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                go.wait();
                for _ in 0..2 {
                    match block_on(limited.commit(of("", Any))) {
                        Ok(_) => drop(accepted.fetch_add(1, Relaxed)),
                        Err(error) => {
                            let kind = error.kind();
                            assert!(matches!(kind, ErrorKind::TenantLimit { .. }), "{kind:?}");
                        }
                    }
                }
            });
        }
    });
    assert_eq!(accepted.into_inner(), 10);
    assert_eq!(found(&store, &Query::all(OTHER)).await.len(), 20);
}

/// The store of [`OTHER`], with limits, as a process of its own has it.
fn limited(store: &Store, limits: TenantLimits) -> Store {
    let view = Tenant::new(Arc::clone(store), OTHER).expect("it is a tenant");
    Arc::new(view.limited(limits, &Arc::new(Counter::default())))
}

async fn used(store: &Store, tenant: Option<&str>) -> Vec<(String, Usage)> {
    let query = UsageQuery { tenant: tenant.map(str::to_owned), after: 0 };
    let page = store.usage(query).await.expect("it counts");
    assert!(page.end, "there is little");
    page.usages.into_iter().collect()
}

fn bytes(events: &[StoredEvent]) -> u64 {
    let size = |event: &StoredEvent| {
        event.payload.len() + event.metadata.encode().expect("it was stored").len()
    };
    events.iter().map(size).sum::<usize>() as u64
}

fn id(event: &StoredEvent) -> uuid::Uuid {
    event.head.event_id
}

fn of(tenant: &str, expected: ExpectedVersion) -> Commit {
    Commit::append(account("1").with_tenant(tenant), expected, events(2))
}

fn change(tenant: &str, bytes: &str) -> RecordChange {
    let mut change = RecordChange::put(key("a"), bytes);
    tenant.clone_into(&mut change.key.tenant);
    change
}

async fn documents(store: &Store, tenant: &str, chosen: RecordSelection) -> Vec<Vec<u8>> {
    let query = RecordQuery { tenant: tenant.to_owned(), ..select(chosen) };
    records(store, &query, 10).await.into_iter().map(|record| record.value.bytes).collect()
}
