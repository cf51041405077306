//! Generations of a projection: one takes the place of another, and nothing is left of it.

#[allow(dead_code)]
mod fixtures;

use std::sync::Arc;

use eventuali_core::contract::{Fixture, block_on};
use eventuali_core::error::ErrorKind;
use eventuali_core::record::{RecordPurge, RecordSelection, RecordValue, Scalar};
use eventuali_core::service::documents::Documents;
use eventuali_core::service::projection::{Begun, Cursor, DocumentChange, Projection, Purpose};
use eventuali_core::store::EventStore;
use eventuali_core::text::Words;

use uuid::Uuid;

use fixtures::{InProcess, PostgresTable, SqliteFile};

fn opened(fixture: &dyn Fixture) -> EventStore {
    EventStore::over(block_on(fixture.open()).expect("it opens"), "").expect("it is a tenant")
}

fn each(test: impl Fn(&EventStore)) {
    let backends: [&dyn Fixture; 3] =
        [&InProcess::memory(), &SqliteFile::new(), &PostgresTable::new()];
    for fixture in backends {
        test(&opened(fixture));
    }
}

fn projection(store: &EventStore, version: u32) -> Projection {
    Projection::new(store, "Accounts", version).expect("it has a name")
}

fn begin(projection: &Projection, purpose: Purpose) -> Begun {
    block_on(projection.begin(purpose, vec!["View".to_owned()])).expect("it begins")
}

fn change(key: &str, json: Option<&str>) -> DocumentChange {
    let value = json.map(|json| RecordValue {
        bytes: json.as_bytes().to_vec(),
        due: None,
        index: vec![("owner".to_owned(), Scalar::Text(json.to_owned()))],
        text: Some(Words::of([json])),
    });
    DocumentChange { model: "View".to_owned(), key: key.to_owned(), value }
}

/// Writes one document, and moves the cursor by one.
fn write(projection: &Projection, begun: &Begun, from: Cursor, json: &str) -> Cursor {
    let to = Cursor { position: from.position + 1, ..from };
    let change = vec![change("a", Some(json)), change(json, Some(json))];
    block_on(projection.advance(begun.number, from, to, change, Vec::new())).expect("it is written")
}

/// What people read.
fn read(store: &EventStore) -> Vec<String> {
    let all = RecordSelection::Prefix(String::new());
    let page =
        block_on(Documents::new(store).page("View", all, false, None, 100)).expect("it is read").0;
    page.records.into_iter().map(|record| record.key.key).collect()
}

/// Whether a space has neither records nor what deleted ones leave.
fn is_empty(store: &EventStore, space: &str) -> bool {
    let purge = RecordPurge { tenant: String::new(), space: space.to_owned(), most: 100 };
    block_on(store.purge(purge)).expect("it purges") == 0
}

#[test]
fn the_first_generation_is_read_at_once() {
    each(|store| {
        assert_eq!(read(store), Vec::<String>::new());
        let begun = begin(&projection(store, 1), Purpose::Run);
        let fresh = Cursor { version: 1, ..Cursor::default() };
        assert_eq!((begun.number, begun.live, begun.cursor), (1, true, fresh));
        let cursor = write(&projection(store, 1), &begun, begun.cursor, "one");
        assert_eq!(read(store), ["a", "one"]);
        let again = begin(&projection(store, 1), Purpose::Run);
        assert_eq!(again, Begun { cursor, ..begun });
    });
}

#[test]
fn another_version_is_built_beside_it_and_swapped() {
    each(|store| {
        let (old, new) = (projection(store, 1), projection(store, 2));
        let first = begin(&old, Purpose::Run);
        let at = write(&old, &first, first.cursor, "one");
        let second = begin(&new, Purpose::Run);
        assert_eq!((second.number, second.live), (2, false));
        let cursor = write(&new, &second, second.cursor, "two");
        assert_eq!(read(store), ["a", "one"], "the live one serves until then");
        assert_eq!(begin(&new, Purpose::Run), Begun { cursor, ..second.clone() }, "it is resumed");
        block_on(new.swap(second.number, cursor, false)).expect("it is swapped");
        assert_eq!(read(store), ["a", "two"]);
        let late =
            old.advance(first.number, at, at, vec![change("late", Some("late"))], Vec::new());
        let told = block_on(late).expect_err("it was replaced");
        assert!(matches!(told.kind(), ErrorKind::RecordConflict { .. }), "{told:?}");
        let told = block_on(old.begin(Purpose::Run, Vec::new())).expect_err("it is too old");
        assert_eq!(*told.kind(), ErrorKind::Projection);
        for space in ["Accounts@1", "Accounts@1/View"] {
            assert!(is_empty(store, space), "{space}");
        }
    });
}

#[test]
fn of_two_versions_that_are_built_the_newer_one_stays() {
    each(|store| {
        let versions = [1, 2, 3].map(|version| projection(store, version));
        begin(&versions[0], Purpose::Run);
        let second = begin(&versions[1], Purpose::Run);
        let third = begin(&versions[2], Purpose::Run);
        assert!(third.number > second.number, "a newer one takes its place");
        let told = block_on(versions[1].begin(Purpose::Run, Vec::new())).expect_err("it is older");
        assert_eq!(*told.kind(), ErrorKind::Projection);
        assert_eq!(begin(&versions[2], Purpose::Run), third);
        assert!(is_empty(store, &format!("Accounts@{}", second.number)));
    });
}

#[test]
fn a_swap_is_of_a_cursor_that_nobody_has_moved() {
    each(|store| {
        let (old, new) = (projection(store, 1), projection(store, 2));
        let first = begin(&old, Purpose::Run);
        write(&old, &first, first.cursor, "one");
        let second = begin(&new, Purpose::Run);
        let cursor = write(&new, &second, second.cursor, "two");
        let moved = write(&new, &second, cursor, "three");
        let told = block_on(new.swap(second.number, cursor, false)).expect_err("somebody went on");
        assert!(matches!(told.kind(), ErrorKind::RecordConflict { .. }), "{told:?}");
        block_on(new.swap(second.number, moved, false)).expect("it is swapped");
        assert_eq!(read(store), ["a", "three", "two"]);
        let again = block_on(new.swap(second.number, moved, false)).expect("it was");
        assert_eq!(again.map(|cursor| cursor.position), Some(moved.position), "the same answer");
    });
}

#[test]
fn what_is_given_up_leaves_nothing() {
    each(|store| {
        let live = projection(store, 1);
        let first = begin(&live, Purpose::Run);
        write(&live, &first, first.cursor, "one");
        let rebuilt = begin(&live, Purpose::Rebuild);
        let cursor = write(&live, &rebuilt, rebuilt.cursor, "two");
        let beside = || block_on(live.rebuilt()).expect("it is looked up");
        assert_eq!(beside(), Some(rebuilt.number));
        block_on(live.discard(rebuilt.number)).expect("it is given up");
        block_on(live.discard(rebuilt.number)).expect("it was");
        assert_eq!((read(store), beside()), (vec!["a".into(), "one".into()], None));
        let late = live.advance(rebuilt.number, cursor, cursor, Vec::new(), Vec::new());
        assert!(block_on(late).is_err(), "whoever still fills it is told");
        for space in ["Accounts@2", "Accounts@2/View"] {
            assert!(is_empty(store, space), "{space}");
        }
        // Another rebuild takes the place of one that was killed.
        let killed = begin(&live, Purpose::Rebuild);
        write(&live, &killed, killed.cursor, "three");
        let early = begin(&live, Purpose::Rebuild);
        let next = begin(&live, Purpose::Rebuild);
        assert!(next.number > early.number && early.number > killed.number);
        let late = live.advance(early.number, early.cursor, early.cursor, Vec::new(), Vec::new());
        assert!(block_on(late).is_err(), "it was replaced before it wrote anything");
        assert!(is_empty(store, &format!("Accounts@{}/View", killed.number)));
        assert!(block_on(live.swap(killed.number, killed.cursor, false)).is_err());
    });
}

#[test]
fn a_model_belongs_to_one_projection() {
    each(|store| {
        begin(&projection(store, 1), Purpose::Run);
        let other = Projection::new(store, "Others", 1).expect("it has a name");
        let told =
            block_on(other.begin(Purpose::Run, vec!["View".into()])).expect_err("it is taken");
        assert_eq!(*told.kind(), ErrorKind::Projection);
        let begun = block_on(other.begin(Purpose::Run, Vec::new())).expect("it begins");
        let told = block_on(other.add_model(begun.number, "View".into())).expect_err("it is taken");
        assert_eq!(*told.kind(), ErrorKind::Projection);
        block_on(other.add_model(begun.number, "Mine".into())).expect("it is added");
        for name in ["", "a/b", "a@1", &"x".repeat(101)] {
            assert!(Projection::new(store, name, 1).is_err(), "{name:?}");
        }
    });
}

#[test]
fn tenants_have_their_own() {
    each(|store| {
        let begun = begin(&projection(store, 1), Purpose::Run);
        write(&projection(store, 1), &begun, begun.cursor, "one");
        let other = store.for_tenant("other").expect("it is seen");
        assert_eq!(read(&other), Vec::<String>::new());
        let begun = begin(&projection(&other, 7), Purpose::Run);
        assert_eq!((begun.number, begun.live), (1, true));
    });
}

#[test]
fn readers_meet_one_generation_while_others_take_its_place() {
    each(|store| {
        let live = projection(store, 1);
        let first = begin(&live, Purpose::Run);
        let mut at = first.cursor;
        let many = |round: u64| -> Vec<_> {
            (0..500).map(|key| change(&format!("{key:03}"), Some(&round.to_string()))).collect()
        };
        at = block_on(live.advance(
            first.number,
            at,
            Cursor { position: 1, ..at },
            many(0),
            Vec::new(),
        ))
        .expect("it is written");
        assert_eq!(at.position, 1);
        let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (store, ended) = (store.clone(), Arc::clone(&ended));
            move || {
                let (documents, mut rounds) = (Documents::new(&store), 0);
                while !ended.load(std::sync::atomic::Ordering::SeqCst) || rounds == 0 {
                    let all = RecordSelection::Prefix(String::new());
                    let page = block_on(documents.page("View", all, false, None, 1000))
                        .expect("it is read")
                        .0;
                    assert_eq!(page.records.len(), 500, "a generation is whole");
                    let first = &page.records[0].value.bytes;
                    assert!(page.records.iter().all(|record| record.value.bytes == *first));
                    rounds += 1;
                }
            }
        });
        for round in 1..10 {
            let next = begin(&live, Purpose::Rebuild);
            let to = Cursor { position: 1, ..next.cursor };
            let cursor =
                block_on(live.advance(next.number, next.cursor, to, many(round), Vec::new()))
                    .expect("it is written");
            block_on(live.swap(next.number, cursor, false)).expect("it is swapped");
        }
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        reader.join().expect("every page was whole");
    });
}

#[test]
fn a_swap_never_takes_readers_back() {
    each(|store| {
        let live = projection(store, 1);
        let first = begin(&live, Purpose::Run);
        let seen = |at: Cursor, position| Cursor {
            position,
            last: Some((position, Uuid::from_u128(u128::from(position)))),
            ..at
        };
        let mut at = first.cursor;
        at = block_on(live.advance(first.number, at, seen(at, 5), Vec::new(), Vec::new()))
            .expect("it is");
        let next = begin(&live, Purpose::Rebuild);
        let mut built = next.cursor;
        let to = seen(built, 5);
        built =
            block_on(live.advance(next.number, built, to, Vec::new(), Vec::new())).expect("it is");
        at = block_on(live.advance(first.number, at, seen(at, 6), Vec::new(), Vec::new()))
            .expect("it is");
        let swapped = block_on(live.swap(next.number, built, false)).expect("it is looked up");
        assert_eq!(swapped, None, "the live one is further");
        let ahead = Cursor { position: 6, ..built };
        let swapped = block_on(live.swap(next.number, ahead, false)).expect("it is swapped");
        assert_eq!(swapped.map(|cursor| cursor.position), Some(6));
        assert!(
            block_on(live.advance(first.number, at, at, Vec::new(), Vec::new())).is_err(),
            "it was told"
        );
        let last = begin(&live, Purpose::Rebuild);
        let swapped = block_on(live.swap(last.number, last.cursor, true)).expect("it may");
        assert!(swapped.is_some());
    });
}

#[test]
fn a_rebuild_of_what_never_ran_is_not_read_before_it_is_whole() {
    each(|store| {
        let never = projection(store, 1);
        let first = begin(&never, Purpose::Rebuild);
        assert!(!first.live);
        let cursor = write(&never, &first, first.cursor, "half");
        assert_eq!(read(store), Vec::<String>::new());
        block_on(never.swap(first.number, cursor, false)).expect("it is swapped");
        assert_eq!(read(store), ["a", "half"]);
    });
}

/// Somebody swaps all the time; whoever begins gets a generation that is there.
#[test]
fn whoever_begins_gets_a_generation_with_a_cursor() {
    each(|store| {
        let live = projection(store, 1);
        begin(&live, Purpose::Run);
        let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let starter = std::thread::spawn({
            let (live, ended) = (live.clone(), Arc::clone(&ended));
            move || {
                while !ended.load(std::sync::atomic::Ordering::SeqCst) {
                    assert!(begin(&live, Purpose::Run).cursor.version > 0);
                }
            }
        });
        for _ in 0..50 {
            let next = begin(&live, Purpose::Rebuild);
            block_on(live.swap(next.number, next.cursor, true)).expect("it is swapped");
        }
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        starter.join().expect("it always has one");
    });
}

#[test]
fn a_generation_is_begun_in_the_place_of_the_live_one() {
    each(|store| {
        let (old, new) = (projection(store, 1), projection(store, 2));
        assert_eq!(block_on(old.live(Purpose::Run)).expect("it looks"), None);
        let first = begin(&old, Purpose::Run);
        let at = write(&old, &first, first.cursor, "one");
        let found = block_on(new.live(Purpose::Run)).expect("it looks");
        assert_eq!(found, Some((1, Begun { cursor: at, ..first.clone() })));
        let beside = begin(&new, Purpose::Run);
        let told = block_on(new.restart(None, Vec::new())).expect_err("there is one");
        assert!(matches!(told.kind(), ErrorKind::RecordConflict { .. }), "{told:?}");
        let begun = block_on(new.restart(Some(1), Vec::new())).expect("it begins");
        assert_eq!((begun.number, begun.live, begun.cursor.position), (3, true, 0));
        let found = block_on(new.live(Purpose::Run)).expect("it looks");
        assert_eq!(found, Some((2, begun.clone())));
        for (late, before) in [(&old, &first), (&new, &beside)] {
            let late = late.advance(before.number, at, at, Vec::new(), Vec::new());
            let told = block_on(late).expect_err("it was replaced");
            assert!(matches!(told.kind(), ErrorKind::RecordConflict { .. }), "{told:?}");
        }
        let told = block_on(old.live(Purpose::Run)).expect_err("it is too old");
        assert_eq!(*told.kind(), ErrorKind::Projection);
        assert!(block_on(old.live(Purpose::Rebuild)).expect("it looks").is_some());
        assert_eq!(read(store), Vec::<String>::new());
        for space in ["Accounts@1", "Accounts@1/View", "Accounts@2"] {
            assert!(is_empty(store, space), "{space}");
        }
        let to = Cursor { position: 4, ..begun.cursor };
        let at = block_on(new.advance(3, begun.cursor, to, Vec::new(), Vec::new()));
        assert_eq!(at.expect("it goes on").position, 4);
    });
}
