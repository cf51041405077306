//! A group of commits within one transaction: each is judged, and written only when it holds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::batch::{Batch, Found, families, runs};
use super::candidates::stored_at;
use super::connection::Session;
use super::reader::{self, Until};
use super::records::{Columns, Locked, is_judged, list, writes_unseen};
use crate::commit::{AppendCondition, Commit, Committed, StreamWrite};
use crate::error::{Error, ErrorKind, Result};
use crate::query::ReadRange;
use crate::record::RecordKey;
use crate::stream::{ExpectedVersion, StreamId};

/// The most locks of one transaction; a group that needs more closes the gate and needs none.
const MAX_FAMILIES: usize = 512;

/// How long the commits of a group are judged one after the other. What is left then is tried in a
/// transaction of its own: the time limit is each commit's, not the group's. Shorter than others
/// wait for a lock, so that those whom the gate keeps out do not give up.
pub(super) const JUDGING: Duration = Duration::from_millis(250);

/// What became of a commit: an answer, or a refusal that wrote nothing. Everything else, such as a
/// full disk, is the outer error, after which the transaction is lost.
pub(super) type Judged = Result<Committed>;

/// Writes a group in one call, without a look before; none where that is not enough, because
/// something has to be judged or is not as expected. Nothing is written then.
pub(super) async fn at_once(
    session: &mut Session,
    commits: &[&Commit],
) -> Result<Option<Vec<Judged>>> {
    let families = families(commits.iter().copied());
    if families.len() > MAX_FAMILIES || !commits.iter().all(|commit| is_plain(commit)) {
        return Ok(None);
    }
    number(session, commits).await?;
    let Some(batch) = foreseen(session, commits) else { return Ok(None) };
    let Some(written) = batch.write(session, &families).await? else { return Ok(None) };
    Ok(Some(batch.answers(&written).into_iter().map(Ok).collect()))
}

/// Whether a commit is only events, at versions that can exist.
fn is_plain(commit: &Commit) -> bool {
    let alone = commit.conditions.is_empty() && commit.records.is_empty();
    let plain = alone && commit.checks.is_empty() && commit.statements.is_empty();
    plain && commit.events().next().is_some()
}

/// The batch that a group makes where every stream is as the first write to it expects; none where
/// the group itself is at odds, or leaves open what a later write would find.
fn foreseen<'c>(session: &Session, commits: &[&'c Commit]) -> Option<Batch<'c>> {
    let names = &session.known.names;
    let mut batch = Batch::default();
    let mut ids = HashSet::new();
    for commit in commits {
        let fresh = commit.events().all(|(_, event)| ids.insert(event.event_id));
        let holds = |write: &StreamWrite| match batch.head(&write.stream) {
            _ if write.stream.is_none() => true,
            None => Found::expected(write.expected).is_some(),
            Some((found, added)) => follows(write.expected, found, added),
        };
        if !fresh || !commit.writes.iter().all(holds) {
            return None;
        }
        let found = |write: &StreamWrite| Found::expected(write.expected).unwrap_or(Found::Any);
        batch.add(names, commit, found).ok()?;
    }
    Some(batch)
}

/// Whether an expectation is sure to hold of a stream that was found so and then extended.
fn follows(expected: ExpectedVersion, found: Found, added: i32) -> bool {
    match (expected, found) {
        (ExpectedVersion::Any, _) | (ExpectedVersion::StreamExists, Found::Existing) => true,
        (ExpectedVersion::StreamExists, Found::Any) => added > 0,
        (expected, Found::At(head)) => expected.holds((head + i64::from(added)) as u64),
        _ => false,
    }
}

/// Sees to it that what the events refer to has numbers.
async fn number(session: &mut Session, commits: &[&Commit]) -> Result<()> {
    let kinds = commits.iter().flat_map(|commit| commit.events()).map(|(_, event)| &event.kind);
    let Session { conn, known, shared, .. } = session;
    known.names.number_kinds(conn, &shared.statements, kinds).await?;
    let writes = commits.iter().flat_map(|commit| &commit.writes);
    let loose: BTreeSet<&str> = writes
        .filter(|write| write.stream.is_none())
        .map(|write| write.stream.tenant.as_str())
        .collect();
    for tenant in loose {
        known.names.number_loose(conn, &shared.statements, tenant).await?;
    }
    Ok(())
}

/// What became of a group within a transaction.
pub(super) struct Turn {
    pub(super) judged: Vec<Judged>,
    /// Names of streams or records would be left of which nothing is written.
    pub(super) leaves_names: bool,
    /// The statements of the one commit are to be carried out.
    pub(super) carries_out: bool,
}

/// Begins a transaction, judges every commit in it, and writes those that hold; what is left to do
/// is to carry out the statements, if it is one commit that has some, and to commit, unless names
/// would be left of what is refused. None where the group takes too long
/// and nothing of it may be committed. `doubted` says that it may have been written before.
pub(super) async fn in_turn(
    session: &mut Session,
    commits: &[&Commit],
    doubted: bool,
) -> Result<Option<Turn>> {
    number(session, commits).await?;
    session.run("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let mut append = Append::begin(session, commits, doubted).await?;
    let begun = Instant::now();
    for (index, commit) in commits.iter().enumerate() {
        if index > 0 && begun.elapsed() > JUDGING {
            return Ok(None);
        }
        append.take(session, index, commit).await?;
    }
    // What is repeated or refused does not wait to be written.
    let holds = !append.waiting.is_empty();
    let (judged, leaves_names) = append.finish(session, commits).await?;
    let carries_out = holds && commits.iter().any(|commit| !commit.statements.is_empty());
    Ok(Some(Turn { judged, leaves_names, carries_out }))
}

/// A group in the making.
struct Append<'c> {
    doubted: bool,
    families: Vec<i64>,
    /// The version of each stream, with what the group has added to it.
    heads: HashMap<&'c StreamId, u64>,
    records: Locked<'c>,
    /// For each commit, whether one of its ids was stored when the group began.
    known: Vec<bool>,
    /// Ids that the group writes.
    ids: HashSet<Uuid>,
    batch: Batch<'c>,
    /// Whose events are in the batch, and the versions of their records.
    waiting: Vec<(usize, Vec<u64>)>,
    answers: Vec<Option<Judged>>,
}

enum Verdict {
    Repeated(Committed),
    Refused(Error),
    Holds,
}

impl<'c> Append<'c> {
    /// Takes the locks, and looks at all that can be looked at for the whole group.
    async fn begin(session: &mut Session, commits: &[&'c Commit], doubted: bool) -> Result<Self> {
        let mut families = families(commits.iter().copied());
        let crowded = families.len() > MAX_FAMILIES;
        if crowded {
            families.clear();
        }
        let alone = crowded || commits.iter().any(|commit| !commit.conditions.is_empty());
        #[cfg(feature = "faults")]
        let alone = alone && !super::schema::fault::chosen("gate");
        let unseen = !doubted && matches!(commits, [commit] if writes_unseen(commit));
        let mut looked = look(session, commits, &families, alone, unseen).await?;
        if unseen && (looked.known[0] || looked.records.may_repeat(commits[0])) {
            looked = look(session, commits, &families, alone, false).await?;
        }
        let Looked { heads, records, known } = looked;
        let answers = commits.iter().map(|_| None).collect();
        Ok(Self {
            doubted,
            families,
            heads,
            records,
            known,
            ids: HashSet::new(),
            batch: Batch::default(),
            waiting: Vec::new(),
            answers,
        })
    }

    async fn take(
        &mut self,
        session: &mut Session,
        index: usize,
        commit: &'c Commit,
    ) -> Result<()> {
        let verdict = match self.judge(session, index, commit).await {
            // A damaged event stood in the way of this commit, and of no other.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupted { position: Some(_) }) => {
                Verdict::Refused(error)
            }
            verdict => verdict?,
        };
        match verdict {
            Verdict::Repeated(committed) => self.answers[index] = Some(Ok(committed)),
            Verdict::Refused(error) => self.answers[index] = Some(Err(error)),
            Verdict::Holds => self.accept(session, index, commit)?,
        }
        Ok(())
    }

    fn accept(&mut self, session: &Session, index: usize, commit: &'c Commit) -> Result<()> {
        let heads = &self.heads;
        let head = |stream: &StreamId| heads.get(stream).copied().unwrap_or_default();
        let names = &session.known.names;
        self.batch.add(names, commit, |write| Found::At(head(&write.stream) as i64))?;
        for write in commit.writes.iter().filter(|write| !write.stream.is_none()) {
            *self.heads.entry(&write.stream).or_default() += write.events.len() as u64;
        }
        self.ids.extend(commit.events().map(|(_, event)| event.event_id));
        self.waiting.push((index, self.records.apply(commit)));
        Ok(())
    }

    /// Writes what waits in the batch, so that it can be seen.
    async fn flush(&mut self, session: &mut Session) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let written = match batch.unwritten() {
            Some(unwritten) => Some(unwritten),
            None => batch.write(session, &self.families).await?,
        };
        let Some(written) = written else {
            let text = "PostgreSQL: a stream changed, or an event id was stored, while the streams were locked; \
                        run verify()";
            return Err(Error::new(ErrorKind::Corrupted { position: None }, text));
        };
        for ((index, versions), answer) in self.waiting.drain(..).zip(batch.answers(&written)) {
            self.answers[index] = Some(Ok(Committed { record_versions: versions, ..answer }));
        }
        Ok(())
    }

    /// The answers, and whether names of streams or records would be left of which nothing is written.
    async fn finish(
        mut self,
        session: &mut Session,
        commits: &[&Commit],
    ) -> Result<(Vec<Judged>, bool)> {
        self.flush(session).await?;
        let written = self.records.write(session).await?;
        if let [commit, ..] = commits
            && let Some(Ok(answer)) = &mut self.answers[0]
        {
            for (version, change) in answer.record_versions.iter_mut().zip(&commit.records) {
                *version = written.get(&change.key).copied().unwrap_or(*version);
            }
        }
        let refused = commits.iter().zip(&self.answers);
        let leaves_names = refused
            .filter(|(_, answer)| matches!(answer, Some(Err(_))))
            .any(|(commit, _)| self.names_new(commit));
        let lost = || Err(Error::outcome_unknown(Vec::new()));
        let answers = self.answers.into_iter().map(|answer| answer.unwrap_or_else(lost));
        Ok((answers.collect(), leaves_names))
    }

    /// Whether a commit names a stream or a record that nobody has written.
    fn names_new(&self, commit: &Commit) -> bool {
        let mut streams = commit.writes.iter().filter(|write| !write.stream.is_none());
        streams.any(|write| self.head(&write.stream) == 0)
            || commit.records.iter().any(|change| self.records.is_new(&change.key))
    }

    async fn judge(
        &mut self,
        session: &mut Session,
        index: usize,
        commit: &'c Commit,
    ) -> Result<Verdict> {
        if let Some(verdict) = self.repetition(session, index, commit).await? {
            return Ok(verdict);
        }
        for write in commit.writes.iter().filter(|write| !write.stream.is_none()) {
            let actual = self.head(&write.stream);
            if !write.expected.holds(actual) {
                let error = Error::conflict(&write.stream, write.expected, actual);
                return Ok(Verdict::Refused(error));
            }
        }
        if !commit.conditions.is_empty() {
            self.flush(session).await?;
        }
        for condition in &commit.conditions {
            if let Some(position) = first_match(session, condition).await? {
                let error = Error::condition_failed(condition.after, position);
                return Ok(Verdict::Refused(error));
            }
        }
        Ok(self.records.judge(commit).map_or(Verdict::Holds, Verdict::Refused))
    }

    fn head(&self, stream: &StreamId) -> u64 {
        self.heads.get(stream).copied().unwrap_or_default()
    }

    /// Whether this commit was made before, or collides with events that were.
    async fn repetition(
        &mut self,
        session: &mut Session,
        index: usize,
        commit: &Commit,
    ) -> Result<Option<Verdict>> {
        if commit.events().next().is_none() {
            let repeated = self.records.repetition(commit).map(|mut answer| {
                answer.versions = commit.writes.iter().map(|w| self.head(&w.stream)).collect();
                Verdict::Repeated(answer)
            });
            // Made before, it may be overwritten by now: nobody can say.
            let doubtful = self.doubted && !commit.records.is_empty();
            let unknown = || Verdict::Refused(Error::outcome_unknown(Vec::new()));
            return Ok(repeated.or_else(|| doubtful.then(unknown)));
        }
        let met = commit.events().any(|(_, event)| self.ids.contains(&event.event_id));
        if !met && !self.known[index] {
            return Ok(None);
        }
        self.flush(session).await?;
        self.settle(session, commit).await.map(Some)
    }

    /// The verdict on a commit of which at least one id is stored: the original answer where all of
    /// it is, else a conflict that names the ids.
    async fn settle(&self, session: &mut Session, commit: &Commit) -> Result<Verdict> {
        let ids = commit.event_ids();
        let found = stored_at(session, &ids).await?;
        let stored = ids.iter().zip(&found).filter(|(_, stored)| stored.is_some());
        let stored: Vec<Uuid> = stored.map(|(id, _)| *id).collect();
        let refused = || Ok(Verdict::Refused(Error::idempotency_conflict(stored.clone())));
        let records = commit.records_digest();
        let same_records = found.iter().flatten().all(|stored| records.is(stored.records));
        let positions: Vec<u64> = found.iter().flatten().map(|stored| stored.position).collect();
        if stored.len() < ids.len() || !same_records || !positions.is_sorted() {
            return refused();
        }
        let spans: Vec<_> = positions.iter().map(|position| (*position, *position)).collect();
        let page = reader::events_at(session, &spans).await?;
        let mut same = page.len() == ids.len();
        for ((stream, event), stored) in commit.events().zip(page.iter()) {
            same &= stored.is(stream, event)?;
        }
        if !same {
            return refused();
        }
        let mut versions = Vec::with_capacity(commit.writes.len());
        let mut seen = 0;
        for write in &commit.writes {
            seen += write.events.len();
            versions.push(match write.events.len() {
                0 => self.head(&write.stream),
                _ => page.get(seen - 1).head.version,
            });
        }
        Ok(Verdict::Repeated(Committed {
            positions,
            versions,
            record_versions: self.records.versions_of_repeated(commit),
            recorded_at: page.get(0).head.recorded_at,
        }))
    }
}

/// What a group is judged by.
struct Looked<'c> {
    heads: HashMap<&'c StreamId, u64>,
    records: Locked<'c>,
    known: Vec<bool>,
}

/// Takes the writer's locks, and looks; `unseen` leaves out the records that nothing is judged by.
async fn look<'c>(
    session: &mut Session,
    commits: &[&'c Commit],
    families: &[i64],
    alone: bool,
    unseen: bool,
) -> Result<Looked<'c>> {
    let streams = commits.iter().flat_map(|commit| &commit.writes).map(|write| &*write.stream);
    let streams: BTreeSet<&StreamId> = streams.filter(|stream| !stream.is_none()).collect();
    let column = |part: fn(&StreamId) -> &String| -> Vec<&str> {
        streams.iter().map(|stream| part(stream).as_str()).collect()
    };
    let changes = commits.iter().flat_map(|commit| &commit.records);
    let changes = changes.filter(|change| !unseen || is_judged(change));
    let keys: BTreeSet<&RecordKey> = changes.map(|change| &change.key).collect();
    let (owners, firsts, lasts) = owned_runs(commits);
    let shared = Arc::clone(&session.shared);
    let asked = shared.statements.call_look.query().bind(alone).bind(families);
    let asked = asked
        .bind(column(|name| &name.tenant))
        .bind(column(|name| &name.aggregate_type))
        .bind(column(|name| &name.aggregate_id));
    let asked = Columns::of(keys.iter().copied()).bind(asked).bind(firsts).bind(lasts);
    let row = asked.fetch_one(&mut session.conn).await?;
    let heads: Vec<i64> = list(&row, 0)?;
    let heads = streams.into_iter().zip(heads.into_iter().map(|head| head as u64)).collect();
    let mut known = vec![false; commits.len()];
    for (owner, stored) in owners.into_iter().zip(list::<bool>(&row, 4)?) {
        known[owner] |= stored;
    }
    let mut records = Locked::of(keys, &row, 1)?;
    records.read_rising(session, commits).await?;
    records.check(session, commits).await?;
    Ok(Looked { heads, records, known })
}

/// The runs of ids of a group: which commit each belongs to, its first and its last id.
fn owned_runs(commits: &[&Commit]) -> (Vec<usize>, Vec<Uuid>, Vec<Uuid>) {
    let (mut owners, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for (index, commit) in commits.iter().enumerate() {
        for run in runs(&commit.event_ids()) {
            owners.push(index);
            firsts.push(run[0]);
            lasts.push(run[run.len() - 1]);
        }
    }
    (owners, firsts, lasts)
}

/// The first event that matches a condition. The gate is closed: everybody else is done.
async fn first_match(session: &mut Session, condition: &AppendCondition) -> Result<Option<u64>> {
    let mut range = ReadRange { after: condition.after, limit: 1, ..ReadRange::default() };
    loop {
        let page = reader::page(session, &condition.query, range, Until::Last).await?;
        if !page.is_empty() {
            return Ok(Some(page.get(0).head.position));
        }
        if page.end {
            return Ok(None);
        }
        range = range.continued(page.looked_to);
    }
}
