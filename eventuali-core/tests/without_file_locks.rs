//! A platform whose locks belong to the process: the store keeps away from a file that something else
//! in the process has open.

#![cfg(all(feature = "faults", target_os = "linux"))]

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::commit::{Commit, Committed};
use eventuali_core::contract::block_on;
use eventuali_core::error::{Error, ErrorKind};
use eventuali_core::event::{EventKind, NewEvent};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};

const VARIABLE: &str = "EVENTUALI_FAULT";
const PLATFORM: &str = "no-file-locks";

fn open(path: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(&Target::File(path.to_owned()), Durability::Full)
}

fn append(store: &Sqlite) -> Result<Committed, Error> {
    let event = NewEvent::new(Arc::new(EventKind::json("Opened", 1)), "{}");
    let stream = StreamId::new("Account", "acc-1");
    block_on(store.commit(Commit::append(stream, ExpectedVersion::Any, vec![event])))
}

fn is_refused<T>(result: Result<T, Error>, path: &Path) {
    let error = result.err().expect("it is refused");
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("sqlite3"), "{text}");
}

/// In a process of its own, for the choice is made once.
#[test]
fn a_file_that_is_open_elsewhere_is_refused() {
    if std::env::var(VARIABLE).is_err() {
        let test = "a_file_that_is_open_elsewhere_is_refused";
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        let done = command.args([test, "--exact", "--nocapture"]).env(VARIABLE, PLATFORM).output();
        let done = done.expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("events.db");
    let store = open(&path).expect("nobody else has it");
    let second = open(&path).expect("our own connections are not strangers");
    append(&store).expect("it commits");
    append(&second).expect("it commits");
    let stranger = File::open(&path).expect("it opens");
    is_refused(append(&store), &path);
    is_refused(open(&path), &path);
    drop(stranger);
    let committed = append(&store).expect("it goes on");
    assert_eq!(committed.positions, [3]);
    block_on(store.close()).expect("it closes");
    block_on(second.close()).expect("it closes");
}
