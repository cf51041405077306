//! The live documents of read models, as people ask for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inline::held;
use super::projection::{MODELS, Place, check_part, decoded, one, space_of};
use crate::record::{RecordCursor, RecordPage, RecordQuery, RecordSelection};
use crate::storage::Answer;
use crate::store::EventStore;

/// The live documents of a store's models.
#[derive(Clone)]
pub struct Documents {
    store: EventStore,
    /// For each model, where its documents were, and the version of the record that says so.
    places: Arc<Mutex<HashMap<String, (u64, String)>>>,
}

impl Documents {
    /// Those of a store.
    #[must_use]
    pub fn new(store: &EventStore) -> Self {
        Self { store: store.clone(), places: Arc::default() }
    }

    /// One page of a model's documents, without their entries in the index, and a number that is
    /// another one once other documents have taken their place.
    #[must_use]
    pub fn page(
        &self,
        model: &str,
        select: RecordSelection,
        backwards: bool,
        after: Option<RecordCursor>,
        limit: usize,
    ) -> Answer<(RecordPage, u64)> {
        let read = move |store: &EventStore, query| {
            let query = RecordQuery { backwards, entries: false, ..query };
            without_marks(store.records(query, after.clone(), limit))
        };
        self.read(model, select, read, || RecordPage { records: Vec::new(), next: None })
    }

    /// How many of a model's documents a selection has, and the same number.
    #[must_use]
    pub fn count(&self, model: &str, select: RecordSelection) -> Answer<(u64, u64)> {
        self.read(model, select, EventStore::count_records, || 0)
    }

    /// Reads where the documents are known to be, and looks then whether they are there: what is
    /// answered is of one generation, which was live. `none` where there is none.
    fn read<T: Send + 'static>(
        &self,
        model: &str,
        select: RecordSelection,
        read: impl Fn(&EventStore, RecordQuery) -> Answer<T> + Send + 'static,
        none: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<(T, u64)> {
        let (this, model) = (self.clone(), model.to_owned());
        Box::pin(async move {
            check_part("model", &model)?;
            let mut known = this.places().get(&model).cloned();
            loop {
                let mut found = None;
                if let Some((_, space)) = &known {
                    let query = RecordQuery::new(space.clone(), select.clone());
                    found = Some(read(&this.store, query).await?);
                }
                // What is purged was replaced before.
                let Some(record) = one(&this.store, MODELS, &model).await? else {
                    this.places().remove(&model);
                    return Ok((none(), 0));
                };
                if let Some(found) = found
                    && known.is_some_and(|(version, _)| version == record.version)
                {
                    return Ok((found, record.version));
                }
                let place: Place = decoded(&record)?;
                let space = space_of(&place.projection, place.generation, &model);
                this.places().insert(model.clone(), (record.version, space.clone()));
                known = Some((record.version, space));
            }
        })
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, (u64, String)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page with what its documents hold, and not what inline ones say besides.
fn without_marks(page: Answer<RecordPage>) -> Answer<RecordPage> {
    Box::pin(async move {
        let mut page = page.await?;
        for record in &mut page.records {
            let mark = record.value.bytes.len() - held(&record.value.bytes).len();
            record.value.bytes.drain(..mark);
        }
        Ok(page)
    })
}
