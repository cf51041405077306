//! The index of event ids: runs of those that follow one another.

use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::connection::Session;
use crate::error::Result;
use crate::event::NewEvent;

/// Ids that follow one another as 128-bit numbers: those of one save do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdRun {
    pub(super) first: u128,
    pub(super) count: u128,
}

pub(super) fn id_runs<'a>(events: impl Iterator<Item = &'a NewEvent>) -> Vec<IdRun> {
    let mut runs: Vec<IdRun> = Vec::new();
    for event in events {
        let id = event.event_id.as_u128();
        match runs.last_mut() {
            Some(run) if run.first.checked_add(run.count) == Some(id) => run.count += 1,
            _ => runs.push(IdRun { first: id, count: 1 }),
        }
    }
    runs
}

/// Whether an id of `run` is stored. Stored runs never overlap, so the last one that begins
/// within or before it tells.
pub(super) fn last_run_meets(session: &Session, run: IdRun) -> Result<bool> {
    let last = Uuid::from_u128(run.first + (run.count - 1));
    let found = id_run_before(session, last)?;
    Ok(found.is_some_and(|(stored, ..)| stored.first + (stored.count - 1) >= run.first))
}

fn id_run_before(session: &Session, id: Uuid) -> Result<Option<(IdRun, u64, i64)>> {
    Ok(session
        .statement(include_str!("sql/id_run_before.sql"))?
        .query_row([id.as_bytes().as_slice()], |row| {
            let first = u128::from_be_bytes(row.get::<_, [u8; 16]>(0)?);
            let count = row.get::<_, i64>(2)? as u128;
            Ok((IdRun { first, count }, row.get::<_, i64>(1)? as u64, row.get(3)?))
        })
        .optional()?)
}

/// The position of the event with this id.
pub(super) fn position_of(session: &Session, id: Uuid) -> Result<Option<u64>> {
    Ok(stored_at(session, id)?.map(|(position, _)| position))
}

/// Position of the event with this id, and the digest of the records of its commit.
pub(super) fn stored_at(session: &Session, id: Uuid) -> Result<Option<(u64, i64)>> {
    let Some((run, position, records)) = id_run_before(session, id)? else { return Ok(None) };
    let offset = id.as_u128() - run.first;
    Ok((offset < run.count).then(|| (position + offset as u64, records)))
}
