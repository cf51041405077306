//! A bit that is flipped on a page of an index or of names: whoever asks by what stands there gets the
//! same events as before, or an error, and never fewer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::Error;
use eventuali_core::event::{EventKind, Metadata, NewEvent, Reference};
use eventuali_core::query::{Partition, Query, QueryItem, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use rusqlite::Connection;
use tempfile::TempDir;

const STREAMS: [(&str, &str); 7] = [
    ("Account", "a-1"),
    ("Account", "a-2"),
    ("Account", "a-30"),
    ("Order", "o-1"),
    ("Order", "o-2"),
    ("Order", "o-77"),
    ("Zone", "z"),
];
const TYPES: [&str; 4] = ["Opened", "Changed", "Closed", "Rare"];
const PAGE: usize = 4096;
/// How many bits of a page are flipped.
const FLIPS: usize = 16;
/// Type, cells, free bytes and the like: a count that is wrong there hides cells from everybody.
const HEADER: usize = 8;

fn open(path: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(&Target::File(path.to_owned()), Durability::Full)
}

/// Events of every stream and type, over some twenty blocks.
fn fill(path: &Path) {
    let store = open(path).expect("it opens");
    let kinds = TYPES.map(|name| Arc::new(EventKind::json(name, 1)));
    for step in 0..130_usize {
        let (aggregate_type, id) = STREAMS[(step * 3 + step / 7) % STREAMS.len()];
        let event = |n: usize| {
            let kind = if step % 25 == 7 { 3 } else { (step / 20 + n) % 3 };
            let correlation_id = Some(Reference::Text(format!("request-{}", step % 20)));
            let tags = if n == 2 { vec![format!("tag-{}", step % 5)] } else { Vec::new() };
            NewEvent::new(Arc::clone(&kinds[kind]), "{}").with_metadata(Metadata {
                correlation_id,
                tags,
                ..Metadata::default()
            })
        };
        let events = (0..=step % 9).map(event).collect();
        let stream = StreamId::new(aggregate_type, id);
        block_on(store.commit(Commit::append(stream, ExpectedVersion::Any, events)))
            .expect("it commits");
    }
    block_on(store.close()).expect("it closes");
}

/// What is asked: everything that promises to miss nothing, whatever is damaged.
fn questions() -> Vec<(Query, ReadRange)> {
    let items = |items| Query { items, ..Query::default() };
    let item = QueryItem::default;
    let of_stream = |(kind, id): (&str, &str)| Query::stream(&StreamId::new(kind, id));
    let of_type = |name: &str| items(vec![QueryItem { event_types: vec![name.into()], ..item() }]);
    let mut queries: Vec<_> = STREAMS.into_iter().map(of_stream).collect();
    queries.extend(TYPES.map(of_type));
    let tagged = |tag: &str| QueryItem { tags: vec![tag.into()], ..item() };
    queries.push(items(vec![tagged("tag-1")]));
    queries.push(items(vec![QueryItem { aggregate_type: Some("Account".into()), ..item() }]));
    let correlation_id = Some(Reference::Text("request-7".into()));
    queries.push(items(vec![QueryItem { correlation_id: correlation_id.clone(), ..item() }]));
    queries.push(items(vec![QueryItem { correlation_id, ..item() }, tagged("tag-4")]));
    queries.push(items(vec![tagged("tag-2"), tagged("tag-3")]));
    queries.push(items(STREAMS[1..4].iter().flat_map(|name| of_stream(*name).items).collect()));
    let mut asked = Vec::new();
    for query in queries {
        let whole = ReadRange { limit: 4096, ..ReadRange::default() };
        let part = ReadRange { after: 200, until: 500, ..whole };
        asked.push((query.clone(), whole));
        asked.push((query.clone(), ReadRange { strict: true, ..part }));
        asked.push((query, ReadRange { backwards: true, ..part }));
    }
    let strict = ReadRange { limit: 4096, strict: true, ..ReadRange::default() };
    for only in [
        QueryItem { aggregate_type: Some("Order".into()), ..item() },
        QueryItem { aggregate_id: Some("a-2".into()), ..item() },
        QueryItem { correlation_id: Some(Reference::Text("request-7".into())), ..item() },
        QueryItem { event_types: vec!["Rare".into()], tags: vec!["tag-2".into()], ..item() },
    ] {
        asked.push((items(vec![only]), strict));
    }
    let partition = Some(Partition { index: 1, count: 3 });
    asked.push((Query { partition, ..Query::default() }, strict));
    asked
}

/// The positions of all that is found, page by page.
fn found(store: &Sqlite, query: &Query, mut range: ReadRange) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    loop {
        let page = block_on(store.read(query.clone(), range))?;
        found.extend(page.iter().map(|event| event.head.position));
        if page.end {
            return Ok(found);
        }
        range = range.continued(page.looked_to);
    }
}

/// The page on which a table or an index begins.
fn root(path: &Path, name: &str) -> usize {
    let connection = Connection::open(path).expect("it opens");
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    connection.query_row(sql, [name], |row| row.get::<_, i64>(0)).expect(name) as usize
}

#[test]
fn a_flipped_bit_hides_no_event() {
    let folder = TempDir::new().expect("a temporary folder");
    let (whole, copy) = (folder.path().join("whole.db"), folder.path().join("copy.db"));
    fill(&whole);
    let raw = std::fs::read(&whole).expect("it is read");
    let questions = questions();
    let store = open(&whole).expect("it opens");
    let right: Vec<_> = questions
        .iter()
        .map(|(query, range)| found(&store, query, *range).expect("it reads"))
        .collect();
    block_on(store.close()).expect("it closes");
    assert!(right.iter().all(|found| !found.is_empty()), "each question has an answer");
    let (mut same, mut told, mut short) = (0, 0, BTreeMap::new());
    for (number, name) in [
        "sqlite_autoindex_categories_1",
        "sqlite_autoindex_streams_1",
        "sqlite_autoindex_kinds_1",
        "categories",
        "streams",
        "kinds",
        "kind_blocks",
        "id_runs",
        "stream_runs",
        "tags",
        "tag_ends",
        "event_log",
    ]
    .into_iter()
    .enumerate()
    {
        let begin = (root(&whole, name) - 1) * PAGE;
        let used: Vec<_> =
            (begin + HEADER..begin + PAGE).filter(|place| raw[*place] != 0).collect();
        for place in used.iter().step_by(used.len().div_ceil(FLIPS)) {
            let bit = (place * 7 + number) % 8;
            let mut damaged = raw.clone();
            damaged[*place] ^= 1 << bit;
            for suffix in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(folder.path().join(format!("copy.db{suffix}"))));
            }
            std::fs::write(&copy, &damaged).expect("it is written");
            let Ok(store) = open(&copy) else {
                told += 1;
                continue;
            };
            for ((query, range), right) in questions.iter().zip(&right) {
                match found(&store, query, *range) {
                    Ok(answer) if answer == *right => same += 1,
                    Ok(answer) => {
                        let what = format!("{name}: bit {bit} of byte {}", place - begin);
                        let line = format!("{} of {} for {query:?}", answer.len(), right.len());
                        short.entry(what).or_insert(line);
                    }
                    Err(_) => told += 1,
                }
            }
            drop(store);
        }
    }
    assert!(short.is_empty(), "what came short: {short:#?}");
    assert!(same > 1000 && told > 1000, "what the test is about: {same} the same, {told} told");
}
