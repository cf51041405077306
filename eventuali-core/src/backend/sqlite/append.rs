//! One commit within the writer's transaction: judged first, written only when it holds.

use rusqlite::params;

use super::connection::Session;
use super::ids::{id_runs, last_run_meets, stored_at};
use super::rows::Tail;
use super::{reader, records, rows, user_statements};
use crate::commit::{AppendCondition, Commit, Committed, StreamWrite};
use crate::error::{Error, ErrorKind, Result};
use crate::query::ReadRange;

/// What became of a commit: an answer, or a refusal that wrote nothing. Everything else, such as a
/// full disk, is the outer error, after which the transaction must be rolled back.
pub(super) type Judged = Result<Committed>;

/// Judges `commit` and, where it holds, writes it.
pub(super) fn append(session: &mut Session, tail: &mut Tail, commit: &Commit) -> Result<Judged> {
    let verdict = match judge(session, tail, commit) {
        // What is damaged stood in the way of this commit, and of no other.
        Err(error) if is_found(&error) => Verdict::Refused(error),
        verdict => verdict?,
    };
    match verdict {
        Verdict::Repeated(committed) => Ok(Ok(committed)),
        Verdict::Refused(error) => Ok(Err(error)),
        Verdict::Holds(heads) => write(session, tail, commit, &heads).map(Ok),
    }
}

/// Whether this is damage that was found in what SQLite has read, and not by SQLite.
fn is_found(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Corrupted { position: Some(_) } => true,
        ErrorKind::Corrupted { position: None } => std::error::Error::source(error).is_none(),
        _ => false,
    }
}

enum Verdict {
    Repeated(Committed),
    Refused(Error),
    /// Where each write's stream ends.
    Holds(Vec<Head>),
}

/// A stream's number and the version it is at; none and 0 before its first event.
#[derive(Clone, Copy, Default)]
struct Head {
    stream: Option<i64>,
    version: u64,
}

fn judge(session: &mut Session, tail: &mut Tail, commit: &Commit) -> Result<Verdict> {
    if let Some(verdict) = repetition(session, commit)? {
        return Ok(verdict);
    }
    let mut heads = Vec::with_capacity(commit.writes.len());
    for write in &commit.writes {
        let head = head_of(session, write)?;
        if !write.expected.holds(head.version) {
            let error = Error::conflict(&write.stream, write.expected, head.version);
            return Ok(Verdict::Refused(error));
        }
        heads.push(head);
    }
    if !commit.conditions.is_empty() {
        tail.note(session)?;
    }
    for condition in &commit.conditions {
        if let Some(position) = first_match(session, condition)? {
            let error = Error::condition_failed(condition.after, position);
            return Ok(Verdict::Refused(error));
        }
    }
    for change in &commit.records {
        if let Some(error) = records::judge(session, change)? {
            return Ok(Verdict::Refused(error));
        }
    }
    for check in &commit.checks {
        if let Some(error) = records::refuse(session, check)? {
            return Ok(Verdict::Refused(error));
        }
    }
    Ok(Verdict::Holds(heads))
}

fn head_of(session: &mut Session, write: &StreamWrite) -> Result<Head> {
    let Some(id) = session.names.stream(&session.conn, &write.stream)? else {
        return Ok(Head::default());
    };
    let version = if write.stream.is_none() { 0 } else { session.stream_head(id)?.0 };
    Ok(Head { stream: Some(id), version })
}

fn first_match(session: &mut Session, condition: &AppendCondition) -> Result<Option<u64>> {
    let mut range = ReadRange { after: condition.after, limit: 1, ..ReadRange::default() };
    loop {
        let page = reader::page(session, &condition.query, range)?;
        if !page.is_empty() {
            return Ok(Some(page.get(0).head.position));
        }
        if page.end {
            return Ok(None);
        }
        range = range.continued(page.looked_to);
    }
}

/// Whether this commit was made before, or collides with events that were.
fn repetition(session: &mut Session, commit: &Commit) -> Result<Option<Verdict>> {
    if commit.events().next().is_none() {
        let Some(mut answer) = records::repetition(session, commit)? else { return Ok(None) };
        for write in &commit.writes {
            answer.versions.push(head_of(session, write)?.version);
        }
        return Ok(Some(Verdict::Repeated(answer)));
    }
    let mut known = false;
    for run in id_runs(commit.events().map(|(_, event)| event)) {
        known |= last_run_meets(session, run)?;
    }
    if known { settle(session, commit).map(Some) } else { Ok(None) }
}

/// The verdict on a commit of which at least one id is stored: the original answer where all of it
/// is, else a conflict that names the ids.
fn settle(session: &mut Session, commit: &Commit) -> Result<Verdict> {
    let records = commit.records_digest();
    let mut stored = Vec::new();
    let mut positions = Vec::new();
    let mut recorded_at = 0;
    let mut versions = Vec::with_capacity(commit.writes.len());
    let mut same = true;
    for write in &commit.writes {
        let mut version = None;
        for event in &write.events {
            let Some((position, digest)) = stored_at(session, event.event_id)? else {
                same = false;
                continue;
            };
            stored.push(event.event_id);
            positions.push(position);
            let page = reader::at(session, position)?;
            let found = page.get(0);
            same &= records.is(digest) && found.is(&write.stream, event)?;
            version = Some(found.head.version);
            if positions.len() == 1 {
                recorded_at = found.head.recorded_at;
            }
        }
        versions.push(match version {
            Some(version) => version,
            None => head_of(session, write)?.version,
        });
    }
    if !same || !positions.is_sorted() {
        return Ok(Verdict::Refused(Error::idempotency_conflict(stored)));
    }
    let record_versions = records::versions_of_repeated(session, commit)?;
    Ok(Verdict::Repeated(Committed { positions, versions, record_versions, recorded_at }))
}

fn write(
    session: &mut Session,
    tail: &mut Tail,
    commit: &Commit,
    heads: &[Head],
) -> Result<Committed> {
    let first = tail.position + 1;
    if commit.events().next().is_some() {
        tail.record_at(commit.at);
    }
    let mut answer = Committed::default();
    for (write, head) in commit.writes.iter().zip(heads) {
        append_to_stream(session, tail, write, *head)?;
        let added = if write.stream.is_none() { 0 } else { write.events.len() as u64 };
        answer.versions.push(head.version + added);
    }
    answer.positions.extend(first..=tail.position);
    if !answer.positions.is_empty() {
        answer.recorded_at = tail.recorded_at;
    }
    let mut position = first;
    let records = commit.records_digest().stored();
    let mut statement = session.statement(include_str!("sql/insert_id_run.sql"))?;
    for run in id_runs(commit.events().map(|(_, event)| event)) {
        let id = run.first.to_be_bytes();
        let count = run.count as i64;
        statement.execute(params![id.as_slice(), position as i64, count, records])?;
        position += run.count as u64;
    }
    drop(statement);
    for change in &commit.records {
        answer.record_versions.push(records::apply(session, change, commit.identity())?);
    }
    user_statements::run(session, &commit.statements)?;
    Ok(answer)
}

fn append_to_stream(
    session: &mut Session,
    tail: &mut Tail,
    write: &StreamWrite,
    head: Head,
) -> Result<()> {
    if write.events.is_empty() {
        return Ok(());
    }
    let stream = match head.stream {
        Some(stream) => stream,
        None => session.names.new_stream(&session.conn, &write.stream)?,
    };
    let first = tail.position + 1;
    rows::insert(session, tail, (stream, head.version), write)?;
    if !write.stream.is_none() {
        let count = write.events.len() as u64;
        session.put_run(stream, head.version + 1, (first, count))?;
    }
    Ok(())
}
