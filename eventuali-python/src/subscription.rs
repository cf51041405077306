//! Following the log, page by page.

use eventuali_core::subscription;
use pyo3::prelude::*;

use crate::convert::Outcome;
use crate::runtime::Pending;

/// A query that is followed; the caller keeps its place.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Subscription {
    pub(crate) subscription: subscription::Subscription,
}

#[pymethods]
impl Subscription {
    /// The next page after a position, once there is one; None once it was stopped.
    fn next(&self, after: u64, live: bool) -> Pending {
        let answer = self.subscription.next(after, live);
        Pending::new(async { answer.await.map(Outcome::Followed) })
    }

    /// Ends the answer that is on its way.
    fn stop(&self, py: Python<'_>) {
        // Whoever is woken may be on its way into the interpreter.
        py.detach(|| self.subscription.stop());
    }
}
