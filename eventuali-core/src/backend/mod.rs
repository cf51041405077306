//! The backends; each keeps every promise of the port, and none knows another.

pub mod memory;
pub mod postgres;
mod sql;
pub mod sqlite;
