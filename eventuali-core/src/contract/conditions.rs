//! Clauses about "no event matches this query after this position".

use super::Fixture;
use super::given::{
    OTHER, Store, account, deposits, done, event, events, expecting, interleaved, item, log, loose,
    of_stream, of_tags, of_type, open, put_expecting, query, refused, tagged, together,
};
use crate::commit::{Commit, Committed};
use crate::error::ErrorKind;
use crate::event::{Metadata, Reference};
use crate::query::{Query, QueryItem};
use crate::record::ExpectedRecord;
use crate::stream::ExpectedVersion::{Any, Exact};

pub async fn an_event_of_the_type_fails_it(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    fails(&store, query([of_type("Reserved")]), 0, at).await;
    holds(&store, query([of_type("Released")]), 0).await;
    holds(&store, query([of_type("reserved")]), 0).await;
}

pub async fn an_event_with_the_tags_fails_it(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    fails(&store, query([of_tags(&["seat:1"])]), 0, at).await;
    fails(&store, query([of_tags(&["show:7", "seat:1"])]), 0, at).await;
    holds(&store, query([of_tags(&["seat:1", "seat:2"])]), 0).await;
    holds(&store, query([of_tags(&["seat:"])]), 0).await;
}

pub async fn an_event_of_the_stream_fails_it(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    fails(&store, Query::stream(&account("1")), 0, at).await;
    holds(&store, Query::stream(&account("2")), 0).await;
    let of_kind = QueryItem { aggregate_type: Some("Account".to_owned()), ..item() };
    fails(&store, query([of_kind]), 0, at).await;
}

pub async fn an_event_with_the_id_fails_it(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let stored = log(&store).await[0].head.event_id;
    let unknown = event("x").event_id;
    fails(&store, query([QueryItem { event_ids: vec![unknown, stored], ..item() }]), 0, at).await;
    holds(&store, query([QueryItem { event_ids: vec![unknown], ..item() }]), 0).await;
}

pub async fn an_event_of_the_correlation_fails_it(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let of = |id: &str| {
        query([QueryItem { correlation_id: Some(Reference::Text(id.to_owned())), ..item() }])
    };
    fails(&store, of("request-1"), 0, at).await;
    holds(&store, of("request-2"), 0).await;
}

pub async fn an_event_of_the_user_fails_it(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let by = |user: &str| {
        let metadata = Metadata { user_id: Some(user.to_owned()), ..Metadata::default() };
        loose(vec![event("Reserved").with_metadata(metadata)])
    };
    let at = done(&store, by("ada")).await.positions[0];
    let of = |user: &str| query([QueryItem { user_id: Some(user.to_owned()), ..item() }]);
    fails(&store, of("ada"), 0, at).await;
    holds(&store, of("ad"), 0).await;
    holds(&store, of("ada"), at).await;
    // One that came just before, in the same group of commits.
    let answers = [by("bob"), by("bob").on_condition(of("bob"), at)].map(|c| store.commit(c));
    let [first, second] = answers;
    first.await.expect("nobody was before");
    let refused = second.await.expect_err("somebody was");
    assert!(matches!(refused.kind(), ErrorKind::ConditionFailed { .. }), "{refused}");
}

pub async fn any_item_may_match(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    fails(&store, query([of_type("Released"), of_tags(&["seat:1"])]), 0, at).await;
    holds(&store, query([of_type("Released"), of_tags(&["seat:2"])]), 0).await;
}

pub async fn every_part_of_an_item_must_match(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let both = |event_type: &str, tag: &str| {
        query([QueryItem { tags: vec![tag.to_owned()], ..of_type(event_type) }])
    };
    fails(&store, both("Reserved", "seat:1"), 0, at).await;
    holds(&store, both("Reserved", "seat:2"), 0).await;
    holds(&store, both("Released", "seat:1"), 0).await;
}

pub async fn a_query_without_items_matches_everything(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    fails(&store, Query::default(), 0, at).await;
    holds(&store, Query::default(), at).await;
}

pub async fn after_is_exact(fixture: &dyn Fixture) {
    let (store, first) = with_one_event(fixture).await;
    let second = done(&store, loose(vec![event("Reserved")])).await.positions[0];
    let reserved = || query([of_type("Reserved")]);
    fails(&store, reserved(), first - 1, first).await;
    fails(&store, reserved(), first, second).await;
    fails(&store, reserved(), second - 1, second).await;
    holds(&store, reserved(), second).await;
}

pub async fn after_may_lie_anywhere_in_a_stream(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    interleaved(&store).await;
    let log = log(&store).await;
    let last = log[log.len() - 1].head.position;
    let typed = query([of_stream(&account("1"), of_type("Even"))]);
    for query in [Query::stream(&account("1")), typed] {
        let wanted = |kind: &str| query.items[0].event_types.iter().all(|only| only == kind);
        for after in 0..last + 2 {
            let matches = log.iter().map(|event| &event.head).find(|head| {
                head.position > after
                    && *head.stream == account("1")
                    && wanted(&head.kind.event_type)
            });
            match matches {
                Some(head) => fails(&store, query.clone(), after, head.position).await,
                None => holds(&store, query.clone(), after).await,
            }
        }
    }
}

pub async fn after_may_lie_beyond_the_log(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    for after in [at + 1000, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        holds(&store, query([of_type("Reserved")]), after).await;
    }
}

pub async fn the_lowest_match_is_named(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let several = vec![event("x"), tagged("x", &["b"]), tagged("x", &["a"]), tagged("x", &["b"])];
    let positions = done(&store, loose(several)).await.positions;
    let either = || query([of_tags(&["a"]), of_tags(&["b"])]);
    fails(&store, either(), 0, positions[1]).await;
    fails(&store, either(), positions[1], positions[2]).await;
    fails(&store, query([of_tags(&["a"])]), 0, positions[2]).await;
}

pub async fn events_of_the_commit_itself_do_not_count(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let commit = loose(vec![event("Reserved"), event("Reserved")]);
    done(&store, commit.on_condition(query([of_type("Reserved")]), 0)).await;
}

pub async fn only_the_tenant_of_the_query_counts(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let foreign = Query { tenant: OTHER.to_owned(), ..query([of_type("Reserved")]) };
    holds(&store, foreign.clone(), 0).await;
    let stream = account("1").with_tenant(OTHER);
    let there = done(&store, Commit::append(stream, Any, vec![event("Reserved")])).await;
    fails(&store, foreign, 0, there.positions[0]).await;
    fails(&store, query([of_type("Reserved")]), 0, at).await;
}

pub async fn all_conditions_must_hold(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let commit = deposits("2", 1)
        .on_condition(query([of_type("Released")]), 0)
        .on_condition(query([of_type("Reserved")]), at)
        .on_condition(query([of_tags(&["seat:1"])]), 0);
    let failed = ErrorKind::ConditionFailed { after: 0, position: at };
    assert_eq!(refused(&store, commit).await, failed);
}

pub async fn a_condition_may_stand_alone(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let ask = |after| Commit::default().on_condition(query([of_type("Reserved")]), after);
    let failed = ErrorKind::ConditionFailed { after: 0, position: at };
    assert_eq!(refused(&store, ask(0)).await, failed);
    assert_eq!(done(&store, ask(at)).await, Committed::default());
}

pub async fn versions_conditions_records_are_judged_in_this_order(fixture: &dyn Fixture) {
    let (store, at) = with_one_event(fixture).await;
    let records = put_expecting("a", ExpectedRecord::Exact(4));
    let commit = together([expecting("1", Exact(9), 1), records])
        .on_condition(query([of_type("Reserved")]), 0);
    assert!(matches!(refused(&store, commit.clone()).await, ErrorKind::Conflict { .. }));
    let mut commit = commit;
    commit.writes[0].expected = Exact(1);
    assert!(matches!(refused(&store, commit.clone()).await, ErrorKind::ConditionFailed { .. }));
    commit.conditions[0].after = at;
    assert!(matches!(refused(&store, commit).await, ErrorKind::RecordConflict { .. }));
}

pub async fn what_was_found_before_is_known_after(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let mut after = 0;
    for _ in 0..20 {
        let commit = loose(vec![tagged("Reserved", &["seat:1"])]);
        let commit = commit.on_condition(query([of_tags(&["seat:1"])]), after);
        after = done(&store, commit).await.positions[0];
    }
    fails(&store, query([of_tags(&["seat:1"])]), after - 1, after).await;
}

/// A store with one event, at the end of stream 1, and its position.
async fn with_one_event(fixture: &dyn Fixture) -> (Store, u64) {
    let store = open(fixture).await;
    done(&store, Commit::append(account("1").with_tenant("third"), Any, events(1))).await;
    let reserved = event("Reserved").with_metadata(Metadata {
        tags: vec!["show:7".to_owned(), "seat:1".to_owned()],
        correlation_id: Some(Reference::Text("request-1".to_owned())),
        ..Metadata::default()
    });
    let committed = done(&store, Commit::append(account("1"), Any, vec![reserved])).await;
    (store, committed.positions[0])
}

async fn fails(store: &Store, query: Query, after: u64, position: u64) {
    let kind = refused(store, deposits("new", 1).on_condition(query, after)).await;
    assert_eq!(kind, ErrorKind::ConditionFailed { after, position });
}

/// Asks without events, so that asking leaves nothing that a later condition could find.
async fn holds(store: &Store, query: Query, after: u64) {
    done(store, Commit::default().on_condition(query, after)).await;
}
