//! What a member does again and again: it shows that it is there, looks at the others, and takes and
//! gives away what follows from that.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::held::{Held, Status};
use super::member::{Inner, Release, State};
#[cfg(feature = "faults")]
use super::member::{LOOK, fault};
use super::partition::MAX_PARTITIONS;
use super::records::{Beat, LEASES, Lease, decoded, says};
use crate::clock::new_id;
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{ExpectedRecord, Record, RecordChange, RecordCheck};
use crate::service::checkpoint::{block_on, may_pass};
use crate::service::dead_letter;
use crate::storage::Answer;

/// What the thread alone knows.
pub(super) struct Round {
    id: Uuid,
    /// Of its own record; 0 before there is one.
    version: u64,
    beats: u64,
    /// When the last change to it was begun.
    beaten: Option<Instant>,
    /// A change that may have been made, and when it was begun.
    pending: Option<(Commit, Instant)>,
    /// Since when the record of a member is at a version, and whether it was at another one.
    seen: HashMap<Uuid, (u64, Instant, bool)>,
    /// Whether its own record says that it leaves, and what it can't take.
    leaving: bool,
    hangs: Vec<u32>,
}

/// How a partition is taken.
struct Take {
    number: u32,
    /// Whether whoever had it may have ended in the middle of an event.
    crashed: bool,
    change: RecordChange,
    /// That the one who had it is still not there.
    gone: Option<RecordCheck>,
}

/// Another member, as it is seen now.
struct Other {
    id: Uuid,
    version: u64,
    alive: bool,
    /// Whether it has changed its record since this one looked first.
    proven: bool,
    leaving: bool,
    /// See [`Beat::can`].
    can: Option<Vec<u32>>,
    /// See [`Beat::hangs`].
    hangs: Vec<u32>,
}

impl Inner {
    /// One look at the group, and what follows from it.
    pub(super) fn turn(self: &Arc<Self>, round: &mut Round) -> Result<()> {
        self.beat(round)?;
        self.give_away(round)?;
        self.divides()?;
        // Whoever joins between the two is seen as a member before it is as an owner.
        let leases = block_on(self.leases())?;
        let members = block_on(self.members())?;
        let others = round.others(members, self.options.lease);
        self.lose(round, &leases)?;
        self.balance(round, &others, &leases)?;
        self.sweep(&others, &leases)?;
        self.ask()
    }

    /// Tells those who work through partitions of which dead letters are to be handled again.
    fn ask(&self) -> Result<()> {
        let count =
            |partitions| block_on(dead_letter::count_wanted(&self.store, self.name(), partitions));
        if !self.options.names.is_empty() || count(0..=MAX_PARTITIONS - 1)? == 0 {
            return Ok(());
        }
        let raised = self.partitioning().was_raised();
        let held: Vec<Arc<Held>> = self.lock().held.values().cloned().collect();
        for held in held {
            // The number of a letter is that of its time: where there were fewer, they are looked
            // through.
            let asked = if raised {
                !block_on(dead_letter::wanted(&held, 1))?.is_empty()
            } else {
                count(held.number()..=held.number())? > 0
            };
            if asked {
                held.ask();
            }
        }
        Ok(())
    }

    /// Looks how the group divides the log by now.
    fn divides(&self) -> Result<()> {
        let (keys, store) = (self.keys.clone(), self.store.clone());
        let found = block_on(Box::pin(async move { keys.partitioning(&store).await }))?;
        let names = &self.options.names;
        match found {
            Some((found, version)) if names.iter().all(|name| found.names.contains(name)) => {
                self.is_divided(found, version);
                Ok(())
            }
            _ => {
                let text = format!(
                    "what the group {:?} stores of itself is gone: the store was put back to an \
                     older copy; join again",
                    self.options.name
                );
                Err(Error::new(ErrorKind::Corrupted { position: None }, text))
            }
        }
    }

    fn members(&self) -> Answer<Vec<(Uuid, u64, Beat)>> {
        let (keys, store) = (self.keys.clone(), self.store.clone());
        Box::pin(async move { keys.members(&store).await })
    }

    fn leases(&self) -> Answer<Vec<Option<Record>>> {
        let (keys, store) = (self.keys.clone(), self.store.clone());
        let partitions = self.partitioning().partitions;
        Box::pin(async move { keys.by_partition(&store, LEASES, partitions).await })
    }

    /// A commit that waits for locks no longer than a lease: whoever keeps one may be stopped.
    fn commit(&self, change: RecordChange) -> Commit {
        Commit { patience: Some(self.options.lease), ..Commit::change(vec![change]) }
    }

    /// Changes its own record, where it is time to.
    fn beat(&self, round: &mut Round) -> Result<()> {
        let every = self.options.lease / 4;
        let (leaving, hangs) = {
            let mut state = self.lock();
            state.lost.retain(|(_, held)| held.upgrade().is_some_and(|held| held.is_busy()));
            let mut hangs: Vec<u32> = state.lost.iter().map(|(number, _)| *number).collect();
            hangs.sort_unstable();
            (state.leaving, hangs)
        };
        let fresh = round.beaten.is_some_and(|at| at.elapsed() < every);
        let same = leaving == round.leaving && hangs == round.hangs;
        if round.pending.is_none() && fresh && same {
            return Ok(());
        }
        #[cfg(feature = "faults")]
        if fault::chosen("lease-never-ends") {
            std::thread::sleep(LOOK); // it finds out late, so that there is something to see
        }
        #[cfg(feature = "faults")]
        if fault::chosen("beat-between-handlers") && self.inside().is_some() {
            return Ok(());
        }
        if round.pending.is_none() {
            round.beats += 1;
            round.leaving = leaving;
            round.hangs.clone_from(&hangs);
            let beat = Beat {
                process: std::process::id(),
                count: round.beats,
                lease: self.options.lease.as_millis() as u64,
                leaving,
                can: self.can(),
                hangs,
            };
            let expected = match round.version {
                0 => ExpectedRecord::Absent,
                version => ExpectedRecord::Exact(version),
            };
            let change = says(self.keys.member(round.id), &beat)?.expecting(expected);
            round.pending = Some((self.commit(change), Instant::now()));
        }
        let Some((commit, began)) = round.pending.clone() else { return Ok(()) };
        match block_on(self.store.commit(commit)) {
            Ok(done) => {
                round.pending = None;
                round.version = done.record_versions.first().copied().unwrap_or(0);
                round.beaten = Some(began);
                let until = began.duration_since(self.base) + self.options.lease;
                self.valid_until.store(until.as_micros() as u64, SeqCst);
                Ok(())
            }
            Err(error) if error.is_record_conflict() => {
                // The others took this member for dead: it begins anew.
                self.lose_all();
                (round.pending, round.beaten) = (None, None);
                (round.id, round.version) = (new_id(), 0);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes down what is released.
    fn give_away(&self, round: &mut Round) -> Result<()> {
        loop {
            self.beat(round)?; // many take longer than a lease
            let Some(release) = self.lock().releases.pop() else { return Ok(()) };
            match self.free(&release.held, release.crashed) {
                Err(error) if may_pass(&error) => {
                    self.lock().releases.push(release);
                    return Err(error);
                }
                freed => {
                    Self::removes(&mut self.lock(), &release.held);
                    release.held.becomes(Status::Lost);
                    // What could not be written comes again, and whoever waits is told why.
                    drop(release.answer.send(freed));
                }
            }
        }
    }

    /// Makes a partition free, behind what is handled.
    fn free(&self, held: &Held, crashed: bool) -> Result<()> {
        let flushed = block_on(held.checkpoint.flush());
        if let Err(error) = &flushed
            && may_pass(error)
        {
            return flushed;
        }
        let lease = Lease { owner: None, crashed };
        let change = says(self.keys.of(LEASES, held.number()), &lease)?
            .expecting(ExpectedRecord::Exact(held.generation()));
        match block_on(self.store.commit(self.commit(change))) {
            Err(error) if error.is_record_conflict() => Ok(()), // it was taken from it before
            freed => freed.map(drop).and(flushed),
        }
    }

    /// Drops what another one owns by now, and what is handled for too long.
    fn lose(&self, round: &Round, leases: &[Option<Record>]) -> Result<()> {
        let held: Vec<Arc<Held>> = self.lock().held.values().cloned().collect();
        for held in held {
            let record = leases.get(held.number() as usize).and_then(Option::as_ref);
            let lease: Option<Lease> = record.map(decoded).transpose()?;
            let own = record.is_some_and(|record| record.version == held.generation())
                && lease.is_some_and(|lease| lease.owner == Some(round.id));
            let late = self.options.deadline.is_some_and(|deadline| {
                held.busy_for().is_some_and(|busy| u128::from(busy) > deadline.as_micros())
            });
            if !own {
                self.loses(&held);
            } else if late {
                held.becomes(Status::Lost);
                self.free(&held, true)?;
                self.loses(&held);
            }
        }
        Ok(())
    }

    fn loses(&self, held: &Arc<Held>) {
        held.becomes(Status::Lost);
        let mut state = self.lock();
        Self::removes(&mut state, held);
        state.fresh.retain(|fresh| !Arc::ptr_eq(fresh, held));
        state.lost.push((held.number(), Arc::downgrade(held)));
    }

    /// Notes that a partition is not in these hands any more; it may be in new ones already.
    fn removes(state: &mut State, held: &Arc<Held>) {
        state.settled = false;
        if state.held.get(&held.number()).is_some_and(|owned| Arc::ptr_eq(owned, held)) {
            state.held.remove(&held.number());
        }
    }

    pub(super) fn lose_all(&self) {
        let held: Vec<Arc<Held>> = self.lock().held.values().cloned().collect();
        for held in &held {
            self.loses(held);
        }
    }

    /// The numbers of the partitions that it can take; none for all.
    fn can(&self) -> Option<Vec<u32>> {
        let (names, found) = (&self.options.names, self.partitioning());
        let numbers = 0..found.names.len() as u32;
        let known = |number: &u32| names.contains(&found.names[*number as usize]);
        (!names.is_empty()).then(|| numbers.filter(known).collect())
    }

    /// Takes what it lacks of its share, and gives away what it has above it.
    fn balance(
        self: &Arc<Self>,
        round: &Round,
        others: &[Other],
        leases: &[Option<Record>],
    ) -> Result<()> {
        let stays = |other: &&Other| other.alive && !other.leaving;
        let can = self.can();
        let mut alive: Vec<(Uuid, Option<&[u32]>)> =
            others.iter().filter(stays).map(|other| (other.id, other.can.as_deref())).collect();
        alive.push((round.id, can.as_deref()));
        alive.sort_unstable();
        let share = Share::of(round.id, &alive, leases.len() as u32);
        // What somebody can't take whose handler hangs is taken above the share.
        let alive = others.iter().filter(stays);
        let hangs: BTreeSet<u32> = alive.flat_map(|other| other.hangs.iter().copied()).collect();
        let (owned, leaving) = {
            let mut state = self.lock();
            let numbers = state.held.keys().filter(|number| !hangs.contains(number));
            let (own, above): (Vec<u32>, Vec<u32>) =
                numbers.partition(|number| share.numbers.contains(number));
            let lacks_none = own.len() == share.count && above.is_empty();
            let more = own.iter().skip(share.count);
            if !state.leaving {
                for held in above.iter().chain(more).filter_map(|number| state.held.get(number)) {
                    held.becomes(Status::Wanted);
                }
            }
            state.members = others.iter().filter(|other| other.alive).count() + 1;
            state.settled = lacks_none && round.are_owned(others, leases, can.as_deref())?;
            (own.len(), state.leaving)
        };
        if leaving {
            return Ok(());
        }
        let (mut lacks, mut takes) = (share.count.saturating_sub(owned), Vec::new());
        for number in share.numbers {
            let is_extra = hangs.contains(&number);
            if (is_extra || lacks > 0)
                && self.may_take(number)
                && let Some(take) = self.take_of(round, others, number, leases)?
            {
                lacks -= usize::from(!is_extra);
                takes.push(take);
            }
        }
        self.take(takes)
    }

    fn may_take(&self, number: u32) -> bool {
        let state = self.lock();
        !state.held.contains_key(&number) && state.lost.iter().all(|(lost, _)| *lost != number)
    }

    /// How a partition is taken that is free, or whose owner is gone; none where it can't be.
    fn take_of(
        self: &Arc<Self>,
        round: &Round,
        others: &[Other],
        number: u32,
        leases: &[Option<Record>],
    ) -> Result<Option<Take>> {
        let record = leases.get(number as usize).and_then(Option::as_ref);
        let lease: Lease = record.map_or(Ok(Lease::default()), decoded)?;
        let (mut gone, mut crashed) = (None, lease.crashed);
        match lease.owner {
            None => {}
            // This one took it, and never heard that it did.
            Some(owner) if owner == round.id => {
                let generation = record.map_or(0, |record| record.version);
                self.owns(number, generation, true)?;
                return Ok(None);
            }
            Some(owner) => {
                match others.iter().find(|other| other.id == owner) {
                    Some(other) if other.alive => return Ok(None),
                    Some(other) => {
                        let key = self.keys.member(owner);
                        gone = Some(RecordCheck { key, version: other.version });
                    }
                    None => {}
                }
                crashed = true;
            }
        }
        let expected =
            record.map_or(ExpectedRecord::Absent, |record| ExpectedRecord::Exact(record.version));
        let change = says(self.keys.of(LEASES, number), &Lease { owner: Some(round.id), crashed })?
            .expecting(expected);
        Ok(Some(Take { number, crashed, change, gone }))
    }

    /// Takes partitions, all in one commit; where another member was sooner for one of them, each by
    /// itself.
    fn take(self: &Arc<Self>, takes: Vec<Take>) -> Result<()> {
        if takes.is_empty() || self.taken(&takes)? {
            return Ok(());
        }
        for take in takes {
            self.taken(&[take])?;
        }
        Ok(())
    }

    fn taken(self: &Arc<Self>, takes: &[Take]) -> Result<bool> {
        // Nobody takes one of partitions that are other ones by now.
        let mut checks = vec![RecordCheck { key: self.keys.group(), version: self.layout().1 }];
        for gone in takes.iter().filter_map(|take| take.gone.as_ref()) {
            if !checks.contains(gone) {
                checks.push(gone.clone());
            }
        }
        let changes = takes.iter().map(|take| take.change.clone()).collect();
        let patience = Some(self.options.lease);
        let commit = Commit { checks, patience, ..Commit::change(changes) };
        match block_on(self.store.commit(commit)) {
            Ok(done) => {
                for (take, generation) in takes.iter().zip(done.record_versions) {
                    self.owns(take.number, generation, take.crashed)?;
                }
                Ok(true)
            }
            Err(error) if error.is_record_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands a partition that is its own to whoever works through it.
    fn owns(self: &Arc<Self>, number: u32, generation: u64, careful: bool) -> Result<()> {
        let held = Arc::new(Held::new(self, number, generation, careful)?);
        let mut state = self.lock();
        state.held.insert(number, Arc::clone(&held));
        if state.leaving {
            held.becomes(Status::Wanted);
            let (answer, _) = oneshot::channel();
            state.releases.push(Release { held, crashed: careful, answer });
            return Ok(());
        }
        let asking = state.asking.take();
        match asking.map(|asking| asking.send(Ok(Some(Arc::clone(&held))))) {
            Some(Ok(())) => {}
            _ => state.fresh.push_back(held),
        }
        Ok(())
    }

    /// Removes members that are gone, once nothing is theirs.
    fn sweep(&self, others: &[Other], leases: &[Option<Record>]) -> Result<()> {
        for gone in others.iter().filter(|other| !other.alive) {
            let mut owns = false;
            for record in leases.iter().flatten() {
                owns |= decoded::<Lease>(record)?.owner == Some(gone.id);
            }
            if !owns {
                let change = RecordChange::delete(self.keys.member(gone.id))
                    .expecting(ExpectedRecord::Exact(gone.version));
                match block_on(self.store.commit(self.commit(change))) {
                    Err(error) if !error.is_record_conflict() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes its record out, so that the others need not wait until they believe it.
    pub(super) fn goes(&self, round: &Round) -> Result<()> {
        if round.version == 0 {
            return Ok(());
        }
        let change = RecordChange::delete(self.keys.member(round.id))
            .expecting(ExpectedRecord::Exact(round.version));
        match block_on(self.store.commit(self.commit(change))) {
            Err(error) if error.is_record_conflict() => Ok(()),
            gone => gone.map(drop),
        }
    }
}

/// What of the partitions is a member's.
#[derive(Debug, PartialEq, Eq)]
struct Share {
    /// How many.
    count: usize,
    /// Which it may take, those first that others don't begin with.
    numbers: Vec<u32>,
}

impl Share {
    /// The share of a member, of those that are there, in order, each with what it can take.
    fn of(own: Uuid, alive: &[(Uuid, Option<&[u32]>)], partitions: u32) -> Self {
        let rank = alive.iter().position(|(id, _)| *id == own).unwrap_or(0);
        let (members, can) = (alive.len(), alive[rank].1);
        let all = || 0..partitions;
        if alive.iter().all(|(_, other)| *other == can) {
            let all: Vec<u32> = all().filter(|n| can.is_none_or(|can| can.contains(n))).collect();
            let count = all.len() / members + usize::from(rank < all.len() % members);
            // Those who look at the same time begin at different ones.
            let first = rank * all.len() / members;
            let numbers = (0..all.len()).map(|index| all[(index + first) % all.len()]).collect();
            return Self { count, numbers };
        }
        // Those that few can take come first, and each goes to who has least of those who can, as all
        // of them find.
        let able = |number: u32| {
            let can = move |at: &usize| alive[*at].1.is_none_or(|can| can.contains(&number));
            (0..members).filter(can)
        };
        let mut order: Vec<u32> = all().collect();
        order.sort_by_key(|number| able(*number).count());
        let (mut loads, mut numbers) = (vec![0; members], Vec::new());
        for number in order {
            if let Some(owner) = able(number).min_by_key(|at| loads[*at]) {
                loads[owner] += 1;
                numbers.extend((owner == rank).then_some(number));
            }
        }
        Self { count: numbers.len(), numbers }
    }
}

impl Round {
    pub(super) fn new() -> Self {
        Self {
            id: new_id(),
            version: 0,
            beats: 0,
            beaten: None,
            pending: None,
            seen: HashMap::new(),
            leaving: false,
            hangs: Vec::new(),
        }
    }

    /// Whether every partition that it can take has an owner that is there.
    fn are_owned(
        &self,
        others: &[Other],
        leases: &[Option<Record>],
        can: Option<&[u32]>,
    ) -> Result<bool> {
        let is_there = |owner: Uuid| {
            owner == self.id || others.iter().any(|other| other.id == owner && other.proven)
        };
        for (number, record) in leases.iter().enumerate() {
            let lease: Option<Lease> = record.as_ref().map(decoded).transpose()?;
            let concerns = can.is_none_or(|can| can.contains(&(number as u32)));
            if concerns && !lease.and_then(|lease| lease.owner).is_some_and(is_there) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The other members, and whether each has changed its record within the length of a lease.
    /// The longer lease counts, so that members that are told another one take nothing too early.
    fn others(&mut self, members: Vec<(Uuid, u64, Beat)>, lease: Duration) -> Vec<Other> {
        let now = Instant::now();
        self.seen.retain(|id, _| members.iter().any(|(member, _, _)| member == id));
        let mut others = Vec::with_capacity(members.len());
        for (id, version, beat) in members {
            if id == self.id {
                continue;
            }
            let seen = self.seen.entry(id).or_insert((version, now, false));
            if seen.0 != version {
                *seen = (version, now, true);
            }
            let lease = lease.max(Duration::from_millis(beat.lease));
            let alive = now - seen.1 <= lease;
            let (proven, Beat { leaving, can, hangs, .. }) = (seen.2, beat);
            others.push(Other { id, version, alive, proven, leaving, can, hangs });
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(can: &[&[u32]], partitions: u32) -> Vec<Vec<u32>> {
        let ids: Vec<Uuid> = (0..can.len()).map(|id| Uuid::from_u128(id as u128)).collect();
        let can = can.iter().map(|can| (!can.is_empty()).then_some(*can));
        let alive: Vec<_> = ids.iter().copied().zip(can).collect();
        let share = |id: &Uuid| {
            let Share { count, mut numbers } = Share::of(*id, &alive, partitions);
            numbers.truncate(count);
            numbers
        };
        ids.iter().map(share).collect()
    }

    #[test]
    fn those_who_can_take_the_same_share_it() {
        assert_eq!(shares(&[&[]], 3), [vec![0, 1, 2]]);
        assert_eq!(shares(&[&[], &[]], 3), [vec![0, 1], vec![1]]);
        assert_eq!(shares(&[&[1, 2], &[1, 2]], 4), [vec![1], vec![2]]);
        assert_eq!(shares(&[&[0], &[0], &[0]], 1), [vec![0], vec![], vec![]]);
    }

    #[test]
    fn everything_goes_to_somebody_who_can_take_it() {
        assert_eq!(shares(&[&[0, 1], &[1, 2, 3]], 4), [vec![0, 1], vec![2, 3]]);
        assert_eq!(shares(&[&[0], &[0, 1, 2]], 3), [vec![0], vec![1, 2]]);
        assert_eq!(shares(&[&[0, 2], &[0]], 3), [vec![2], vec![0]]);
    }
}
