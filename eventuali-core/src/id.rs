//! What streams and records are called, and what a writer believes of them: bare data, which an error
//! can name. What they may hold is checked where they belong, in [`crate::stream`] and
//! [`crate::record`].

use std::fmt;

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

/// The name of a record. Spaces keep features apart: `checkpoint`, `snapshot`, `outbox` …
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// Whose record.
    pub tenant: String,
    /// Of what sort.
    pub space: String,
    /// Which one.
    pub key: String,
}

impl RecordKey {
    /// A key of the default tenant.
    pub fn new(space: impl Into<String>, key: impl Into<String>) -> Self {
        Self { tenant: String::new(), space: space.into(), key: key.into() }
    }
}

/// What the writer believes about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRecord {
    /// Whatever it is.
    Any,
    /// There is none: never written, or deleted.
    Absent,
    /// It is there, at this version.
    Exact(u64),
    /// There is none, or its bytes lie below those that take their place.
    Rising,
}

impl ExpectedRecord {
    /// Whether a record at `version`, which is there or not, is as expected, as far as that says
    /// it; see `RecordChange::refuse`.
    #[must_use]
    pub fn holds(self, version: u64, present: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Absent | Self::Rising => !present,
            Self::Exact(expected) => present && version == expected,
        }
    }
}

impl fmt::Display for ExpectedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Absent => f.write_str("none"),
            Self::Rising => f.write_str("bytes below the new ones"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}
