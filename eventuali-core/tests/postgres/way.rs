//! A way to the server on which answers are lost, or nothing is heard any more.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use eventuali_core::backend::postgres::PostgresOptions;
use eventuali_core::url::PostgresUrl;
use sqlx::postgres::PgConnectOptions;

use crate::fixtures::{PostgresTable, server};

/// Everything passes.
pub(crate) const OPEN: u8 = 0;
/// The next answer is lost, and its connection with it.
pub(crate) const LOSE_ONE: u8 = 1;
/// Every answer is lost.
pub(crate) const LOSE_ALL: u8 = 2;

pub(crate) struct Way {
    state: Arc<AtomicU8>,
    /// How often the connections fell silent that were open then.
    silences: Arc<AtomicUsize>,
    pub(crate) options: PostgresOptions,
}

impl Way {
    pub(crate) fn to(table: &PostgresTable) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(AtomicU8::new(OPEN));
        let silences = Arc::new(AtomicUsize::new(0));
        let (shared, counted) = (Arc::clone(&state), Arc::clone(&silences));
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let state = Arc::clone(&shared);
                let heard = Heard { silences: Arc::clone(&counted), before: count(&counted) };
                thread::spawn(move || carry(&near, &state, &heard));
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
        Self { state, silences, options }
    }

    pub(crate) fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }

    /// So many answers still come, on any connection; those that follow are lost.
    pub(crate) fn lose_after(&self, answers: u8) {
        self.set(LOSE_ALL + answers);
    }

    /// Connections that are open now fall silent: whatever is sent on them is lost, either way, and
    /// neither end hears of it.
    pub(crate) fn silence(&self) {
        self.silences.fetch_add(1, Ordering::AcqRel);
    }
}

fn count(silences: &AtomicUsize) -> usize {
    silences.load(Ordering::Acquire)
}

/// Whether a connection is heard.
#[derive(Clone)]
struct Heard {
    silences: Arc<AtomicUsize>,
    before: usize,
}

impl Heard {
    fn holds(&self) -> bool {
        count(&self.silences) == self.before
    }
}

fn carry(near: &TcpStream, state: &AtomicU8, heard: &Heard) {
    near.set_nodelay(true).expect("it can be set");
    let far = dial();
    let asking = near.try_clone().expect("a clone");
    let asked = far.try_clone().expect("a clone");
    let asks = heard.clone();
    let carrier = thread::spawn(move || ask(asking, asked, &asks));
    answer(far, near, state, heard);
    if heard.holds() {
        drop(near.shutdown(Shutdown::Both));
    }
    carrier.join().expect("it ends");
}

/// Carries questions until there are no more.
fn ask(mut near: TcpStream, mut far: File, heard: &Heard) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count) = near.read(&mut bytes) {
        if count == 0 || (heard.holds() && far.write_all(&bytes[..count]).is_err()) {
            break;
        }
    }
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
fn answer(mut far: File, mut near: &TcpStream, state: &AtomicU8, heard: &Heard) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count) = far.read(&mut bytes) {
        let lost = match state.load(Ordering::Acquire) {
            LOSE_ONE => state.swap(OPEN, Ordering::AcqRel) == LOSE_ONE,
            OPEN | LOSE_ALL => state.load(Ordering::Acquire) == LOSE_ALL,
            left => {
                // It stays where somebody else has counted this down, or opened the way.
                let less =
                    state.compare_exchange(left, left - 1, Ordering::AcqRel, Ordering::Acquire);
                less.is_err() && state.load(Ordering::Acquire) == LOSE_ALL
            }
        };
        let heard = heard.holds();
        if count == 0 || lost || (heard && near.write_all(&bytes[..count]).is_err()) {
            break;
        }
    }
}
