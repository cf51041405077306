//! How much tenants have stored.

use super::State;
use crate::error::Result;
use crate::usage::{Usage, UsagePage, UsageQuery};

impl State {
    /// All that is asked for.
    pub(super) fn usage(&self, query: &UsageQuery) -> Result<UsagePage> {
        query.check()?;
        let after = usize::try_from(query.after).unwrap_or(usize::MAX);
        let mut page = UsagePage { end: true, ..UsagePage::default() };
        for row in self.events.get(after..).unwrap_or(&[]) {
            let stream = &row.head.stream;
            if query.tenant.as_ref().is_some_and(|only| *only != stream.tenant) {
                continue;
            }
            let one = Usage {
                events: 1,
                bytes: (row.metadata.len() + row.payload.len()) as u64,
                streams: u64::from(row.head.version == 1),
            };
            let of = page.usages.entry(stream.tenant.clone()).or_default();
            *of = of.plus(one);
        }
        page.looked_to = self.last_position().max(query.after);
        Ok(page)
    }
}
