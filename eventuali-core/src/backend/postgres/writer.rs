//! The one task that writes: it commits whatever waits in one transaction.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::{Instant, sleep, timeout};

use super::apart::Apart;
use super::append::{self, Judged};
use super::connection::{Pool, Session};
use super::error::{is_crowded, is_locked, is_lost, is_transient, timed_out};
use super::listener::Signal;
use super::queue::Request;
use super::test_clock;
use super::user_statements::Run;
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::statement::Statement;

/// The most bytes that go into one transaction.
const GROUP_BYTES: usize = 32 << 20;
/// The most commits that go into one transaction.
const GROUP_COMMITS: usize = 1024;
/// The first pause before a group is tried again; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// The writer: commits are written in the order in which they were sent, one group at a time.
pub(super) struct Writer {
    pool: Arc<Pool>,
    signal: Arc<Signal>,
    /// What waits for locks of others.
    apart: Apart,
    /// How many commits can be judged within [`append::JUDGING`], by experience.
    reach: AtomicUsize,
    /// How many may try: half of the connections, for the rest go on.
    trying: Semaphore,
    /// Dropped with the last task of the writer.
    _busy: Sender<Infallible>,
}

/// Why a group is not written, as far as anybody knows.
struct Failure {
    error: Error,
    /// It may have been written all the same.
    doubtful: bool,
}

impl Failure {
    /// Before anything was sent that could have had an effect.
    fn before(error: Error) -> Self {
        Self { error, doubtful: false }
    }

    /// While the server may have been committing.
    fn within(error: Error) -> Self {
        Self { doubtful: is_lost(&error), error }
    }
}

impl Writer {
    pub(super) fn new(pool: Arc<Pool>, signal: Arc<Signal>, busy: Sender<Infallible>) -> Self {
        let trying = Semaphore::new((pool.shared().options.max_connections as usize / 2).max(1));
        let reach = AtomicUsize::new(GROUP_COMMITS);
        Self { pool, signal, apart: Apart::default(), reach, trying, _busy: busy }
    }

    /// Serves until every sender is gone and all is done.
    pub(super) async fn run(self, mut jobs: UnboundedReceiver<Arc<Request>>) {
        let writer = Arc::new(self);
        while let Some(first) = jobs.recv().await {
            let group = gather(first, &mut jobs);
            let writer = Arc::clone(&writer);
            // A group that panics takes its answers with it, not the writer.
            drop(tokio::spawn(async move { writer.commit(group).await }).await);
        }
    }

    /// Writes what has no statements together; what has some, which may be to blame for anything,
    /// by itself.
    async fn commit(self: &Arc<Self>, all: Vec<Arc<Request>>) {
        let mut group = Vec::with_capacity(all.len());
        for request in all {
            if request.commit.statements.is_empty() {
                group.push(request);
            } else {
                self.commit_together(std::mem::take(&mut group)).await;
                self.commit_together(vec![request]).await;
            }
        }
        self.commit_together(group).await;
    }

    async fn commit_together(self: &Arc<Self>, all: Vec<Arc<Request>>) {
        let group = self.free(all, false);
        if group.is_empty() {
            return;
        }
        match self.at_once(&group).await {
            Ok(Some(judged)) => Self::answer(group, judged),
            Ok(None) => self.settle(group, false).await,
            Err(failure) => {
                if is_locked(&failure.error) && group.len() == 1 {
                    return self.wait_apart(group, failure.doubtful);
                }
                self.settle(group, failure.doubtful).await;
            }
        }
    }

    /// Sets those apart that would overtake one that waits; the others.
    fn free(self: &Arc<Self>, all: Vec<Arc<Request>>, doubted: bool) -> Vec<Arc<Request>> {
        let mut group = Vec::with_capacity(all.len());
        for request in all {
            if self.apart.holds_back(&request.commit) {
                self.wait_apart(vec![request], doubted);
            } else {
                group.push(request);
            }
        }
        group
    }

    /// One call, which is a transaction of its own.
    async fn at_once(&self, group: &[Arc<Request>]) -> Result<Option<Vec<Judged>>, Failure> {
        let mut session = self.pool.take().await.map_err(Failure::before)?;
        let commits: Vec<&Commit> = group.iter().map(|request| &request.commit).collect();
        self.limited(test_clock::tell(&mut session, &commits)).await.map_err(Failure::before)?;
        let written = self.limited(append::at_once(&mut session, &commits));
        let judged = written.await.map_err(Failure::within)?;
        if let Some(judged) = &judged {
            self.committed(&session, &commits, judged);
        }
        session.give_back();
        Ok(judged)
    }

    /// Writes a group commit by commit, in parts that are judged in time.
    async fn settle(self: &Arc<Self>, mut group: Vec<Arc<Request>>, doubted: bool) {
        while !group.is_empty() {
            let rest = group.split_off(self.reach.load(Ordering::Relaxed).min(group.len()));
            self.settle_part(group, doubted).await;
            // One of the part may wait apart now.
            group = self.free(rest, doubted);
        }
    }

    /// Where one of a part cannot be written, the others must not fail with it: the part is halved
    /// until it is alone.
    async fn settle_part(self: &Arc<Self>, mut part: Vec<Arc<Request>>, doubted: bool) {
        let begun = Instant::now();
        let (outcome, doubted) = self.persist(&part, doubted, true).await;
        if outcome.is_ok() && part.iter().all(|request| request.commit.statements.is_empty()) {
            self.learn(part.len(), begun.elapsed());
        }
        let failure = match outcome {
            Ok(Some(judged)) => return Self::answer(part, judged),
            Ok(None) => None,
            Err(failure) => Some(failure.error),
        };
        let blameless = |error: &Error| is_lost(error) || is_crowded(error);
        let Some(error) = failure.filter(|error| part.len() == 1 || blameless(error)) else {
            let rest = part.split_off(part.len() / 2);
            Box::pin(self.settle(part, doubted)).await;
            return Box::pin(self.settle(self.free(rest, doubted), doubted)).await;
        };
        if is_locked(&error) {
            self.wait_apart(part, doubted);
        } else {
            fail(part, &error, doubted);
        }
    }

    /// Notes how long it took to judge so many.
    fn learn(&self, count: usize, took: Duration) {
        let reach = self.reach.load(Ordering::Relaxed);
        if took > append::JUDGING {
            self.reach.store((count / 2).max(1), Ordering::Relaxed);
        } else if count >= reach && took < append::JUDGING / 4 {
            self.reach.store((2 * reach).min(GROUP_COMMITS), Ordering::Relaxed);
        }
    }

    /// Goes on trying beside the writer, which serves others meanwhile.
    fn wait_apart(self: &Arc<Self>, group: Vec<Arc<Request>>, doubted: bool) {
        let writer = Arc::clone(self);
        let mut place = self.apart.queue(group.iter().map(|request| &request.commit));
        tokio::spawn(async move {
            let limit = writer.patience(&group);
            let turn = async {
                place.turn().await;
                writer.trying.acquire().await
            };
            let Ok(Ok(_turn)) = timeout(limit, turn).await else {
                return fail(group, &timed_out("waiting for a lock"), doubted);
            };
            match writer.persist(&group, doubted, false).await {
                (Ok(judged), _) => Self::answer(group, judged.unwrap_or_default()),
                (Err(failure), doubted) => fail(group, &failure.error, doubted),
            }
        });
    }

    /// How long a group is tried: as long as its most patient commit wants, and no longer than
    /// anything is.
    fn patience(&self, group: &[Arc<Request>]) -> Duration {
        let limit = self.pool.shared().options.connect_timeout;
        let each = group.iter().map(|request| request.commit.patience.unwrap_or(limit));
        each.max().map_or(limit, |most| most.min(limit))
    }

    /// Tries a group again as long as that can help. A group that was written before, unknown to
    /// us, is recognised by its ids: the locks see to it that what is still on its way is waited
    /// for. `briefly` says not to wait for a lock more than once. Also whether it is in doubt now.
    async fn persist(
        &self,
        group: &[Arc<Request>],
        mut doubted: bool,
        briefly: bool,
    ) -> (Result<Option<Vec<Judged>>, Failure>, bool) {
        let patience = self.patience(group);
        let mut deadline = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.in_turn(group, doubted).await {
                Ok(judged) => return (Ok(judged), doubted),
                Err(failure) => failure,
            };
            doubted |= failure.doubtful;
            // From when it began to fail: noticing that a connection is silent takes long.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + patience);
            let patient = !(briefly && is_locked(&failure.error));
            let again = failure.doubtful || (is_transient(&failure.error) && patient);
            if !again || Instant::now() + pause > deadline {
                return (Err(failure), doubted);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// A transaction in which each commit is judged in its turn. None where nothing was written,
    /// because they must not share a transaction: names would stay of those who are refused, or
    /// judging all of them takes too long.
    async fn in_turn(
        &self,
        group: &[Arc<Request>],
        doubted: bool,
    ) -> Result<Option<Vec<Judged>>, Failure> {
        let mut session = self.pool.take().await.map_err(Failure::before)?;
        let commits: Vec<&Commit> = group.iter().map(|request| &request.commit).collect();
        self.limited(test_clock::tell(&mut session, &commits)).await.map_err(Failure::before)?;
        let judged = self.limited(append::in_turn(&mut session, &commits, doubted));
        let turn = judged.await.map_err(Failure::before)?;
        if turn.as_ref().is_some_and(|turn| turn.carries_out) {
            for commit in &commits {
                let carried_out = self.carry_out(&mut session, &commit.statements).await;
                carried_out.map_err(Failure::before)?;
            }
        }
        let holds = |judged: &[Judged]| judged.iter().any(Result::is_ok);
        let together = turn.filter(|turn| !turn.leaves_names || !holds(&turn.judged));
        let together = together.map(|turn| turn.judged);
        let writes = together.as_ref().is_some_and(|judged| holds(judged));
        let end = if writes { "COMMIT" } else { "ROLLBACK" };
        let failed = if writes { Failure::within } else { Failure::before };
        self.limited(session.run(end)).await.map_err(failed)?;
        if let Some(judged) = &together {
            self.committed(&session, &commits, judged);
        }
        session.give_back();
        Ok(together)
    }

    /// Carries a commit's statements out; each message of them has the time of a commit.
    async fn carry_out(&self, session: &mut Session, statements: &[Statement]) -> Result<()> {
        self.limited(test_clock::step_aside(session)).await?;
        let mut run = self.limited(Run::begin(session, statements)).await?;
        while self.limited(run.step()).await? {}
        self.limited(run.end()).await
    }

    /// Tells whoever waits for events, here and elsewhere.
    fn committed(&self, session: &Session, commits: &[&Commit], judged: &[Judged]) {
        self.signal.announce_if(session.heard);
        let positions = judged.iter().flatten().flat_map(|committed| &committed.positions);
        let Some(highest) = positions.max() else { return };
        let followed = self.signal.is_followed();
        let settled = followed && self.pool.recent().keep(session.epoch, commits, judged);
        self.signal.committed(*highest, settled);
    }

    /// `work`, given up where the server does not even say that a statement took too long.
    async fn limited<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let options = &self.pool.shared().options;
        // A commit has this time for itself, after those of its group that come before it.
        let limit = append::JUDGING + options.statement_timeout + options.connect_timeout;
        self.pool.limited("a commit", limit, work).await
    }

    fn answer(group: Vec<Arc<Request>>, judged: Vec<Judged>) {
        for (request, mut judged) in group.into_iter().zip(judged) {
            if let Err(doubt) = &judged
                && matches!(doubt.kind(), ErrorKind::OutcomeUnknown { .. })
            {
                judged = Err(Error::outcome_unknown(request.commit.event_ids()));
            }
            request.answer(&judged);
        }
    }
}

/// `first` together with all that waits behind it.
fn gather(first: Arc<Request>, jobs: &mut UnboundedReceiver<Arc<Request>>) -> Vec<Arc<Request>> {
    let mut bytes = first.commit.size();
    let mut group = vec![first];
    while bytes < GROUP_BYTES && group.len() < GROUP_COMMITS {
        let Ok(request) = jobs.try_recv() else { break };
        bytes += request.commit.size();
        group.push(request);
    }
    group
}

/// Tells everybody in a group of an error; whoever is left in doubt, about their own events.
fn fail(group: Vec<Arc<Request>>, error: &Error, doubted: bool) {
    for request in group {
        let told = if doubted {
            Error::outcome_unknown(request.commit.event_ids()).with_source(error.clone())
        } else {
            error.clone()
        };
        request.answer(&Err(told));
    }
}
