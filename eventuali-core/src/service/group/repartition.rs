//! More partitions for a group whose members are gone.

use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::partition::{MAX_PARTITIONS, Partitioning};
use super::records::{ATTEMPTS, Attempt, CHECKPOINTS, Keys, LEASES, Lease, decoded, says};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::{Query, ReadRange};
use crate::record::{ExpectedRecord, Record, RecordChange};
use crate::service::checkpoint::block_on;
use crate::service::place::{Stored, last_of};
use crate::storage::Answer;
use crate::store::EventStore;

/// How often it is looked whether a member is still there.
const LOOK: Duration = Duration::from_millis(20);

/// Raises the number of partitions of a group, all of whose members have left, or were killed.
///
/// One commit says what each present partition has handled, which is not handled again, and how often
/// events were begun that may have ended a process. What the new ones hand out is in order behind that.
/// Nothing where there are as many already. Whether a member that has not left is gone is seen within
/// its lease.
///
/// [`ErrorKind::Configuration`] where there is no such group, or it has more partitions, or shares no
/// log, or a member is at work; [`ErrorKind::CheckpointMismatch`] where the event of a checkpoint is not
/// there any more.
#[must_use]
pub fn repartition(store: &EventStore, name: &str, partitions: u32) -> Answer<()> {
    let (store, name) = (store.clone(), name.to_owned());
    let (sender, answer) = oneshot::channel();
    // Whoever waits for an answer has no clock to sleep by.
    let begun = Builder::new().name("eventuali-repartition".into()).spawn(move || {
        drop(sender.send(Raising { store, seen: HashMap::new() }.run(&name, partitions)));
    });
    if let Err(error) = begun {
        let text = "cannot start a thread that raises the number of partitions";
        let error = Error::new(ErrorKind::Unavailable, text).with_source(error);
        return Box::pin(ready(Err(error)));
    }
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Error::closed())) })
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Configuration, text)
}

struct Raising {
    store: EventStore,
    /// Since when the record of a member is at a version.
    seen: HashMap<Uuid, (u64, Instant)>,
}

impl Raising {
    fn run(mut self, name: &str, partitions: u32) -> Result<()> {
        let keys = Keys::new(&self.store, name)?;
        loop {
            let Some((found, version)) = self.partitioning(&keys)? else {
                return Err(refused(format!("there is no group {name:?}: nobody has joined it")));
            };
            if found.partitions == partitions {
                return Ok(());
            }
            is_raised(&found, partitions)?;
            let leases = self.by_partition(&keys, LEASES, partitions)?;
            let Some(crashed) = self.crashed(&keys, &leases)? else {
                sleep(LOOK);
                continue;
            };
            let changes = self.changes(&keys, &found, version, partitions, &leases, crashed)?;
            match block_on(self.store.commit(Commit::change(changes))) {
                Err(error) if error.is_record_conflict() => {} // a member has joined meanwhile
                raised => return raised.map(drop),
            }
        }
    }

    fn partitioning(&self, keys: &Keys) -> Result<Option<(Partitioning, u64)>> {
        let (keys, store) = (keys.clone(), self.store.clone());
        block_on(Box::pin(async move { keys.partitioning(&store).await }))
    }

    fn by_partition(
        &self,
        keys: &Keys,
        space: &'static str,
        count: u32,
    ) -> Result<Vec<Option<Record>>> {
        let (keys, store) = (keys.clone(), self.store.clone());
        block_on(Box::pin(async move { keys.by_partition(&store, space, count).await }))
    }

    /// Whether a member ended in the middle of an event, as far as one can know; none as long as it
    /// is not known whether all are gone.
    fn crashed(&mut self, keys: &Keys, leases: &[Option<Record>]) -> Result<Option<bool>> {
        let (mut crashed, mut owners) = (false, HashSet::new());
        for record in leases.iter().flatten() {
            let lease: Lease = decoded(record)?;
            crashed |= lease.crashed || lease.owner.is_some();
            owners.extend(lease.owner);
        }
        let (keys, store) = (keys.clone(), self.store.clone());
        let members = block_on(Box::pin(async move { keys.members(&store).await }))?;
        let mut known = true;
        for (id, version, beat) in members {
            let seen = self.seen.entry(id).or_insert_with(|| (version, Instant::now()));
            if seen.0 != version {
                return Err(refused(format!(
                    "a member of the group is at work, in process {}: stop all of them before the \
                     number of partitions is raised",
                    beat.process
                )));
            }
            known &= seen.1.elapsed() > Duration::from_millis(beat.lease);
        }
        Ok(known.then_some(crashed))
    }

    fn changes(
        &self,
        keys: &Keys,
        found: &Partitioning,
        version: u64,
        partitions: u32,
        leases: &[Option<Record>],
        crashed: bool,
    ) -> Result<Vec<RecordChange>> {
        let mut changes = Vec::new();
        let mut handled = Vec::new();
        let checkpoints = self.by_partition(keys, CHECKPOINTS, found.partitions)?;
        for (number, checkpoint) in checkpoints.iter().enumerate() {
            let key = keys.of(CHECKPOINTS, number as u32);
            let position = match checkpoint {
                None => 0,
                Some(record) => self.handled(&key.key, record)?,
            };
            handled.push(position.max(found.start()));
            changes.push(RecordChange::delete(key).expecting(as_it_is(checkpoint.as_ref())));
        }
        let raised = found.raised(partitions, handled)?;
        let attempts = self.by_partition(keys, ATTEMPTS, partitions)?;
        let moved = self.moved(&raised, &attempts)?;
        for (number, (attempt, lease)) in (0..).zip(attempts.iter().zip(leases)) {
            let key = keys.of(ATTEMPTS, number);
            let change = match moved.get(&number) {
                Some(attempt) => says(key, attempt)?,
                None => RecordChange::delete(key),
            };
            if attempt.is_some() || change.value.is_some() {
                changes.push(change.expecting(as_it_is(attempt.as_ref())));
            }
            let free = says(keys.of(LEASES, number), &Lease { owner: None, crashed })?;
            changes.push(free.expecting(as_it_is(lease.as_ref())));
        }
        changes.push(says(keys.group(), &raised)?.expecting(ExpectedRecord::Exact(version)));
        Ok(changes)
    }

    /// Up to where a partition was handled; its event must still be there.
    fn handled(&self, name: &str, record: &Record) -> Result<u64> {
        let place = Stored::of(record)?.place;
        let found = last_of(&block_on(self.at(place.position))?);
        if place.position > 0 && found != Some(place) {
            let text = format!(
                "the checkpoint of {name:?} is at position {}, event {}, which is not there: this is \
                 another store, or it lost events",
                place.position, place.event_id
            );
            let (position, event_id) = (place.position, place.event_id);
            let kind = ErrorKind::CheckpointMismatch { name: name.to_owned(), position, event_id };
            return Err(Error::new(kind, text));
        }
        Ok(place.position)
    }

    /// How often events were begun, by the partitions that they belong to from now on.
    fn moved(
        &self,
        raised: &Partitioning,
        attempts: &[Option<Record>],
    ) -> Result<HashMap<u32, Attempt>> {
        let mut moved: HashMap<u32, Attempt> = HashMap::new();
        for record in attempts.iter().flatten() {
            let attempt: Attempt = decoded(record)?;
            let page = block_on(self.at(attempt.position))?;
            let Some(event) = page.iter().next() else { continue };
            let of = moved.entry(raised.number_of(raised.hash(event)?)).or_default();
            if attempt.tries > of.tries {
                *of = attempt;
            }
        }
        Ok(moved)
    }

    fn at(&self, position: u64) -> Answer<crate::event::EventPage> {
        let range = ReadRange {
            after: position.saturating_sub(1),
            until: position,
            limit: 1,
            ..ReadRange::default()
        };
        self.store.read(Query::default(), range)
    }
}

/// Refuses what is no raise.
fn is_raised(found: &Partitioning, partitions: u32) -> Result<()> {
    if !found.names.is_empty() {
        let text = "a group of projections has one partition for each of them";
        return Err(refused(text.to_owned()));
    }
    if partitions > MAX_PARTITIONS || partitions < found.partitions {
        return Err(refused(format!(
            "the group has {} partitions: their number can be raised, up to {MAX_PARTITIONS}, and \
             not be {partitions}",
            found.partitions
        )));
    }
    Ok(())
}

fn as_it_is(record: Option<&Record>) -> ExpectedRecord {
    record.map_or(ExpectedRecord::Absent, |record| ExpectedRecord::Exact(record.version))
}
