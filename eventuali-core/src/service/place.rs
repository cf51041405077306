//! What a checkpoint says, as its record holds it.

use serde_json::Value;
use uuid::Uuid;

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventPage;
use crate::query::{Query, ReadRange};
use crate::record::Record;
use crate::store::EventStore;

/// The space of the records.
pub(super) const SPACE: &str = "checkpoint";

/// An event that is stored; position 0, with the nil id, is before the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) event_id: Uuid,
}

/// A checkpoint as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) place: Place,
    /// Whether somebody put it there who does not follow.
    pub(super) reset: bool,
    /// µs since 1970 UTC by the clock of who wrote it; none where that was not noted yet.
    pub(super) written_at: Option<i64>,
}

impl Place {
    /// Before the first event.
    const START: Self = Self { position: 0, event_id: Uuid::nil() };

    /// What the record holds, written now.
    pub(super) fn encode(self, reset: bool) -> Vec<u8> {
        let Self { position, event_id } = self;
        let event =
            if position > 0 { format!(r#", "event_id": "{event_id}""#) } else { String::new() };
        let (now, reset) = (clock::now(), if reset { r#", "reset": true"# } else { "" });
        format!(r#"{{"position": {position}{event}, "written_at": {now}{reset}}}"#).into_bytes()
    }
}

impl Stored {
    /// What a record holds; [`ErrorKind::Corrupted`] where that is no checkpoint.
    pub(super) fn of(record: &Record) -> Result<Self> {
        Self::decode(&record.value.bytes).map_err(|fault| {
            let text = format!("the checkpoint of {:?} is damaged: {fault}", record.key.key);
            Error::new(ErrorKind::Corrupted { position: None }, text)
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let event_id = value["event_id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let place = match (value["position"].as_u64(), event_id) {
            (Some(0), None) => Some(Place::START),
            (Some(position), Some(event_id)) if position > 0 => Some(Place { position, event_id }),
            _ => None,
        };
        let place = place.ok_or_else(|| "it has no valid position and event id".to_owned())?;
        let reset = value["reset"].as_bool().unwrap_or(false);
        Ok(Self { place, reset, written_at: value["written_at"].as_i64() })
    }
}

/// The last event at or below a position; before the first one where there is none.
pub(super) async fn place_at(store: &EventStore, position: u64) -> Result<Place> {
    let mut range =
        ReadRange { until: position, backwards: true, limit: 1, ..ReadRange::default() };
    loop {
        let page = store.read(Query::default(), range).await?;
        if let Some(place) = last_of(&page) {
            return Ok(place);
        }
        if page.end {
            return Ok(Place::START);
        }
        range = range.continued(page.looked_to);
    }
}

/// The last event of a page.
pub(super) fn last_of(page: &EventPage) -> Option<Place> {
    let last = page.iter().last()?;
    Some(Place { position: last.head.position, event_id: last.head.event_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let event_id = Uuid::from_u128(7);
        for place in [Place { position: 3, event_id }, Place::START] {
            for reset in [false, true] {
                let stored = Stored::decode(&place.encode(reset)).expect("it is whole");
                assert_eq!((stored.place, stored.reset), (place, reset));
                assert!(stored.written_at.is_some());
            }
        }
    }

    #[test]
    fn those_of_before_had_no_time() {
        let text = format!(r#"{{"position": 3, "event_id": "{}"}}"#, Uuid::from_u128(7));
        let stored = Stored::decode(text.as_bytes()).expect("it is whole");
        assert_eq!((stored.place.position, stored.written_at, stored.reset), (3, None, false));
    }

    #[test]
    fn others_are_damaged() {
        for text in ["", "3", "{}", r#"{"position": 3}"#, r#"{"position": -1}"#] {
            Stored::decode(text.as_bytes()).expect_err(text);
        }
    }
}
