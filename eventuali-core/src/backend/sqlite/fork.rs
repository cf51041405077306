//! The gate between SQLite and `fork`.
//!
//! A child inherits the mutexes of SQLite's allocator, page cache and tables as they are, those
//! that other threads hold included, and nobody will release them there. So whatever goes into
//! SQLite passes a gate, and whoever forks calls [`before`], which waits until everybody has come
//! out. A `fork` that nobody announces is as dangerous as ever.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long a fork waits for work, and work for a fork, before it goes on regardless: neither may
/// hang, and the two can wait for each other through a lock of the application.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often those who wait look again.
const LOOK: Duration = Duration::from_micros(50);

static GATE: Gate = Gate::new();

/// Waits until no thread is inside SQLite, five seconds at most, and keeps them all outside.
///
/// To be called before a fork, on the thread that forks, and answered in both processes.
pub fn before() {
    GATE.close(PATIENCE);
}

/// Lets the threads of the parent go on. A fork that failed has a parent, too.
pub fn after_in_parent() {
    GATE.open();
}

/// Lets the threads of the child begin. Those of the parent do not exist there.
pub fn after_in_child() {
    GATE.reset();
}

/// Marks the thread as inside SQLite until the guard is dropped; waits while somebody forks.
///
/// Whoever holds this waits neither for work nor for a thread.
pub(super) fn at_work() -> AtWork<'static> {
    GATE.enter(PATIENCE)
}

/// Sleeps on a thread that is inside SQLite and holds none of its mutexes: a fork need not wait.
pub(super) fn nap(duration: Duration) {
    GATE.nap(duration);
}

/// Two counters rather than a lock: a child sets them back, whoever held what in the parent.
struct Gate {
    inside: AtomicUsize,
    forks: AtomicUsize,
}

impl Gate {
    const fn new() -> Self {
        Self { inside: AtomicUsize::new(0), forks: AtomicUsize::new(0) }
    }

    fn enter(&self, patience: Duration) -> AtWork<'_> {
        self.come_in(patience);
        AtWork(self)
    }

    fn come_in(&self, patience: Duration) {
        if !wait(patience, || self.try_come_in()) {
            self.inside.fetch_add(1, SeqCst);
        }
    }

    /// Counts first and looks then, as `close` does: at least one of the two sees the other.
    fn try_come_in(&self) -> bool {
        self.inside.fetch_add(1, SeqCst);
        let free = self.forks.load(SeqCst) == 0;
        if !free {
            self.inside.fetch_sub(1, SeqCst);
        }
        free
    }

    fn nap(&self, duration: Duration) {
        self.inside.fetch_sub(1, SeqCst);
        std::thread::sleep(duration);
        self.come_in(PATIENCE);
    }

    /// Whether everybody came out in time.
    fn close(&self, patience: Duration) -> bool {
        self.forks.fetch_add(1, SeqCst);
        wait(patience, || self.inside.load(SeqCst) == 0)
    }

    fn open(&self) {
        // Whoever loads this library during a fork opens what nobody closed.
        let _ = self.forks.fetch_update(SeqCst, SeqCst, |forks| forks.checked_sub(1));
    }

    fn reset(&self) {
        self.inside.store(0, SeqCst);
        self.forks.store(0, SeqCst);
    }
}

/// A thread that is inside SQLite, until this is dropped.
pub(super) struct AtWork<'gate>(&'gate Gate);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

/// Whether something came to be in time.
fn wait(patience: Duration, is_so: impl Fn() -> bool) -> bool {
    if is_so() {
        return true;
    }
    let begun = Instant::now();
    while begun.elapsed() < patience {
        std::thread::sleep(LOOK);
        if is_so() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(20);

    /// Runs `work` on a thread of its own; what it returns arrives.
    fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (sender, receiver) = channel();
        std::thread::spawn(move || drop(sender.send(work())));
        receiver
    }

    fn gate() -> &'static Gate {
        Box::leak(Box::new(Gate::new()))
    }

    #[test]
    fn a_fork_waits_for_those_inside() {
        let gate = gate();
        let (one, other) = (gate.enter(LONG), gate.enter(LONG));
        let closed = beside(|| gate.close(LONG));
        drop(one);
        assert_eq!(closed.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        drop(other);
        assert_eq!(closed.recv_timeout(LONG), Ok(true));
    }

    #[test]
    fn newcomers_wait_for_every_fork() {
        let gate = gate();
        assert!(gate.close(LONG) && gate.close(LONG));
        let entered = beside(|| drop(gate.enter(LONG)));
        gate.open();
        assert_eq!(entered.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        gate.open();
        assert_eq!(entered.recv_timeout(LONG), Ok(()));
        assert!(gate.close(Duration::ZERO), "they have left");
    }

    #[test]
    fn nobody_waits_for_ever() {
        let gate = gate();
        let inside = gate.enter(LONG);
        assert!(!gate.close(SHORT));
        drop(gate.enter(SHORT));
        drop(inside);
        gate.open();
        assert!(gate.close(Duration::ZERO), "everybody was counted");
    }

    #[test]
    fn a_fork_does_not_wait_for_those_who_nap() {
        let gate = gate();
        let napping = beside(|| {
            let _inside = gate.enter(LONG);
            gate.nap(SHORT);
        });
        assert!(gate.close(LONG));
        assert_eq!(napping.recv_timeout(2 * SHORT), Err(RecvTimeoutError::Timeout));
        gate.open();
        assert_eq!(napping.recv_timeout(LONG), Ok(()));
    }

    #[test]
    fn a_child_begins_anew() {
        let gate = gate();
        std::mem::forget(gate.enter(LONG)); // a thread that is not there in the child
        assert!(!gate.close(Duration::ZERO));
        gate.reset();
        drop(gate.enter(Duration::ZERO));
        assert!(gate.close(Duration::ZERO));
        gate.open();
        gate.open();
        assert!(gate.try_come_in(), "an end without a beginning closes nothing");
    }
}
