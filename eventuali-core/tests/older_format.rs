//! A SQLite store as an older version wrote it: it opens, everything in it is read, a commit of that
//! time can be repeated, and it goes on.
//!
//! `format-1.db` and what is in it, `format-1.txt`, were made by the first format's code, with
//! `EVENTUALI_WRITE_FIXTURE=format-1`. They are never made again; a newer format gets its own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::commit::{Commit, Committed, StreamWrite};
use eventuali_core::contract::block_on;
use eventuali_core::event::{EventKind, Metadata, NewEvent, Reference};
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::record::{
    ExpectedRecord, RecordChange, RecordKey, RecordQuery, RecordSelection, Scalar,
};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId, StreamSelection};
use eventuali_core::text::{TextQuery, Words};
use tempfile::TempDir;
use uuid::Uuid;

const TENANTS: [&str; 2] = ["", "other"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(&Target::File(path.to_owned()), Durability::Relaxed).expect("it opens")
}

/// Event number `number`, whose id follows that of the one before, but for each fifth.
fn event(number: u64) -> NewEvent {
    let names = ["Opened", "Deposited", "Closed"];
    let kind = EventKind::json(names[number as usize % 3], 1 + number as u32 % 2);
    let payload = format!("{{\"number\":{number}}}");
    let tags = (0..number % 3).map(|tag| format!("tag-{tag}")).collect();
    let correlation_id = match number % 4 {
        0 => Some(Reference::Uuid(Uuid::from_u128(77))),
        1 => Some(Reference::Text("a \"quoted\" é".to_owned())),
        _ => None,
    };
    let headers = match number % 6 {
        0 => vec![("trace".to_owned(), number.to_string())],
        _ => Vec::new(),
    };
    let mut event = NewEvent::new(Arc::new(kind), payload);
    event.event_id = Uuid::from_u128(0x1000 + u128::from(number + number / 5 * 10));
    event.timestamp = number as i64 - 3;
    event.with_metadata(Metadata { tags, correlation_id, headers, ..Metadata::default() })
}

fn write(stream: StreamId, numbers: std::ops::Range<u64>) -> StreamWrite {
    StreamWrite {
        stream: Arc::new(stream),
        expected: ExpectedVersion::Any,
        events: numbers.map(event).collect(),
    }
}

fn put(key: &str, bytes: &str, expected: ExpectedRecord) -> RecordChange {
    let mut change = RecordChange::put(RecordKey::new("doc", key), bytes).expecting(expected);
    if let Some(value) = &mut change.value {
        value.due = Some(1_000);
        value.index = vec![
            ("city".to_owned(), Scalar::Text("Paris".to_owned())),
            ("size".to_owned(), Scalar::Int(7)),
            ("weight".to_owned(), Scalar::Real(2.5)),
        ];
    }
    change
}

/// What was committed, in order.
fn commits() -> Vec<Commit> {
    let account = |id: &str| StreamId::new("Account", id);
    let removed = RecordChange::delete(RecordKey::new("doc", "b"));
    let of = |id: u128, writes, records| Commit {
        id: Uuid::from_u128(id),
        writes,
        records,
        ..Commit::default()
    };
    let absent = ExpectedRecord::Absent;
    let both = vec![put("a", "one", absent), put("b", "two", absent)];
    vec![
        of(1, vec![write(account("1"), 0..3)], both),
        of(2, vec![write(account("2"), 3..4), write(StreamId::none(""), 4..7)], Vec::new()),
        of(3, vec![write(account("1").with_tenant("other"), 7..9)], Vec::new()),
        of(
            4,
            vec![write(StreamId::new("Order", "1"), 9..109), write(account("1"), 109..110)],
            vec![removed],
        ),
        of(5, Vec::new(), vec![put("c", "three", absent)]),
        of(
            6,
            vec![write(account("1"), 110..130), write(StreamId::none("other"), 130..131)],
            Vec::new(),
        ),
    ]
}

/// Everything that is in a store, as text.
fn picture(store: &Sqlite) -> String {
    let mut text = String::new();
    let items = |item| vec![item];
    let tagged = QueryItem { tags: vec!["tag-1".to_owned()], ..QueryItem::default() };
    let typed = QueryItem { event_types: vec!["Closed".to_owned()], ..QueryItem::default() };
    let named = QueryItem {
        correlation_id: Some(Reference::Text("a \"quoted\" é".to_owned())),
        ..QueryItem::default()
    };
    for tenant in TENANTS {
        for (what, items) in [
            ("all", Vec::new()),
            ("tag", items(tagged.clone())),
            ("type", items(typed.clone())),
            ("correlation", items(named.clone())),
        ] {
            let query = Query { items, ..Query::all(tenant) };
            let page = block_on(store.read(query, ReadRange::default())).expect("it reads");
            assert!(page.end, "all of it fits on a page");
            for event in page.iter() {
                let line = if what == "all" {
                    format!("{:?}", event.to_stored().expect("it is readable"))
                } else {
                    event.head.position.to_string()
                };
                writeln!(text, "{tenant} {what} {line}").expect("text");
            }
        }
        let selection = StreamSelection { tenant: tenant.to_owned(), ..StreamSelection::default() };
        let streams = block_on(store.streams(selection, None, 100)).expect("streams are read");
        writeln!(text, "{tenant} streams {:?}", streams.streams).expect("text");
        for select in [
            RecordSelection::Prefix(String::new()),
            RecordSelection::Due { until: Some(2_000) },
            RecordSelection::Index { name: "size".to_owned(), from: None, to: None },
        ] {
            let query =
                RecordQuery { tenant: tenant.to_owned(), ..RecordQuery::new("doc", select) };
            let page = block_on(store.records(query, None, 100)).expect("records are read");
            // Texts came later.
            let records = format!("{:?}", page.records).replace(", text: None }", " }");
            writeln!(text, "{tenant} records {records}").expect("text");
        }
    }
    text
}

fn given(commit: &Commit, store: &Sqlite) -> Committed {
    block_on(store.commit(commit.clone())).expect("it is accepted")
}

/// What brings a file of each format to the next one.
const MIGRATIONS: [&str; 3] = [
    include_str!("../src/backend/sqlite/sql/0002_ends.sql"),
    include_str!("../src/backend/sqlite/sql/0003_chains.sql"),
    include_str!("../src/backend/sqlite/sql/0004_words.sql"),
];

/// Brings a file of the first format to a later one, as a version of that time did.
fn migrate(path: &Path, format: usize) {
    let conn = rusqlite::Connection::open(path).expect("it opens");
    for migration in &MIGRATIONS[..format - 1] {
        conn.execute_batch(migration).expect("it is migrated");
    }
    conn.pragma_update(None, "user_version", format as i64).expect("it is marked");
}

#[test]
fn format_1_is_read_repeated_and_goes_on() {
    is_read_repeated_and_goes_on(1);
}

#[test]
fn format_2_is_read_repeated_and_goes_on() {
    is_read_repeated_and_goes_on(2);
}

#[test]
fn format_3_is_read_repeated_and_goes_on() {
    is_read_repeated_and_goes_on(3);
}

#[test]
fn format_4_is_read_repeated_and_goes_on() {
    is_read_repeated_and_goes_on(4);
}

/// What format 4 had of events with users: everything but their entries in the index of tags.
const WITHOUT_USERS: &str = "
    DELETE FROM tags WHERE tag LIKE '$user:%';
    DELETE FROM tag_ends WHERE tag LIKE '$user:%';
    DROP TRIGGER tag_begins;
    CREATE TRIGGER tag_begins AFTER INSERT ON tag_ends
    BEGIN INSERT INTO tags (tenant, tag, position) VALUES (new.tenant, new.tag, new.position); END;
    PRAGMA user_version = 4;";

#[test]
fn users_of_format_4_are_found() {
    let scratch = TempDir::new().expect("a folder");
    let path = scratch.path().join("events.db");
    let store = open(&path);
    let long = "é".repeat(300);
    let users = ["ada", "bob", "a\0b", "a\\u0000b", "\"q\" 😀", "", &long, "ada"];
    for (user, number) in users.iter().zip(1000..) {
        for tenant in TENANTS {
            let mut event = event(number);
            event.event_id = Uuid::now_v7();
            let metadata = event.metadata.as_deref().cloned().unwrap_or_default();
            let metadata = Metadata { user_id: Some((*user).to_owned()), ..metadata };
            let stream = StreamId::new("Account", "1").with_tenant(tenant);
            let events = vec![event.with_metadata(metadata)];
            given(&Commit::append(stream, ExpectedVersion::Any, events), &store);
        }
    }
    block_on(store.close()).expect("it closes");
    let conn = rusqlite::Connection::open(&path).expect("it opens");
    conn.execute_batch(WITHOUT_USERS).expect("it is as before");
    drop(conn);
    let store = open(&path);
    let item = |user: &str| QueryItem { user_id: Some(user.to_owned()), ..QueryItem::default() };
    for user in users {
        for (tenant, backwards) in TENANTS.into_iter().zip([false, true]) {
            let items = vec![item(user)];
            let query = Query { tenant: tenant.to_owned(), items, ..Query::default() };
            let range = ReadRange { backwards, ..ReadRange::default() };
            let found = block_on(store.read(query, range)).expect("it reads");
            assert_eq!(found.len(), if user == "ada" { 2 } else { 1 }, "{user:?}");
        }
    }
    let mut cursor = None;
    loop {
        let page = block_on(store.verify(cursor)).expect("it is checked");
        assert!(page.damage.is_empty(), "{:?}", page.damage);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    block_on(store.close()).expect("it closes");
}

/// A store that was made before texts, once it is opened by this version.
fn finds_texts(store: &Sqlite) {
    let found = |words| {
        let query = TextQuery::parse(words).expect("it has words");
        let query = RecordQuery::new("doc", RecordSelection::Text(query));
        block_on(store.records(query, None, 10)).expect("it searches").records.len()
    };
    let mut change = put("d", "five", ExpectedRecord::Any);
    change.value.as_mut().expect("it is put").text = Some(Words::of(["some words"]));
    given(&Commit::change(vec![change]), store);
    assert_eq!((found("words"), found("four")), (1, 0));
    given(&Commit::change(vec![put("d", "four", ExpectedRecord::Any)]), store);
    assert_eq!(found("words"), 0);
}

fn is_read_repeated_and_goes_on(format: usize) {
    let (stored, written) = (folder().join("format-1.db"), folder().join("format-1.txt"));
    if std::env::var("EVENTUALI_WRITE_FIXTURE").is_ok_and(|name| name == "format-1") {
        let store = open(&stored);
        for commit in &commits() {
            drop(given(commit, &store));
        }
        let answers: Vec<_> = commits().iter().map(|commit| given(commit, &store)).collect();
        std::fs::write(&written, format!("{answers:?}\n{}", picture(&store))).expect("it is kept");
        block_on(store.close()).expect("it closes");
    }
    let text = std::fs::read_to_string(&written).expect("it is there");
    let (answers, before) = text.split_once('\n').expect("two parts");
    let scratch = TempDir::new().expect("a folder");
    let path = scratch.path().join("events.db");
    std::fs::copy(&stored, &path).expect("it is copied");
    // The first store of a process changes how SQLite locks, which no connection survives.
    drop(open(&scratch.path().join("other.db")));
    migrate(&path, format);
    let store = open(&path);
    assert_eq!(picture(&store), before, "everything is read");
    let repeated: Vec<_> = commits().iter().map(|commit| given(commit, &store)).collect();
    assert_eq!(format!("{repeated:?}"), answers, "the answers of that time");
    assert_eq!(picture(&store), before, "and nothing is stored twice");
    let mut other = commits().remove(0);
    other.records[0] = put("a", "another", ExpectedRecord::Absent);
    block_on(store.commit(other)).expect_err("other record changes are another commit");
    let more =
        Commit::append(StreamId::new("Account", "1"), ExpectedVersion::Exact(24), vec![event(500)]);
    let more = Commit { records: vec![put("d", "four", ExpectedRecord::Absent)], ..more };
    let first = given(&more, &store);
    assert_eq!((first.positions.as_slice(), first.versions.as_slice()), (&[132][..], &[25][..]));
    block_on(store.close()).expect("it closes");
    let store = open(&path);
    assert_eq!(given(&more, &store), first, "a commit of today is repeated");
    finds_texts(&store);
    block_on(store.close()).expect("it closes");
}
