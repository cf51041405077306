//! The one error type: a kind that callers match, a context for people, and the source.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::id::{ExpectedRecord, ExpectedVersion, RecordKey, StreamId};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the facts that a caller can act on.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorKind {
    /// A stream was not at the version that the commit expected.
    Conflict {
        /// The stream that was in the way.
        stream: Arc<StreamId>,
        /// What the commit expected.
        expected: ExpectedVersion,
        /// The version in the store; 0 where the stream does not exist.
        actual: u64,
    },
    /// An event matches the query of an append condition, after its position.
    ConditionFailed {
        /// The position after which nothing was to match.
        after: u64,
        /// The position of the first event that matches.
        position: u64,
    },
    /// A record was not at the version that the commit expected.
    RecordConflict {
        /// The record that was in the way.
        key: RecordKey,
        /// What the commit expected.
        expected: ExpectedRecord,
        /// The version in the store; 0 where no record of this key was ever written.
        actual: u64,
    },
    /// The checkpoint of a follower does not fit the log, or somebody else moved it.
    CheckpointMismatch {
        /// The name under which it is followed.
        name: String,
        /// The position of the checkpoint.
        position: u64,
        /// The event that it stands on.
        event_id: Uuid,
    },
    /// A position of another log is not above the one that is stored.
    TrackingConflict {
        /// What the other log is called.
        name: String,
        /// The position that was to be stored.
        position: u64,
        /// The one that is.
        stored: u64,
    },
    /// A projection can't go on: a newer version is live, or a read model is another one's.
    Projection,
    /// Some of a commit's event ids are stored already, or with other content.
    IdempotencyConflict {
        /// The ids that are stored.
        event_ids: Vec<Uuid>,
    },
    /// The write may or may not have happened; repeating it settles which.
    OutcomeUnknown {
        /// The ids of the commit's events.
        event_ids: Vec<Uuid>,
    },
    /// The store was closed.
    Closed,
    /// The store was opened by the parent of this process.
    Forked,
    /// Another process holds the lock; trying again can succeed.
    Busy,
    /// The storage cannot be reached, or a write failed and the store must be opened anew.
    Unavailable,
    /// A commit would take a tenant beyond one of its limits.
    TenantLimit {
        /// The tenant.
        tenant: String,
        /// Which limit: `events` or `bytes`.
        limit: &'static str,
        /// The most that is allowed.
        allowed: u64,
        /// What is stored or on its way.
        used: u64,
        /// What the commit would add.
        asked: u64,
    },
    /// What was asked for is not this tenant's: another tenant, or what is of all of them.
    TenantAccess {
        /// Whose store was asked.
        tenant: String,
    },
    /// The database refused what it was asked for, and would again: a trigger, a constraint.
    Refused,
    /// The database refused a statement of the commit, and would again.
    Statement {
        /// Which of them; none where it was a constraint that is checked behind all of them.
        index: Option<usize>,
        /// Its SQL; empty where none is to blame.
        sql: String,
    },
    /// No space is left; reads go on, and writes resume once there is space.
    Full,
    /// Stored bytes are not what was written.
    Corrupted {
        /// The position of the damaged event, where one is known.
        position: Option<u64>,
    },
    /// The database holds something else, or a newer format.
    SchemaMismatch,
    /// The caller gave something that no store accepts.
    Invalid {
        /// The argument at fault, such as `aggregate_id` or `tags`.
        field: &'static str,
    },
    /// Something exceeds a limit of [`crate::limits::Limits`].
    TooLarge {
        /// What is too large: `payload`, `headers`, `user_id`, `commit` or `record` in bytes,
        /// `events`, `streams`, `conditions`, `records`, `statements`, `keys`, `tags`, `query
        /// items`, `query terms`, `query words` or `index entries` in number.
        what: &'static str,
        /// Its size, in the unit of the limit.
        size: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// A URL or an option is wrong.
    Configuration,
}

/// An error with its [`ErrorKind`], a sentence of context, and what caused it.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Box<ErrorKind>,
    context: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`, described by `context`.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind: Box::new(kind), context: context.into(), source: None }
    }

    /// An [`ErrorKind::Invalid`] that names the argument at fault.
    pub fn invalid(field: &'static str, context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid { field }, context)
    }

    /// An [`ErrorKind::TooLarge`].
    #[must_use]
    pub fn too_large(what: &'static str, size: usize, limit: usize) -> Self {
        let unit = match what {
            "events" | "streams" | "conditions" | "records" | "statements" | "keys" | "tags"
            | "query items" | "query terms" | "query words" | "index entries" => "",
            _ => " bytes",
        };
        let text = format!("{what}: {size}{unit}, and the limit is {limit}{unit}");
        Self::new(ErrorKind::TooLarge { what, size, limit }, text)
    }

    /// An [`ErrorKind::Conflict`].
    #[must_use]
    pub fn conflict(stream: &Arc<StreamId>, expected: ExpectedVersion, actual: u64) -> Self {
        let text = format!("stream {stream} is at version {actual}, expected {expected}");
        Self::new(ErrorKind::Conflict { stream: Arc::clone(stream), expected, actual }, text)
    }

    /// An [`ErrorKind::ConditionFailed`].
    #[must_use]
    pub fn condition_failed(after: u64, position: u64) -> Self {
        let text =
            format!("the event at position {position} matches the append condition after {after}");
        Self::new(ErrorKind::ConditionFailed { after, position }, text)
    }

    /// An [`ErrorKind::RecordConflict`].
    #[must_use]
    pub fn record_conflict(key: &RecordKey, expected: ExpectedRecord, actual: u64) -> Self {
        let text = format!("record {:?} is at version {actual}, expected {expected}", key.key);
        Self::new(ErrorKind::RecordConflict { key: key.clone(), expected, actual }, text)
    }

    /// An [`ErrorKind::Statement`]: what the database says of one of a commit's statements.
    pub fn statement(index: usize, sql: impl Into<String>, context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Statement { index: Some(index), sql: sql.into() }, context)
    }

    /// The refusal of a store that carries no statements out.
    #[must_use]
    pub fn without_sql(whose: &str) -> Self {
        Self::invalid("statements", format!("{whose} can't carry out SQL statements in a commit"))
    }

    /// An [`ErrorKind::TenantLimit`]: the limit's name, what it allows, what is used, what is asked for.
    #[must_use]
    pub fn tenant_limit(
        tenant: &str,
        (limit, allowed, used, asked): (&'static str, u64, u64, u64),
    ) -> Self {
        let text = format!(
            "tenant {tenant:?} may store {allowed} {limit}; {used} are stored, and the commit would \
             add {asked}"
        );
        let tenant = tenant.to_owned();
        Self::new(ErrorKind::TenantLimit { tenant, limit, allowed, used, asked }, text)
    }

    /// An [`ErrorKind::TenantAccess`]: whose store was asked, and what for.
    #[must_use]
    pub fn tenant_access(tenant: &str, what: &str) -> Self {
        let text = format!("the store of tenant {tenant:?} gives no access to {what}");
        Self::new(ErrorKind::TenantAccess { tenant: tenant.to_owned() }, text)
    }

    /// An [`ErrorKind::IdempotencyConflict`].
    #[must_use]
    pub fn idempotency_conflict(event_ids: Vec<Uuid>) -> Self {
        let text = format!(
            "{} of the commit's event ids are already stored: with other content, in another \
             order, or without its other events; use new events for new facts",
            event_ids.len()
        );
        Self::new(ErrorKind::IdempotencyConflict { event_ids }, text)
    }

    /// An [`ErrorKind::OutcomeUnknown`].
    #[must_use]
    pub fn outcome_unknown(event_ids: Vec<Uuid>) -> Self {
        let text = "the storage failed while the commit was written; repeat it to learn whether it is stored";
        Self::new(ErrorKind::OutcomeUnknown { event_ids }, text)
    }

    /// The error that every call after `close()` gives.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the store is closed")
    }

    /// The same error, with what it is about before its text.
    #[must_use]
    pub fn of(mut self, subject: &str) -> Self {
        self.context = format!("{subject}: {}", self.context);
        self
    }

    /// The same error, with what caused it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Whether a commit was refused because a record was at another version.
    pub(crate) fn is_record_conflict(&self) -> bool {
        matches!(*self.kind, ErrorKind::RecordConflict { .. })
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
