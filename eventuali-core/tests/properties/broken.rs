//! Stores with one fault each, to see that the comparison finds it.

use std::future::ready;

use eventuali_core::backend::memory::Memory;
use eventuali_core::commit::{Commit, Committed};
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::event::EventPage;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::record::{
    RecordCursor, RecordPage, RecordPurge, RecordQuery, RecordSelection, Scalar,
};
use eventuali_core::storage::{Answer, Capabilities, Horizon, Storage};
use eventuali_core::stream::{ExpectedVersion, StreamPage, StreamSelection};
use eventuali_core::usage::{UsagePage, UsageQuery};
use eventuali_core::verify::{VerifyCursor, VerifyPage};
use tokio::sync::watch;

/// What a careless backend gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    ExpectedVersionIgnored,
    ConditionsIgnored,
    RecordExpectationsIgnored,
    LastEventLost,
    RepetitionRefused,
    PartialRepetitionAccepted,
    RecordVersionsRestart,
    AfterIncluded,
    FirstMatchSkippedBackwards,
    TagsOr,
    PartitionIgnored,
    IndexBoundExcluded,
    PrefixIsKey,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::ExpectedVersionIgnored,
        Self::ConditionsIgnored,
        Self::RecordExpectationsIgnored,
        Self::LastEventLost,
        Self::RepetitionRefused,
        Self::PartialRepetitionAccepted,
        Self::RecordVersionsRestart,
        Self::AfterIncluded,
        Self::FirstMatchSkippedBackwards,
        Self::TagsOr,
        Self::PartitionIgnored,
        Self::IndexBoundExcluded,
        Self::PrefixIsKey,
    ];
}

pub(crate) struct Broken {
    memory: Memory,
    fault: Fault,
}

impl Broken {
    pub(crate) fn new(memory: Memory, fault: Fault) -> Self {
        Self { memory, fault }
    }

    /// Whether an event of `commit` is stored, or all of them.
    fn known(&self, commit: &Commit) -> (bool, bool) {
        let is_known = |(stream, event): (&std::sync::Arc<_>, &eventuali_core::event::NewEvent)| {
            let page = self.memory.read(Query::stream(stream), ReadRange::default());
            block_on(page).is_ok_and(|page| page.iter().any(|e| e.head.event_id == event.event_id))
        };
        let known: Vec<bool> = commit.events().map(is_known).collect();
        (known.contains(&true), !known.is_empty() && !known.contains(&false))
    }
}

impl Storage for Broken {
    fn commit(&self, mut commit: Commit) -> Answer<Committed> {
        let (any, all) = self.known(&commit);
        match self.fault {
            Fault::ExpectedVersionIgnored => {
                commit.writes.iter_mut().for_each(|write| write.expected = ExpectedVersion::Any);
            }
            Fault::ConditionsIgnored => commit.conditions.clear(),
            Fault::RecordExpectationsIgnored => {
                let any = eventuali_core::record::ExpectedRecord::Any;
                commit.records.iter_mut().for_each(|change| change.expected = any);
            }
            Fault::LastEventLost => {
                if let Some(write) = commit.writes.last_mut().filter(|w| w.events.len() > 2) {
                    write.events.pop();
                }
            }
            Fault::RepetitionRefused if all => {
                let kind = ErrorKind::IdempotencyConflict { event_ids: commit.event_ids() };
                return Box::pin(ready(Err(eventuali_core::error::Error::new(kind, ""))));
            }
            Fault::PartialRepetitionAccepted if any && !all => {
                return Box::pin(ready(Ok(Committed::default())));
            }
            _ => {}
        }
        let changes = commit.records.clone();
        let mut committed = block_on(self.memory.commit(commit));
        if self.fault == Fault::RecordVersionsRestart
            && let Ok(committed) = &mut committed
        {
            for (change, version) in changes.iter().zip(&mut committed.record_versions) {
                let restarted = change.expected == eventuali_core::record::ExpectedRecord::Absent;
                *version = if restarted { 1 } else { *version };
            }
        }
        Box::pin(ready(committed))
    }

    fn read(&self, mut query: Query, mut range: ReadRange) -> Answer<EventPage> {
        match self.fault {
            Fault::AfterIncluded => range.after = range.after.saturating_sub(1),
            Fault::FirstMatchSkippedBackwards if range.backwards && range.until < u64::MAX => {
                range.until = range.until.saturating_sub(1);
            }
            Fault::TagsOr => {
                query.items.iter_mut().for_each(|item| item.tags.truncate(1));
            }
            Fault::PartitionIgnored => query.partition = None,
            _ => {}
        }
        self.memory.read(query, range)
    }

    fn streams(
        &self,
        selection: StreamSelection,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Answer<StreamPage> {
        self.memory.streams(selection, after, limit)
    }

    fn records(
        &self,
        mut query: RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<RecordPage> {
        query.select = match (self.fault, query.select) {
            (Fault::IndexBoundExcluded, RecordSelection::Index { name, from, to }) => {
                let below = |to| match to {
                    Scalar::Int(n) => Scalar::Int(n - 1),
                    other => other,
                };
                RecordSelection::Index { name, from, to: to.map(below) }
            }
            (Fault::PrefixIsKey, RecordSelection::Prefix(prefix)) if !prefix.is_empty() => {
                RecordSelection::Keys(vec![prefix])
            }
            (_, select) => select,
        };
        self.memory.records(query, after, limit)
    }

    fn count(&self, query: Query, range: ReadRange) -> Answer<u64> {
        self.memory.count(query, range)
    }

    fn count_records(&self, query: RecordQuery) -> Answer<u64> {
        self.memory.count_records(query)
    }

    fn usage(&self, query: UsageQuery) -> Answer<UsagePage> {
        self.memory.usage(query)
    }

    fn purge(&self, purge: RecordPurge) -> Answer<u64> {
        self.memory.purge(purge)
    }

    fn horizon(&self) -> Answer<Horizon> {
        self.memory.horizon()
    }

    fn verify(&self, after: Option<VerifyCursor>) -> Answer<VerifyPage> {
        self.memory.verify(after)
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.memory.appended()
    }

    fn close(&self) -> Answer<()> {
        self.memory.close()
    }

    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
}
