//! Streams, and the whole vocabulary of optimistic concurrency.

use std::fmt;

use crate::error::Result;
use crate::name::{check_known_name, check_name, check_tenant};

/// The name of a stream: one aggregate of one type, of one tenant. Compared as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Whose stream it is; empty for the default tenant.
    pub tenant: String,
    /// The kind of aggregate, such as `Account`.
    pub aggregate_type: String,
    /// Which one; two types may use the same id.
    pub aggregate_id: String,
}

impl StreamId {
    /// A stream of the default tenant.
    pub fn new(aggregate_type: impl Into<String>, aggregate_id: impl Into<String>) -> Self {
        Self {
            tenant: String::new(),
            aggregate_type: aggregate_type.into(),
            aggregate_id: aggregate_id.into(),
        }
    }

    /// The same stream, of `tenant`.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Where the events of `tenant` lie that belong to no stream.
    #[must_use]
    pub fn none(tenant: &str) -> Self {
        Self::new("", "").with_tenant(tenant)
    }

    /// Whether this stands for "no stream": such events have version 0.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.aggregate_type.is_empty() && self.aggregate_id.is_empty()
    }

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

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.aggregate_id)
    }
}

/// What the writer believes about a stream. Versions are 1, 2, 3 …; a stream without events is at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Whatever it is.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The stream is at exactly this version; 0 is the same as [`ExpectedVersion::NoStream`].
    Exact(u64),
}

impl ExpectedVersion {
    /// Whether a stream at version `actual` is as expected.
    #[must_use]
    pub fn holds(self, actual: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == 0,
            Self::StreamExists => actual > 0,
            Self::Exact(version) => actual == version,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream | Self::Exact(0) => f.write_str("no stream"),
            Self::StreamExists => f.write_str("an existing stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
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
