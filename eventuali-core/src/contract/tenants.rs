//! Clauses about tenants, which never see each other.

use super::Fixture;
use super::given::{
    OTHER, Store, account, done, events, found, ids, key, open, records, refused, select, streams,
};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::query::{Query, QueryItem};
use crate::record::{ExpectedRecord, RecordChange, RecordQuery, RecordSelection};
use crate::stream::ExpectedVersion::{self, Exact, NoStream};
use crate::stream::{StreamId, StreamSelection};

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
        let commit = Commit::append(StreamId::none(tenant), ExpectedVersion::Any, events(2));
        done(&store, commit.clone()).await;
        assert_eq!(ids(&found(&store, &Query::all(tenant)).await), commit.event_ids());
    }
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
