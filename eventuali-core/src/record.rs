//! Records: small versioned documents that are committed together with events.

use std::sync::LazyLock;

use std::cmp::Ordering;

use uuid::Uuid;

use crate::error::{Error, Result};
pub use crate::id::{ExpectedRecord, RecordKey};
use crate::limits::Limits;
use crate::name::{check_known_name, check_name, check_tenant};
use crate::text::{TextQuery, Words};

impl RecordKey {
    /// Checks all three parts.
    pub fn check(&self) -> Result<()> {
        check_tenant(&self.tenant)?;
        check_name("space", &self.space)?;
        check_name("key", &self.key)
    }
}

/// A value that records can be found by and sorted by: integers before reals before texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// An integer.
    Int(i64),
    /// A finite number.
    Real(f64),
    /// A text, sorted by its bytes.
    Text(String),
}

impl Scalar {
    /// Integers, reals and texts never mix: 0, 1 or 2.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Int(_) => 0,
            Self::Real(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl Eq for Scalar {}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// A change to one record. Each adds one to its version, which never restarts.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordChange {
    /// Which record.
    pub key: RecordKey,
    /// What must hold.
    pub expected: ExpectedRecord,
    /// What it becomes; `None` deletes it.
    pub value: Option<RecordValue>,
}

/// "This record exists, and is at this version": a condition that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordCheck {
    /// Which record.
    pub key: RecordKey,
    /// The version that it must be at.
    pub version: u64,
}

impl RecordCheck {
    /// Why it does not hold of a record at `actual`, which is 0 where none of this key was ever
    /// written, and which is there or deleted.
    #[must_use]
    pub fn refuse(&self, actual: u64, present: bool) -> Option<Error> {
        let expected = ExpectedRecord::Exact(self.version);
        let holds = expected.holds(actual, present);
        (!holds).then(|| Error::record_conflict(&self.key, expected, actual))
    }
}

/// What a record holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordValue {
    /// The document.
    pub bytes: Vec<u8>,
    /// When it is due, µs since 1970 UTC by the store's clock.
    pub due: Option<i64>,
    /// What it can be found by: names with a value each; a name may stand several times. A set:
    /// it is read back in the order of (name, value), each pair once.
    pub index: Vec<(String, Scalar)>,
    /// The words that it can be found by, where the backend can do that. They are not read back.
    pub text: Option<Words>,
}

impl RecordChange {
    /// Writes `bytes` under `key`, whatever was there.
    #[must_use]
    pub fn put(key: RecordKey, bytes: impl Into<Vec<u8>>) -> Self {
        let value = RecordValue { bytes: bytes.into(), ..RecordValue::default() };
        Self { key, expected: ExpectedRecord::Any, value: Some(value) }
    }

    /// Deletes what is under `key`.
    #[must_use]
    pub fn delete(key: RecordKey) -> Self {
        Self { key, expected: ExpectedRecord::Any, value: None }
    }

    /// The same change, on condition of `expected`.
    #[must_use]
    pub fn expecting(mut self, expected: ExpectedRecord) -> Self {
        self.expected = expected;
        self
    }

    /// Why it can't be made to a record at `actual`, which is 0 where none of this key was ever
    /// written, and which is there, with these bytes, or not. The bytes count only for
    /// [`ExpectedRecord::Rising`].
    #[must_use]
    pub fn refuse(&self, actual: u64, present: bool, bytes: Option<&[u8]>) -> Option<Error> {
        let rises = || {
            let (old, new) = (bytes?, self.value.as_ref()?);
            Some(old < new.bytes.as_slice())
        };
        let holds = self.expected.holds(actual, present)
            || (self.expected == ExpectedRecord::Rising && rises() == Some(true));
        (!holds).then(|| Error::record_conflict(&self.key, self.expected, actual))
    }

    /// Checks its names and sizes.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        self.key.check()?;
        let Some(value) = &self.value else {
            if self.expected == ExpectedRecord::Rising {
                let text = "a record that is deleted can't be expected to rise";
                return Err(Error::invalid("expected", text));
            }
            return Ok(());
        };
        if value.bytes.len() > limits.record_bytes {
            return Err(Error::too_large("record", value.bytes.len(), limits.record_bytes));
        }
        if value.index.len() > limits.record_index_entries {
            return Err(Error::too_large(
                "index entries",
                value.index.len(),
                limits.record_index_entries,
            ));
        }
        if let Some(text) = &value.text
            && text.len() > limits.record_text_bytes
        {
            return Err(Error::too_large("text", text.len(), limits.record_text_bytes));
        }
        for (name, scalar) in &value.index {
            check_name("index", name)?;
            match scalar {
                Scalar::Real(number) if !number.is_finite() => {
                    return Err(Error::invalid("index", format!("index {name:?} is not finite")));
                }
                Scalar::Text(text) if text.len() > limits.index_text_bytes => {
                    return Err(Error::too_large(
                        "index text",
                        text.len(),
                        limits.index_text_bytes,
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds all of it to `bytes`, each part behind its length.
    pub(crate) fn digest_into(&self, bytes: &mut Vec<u8>) {
        let mut part = |given: &[u8]| {
            bytes.extend_from_slice(&(given.len() as u64).to_le_bytes());
            bytes.extend_from_slice(given);
        };
        for name in [&self.key.tenant, &self.key.space, &self.key.key] {
            part(name.as_bytes());
        }
        part(self.expected.to_string().as_bytes());
        let Some(value) = &self.value else { return part(b"deleted") };
        part(&value.bytes);
        part(&value.due.map_or(Vec::new(), |due| due.to_le_bytes().to_vec()));
        for (name, scalar) in &value.index {
            part(name.as_bytes());
            part(&[scalar.rank()]);
            match scalar {
                Scalar::Int(number) => part(&number.to_le_bytes()),
                Scalar::Real(number) => part(&number.to_le_bytes()),
                Scalar::Text(text) => part(text.as_bytes()),
            }
        }
        if let Some(text) = &value.text {
            part(text.as_str().as_bytes());
        }
    }

    /// How many bytes it adds to a commit.
    #[must_use]
    pub fn size(&self) -> usize {
        let Some(value) = &self.value else { return 0 };
        value.bytes.len() + value.text.as_ref().map_or(0, Words::len)
    }
}

/// A record as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its name.
    pub key: RecordKey,
    /// How often it was changed, deletions included.
    pub version: u64,
    /// What it holds.
    pub value: RecordValue,
    /// The commit that wrote it.
    pub commit_id: Uuid,
}

/// Records that nobody reads or writes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPurge {
    /// Whose.
    pub tenant: String,
    /// Of what sort.
    pub space: String,
    /// How many at the most, 1 … [`MAX_PURGE`].
    pub most: usize,
}

impl RecordPurge {
    /// Checks its names, and that it purges some.
    pub fn check(&self) -> Result<()> {
        check_tenant(&self.tenant)?;
        check_known_name("space", &self.space)?;
        if self.most == 0 {
            return Err(Error::invalid("most", "a purge of 0 records never ends"));
        }
        Ok(())
    }

    /// How many it purges at the most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.most.min(MAX_PURGE)
    }
}

/// The most records that are purged at a time: other writers wait meanwhile.
pub const MAX_PURGE: usize = 1000;

/// The most keys that a query of records may name.
pub const MAX_RECORD_KEYS: usize = 1000;

/// Which records, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordQuery {
    /// Whose.
    pub tenant: String,
    /// Of what sort.
    pub space: String,
    /// Which of them.
    pub select: RecordSelection,
    /// Whether from the last to the first.
    pub backwards: bool,
    /// Whether their entries in the index are wanted, too; without them, a page is faster.
    pub entries: bool,
    /// Whether their bytes are wanted, too; without them, a page holds names, however large they are.
    pub bytes: bool,
}

/// How records are chosen; each choice has its order.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordSelection {
    /// Those with these keys, in the order of the key.
    Keys(Vec<String>),
    /// Those whose key begins with this, in the order of the key.
    Prefix(String),
    /// Those with an entry of this name from one value to another (both included), in the order
    /// of (value, key). A record with several such entries stands there several times.
    Index {
        /// The entry's name.
        name: String,
        /// The least value.
        from: Option<Scalar>,
        /// The greatest value.
        to: Option<Scalar>,
    },
    /// Those that are due by this time, or by the store's clock, in the order of (due, key).
    Due {
        /// µs since 1970 UTC; `None` is now.
        until: Option<i64>,
    },
    /// Those whose text fits a query, best first, and those that fit as well in the order of the
    /// key. How well one fits changes with the others, so there is one page, which has no `next`.
    Text(TextQuery),
}

impl RecordQuery {
    /// Records of a space, from the first to the last, with their entries and bytes.
    pub fn new(space: impl Into<String>, select: RecordSelection) -> Self {
        let space = space.into();
        Self { tenant: String::new(), space, select, backwards: false, entries: true, bytes: true }
    }

    /// Checks its names.
    pub fn check(&self) -> Result<()> {
        check_tenant(&self.tenant)?;
        check_known_name("space", &self.space)?;
        match &self.select {
            RecordSelection::Keys(keys) if keys.len() > MAX_RECORD_KEYS => {
                Err(Error::too_large("keys", keys.len(), MAX_RECORD_KEYS))
            }
            RecordSelection::Index { name, .. } => check_known_name("index", name),
            RecordSelection::Text(_) if self.backwards => {
                Err(Error::invalid("backwards", "a search begins with what fits best"))
            }
            _ => Ok(()),
        }
    }

    /// Checks where a page is to begin.
    pub fn check_after(&self, after: Option<&RecordCursor>) -> Result<()> {
        match (&self.select, after) {
            (RecordSelection::Text(_), Some(_)) => {
                Err(Error::invalid("after", "a search has one page"))
            }
            _ => Ok(()),
        }
    }
}

/// Above every key: it is longer than one may be, and begins with the last character.
pub(crate) static ABOVE_KEYS: LazyLock<String> = LazyLock::new(|| "\u{10ffff}".repeat(64));

/// Where a page of records ended: what it was sorted by, and the key.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordCursor {
    /// The value it was sorted by, where that is not the key itself.
    pub value: Option<Scalar>,
    /// The key.
    pub key: String,
}

/// One page of records.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordPage {
    /// The records, in the order of the query.
    pub records: Vec<Record>,
    /// Where to continue; `None` where nothing is left.
    pub next: Option<RecordCursor>,
}
