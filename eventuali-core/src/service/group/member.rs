//! A member of a group: what it owns, and the thread that keeps it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::ready;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::held::{Held, Status};
use super::partition::{Layout, Partitioning};
use super::records::{Beat, Keys, LEASES, Lease, decoded, is_conflict, says};
use super::{Options, PARTITIONS};
use crate::clock::new_id;
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::Query;
use crate::record::{ExpectedRecord, Record, RecordChange, RecordCheck};
use crate::service::checkpoint::{First, block_on, may_pass};
use crate::service::dead_letter;
use crate::service::place::place_at;
use crate::storage::Answer;
use crate::store::EventStore;

/// How often a member looks at the others at the least.
const LOOK: Duration = Duration::from_millis(100);
/// So many µs in which a handler keeps the thread that it shares are no concern of the others.
const NOTICED: u64 = 1000;
/// The shortest lease: a disk that is busy for so long must not cost one.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);

/// A member of a group, from when it joins until it has left.
///
/// A thread of its own keeps what it owns, whatever those do who handle the events. Who drops it
/// leaves the group, as soon as what it owns is released.
pub struct Member {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: EventStore,
    pub(super) keys: Keys,
    pub(super) query: Query,
    /// The most events of a page.
    pub(super) page: usize,
    options: Options,
    partitioning: OnceLock<Arc<Partitioning>>,
    base: Instant,
    /// Until when what it owns is its own, in µs behind `base`, if nothing more is written.
    valid_until: AtomicU64,
    /// Whose handler runs on the thread that handlers share, and since when.
    inside: Mutex<Option<(u32, u64)>>,
    /// A lock and no channel: it is held for assignments.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: BTreeMap<u32, Arc<Held>>,
    /// What is lost while an event of it is in hand: nobody here takes it meanwhile.
    lost: Vec<(u32, Weak<Held>)>,
    /// What nobody has begun to work through.
    fresh: VecDeque<Arc<Held>>,
    asking: Option<oneshot::Sender<Result<Option<Arc<Held>>>>>,
    releases: Vec<Release>,
    leaving: bool,
    leavers: Vec<oneshot::Sender<Result<()>>>,
    ended: Option<Result<()>>,
    failure: Option<Error>,
    members: usize,
    /// Whether it owns its share, and all others are owned by members that are there.
    settled: bool,
}

struct Release {
    held: Arc<Held>,
    crashed: bool,
    answer: oneshot::Sender<Result<()>>,
}

/// What the thread alone knows.
struct Round {
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

/// Another member, as it is seen now.
struct Other {
    id: Uuid,
    version: u64,
    alive: bool,
    /// Whether it has changed its record since this one looked first.
    proven: bool,
    leaving: bool,
    hangs: Vec<u32>,
}

impl Member {
    /// Joins a group, which is made where it is new.
    ///
    /// [`ErrorKind::Configuration`] where the group has other partitions than are asked for.
    #[must_use]
    pub fn join(
        store: &EventStore,
        options: Options,
        mut query: Query,
        page: usize,
    ) -> Answer<Self> {
        store.tenant().clone_into(&mut query.tenant);
        let made = Keys::new(store, &options.name).and_then(|keys| {
            store.capabilities()?;
            query.check()?;
            if options.lease < SHORTEST {
                return Err(Error::invalid("lease", format!("a lease lasts {SHORTEST:?} or more")));
            }
            Ok(keys)
        });
        let keys = match made {
            Ok(keys) => keys,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let inner = Arc::new(Inner {
            store: store.clone(),
            keys,
            query,
            page,
            options,
            partitioning: OnceLock::new(),
            base: Instant::now(),
            valid_until: AtomicU64::new(0),
            inside: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        Box::pin(async move {
            let found = inner.found_or_made().await?;
            let _ = inner.partitioning.set(Arc::new(found));
            inner.start()?;
            Ok(Self { inner })
        })
    }

    /// How many partitions the group has.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.inner.partitioning().partitions
    }

    /// The next partition to work through; `None` once it leaves. One asks at a time: whoever asked
    /// before is answered with `None`.
    #[must_use]
    pub fn next(&self) -> Answer<Option<Arc<Held>>> {
        if let Err(forked) = self.inner.store.capabilities() {
            return Box::pin(ready(Err(forked)));
        }
        let mut state = self.inner.lock();
        if let Some(Err(error)) = &state.ended {
            return Box::pin(ready(Err(error.clone())));
        }
        if state.leaving || state.ended.is_some() {
            return Box::pin(ready(Ok(None)));
        }
        if let Some(held) = state.fresh.pop_front() {
            return Box::pin(ready(Ok(Some(held))));
        }
        let (sender, answer) = oneshot::channel();
        state.asking = Some(sender);
        Box::pin(async move { answer.await.unwrap_or(Ok(None)) })
    }

    /// Leaves the group: what it owns is to be released, and once all of it is, this is answered.
    #[must_use]
    pub fn leave(&self) -> Answer<()> {
        if let Err(forked) = self.inner.store.capabilities() {
            return Box::pin(ready(Err(forked)));
        }
        let mut state = self.inner.lock();
        if let Some(ended) = &state.ended {
            return Box::pin(ready(ended.clone()));
        }
        let (sender, answer) = oneshot::channel();
        state.leavers.push(sender);
        self.inner.leaves(state);
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Error::closed())) })
    }

    /// How many members the group has, as far as this one knows; 0 before it has looked.
    #[must_use]
    pub fn members(&self) -> usize {
        self.inner.lock().members
    }

    /// Whether it owns its share, and the others have theirs, as far as this one knows.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.inner.lock().settled
    }

    /// The numbers of the partitions that it owns.
    #[must_use]
    pub fn owned(&self) -> Vec<u32> {
        self.inner.lock().held.keys().copied().collect()
    }

    /// Why it can't reach the store now; none where it can.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.inner.lock().failure.clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // In a forked child the lock may be held for ever, and there is no thread.
        if self.inner.store.is_own_process() {
            let state = self.inner.lock();
            self.inner.leaves(state);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> &str {
        &self.options.name
    }

    /// Microseconds since it joined.
    pub(super) fn now(&self) -> u64 {
        self.base.elapsed().as_micros() as u64
    }

    pub(super) fn inside(&self) -> Option<(u32, u64)> {
        *self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn steps_in(&self, number: u32) {
        *self.inside.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, self.now()));
    }

    pub(super) fn steps_out(&self) {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((number, from)) = inside else { return };
        let to = self.now();
        if to - from > NOTICED {
            let state = self.lock();
            for held in state.held.values().filter(|held| held.number() != number) {
                held.was_kept_up(from, to);
            }
        }
    }

    /// Whether what it owns can be nobody else's yet.
    pub(super) fn is_valid(&self) -> bool {
        #[cfg(feature = "faults")]
        if fault::chosen("lease-never-ends") {
            return true;
        }
        self.now() < self.valid_until.load(SeqCst)
    }

    pub(super) fn partitioning(&self) -> Arc<Partitioning> {
        let found = self.partitioning.get().cloned();
        found.unwrap_or_else(|| unreachable!("it is set before anybody has a member"))
    }

    fn leaves(&self, mut state: MutexGuard<'_, State>) {
        state.leaving = true;
        state.asking = None;
        for fresh in std::mem::take(&mut state.fresh) {
            let (answer, _) = oneshot::channel();
            let crashed = fresh.careful();
            state.releases.push(Release { held: fresh, crashed, answer });
        }
        for held in state.held.values() {
            held.becomes(Status::Wanted);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn release(&self, held: &Arc<Held>, crashed: bool) -> oneshot::Receiver<Result<()>> {
        let (answer, released) = oneshot::channel();
        let mut state = self.lock();
        let is_held = state.held.get(&held.number()).is_some_and(|owned| Arc::ptr_eq(owned, held));
        if state.ended.is_some() || !is_held {
            drop(answer.send(Ok(()))); // it is given away already
        } else {
            let held = Arc::clone(held);
            state.releases.push(Release { held, crashed, answer });
            drop(state);
            self.changed.notify_all();
        }
        released
    }

    /// How the group divides the log, as the store says, or as it is to.
    async fn found_or_made(&self) -> Result<Partitioning> {
        loop {
            if let Some((found, _)) = self.keys.partitioning(&self.store).await? {
                self.is_asked_for(&found)?;
                return Ok(found);
            }
            let asked = self.options.partitions.unwrap_or(PARTITIONS);
            let mut made = Partitioning::new(asked, self.options.tag.clone())?;
            if self.options.first == First::End {
                let last = place_at(&self.store, u64::MAX).await?;
                made.before.push(Layout { handled: vec![last.position] });
            }
            let change = says(self.keys.group(), &made)?.expecting(ExpectedRecord::Absent);
            match self.store.commit(Commit::change(vec![change])).await {
                Err(error) if is_conflict(&error) => {} // somebody else has made it
                made => drop(made?),
            }
        }
    }

    fn is_asked_for(&self, found: &Partitioning) -> Result<()> {
        let Options { name, partitions, tag, .. } = &self.options;
        let differs = partitions.is_some_and(|asked| asked != found.partitions);
        if differs || *tag != found.tag {
            let say = |tag: &Option<String>| {
                tag.as_ref().map_or("by stream".into(), |tag| format!("by the tag {tag:?}"))
            };
            let text = format!(
                "the group {name:?} has {} partitions {}, and not {} {}; they are chosen once, when its \
                 first member joins: say the same, or begin a group of another name",
                found.partitions,
                say(&found.tag),
                partitions.unwrap_or(found.partitions),
                say(tag)
            );
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        Ok(())
    }

    fn start(self: &Arc<Self>) -> Result<()> {
        let inner = Arc::clone(self);
        let begun = Builder::new().name("eventuali-group".into()).spawn(move || inner.run());
        begun.map(drop).map_err(|error| {
            let text = "cannot start a thread that keeps the leases of a group";
            Error::new(ErrorKind::Unavailable, text).with_source(error)
        })
    }

    fn run(self: &Arc<Self>) {
        let tick = (self.options.lease / 10).min(LOOK);
        let mut round = Round {
            id: new_id(),
            version: 0,
            beats: 0,
            beaten: None,
            pending: None,
            seen: HashMap::new(),
            leaving: false,
            hangs: Vec::new(),
        };
        let mut failures = 0;
        loop {
            let turn = self.turn(&mut round);
            let (leaving, left) = {
                let state = self.lock();
                let left = state.held.is_empty() && state.releases.is_empty();
                (state.leaving, state.leaving && left)
            };
            let ended = match turn {
                Ok(()) if left => Some(self.goes(&round)),
                // Nobody who leaves waits for a database that is not there: the lease has ended.
                Err(error) if leaving && (left || !self.is_valid()) => Some(Err(error)),
                Ok(()) => {
                    failures = 0;
                    self.lock().failure = None;
                    None
                }
                Err(error) if may_pass(&error) => {
                    failures += 1;
                    self.lock().failure = Some(error);
                    None
                }
                Err(error) => Some(Err(error)),
            };
            if let Some(ended) = ended {
                return self.ends(&ended);
            }
            let state = self.lock();
            let asked = state.leaving && failures == 0 && state.held.is_empty();
            if !asked && (state.releases.is_empty() || failures > 0) {
                drop(self.changed.wait_timeout(state, tick));
            }
        }
    }

    /// Tells everybody that there is nothing more to own.
    fn ends(&self, ended: &Result<()>) {
        self.lose_all();
        let mut state = self.lock();
        state.ended = Some(ended.clone());
        for release in std::mem::take(&mut state.releases) {
            drop(release.answer.send(ended.clone()));
        }
        for leaver in std::mem::take(&mut state.leavers) {
            drop(leaver.send(ended.clone()));
        }
        if let (Some(asking), Err(error)) = (state.asking.take(), ended) {
            drop(asking.send(Err(error.clone())));
        }
    }

    /// One look at the group, and what follows from it.
    fn turn(self: &Arc<Self>, round: &mut Round) -> Result<()> {
        self.beat(round)?;
        self.give_away()?;
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
        let last = self.partitioning().partitions - 1;
        if block_on(dead_letter::count_wanted(&self.store, self.name(), 0..=last))? == 0 {
            return Ok(());
        }
        let held: Vec<Arc<Held>> = self.lock().held.values().cloned().collect();
        for held in held {
            let own = held.number()..=held.number();
            if block_on(dead_letter::count_wanted(&self.store, self.name(), own))? > 0 {
                held.ask();
            }
        }
        Ok(())
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
            Err(error) if is_conflict(&error) => {
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
    fn give_away(&self) -> Result<()> {
        loop {
            let Some(release) = self.lock().releases.pop() else { return Ok(()) };
            match self.free(&release.held, release.crashed) {
                Err(error) if may_pass(&error) => {
                    self.lock().releases.push(release);
                    return Err(error);
                }
                freed => {
                    {
                        let mut state = self.lock();
                        state.settled = false;
                        state.held.remove(&release.held.number());
                    }
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
            Err(error) if is_conflict(&error) => Ok(()), // it was taken from it before
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
        state.settled = false;
        state.held.remove(&held.number());
        state.fresh.retain(|fresh| !Arc::ptr_eq(fresh, held));
        state.lost.push((held.number(), Arc::downgrade(held)));
    }

    fn lose_all(&self) {
        let held: Vec<Arc<Held>> = self.lock().held.values().cloned().collect();
        for held in &held {
            self.loses(held);
        }
    }

    /// Takes what it lacks of its share, and gives away what it has above it.
    fn balance(
        self: &Arc<Self>,
        round: &Round,
        others: &[Other],
        leases: &[Option<Record>],
    ) -> Result<()> {
        let stays = |other: &&Other| other.alive && !other.leaving;
        let mut alive: Vec<Uuid> = others.iter().filter(stays).map(|other| other.id).collect();
        alive.push(round.id);
        alive.sort_unstable();
        let (count, members) = (leases.len(), alive.len());
        let rank = alive.iter().position(|id| *id == round.id).unwrap_or(0);
        let share = count / members + usize::from(rank < count % members);
        // What somebody can't take whose handler hangs is taken above the share.
        let alive = others.iter().filter(stays);
        let hangs: BTreeSet<u32> = alive.flat_map(|other| other.hangs.iter().copied()).collect();
        let (owned, share, leaving) = {
            let mut state = self.lock();
            let share = share + state.held.keys().filter(|number| hangs.contains(number)).count();
            state.members = others.iter().filter(|other| other.alive).count() + 1;
            state.settled = state.held.len() == share && round.are_owned(others, leases)?;
            (state.held.len(), share, state.leaving)
        };
        if leaving {
            return Ok(());
        }
        if owned > share {
            let state = self.lock();
            for held in state.held.values().rev().take(owned - share) {
                held.becomes(Status::Wanted);
            }
            return Ok(());
        }
        let mut lacks = share - owned;
        // Those who look at the same time begin at different ones.
        for number in (0..count).map(|number| (number + rank * count / members) % count) {
            let is_extra = hangs.contains(&(number as u32));
            if (is_extra || lacks > 0) && self.may_take(number as u32) {
                let took = self.take(round, others, number, leases)?;
                lacks -= usize::from(took && !is_extra);
            }
        }
        Ok(())
    }

    fn may_take(&self, number: u32) -> bool {
        let state = self.lock();
        !state.held.contains_key(&number) && state.lost.iter().all(|(lost, _)| *lost != number)
    }

    /// Takes a partition that is free, or whose owner is gone; whether it did.
    fn take(
        self: &Arc<Self>,
        round: &Round,
        others: &[Other],
        number: usize,
        leases: &[Option<Record>],
    ) -> Result<bool> {
        let record = leases[number].as_ref();
        let lease: Lease = record.map_or(Ok(Lease::default()), decoded)?;
        let number = number as u32;
        let mut checks = Vec::new();
        let mut crashed = lease.crashed;
        match lease.owner {
            None => {}
            // This one took it, and never heard that it did.
            Some(owner) if owner == round.id => {
                let generation = record.map_or(0, |record| record.version);
                return self.owns(number, generation, true).map(|()| true);
            }
            Some(owner) => {
                match others.iter().find(|other| other.id == owner) {
                    Some(other) if other.alive => return Ok(false),
                    Some(other) => {
                        let key = self.keys.member(owner);
                        checks.push(RecordCheck { key, version: other.version });
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
        let commit = Commit { checks, ..self.commit(change) };
        match block_on(self.store.commit(commit)) {
            Ok(done) => {
                let generation = done.record_versions.first().copied().unwrap_or(0);
                self.owns(number, generation, crashed).map(|()| true)
            }
            Err(error) if is_conflict(&error) => Ok(false),
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
                    Err(error) if !is_conflict(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes its record out, so that the others need not wait until they believe it.
    fn goes(&self, round: &Round) -> Result<()> {
        if round.version == 0 {
            return Ok(());
        }
        let change = RecordChange::delete(self.keys.member(round.id))
            .expecting(ExpectedRecord::Exact(round.version));
        match block_on(self.store.commit(self.commit(change))) {
            Err(error) if is_conflict(&error) => Ok(()),
            gone => gone.map(drop),
        }
    }
}

impl Round {
    /// Whether every partition has an owner that is there.
    fn are_owned(&self, others: &[Other], leases: &[Option<Record>]) -> Result<bool> {
        let is_there = |owner: Uuid| {
            owner == self.id || others.iter().any(|other| other.id == owner && other.proven)
        };
        for record in leases {
            let lease: Option<Lease> = record.as_ref().map(decoded).transpose()?;
            if !lease.and_then(|lease| lease.owner).is_some_and(is_there) {
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
            let Beat { leaving, hangs, .. } = beat;
            others.push(Other { id, version, alive, proven: seen.2, leaving, hangs });
        }
        others
    }
}

/// What `reliability/` and the tests must catch.
#[cfg(feature = "faults")]
pub(super) mod fault {
    pub(in crate::service::group) fn chosen(name: &str) -> bool {
        std::env::var("EVENTUALI_FAULT").is_ok_and(|chosen| chosen == name)
    }
}
