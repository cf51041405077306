//! Wake-ups: commits are announced to other processes, and theirs are listened for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::Pool;
use super::error::timed_out;
use super::reader::{Until, last_position};
use crate::error::Result;

/// Between two announcements; commits in between share one.
const ANNOUNCEMENTS: Duration = Duration::from_millis(2);
/// Between two looks while somebody is writing below what is seen, at the least and at the most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// Between two looks while nothing is known to happen: what an announcement that was lost costs.
const IDLE_LOOKS: Duration = Duration::from_secs(1);
/// How long looks go on at the longest pause once somebody listens: a commit that was under way
/// did not see the listener and is not announced.
const SETTLING: Duration = Duration::from_secs(2);
/// Silence after which the listener's connection is probed, and how long that may take.
const PROBE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(5));

/// Wakes those who wait for events.
pub(super) struct Signal {
    /// The highest position that was committed here, or up to which everything is settled.
    highest: watch::Sender<u64>,
    /// Something was committed, here or elsewhere.
    news: Notify,
    /// It may not be settled.
    unsettled: AtomicBool,
    /// Something was committed here that is not announced yet.
    unannounced: AtomicBool,
    announce: Notify,
}

impl Signal {
    pub(super) fn new() -> Self {
        Self {
            highest: watch::Sender::new(0),
            news: Notify::new(),
            unsettled: AtomicBool::new(false),
            unannounced: AtomicBool::new(false),
            announce: Notify::new(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        let receiver = self.highest.subscribe();
        self.look_soon();
        receiver
    }

    /// Whether anybody waits for events.
    pub(super) fn is_followed(&self) -> bool {
        self.highest.receiver_count() > 0
    }

    /// Events up to `highest` were committed here; unless they are settled, somebody has to look
    /// for when they are.
    pub(super) fn committed(&self, highest: u64, settled: bool) {
        self.highest.send_if_modified(|seen| {
            let more = highest > *seen;
            *seen = highest.max(*seen);
            more
        });
        if settled {
            // A reader who asks for the horizon may not see it yet, and is woken when that moves.
            self.news.notify_one();
        } else {
            self.look_soon();
        }
    }

    /// Something was committed, which is announced where somebody listens.
    pub(super) fn announce_if(&self, heard: bool) {
        if heard {
            self.unannounced.store(true, Ordering::Release);
            self.announce.notify_one();
        }
    }

    fn look_soon(&self) {
        self.unsettled.store(true, Ordering::Release);
        self.news.notify_one();
    }

    /// Waits until the horizon is to be looked at, `pause` at the most.
    async fn until_it_is_time(&self, pause: Duration) {
        let mut limit = Instant::now() + pause;
        while timeout_at(limit, self.news.notified()).await.is_ok() {
            if self.unsettled.swap(false, Ordering::AcqRel) {
                // Whoever waits was woken, and reads meanwhile. Where nobody does, a timer for each
                // commit would cost more than all that is done here.
                if self.is_followed() {
                    sleep(ANNOUNCEMENTS).await;
                }
                return;
            }
            limit = limit.min(Instant::now() + LOOKS.1);
        }
    }

    /// Wakes everybody.
    pub(super) fn wake(&self, settled: u64) {
        self.highest.send_modify(|seen| *seen = settled.max(*seen));
    }

    /// Announces what is not announced yet.
    ///
    /// Not within the transaction that writes: a transaction that notifies holds a lock of the
    /// whole server until it is flushed, so that such commits would go one by one. This one is
    /// short, since it waits for no flush; that it can be lost is what polling is for.
    pub(super) async fn announce(&self, pool: &Pool) -> Result<()> {
        if !self.unannounced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let mut session = pool.take().await?;
        let shared = Arc::clone(&session.shared);
        let statement = shared.statements.announce.query().bind(&shared.channel);
        statement.execute(&mut session.conn).await?;
        session.give_back();
        Ok(())
    }
}

/// Announces commits, for ever.
pub(super) async fn announce(pool: Arc<Pool>, signal: Arc<Signal>) {
    let limit = pool.shared().options.connect_timeout;
    loop {
        signal.announce.notified().await;
        // Where that fails, others will see by polling.
        drop(pool.limited("announcing", limit, signal.announce(&pool)).await);
        // A single commit is announced at once; those that come one upon the other share.
        if signal.unannounced.load(Ordering::Acquire) {
            sleep(ANNOUNCEMENTS).await;
        }
    }
}

/// Wakes whoever waits when more is settled, for ever; does nothing while nobody waits.
pub(super) async fn watch(pool: Arc<Pool>, signal: Arc<Signal>) {
    let limit = pool.shared().options.connect_timeout;
    let mut settled = 0;
    let mut pause = IDLE_LOOKS;
    let mut was_behind = false;
    let mut listening = None;
    loop {
        signal.until_it_is_time(pause).await;
        if !signal.is_followed() {
            listening = None;
            pause = Duration::from_hours(1);
            continue;
        }
        let (since, _) =
            listening.get_or_insert_with(|| (Instant::now(), Listening::begin(&pool, &signal)));
        let idle = if since.elapsed() < SETTLING { LOOKS.1 } else { IDLE_LOOKS };
        let looked = pool.limited("looking for events", limit, look(&pool)).await;
        let (horizon, last) = looked.unwrap_or((settled, settled));
        // It falls where a server takes over that knows less.
        if horizon != settled {
            settled = horizon;
            signal.wake(settled);
        }
        let behind = last.max(*signal.highest.borrow()) > settled;
        pause = match (behind, was_behind) {
            (false, _) => idle,
            (true, false) => LOOKS.0,
            (true, true) => (pause * 2).min(LOOKS.1),
        };
        was_behind = behind;
    }
}

/// The horizon, and the last event.
async fn look(pool: &Pool) -> Result<(u64, u64)> {
    let mut session = pool.take().await?;
    let last = last_position(&mut session, Until::Last).await?;
    let horizon = last_position(&mut session, Until::Horizon).await?;
    session.give_back();
    Ok((horizon, last))
}

/// A task that listens, until this is dropped.
struct Listening(tokio::task::AbortHandle);

impl Listening {
    fn begin(pool: &Arc<Pool>, signal: &Arc<Signal>) -> Self {
        let (pool, signal) = (Arc::clone(pool), Arc::clone(signal));
        let task = tokio::spawn(async move {
            loop {
                // However it ends, there may be news; and polling goes on meanwhile.
                drop(listen(&pool, &signal).await);
                signal.look_soon();
                sleep(IDLE_LOOKS).await;
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens until the connection is lost.
async fn listen(pool: &Pool, signal: &Signal) -> Result<()> {
    let shared = pool.shared();
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(shared.options.connect_timeout)
        .connect_lazy_with(shared.server()?.clone());
    let begun = timeout(shared.options.connect_timeout, async {
        let mut listener = PgListener::connect_with(&own).await?;
        listener.execute(shared.statements.listen.query()).await?;
        listener.listen(&shared.channel).await?;
        Ok::<_, sqlx::Error>(listener)
    });
    let mut listener = begun.await.map_err(|_| timed_out("listening"))??;
    // What was committed before is not announced again.
    signal.look_soon();
    loop {
        match timeout(PROBE.0, listener.try_recv()).await {
            // Whoever waits looks at once; and again, should somebody still write below it.
            Ok(Ok(Some(_))) => {
                signal.wake(0);
                signal.look_soon();
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                let probe = timeout(PROBE.1, listener.execute("SELECT 1"));
                probe.await.map_err(|_| timed_out("listening"))??;
            }
        }
    }
}
