//! The backend as the Python package uses it, without Python.

use std::path::Path;
use std::sync::Arc;

use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::event::{EventKind, NewEvent};
use eventuali_core::query::{Query, QueryItem, ReadRange};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use uuid::Uuid;

use crate::{Result, SAVERS, STREAMS, Subject, payload, timed};

/// An open store.
#[derive(Default)]
pub(crate) struct Core {
    store: Option<Sqlite>,
}

impl Core {
    fn store(&self) -> Result<&Sqlite> {
        Ok(self.store.as_ref().ok_or("there is no store yet")?)
    }

    fn save_all(&self, commits: Vec<Commit>) -> Result<()> {
        let store = self.store()?;
        for commit in commits {
            block_on(store.commit(commit))?;
        }
        Ok(())
    }

    /// Makes streams of one event each, and returns what to add to them.
    fn prepared(&self, events: usize, repeat: usize) -> Result<Vec<Commit>> {
        let streams: Vec<_> = (0..repeat).map(|_| new_stream()).collect();
        let store = self.store()?;
        let first: Vec<_> = streams.iter().map(|s| store.commit(commit(s, 0, 1))).collect();
        for answer in first {
            block_on(answer)?;
        }
        Ok(streams.iter().map(|stream| commit(stream, 1, events)).collect())
    }

    fn save(&self, events: usize, repeat: usize) -> Result<f64> {
        let commits = self.prepared(events, repeat)?;
        timed(repeat, || self.save_all(commits))
    }

    /// Keeps 64 commits on their way, each next one as soon as the oldest is answered.
    fn savers(&self, events: usize, repeat: usize) -> Result<f64> {
        let mut commits = self.prepared(events, SAVERS * repeat)?.into_iter();
        let store = self.store()?;
        timed(SAVERS * repeat, || {
            let mut waiting: std::collections::VecDeque<_> =
                commits.by_ref().take(SAVERS).map(|commit| store.commit(commit)).collect();
            while let Some(oldest) = waiting.pop_front() {
                block_on(oldest)?;
                waiting.extend(commits.next().map(|commit| store.commit(commit)));
            }
            Ok(())
        })
    }

    fn load(&self, events: usize, repeat: usize) -> Result<f64> {
        let streams: Vec<_> = (0..repeat).map(|_| new_stream()).collect();
        self.save_all(streams.iter().map(|stream| commit(stream, 0, events)).collect())?;
        timed(repeat, || {
            for stream in &streams {
                let item = QueryItem {
                    aggregate_type: Some(stream.aggregate_type.clone()),
                    aggregate_id: Some(stream.aggregate_id.clone()),
                    ..QueryItem::default()
                };
                let query = Query { items: vec![item], ..Query::default() };
                assert_eq!(self.pages(&query, 0)?, events);
            }
            Ok(())
        })
    }

    fn read(&self, events: usize) -> Result<f64> {
        let before = *self.store()?.appended().borrow();
        let streams: Vec<_> = (0..STREAMS).map(|_| new_stream()).collect();
        for first in (0..events).step_by(100) {
            let (number, turn) = (first / 100 % STREAMS, first / 100 / STREAMS);
            self.save_all(vec![commit(&streams[number], turn as u64 * 100, 100)])?;
        }
        timed(events, || {
            assert_eq!(self.pages(&Query::default(), before)?, events);
            Ok(())
        })
    }

    /// How many events all pages have.
    fn pages(&self, query: &Query, after: u64) -> Result<usize> {
        let mut range = ReadRange { after, ..ReadRange::default() };
        let mut found = 0;
        loop {
            let page = block_on(self.store()?.read(query.clone(), range))?;
            found += page.len();
            if page.end {
                return Ok(found);
            }
            range = range.continued(page.looked_to);
        }
    }
}

impl Subject for Core {
    fn fresh(&mut self, folder: &Path) -> Result<()> {
        if let Some(store) = self.store.take() {
            block_on(store.close())?;
        }
        self.store = Some(Sqlite::open(&Target::File(folder.join("core.db")), Durability::Full)?);
        Ok(())
    }

    fn measure(&mut self, op: &str, events: usize, repeat: usize) -> Result<f64> {
        match op {
            "save" => self.save(events, repeat),
            "savers" => self.savers(events, repeat),
            "load" => self.load(events, repeat),
            "read" => self.read(events),
            _ => Err(format!("no operation {op}").into()),
        }
    }
}

fn new_stream() -> Arc<StreamId> {
    Arc::new(StreamId::new("Account", Uuid::now_v7().to_string()))
}

/// A commit of so many events to a stream at `version`.
fn commit(stream: &Arc<StreamId>, version: u64, events: usize) -> Commit {
    let kind = Arc::new(EventKind::json("Added", 1));
    // As Python makes them: one after another, from an id with room behind it.
    let first = Uuid::now_v7().as_u128() & !(1 << 61);
    let events = (0..events).map(|number| NewEvent {
        event_id: Uuid::from_u128(first + number as u128),
        kind: Arc::clone(&kind),
        timestamp: 1_700_000_000_000_000,
        metadata: None,
        payload: payload(number),
    });
    Commit::append(Arc::clone(stream), ExpectedVersion::Exact(version), events.collect())
}
