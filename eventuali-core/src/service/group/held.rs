//! A partition in the hands of a member.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};

use uuid::Uuid;

use super::member::Inner;
use super::pages::Part;
use super::partition::Partitioning;
use super::records::{ATTEMPTS, Attempt, CHECKPOINTS, LEASES, decoded, record, says};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventPage, EventRef};
use crate::record::RecordCheck;
use crate::service::checkpoint::{Checkpoint, First};
use crate::service::subscription::Subscription;
use crate::storage::Answer;
use crate::store::EventStore;

/// Whether the next event of a partition may be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It may.
    Owned,
    /// It is wanted elsewhere: it is to be released.
    Wanted,
    /// It is another member's, or may be.
    Lost,
}

/// A partition that a member owns, and works through.
///
/// Its events come from [`Held::next`]. Before each of them is handled, [`Held::take`] says whether
/// it may be; behind it comes [`Held::handled`]. At the end comes [`Held::release`].
pub struct Held {
    number: u32,
    generation: u64,
    partitioning: Arc<Partitioning>,
    careful: bool,
    member: Arc<Inner>,
    pub(super) checkpoint: Checkpoint,
    subscription: Subscription,
    status: Arc<AtomicU8>,
    /// Whether dead letters of it are to be handled again.
    asked: AtomicBool,
    /// When the event in hand was taken, in µs of the member's time and one more; 0 for none.
    since: AtomicU64,
    /// For how many µs since then others kept the thread that they share.
    kept_up: AtomicU64,
}

impl Held {
    pub(super) fn new(
        member: &Arc<Inner>,
        number: u32,
        generation: u64,
        careful: bool,
    ) -> Result<Self> {
        let (store, keys) = (&member.store, &member.keys);
        let partitioning = member.partitioning();
        let fence = RecordCheck { key: keys.of(LEASES, number), version: generation };
        let key = keys.of(CHECKPOINTS, number);
        let query = member.query.clone();
        let checkpoint = Checkpoint::of(store, key, query.clone(), Some(fence), || ());
        let of = Some(Part::new(Arc::clone(&partitioning), number, Arc::clone(&member.pages)));
        let subscription = Subscription::of(store, query, of, member.page)?;
        let (status, since) = (Arc::new(AtomicU8::new(Status::Owned as u8)), AtomicU64::new(0));
        let member = Arc::clone(member);
        Ok(Self {
            number,
            generation,
            partitioning,
            careful,
            member,
            checkpoint,
            subscription,
            status,
            asked: AtomicBool::new(false),
            since,
            kept_up: AtomicU64::new(0),
        })
    }

    /// Where its events are.
    #[must_use]
    pub fn store(&self) -> &EventStore {
        &self.member.store
    }

    /// The name of the group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.member.name()
    }

    /// Its number: 0, 1, 2 …
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it is, where it is something of its own, and no part of the log.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.partitioning.names.get(self.number as usize).map(String::as_str)
    }

    /// The number of the key by which an event belongs to it.
    pub fn key_of(&self, event: EventRef<'_>) -> Result<u64> {
        self.partitioning.hash(event)
    }

    pub(in crate::service) fn partitioning(&self) -> &Partitioning {
        &self.partitioning
    }

    /// How often its owner has changed: whoever has a lower one writes nothing any more.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether its owner before may have ended in the middle of an event: then the first ones are to
    /// be tried with [`Held::attempt`].
    #[must_use]
    pub fn careful(&self) -> bool {
        self.careful
    }

    /// The position to go on from; see [`Checkpoint::begin`].
    #[must_use]
    pub fn begin(&self) -> Answer<u64> {
        let (begun, start) = (self.checkpoint.begin(First::Beginning), self.partitioning.start());
        Box::pin(async move { Ok(begun.await?.max(start)) })
    }

    /// The next page; see [`Subscription::next`]. `None` once it is wanted elsewhere, or lost, or
    /// once dead letters are to be handled again.
    #[must_use]
    pub fn next(&self, after: u64, live: bool) -> Answer<Option<EventPage>> {
        let answer = self.subscription.next(after, live);
        if self.status() == Status::Owned && !self.asked.load(SeqCst) {
            return answer;
        }
        // Whoever said so may have come before this question.
        self.subscription.stop();
        answer
    }

    /// How far nothing concerns it, for whoever has handled everything and waits for an answer.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.subscription.seen()
    }

    /// Whether dead letters of it may have to be handled again, since this was asked last.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.swap(false, SeqCst)
    }

    /// Says that dead letters of it are to be handled again.
    pub(super) fn ask(&self) {
        if !self.asked.swap(true, SeqCst) {
            self.subscription.stop();
        }
    }

    /// What becomes of it, whether an event is in hand or not.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.status.load(SeqCst) {
            0 if self.member.is_valid() => Status::Owned,
            1 if self.member.is_valid() => Status::Wanted,
            _ => Status::Lost,
        }
    }

    /// Takes the next event in hand, where it may be. With `steps_in`, its handler runs on a thread
    /// that others share, until [`Held::steps_out`], or the event is handled.
    #[must_use]
    pub fn take(&self, steps_in: bool) -> Status {
        self.kept_up.store(0, SeqCst);
        self.since.store(self.member.now() + 1, SeqCst);
        let status = self.status();
        if status != Status::Owned {
            self.since.store(0, SeqCst);
        } else if steps_in {
            self.member.steps_in(self.number);
        }
        status
    }

    /// Notes that the event in hand is handled; see [`Checkpoint::handled`].
    pub fn handled(&self, position: u64, event_id: Uuid) -> Result<bool> {
        self.member.steps_out(self.number);
        self.since.store(0, SeqCst);
        self.checkpoint.handled(position, event_id)
    }

    /// Notes that no event is in hand any more, though it is not handled.
    pub fn put_back(&self) {
        self.since.store(0, SeqCst);
    }

    /// Notes that its handler runs on a thread that others share, until [`Held::steps_out`].
    pub fn steps_in(&self) {
        self.member.steps_in(self.number);
    }

    /// Notes that its handler waits, or has ended.
    pub fn steps_out(&self) {
        self.member.steps_out(self.number);
    }

    /// See [`Checkpoint::looked`].
    pub fn looked(&self, position: u64) -> Result<bool> {
        self.checkpoint.looked(position)
    }

    /// See [`Checkpoint::flush`]. It is lost where that is refused.
    #[must_use]
    pub fn flush(&self) -> Answer<()> {
        let (flushed, status) = (self.checkpoint.flush(), Arc::clone(&self.status));
        Box::pin(async move {
            let flushed = flushed.await;
            if let Err(error) = &flushed
                && matches!(error.kind(), ErrorKind::CheckpointMismatch { .. })
            {
                status.store(Status::Lost as u8, SeqCst);
            }
            flushed
        })
    }

    /// How often the event at a position was tried by itself.
    #[must_use]
    pub fn tried(&self, position: u64) -> Answer<u32> {
        let member = Arc::clone(&self.member);
        let key = member.keys.of(ATTEMPTS, self.number);
        Box::pin(async move {
            let found = record(&member.store, key).await?;
            let before: Attempt = found.as_ref().map_or(Ok(Attempt::default()), decoded)?;
            Ok(if before.position == position { before.tries } else { 0 })
        })
    }

    /// Writes down that the event at a position is tried by itself; how often it was now.
    #[must_use]
    pub fn attempt(&self, position: u64) -> Answer<u32> {
        let member = Arc::clone(&self.member);
        let key = member.keys.of(ATTEMPTS, self.number);
        let (fence, before) = (self.fence(), self.tried(position));
        Box::pin(async move {
            let tries = before.await? + 1;
            let change = says(key, &Attempt { position, tries })?;
            let commit = Commit { checks: vec![fence], ..Commit::change(vec![change]) };
            member.store.commit(commit).await?;
            Ok(tries)
        })
    }

    /// The condition that this is still the generation.
    #[must_use]
    pub fn fence(&self) -> RecordCheck {
        let key = self.member.keys.of(LEASES, self.number);
        RecordCheck { key, version: self.generation }
    }

    /// Gives it away, behind a last write of what is handled. `crashed` says that it ends in the
    /// middle of an event, which the next owner is to try by itself.
    #[must_use]
    pub fn release(self: &Arc<Self>, crashed: bool) -> Answer<()> {
        self.since.store(0, SeqCst);
        let released = self.member.release(self, crashed);
        Box::pin(async move {
            released.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Closed, "the member of the group has ended"))
            })
        })
    }

    /// The same, for those who don't wait for it.
    pub fn abandon(self: &Arc<Self>) {
        if self.member.store.is_own_process() {
            let crashed = self.since.swap(0, SeqCst) != 0 || self.careful;
            drop(self.member.release(self, crashed));
        }
    }

    /// Has it drained, or dropped: whoever waits for its events is answered.
    pub(super) fn becomes(&self, status: Status) {
        self.status.fetch_max(status as u8, SeqCst);
        self.subscription.stop();
    }

    /// Whether an event of it is in hand.
    pub(super) fn is_busy(&self) -> bool {
        self.since.load(SeqCst) != 0
    }

    /// For how many µs the event in hand is being handled, but for the time in which others kept the
    /// thread; none without one.
    pub(super) fn busy_for(&self) -> Option<u64> {
        let since = self.since.load(SeqCst).checked_sub(1)?;
        let now = self.member.now();
        #[cfg(feature = "faults")]
        if super::member::fault::chosen("blame-the-kept-up") {
            return Some(now.saturating_sub(since));
        }
        let kept_up = self.member.inside().filter(|(number, _)| *number != self.number);
        let kept_up = kept_up.map_or(0, |(_, at)| now.saturating_sub(at.max(since)));
        Some(now.saturating_sub(since + self.kept_up.load(SeqCst) + kept_up))
    }

    /// Notes that another one kept the thread, from one time to another.
    pub(super) fn was_kept_up(&self, from: u64, to: u64) {
        if let Some(since) = self.since.load(SeqCst).checked_sub(1) {
            self.kept_up.fetch_add(to.saturating_sub(from.max(since)), SeqCst);
        }
    }
}
