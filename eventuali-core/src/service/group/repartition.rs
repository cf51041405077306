//! More partitions for a group, whether its members are there or not.

use super::partition::{MAX_PARTITIONS, Partitioning};
use super::records::{CHECKPOINTS, Keys, LEASES, Lease, decoded, is_conflict, says};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{ExpectedRecord, Record, RecordChange};
use crate::service::place::Stored;
use crate::storage::Answer;
use crate::store::EventStore;

/// Raises the number of partitions of a group.
///
/// One commit says what each present partition has handled, which is not handled again, and takes all
/// of them from their owners: what those have handled and not written comes again. What a partition
/// hands out afterwards is in order behind that. Nothing where there are as many already.
///
/// [`ErrorKind::Configuration`] where there is no such group, or it has more partitions, or shares no
/// log.
#[must_use]
pub fn repartition(store: &EventStore, name: &str, partitions: u32) -> Answer<()> {
    let (store, name) = (store.clone(), name.to_owned());
    Box::pin(async move {
        let keys = Keys::new(&store, &name)?;
        loop {
            let Some((found, version)) = keys.partitioning(&store).await? else {
                return Err(refused(&format!("there is no group {name:?}: nobody has joined it")));
            };
            if found.partitions == partitions {
                return Ok(());
            }
            let changes = changes(&store, &keys, &found, version, partitions).await?;
            match store.commit(Commit::change(changes)).await {
                Err(error) if is_conflict(&error) => {} // a member has written meanwhile
                raised => return raised.map(drop),
            }
        }
    })
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::Configuration, text.to_owned())
}

async fn changes(
    store: &EventStore,
    keys: &Keys,
    found: &Partitioning,
    version: u64,
    partitions: u32,
) -> Result<Vec<RecordChange>> {
    if !found.names.is_empty() {
        return Err(refused("a group of projections has one partition for each of them"));
    }
    if partitions > MAX_PARTITIONS || partitions < found.partitions {
        return Err(refused(&format!(
            "the group has {} partitions: their number can be raised, up to {MAX_PARTITIONS}, and \
             not be {partitions}",
            found.partitions
        )));
    }
    let leases = keys.by_partition(store, LEASES, partitions).await?;
    let checkpoints = keys.by_partition(store, CHECKPOINTS, found.partitions).await?;
    let (mut handled, mut changes, mut crashed) = (Vec::new(), Vec::new(), false);
    for (number, checkpoint) in checkpoints.iter().enumerate() {
        let place = checkpoint.as_ref().map(Stored::of).transpose()?;
        handled.push(place.map_or(0, |stored| stored.place.position).max(found.start()));
        let key = keys.of(CHECKPOINTS, number as u32);
        changes.push(RecordChange::delete(key).expecting(as_it_is(checkpoint.as_ref())));
    }
    for lease in leases.iter().flatten() {
        crashed |= decoded::<Lease>(lease)?.crashed;
    }
    for (number, lease) in leases.iter().enumerate() {
        let free = says(keys.of(LEASES, number as u32), &Lease { owner: None, crashed })?;
        changes.push(free.expecting(as_it_is(lease.as_ref())));
    }
    let raised = found.raised(partitions, handled)?;
    changes.push(says(keys.group(), &raised)?.expecting(ExpectedRecord::Exact(version)));
    Ok(changes)
}

fn as_it_is(record: Option<&Record>) -> ExpectedRecord {
    record.map_or(ExpectedRecord::Absent, |record| ExpectedRecord::Exact(record.version))
}
