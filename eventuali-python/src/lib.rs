//! The extension module: convert, call, convert.

mod convert;
mod error;
mod runtime;
mod store;

use pyo3::prelude::*;

/// The engine behind `eventuali.EventStore`.
#[pymodule]
mod _eventuali {
    #[pymodule_export]
    use super::convert::{Kind, Page, Row};
    #[pymodule_export]
    use super::runtime::{Mailbox, Pending};
    #[pymodule_export]
    use super::store::Store;
}
