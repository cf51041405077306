//! Consumer groups: what a member owns, the events of it, and those that were given up.

use std::sync::Arc;
use std::time::Duration;

use eventuali_core::query::Query;
use eventuali_core::service::checkpoint::First;
use eventuali_core::service::dead_letter::{self, DeadLetter, Found};
use eventuali_core::service::group::{self, Options, Status};
use eventuali_core::store::EventStore;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{Outcome, Row, made};
use crate::error::to_python;
use crate::runtime::Pending;

/// (name, partitions, tag, whether it begins at the end, lease in s, deadline in s or None, names).
pub(crate) type OptionsTuple =
    (String, Option<u32>, Option<String>, bool, f64, Option<f64>, Vec<String>);

/// ([(JSON, version of its record)]).
fn letters(found: Vec<Found>) -> eventuali_core::error::Result<Outcome> {
    let each = |(letter, version): Found| Ok((letter.to_json()?, version));
    let found = found.into_iter().map(each).collect::<eventuali_core::error::Result<Vec<_>>>()?;
    Ok(Outcome::Made(Box::new(move |py| {
        let found: Vec<_> =
            found.into_iter().map(|(json, version)| (PyBytes::new(py, &json), version)).collect();
        Ok(found.into_pyobject(py)?.into_any().unbind())
    })))
}

fn letter(py: Python<'_>, json: &[u8]) -> PyResult<DeadLetter> {
    DeadLetter::from_json(json).map_err(|error| to_python(py, &error))
}

/// The dead letters of a group behind a position; at most `limit`.
pub(crate) fn dead_letters(store: &EventStore, group: &str, after: u64, limit: usize) -> Pending {
    let answer = dead_letter::list(store, group, after, limit);
    Pending::new(async { letters(answer.await?) })
}

/// The dead letter of a position, alone in a list, or none.
pub(crate) fn find_dead_letter(store: &EventStore, group: &str, position: u64) -> Pending {
    let answer = dead_letter::find(store, group, position);
    Pending::new(async { letters(answer.await?.into_iter().collect()) })
}

/// Changes a dead letter that is at a version; the answer is its new version.
pub(crate) fn change_dead_letter(
    py: Python<'_>,
    store: &EventStore,
    group: &str,
    json: &[u8],
    version: u64,
) -> PyResult<Pending> {
    let answer = dead_letter::change(store, group, &letter(py, json)?, version);
    Ok(Pending::new(async { answer.await.map(Outcome::Changed) }))
}

/// Removes a dead letter that is at a version.
pub(crate) fn discard_dead_letter(
    store: &EventStore,
    group: &str,
    position: u64,
    version: u64,
) -> Pending {
    let answer = dead_letter::discard(store, group, position, version);
    Pending::new(async { answer.await.map(|()| Outcome::Closed) })
}

/// Joins a group; the answer is its [`Member`].
pub(crate) fn join(
    store: &EventStore,
    (name, partitions, tag, at_end, lease, deadline, names): OptionsTuple,
    query: Query,
    limit: usize,
) -> Pending {
    let options = Options {
        name,
        partitions,
        tag,
        names,
        first: if at_end { First::End } else { First::Beginning },
        lease: Duration::from_secs_f64(lease),
        deadline: deadline.map(Duration::from_secs_f64),
    };
    let answer = group::Member::join(store, options, query, limit);
    Pending::new(async {
        let inner = answer.await?;
        Ok(Outcome::Made(Box::new(move |py| Ok(Py::new(py, Member { inner })?.into_any()))))
    })
}

/// Raises the number of partitions of a group.
pub(crate) fn repartition(store: &EventStore, name: &str, partitions: u32) -> Pending {
    let answer = group::repartition(store, name, partitions);
    Pending::new(async { answer.await.map(|()| Outcome::Closed) })
}

/// A member of a group, until it is dropped.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Member {
    inner: group::Member,
}

#[pymethods]
impl Member {
    /// The next partition to work through; None once it leaves.
    fn next(&self) -> Pending {
        let answer = self.inner.next();
        Pending::new(async {
            let held = answer.await?;
            Ok(Outcome::Made(Box::new(move |py| {
                Ok(held.map(|inner| Held { inner }).into_pyobject(py)?.into_any().unbind())
            })))
        })
    }

    /// Leaves, once everything is released.
    fn leave(&self) -> Pending {
        let answer = self.inner.leave();
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }

    /// How many partitions the group has.
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    /// How many members the group has; 0 before it has looked.
    fn members(&self) -> usize {
        self.inner.members()
    }

    /// Whether it owns its share, and the others have theirs.
    fn settled(&self) -> bool {
        self.inner.settled()
    }

    /// The numbers of the partitions that it owns.
    fn owned(&self) -> Vec<u32> {
        self.inner.owned()
    }

    /// Why it can't reach the store now, or None.
    fn failure(&self, py: Python<'_>) -> Option<PyErr> {
        self.inner.failure().map(|error| to_python(py, &error))
    }
}

/// A partition that a member owns.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Held {
    inner: Arc<group::Held>,
}

#[pymethods]
impl Held {
    /// Its number.
    #[getter]
    fn number(&self) -> u32 {
        self.inner.number()
    }

    /// What it is, where it is something of its own; None for a part of the log.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    /// The number of the key by which an event belongs to it.
    fn key_of(&self, py: Python<'_>, row: &Row) -> PyResult<u64> {
        self.inner.key_of(row.as_event()).map_err(|error| to_python(py, &error))
    }

    /// How often its owner has changed.
    #[getter]
    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    /// Whether its owner before may have ended in the middle of an event.
    #[getter]
    fn careful(&self) -> bool {
        self.inner.careful()
    }

    /// 0: it is owned; 1: it is to be released; 2: it is lost.
    #[getter]
    fn status(&self) -> u8 {
        self.inner.status() as u8
    }

    /// The position to go on from.
    fn begin(&self) -> Pending {
        let answer = self.inner.begin();
        Pending::new(async { answer.await.map(Outcome::Begun) })
    }

    /// The next page after a position; None once it is to be released, or lost.
    fn next(&self, after: u64, live: bool) -> Pending {
        let answer = self.inner.next(after, live);
        Pending::new(async { answer.await.map(Outcome::Followed) })
    }

    /// How far nothing concerns it, for whoever has handled everything and waits.
    fn seen(&self) -> u64 {
        self.inner.seen()
    }

    /// Takes the next event in hand; whether it may be handled. With `steps_in`, its handler runs on
    /// a thread that others share, until `steps_out` or `handled`.
    #[pyo3(signature = (steps_in=false))]
    fn take(&self, steps_in: bool) -> bool {
        self.inner.take(steps_in) == Status::Owned
    }

    /// Notes that the event in hand is handled; whether it is time to flush.
    fn handled(&self, py: Python<'_>, row: &Row) -> PyResult<bool> {
        let (position, event_id) = row.place();
        self.inner.handled(position, event_id).map_err(|error| to_python(py, &error))
    }

    /// Notes that no event is in hand any more.
    fn put_back(&self) {
        self.inner.put_back();
    }

    /// Notes that its handler runs on a thread that others share.
    fn steps_in(&self) {
        self.inner.steps_in();
    }

    /// Notes that its handler waits, or has ended.
    fn steps_out(&self) {
        self.inner.steps_out();
    }

    /// Notes that everything that matches up to a position is handled; whether it is time to flush.
    fn looked(&self, py: Python<'_>, position: u64) -> PyResult<bool> {
        self.inner.looked(position).map_err(|error| to_python(py, &error))
    }

    /// Writes down what is handled by now.
    fn flush(&self) -> Pending {
        let answer = self.inner.flush();
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }

    /// How often an event was tried by itself.
    fn tried(&self, position: u64) -> Pending {
        let answer = self.inner.tried(position);
        Pending::new(async { answer.await.map(made) })
    }

    /// Writes down that an event is tried by itself; how often it was now.
    fn attempt(&self, position: u64) -> Pending {
        let answer = self.inner.attempt(position);
        Pending::new(async { answer.await.map(made) })
    }

    /// Whether dead letters of it may have to be handled again, since this was asked last.
    fn is_asked(&self) -> bool {
        self.inner.is_asked()
    }

    /// The first dead letters of it that are to be handled again.
    fn wanted(&self, limit: usize) -> Pending {
        let answer = dead_letter::wanted(&self.inner, limit);
        Pending::new(async { letters(answer.await?) })
    }

    /// Whether a dead letter of a stream is left.
    fn holds(&self, aggregate_type: String, aggregate_id: String) -> Pending {
        let stream = (aggregate_type, aggregate_id);
        let answer = dead_letter::holds(self.inner.store(), self.inner.group(), &stream);
        Pending::new(async { answer.await.map(made) })
    }

    /// Gives an event up, as a dead letter, or changes one that is at a version; the answer is its
    /// new version.
    #[pyo3(signature = (json, version=None))]
    fn park(&self, py: Python<'_>, json: &[u8], version: Option<u64>) -> PyResult<Pending> {
        let answer = dead_letter::park(&self.inner, &letter(py, json)?, version);
        Ok(Pending::new(async { answer.await.map(Outcome::Changed) }))
    }

    /// Gives it away without waiting for that; whatever is in hand ended in the middle.
    fn abandon(&self) {
        self.inner.abandon();
    }

    /// Removes a dead letter that is at a version, and was handled.
    fn settle(&self, position: u64, version: u64) -> Pending {
        let answer = dead_letter::settle(&self.inner, position, version);
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }

    /// Gives it away; `crashed` in the middle of an event.
    fn release(&self, crashed: bool) -> Pending {
        let answer = self.inner.release(crashed);
        Pending::new(async { answer.await.map(|()| Outcome::Closed) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inner.abandon();
    }
}
