//! Where events that match a query can lie, put together from what the indexes say.

use crate::query::ReadRange;
use crate::span::{Span, merged};

/// Index entries that one item looks at before it says how far it came.
pub(in crate::backend) const LOOKAHEAD: usize = 1024;

/// The most streams whose runs are looked up, all of them. The rows of more streams are passed.
pub(in crate::backend) const FEW_STREAMS: usize = 32;

/// The most rows that are passed at first where no index helps; then four times as many, and so on,
/// so that a page of a frequent match does not pass many rows in vain.
pub(in crate::backend) const FIRST_WINDOW: u64 = 4096;

/// Spans that hold every match between the start of the range and `looked_to`, and more besides.
pub(in crate::backend) struct Candidates {
    pub(in crate::backend) spans: Vec<Span>,
    pub(in crate::backend) looked_to: u64,
    /// How many rows were passed, because no index finds what is asked for.
    pub(in crate::backend) passed: u64,
}

/// Candidates in the making.
pub(in crate::backend) struct Gathering {
    range: ReadRange,
    whole: Span,
    spans: Vec<Span>,
    looked_to: u64,
}

impl Gathering {
    /// Nothing yet; `range.until` is a real position.
    pub(in crate::backend) fn new(range: ReadRange) -> Self {
        let whole = (range.after + 1, range.until);
        let looked_to = if range.backwards { whole.0 } else { whole.1 };
        Self { range, whole, spans: Vec::new(), looked_to }
    }

    /// All that there is to look at.
    pub(in crate::backend) fn whole(&self) -> Span {
        self.whole
    }

    /// Adds what an index has; whether that is all it has in the range.
    pub(in crate::backend) fn meet(&mut self, found: Vec<Span>, complete: bool) {
        if !complete && let Some(last) = found.last() {
            self.looked_to = if self.range.backwards {
                self.looked_to.max(last.0.max(self.whole.0))
            } else {
                self.looked_to.min(last.1.min(self.whole.1))
            };
        }
        self.spans.extend(found);
    }

    /// Looks no further than `window` rows, which are passed because no index helps.
    pub(in crate::backend) fn pass(&mut self, window: u64) {
        if self.range.backwards {
            self.looked_to = self.looked_to.max((self.whole.1 + 1).saturating_sub(window));
        } else {
            self.looked_to = self.looked_to.min(self.range.after.saturating_add(window));
        }
    }

    /// What was looked at.
    pub(in crate::backend) fn bounds(&self) -> Span {
        if self.range.backwards {
            (self.looked_to, self.whole.1)
        } else {
            (self.whole.0, self.looked_to)
        }
    }

    /// Adds what was found by passing rows.
    pub(in crate::backend) fn add(&mut self, found: impl IntoIterator<Item = Span>) {
        self.spans.extend(found);
    }

    /// All of it, in the direction of reading; whether rows were passed for it that count.
    pub(in crate::backend) fn finish(self, passed: bool) -> Candidates {
        let bounds = self.bounds();
        let spans = merged(self.spans, bounds, self.range.backwards);
        let passed = if passed { bounds.1 + 1 - bounds.0 } else { 0 };
        Candidates { spans, looked_to: self.looked_to, passed }
    }
}
