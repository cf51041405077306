//! Eventuali's core: an event store with one port, [`storage::Storage`], and many backends.
//!
//! Levels, each importing only lower ones: the vocabulary ([`event`], [`stream`], [`query`],
//! [`commit`], [`record`], [`statement`], [`error`]), the port, the backends and the layers around them,
//! [`store::EventStore`], and what stands above it, in [`service`].

#![forbid(unsafe_code)]

pub mod backend;
mod checksum;
pub mod clock;
pub mod commit;
#[cfg(feature = "contract")]
pub mod contract;
pub mod error;
pub mod event;
pub mod id;
pub mod layer;
pub mod limits;
pub mod name;
pub mod query;
pub mod record;
pub mod service;
mod span;
pub mod statement;
pub mod storage;
pub mod store;
pub mod stream;
pub mod text;
pub mod url;
pub mod usage;
pub mod verify;
