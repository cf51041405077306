//! Streams: what a name may be, and how they are listed.

use crate::error::Result;
pub use crate::id::{ExpectedVersion, StreamId};
use crate::name::{check_known_name, check_name, check_tenant};

impl StreamId {
    /// Checks all three parts; "no stream" passes.
    pub fn check(&self) -> Result<()> {
        check_tenant(&self.tenant)?;
        if self.is_none() {
            return Ok(());
        }
        check_name("aggregate_type", &self.aggregate_type)?;
        check_name("aggregate_id", &self.aggregate_id)
    }
}

/// A stream as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub stream: StreamId,
    /// The version of its last event.
    pub version: u64,
    /// The position of its last event.
    pub last_position: u64,
}

/// Which streams to list, in the order of (type, id).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamSelection {
    /// Whose.
    pub tenant: String,
    /// Only this type.
    pub aggregate_type: Option<String>,
    /// Only this id, of whatever type.
    pub aggregate_id: Option<String>,
}

impl StreamSelection {
    /// Checks every name in it.
    pub fn check(&self) -> Result<()> {
        check_tenant(&self.tenant)?;
        if let Some(name) = &self.aggregate_type {
            check_known_name("aggregate_type", name)?;
        }
        if let Some(name) = &self.aggregate_id {
            check_known_name("aggregate_id", name)?;
        }
        Ok(())
    }
}

/// One page of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPage {
    /// The streams, in the order of (type, id) as bytes.
    pub streams: Vec<StreamInfo>,
    /// The (type, id) to continue after; `None` where nothing is left.
    pub next: Option<(String, String)>,
}
