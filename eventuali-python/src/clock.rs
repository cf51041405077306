//! A clock that a test sets, as Python says it.

use std::sync::Arc;

use eventuali_core::clock;
use pyo3::prelude::*;

/// A clock that stands still until it is set, in µs since 1970 UTC.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct SetClock {
    pub(crate) inner: Arc<clock::SetClock>,
}

#[pymethods]
impl SetClock {
    #[new]
    fn new(now: i64) -> Self {
        Self { inner: Arc::new(clock::SetClock::new(now)) }
    }

    /// What it shows.
    fn now(&self) -> i64 {
        self.inner.now()
    }

    /// Sets it, also back.
    fn set(&self, now: i64) {
        self.inner.set(now);
    }
}
