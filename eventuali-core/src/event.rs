//! Events: as they are given, as they are stored, and pages of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::checksum::Checksum;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::name::{check_event_type, check_name};
use crate::stream::StreamId;

/// What an event is and how its payload was made; few of these exist, and events share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventKind {
    /// The wire name, such as `OrderPlaced`; never a path of code.
    pub event_type: String,
    /// The version of its schema, from 1.
    pub event_version: u32,
    /// The codec chain that made the payload bytes, such as `json`.
    pub codec: String,
}

impl EventKind {
    /// A kind of event whose payload is JSON.
    pub fn json(event_type: impl Into<String>, event_version: u32) -> Self {
        Self { event_type: event_type.into(), event_version, codec: "json".to_owned() }
    }

    /// Checks its names.
    pub fn check(&self) -> Result<()> {
        check_event_type(&self.event_type)?;
        if self.event_version == 0 {
            return Err(Error::invalid("event_version", "event_version must be at least 1"));
        }
        check_name("codec", &self.codec)
    }
}

/// An id that came from elsewhere: either a UUID or any text, given back as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A UUID, such as the id of the event that caused this one.
    Uuid(Uuid),
    /// Any other id, such as a trace id.
    Text(String),
}

impl Reference {
    /// Whether both are written alike.
    #[must_use]
    pub fn same_text(&self, other: &Self) -> bool {
        self == other || self.to_string() == other.to_string()
    }

    /// Checks the text as a name; a UUID always passes.
    pub fn check(&self, field: &'static str) -> Result<()> {
        match self {
            Self::Uuid(_) => Ok(()),
            Self::Text(text) => check_name(field, text),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(id) => id.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What is known about an event beside its payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Which conversation it belongs to.
    pub correlation_id: Option<Reference>,
    /// What caused it.
    pub causation_id: Option<Reference>,
    /// Who did it.
    pub user_id: Option<String>,
    /// Anything else, in the order in which it was given.
    pub headers: Vec<(String, String)>,
    /// What the event is about, for queries and append conditions.
    pub tags: Vec<String>,
}

/// The stored form of [`Metadata`]: JSON that people can query by hand. A reference that reads
/// like a UUID is one, unless `text` lists its field.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StoredMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    text: Vec<String>,
}

/// The part of [`StoredMetadata`] that events are found by.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Found {
    tags: Vec<String>,
    user_id: Option<String>,
}

impl Found {
    fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(Metadata::damaged)
    }
}

/// How many characters of a user id an index has: others may share them.
const USER_KEY: usize = 200;

/// What an index has of a user id: how it begins. A NUL, which not every database takes, stands
/// there as the next character; the SQL of the backends says the same.
pub(crate) fn user_key(user: &str) -> String {
    let begins = |user: &str| user.chars().take(USER_KEY).collect();
    if !user.contains('\0') && !user.contains("\\u0000") {
        return begins(user);
    }
    let written = serde_json::Value::from(user).to_string().replace("\\u0000", "\\u0001");
    begins(&serde_json::from_str::<String>(&written).unwrap_or_default())
}

/// Under what an index of tags has the events of a user: no tag begins so.
pub(crate) fn user_term(user: &str) -> String {
    format!("$user:{}", user_key(user))
}

impl Metadata {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The bytes under which it is stored; none where it is empty.
    pub fn encode(&self) -> Result<Vec<u8>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = Vec::new();
        let mut plain = |field: &str, reference: &Option<Reference>| {
            let written = reference.as_ref()?.to_string();
            let is_text = matches!(reference, Some(Reference::Text(_)));
            if is_text && canonical_uuid(&written).is_some() {
                text.push(field.to_owned());
            }
            Some(written)
        };
        let stored = StoredMetadata {
            correlation_id: plain("correlation_id", &self.correlation_id),
            causation_id: plain("causation_id", &self.causation_id),
            user_id: self.user_id.clone(),
            headers: self.headers.clone(),
            tags: self.tags.clone(),
            text,
        };
        serde_json::to_vec(&stored)
            .map_err(|e| Error::invalid("headers", "metadata cannot be encoded").with_source(e))
    }

    /// The tags in what [`Metadata::encode`] made, and nothing else of it.
    pub fn decode_tags(bytes: &[u8]) -> Result<Vec<String>> {
        Found::decode(bytes).map(|found| found.tags)
    }

    /// What an index of tags and users has of what [`Metadata::encode`] made: see [`user_term`].
    pub(crate) fn decode_terms(bytes: &[u8]) -> Result<Vec<String>> {
        let Found { mut tags, user_id } = Found::decode(bytes)?;
        tags.extend(user_id.as_deref().map(user_term));
        Ok(tags)
    }

    pub(crate) fn damaged(error: serde_json::Error) -> Error {
        let text =
            "the metadata can't be read: a newer version of Eventuali wrote it, or it is damaged";
        Error::new(ErrorKind::Corrupted { position: None }, text).with_source(error)
    }

    /// What [`Metadata::encode`] made `bytes` from.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let stored: StoredMetadata = serde_json::from_slice(bytes).map_err(Self::damaged)?;
        let typed = |field: &str, written: Option<String>| {
            let written = written?;
            let id = canonical_uuid(&written).filter(|_| !stored.text.iter().any(|t| t == field));
            Some(id.map_or(Reference::Text(written), Reference::Uuid))
        };
        Ok(Self {
            correlation_id: typed("correlation_id", stored.correlation_id),
            causation_id: typed("causation_id", stored.causation_id),
            user_id: stored.user_id,
            headers: stored.headers,
            tags: stored.tags,
        })
    }

    /// A part of what [`Metadata::encode`] makes of every metadata with this correlation id.
    #[must_use]
    pub fn correlation_text(correlation_id: &Reference) -> String {
        let id = serde_json::Value::String(correlation_id.to_string());
        format!("\"correlation_id\":{id}")
    }

    /// How many bytes it adds to a commit.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let tags: usize = self.tags.iter().map(String::len).sum();
        headers + tags + self.user_id.as_ref().map_or(0, String::len)
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        if let Some(reference) = &self.correlation_id {
            reference.check("correlation_id")?;
        }
        if let Some(reference) = &self.causation_id {
            reference.check("causation_id")?;
        }
        if let Some(user) = &self.user_id
            && user.len() > limits.headers_bytes
        {
            return Err(Error::too_large("user_id", user.len(), limits.headers_bytes));
        }
        let size = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > limits.headers_bytes {
            return Err(Error::too_large("headers", size, limits.headers_bytes));
        }
        if self.tags.len() > limits.event_tags {
            return Err(Error::too_large("tags", self.tags.len(), limits.event_tags));
        }
        self.tags.iter().try_for_each(|tag| check_name("tags", tag))
    }
}

fn canonical_uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().to_string() == text).then_some(id)
}

/// An event on its way into a store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Made once and kept for ever; the identity by which a write is repeated.
    pub event_id: Uuid,
    /// What it is.
    pub kind: Arc<EventKind>,
    /// When it happened, µs since 1970 UTC.
    pub timestamp: i64,
    /// What is known about it; `None` is the same as an empty one.
    pub metadata: Option<Box<Metadata>>,
    /// The bytes that come back as they are.
    pub payload: Vec<u8>,
}

impl NewEvent {
    /// An event of `kind` that happens now, under a new id.
    #[must_use]
    pub fn new(kind: Arc<EventKind>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            event_id: crate::clock::new_id(),
            kind,
            timestamp: crate::clock::now(),
            metadata: None,
            payload: payload.into(),
        }
    }

    /// The same event, with metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = (!metadata.is_empty()).then(|| Box::new(metadata));
        self
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        self.metadata.as_ref().map_or(&[], |metadata| &metadata.tags)
    }

    /// Who did it.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.metadata.as_ref().and_then(|metadata| metadata.user_id.as_deref())
    }

    /// How many bytes it adds to a commit.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.len() + self.metadata.as_ref().map_or(0, |metadata| metadata.size())
    }

    /// Checks its names and sizes.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        self.kind.check()?;
        self.check_own(limits)
    }

    /// Checks what it does not share with other events of its kind.
    pub(crate) fn check_own(&self, limits: &Limits) -> Result<()> {
        if self.event_id.is_nil() {
            return Err(Error::invalid("event_id", "event_id must not be the nil UUID"));
        }
        self.check_sizes(limits).map_err(|error| error.of(&self.kind.event_type))
    }

    fn check_sizes(&self, limits: &Limits) -> Result<()> {
        limits.check_payload(self.payload.len())?;
        self.metadata.as_ref().map_or(Ok(()), |metadata| metadata.check(limits))
    }
}

/// An event as a store keeps it, without payload and metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHead {
    /// Its place in the log: rising, unique for ever, with holes.
    pub position: u64,
    /// Its identity.
    pub event_id: Uuid,
    /// The stream it belongs to.
    pub stream: Arc<StreamId>,
    /// Its number in the stream: 1, 2, 3 …; 0 for an event without a stream.
    pub version: u64,
    /// What it is.
    pub kind: Arc<EventKind>,
    /// When it happened, µs since 1970 UTC.
    pub timestamp: i64,
    /// When it was stored, by the store's clock, µs since 1970 UTC; never falling.
    pub recorded_at: i64,
}

impl EventHead {
    /// The CRC32C (RFC 3720) over everything that is stored of the event.
    #[must_use]
    pub fn checksum(&self, metadata: &[u8], payload: &[u8]) -> u32 {
        let mut sum = Checksum::new();
        sum.add(&self.position.to_le_bytes());
        sum.add(&self.version.to_le_bytes());
        sum.add(&self.timestamp.to_le_bytes());
        sum.add(&self.recorded_at.to_le_bytes());
        sum.add(self.event_id.as_bytes());
        sum.add(&self.kind.event_version.to_le_bytes());
        sum.add(&(metadata.len() as u32).to_le_bytes());
        for name in [
            &self.stream.tenant,
            &self.stream.aggregate_type,
            &self.stream.aggregate_id,
            &self.kind.event_type,
            &self.kind.codec,
        ] {
            sum.add(&[name.len() as u8]);
            sum.add(name.as_bytes());
        }
        sum.add(metadata);
        sum.add(payload);
        sum.value()
    }

    /// The error for an event whose checksum is wrong.
    #[must_use]
    pub fn corrupted(position: u64) -> Error {
        Error::new(
            ErrorKind::Corrupted { position: Some(position) },
            format!("the event at position {position} differs from what was written"),
        )
    }
}

/// A stored event, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Everything but payload and metadata.
    pub head: EventHead,
    /// What is known about it.
    pub metadata: Metadata,
    /// The bytes that were given.
    pub payload: Vec<u8>,
}

/// A stored event that lies on a page.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// Everything but payload and metadata.
    pub head: &'a EventHead,
    /// The stored form of the metadata; see [`Metadata::decode`].
    pub metadata_bytes: &'a [u8],
    /// The bytes that were given.
    pub payload: &'a [u8],
}

impl EventRef<'_> {
    /// The metadata, decoded.
    pub fn metadata(&self) -> Result<Metadata> {
        Metadata::decode(self.metadata_bytes).map_err(|error| self.blamed(error))
    }

    /// The tags, and nothing else of the metadata.
    pub fn tags(&self) -> Result<Vec<String>> {
        Metadata::decode_tags(self.metadata_bytes).map_err(|error| self.blamed(error))
    }

    /// What an index of tags and users has of it.
    pub(crate) fn terms(&self) -> Result<Vec<String>> {
        Metadata::decode_terms(self.metadata_bytes).map_err(|error| self.blamed(error))
    }

    /// The same error, of this event.
    fn blamed(&self, error: Error) -> Error {
        let position = self.head.position;
        let text = format!("the event at position {position}: {error}");
        Error::new(ErrorKind::Corrupted { position: Some(position) }, text).with_source(error)
    }

    /// A copy that outlives the page.
    pub fn to_stored(&self) -> Result<StoredEvent> {
        Ok(StoredEvent {
            head: self.head.clone(),
            metadata: self.metadata()?,
            payload: self.payload.to_vec(),
        })
    }

    /// Whether this is what storing `event` in `stream` made; an error where only the metadata could
    /// tell, and can't be read.
    pub fn is(&self, stream: &StreamId, event: &NewEvent) -> Result<bool> {
        let same = self.head.event_id == event.event_id
            && *self.head.stream == *stream
            && self.head.kind == event.kind
            && self.head.timestamp == event.timestamp
            && self.payload == event.payload;
        if !same {
            return Ok(false);
        }
        let found = self.metadata()?;
        Ok(event.metadata.as_ref().map_or(found.is_empty(), |given| **given == found))
    }
}

/// One page of events: the bytes of all of them in one buffer, and how far the store looked.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    arena: Vec<u8>,
    rows: Vec<(EventHead, Range<u32>, Range<u32>)>,
    /// Everything that matches up to here (forward) or down to here (backwards) has been returned.
    pub looked_to: u64,
    /// Whether nothing is left in the range, as far as the store goes now.
    pub end: bool,
}

impl EventPage {
    /// The empty page at the end of a range.
    #[must_use]
    pub fn nothing(looked_to: u64) -> Self {
        Self { looked_to, end: true, ..Self::default() }
    }

    /// Adds an event at the end.
    pub fn push(&mut self, head: EventHead, metadata: &[u8], payload: &[u8]) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(metadata);
        let middle = self.arena.len() as u32;
        self.arena.extend_from_slice(payload);
        self.rows.push((head, start..middle, middle..self.arena.len() as u32));
    }

    /// Takes out the events that are not wanted; the first error ends it.
    pub(crate) fn keep(&mut self, wanted: impl Fn(EventRef<'_>) -> Result<bool>) -> Result<()> {
        let keeps = self.iter().map(wanted).collect::<Result<Vec<bool>>>()?;
        let mut keeps = keeps.into_iter();
        self.rows.retain(|_| keeps.next().unwrap_or(true));
        Ok(())
    }

    /// A page of those events that are wanted, by their indexes and positions.
    pub(crate) fn only(&self, wanted: impl Fn(usize, u64) -> bool) -> Self {
        let mut page = Self { looked_to: self.looked_to, end: self.end, ..Self::default() };
        for (index, event) in self.iter().enumerate() {
            if wanted(index, event.head.position) {
                page.push(event.head.clone(), event.metadata_bytes, event.payload);
            }
        }
        page
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none; more may follow all the same, see `end`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The size of the payloads and metadata, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The event at `index`.
    ///
    /// # Panics
    /// Where `index` is not below [`EventPage::len`].
    #[must_use]
    pub fn get(&self, index: usize) -> EventRef<'_> {
        let (head, metadata, payload) = &self.rows[index];
        let slice = |range: &Range<u32>| &self.arena[range.start as usize..range.end as usize];
        EventRef { head, metadata_bytes: slice(metadata), payload: slice(payload) }
    }

    /// The events, in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = EventRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }
}
