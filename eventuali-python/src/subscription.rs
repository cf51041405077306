//! Following the log, page by page, and noting how far.

use std::sync::Arc;

use eventuali_core::query::Query;
use eventuali_core::service::checkpoint::First;
use eventuali_core::service::{checkpoint, subscription};
use eventuali_core::store::EventStore;
use pyo3::prelude::*;

use crate::convert::{Outcome, Row};
use crate::error::to_python;
use crate::runtime::Pending;

/// A query that is followed; the caller keeps its place.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Subscription {
    pub(crate) store: EventStore,
    pub(crate) query: Query,
    pub(crate) inner: Arc<subscription::Subscription>,
}

#[pymethods]
impl Subscription {
    /// The next page after a position, once there is one; None once it was stopped.
    fn next(&self, after: u64, live: bool) -> Pending {
        let answer = self.inner.next(after, live);
        Pending::new(async { answer.await.map(Outcome::Followed) })
    }

    /// Ends the answer that is on its way.
    fn stop(&self, py: Python<'_>) {
        // Whoever is woken may be on its way into the interpreter.
        py.detach(|| self.inner.stop());
    }

    /// The checkpoint of a name; where writing it fails, the answer that is on its way ends.
    fn checkpoint(&self, name: &str) -> Checkpoint {
        let follower = Arc::downgrade(&self.inner);
        let failed = move || {
            if let Some(subscription) = follower.upgrade() {
                subscription.stop();
            }
        };
        let query = self.query.clone();
        Checkpoint { checkpoint: checkpoint::Checkpoint::new(&self.store, name, query, failed) }
    }
}

/// How far a named subscription is handled.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Checkpoint {
    checkpoint: checkpoint::Checkpoint,
}

#[pymethods]
impl Checkpoint {
    /// The position to go on from; where the name is new, the beginning or the end of the log.
    fn begin(&self, at_end: bool) -> Pending {
        let first = if at_end { First::End } else { First::Beginning };
        let answer = self.checkpoint.begin(first);
        Pending::new(async { answer.await.map(Outcome::Begun) })
    }

    /// Notes an event that is handled; whether it is time to flush.
    fn handled(&self, py: Python<'_>, row: &Row) -> PyResult<bool> {
        let (position, event_id) = row.place();
        self.checkpoint.handled(position, event_id).map_err(|error| to_python(py, &error))
    }

    /// Notes that everything that matches up to a position is handled; whether it is time to flush.
    fn looked(&self, py: Python<'_>, position: u64) -> PyResult<bool> {
        self.checkpoint.looked(position).map_err(|error| to_python(py, &error))
    }

    /// Writes down what is handled by now.
    fn flush(&self) -> Pending {
        let answer = self.checkpoint.flush();
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }
}
