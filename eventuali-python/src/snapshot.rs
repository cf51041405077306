//! The snapshots of a store.

use eventuali_core::service::snapshot::{self, Instead, Snapshot};
use eventuali_core::store::EventStore;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{Outcome, made};
use crate::runtime::Pending;

/// The snapshots of a store.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Snapshots {
    store: EventStore,
    /// Whether reading takes no network.
    near: bool,
}

impl Snapshots {
    pub(crate) fn new(store: &EventStore, near: bool) -> Self {
        Self { store: store.clone(), near }
    }
}

#[pymethods]
impl Snapshots {
    /// The newest of a series at or below a version: (key, version of its record, bytes), or None.
    fn newest(&self, series: &str, at_most: u64) -> Pending {
        let answer = snapshot::newest(&self.store, series, at_most);
        Pending::new(async {
            let found = answer.await?;
            Ok(Outcome::Made(Box::new(move |py| {
                let found = found.map(|record| {
                    (record.key.key, record.version, PyBytes::new(py, &record.value.bytes))
                });
                Ok(found.into_pyobject(py)?.into_any().unbind())
            })))
        })
        .coming(self.near)
    }

    /// Writes one, unless a newer one is in its place; instead of a wrong one (key, version of its
    /// record), or of anything.
    #[pyo3(signature = (series, place, kind, version, value, due, wrong=None, anything=false))]
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a snapshot")]
    fn put(
        &self,
        series: String,
        place: u32,
        kind: String,
        version: u64,
        value: Vec<u8>,
        due: Option<i64>,
        wrong: Option<(String, u64)>,
        anything: bool,
    ) -> Pending {
        let instead = match wrong {
            Some((key, at)) => Instead::Wrong(key, at),
            None if anything => Instead::Anything,
            None => Instead::Older,
        };
        let snapshot = Snapshot { series, place, kind, version, bytes: value, due };
        let answer = snapshot::put(&self.store, snapshot, instead);
        Pending::new(async { answer.await.map(|_| Outcome::Closed) })
    }

    /// The first snapshots of kinds from one to another: [(key, version of its record)].
    fn of_kinds(&self, first: String, last: String, limit: usize) -> Pending {
        let answer = snapshot::of_kinds(&self.store, first, last, limit);
        Pending::new(async { answer.await.map(made) })
    }

    /// The first snapshots whose place is not one of so many: [(key, version of its record)].
    fn above(&self, places: u32, limit: usize) -> Pending {
        let answer = snapshot::above(&self.store, places, limit);
        Pending::new(async { answer.await.map(made) })
    }
}
