//! The wall clock, as events carry it, and ids that begin with it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Timestamp, Uuid};

/// Now, in µs since 1970 UTC; negative before. A clock outside of what fits is taken to its limit.
#[must_use]
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

/// A new id, a `UUIDv7`. A clock before 1970, which such an id cannot say, counts as 1970.
#[must_use]
pub fn new_id() -> Uuid {
    let now = now().max(0) as u64;
    let (seconds, nanos) = (now / 1_000_000, (now % 1_000_000) as u32 * 1000);
    Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

/// A clock that stands still until somebody sets it, for tests.
pub struct SetClock {
    now: AtomicI64,
    /// A lock and no channel: somebody begins to wait, or sets it, a few times in a test.
    told: Mutex<Vec<Weak<dyn Moved>>>,
}

/// Somebody who waits, and looks again when a clock was set.
pub trait Moved: Send + Sync {
    /// Is called after that, on the thread that set it.
    fn moved(&self);
}

impl SetClock {
    /// A clock that shows `now`, in µs since 1970 UTC.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self { now: AtomicI64::new(now), told: Mutex::default() }
    }

    /// What it shows, in µs since 1970 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Sets it, also back.
    pub fn set(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
        let waiting: Vec<_> = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.retain(|each| each.strong_count() > 0);
            told.iter().filter_map(Weak::upgrade).collect()
        };
        for each in waiting {
            each.moved();
        }
    }

    /// Has somebody told whenever it is set, for as long as they are there.
    pub fn tell(&self, waiting: Weak<dyn Moved>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    }
}
