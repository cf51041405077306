//! Which events: a query, and the range within which it is asked.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::event::{EventHead, EventKind, EventRef, Metadata, Reference};
use crate::limits::Limits;
use crate::name::{check_known_event_type, check_known_name, check_tenant};
use crate::stream::StreamId;

/// The most items that a query may have.
pub const MAX_QUERY_ITEMS: usize = 128;
/// The most event types, tags and event ids that an item may have, together.
pub const MAX_QUERY_TERMS: usize = 1000;
/// The most bytes of a user id that is looked for: no event has a longer one.
const MAX_USER_BYTES: usize = Limits::DEFAULT.headers_bytes;

/// Events of one tenant that match any of the items; without items, all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Whose events.
    pub tenant: String,
    /// An event matches when it matches one of these; empty means every event.
    pub items: Vec<QueryItem>,
    /// Only one part of the streams, for workers that share the log.
    pub partition: Option<Partition>,
    /// Of all tenants, whichever is named. No index is led by that, but for types and ids of events.
    pub everyone: bool,
}

/// One way to match: every part that is given must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryItem {
    /// The event's stream has this type.
    pub aggregate_type: Option<String>,
    /// The event's stream has this id.
    pub aggregate_id: Option<String>,
    /// The event has one of these types; empty means any.
    pub event_types: Vec<String>,
    /// The event has all of these tags.
    pub tags: Vec<String>,
    /// The event has one of these ids; empty means any.
    pub event_ids: Vec<Uuid>,
    /// The event has this correlation id; a UUID and its text are the same here.
    pub correlation_id: Option<Reference>,
    /// The event has this user id.
    pub user_id: Option<String>,
}

/// Part `index` of `count`, by the stream's name, so that a stream's events stay in one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Which part, from 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// Where to look, in which direction, and how much at once. The default is everything, forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRange {
    /// Only positions above this.
    pub after: u64,
    /// Only positions up to and including this.
    pub until: u64,
    /// Only stream versions above this.
    pub after_version: u64,
    /// Only stream versions up to and including this.
    pub until_version: u64,
    /// Only events recorded at or after this time, µs since 1970 UTC.
    pub recorded_from: i64,
    /// Only events recorded up to and including this time, µs since 1970 UTC.
    pub recorded_until: i64,
    /// Only events that happened at or after this time, by their own timestamp, µs since 1970 UTC.
    /// No index knows these times: every event of the rest of the range is looked at.
    pub happened_from: i64,
    /// Only events that happened up to and including this time, µs since 1970 UTC.
    pub happened_until: i64,
    /// From the end of the range to its beginning.
    pub backwards: bool,
    /// Part of an answer is enough: a page may end before the log does, where it comes sooner then.
    /// Only for who asks again until a page says `end`, however many events come meanwhile.
    pub prompt: bool,
    /// Nothing is passed over unread: an event is looked at before it is taken for one that does not
    /// match. For who never comes back, and where a damaged index or row could hide one otherwise.
    pub strict: bool,
    /// The most events on a page; see [`ReadRange::page_limit`].
    pub limit: usize,
}

/// The most events on one page, whatever was asked for.
pub const MAX_PAGE_EVENTS: usize = 4096;

/// The most bytes of payload and metadata on one page; an event that is larger stands alone.
pub const MAX_PAGE_BYTES: usize = 4 << 20;

impl Default for ReadRange {
    fn default() -> Self {
        Self {
            after: 0,
            until: u64::MAX,
            after_version: 0,
            until_version: u64::MAX,
            recorded_from: i64::MIN,
            recorded_until: i64::MAX,
            happened_from: i64::MIN,
            happened_until: i64::MAX,
            backwards: false,
            prompt: false,
            strict: false,
            limit: 1000,
        }
    }
}

impl ReadRange {
    /// How many events a page holds at the most: `limit`, within 1 and [`MAX_PAGE_EVENTS`].
    #[must_use]
    pub fn page_limit(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE_EVENTS)
    }

    /// Whether an event lies in the range.
    #[must_use]
    pub fn contains(&self, event: &EventRef<'_>) -> bool {
        let head = event.head;
        (self.after < head.position && head.position <= self.until)
            && (self.after_version < head.version || self.after_version == 0)
            && head.version <= self.until_version
            && (self.recorded_from..=self.recorded_until).contains(&head.recorded_at)
            && (self.happened_from..=self.happened_until).contains(&head.timestamp)
    }

    /// Whether this event and all that follow it, in the direction of reading, lie beyond the
    /// range of times: `recorded_at` never falls.
    #[must_use]
    pub fn is_over(&self, head: &EventHead) -> bool {
        if self.backwards {
            head.recorded_at < self.recorded_from
        } else {
            head.recorded_at > self.recorded_until
        }
    }

    /// The same part of the log, for whoever counts it.
    #[must_use]
    pub(crate) fn counted(self) -> Self {
        let limit = MAX_PAGE_EVENTS;
        Self { backwards: false, prompt: false, strict: false, limit, ..self }
    }

    /// Whether it says anything of versions.
    #[must_use]
    pub(crate) fn has_versions(&self) -> bool {
        self.after_version > 0 || self.until_version < u64::MAX
    }

    /// Whether it says anything of when events happened.
    #[must_use]
    pub(crate) fn has_happened(&self) -> bool {
        self.happened_from > i64::MIN || self.happened_until < i64::MAX
    }

    /// Whether it says anything of times.
    #[must_use]
    pub(crate) fn has_times(&self) -> bool {
        self.recorded_from > i64::MIN || self.recorded_until < i64::MAX
    }

    /// The part with which reading begins, of so many positions.
    #[must_use]
    pub(crate) fn begun(mut self, positions: u64) -> Self {
        if self.backwards {
            self.after = self.after.max(self.until.saturating_sub(positions));
        } else {
            self.until = self.until.min(self.after.saturating_add(positions));
        }
        self
    }

    /// The range that is left once everything up to `looked_to` has been read.
    #[must_use]
    pub fn continued(mut self, looked_to: u64) -> Self {
        if self.backwards {
            self.until = looked_to.saturating_sub(1);
        } else {
            self.after = looked_to;
        }
        self
    }
}

/// What an index has, and finds events by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term<'q> {
    /// A tag of the event.
    Tag(&'q str),
    /// Its user.
    User(&'q str),
}

impl Query {
    /// Every event of `tenant`.
    #[must_use]
    pub fn all(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..Self::default() }
    }

    /// The events of one stream.
    #[must_use]
    pub fn stream(stream: &StreamId) -> Self {
        Self {
            tenant: stream.tenant.clone(),
            items: vec![QueryItem {
                aggregate_type: Some(stream.aggregate_type.clone()),
                aggregate_id: Some(stream.aggregate_id.clone()),
                ..QueryItem::default()
            }],
            ..Self::default()
        }
    }

    /// The stream that this query names, where it asks for exactly one stream and nothing else.
    #[must_use]
    pub fn as_stream(&self) -> Option<StreamId> {
        let [item] = self.items.as_slice() else { return None };
        let (Some(kind), Some(id)) = (&item.aggregate_type, &item.aggregate_id) else {
            return None;
        };
        let only = item.event_types.is_empty()
            && item.tags.is_empty()
            && item.event_ids.is_empty()
            && item.correlation_id.is_none()
            && item.user_id.is_none();
        (only && self.partition.is_none() && !self.everyone)
            .then(|| StreamId::new(kind, id).with_tenant(&self.tenant))
    }

    /// Whether stream and kind of an event say all of whether it matches.
    pub(crate) fn is_of_names(&self) -> bool {
        self.items.iter().all(|item| item.event_ids.is_empty() && !item.asks_metadata())
    }

    /// Whether the events of every item are found by their type or their stream.
    pub(crate) fn is_indexed_by_name(&self) -> bool {
        let is_found = |item: &QueryItem| {
            let is_stream = item.aggregate_type.is_some() && item.aggregate_id.is_some();
            !item.event_types.is_empty() || (is_stream && !self.everyone)
        };
        !self.items.is_empty() && self.items.iter().all(is_found)
    }

    /// The tag or user that finds the events of this query, where it has one item and nothing finds
    /// them before that.
    pub(crate) fn as_term(&self) -> Option<Term<'_>> {
        self.only_item()?.term().filter(|_| !self.everyone)
    }

    /// The same, where it is all that is asked for.
    pub(crate) fn as_only_tag(&self) -> Option<&str> {
        let item = self.only_item()?;
        let [tag] = item.tags.as_slice() else { return None };
        let only = item.aggregate_type.is_none()
            && item.aggregate_id.is_none()
            && item.correlation_id.is_none()
            && item.user_id.is_none();
        (only && self.partition.is_none() && !self.everyone).then_some(tag)
    }

    /// What stands in the metadata of all events of this query, where it has one item and nothing
    /// else finds them.
    pub(crate) fn as_correlation(&self) -> Option<String> {
        self.only_item().filter(|item| item.term().is_none())?.correlation_text()
    }

    /// The only item, unless it names a stream, ids or types of events.
    fn only_item(&self) -> Option<&QueryItem> {
        let [item] = self.items.as_slice() else { return None };
        let narrower = (item.aggregate_type.is_some() && item.aggregate_id.is_some())
            || !item.event_ids.is_empty()
            || !item.event_types.is_empty();
        (!narrower).then_some(item)
    }

    /// Checks every name in the query, and its size.
    pub fn check(&self) -> Result<()> {
        check_tenant(&self.tenant)?;
        if self.items.len() > MAX_QUERY_ITEMS {
            return Err(Error::too_large("query items", self.items.len(), MAX_QUERY_ITEMS));
        }
        if self.partition.is_some_and(|part| part.index >= part.count) {
            return Err(Error::invalid("partition", "a partition's index must be below its count"));
        }
        self.items.iter().try_for_each(QueryItem::check)
    }

    /// Whether a stream is of the tenant, and of the partition.
    fn is_of(&self, stream: &StreamId) -> bool {
        (self.everyone || stream.tenant == self.tenant)
            && self.partition.is_none_or(|part| part.contains(stream))
    }

    /// Whether an event of this stream and kind can match one of `items`, or anything where there
    /// are none.
    #[must_use]
    pub fn may_match(&self, items: &[&QueryItem], stream: &StreamId, kind: &EventKind) -> bool {
        self.is_of(stream)
            && (items.is_empty() || items.iter().any(|item| item.may_match(stream, kind)))
    }

    /// Whether an event is among those asked for; an error where its metadata decides that and can't
    /// be read.
    pub fn matches(&self, event: &EventRef<'_>) -> Result<bool> {
        let among = self.is_of(&event.head.stream);
        if !among || self.items.is_empty() {
            return Ok(among);
        }
        for item in &self.items {
            if item.matches(event)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl QueryItem {
    fn check(&self) -> Result<()> {
        let terms = self.event_types.len() + self.tags.len() + self.event_ids.len();
        if terms > MAX_QUERY_TERMS {
            return Err(Error::too_large("query terms", terms, MAX_QUERY_TERMS));
        }
        if let Some(name) = &self.aggregate_type {
            check_known_name("aggregate_type", name)?;
        }
        if let Some(name) = &self.aggregate_id {
            check_known_name("aggregate_id", name)?;
        }
        self.event_types.iter().try_for_each(|name| check_known_event_type(name))?;
        self.tags.iter().try_for_each(|name| check_known_name("tags", name))?;
        if let Some(Reference::Text(text)) = &self.correlation_id {
            check_known_name("correlation_id", text)?;
        }
        let (user, most) = (self.user_id.as_ref().map_or(0, String::len), MAX_USER_BYTES);
        if user > most {
            return Err(Error::too_large("user_id", user, most));
        }
        Ok(())
    }

    /// Whether every part that is given holds for `event`; see [`Query::matches`].
    pub fn matches(&self, event: &EventRef<'_>) -> Result<bool> {
        let head = event.head;
        let may = self.may_match(&head.stream, &head.kind)
            && (self.event_ids.is_empty() || self.event_ids.contains(&head.event_id));
        Ok(may && self.matches_metadata(event)?)
    }

    fn may_match(&self, stream: &StreamId, kind: &EventKind) -> bool {
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        same(&self.aggregate_type, &stream.aggregate_type)
            && same(&self.aggregate_id, &stream.aggregate_id)
            && (self.event_types.is_empty() || self.event_types.contains(&kind.event_type))
    }

    /// What finds its events in an index of tags and users.
    pub(crate) fn term(&self) -> Option<Term<'_>> {
        let tag = self.tags.first().map(|tag| Term::Tag(tag));
        tag.or_else(|| self.user_id.as_deref().map(Term::User))
    }

    /// Whether it asks for anything that lies in the metadata.
    fn asks_metadata(&self) -> bool {
        !self.tags.is_empty() || self.correlation_id.is_some() || self.user_id.is_some()
    }

    /// What stands in the stored metadata of every event with the correlation id that is asked for.
    #[must_use]
    pub fn correlation_text(&self) -> Option<String> {
        self.correlation_id.as_ref().map(Metadata::correlation_text)
    }

    /// The parts that lie in the metadata, which is decoded only where one of them is asked for.
    fn matches_metadata(&self, event: &EventRef<'_>) -> Result<bool> {
        if !self.asks_metadata() {
            return Ok(true);
        }
        if self.correlation_id.is_none() && self.user_id.is_none() {
            let tags = event.tags()?;
            return Ok(self.tags.iter().all(|tag| tags.contains(tag)));
        }
        let Metadata { correlation_id, user_id, tags, .. } = event.metadata()?;
        let correlated = self
            .correlation_id
            .as_ref()
            .is_none_or(|wanted| correlation_id.is_some_and(|found| found.same_text(wanted)));
        let by_user = self.user_id.is_none() || self.user_id == user_id;
        Ok(correlated && by_user && self.tags.iter().all(|tag| tags.contains(tag)))
    }
}

impl Partition {
    /// Whether a stream belongs to this part.
    #[must_use]
    pub fn contains(&self, stream: &StreamId) -> bool {
        let hash = crc32c::crc32c_append(
            crc32c::crc32c(stream.aggregate_type.as_bytes()),
            stream.aggregate_id.as_bytes(),
        );
        hash % self.count.max(1) == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_stream_where_it_asks_for_nothing_else() {
        let stream = StreamId::new("Account", "1").with_tenant("t");
        let query = Query::stream(&stream);
        assert_eq!(query.as_stream(), Some(stream));
        let item = query.items[0].clone();
        let narrower = [
            QueryItem { event_types: vec!["Opened".to_owned()], ..item.clone() },
            QueryItem { tags: vec!["paid".to_owned()], ..item.clone() },
            QueryItem { event_ids: vec![Uuid::nil()], ..item.clone() },
            QueryItem { correlation_id: Some(Reference::Text("r".to_owned())), ..item.clone() },
            QueryItem { user_id: Some("u".to_owned()), ..item.clone() },
            QueryItem { aggregate_id: None, ..item.clone() },
        ];
        for item in narrower {
            let query = Query { items: vec![item], ..query.clone() };
            assert_eq!(query.as_stream(), None, "{query:?}");
        }
        let partition = Some(Partition { index: 0, count: 2 });
        assert_eq!(Query { partition, ..query.clone() }.as_stream(), None);
        assert_eq!(Query { items: vec![item.clone(), item], ..query }.as_stream(), None);
    }
}
