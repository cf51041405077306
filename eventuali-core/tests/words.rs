//! The index of words in a SQLite file: a search meets no words of other spaces, nothing is left of
//! what is purged, and a check finds what differs.

use std::path::Path;

use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::record::{
    ExpectedRecord, RecordChange, RecordKey, RecordPurge, RecordQuery, RecordSelection,
};
use eventuali_core::storage::Storage;
use eventuali_core::text::{TextQuery, Words};
use rusqlite::Connection;
use tempfile::TempDir;

const MANY: usize = 3000;

fn open(path: &Path) -> Sqlite {
    Sqlite::open(&Target::File(path.to_owned()), Durability::Relaxed).expect("it opens")
}

fn text(space: &str, key: usize, words: &str) -> RecordChange {
    let mut change = RecordChange::put(RecordKey::new(space, key.to_string()), "x");
    change.value.as_mut().expect("it is put").text = Some(Words::of([words]));
    change
}

fn count(store: &Sqlite, space: &str, query: &str) -> u64 {
    let query = TextQuery::parse(query).expect("it has words");
    let query = RecordQuery::new(space, RecordSelection::Text(query));
    block_on(store.count_records(query)).expect("it counts")
}

/// Two spaces with the same words: one of many records, one of three.
fn filled(path: &Path) -> Sqlite {
    let store = open(path);
    let many = (0..MANY).map(|key| text("many", key, "shared word"));
    let few = (0..3).map(|key| text("few", key, "shared word"));
    block_on(store.commit(Commit::change(many.chain(few).collect()))).expect("it commits");
    store
}

/// In how many records each word stands.
fn words(path: &Path) -> Vec<(String, usize)> {
    let conn = Connection::open(path).expect("it opens");
    let vocabulary = "CREATE VIRTUAL TABLE temp.v USING fts5vocab('main', 'record_words', 'row')";
    conn.execute_batch(vocabulary).expect("it is made");
    let mut statement = conn.prepare("SELECT term, doc FROM temp.v").expect("it is known");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)));
    rows.and_then(Iterator::collect).expect("they are read")
}

fn rows(path: &Path) -> i64 {
    let conn = Connection::open(path).expect("it opens");
    let sql = "SELECT count(*) FROM record_words_docsize";
    conn.query_row(sql, [], |row| row.get(0)).expect("they are counted")
}

fn damage(store: &Sqlite) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = block_on(store.verify(after)).expect("it is checked");
        found.extend(page.damage.into_iter().map(|damage| damage.text));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[test]
fn a_search_meets_the_words_of_its_space_only() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("events.db");
    let store = filled(&path);
    assert_eq!((count(&store, "few", "sha* word"), count(&store, "many", "shared")), (3, 3000));
    let found = words(&path);
    assert_eq!(found.len(), 4, "each word is there once for each space: {found:?}");
    for word in ["shared", "word"] {
        let mut records: Vec<_> =
            found.iter().filter(|(term, _)| term.ends_with(word)).map(|found| found.1).collect();
        records.sort_unstable();
        assert_eq!(records, [3, MANY]);
    }
}

/// Not every tool that copies a file knows tables of FTS5.
#[test]
fn without_a_text_there_is_no_index_of_words() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("events.db");
    let store = open(&path);
    let put = |key: &str| RecordChange::put(RecordKey::new("few", key), "x");
    let words = || {
        let conn = Connection::open(&path).expect("it opens");
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'record_words%'";
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("they are counted")
    };
    block_on(store.commit(Commit::change(vec![put("a")]))).expect("it commits");
    assert_eq!((words(), count(&store, "few", "word"), damage(&store).len()), (0, 0, 0));
    let refused = vec![text("few", 1, "word"), put("b").expecting(ExpectedRecord::Exact(7))];
    block_on(store.commit(Commit::change(refused))).expect_err("b is not there");
    assert_eq!(words(), 0);
    for key in 1..3 {
        block_on(store.commit(Commit::change(vec![text("few", key, "word")]))).expect("it commits");
    }
    assert_eq!((words(), count(&store, "few", "word"), damage(&store).len()), (5, 2, 0));
}

#[test]
fn nothing_is_left_of_what_is_purged() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("events.db");
    let store = filled(&path);
    let purge = || RecordPurge { tenant: String::new(), space: "many".to_owned(), most: 1000 };
    while block_on(store.purge(purge())).expect("it purges") > 0 {}
    assert_eq!(
        (rows(&path), count(&store, "many", "word"), count(&store, "few", "word")),
        (3, 0, 3)
    );
    block_on(store.commit(Commit::change((0..3).map(|key| text("few", key, "other")).collect())))
        .expect("it commits");
    assert_eq!((rows(&path), count(&store, "few", "word")), (3, 0));
    assert_eq!(damage(&store), [""; 0]);
}

#[test]
fn a_check_finds_words_that_differ() {
    for (sql, told) in [
        ("DELETE FROM record_words WHERE rowid = 7", "by other words than its own"),
        ("UPDATE records SET words = words + 1 WHERE id = 7", "by other words than its own"),
        ("UPDATE records SET words = NULL WHERE id = 7", "record number 7, which has no text"),
        ("UPDATE records SET bytes = NULL WHERE id = 7", "by other words than its own"),
        (
            "INSERT OR REPLACE INTO record_words (rowid, words) VALUES (7, 'abcdefghijklshared')",
            "by other words than its own",
        ),
        ("INSERT INTO record_words (rowid, words) VALUES (9999, 'x')", "record number 9999"),
        ("DELETE FROM record_words_data WHERE id > 10", "SQLite:"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("events.db");
        block_on(filled(&path).close()).expect("it closes");
        Connection::open(&path).and_then(|conn| conn.execute_batch(sql)).expect(sql);
        let found = damage(&open(&path));
        assert!(found.iter().any(|text| text.contains(told)), "{sql}: {found:#?}");
    }
}

/// Whoever has searched remembers how the index was laid out, and a check must not believe it.
#[test]
fn a_check_after_a_search_looks_at_what_is_there() {
    let folder = TempDir::new().expect("a folder");
    let store = filled(&folder.path().join("events.db"));
    for round in 0..40 {
        let commit =
            Commit::change((0..3).map(|key| text("few", key, &round.to_string())).collect());
        block_on(store.commit(commit)).expect("it commits");
        if round % 10 == 0 {
            assert_eq!(count(&store, "few", &round.to_string()), 3);
        }
    }
    assert_eq!(damage(&store), [""; 0]);
}
