//! The port: eleven verbs that every backend implements, and the promises behind them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::limits::Limits;
use crate::query::{Query, ReadRange};
use crate::record::{RecordCursor, RecordPage, RecordPurge, RecordQuery};
use crate::stream::{StreamPage, StreamSelection};
use crate::usage::{UsagePage, UsageQuery};
use crate::verify::{VerifyCursor, VerifyPage};

/// An answer that is on its way.
///
/// The work begins when the verb is called, not when the answer is first awaited, and needs no
/// particular runtime. Dropping the answer does not stop a write.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'static>>;

/// What arrives on `answer`; a job that panicked drops its end, which `lost` puts into words.
pub(crate) fn answer_from<T: Send + 'static>(
    sent: bool,
    answer: oneshot::Receiver<Result<T>>,
    lost: impl FnOnce() -> Error + Send + 'static,
) -> Answer<T> {
    if !sent {
        return Box::pin(std::future::ready(Err(Error::closed())));
    }
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(lost())) })
}

/// A read whose end was dropped.
pub(crate) fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the storage failed before it answered")
}

/// A backend: keeps events and records, and keeps the promises of `docs/reference/contract.md`.
pub trait Storage: Send + Sync + 'static {
    /// Appends every event of `commit` and changes every record, or does nothing.
    ///
    /// Once this returns, the change survives a power cut (unless the store was opened with
    /// relaxed durability), and every later read sees it. Versions of a stream are 1, 2, 3 …;
    /// positions rise within a commit. Dropping the answer does not undo the write: its outcome is
    /// unknown until the commit is repeated. Repeating a commit whose event ids are all stored
    /// gives the original answer, even where its expected versions are stale by now.
    fn commit(&self, commit: Commit) -> Answer<Committed>;

    /// The same commit, for a caller that waits for the answer and does nothing else: a backend may
    /// do the work on this thread and so spare a hand-over. It may block, but not for as long as
    /// another process keeps a lock.
    fn commit_here(&self, commit: Commit) -> Answer<Committed> {
        self.commit(commit)
    }

    /// One page of the events that match `query` within `range`, in the order of their positions.
    ///
    /// Once any reader has seen position P, no event ever appears at a position below P. A page
    /// may be short, or empty, without being the last: `looked_to` and `end` tell. It holds at most
    /// [`ReadRange::page_limit`] events and [`crate::query::MAX_PAGE_BYTES`]. Every event's
    /// checksum is verified.
    fn read(&self, query: Query, range: ReadRange) -> Answer<EventPage>;

    /// How many events match `query` within `range`: as many as all pages of [`Storage::read`] hold.
    /// The range's direction and limit say nothing here. Payloads are not looked at where the query
    /// can be answered without them.
    fn count(&self, query: Query, range: ReadRange) -> Answer<u64>;

    /// One page of the streams of a selection, sorted by (type, id) as bytes, after `after`.
    /// Events without a stream are not listed. `limit` is taken to 1 … `MAX_PAGE_EVENTS`.
    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage>;

    /// One page of records, in the order of the query, after `after`. `limit` is taken to
    /// 1 … `MAX_PAGE_EVENTS`.
    fn records(
        &self,
        query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage>;

    /// How many records a query finds; by an index, how many entries: a record with several of them
    /// counts as often.
    fn count_records(&self, query: RecordQuery) -> Answer<u64>;

    /// How much tenants have stored, a part at a time: with `after` as the page before says in
    /// `looked_to`, until one has `end`. Each event is counted once, below the horizon of readers.
    /// Names and sizes are looked at, no payloads.
    fn usage(&self, query: UsageQuery) -> Answer<UsagePage>;

    /// Removes records of a space for good, the first ones by key, and says how many: what a commit
    /// deletes leaves its version behind, this leaves nothing. A key that is written again begins at
    /// version 1, so this is for spaces whose name nobody uses again.
    fn purge(&self, purge: RecordPurge) -> Answer<u64>;

    /// How far readers of the whole log may read, and who holds them back: for people who watch over
    /// a store. Nobody who reads has to ask.
    fn horizon(&self) -> Answer<Horizon>;

    /// Checks everything that is stored, all tenants', a step at a time: first without a cursor, then
    /// with that of the page before, until one has no `next`. Damage is no error here but what is
    /// looked for: events against their checksums, their order and every index, and each index
    /// against the events.
    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage>;

    /// Wakes when events may have been appended, here or, where the store is shared, in another
    /// process: a hint and nothing more, which may come late, twice, or for nothing. The value is a
    /// position up to which commits are known of; it never falls.
    fn appended(&self) -> watch::Receiver<u64>;

    /// How often the past of the store was found to be another one: somebody put a copy under it
    /// while it was open, an older one for instance. Whoever follows the log looks at it after each
    /// page. Where nobody can do that, it stays 0.
    fn epoch(&self) -> u64 {
        0
    }

    /// Waits for the writes that have begun, then releases everything. Calling it again does
    /// nothing; every other verb gives [`crate::error::ErrorKind::Closed`] from then on. Whoever
    /// waits for `appended` wakes.
    fn close(&self) -> Answer<()>;

    /// Limits, and what this backend cannot do.
    fn capabilities(&self) -> Capabilities;
}

/// How far a log is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Readers of the whole log see everything up to here, and nothing above.
    pub position: u64,
    /// The position of the last event that is stored, which lies above where readers have to wait.
    pub last: u64,
    /// How many transactions are writing now, where the backend lets several do so at a time.
    pub writers: u64,
    /// How long the oldest of them has been open, by the store's clock; none where there is none,
    /// or where its age is not for this user to see.
    pub open_for: Option<Duration>,
}

impl Horizon {
    /// The horizon of a backend whose readers never wait for a writer.
    #[must_use]
    pub fn at(last: u64) -> Self {
        Self { position: last, last, writers: 0, open_for: None }
    }
}

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether something can be done")]
pub struct Capabilities {
    /// Its name, such as `sqlite`.
    pub backend: &'static str,
    /// Whether what was acknowledged outlives the process.
    pub durable: bool,
    /// Whether other processes can open the same store at the same time.
    pub shared: bool,
    /// Whether it answers over a network.
    pub remote: bool,
    /// Whether a commit may have statements: else it is refused, as invalid.
    pub sql: bool,
    /// Whether records are found by the words of their texts. Where they are not, a text is dropped.
    pub full_text: bool,
    /// The sizes that it accepts.
    pub limits: Limits,
}
