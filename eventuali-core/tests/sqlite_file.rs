//! What is particular to a store in a SQLite file: its format, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::{Error, ErrorKind};
use eventuali_core::event::{EventKind, Metadata, NewEvent, Reference};
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use rusqlite::Connection;
use tempfile::TempDir;

struct Folder {
    path: PathBuf,
    _folder: TempDir,
}

fn folder() -> Folder {
    let folder = TempDir::new().expect("a temporary folder");
    Folder { path: folder.path().join("events.db"), _folder: folder }
}

fn open(path: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(&Target::File(path.to_owned()), Durability::Full)
}

fn refusal(path: &Path) -> ErrorKind {
    match open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.kind().clone(),
    }
}

/// Stores three events and closes the store.
fn filled(path: &Path) {
    let store = open(path).expect("it opens");
    let kind = Arc::new(EventKind::json("Deposited", 2));
    let event = |amount: u8| {
        let payload = format!("{{\"amount\":{amount}}}");
        let mut event = NewEvent::new(Arc::clone(&kind), payload);
        event.timestamp = i64::from(amount) - 2;
        event.with_metadata(Metadata {
            correlation_id: Some(Reference::Text("request-7".to_owned())),
            ..Metadata::default()
        })
    };
    let stream = StreamId::new("Account", "acc-1");
    let events = vec![event(1), event(2), event(3)];
    block_on(store.commit(Commit::append(stream, ExpectedVersion::NoStream, events)))
        .expect("it commits");
    block_on(store.close()).expect("it closes");
}

#[test]
fn the_view_shows_what_people_query() {
    let folder = folder();
    filled(&folder.path);
    let connection = Connection::open(&folder.path).expect("it opens");
    let row: (i64, String, String, i64, i64, String, String, String, String) = connection
        .query_row(
            "SELECT position, aggregate_type, aggregate_id, aggregate_version, event_version,
                    event_type, event_data, metadata ->> 'correlation_id', timestamp
             FROM events WHERE event_data ->> 'amount' = 1",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                    row.get(8)?,
                ))
            },
        )
        .expect("one row");
    let text = |text: &str| text.to_owned();
    let expected = (
        1,
        text("Account"),
        text("acc-1"),
        1,
        2,
        text("Deposited"),
        text("{\"amount\":1}"),
        text("request-7"),
        text("1969-12-31T23:59:59.999999Z"),
    );
    assert_eq!(row, expected);
}

#[test]
fn events_can_be_neither_changed_nor_deleted() {
    let folder = folder();
    filled(&folder.path);
    let connection = Connection::open(&folder.path).expect("it opens");
    for sql in ["UPDATE event_log SET payload = x'00'", "DELETE FROM event_log"] {
        let error = connection.execute(sql, []).expect_err(sql);
        assert!(error.to_string().contains("never"), "{error}");
    }
}

#[test]
fn changed_bytes_are_found_wherever_they_are() {
    for column in ["payload", "metadata", "event_id", "timestamp", "recorded_at", "version", "kind"]
    {
        let folder = folder();
        filled(&folder.path);
        let connection = Connection::open(&folder.path).expect("it opens");
        connection
            .execute_batch(&format!(
                "DROP TRIGGER event_log_stays;
                 INSERT INTO kinds (event_type, event_version, codec) VALUES ('Other', 1, 'json');
                 UPDATE event_log SET {column} = CASE typeof({column})
                     WHEN 'integer' THEN {column} + 1
                     WHEN 'text' THEN replace({column}, '7', '8')
                     ELSE CAST(replace(CAST({column} AS TEXT), substr({column}, 3, 1), 'x') AS BLOB)
                 END WHERE position = 2;",
            ))
            .expect("it changes");
        drop(connection);
        let store = open(&folder.path).expect("it opens");
        let error = block_on(store.read(Query::default(), ReadRange::default()))
            .expect_err("the second event is damaged");
        let expected = [Some(2), None].map(|position| ErrorKind::Corrupted { position });
        assert!(expected.contains(error.kind()), "{column}: {error:?}");
        let first =
            block_on(store.read(Query::default(), ReadRange { until: 1, ..ReadRange::default() }));
        assert_eq!(first.expect("the first one is whole").len(), 1, "{column}");
    }
}

#[test]
fn what_is_not_a_store_is_refused_and_left_as_it_is() {
    let text =
        b"This is no database, and quite a bit longer than a header of SQLite would be.".repeat(20);
    let noise: Vec<u8> =
        (0..8192u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [text, noise] {
        let folder = folder();
        std::fs::write(&folder.path, &bytes).expect("it is written");
        assert_eq!(refusal(&folder.path), ErrorKind::Corrupted { position: None });
        assert_eq!(std::fs::read(&folder.path).expect("it is read"), bytes);
    }
    let folder = folder();
    Connection::open(&folder.path)
        .and_then(|other| {
            other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        })
        .expect("it is written");
    let bytes = std::fs::read(&folder.path).expect("it is read");
    assert_eq!(refusal(&folder.path), ErrorKind::SchemaMismatch);
    assert_eq!(std::fs::read(&folder.path).expect("it is read"), bytes);
}

#[test]
fn a_damaged_event_is_in_the_way_of_those_who_read_it_only() {
    let folder = folder();
    filled(&folder.path);
    Connection::open(&folder.path)
        .and_then(|connection| {
            connection.execute_batch(
                "DROP TRIGGER event_log_stays;
                 UPDATE event_log SET payload = x'00' WHERE position = 2",
            )
        })
        .expect("it changes");
    let store = open(&folder.path).expect("it opens");
    let commit = |n: u8| {
        let event = NewEvent::new(Arc::new(EventKind::json("Opened", 1)), "{}");
        Commit::append(StreamId::new("T", n.to_string()), ExpectedVersion::NoStream, vec![event])
    };
    let damaged = block_on(store.commit(commit(1).on_condition(Query::default(), 1)))
        .expect_err("the condition cannot be judged");
    assert_eq!(*damaged.kind(), ErrorKind::Corrupted { position: Some(2) });
    block_on(store.commit(commit(2))).expect("others go on");
}

#[test]
fn where_the_log_ends_is_not_guessed_and_a_stream_has_an_end_of_its_own() {
    let folder = folder();
    filled(&folder.path);
    let sql = "UPDATE id_runs SET position = 2 WHERE count = 0";
    Connection::open(&folder.path).and_then(|c| c.execute_batch(sql)).expect("it changes");
    let store = open(&folder.path).expect("it opens");
    let correlation_id = Some(Reference::Text("request-7".to_owned()));
    let items = [
        QueryItem { event_types: vec!["Deposited".to_owned()], ..QueryItem::default() },
        QueryItem { tags: vec!["paid".to_owned()], ..QueryItem::default() },
        QueryItem { correlation_id, ..QueryItem::default() },
    ];
    let of = |item| Query { items: vec![item], ..Query::default() };
    let queries: Vec<_> = items.into_iter().map(of).chain([Query::default()]).collect();
    for backwards in [false, true] {
        let range = ReadRange { backwards, ..ReadRange::default() };
        for query in &queries {
            let read = block_on(store.read(query.clone(), range));
            let error = read.expect_err("nobody knows where the log ends");
            assert!(matches!(error.kind(), ErrorKind::Corrupted { .. }), "{error}");
        }
        let stream = Query::stream(&StreamId::new("Account", "acc-1"));
        let page = block_on(store.read(stream, range)).expect("it is read");
        assert_eq!(page.len(), 3);
    }
}

#[test]
fn a_foreign_version_number_is_refused() {
    for version in [1, 5] {
        let folder = folder();
        Connection::open(&folder.path)
            .and_then(|foreign| foreign.pragma_update(None, "user_version", version))
            .expect("it is written");
        assert_eq!(refusal(&folder.path), ErrorKind::SchemaMismatch);
    }
}

#[test]
fn a_newer_format_is_refused() {
    let folder = folder();
    filled(&folder.path);
    Connection::open(&folder.path)
        .and_then(|newer| newer.pragma_update(None, "user_version", 99))
        .expect("it is written");
    assert_eq!(refusal(&folder.path), ErrorKind::SchemaMismatch);
}

#[test]
fn a_store_that_a_newer_version_migrates_meanwhile_is_written_no_more() {
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    append(&store, 1);
    let newer = Connection::open(&folder.path).expect("it opens");
    let format: i32 =
        newer.pragma_query_value(None, "user_version", |row| row.get(0)).expect("it is marked");
    newer.pragma_update(None, "user_version", format + 1).expect("it is migrated");
    let stream = StreamId::new("T", "s");
    let commit = Commit::append(stream, ExpectedVersion::Any, vec![opened_event(2)]);
    let error = block_on(store.commit(commit.clone())).expect_err("it knows no such format");
    assert_eq!(*error.kind(), ErrorKind::SchemaMismatch);
    assert_eq!(all(&store).len(), 1, "nothing was written");
    newer.pragma_update(None, "user_version", format).expect("it is taken back");
    block_on(store.commit(commit)).expect("it commits");
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = folder();
    std::fs::write(&folder.path, b"").expect("it is written");
    filled(&folder.path);
}

#[test]
fn paths_that_hold_no_file_are_configuration() {
    let folder = folder();
    let inside = folder.path.parent().expect("a folder");
    for path in [inside.to_owned(), inside.join("no/such/folder/x.db"), PathBuf::from("/dev/zero")]
    {
        assert_eq!(refusal(&path), ErrorKind::Configuration, "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    for name in ["events.db", "events.db-wal", "events.db-shm"] {
        let path = folder.path.with_file_name(name);
        let mode = path.metadata().expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    block_on(store.close()).expect("it closes");
    assert!(!folder.path.with_file_name("events.db-wal").exists(), "the WAL is folded in");
}

#[test]
fn a_rare_type_is_found_through_the_index() {
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    let (common, rare) =
        (Arc::new(EventKind::json("Common", 1)), Arc::new(EventKind::json("Rare", 1)));
    let mut positions = Vec::new();
    for block in 0..40 {
        let mut events: Vec<_> =
            (0..997).map(|_| NewEvent::new(Arc::clone(&common), "{}")).collect();
        if block % 13 == 5 {
            events[block].kind = Arc::clone(&rare);
            positions.push(block as u64 * 997 + block as u64 + 1);
        }
        let stream = StreamId::new("T", format!("s{block}"));
        block_on(store.commit(Commit::append(stream, ExpectedVersion::NoStream, events)))
            .expect("it commits");
    }
    let query = Query {
        items: vec![QueryItem { event_types: vec!["Rare".to_owned()], ..QueryItem::default() }],
        ..Query::default()
    };
    for backwards in [false, true] {
        let range = ReadRange { backwards, ..ReadRange::default() };
        let page = block_on(store.read(query.clone(), range)).expect("it reads");
        let mut found: Vec<_> = page.iter().map(|event| event.head.position).collect();
        if backwards {
            found.reverse();
        }
        assert_eq!(found, positions);
        assert!(page.end, "one page is enough: what lies between is not looked at");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_is_noticed_before_anything_is_acknowledged() {
    for name in ["events.db", "events.db-wal"] {
        let folder = folder();
        let store = open(&folder.path).expect("it opens");
        let commit = |n: usize| {
            let event = NewEvent::new(Arc::new(EventKind::json("Deposited", 1)), "{}");
            let stream = StreamId::new("Account", format!("acc-{n}"));
            block_on(store.commit(Commit::append(stream, ExpectedVersion::NoStream, vec![event])))
        };
        commit(1).expect("it commits");
        let path = folder.path.with_file_name(name);
        std::fs::rename(&path, folder.path.with_file_name("elsewhere")).expect("it moves");
        let doubt = commit(2).expect_err("nobody can say where this went");
        assert!(
            matches!(doubt.kind(), ErrorKind::OutcomeUnknown { event_ids } if event_ids.len() == 1)
        );
        let refused = commit(3).expect_err("the store must be opened again");
        assert_eq!(*refused.kind(), ErrorKind::Unavailable);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_is_not_read_beside_the_one_that_was_opened() {
    let (folder, other) = (folder(), folder());
    for (path, count) in [(&folder.path, 1), (&other.path, 5)] {
        let store = open(path).expect("it opens");
        append(&store, count);
        block_on(store.close()).expect("it closes");
    }
    let store = open(&folder.path).expect("it opens");
    assert_eq!(all(&store).len(), 1);
    std::fs::rename(&other.path, &folder.path).expect("it is replaced");
    for _ in 0..10 {
        let read = block_on(store.read(Query::default(), ReadRange::default()));
        assert_eq!(*read.expect_err("it is another file").kind(), ErrorKind::Unavailable);
    }
    drop(store);
    assert_eq!(all(&open(&folder.path).expect("it opens")).len(), 5);
}

#[cfg(unix)]
#[test]
fn whoever_waits_for_events_hears_that_the_file_was_replaced() {
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    append(&store, 1);
    let mut signals = store.appended();
    // By then the file was looked at: from now on only what happens to it wakes.
    std::thread::sleep(std::time::Duration::from_millis(200));
    signals.mark_unchanged();
    std::fs::rename(&folder.path, folder.path.with_file_name("elsewhere")).expect("it moves");
    let woken = (0..2_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        signals.has_changed().expect("the store is open")
    });
    assert!(woken, "nobody wakes");
    let read = block_on(store.read(Query::default(), ReadRange::default()));
    assert_eq!(*read.expect_err("it is not there").kind(), ErrorKind::Unavailable);
}

fn opened_event(number: usize) -> NewEvent {
    let name = if number.is_multiple_of(3) { "Opened" } else { "Moved" };
    let event = NewEvent::new(Arc::new(EventKind::json(name, 1)), format!("{{\"n\":{number}}}"));
    let tags = (0..number % 3).map(|tag| format!("tag-{tag}")).collect();
    event.with_metadata(Metadata { tags, ..Metadata::default() })
}

fn append(store: &Sqlite, count: usize) {
    let events = (0..count).map(opened_event).collect();
    block_on(store.commit(Commit::append(StreamId::new("T", "s"), ExpectedVersion::Any, events)))
        .expect("it commits");
}

/// Number, version, type and payload of every event.
fn all(store: &Sqlite) -> Vec<(u64, u64, String, Vec<u8>)> {
    let mut range = ReadRange::default();
    let mut found = Vec::new();
    loop {
        let page = block_on(store.read(Query::default(), range)).expect("it reads");
        found.extend(page.iter().map(|event| {
            let head = event.head;
            let kind = head.kind.event_type.clone();
            (head.position, head.version, kind, event.payload.to_vec())
        }));
        if page.end {
            return found;
        }
        range = range.continued(page.looked_to);
    }
}

#[test]
fn rows_are_the_same_however_many_there_are_in_a_commit() {
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    let sizes = [1, 15, 16, 17, 31, 32, 33, 48, 100];
    for count in &sizes {
        append(&store, *count);
    }
    let mut version = 0;
    let numbers = sizes.iter().flat_map(|count| 0..*count);
    for (found, number) in all(&store).into_iter().zip(numbers) {
        version += 1;
        let event = opened_event(number);
        assert_eq!(found, (version, version, event.kind.event_type.clone(), event.payload));
        let item = QueryItem {
            tags: event.metadata.map(|m| m.tags).unwrap_or_default(),
            ..QueryItem::default()
        };
        let query = Query { items: vec![item], ..Query::default() };
        let range = ReadRange { after: version - 1, until: version, ..ReadRange::default() };
        assert_eq!(block_on(store.read(query, range)).expect("it reads").len(), 1);
    }
    assert_eq!(version as usize, sizes.iter().sum::<usize>());
}

fn wal(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

#[cfg(unix)]
#[test]
fn zeros_at_the_end_of_the_wal_mean_nothing() {
    let folder = folder();
    drop(open(&folder.path).expect("it is made"));
    let link = folder.path.with_file_name("link.db");
    std::os::unix::fs::symlink(&folder.path, &link).expect("it is linked");
    let store = Sqlite::open(&Target::File(link), Durability::Full).expect("it opens");
    for _ in 0..40 {
        append(&store, 1);
    }
    let bytes = std::fs::read(wal(&folder.path)).expect("the WAL lies beside the file");
    assert!(bytes.len() >= 512 << 10, "it grew ahead, to {} bytes", bytes.len());
    assert!(bytes.ends_with(&[0; 4120]), "and is not filled yet");
    // What a crash leaves: the files as they are, while the store is open.
    let copy = folder.path.with_file_name("copy.db");
    std::fs::copy(&folder.path, &copy).expect("it is copied");
    std::fs::write(wal(&copy), &bytes).expect("it is copied");
    let found = open(&copy).expect("it is recovered");
    assert_eq!(all(&found), all(&store));
    assert_eq!(all(&found).len(), 40);
    append(&found, 1);
    assert_eq!(all(&found).len(), 41);
    drop(block_on(store.close()));
    assert!(!wal(&folder.path).exists(), "the last to close folds it in");
}

#[cfg(unix)]
#[test]
fn a_wal_that_took_the_place_of_ours_is_not_touched() {
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    for _ in 0..3 {
        append(&store, 1);
    }
    let other = folder.path.with_file_name("other");
    std::fs::write(&other, b"another WAL").expect("it is written");
    std::fs::rename(&other, wal(&folder.path)).expect("it takes the place");
    for _ in 0..20 {
        let commit =
            Commit::append(StreamId::new("T", "s"), ExpectedVersion::Any, vec![opened_event(1)]);
        block_on(store.commit(commit)).expect_err("it is not acknowledged");
    }
    assert_eq!(std::fs::read(wal(&folder.path)).expect("it is there"), b"another WAL");
}

/// Where each frame of a WAL begins, and which of them end a commit.
fn frames(wal: &[u8]) -> Vec<(usize, bool)> {
    let salt = &wal[16..24];
    let starts = (32..).step_by(24 + 4096).take_while(|start| start + 4120 <= wal.len());
    starts
        .take_while(|start| &wal[start + 8..start + 16] == salt)
        .map(|start| (start, wal[start + 4..start + 8] != [0; 4]))
        .collect()
}

/// The database and its WAL, as a crash leaves them after so many commits.
fn crashed(commits: usize) -> (Folder, Vec<u8>) {
    let folder = folder();
    block_on(open(&folder.path).expect("it is made").close()).expect("it closes");
    let original = folder.path.with_file_name("original.db");
    std::fs::copy(&folder.path, &original).expect("it is copied");
    let store = open(&original).expect("it opens");
    (0..commits).for_each(|number| append(&store, 1 + number % 30));
    std::fs::copy(&original, &folder.path).expect("it is copied");
    let bytes = std::fs::read(wal(&original)).expect("it is there");
    (folder, bytes)
}

/// Opens the database with a WAL; the number of its events.
fn recovered(path: &Path, bytes: &[u8], durability: Durability) -> Result<usize, Error> {
    let copy = path.with_file_name("copy.db");
    drop(std::fs::remove_file(copy.with_file_name("copy.db-shm")));
    std::fs::copy(path, &copy).expect("it is copied");
    std::fs::write(wal(&copy), bytes).expect("it is written");
    let store = Sqlite::open(&Target::File(copy.clone()), durability)?;
    let count = all(&store).len();
    block_on(store.close()).expect("it closes");
    Ok(count)
}

#[test]
fn damage_in_the_middle_of_a_wal_drops_no_commit() {
    let (folder, whole) = crashed(12);
    let frames = frames(&whole);
    let ends: Vec<usize> = (0..frames.len()).filter(|index| frames[*index].1).collect();
    assert_eq!(ends.len(), 12, "each commit has its end");
    let all = (0..12).map(|number| 1 + number % 30).sum::<usize>();
    assert_eq!(recovered(&folder.path, &whole, Durability::Full).expect("it is whole"), all);
    let provable = ends[ends.len() - 3];
    for (index, (start, _)) in frames.iter().enumerate() {
        // A page, its number, the salt, the sum: and for each of them another bit.
        for at in [500 + index % 3000, 1, 9, 18] {
            let mut bytes = whole.clone();
            bytes[start + at] ^= 1 << (index % 8);
            let opened = recovered(&folder.path, &bytes, Durability::Full);
            if index <= provable {
                let error = opened.expect_err("commits lie behind it");
                assert_eq!(*error.kind(), ErrorKind::Corrupted { position: None }, "{error}");
            } else if index > ends[ends.len() - 2] {
                assert_eq!(opened.expect("a crash may leave this"), all - 12, "frame {index}");
            }
        }
    }
    let mut bytes = whole.clone();
    bytes[17] ^= 4;
    recovered(&folder.path, &bytes, Durability::Full).expect_err("the header is damaged");
    bytes = whole.clone();
    bytes[frames[0].0 + 600] ^= 1;
    recovered(&folder.path, &bytes, Durability::Relaxed).expect("what a power cut may leave");
}

#[test]
fn what_a_power_cut_leaves_of_the_last_commit_is_no_damage() {
    let (folder, whole) = crashed(5);
    let kept = 1 + 2 + 3 + 4;
    let frames = frames(&whole);
    let ends: Vec<usize> = (0..frames.len()).filter(|index| frames[*index].1).collect();
    let last = &frames[ends[ends.len() - 2] + 1..];
    for lost in 1..1 << last.len().min(6) {
        let mut bytes = whole.clone();
        for (bit, (start, _)) in last.iter().enumerate().filter(|(bit, _)| lost >> bit & 1 == 1) {
            // A sector of the frame that did not reach the device, another one each time.
            let at = start + (lost + bit) % 8 * 512;
            bytes[at..at + 512].fill(0);
        }
        if bytes != whole {
            let found = recovered(&folder.path, &bytes, Durability::Full).expect("it opens");
            assert!([kept, kept + 5].contains(&found), "lost {lost:b}: {found}");
        }
    }
}

/// Gives the second event metadata that this version can't read, with the sum that belongs to it.
fn of_a_newer_format(path: &Path) {
    let store = open(path).expect("it opens");
    let page = block_on(store.read(Query::default(), ReadRange::default())).expect("it reads");
    let event = page.get(1);
    let metadata = r#"{"correlation_id":"request-7","tags":{"form":2}}"#;
    let checksum = event.head.checksum(metadata.as_bytes(), event.payload);
    block_on(store.close()).expect("it closes");
    let connection = Connection::open(path).expect("it opens");
    connection.execute_batch("DROP TRIGGER event_log_stays").expect("it is dropped");
    let sql = "UPDATE event_log SET metadata = ?1, checksum = ?2 WHERE position = 2";
    connection.execute(sql, (metadata, checksum)).expect("it changes");
    let sql = "INSERT INTO tag_ends (tenant, tag, position) VALUES ('', 'paid', 2)";
    connection.execute(sql, []).expect("it is tagged");
}

#[test]
fn metadata_of_a_newer_format_is_told_of_and_not_passed_over() {
    let folder = folder();
    filled(&folder.path);
    of_a_newer_format(&folder.path);
    let store = open(&folder.path).expect("it opens");
    let correlation_id = Some(Reference::Text("request-7".to_owned()));
    let tags = vec!["paid".to_owned()];
    let event_types = vec!["Deposited".to_owned()];
    let none = QueryItem::default();
    for item in [
        QueryItem { correlation_id: correlation_id.clone(), ..none.clone() },
        QueryItem { tags: tags.clone(), ..none.clone() },
        QueryItem { event_types: event_types.clone(), tags, ..none.clone() },
        QueryItem { event_types, correlation_id, ..none },
    ] {
        let query = Query { items: vec![item], ..Query::default() };
        let read = block_on(store.read(query.clone(), ReadRange::default()));
        let event = NewEvent::new(Arc::new(EventKind::json("Opened", 1)), "{}");
        let stream = StreamId::new("T", "1");
        let commit = Commit::append(stream, ExpectedVersion::NoStream, vec![event]);
        let judged = block_on(store.commit(commit.on_condition(query.clone(), 1)));
        for error in [read.expect_err("it reads"), judged.expect_err("it is judged")] {
            assert_eq!(*error.kind(), ErrorKind::Corrupted { position: Some(2) }, "{query:?}");
            assert!(error.to_string().contains("newer version"), "{error}");
        }
    }
}

#[test]
fn a_damaged_row_is_found_by_what_it_was() {
    for change in [
        "kind = (SELECT id FROM kinds WHERE event_type = 'Other')",
        "stream = 77",
        "metadata = replace(metadata, 'paid', 'pain')",
        "metadata = replace(metadata, 'h-1', 'h-2')",
        "metadata = replace(metadata, 'request-7', 'request-6')",
        "metadata = NULL",
    ] {
        let folder = folder();
        let store = open(&folder.path).expect("it opens");
        let event = |name: &str| {
            let metadata = Metadata {
                tags: vec!["paid".to_owned()],
                correlation_id: Some(Reference::Text("request-7".to_owned())),
                headers: vec![("h-1".to_owned(), "x".to_owned())],
                ..Metadata::default()
            };
            NewEvent::new(Arc::new(EventKind::json(name, 1)), "{}").with_metadata(metadata)
        };
        let events = ["Paid", "Paid", "Other"].map(event).to_vec();
        let stream = StreamId::new("T", "1");
        block_on(store.commit(Commit::append(stream.clone(), ExpectedVersion::Any, events)))
            .expect("it commits");
        block_on(store.close()).expect("it closes");
        let sql = format!(
            "PRAGMA foreign_keys = OFF; DROP TRIGGER event_log_stays;
             UPDATE event_log SET {change} WHERE position = 2"
        );
        Connection::open(&folder.path).and_then(|c| c.execute_batch(&sql)).expect("it changes");
        let store = open(&folder.path).expect("it opens");
        let none = QueryItem::default();
        let by_stream = Query::stream(&stream);
        let of = |item| Query { items: vec![item], ..Query::default() };
        let mut queries = vec![
            by_stream,
            of(QueryItem { event_types: vec!["Paid".to_owned()], ..none.clone() }),
            of(QueryItem { tags: vec!["paid".to_owned()], ..none.clone() }),
        ];
        let correlation_id = Some(Reference::Text("request-7".to_owned()));
        queries.push(of(QueryItem { correlation_id, ..none }));
        for query in queries {
            for backwards in [false, true] {
                let range = ReadRange { backwards, ..ReadRange::default() };
                let error = block_on(store.read(query.clone(), range)).expect_err(change);
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::Corrupted { .. }), "{change}: {error}");
            }
        }
    }
}

#[test]
fn a_lost_entry_of_a_tag_stops_who_asks_for_it_and_nobody_else() {
    let folder = folder();
    let store = open(&folder.path).expect("it opens");
    let tagged = |stream: &str, tag: &str| {
        let metadata = Metadata { tags: vec![tag.to_owned()], ..Metadata::default() };
        let kind = Arc::new(EventKind::json("Taken", 1));
        let event = NewEvent::new(kind, "{}").with_metadata(metadata);
        Commit::append(StreamId::new("Course", stream), ExpectedVersion::Any, vec![event])
    };
    for stream in ["1", "2", "3"] {
        block_on(store.commit(tagged(stream, "course:7"))).expect("it commits");
    }
    let lost = "DELETE FROM tags WHERE tag = 'course:7' AND position = 2";
    Connection::open(&folder.path).and_then(|c| c.execute(lost, [])).expect("it is lost");
    let item = QueryItem { tags: vec!["course:7".to_owned()], ..QueryItem::default() };
    let query = Query { items: vec![item], ..Query::default() };
    let judged = |after| {
        let commit = tagged("4", "course:8").on_condition(query.clone(), after);
        block_on(store.commit(commit)).map(drop).expect_err("it is judged").kind().clone()
    };
    let damaged = ErrorKind::Corrupted { position: None };
    assert_eq!(judged(1), damaged, "the second is missing");
    for number in ["5", "6"] {
        block_on(store.commit(tagged(number, "course:8"))).expect("nobody else is concerned");
    }
    assert_eq!(judged(0), ErrorKind::ConditionFailed { after: 0, position: 1 });
    let read = block_on(store.read(query.clone(), ReadRange::default()));
    assert_eq!(*read.expect_err("it is short").kind(), damaged);
}
