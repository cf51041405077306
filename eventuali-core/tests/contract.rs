//! The contract suite on every backend of this crate, and the page that describes it.

#[allow(dead_code)]
mod fixtures;

use std::collections::BTreeSet;
use std::path::Path;

use eventuali_core::contract::{CLAUSES, page};
use eventuali_core::contract_tests;

use fixtures::clocked::ToldTheTime;
use fixtures::followed::Followed;
use fixtures::here::Here;
use fixtures::tenants::{LimitedTenants, Tenants};
use fixtures::{InProcess, PostgresTable, SqliteFile};

contract_tests!(memory, InProcess::memory());
contract_tests!(postgres, PostgresTable::new());
contract_tests!(postgres_that_is_followed, Followed::new(PostgresTable::new()));
contract_tests!(sqlite, SqliteFile::new());
contract_tests!(sqlite_durable, SqliteFile::durable());
contract_tests!(sqlite_on_the_thread_of_the_caller, Here(SqliteFile::new()));
contract_tests!(sqlite_in_memory, InProcess::sqlite());
contract_tests!(postgres_that_is_told_the_time, ToldTheTime(PostgresTable::new()));
contract_tests!(sqlite_that_is_told_the_time, ToldTheTime(SqliteFile::new()));
contract_tests!(through_views_of_tenants, Tenants(SqliteFile::new()));
contract_tests!(through_views_with_limits, LimitedTenants(SqliteFile::new()));

/// Whatever is written as a clause is also run, and under one name only.
#[test]
fn the_list_holds_every_clause() {
    let mut written = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contract");
    for file in folder.read_dir().expect("the suite is a folder") {
        let path = file.expect("its files can be listed").path();
        let group = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&path).expect("it is text").lines() {
            if let Some(rest) = line.strip_prefix("pub async fn ") {
                let name = rest.split('(').next().expect("a function has arguments");
                written.insert((group.clone(), name.to_owned()));
            }
        }
    }
    let listed: BTreeSet<_> =
        CLAUSES.iter().map(|clause| (clause.group.to_owned(), clause.name.to_owned())).collect();
    assert_eq!(listed, written);
    assert_eq!(listed.len(), CLAUSES.len(), "each clause stands there once");
}

#[test]
fn the_page_lists_exactly_the_clauses() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/contract.md");
    if std::env::var_os("EVENTUALI_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the page is there");
    assert!(written == page(), "{} is not made from the list any more", path.display());
}

#[test]
fn every_promise_has_clauses() {
    let promises: BTreeSet<u8> = CLAUSES.iter().map(|clause| clause.promise).collect();
    assert_eq!(promises, (1..=10).collect());
}
