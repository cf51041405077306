//! Whether all that is in memory agrees.

use super::State;
use crate::verify::{Damage, VerifyPage};

impl State {
    /// Looks at everything in one step.
    pub(super) fn verify(&self) -> VerifyPage {
        let (events, records) = (self.events.len() as u64, self.records.len() as u64);
        let streams = self.streams.len() as u64;
        let checked = events + streams + records;
        let mut damage = Vec::new();
        let mut before = i64::MIN;
        for (index, row) in self.events.iter().enumerate() {
            let head = &row.head;
            let position = index as u64 + 1;
            if head.position != position
                || row.checksum != head.checksum(&row.metadata, &row.payload)
            {
                damage.push(Damage::at(position, "the event differs from what was written"));
            }
            if self.ids.get(&head.event_id).map(|known| known.0) != Some(index) {
                damage.push(Damage::at(position, "the event is missing in the index of ids"));
            }
            if head.recorded_at < before {
                damage.push(Damage::at(position, "recorded_at is lower than before"));
            }
            before = head.recorded_at;
        }
        for (stream, positions) in &self.streams {
            for (position, version) in positions.iter().zip(1..) {
                let found = self.events.get((*position as usize).wrapping_sub(1));
                if !found.is_some_and(|r| *r.head.stream == *stream && r.head.version == version) {
                    let text = format!("version {version} of {stream} is missing");
                    damage.push(Damage::at(*position, text));
                }
            }
        }
        VerifyPage { checked, total: checked, events, streams, records, damage, next: None }
    }
}
