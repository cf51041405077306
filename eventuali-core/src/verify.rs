//! What a check of everything that is stored finds.

use crate::error::Error;

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The position of the event, where one is to blame.
    pub position: Option<u64>,
    /// What is wrong, for people.
    pub text: String,
}

impl Damage {
    /// Damage to one event.
    #[must_use]
    pub fn at(position: u64, text: impl Into<String>) -> Self {
        Self { position: Some(position), text: text.into() }
    }

    /// Damage that no single event is to blame for.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Self { position: None, text: text.into() }
    }
}

/// How far a check has come. Only the backend that gave it knows what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyCursor(pub Vec<u8>);

impl VerifyCursor {
    /// The error for a cursor that no check gave.
    #[must_use]
    pub fn unknown() -> Error {
        Error::invalid("after", "this is not a cursor that a check returned")
    }
}

/// One step of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyPage {
    /// Rows that this step looked at, of events, indexes and records.
    pub checked: u64,
    /// How many rows there are, as far as is known now.
    pub total: u64,
    /// Events that this step looked at.
    pub events: u64,
    /// Streams that this step looked at.
    pub streams: u64,
    /// Records that this step looked at.
    pub records: u64,
    /// What it found.
    pub damage: Vec<Damage>,
    /// Where to go on; none where all has been looked at.
    pub next: Option<VerifyCursor>,
}
