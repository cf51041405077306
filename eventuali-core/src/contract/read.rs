//! Clauses about ranges and pages.

use std::thread;
use std::time::Duration;

use super::Fixture;
use super::given::{
    Store, account, deposits, done, events, found, found_in, ids, interleaved, item, log, loose,
    of_stream, of_tags, of_type, open, pages, positions, query, tagged, together, versions,
};
use crate::commit::Commit;
use crate::event::{EventPage, Metadata, NewEvent, Reference, StoredEvent};
use crate::query::{MAX_PAGE_BYTES, MAX_PAGE_EVENTS, Partition, Query, QueryItem, ReadRange};
use crate::storage::Horizon;
use crate::stream::ExpectedVersion::Any;

pub async fn the_log_is_in_the_order_of_positions(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let positions = positions(&log(&store).await);
    assert_eq!(positions.len(), 20);
    assert!(positions.is_sorted());
}

pub async fn backwards_is_the_reverse(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let range = ReadRange { backwards: true, ..ReadRange::default() };
    let mut backwards = found_in(&store, &Query::default(), range).await;
    backwards.reverse();
    assert_eq!(backwards, log(&store).await);
}

pub async fn an_empty_store_is_at_its_end(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for backwards in [false, true] {
        let range = ReadRange { backwards, ..ReadRange::default() };
        let page = store.read(Query::default(), range).await.expect("the page is read");
        assert!(page.is_empty() && page.end);
    }
}

pub async fn the_horizon_is_the_end_when_nobody_writes(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let horizon = store.horizon().await.expect("it is looked for");
    assert_eq!(horizon, Horizon::at(0), "an empty store");
    for n in 1..4 {
        let committed = done(&store, deposits(&n.to_string(), n)).await;
        let last = committed.positions.iter().copied().max().expect("there are events");
        let horizon = store.horizon().await.expect("it is looked for");
        assert_eq!(horizon, Horizon::at(last));
    }
}

pub async fn every_limit_gives_the_whole(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let whole = log(&store).await;
    for limit in (1..=7).chain([19, 20, 21]) {
        let range = ReadRange { limit, ..ReadRange::default() };
        assert_eq!(found_in(&store, &Query::default(), range).await, whole, "limit {limit}");
    }
}

pub async fn every_limit_gives_the_whole_backwards(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let mut whole = log(&store).await;
    whole.reverse();
    for limit in (1..=7).chain([19, 20, 21]) {
        let range = ReadRange { limit, backwards: true, ..ReadRange::default() };
        assert_eq!(found_in(&store, &Query::default(), range).await, whole, "limit {limit}");
    }
}

pub async fn a_page_holds_no_more_than_its_limit(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    for (limit, most) in [(0, 1), (1, 1), (3, 3), (20, 20), (usize::MAX, 20)] {
        let range = ReadRange { limit, ..ReadRange::default() };
        for page in pages(&store, &Query::default(), range).await {
            assert!(page.len() <= most, "{} on a page of {most}", page.len());
        }
    }
}

pub async fn a_page_holds_no_more_than_the_most(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", MAX_PAGE_EVENTS + 500)).await;
    let range = ReadRange { limit: usize::MAX, ..ReadRange::default() };
    let pages = pages(&store, &Query::default(), range).await;
    assert!(pages.iter().all(|page| page.len() <= MAX_PAGE_EVENTS));
    assert_eq!(pages.iter().map(EventPage::len).sum::<usize>(), MAX_PAGE_EVENTS + 500);
}

pub async fn a_page_is_bounded_in_bytes(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let size = store.capabilities().limits.event_bytes;
    let kind = events(1).remove(0).kind;
    let large = || NewEvent::new(std::sync::Arc::clone(&kind), vec![7; size]);
    let count = MAX_PAGE_BYTES / size + 3;
    for _ in 0..count {
        done(&store, Commit::append(account("1"), Any, vec![large()])).await;
    }
    for backwards in [false, true] {
        let range = ReadRange { backwards, ..ReadRange::default() };
        let pages = pages(&store, &Query::default(), range).await;
        assert!(pages.iter().all(|page| page.bytes() <= MAX_PAGE_BYTES));
        assert_eq!(pages.iter().map(EventPage::len).sum::<usize>(), count);
    }
}

pub async fn events_of_any_size_stand_side_by_side(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let kind = events(1).remove(0).kind;
    let large = store.capabilities().limits.event_bytes;
    let mut sizes = vec![10; 40];
    for (at, size) in [(0, large), (3, 9_000), (9, 70_000), (10, 600_000), (30, large), (39, 9_000)]
    {
        sizes[at] = size;
    }
    let metadata = Metadata {
        tags: vec!["any".to_owned()],
        correlation_id: Some(Reference::Text("request".to_owned())),
        ..Metadata::default()
    };
    let asked = QueryItem { correlation_id: metadata.correlation_id.clone(), ..item() };
    let of_aggregate = QueryItem { aggregate_type: Some(account("1").aggregate_type), ..item() };
    let event = |size: &usize| {
        NewEvent::new(std::sync::Arc::clone(&kind), vec![7; *size]).with_metadata(metadata.clone())
    };
    done(&store, Commit::append(account("1"), Any, sizes.iter().map(event).collect())).await;
    let items = [of_type(&kind.event_type), of_tags(&["any"]), asked, of_aggregate];
    let queries = items.map(|item| query([item])).into_iter();
    for query in queries.chain([Query::default(), Query::stream(&account("1"))]) {
        for backwards in [false, true] {
            for limit in [7, 4096] {
                let range = ReadRange { backwards, limit, ..ReadRange::default() };
                let pages = pages(&store, &query, range).await;
                let found = pages.iter().flat_map(EventPage::iter).map(|event| event.payload.len());
                let mut found: Vec<_> = found.collect();
                if backwards {
                    found.reverse();
                }
                assert_eq!(found, sizes);
            }
        }
    }
}

pub async fn looked_to_is_the_truth(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let rare = query([of_tags(&["rare"])]);
    for (query, limit) in [(Query::default(), 3), (Query::default(), 4), (rare, 1)] {
        let whole = positions(&found(&store, &query).await);
        let mut range = ReadRange { limit, ..ReadRange::default() };
        for page in pages(&store, &query, range).await {
            let page_positions: Vec<_> = page.iter().map(|event| event.head.position).collect();
            let covered = |at: &u64| range.after < *at && *at <= page.looked_to;
            let expected: Vec<_> = whole.iter().copied().filter(covered).collect();
            assert_eq!(page_positions, expected, "all up to {}, no more", page.looked_to);
            range = range.continued(page.looked_to);
        }
    }
}

pub async fn looked_to_is_the_truth_backwards(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let rare = query([of_tags(&["rare"])]);
    for (query, limit) in [(Query::default(), 3), (Query::default(), 4), (rare, 1)] {
        let mut whole = positions(&found(&store, &query).await);
        whole.reverse();
        let mut range = ReadRange { limit, backwards: true, ..ReadRange::default() };
        for page in pages(&store, &query, range).await {
            let page_positions: Vec<_> = page.iter().map(|event| event.head.position).collect();
            let covered = |at: &u64| page.looked_to <= *at && *at <= range.until;
            let expected: Vec<_> = whole.iter().copied().filter(covered).collect();
            assert_eq!(page_positions, expected, "all down to {}, no more", page.looked_to);
            range = range.continued(page.looked_to);
        }
    }
}

pub async fn looked_to_stays_within_the_range(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let all = positions(&log(&store).await);
    for (after, until) in [(0, all[4]), (all[3], all[9]), (all[19], u64::MAX)] {
        let range = ReadRange { after, until, limit: 2, ..ReadRange::default() };
        for page in pages(&store, &Query::default(), range).await {
            assert!((after..=until.min(all[19])).contains(&page.looked_to));
        }
    }
}

pub async fn reading_on_from_the_end_finds_what_comes(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let rare = query([of_tags(&["rare"])]);
    let mut range = ReadRange::default();
    let mut last = pages(&store, &rare, range).await.pop().expect("there is a last page");
    for _ in 0..3 {
        range = range.continued(last.looked_to);
        done(&store, deposits("1", 2)).await;
        let commit = loose(vec![tagged("x", &["rare"])]);
        done(&store, commit.clone()).await;
        let fresh = found_in(&store, &rare, range).await;
        assert_eq!(ids(&fresh), commit.event_ids());
        last = pages(&store, &rare, range).await.pop().expect("there is a last page");
    }
}

pub async fn the_end_comes_with_the_last_event_at_the_latest(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let last = positions(&log(&store).await)[19];
    let range = ReadRange { after: last, ..ReadRange::default() };
    let page = store.read(Query::default(), range).await.expect("the page is read");
    assert!(page.is_empty() && page.end);
    assert_eq!(page.looked_to, last, "never beyond what is stored");
}

pub async fn after_is_excluded_and_until_included(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let all = positions(&log(&store).await);
    for (from, to) in [(0, 5), (3, 4), (7, 19), (19, 19)] {
        for backwards in [false, true] {
            let (after, until) = (all[from] - 1, all[to]);
            let range = ReadRange { after, until, backwards, ..ReadRange::default() };
            let mut stored = positions(&found_in(&store, &Query::default(), range).await);
            stored.sort_unstable();
            assert_eq!(stored, all[from..=to]);
        }
    }
}

pub async fn an_empty_range_is_at_its_end(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let at = positions(&log(&store).await)[9];
    let beyond = i64::MAX as u64 + 1;
    for (after, until) in [(at, at), (at, at - 1), (u64::MAX, u64::MAX), (beyond, u64::MAX), (0, 0)]
    {
        for backwards in [false, true] {
            let range = ReadRange { after, until, backwards, ..ReadRange::default() };
            let page = store.read(Query::default(), range).await.expect("the page is read");
            assert!(page.is_empty() && page.end, "after {after} until {until}");
        }
    }
}

pub async fn happened_times_bound_what_is_read(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let times = [5, -3, 9, 5, i64::MIN, 7, 0, i64::MAX, 5, 1];
    for (timestamp, n) in times.into_iter().zip(0..) {
        let (id, tags) = (if n % 2 == 0 { "1" } else { "2" }, &["t"][..n % 3 % 2]);
        let event = NewEvent { timestamp, ..tagged("Noted", tags) };
        done(&store, Commit::append(account(id), Any, vec![event])).await;
    }
    let log = log(&store).await;
    let edges = [i64::MIN, -3, 0, 1, 5, 6, 9, i64::MAX];
    for happened_from in edges {
        for happened_until in edges {
            for (after, limit, backwards) in [(0, 100, false), (2, 1, false), (3, 2, true)] {
                let range = ReadRange {
                    after: if after == 0 { 0 } else { log[after - 1].head.position },
                    happened_from,
                    happened_until,
                    limit,
                    backwards,
                    ..ReadRange::default()
                };
                let lies = |e: &StoredEvent| {
                    e.head.position > range.after
                        && (happened_from..=happened_until).contains(&e.head.timestamp)
                };
                finds(&store, Query::default(), range, &log, lies).await;
                let ours = |e: &StoredEvent| lies(e) && *e.head.stream == account("2");
                finds(&store, Query::stream(&account("2")), range, &log, ours).await;
                let tagged = |e: &StoredEvent| lies(e) && e.metadata.tags == ["t"];
                finds(&store, query([of_tags(&["t"])]), range, &log, tagged).await;
            }
        }
    }
}

pub async fn a_count_is_of_what_is_read(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    interleaved(&store).await;
    thread::sleep(Duration::from_millis(2));
    interleaved(&store).await;
    let log = log(&store).await;
    let (last, times) = (log[log.len() - 1].head.position, log.iter().map(|e| e.head.recorded_at));
    let times: Vec<i64> = times.collect();
    let part = |index| Query { partition: Some(Partition { index, count: 3 }), ..Query::default() };
    let of = |kind: &str| QueryItem { aggregate_type: Some(kind.to_owned()), ..item() };
    let queries = [
        Query::default(),
        Query::all("other"),
        Query::stream(&account("1")),
        Query::stream(&account("nobody")),
        query([of_type("Even")]),
        query([of_type("Even"), of_type("Odd")]),
        query([of("Account")]),
        query([QueryItem { aggregate_id: Some("2".into()), ..item() }]),
        query([of_tags(&["rare"])]),
        query([of_tags(&["rare", "rare"])]),
        query([of_tags(&["rare"]), of_stream(&account("2"), item())]),
        query([of_stream(&account("1"), of_type("Odd"))]),
        part(0),
        part(2),
        Query { items: vec![of_type("Odd")], ..part(1) },
        Query { items: vec![of_tags(&["rare"])], ..part(1) },
    ];
    let mut ranges = vec![ReadRange::default()];
    for (after, until) in [(0, 0), (0, 5), (3, last - 2), (7, 8), (last, u64::MAX), (9, 2)] {
        ranges.push(ReadRange { after, until, ..ReadRange::default() });
        ranges.push(ReadRange { after_version: 2, until_version: 5, after, until, ..ranges[0] });
    }
    let middle = times[times.len() / 2];
    for (recorded_from, recorded_until) in [(middle, i64::MAX), (i64::MIN, middle - 1), (9, 8)] {
        ranges.push(ReadRange { recorded_from, recorded_until, after: 2, ..ranges[0] });
    }
    for query in &queries {
        for range in &ranges {
            let range = ReadRange { limit: 3, backwards: true, ..*range };
            let found = found_in(&store, query, range).await.len() as u64;
            let count = store.count(query.clone(), range).await.expect("it counts");
            assert_eq!(count, found, "{query:?} in {range:?}");
        }
    }
    let none = query([of_tags(&["$"])]);
    assert!(store.count(none, ReadRange::default()).await.is_err(), "a query is checked");
}

pub async fn versions_bound_a_stream(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let stream = Query::stream(&account("1"));
    for (after_version, until_version) in [(0, 3), (2, 5), (4, u64::MAX), (9, u64::MAX), (3, 3)] {
        for (limit, backwards) in [(1, false), (100, false), (2, true)] {
            let range = ReadRange {
                after_version,
                until_version,
                backwards,
                limit,
                ..ReadRange::default()
            };
            let mut stored = versions(&found_in(&store, &stream, range).await);
            stored.sort_unstable();
            let expected = (1..=8).filter(|v| after_version < *v && *v <= until_version);
            assert_eq!(stored, expected.collect::<Vec<u64>>());
        }
    }
}

pub async fn positions_bound_a_stream(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    interleaved(&store).await;
    let log = log(&store).await;
    let last = positions(&log)[log.len() - 1];
    let [typed, either] = [vec![of_type("Even")], vec![of_type("Odd"), of_tags(&["rare"])]]
        .map(|items| query(items.into_iter().map(|item| of_stream(&account("1"), item))));
    let ours = |e: &StoredEvent| *e.head.stream == account("1");
    let rare = |e: &StoredEvent| e.metadata.tags == ["rare"];
    let is = |e: &StoredEvent, event_type: &str| e.head.kind.event_type == event_type;
    for after in 0..last + 2 {
        for until in [after + 1, after + 4, last, u64::MAX] {
            let range = ReadRange { after, until, ..ReadRange::default() };
            let lies = |e: &StoredEvent| ours(e) && (after + 1..=until).contains(&e.head.position);
            let picked = |e: &StoredEvent| lies(e) && (is(e, "Odd") || rare(e));
            finds(&store, Query::stream(&account("1")), range, &log, lies).await;
            finds(&store, typed.clone(), range, &log, |e| lies(e) && is(e, "Even")).await;
            finds(&store, either.clone(), range, &log, picked).await;
        }
    }
}

pub async fn positions_bound_a_long_stream(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let each = |_| together(["1", "2", "3"].map(|id| deposits(id, 1)));
    let answers: Vec<_> = (0..300).map(each).map(|commit| store.commit(commit)).collect();
    for answer in answers {
        answer.await.expect("the commit is accepted");
    }
    let typed = query([of_stream(&account("1"), of_type("Deposited"))]);
    let log = log(&store).await;
    for at in (0..log.len()).step_by(31).chain(log.len() - 8..log.len()) {
        let range = ReadRange { after: log[at].head.position - 1, ..ReadRange::default() };
        let range = ReadRange { until: range.after + 7, ..range };
        let within = range.after + 1..=range.until;
        let lies =
            |e: &StoredEvent| *e.head.stream == account("1") && within.contains(&e.head.position);
        finds(&store, Query::stream(&account("1")), range, &log, lies).await;
        finds(&store, typed.clone(), range, &log, lies).await;
    }
}

pub async fn times_end_what_was_looked_at(fixture: &dyn Fixture) {
    let store = with_twenty(fixture).await;
    let log = log(&store).await;
    let queries = [Query::default(), query([of_tags(&["rare"])])];
    let times: Vec<i64> = log.iter().map(|event| event.head.recorded_at).collect();
    for (query, time) in queries.iter().flat_map(|query| times.iter().map(move |t| (query, *t))) {
        let whole = found(&store, query).await;
        let range = ReadRange { recorded_until: time - 1, ..ReadRange::default() };
        let pages = pages(&store, query, range).await;
        let looked_to = pages.last().expect("there is a page").looked_to;
        let later: Vec<_> =
            whole.into_iter().filter(|event| event.head.recorded_at >= time).collect();
        let range = ReadRange { after: looked_to, ..ReadRange::default() };
        assert_eq!(found_in(&store, query, range).await, later, "{time}");
    }
}

pub async fn times_bound_the_log(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for _ in 0..4 {
        done(&store, deposits("1", 2)).await;
        thread::sleep(Duration::from_millis(2));
    }
    let log = log(&store).await;
    let times: Vec<i64> = log.iter().map(|event| event.head.recorded_at).collect();
    let far = [i64::MIN, i64::MAX];
    for recorded_from in times.iter().copied().chain(far) {
        for recorded_until in times.iter().flat_map(|time| [*time, time - 1]).chain(far) {
            let range = ReadRange { recorded_from, recorded_until, limit: 3, ..Default::default() };
            let bounds = recorded_from..=recorded_until;
            let expected = log.iter().filter(|event| bounds.contains(&event.head.recorded_at));
            let expected: Vec<_> = expected.map(|event| event.head.position).collect();
            assert_eq!(positions(&found_in(&store, &Query::default(), range).await), expected);
        }
    }
}

pub async fn a_rare_event_is_found_in_a_long_log(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, deposits("1", 3000)).await;
    let rare = loose(vec![tagged("x", &["rare"])]);
    done(&store, rare.clone()).await;
    done(&store, deposits("1", 3000)).await;
    for backwards in [false, true] {
        let range = ReadRange { backwards, limit: 1, ..ReadRange::default() };
        let stored = found_in(&store, &query([of_tags(&["rare"])]), range).await;
        assert_eq!(ids(&stored), rare.event_ids());
    }
}

/// Asserts that `query` finds in `range` what `lies` picks from the log, both ways.
async fn finds(
    store: &Store,
    query: Query,
    range: ReadRange,
    log: &[StoredEvent],
    lies: impl Fn(&StoredEvent) -> bool,
) {
    let mut expected: Vec<_> = log.iter().filter(|event| lies(event)).cloned().collect();
    for backwards in [false, true] {
        for limit in [2, 100] {
            let range = ReadRange { backwards, limit, ..range };
            assert_eq!(found_in(store, &query, range).await, expected, "{query:?} in {range:?}");
        }
        expected.reverse();
    }
}

/// Twenty events: eight each of two streams, and four of none, of which two are tagged `rare`.
async fn with_twenty(fixture: &dyn Fixture) -> Store {
    let store = open(fixture).await;
    for n in 0..4 {
        let tags: &[&str] = if n % 2 == 0 { &["rare"] } else { &[] };
        let single = loose(vec![tagged("x", tags)]);
        done(&store, together([deposits("1", 2), single, deposits("2", 2)])).await;
    }
    store
}
