//! Wake-ups from other processes: a thread looks at the file for as long as somebody waits.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::watch;

use super::connection::{Epoch, Session};
use super::witness::Witness;
use super::writer::announce;
use super::{fork, locked, spawn};
use crate::error::Result;

/// Between two looks: after a change, and at the most. A look takes some microseconds.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));
/// After a look that failed, when whoever waits is woken to look for themselves.
const FAILED: Duration = Duration::from_millis(100);

/// Looks at the file while somebody holds a receiver; ends when this is dropped.
pub(super) struct Listener {
    path: PathBuf,
    witness: Witness,
    highest: watch::Sender<u64>,
    epoch: Epoch,
    /// Whether the thread runs: a lock, since it ends and begins by the number of receivers.
    running: Arc<Mutex<bool>>,
    /// The one that runs, behind those that are about to end.
    threads: Vec<JoinHandle<()>>,
    /// Dropped to end the thread at once; nothing is ever sent.
    stop: Option<Sender<()>>,
}

impl Listener {
    pub(super) fn new(
        path: &Path,
        witness: &Witness,
        highest: watch::Sender<u64>,
        epoch: Epoch,
    ) -> Self {
        let (path, witness) = (path.to_owned(), witness.clone());
        let running = Arc::default();
        Self { path, witness, highest, epoch, running, threads: Vec::new(), stop: None }
    }

    /// Looks from now on, while there are more receivers than one, the store's own.
    pub(super) fn begin(&mut self) -> Result<()> {
        let mut running = locked(&self.running);
        if *running {
            return Ok(());
        }
        let (stop, stopped) = bounded(0);
        let (path, witness) = (self.path.clone(), self.witness.clone());
        let (highest, epoch) = (self.highest.clone(), Arc::clone(&self.epoch));
        let look = Look { path, witness, highest, epoch, seen: None };
        let flag = Arc::clone(&self.running);
        let thread = spawn("eventuali-listener", move || look_on(look, &flag, &stopped))?;
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.push(thread);
        self.stop = Some(stop);
        *running = true;
        Ok(())
    }

    /// Tells the thread to end; whoever may wait can join it.
    pub(super) fn end(self) -> Vec<JoinHandle<()>> {
        drop(self.stop);
        self.threads
    }
}

/// Looks until nobody waits any more, or the store is closed.
fn look_on(mut look: Look, running: &Mutex<bool>, stopped: &Receiver<()>) {
    let mut pause = LOOKS.0;
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        {
            let mut running = locked(running);
            if look.highest.receiver_count() <= 1 {
                *running = false;
                break;
            }
        }
        let _inside = fork::at_work();
        pause = match look.once() {
            Ok(true) => LOOKS.0,
            Ok(false) => (pause * 2).min(LOOKS.1),
            Err(_) => {
                // Whoever waits reads then, and hears what is wrong, or reads on.
                look.seen = None;
                look.highest.send_modify(|_| ());
                FAILED
            }
        };
    }
    let _inside = fork::at_work();
    drop(look);
}

struct Look {
    path: PathBuf,
    witness: Witness,
    highest: watch::Sender<u64>,
    epoch: Epoch,
    /// The connection, which knows what it saw last, and the version of the file then.
    seen: Option<(Session, i64)>,
}

impl Look {
    /// Whether the file has changed; whoever waits wakes where there are new events.
    fn once(&mut self) -> Result<bool> {
        let (mut session, version) = match self.seen.take() {
            Some(seen) => seen,
            None => (Session::reader(&self.path, Arc::clone(&self.epoch))?, 0),
        };
        self.witness.check_database()?;
        let now: i64 = session.statement("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let changed = now != version;
        if changed {
            let before = session.epoch();
            let (last, _) = session.end()?;
            announce(&self.highest, last, session.epoch() != before);
        }
        self.seen = Some((session, now));
        Ok(changed)
    }
}
