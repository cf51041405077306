//! Pages of records.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, StoredRecord};
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::query::MAX_PAGE_EVENTS;
use crate::record::{
    Record, RecordCursor, RecordKey, RecordPage, RecordPurge, RecordQuery, RecordSelection,
    RecordValue, Scalar,
};

/// Where a record stands in the order of a query.
type Place = (Option<Scalar>, String);

impl State {
    /// One page of the records that are chosen; what was deleted never is.
    pub(super) fn records(
        &self,
        query: &RecordQuery,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage> {
        check(query)?;
        query.check_after(after.as_ref())?;
        let after: Option<Place> = after.map(|cursor| (cursor.value, cursor.key));
        let mut found = BTreeMap::<Place, (&RecordKey, &StoredRecord, &RecordValue)>::new();
        for (key, stored) in self.chosen_from(query) {
            let Some(value) = &stored.value else { continue };
            for sorted_by in sorted_by(&query.select, &key.key, value) {
                let place = (sorted_by, key.key.clone());
                let ahead = after.as_ref().is_none_or(|after| {
                    if query.backwards { place < *after } else { place > *after }
                });
                if ahead {
                    found.insert(place, (key, stored, value));
                }
            }
        }
        let mut left: Box<dyn Iterator<Item = _>> = if query.backwards {
            Box::new(found.into_iter().rev())
        } else {
            Box::new(found.into_iter())
        };
        let mut page = RecordPage { records: Vec::new(), next: None };
        let mut last = None;
        let limit = limit.clamp(1, MAX_PAGE_EVENTS);
        for (place, (key, stored, value)) in left.by_ref().take(limit) {
            last = Some(RecordCursor { value: place.0, key: place.1 });
            page.records.push(Record {
                key: key.clone(),
                version: stored.version,
                value: RecordValue {
                    index: if query.entries { value.index.clone() } else { Vec::new() },
                    bytes: if query.bytes { value.bytes.clone() } else { Vec::new() },
                    due: value.due,
                    text: None,
                },
                commit_id: stored.commit_id,
            });
        }
        page.next = last.filter(|_| left.next().is_some());
        Ok(page)
    }

    /// How many records, or entries, a selection has.
    pub(super) fn count_records(&self, query: &RecordQuery) -> Result<u64> {
        check(query)?;
        let mut places = BTreeSet::new();
        for (key, stored) in self.chosen_from(query) {
            let Some(value) = &stored.value else { continue };
            let found = sorted_by(&query.select, &key.key, value);
            places.extend(found.into_iter().map(|sorted_by| (sorted_by, &key.key)));
        }
        Ok(places.len() as u64)
    }

    /// The records among which those are that a query chooses.
    fn chosen_from<'s>(
        &'s self,
        query: &'s RecordQuery,
    ) -> Box<dyn Iterator<Item = (&'s RecordKey, &'s StoredRecord)> + 's> {
        let RecordSelection::Keys(keys) = &query.select else {
            return Box::new(self.of_space(&query.tenant, &query.space));
        };
        Box::new(keys.iter().filter_map(|key| {
            let mut wanted = RecordKey::new(query.space.clone(), key.clone());
            wanted.tenant.clone_from(&query.tenant);
            self.records.get_key_value(&wanted)
        }))
    }

    /// Removes records for good, the first ones by key.
    pub(super) fn purge(&mut self, purge: &RecordPurge) -> Result<u64> {
        purge.check()?;
        let all = self.of_space(&purge.tenant, &purge.space);
        let first: Vec<_> = all.map(|(key, _)| key.clone()).take(purge.limit()).collect();
        for key in &first {
            self.records.remove(key);
        }
        Ok(first.len() as u64)
    }

    /// The records of a space, deleted ones included, in the order of the key.
    fn of_space<'s>(
        &'s self,
        tenant: &'s str,
        space: &'s str,
    ) -> impl Iterator<Item = (&'s RecordKey, &'s StoredRecord)> {
        let mut first = RecordKey::new(space, "");
        tenant.clone_into(&mut first.tenant);
        let all = self.records.range(first..);
        all.take_while(move |(key, _)| key.tenant == tenant && key.space == space)
    }
}

/// Refuses what is not kept here: an index of words.
fn check(query: &RecordQuery) -> Result<()> {
    query.check()?;
    if let RecordSelection::Text(_) = query.select {
        let text = "a store in memory can't search texts; SQLite and PostgreSQL can";
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    Ok(())
}

/// What a record is sorted by, once for each time that it is chosen.
fn sorted_by(select: &RecordSelection, key: &str, value: &RecordValue) -> Vec<Option<Scalar>> {
    let once = |chosen: bool| if chosen { vec![None] } else { Vec::new() };
    match select {
        RecordSelection::Keys(_) => once(true), // they were looked up
        RecordSelection::Prefix(prefix) => once(key.starts_with(prefix)),
        RecordSelection::Index { name, from, to } => value
            .index
            .iter()
            .filter(|(entry, _)| entry == name)
            .filter(|(_, scalar)| from.as_ref().is_none_or(|from| from <= scalar))
            .filter(|(_, scalar)| to.as_ref().is_none_or(|to| scalar <= to))
            .map(|(_, scalar)| Some(scalar.clone()))
            .collect(),
        RecordSelection::Text(_) => Vec::new(), // refused before
        RecordSelection::Due { until } => {
            let until = until.unwrap_or_else(clock::now);
            value
                .due
                .filter(|due| *due <= until)
                .map(|due| Some(Scalar::Int(due)))
                .into_iter()
                .collect()
        }
    }
}
