//! The wall clock, as events carry it, and ids that begin with it.

use std::sync::atomic::{AtomicI64, Ordering};
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
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// A clock that shows `now`, in µs since 1970 UTC.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self(AtomicI64::new(now))
    }

    /// What it shows, in µs since 1970 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Sets it, also back.
    pub fn set(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }
}
