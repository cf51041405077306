//! Members of a group: each event is handled, in order within a partition, and whoever was taken for
//! dead writes nothing any more.

#[allow(dead_code)]
mod fixtures;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use eventuali_core::commit::Commit;
use eventuali_core::contract::{Fixture, block_on};
use eventuali_core::error::{ErrorKind, Result};
use eventuali_core::event::{EventKind, NewEvent};
use eventuali_core::query::Query;
use eventuali_core::record::{RecordChange, RecordKey};
use eventuali_core::service::group::{First, Held, Member, Options, Status, repartition};
use eventuali_core::store::EventStore;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use uuid::Uuid;

use fixtures::stalled::Stalled;
use fixtures::{InProcess, PostgresTable, SqliteFile};

/// Longer than a busy machine takes for a round, and short enough to wait for.
const LEASE: Duration = Duration::from_secs(3);

fn opened(fixture: &dyn Fixture) -> EventStore {
    EventStore::over(block_on(fixture.open()).expect("it opens"), "").expect("it is a tenant")
}

fn each(test: impl Fn(&dyn Fixture)) {
    let backends: [&dyn Fixture; 3] =
        [&InProcess::memory(), &SqliteFile::new(), &PostgresTable::new()];
    for fixture in backends {
        test(fixture);
    }
}

fn options() -> Options {
    Options {
        name: "mail".to_owned(),
        partitions: Some(4),
        tag: None,
        names: Vec::new(),
        first: First::Beginning,
        lease: Duration::from_mins(1),
        deadline: None,
    }
}

fn join(store: &EventStore, options: Options) -> Result<Member> {
    block_on(Member::join(store, options, Query::default(), 100))
}

/// Adds an event to each of some streams, so many times.
fn fill(store: &EventStore, streams: usize, times: usize) -> usize {
    let kind = Arc::new(EventKind::json("Noted", 1));
    for _ in 0..times {
        for number in 0..streams {
            let stream = StreamId::new("T", format!("s-{number}"));
            let event = NewEvent::new(Arc::clone(&kind), "{}");
            block_on(store.commit(Commit::append(stream, ExpectedVersion::Any, vec![event])))
                .expect("it commits");
        }
    }
    streams * times
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        sleep(Duration::from_millis(5));
    }
}

/// What was handled: (partition, generation, position).
type Handled = Arc<Mutex<Vec<(u32, u64, u64)>>>;

fn seen(handled: &Handled) -> Vec<(u32, u64, u64)> {
    handled.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Handles what comes until it is wanted elsewhere, or lost.
fn work(held: &Arc<Held>, handled: &Handled) -> Result<()> {
    let mut after = block_on(held.begin())?;
    let mut live = false;
    while let Some(page) = block_on(held.next(after, live))? {
        for event in page.iter() {
            if held.take(false) != Status::Owned {
                return block_on(held.release(false));
            }
            let of = (held.number(), held.generation(), event.head.position);
            handled.lock().unwrap_or_else(PoisonError::into_inner).push(of);
            if held.handled(event.head.position, event.head.event_id)? {
                block_on(held.flush())?;
            }
        }
        (after, live) = (page.looked_to, page.end);
        held.looked(after)?;
    }
    block_on(held.release(false))
}

/// A member that works through whatever it owns, on threads of its own.
struct Worker {
    member: Arc<Member>,
    taker: JoinHandle<()>,
}

impl Worker {
    fn new(store: &EventStore, handled: &Handled) -> Self {
        Self::of(store, options(), handled)
    }

    fn of(store: &EventStore, options: Options, handled: &Handled) -> Self {
        let member = Arc::new(join(store, options).expect("it joins"));
        let (taking, handled) = (Arc::clone(&member), Arc::clone(handled));
        let taker = spawn(move || {
            let mut threads = Vec::new();
            while let Some(held) = block_on(taking.next()).expect("it is a member") {
                let handled = Arc::clone(&handled);
                threads.push(spawn(move || work(&held, &handled)));
            }
            for thread in threads {
                match thread.join().expect("it ends") {
                    Err(lost) if matches!(lost.kind(), ErrorKind::CheckpointMismatch { .. }) => {}
                    worked => worked.expect("it works"),
                }
            }
        });
        Self { member, taker }
    }

    fn leave(self) {
        block_on(self.member.leave()).expect("it leaves");
        self.taker.join().expect("it ends");
    }
}

/// How many events were handled.
fn distinct(handled: &Handled) -> usize {
    let mut positions: Vec<u64> = seen(handled).iter().map(|(.., position)| *position).collect();
    positions.sort_unstable();
    positions.dedup();
    positions.len()
}

/// Every event once, and in order within each partition.
fn check(handled: &Handled, events: usize) {
    assert_eq!(distinct(handled), events, "each of them");
    let handled = seen(handled);
    assert_eq!(handled.len(), events, "each once");
    let mut by_partition: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for (partition, generation, position) in handled {
        by_partition.entry(partition).or_default().push((generation, position));
    }
    for (partition, places) in by_partition {
        assert!(places.is_sorted(), "partition {partition}: {places:?}");
    }
}

#[test]
fn one_member_handles_everything() {
    each(|fixture| {
        let (store, handled) = (opened(fixture), Handled::default());
        let mut events = fill(&store, 20, 5);
        let worker = Worker::new(&store, &handled);
        until("all are handled", || seen(&handled).len() == events);
        assert_eq!(worker.member.owned(), [0, 1, 2, 3]);
        events += fill(&store, 20, 1);
        until("new ones, too", || seen(&handled).len() == events);
        worker.leave();
        check(&handled, events);
        // Whoever comes next goes on behind them.
        let worker = Worker::new(&store, &handled);
        events += fill(&store, 20, 1);
        until("the next member goes on", || seen(&handled).len() >= events);
        worker.leave();
        check(&handled, events);
    });
}

#[test]
fn members_share_and_hand_over() {
    each(|fixture| {
        let (store, handled) = (opened(fixture), Handled::default());
        let other = EventStore::clone(&store);
        let mut events = fill(&store, 20, 3);
        let first = Worker::new(&store, &handled);
        until("it owns all", || first.member.owned().len() == 4);
        let second = Worker::new(&other, &handled);
        until("they share", || first.member.owned().len() == 2 && second.member.owned().len() == 2);
        assert_eq!((first.member.members(), second.member.members()), (2, 2));
        events += fill(&store, 20, 3);
        until("all are handled", || seen(&handled).len() >= events);
        first.leave();
        until("the other one owns all", || second.member.owned().len() == 4);
        events += fill(&store, 20, 1);
        until("and handles all", || seen(&handled).len() >= events);
        second.leave();
        check(&handled, events);
    });
}

#[test]
fn who_was_taken_for_dead_writes_nothing_any_more() {
    each(|fixture| {
        let storage = block_on(fixture.open()).expect("it opens");
        let stalled = Arc::new(Stalled::new(Arc::clone(&storage)));
        let own = EventStore::over(Arc::clone(&stalled) as _, "").expect("it is a tenant");
        let store = EventStore::over(storage, "").expect("it is a tenant");
        let events = fill(&store, 20, 1);
        let short = || Options { lease: LEASE, ..options() };
        let zombie = join(&own, short()).expect("it joins");
        let mut helds = Vec::new();
        for _ in 0..4 {
            let held = block_on(zombie.next()).expect("it is a member").expect("it is assigned");
            let after = block_on(held.begin()).expect("it begins");
            let page = block_on(held.next(after, false)).expect("it reads").expect("a page");
            assert_eq!(held.take(false), Status::Owned);
            let first = page.iter().next().expect("each partition has events").head.clone();
            helds.push((held, first));
        }
        stalled.stand_still(true);
        let handled = Handled::default();
        let worker = Worker::of(&store, short(), &handled);
        until("its partitions are taken over", || worker.member.owned().len() == 4);
        until("and handled", || seen(&handled).len() == events);
        assert!(helds.iter().all(|(held, _)| held.status() == Status::Lost), "it knows by itself");
        stalled.stand_still(false);
        for (held, first) in &helds {
            let generation = seen(&handled)
                .iter()
                .find(|(number, ..)| *number == held.number())
                .map_or(0, |(_, generation, _)| *generation);
            assert!(generation > held.generation());
            held.handled(first.position, first.event_id).expect("it is noted");
            let told = block_on(held.flush()).expect_err("it is refused");
            assert!(matches!(told.kind(), ErrorKind::CheckpointMismatch { .. }), "{told:?}");
            let told = block_on(held.attempt(first.position)).expect_err("it is refused");
            assert!(matches!(told.kind(), ErrorKind::RecordConflict { .. }), "{told:?}");
            assert_eq!(held.take(false), Status::Lost);
            block_on(held.release(false)).expect("there is nothing to release");
        }
        // It is a member again, and gets its share.
        until("it is there again", || worker.member.members() == 2);
        until("they share", || worker.member.owned().len() == 2);
        drop(zombie);
        until("the other one has all again", || worker.member.owned().len() == 4);
        worker.leave();
        check(&handled, events);
    });
}

#[test]
fn what_is_released_late_is_not_taken_from_who_has_it_by_then() {
    each(|fixture| {
        let storage = block_on(fixture.open()).expect("it opens");
        let stalled = Arc::new(Stalled::new(Arc::clone(&storage)));
        let own = EventStore::over(Arc::clone(&stalled) as _, "").expect("it is a tenant");
        let store = EventStore::over(storage, "").expect("it is a tenant");
        let member = join(&own, Options { partitions: Some(1), ..options() }).expect("it joins");
        let next = || block_on(member.next()).expect("it is a member").expect("it is assigned");
        let first = next();
        stalled.stand_still(true);
        sleep(Duration::from_millis(300)); // it waits for what the leases say
        let lease = RecordKey::new("group lease", "mail/0");
        let free = RecordChange::put(lease, br#"{"owner": null, "crashed": false}"#.to_vec());
        block_on(store.commit(Commit::change(vec![free]))).expect("it commits");
        let released = first.release(false);
        stalled.stand_still(false);
        block_on(released).expect("there is nothing to release");
        let second = next();
        assert!(second.generation() > first.generation());
        let third = member.next();
        sleep(Duration::from_millis(300));
        assert_eq!((second.status(), member.owned()), (Status::Owned, vec![0]));
        block_on(second.release(false)).expect("it is released");
        let third = block_on(third).expect("it is a member").expect("it is assigned");
        assert!(third.generation() > second.generation(), "nobody has one twice");
    });
}

#[test]
fn the_longer_lease_of_two_members_counts() {
    each(|fixture| {
        let store = opened(fixture);
        let slow = join(&store, options()).expect("it joins");
        let mut helds = Vec::new();
        for _ in 0..4 {
            helds.push(block_on(slow.next()).expect("it is a member").expect("it is assigned"));
        }
        let quick = join(&store, Options { lease: LEASE / 20, ..options() }).expect("it joins");
        until("it sees the other one", || quick.members() == 2);
        sleep(LEASE / 2);
        assert_eq!((slow.owned().len(), quick.owned().len()), (4, 0));
        assert!(helds.iter().all(|held| held.status() != Status::Lost));
    });
}

#[test]
fn an_event_that_takes_too_long_costs_its_partition_and_no_other() {
    each(|fixture| {
        let store = opened(fixture);
        fill(&store, 20, 1);
        let deadline = Some(LEASE / 6);
        let slow = join(&store, Options { deadline, ..options() }).expect("it joins");
        let mut helds: Vec<Arc<Held>> = Vec::new();
        for _ in 0..4 {
            helds.push(block_on(slow.next()).expect("it is a member").expect("it is assigned"));
        }
        assert_eq!(helds[2].take(false), Status::Owned);
        until("it is given away", || slow.owned().len() == 3);
        assert_eq!(helds[2].status(), Status::Lost);
        sleep(LEASE / 4);
        assert_eq!(slow.owned().len(), 3, "nobody handles another event of it meanwhile");
        let others = [0, 1, 3];
        assert!(others.iter().all(|index| helds[*index].status() == Status::Owned));
        helds[2].put_back();
        let again = block_on(slow.next()).expect("it is a member").expect("it is assigned");
        assert_eq!((again.number(), again.careful()), (helds[2].number(), true));
        assert!(again.generation() > helds[2].generation());
    });
}

#[test]
fn attempts_are_counted_whoever_makes_them() {
    each(|fixture| {
        let store = opened(fixture);
        fill(&store, 1, 2);
        let one = || Options { partitions: Some(1), ..options() };
        for expected in [1, 2, 3] {
            let member = join(&store, one()).expect("it joins");
            let held = block_on(member.next()).expect("it is a member").expect("it is assigned");
            assert_eq!(held.careful(), expected > 1);
            assert_eq!(block_on(held.tried(7)).expect("it is read"), expected - 1);
            assert_eq!(block_on(held.attempt(7)).expect("it is written"), expected);
            block_on(held.release(true)).expect("it is released");
            block_on(member.leave()).expect("it leaves");
        }
        let member = join(&store, one()).expect("it joins");
        let held = block_on(member.next()).expect("it is a member").expect("it is assigned");
        assert_eq!(block_on(held.attempt(8)).expect("it is written"), 1, "another event");
    });
}

#[test]
fn a_group_is_what_its_first_member_says() {
    each(|fixture| {
        let store = opened(fixture);
        let events = fill(&store, 20, 1);
        let first = Options { first: First::End, ..options() };
        drop(join(&store, first).expect("it joins"));
        for wrong in [
            Options { partitions: Some(5), ..options() },
            Options { names: vec!["Accounts/1".to_owned()], ..options() },
            Options { tag: Some("customer".to_owned()), ..options() },
        ] {
            let told = join(&store, wrong).err().expect("it is refused");
            assert_eq!(*told.kind(), ErrorKind::Configuration, "{told}");
        }
        for right in [None, Some(3)] {
            let member = join(&store, Options { partitions: right, ..options() });
            assert_eq!(member.expect("it joins").partitions(), 4);
        }
        let handled = Handled::default();
        let worker = Worker::new(&store, &handled);
        let new = fill(&store, 20, 1);
        until("the new ones are handled", || seen(&handled).len() >= new);
        worker.leave();
        check(&handled, new);
        assert!(seen(&handled).iter().all(|(.., position)| *position > events as u64));
    });
}

#[test]
fn what_was_handled_under_fewer_partitions_is_not_again() {
    each(|fixture| {
        let store = opened(fixture);
        let told = block_on(repartition(&store, "mail", 5)).expect_err("nobody has joined it");
        assert_eq!(*told.kind(), ErrorKind::Configuration, "{told}");
        let (handled, mut events) = (Handled::default(), 0);
        for partitions in [4, 7, 7, 256] {
            if events > 0 {
                block_on(repartition(&store, "mail", partitions)).expect("it is raised");
            }
            events += fill(&store, 20, 2);
            let worker = Worker::new(&store, &handled);
            until("all are handled", || seen(&handled).len() >= events);
            assert_eq!(worker.member.partitions(), partitions);
            worker.leave();
            check(&handled, events);
        }
        for wrong in [255, 257, 0] {
            let told = block_on(repartition(&store, "mail", wrong)).expect_err("it is refused");
            assert_eq!(*told.kind(), ErrorKind::Configuration, "{told}");
        }
    });
}

#[test]
fn partitions_are_raised_only_once_all_members_are_gone() {
    each(|fixture| {
        let (store, handled) = (opened(fixture), Handled::default());
        let events = fill(&store, 20, 3);
        let worker = Worker::of(&store, Options { lease: LEASE, ..options() }, &handled);
        until("all are handled", || distinct(&handled) == events);
        let told = block_on(repartition(&store, "mail", 8)).expect_err("it is refused");
        assert_eq!(*told.kind(), ErrorKind::Configuration, "{told}");
        worker.leave();
        block_on(repartition(&store, "mail", 8)).expect("it is raised");
        // One that was killed has a record, which nobody changes.
        let member = RecordKey::new("group member", format!("mail/{}", Uuid::from_u128(7)));
        let beat = br#"{"process": 1, "count": 1, "lease": 300, "leaving": false}"#;
        let left = Commit::change(vec![RecordChange::put(member, beat.to_vec())]);
        block_on(store.commit(left)).expect("it commits");
        block_on(repartition(&store, "mail", 9)).expect("it is raised behind its lease");
    });
}

#[test]
fn a_member_ends_whose_group_is_gone() {
    each(|fixture| {
        let store = opened(fixture);
        let member = join(&store, Options { partitions: Some(1), ..options() }).expect("it joins");
        drop(block_on(member.next()).expect("it is a member"));
        let gone = RecordChange::delete(RecordKey::new("group", "mail"));
        block_on(store.commit(Commit::change(vec![gone]))).expect("it commits");
        let told = block_on(member.next()).err().expect("it has ended");
        assert!(matches!(told.kind(), ErrorKind::Corrupted { .. }), "{told:?}");
    });
}

#[test]
fn what_has_a_name_is_shared_by_those_who_know_it() {
    each(|fixture| {
        let store = opened(fixture);
        let knows = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            join(&store, Options { names, partitions: None, ..options() }).expect("it joins")
        };
        let has = |member: &Member, count| until("its share", || member.owned().len() == count);
        let old = knows(&["a/1", "b/1"]);
        has(&old, 2);
        let next = |member: &Member| block_on(member.next()).expect("it is a member");
        let mut helds: Vec<_> = (0..2).filter_map(|_| next(&old)).collect();
        let names: Vec<_> = helds.iter().filter_map(|held| held.name()).collect();
        assert_eq!(names, ["a/1", "b/1"]);
        let new = knows(&["b/1", "c/1", "d/1"]);
        has(&new, 2);
        has(&old, 2); // nobody else knows the first one, and the other has enough
        let left = old.leave();
        for held in helds.drain(..) {
            block_on(held.release(false)).expect("it is released");
        }
        block_on(left).expect("it leaves");
        has(&new, 3);
        helds.extend((0..3).filter_map(|_| next(&new)));
        let third = knows(&["b/1", "c/1", "d/1"]);
        until("it gives one away", || helds.iter().any(|held| held.status() == Status::Wanted));
        for held in helds.iter().filter(|held| held.status() == Status::Wanted) {
            block_on(held.release(false)).expect("it is released");
        }
        until("they share", || third.settled());
        assert_eq!((new.owned().len(), third.owned().len()), (2, 1));
    });
}

#[test]
fn nothing_else_is_accepted() {
    let store = opened(&InProcess::memory());
    for wrong in [
        Options { name: String::new(), ..options() },
        Options { name: "a".repeat(201), ..options() },
        Options { partitions: Some(0), ..options() },
        Options { partitions: Some(257), ..options() },
        Options { lease: Duration::from_millis(1), ..options() },
    ] {
        let told = join(&store, wrong).err().expect("it is refused");
        assert!(matches!(told.kind(), ErrorKind::Invalid { .. }), "{told:?}");
    }
}

#[test]
fn groups_whose_names_begin_alike_are_two() {
    let store = opened(&InProcess::memory());
    let named = |name: &str| Options { name: name.to_owned(), ..options() };
    let first = join(&store, named("a")).expect("it joins");
    let second = join(&store, named("a/b")).expect("it joins");
    until("each owns all of its own", || first.owned().len() == 4 && second.owned().len() == 4);
    assert_eq!((first.members(), second.members()), (1, 1));
}
