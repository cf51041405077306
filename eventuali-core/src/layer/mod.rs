//! What stands around a backend: each layer is a [`Storage`](crate::storage::Storage) over another
//! one, and keeps the whole contract.

#![deny(clippy::missing_trait_methods, reason = "a verb that is forgotten passes the layer by")]

pub mod all_tenants;
pub mod clock;
pub mod counter;
pub mod limits;
pub mod tenant;
