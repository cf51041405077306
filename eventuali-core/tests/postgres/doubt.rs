//! Answers that are lost on the way, between a store and its server.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::{Postgres, PostgresOptions};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::record::{RecordChange, RecordKey};
use eventuali_core::storage::Storage;
use eventuali_core::url::PostgresUrl;
use sqlx::postgres::PgConnectOptions;

use crate::fixtures::{PostgresTable, server};
use crate::given::{deposits, log, open};

/// Everything passes.
const OPEN: u8 = 0;
/// The next answer is lost, and its connection with it.
const LOSE_ONE: u8 = 1;
/// Every answer is lost.
const LOSE_ALL: u8 = 2;

/// A way to the server on which answers can be lost.
struct Way {
    state: Arc<AtomicU8>,
    options: PostgresOptions,
}

impl Way {
    fn to(table: &PostgresTable) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(AtomicU8::new(OPEN));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let state = Arc::clone(&shared);
                thread::spawn(move || carry(near, &state));
            }
        });
        let server = server();
        let rest = server.split_once("://").expect("it is a URL").1;
        let place = rest.split('?').next().unwrap_or_default();
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let url = format!("postgresql://{user}@127.0.0.1:{port}/{database}?sslmode=disable");
        let url = PostgresUrl::parse(&url).expect("it is a URL");
        let connect_timeout = Duration::from_secs(2);
        let options = PostgresOptions { url, connect_timeout, ..table.options.clone() };
        Self { state, options }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }
}

fn carry(near: TcpStream, state: &AtomicU8) {
    near.set_nodelay(true).expect("it can be set");
    let far = dial();
    let mut asking = near.try_clone().expect("a clone");
    let mut asked = far.try_clone().expect("a clone");
    thread::spawn(move || std::io::copy(&mut asking, &mut asked));
    answer(far, near, state);
}

/// A connection to the server, over whatever it listens on.
fn dial() -> File {
    let server: PgConnectOptions = server().parse().expect("it is a URL");
    let (host, port) = (server.get_host(), server.get_port());
    let folder = server.get_socket().map(|path| path.display().to_string());
    if let Some(folder) = folder.as_deref().or_else(|| host.starts_with('/').then_some(host)) {
        let path = format!("{folder}/.s.PGSQL.{port}");
        return OwnedFd::from(UnixStream::connect(path).expect("the server")).into();
    }
    let stream = TcpStream::connect((host, port)).expect("the server");
    stream.set_nodelay(true).expect("it can be set");
    OwnedFd::from(stream).into()
}

/// Carries answers until one is to be lost.
fn answer(mut far: File, mut near: TcpStream, state: &AtomicU8) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count) = far.read(&mut bytes) {
        let lost = match state.load(Ordering::Acquire) {
            LOSE_ONE => state.swap(OPEN, Ordering::AcqRel) == LOSE_ONE,
            state => state == LOSE_ALL,
        };
        if count == 0 || lost || near.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop(near.shutdown(Shutdown::Both));
}

#[test]
fn a_lost_answer_is_found_out() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    for n in 0..5 {
        block_on(store.commit(deposits("1", 1))).expect("it commits");
        way.set(LOSE_ONE);
        let committed = block_on(store.commit(deposits("1", 2))).expect("it is settled");
        assert_eq!(committed.versions, [3 * (n + 1)]);
    }
    assert_eq!(log(&open(&table)).len(), 15);
}

#[test]
fn a_lost_answer_to_records_is_found_out() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    let put = || Commit::change(vec![RecordChange::put(RecordKey::new("doc", "a"), "x")]);
    for n in 0..5 {
        // One answer after the other of the transaction is lost; the last one is that of COMMIT.
        let commit = put();
        let asked = store.commit(commit);
        thread::sleep(Duration::from_micros(400 * n));
        way.set(LOSE_ONE);
        let committed = block_on(asked).expect("it is settled");
        way.set(OPEN);
        assert_eq!(committed.record_versions, [n + 1]);
    }
}

#[test]
fn what_cannot_be_found_out_is_unknown_until_it_is_repeated() {
    let table = PostgresTable::new();
    let way = Way::to(&table);
    let store = Postgres::open(way.options.clone()).expect("it opens");
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    // Until it is announced, too, and its connection is free: a new one would not be made.
    thread::sleep(Duration::from_millis(200));
    way.set(LOSE_ALL);
    let commit = deposits("1", 2);
    let doubt = block_on(store.commit(commit.clone())).expect_err("nobody answers");
    let event_ids = commit.event_ids();
    assert_eq!(*doubt.kind(), ErrorKind::OutcomeUnknown { event_ids });
    way.set(OPEN);
    let committed = block_on(store.commit(commit)).expect("the store recovers");
    assert_eq!(committed.versions, [3]);
    assert_eq!(log(&store).len(), 3);
}
