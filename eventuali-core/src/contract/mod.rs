//! The contract of the port, as tests: the same clauses for every backend.
//!
//! The author of a backend writes a [`Fixture`] and one line, `contract_tests!(name, fixture)`,
//! which becomes a test a clause: `name::commit::conflict_names_expected_and_actual`. What the
//! clauses promise is listed in [`CLAUSES`] and in `docs/reference/contract.md`.

#![allow(clippy::missing_panics_doc, reason = "a clause panics where the promise is broken")]

mod clauses;
mod given;
mod page;
mod patience;

// The sentence of each clause stands in the list (clauses.rs) and on the page, once.
#[doc(hidden)]
pub mod commit;
#[doc(hidden)]
pub mod conditions;
#[doc(hidden)]
pub mod fidelity;
#[doc(hidden)]
pub mod idempotency;
#[doc(hidden)]
pub mod inputs;
#[doc(hidden)]
pub mod isolation;
#[doc(hidden)]
pub mod lifecycle;
#[doc(hidden)]
pub mod limits;
#[doc(hidden)]
pub mod metadata;
#[doc(hidden)]
pub mod names;
#[doc(hidden)]
pub mod queries;
#[doc(hidden)]
pub mod read;
#[doc(hidden)]
pub mod records;
#[doc(hidden)]
pub mod selections;
#[doc(hidden)]
pub mod signals;
#[doc(hidden)]
pub mod statements;
#[doc(hidden)]
pub mod streams;
#[doc(hidden)]
pub mod tenants;
#[doc(hidden)]
pub mod texts;
#[doc(hidden)]
pub mod verify;
#[doc(hidden)]
pub mod versions;

use std::sync::Arc;

pub use clauses::CLAUSES;
pub use page::page;
pub use patience::block_on;

use crate::storage::{Answer, Storage};

/// Where the store of one clause lives. Each clause is given a fixture of its own, whose store is
/// empty at first.
pub trait Fixture: Send + Sync {
    /// Opens the store. Opened again, it holds what it held, even where the handle before was not
    /// closed. A store that is not durable loses everything once it is closed, and only then.
    fn open(&self) -> Answer<Arc<dyn Storage>>;
}

/// One sentence of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    /// The module of the clause, by what it is about.
    pub group: &'static str,
    /// The function that asserts it.
    pub name: &'static str,
    /// The promise of the port that it belongs to, 1 to 10.
    pub promise: u8,
    /// What must hold.
    pub sentence: &'static str,
}
