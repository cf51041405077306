//! What `os.register_at_fork` takes.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use eventuali_core::backend::sqlite::fork;
use pyo3::prelude::*;

/// How many forks lie between the process that was started and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Tells a child from its parent, at less than the price of a system call.
pub(crate) fn generation() -> u32 {
    FORKS.load(Relaxed)
}

/// Waits until no thread is inside SQLite, and keeps them outside; five seconds at most.
///
/// Other Python threads run meanwhile, so that none that holds a lock is waited for.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(fork::before);
}

/// Lets the threads of the parent go on.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    fork::after_in_parent();
}

/// Lets the threads of the child begin.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    FORKS.fetch_add(1, Relaxed);
    fork::after_in_child();
}
