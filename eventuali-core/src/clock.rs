//! The wall clock, as events carry it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in µs since 1970 UTC; negative before. A clock outside of what fits is taken to its limit.
#[must_use]
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}
