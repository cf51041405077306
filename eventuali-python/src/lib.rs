//! The extension module: convert, call, convert.

mod clock;
mod convert;
mod error;
mod flat;
mod fork;
mod group;
mod postgres;
mod projection;
mod runtime;
mod slot;
mod snapshot;
mod statement;
mod store;
mod subscription;

use pyo3::prelude::*;

/// The engine behind `eventuali.EventStore`.
#[pymodule]
mod _eventuali {
    #[pymodule_export]
    use super::clock::SetClock;
    #[pymodule_export]
    use super::convert::{Kind, Page, Row, build_metadata_with};
    #[pymodule_export]
    use super::flat::FlatName;
    #[pymodule_export]
    use super::fork::{after_fork_in_child, after_fork_in_parent, before_fork};
    #[pymodule_export]
    use super::group::{Held, Member};
    #[pymodule_export]
    use super::postgres::Postgres;
    #[pymodule_export]
    use super::projection::{Projection, Words};
    #[pymodule_export]
    use super::runtime::{Mailbox, Pending};
    #[pymodule_export]
    use super::slot::applied_in_order;
    #[pymodule_export]
    use super::snapshot::Snapshots;
    #[pymodule_export]
    use super::store::Store;
    #[pymodule_export]
    use super::subscription::{Checkpoint, Subscription};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "it is Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
