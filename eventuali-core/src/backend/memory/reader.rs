//! Pages of events and of streams.

use super::{State, StoredRow};
use crate::error::Result;
use crate::event::{EventHead, EventPage};
use crate::query::{MAX_PAGE_BYTES, MAX_PAGE_EVENTS, Query, ReadRange};
use crate::stream::{StreamId, StreamInfo, StreamPage, StreamSelection};

impl State {
    /// One page of the events that match.
    pub(super) fn read(&self, query: &Query, range: ReadRange) -> Result<EventPage> {
        query.check()?;
        let range = self.within_times(range);
        let mut page = EventPage::default();
        for row in self.candidates(query, range).filter(|row| range.contains(&row.event())) {
            if !query.matches(&row.event())? {
                continue;
            }
            let bytes = page.bytes() + row.metadata.len() + row.payload.len();
            if page.len() == range.page_limit() || (!page.is_empty() && bytes > MAX_PAGE_BYTES) {
                return Ok(page);
            }
            if row.checksum != row.head.checksum(&row.metadata, &row.payload) {
                return Err(EventHead::corrupted(row.head.position));
            }
            page.looked_to = row.head.position;
            page.push(row.head.clone(), &row.metadata, &row.payload);
        }
        page.end = true;
        page.looked_to = if range.backwards {
            range.after.saturating_add(1)
        } else {
            range.after.max(range.until.min(self.last_position()))
        };
        Ok(page)
    }

    /// How many events match.
    pub(super) fn count(&self, query: &Query, range: ReadRange) -> Result<u64> {
        query.check()?;
        let range = self.within_times(range);
        let mut count = 0;
        for row in self.candidates(query, range) {
            let event = row.event();
            count += u64::from(range.contains(&event) && query.matches(&event)?);
        }
        Ok(count)
    }

    /// The part of `range` in which its times lie; `recorded_at` never falls.
    fn within_times(&self, range: ReadRange) -> ReadRange {
        let before = |time: i64| {
            let found = self.events.partition_point(|row| row.head.recorded_at < time);
            (found as u64).clamp(range.after, range.until.max(range.after))
        };
        let mut within = range;
        if range.recorded_from > i64::MIN {
            within.after = before(range.recorded_from);
        }
        if range.recorded_until < i64::MAX {
            within.until = before(range.recorded_until + 1);
        }
        within
    }

    /// The events of the one stream that is asked for, or of the range of positions.
    fn candidates(
        &self,
        query: &Query,
        range: ReadRange,
    ) -> Box<dyn Iterator<Item = &StoredRow> + '_> {
        let rows: Box<dyn DoubleEndedIterator<Item = &StoredRow>> = if let Some(stream) =
            query.as_stream()
        {
            let positions = self.streams.get(&stream).map_or(&[][..], Vec::as_slice);
            let seen = usize::try_from(range.after_version).unwrap_or(usize::MAX);
            let left = positions.get(seen..).unwrap_or(&[]);
            Box::new(left.iter().map(|position| &self.events[*position as usize - 1]))
        } else {
            let index = |position: u64| {
                usize::try_from(position).map_or(self.events.len(), |p| p.min(self.events.len()))
            };
            let (first, last) = (index(range.after), index(range.until));
            Box::new(self.events.get(first..last).unwrap_or(&[]).iter())
        };
        if range.backwards { Box::new(rows.rev()) } else { Box::new(rows) }
    }

    /// One page of streams; the map is sorted as the pages are.
    pub(super) fn streams(
        &self,
        selection: &StreamSelection,
        after: Option<&(String, String)>,
        limit: usize,
    ) -> Result<StreamPage> {
        selection.check()?;
        let first = StreamId::new(
            selection.aggregate_type.as_deref().unwrap_or_default(),
            selection
                .aggregate_id
                .as_deref()
                .filter(|_| selection.aggregate_type.is_some())
                .unwrap_or_default(),
        );
        let mut streams: Vec<StreamInfo> = self
            .streams
            .range(first.with_tenant(&selection.tenant)..)
            .take_while(|(stream, _)| stream.tenant == selection.tenant)
            .take_while(|(stream, _)| {
                selection.aggregate_type.as_ref().is_none_or(|only| *only == stream.aggregate_type)
            })
            .filter(|(stream, _)| {
                selection.aggregate_id.as_ref().is_none_or(|only| *only == stream.aggregate_id)
            })
            .map(|(stream, positions)| StreamInfo {
                stream: stream.clone(),
                version: positions.len() as u64,
                last_position: positions.last().copied().unwrap_or(0),
            })
            .filter(|info| after.is_none_or(|after| place(info) > *after))
            .collect();
        let limit = limit.clamp(1, MAX_PAGE_EVENTS);
        let more = streams.len() > limit;
        streams.truncate(limit);
        let next = streams.last().filter(|_| more).map(place);
        Ok(StreamPage { streams, next })
    }
}

fn place(info: &StreamInfo) -> (String, String) {
    (info.stream.aggregate_type.clone(), info.stream.aggregate_id.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::memory::Memory;
    use crate::commit::Commit;
    use crate::error::ErrorKind;
    use crate::event::{EventKind, NewEvent};
    use crate::storage::Storage;
    use crate::stream::{ExpectedVersion, StreamId};

    #[test]
    fn a_damaged_event_is_named() {
        let memory = Memory::new();
        let kind = Arc::new(EventKind::json("Opened", 1));
        let events = (0..3).map(|n| NewEvent::new(Arc::clone(&kind), vec![n; 8])).collect();
        let commit = Commit::append(StreamId::new("Account", "1"), ExpectedVersion::Any, events);
        drop(memory.commit(commit));
        let kind = memory.with(|state| {
            state.events[1].payload[3] ^= 1;
            Ok(state.read(&Query::default(), ReadRange::default()).map_err(|e| e.kind().clone()))
        });
        let kind = kind.expect("the store is open").expect_err("the payload is damaged");
        assert_eq!(kind, ErrorKind::Corrupted { position: Some(2) });
    }
}
