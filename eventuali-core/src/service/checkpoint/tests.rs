//! When a write is due by a clock that a test sets.

use std::thread::spawn;

use super::*;
use crate::backend::memory::Memory;

const SECOND: i64 = 1_000_000;

fn clocked() -> (Arc<SetClock>, Checkpoint) {
    let clock = Arc::new(SetClock::new(SECOND));
    let store = EventStore::over(Arc::new(Memory::new()), "").expect("it is a tenant");
    let store = store.with_clock(Arc::clone(&clock));
    (clock, Checkpoint::new(&store, "name", Query::default(), || {}))
}

/// When the next write is due after so many that failed, once the clock has been moved by `moved`.
fn due_after(failures: u32, moved: i64) -> Option<Duration> {
    let (clock, checkpoint) = clocked();
    {
        let mut state = checkpoint.inner.lock();
        state.unwritten = 1;
        state.failures = failures;
        state.ended += Duration::from_hours(1); // the real time is not there yet
    }
    clock.set(SECOND + moved);
    let mut state = checkpoint.inner.lock();
    let due = checkpoint.inner.due(&state);
    state.unwritten = 0;
    due
}

#[test]
fn a_write_is_due_once_a_clock_says_so() {
    assert_eq!(due_after(0, 0), Some(EVERY));
    assert_eq!(due_after(0, SECOND / 10), Some(Duration::ZERO));
    assert_eq!(due_after(10, SECOND), LONGEST.checked_sub(Duration::from_secs(1)));
    assert_eq!(due_after(10, 5 * SECOND), Some(Duration::ZERO));
    assert_eq!(due_after(10, -SECOND), Some(LONGEST), "a clock that is set back");
}

#[test]
fn who_waits_is_told_that_a_clock_was_set() {
    let (clock, checkpoint) = clocked();
    let inner = Arc::clone(&checkpoint.inner);
    let state = inner.lock();
    let setter = spawn({
        let clock = Arc::clone(&clock);
        move || clock.set(2 * SECOND)
    });
    let waited = inner.changed.wait_timeout(state, Duration::from_mins(1)).expect("it waits");
    assert!(!waited.1.timed_out());
    drop(waited);
    setter.join().expect("it was set");
    drop((checkpoint, inner));
    clock.set(3 * SECOND); // and nobody is there any more
}
