//! Commits that wait for somebody else's lock beside the writer, and those that must not overtake
//! them: what one caller sends to a stream, or to a record, is carried out in the order of sending.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::commit::Commit;
use crate::record::RecordKey;
use crate::stream::StreamId;

/// For each stream and record, the last commit that waits: its channel is closed when that ends.
#[derive(Default)]
pub(super) struct Apart(Mutex<HashMap<Name, watch::Receiver<()>>>);

#[derive(PartialEq, Eq, Hash)]
enum Name {
    Stream(Arc<StreamId>),
    Record(RecordKey),
}

/// A commit's place among those that wait; it ends when this is dropped.
pub(super) struct Place {
    before: Vec<watch::Receiver<()>>,
    _ended: watch::Sender<()>,
}

impl Place {
    /// Waits until everything has ended that stands before.
    pub(super) async fn turn(&mut self) {
        for before in &mut self.before {
            while before.changed().await.is_ok() {}
        }
    }
}

impl Apart {
    /// Whether a commit would overtake one that waits.
    pub(super) fn holds_back(&self, commit: &Commit) -> bool {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            return false;
        }
        waiting.retain(|_, last| last.has_changed().is_ok());
        names(commit).any(|name| waiting.contains_key(&name))
    }

    /// A place behind those that a commit must not overtake.
    pub(super) fn queue<'c>(&self, commits: impl Iterator<Item = &'c Commit>) -> Place {
        let (ended, last) = watch::channel(());
        let mut waiting = self.waiting();
        let names = commits.flat_map(names);
        let before = names.filter_map(|name| waiting.insert(name, last.clone()));
        Place {
            before: before.filter(|before| !before.same_channel(&last)).collect(),
            _ended: ended,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Name, watch::Receiver<()>>> {
        // A panic while the lock is held leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(commit: &Commit) -> impl Iterator<Item = Name> {
    let streams = commit.writes.iter().filter(|write| !write.stream.is_none());
    let streams = streams.map(|write| Name::Stream(Arc::clone(&write.stream)));
    let changed = commit.records.iter().map(|change| &change.key);
    let records = changed.chain(commit.checks.iter().map(|check| &check.key));
    streams.chain(records.map(|key| Name::Record(key.clone())))
}
