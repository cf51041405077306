//! Eventuali's core: an event store with one port, [`storage::Storage`], and many backends.
//!
//! Levels, each importing only lower ones: the vocabulary ([`event`], [`stream`], [`query`],
//! [`commit`], [`record`], [`error`]), the port, the backends, [`store::EventStore`], and what
//! stands above it, [`subscription`] and [`checkpoint`].

#![forbid(unsafe_code)]

pub mod backend;
pub mod checkpoint;
mod checksum;
pub mod clock;
pub mod commit;
#[cfg(feature = "contract")]
pub mod contract;
pub mod error;
pub mod event;
pub mod id;
pub mod limits;
pub mod name;
pub mod query;
pub mod record;
mod span;
pub mod storage;
pub mod store;
pub mod stream;
pub mod subscription;
pub mod url;
pub mod verify;
