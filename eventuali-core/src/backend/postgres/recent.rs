//! The end of the log, as this process wrote it: whoever follows here needs no server to read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::commit::{Commit, Committed};
use crate::error::Result;
use crate::event::{EventHead, EventPage, NewEvent};
use crate::query::{Query, ReadRange};

/// The most bytes that are kept; less than a page may have.
const KEPT_BYTES: usize = 1 << 20;
/// The most events that are kept.
const KEPT_EVENTS: usize = 1024;

/// The events that were committed here last, where nobody else's can lie between them.
///
/// Everything up to `from` is settled, and this process committed every position above it, up to
/// `to`. A position is drawn once, so that nothing can appear between: all up to `to` is settled,
/// too. Where somebody else drew a position in between, nothing is known before a horizon was read.
#[derive(Default)]
pub(super) struct Recent(Mutex<State>);

#[derive(Default)]
struct State {
    /// Counts the servers that may have taken over: what one of them said is not true of the next.
    epoch: u64,
    tail: Option<Tail>,
}

#[derive(Default)]
struct Tail {
    from: u64,
    to: u64,
    pages: VecDeque<EventPage>,
    events: usize,
    bytes: usize,
}

impl Recent {
    /// What is true of connections that are lent now; see [`Recent::forget`].
    pub(super) fn epoch(&self) -> u64 {
        self.state().epoch
    }

    /// Forgets everything: a connection is lost or new, and another server may answer, which knows
    /// less. What is true from now on.
    pub(super) fn forget(&self) -> u64 {
        let mut state = self.state();
        *state = State { epoch: state.epoch + 1, tail: None };
        state.epoch
    }

    /// A horizon was read on a connection of `epoch`.
    pub(super) fn settle(&self, epoch: u64, horizon: u64) {
        let mut state = self.state();
        if state.epoch == epoch && state.tail.as_ref().is_none_or(|tail| tail.to < horizon) {
            state.tail = Some(Tail { from: horizon, to: horizon, ..Tail::default() });
        }
    }

    /// Keeps what was committed on a connection of `epoch`; whether everything up to its last event
    /// is settled.
    pub(super) fn keep(
        &self,
        epoch: u64,
        commits: &[&Commit],
        judged: &[Result<Committed>],
    ) -> bool {
        let mut state = self.state();
        let current = state.epoch == epoch;
        let Some(tail) = state.tail.as_mut().filter(|_| current) else { return false };
        let fits = commits.iter().map(|commit| commit.size()).sum::<usize>() <= KEPT_BYTES;
        let (mut page, mut to) = (EventPage::default(), tail.to);
        for (commit, committed) in commits.iter().zip(judged) {
            let Ok(committed) = committed else { continue };
            for (head, event) in heads(commit, committed) {
                // A commit that was made before lies below.
                if head.position > to + 1 && !leaves_others_out() {
                    return false;
                }
                if head.position <= to {
                    continue;
                }
                to = head.position;
                if fits {
                    let metadata = event.metadata.as_ref().map(|given| given.encode());
                    let Ok(metadata) = metadata.transpose() else { return false };
                    page.push(head, &metadata.unwrap_or_default(), &event.payload);
                }
            }
        }
        if fits {
            tail.push(page);
        } else {
            *tail = Tail { from: to, to, ..Tail::default() };
        }
        true
    }

    /// Up to where everything is settled, as far as it is known of connections of `epoch`.
    pub(super) fn settled(&self, epoch: u64) -> u64 {
        let state = self.state();
        state.tail.as_ref().filter(|_| state.epoch == epoch).map_or(0, |tail| tail.to)
    }

    /// What matches and is kept; none where that does not begin where `range` does. More may follow.
    pub(super) fn page(&self, query: &Query, range: &ReadRange) -> Option<EventPage> {
        let ReadRange { after, limit, strict, .. } = *range;
        if *range != (ReadRange { after, limit, strict, prompt: true, ..ReadRange::default() })
            || query.as_stream().is_some()
            || query.check().is_err()
        {
            return None;
        }
        let state = self.state();
        let tail = state.tail.as_ref()?;
        let within = (tail.from..tail.to).contains(&range.after);
        // What can't be judged is read from the server, and told of then.
        within.then(|| tail.page(query, range)).and_then(Result::ok)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves a page out, and the next horizon mends that.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn push(&mut self, page: EventPage) {
        let Some(last) = page.len().checked_sub(1) else { return };
        self.to = page.get(last).head.position;
        (self.events, self.bytes) = (self.events + page.len(), self.bytes + page.bytes());
        self.pages.push_back(page);
        while self.events > KEPT_EVENTS || self.bytes > KEPT_BYTES {
            let Some(page) = self.pages.pop_front() else { break };
            (self.events, self.bytes) = (self.events - page.len(), self.bytes - page.bytes());
            self.from = page.get(page.len() - 1).head.position;
        }
    }

    fn page(&self, query: &Query, range: &ReadRange) -> Result<EventPage> {
        let mut page = EventPage::default();
        let first = self
            .pages
            .partition_point(|kept| kept.get(kept.len() - 1).head.position <= range.after);
        for event in self.pages.range(first..).flat_map(EventPage::iter) {
            if range.contains(&event) && query.matches(&event)? {
                page.push(event.head.clone(), event.metadata_bytes, event.payload);
            }
            page.looked_to = event.head.position;
            if page.len() == range.page_limit() {
                break;
            }
        }
        Ok(page)
    }
}

/// The events of a commit, as a reader finds them.
fn heads<'c>(
    commit: &'c Commit,
    committed: &'c Committed,
) -> impl Iterator<Item = (EventHead, &'c NewEvent)> {
    let versions = commit.writes.iter().zip(&committed.versions).flat_map(|(write, last)| {
        let behind = (0..write.events.len() as u64).rev();
        behind.map(|behind| if write.stream.is_none() { 0 } else { *last - behind })
    });
    let events = commit.events().zip(&committed.positions).zip(versions);
    events.map(|(((stream, event), position), version)| {
        let head = EventHead {
            position: *position,
            event_id: event.event_id,
            stream: Arc::clone(stream),
            version,
            kind: Arc::clone(&event.kind),
            timestamp: event.timestamp,
            recorded_at: committed.recorded_at,
        };
        (head, event)
    })
}

/// What `reliability/` must catch: events of others that are left out.
fn leaves_others_out() -> bool {
    #[cfg(feature = "faults")]
    return super::schema::fault::chosen("recent");
    #[cfg(not(feature = "faults"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::query::QueryItem;
    use crate::stream::{ExpectedVersion, StreamId};

    fn commit(kind: &str, count: usize) -> Commit {
        let kind = Arc::new(EventKind::json(kind, 1));
        let events = (0..count).map(|_| NewEvent::new(Arc::clone(&kind), "{}")).collect();
        Commit::append(StreamId::new("T", "s"), ExpectedVersion::Any, events)
    }

    /// Keeps a commit of which the server says that it lies at `positions`.
    fn keep(recent: &Recent, epoch: u64, commit: &Commit, positions: &[u64]) -> bool {
        let (positions, last) = (positions.to_vec(), positions.len() as u64);
        let committed = Committed { positions, versions: vec![last], ..Committed::default() };
        recent.keep(epoch, &[commit], &[Ok(committed)])
    }

    fn after(recent: &Recent, after: u64) -> Option<(Vec<u64>, u64)> {
        let range = ReadRange { after, prompt: true, ..ReadRange::default() };
        found(recent, &Query::default(), range)
    }

    fn found(recent: &Recent, query: &Query, range: ReadRange) -> Option<(Vec<u64>, u64)> {
        let page = recent.page(query, &range)?;
        assert!(!page.end, "somebody else may have written more");
        Some((page.iter().map(|event| event.head.position).collect(), page.looked_to))
    }

    #[test]
    fn what_follows_a_horizon_is_kept() {
        let recent = Recent::default();
        assert!(!keep(&recent, 0, &commit("Opened", 1), &[8]), "nothing is known yet");
        recent.settle(0, 8);
        assert_eq!(after(&recent, 8), None, "nothing is kept yet");
        assert!(keep(&recent, 0, &commit("Opened", 2), &[9, 10]));
        assert!(keep(&recent, 0, &commit("Closed", 1), &[11]));
        assert_eq!(after(&recent, 7), None, "what comes first is not kept");
        assert_eq!(after(&recent, 8), Some((vec![9, 10, 11], 11)));
        assert_eq!(after(&recent, 10), Some((vec![11], 11)));
        assert_eq!(after(&recent, 11), None);
        let some = ReadRange { after: 8, limit: 2, prompt: true, ..ReadRange::default() };
        assert_eq!(found(&recent, &Query::default(), some), Some((vec![9, 10], 10)));
        let item = QueryItem { event_types: vec!["Closed".to_owned()], ..QueryItem::default() };
        let closed = Query { items: vec![item], ..Query::default() };
        let range = ReadRange { after: 8, prompt: true, ..ReadRange::default() };
        assert_eq!(found(&recent, &closed, range), Some((vec![11], 11)));
        for other in [
            ReadRange { prompt: false, ..range },
            ReadRange { backwards: true, ..range },
            ReadRange { until: 9, ..range },
            ReadRange { recorded_from: 0, ..range },
        ] {
            assert_eq!(found(&recent, &Query::default(), other), None, "the server is asked");
        }
    }

    #[test]
    fn what_others_may_have_written_between_is_waited_for() {
        let recent = Recent::default();
        recent.settle(0, 8);
        assert!(!keep(&recent, 0, &commit("Opened", 1), &[10]), "9 may be on its way");
        assert!(!keep(&recent, 0, &commit("Opened", 2), &[9, 11]), "10 may be on its way");
        assert_eq!(after(&recent, 8), None);
        recent.settle(0, 11);
        assert!(keep(&recent, 0, &commit("Opened", 1), &[12]));
        assert!(keep(&recent, 0, &commit("Opened", 1), &[9]), "one that was made before");
        recent.settle(0, 10);
        assert_eq!(after(&recent, 11), Some((vec![12], 12)), "an old horizon says nothing new");
    }

    #[test]
    fn a_server_that_takes_over_knows_better() {
        let recent = Recent::default();
        recent.settle(0, 8);
        assert!(keep(&recent, 0, &commit("Opened", 1), &[9]));
        recent.forget();
        assert_eq!(after(&recent, 8), None);
        recent.settle(0, 9);
        assert!(!keep(&recent, 0, &commit("Opened", 1), &[10]), "said on a lost connection");
        recent.settle(recent.epoch(), 7);
        assert!(keep(&recent, recent.epoch(), &commit("Opened", 1), &[8]));
        assert_eq!(after(&recent, 7), Some((vec![8], 8)));
    }

    #[test]
    fn no_more_is_kept_than_fits() {
        let recent = Recent::default();
        recent.settle(0, 0);
        for position in 1..=2 * KEPT_EVENTS as u64 {
            assert!(keep(&recent, 0, &commit("Opened", 1), &[position]));
        }
        assert_eq!(after(&recent, KEPT_EVENTS as u64 - 1), None);
        let (positions, _) = after(&recent, KEPT_EVENTS as u64).expect("the rest is kept");
        assert_eq!(positions.len(), ReadRange::default().limit);
        let large = "x".repeat(KEPT_BYTES + 1);
        let kind = Arc::new(EventKind::json("Opened", 1));
        let events = vec![NewEvent::new(kind, large)];
        let large = Commit::append(StreamId::new("T", "s"), ExpectedVersion::Any, events);
        let last = 2 * KEPT_EVENTS as u64 + 1;
        assert!(keep(&recent, 0, &large, &[last]), "it is settled all the same");
        assert_eq!(after(&recent, last - 1), None);
        assert!(keep(&recent, 0, &commit("Opened", 1), &[last + 1]));
        assert_eq!(after(&recent, last), Some((vec![last + 1], last + 1)));
    }

    #[test]
    fn events_are_as_a_reader_finds_them() {
        let recent = Recent::default();
        recent.settle(0, 0);
        let first = commit("Opened", 3);
        let mut loose = commit("Noted", 2);
        loose.writes[0].stream = Arc::new(StreamId::none(""));
        let committed = |positions: [u64; 2], version| Committed {
            positions: positions.to_vec(),
            versions: vec![version],
            recorded_at: 5,
            ..Committed::default()
        };
        let stored = Committed { positions: vec![1, 2, 3], ..committed([0; 2], 7) };
        let refused = Err(crate::error::Error::closed());
        let judged = [Ok(stored), refused, Ok(committed([4, 5], 0))];
        assert!(recent.keep(0, &[&first, &commit("Refused", 1), &loose], &judged));
        let range = ReadRange { prompt: true, ..ReadRange::default() };
        let page = recent.page(&Query::default(), &range).expect("it is kept");
        let found: Vec<_> =
            page.iter().map(|e| (e.head.position, e.head.version, e.head.recorded_at)).collect();
        assert_eq!(found, [(1, 5, 5), (2, 6, 5), (3, 7, 5), (4, 0, 5), (5, 0, 5)]);
        assert_eq!(page.get(0).head.event_id, first.writes[0].events[0].event_id);
    }
}
