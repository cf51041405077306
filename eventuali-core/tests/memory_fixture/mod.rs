//! The fixture of a store in memory: one handle, until it is closed.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use eventuali_core::backend::memory::Memory;
use eventuali_core::contract::{Fixture, block_on};
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::storage::{Answer, Storage};

#[derive(Default)]
pub(crate) struct MemoryFixture {
    open: Mutex<Option<Arc<Memory>>>,
}

impl Fixture for MemoryFixture {
    fn open(&self) -> Answer<Arc<dyn Storage>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = open
            .take()
            .filter(|memory| block_on(memory.read(Query::default(), ReadRange::default())).is_ok());
        let memory = open.insert(kept.unwrap_or_default());
        Box::pin(ready(Ok(Arc::clone(memory) as Arc<dyn Storage>)))
    }
}
