//! How much tenants have stored, and how much they may.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::name::check_tenant;

/// How much a tenant has stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Events.
    pub events: u64,
    /// Bytes of their payloads and metadata, as they are stored.
    pub bytes: u64,
    /// Streams that have events.
    pub streams: u64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            bytes: self.bytes.saturating_add(other.bytes),
            streams: self.streams.saturating_add(other.streams),
        }
    }
}

/// Whose usage, and of which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// Whose; none for each tenant that has events.
    pub tenant: Option<String>,
    /// Only events above this position.
    pub after: u64,
}

impl UsageQuery {
    /// Checks the name of the tenant.
    pub fn check(&self) -> Result<()> {
        self.tenant.as_deref().map_or(Ok(()), check_tenant)
    }
}

/// A part of an answer: what lies between the query's `after` and `looked_to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsagePage {
    /// By tenant. A stream counts where its first event lies.
    pub usages: BTreeMap<String, Usage>,
    /// Every event up to here is counted.
    pub looked_to: u64,
    /// Whether this was the end of what readers of the log may see.
    pub end: bool,
}

/// How much a tenant may store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// The most events; none for any number.
    pub events: Option<u64>,
    /// The most bytes of payloads and metadata; none for any number.
    pub bytes: Option<u64>,
}

/// A limit: its name, what it allows, what is used of it, and what is asked for.
pub type Exceeded = (&'static str, u64, u64, u64);

impl TenantLimits {
    /// The limit that `asked` would exceed beside `used`.
    #[must_use]
    pub fn exceeded(&self, used: Usage, asked: Usage) -> Option<Exceeded> {
        let each = [
            ("events", self.events, used.events, asked.events),
            ("bytes", self.bytes, used.bytes, asked.bytes),
        ];
        each.into_iter().find_map(|(name, allowed, used, asked)| {
            let allowed = allowed.filter(|allowed| used.saturating_add(asked) > *allowed)?;
            Some((name, allowed, used, asked))
        })
    }
}
