//! Which partition of a group an event belongs to.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{EventPage, EventRef};

/// The most partitions of a group.
pub const MAX_PARTITIONS: u32 = 256;

/// How a group divides the log: each event belongs to one partition, for as long as the number of
/// partitions stays what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partitioning {
    /// How many partitions there are.
    pub partitions: u32,
    /// The name of the tag that says the key: `customer` stands for tags such as `customer:42`. Where
    /// it is none, and for events without such a tag, the key is the stream.
    pub tag: Option<String>,
    /// How the log was divided before, and how far each partition had come: what was handled then is
    /// not handled again.
    #[serde(default)]
    pub(super) before: Vec<Layout>,
    /// What the partitions are, where each is something of its own, and no part of the log.
    #[serde(default)]
    pub(super) names: Vec<String>,
}

/// Partitions as they were, each with the position up to which it was handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) handled: Vec<u64>,
    /// Whether a group begins with it, whose partitions were never these.
    #[serde(default)]
    pub(super) is_begin: bool,
}

impl Partitioning {
    /// A log divided by stream, or by the tags of a name.
    pub fn new(partitions: u32, tag: Option<String>) -> Result<Self> {
        if partitions == 0 || partitions > MAX_PARTITIONS {
            let text = format!("a group has 1 to {MAX_PARTITIONS} partitions, not {partitions}");
            return Err(Error::invalid("partitions", text));
        }
        Ok(Self { partitions, tag, before: Vec::new(), names: Vec::new() })
    }

    /// Partitions that are something of their own each.
    pub(super) fn named(names: &[String]) -> Result<Self> {
        if names.len() > MAX_PARTITIONS as usize {
            let text = format!(
                "a group shares up to {MAX_PARTITIONS} projections, counting each version that it \
                 ever had: use another name for the group"
            );
            return Err(Error::invalid("group", text));
        }
        Ok(Self { names: names.to_vec(), ..Self::new(names.len() as u32, None)? })
    }

    /// The same log in more partitions, behind what the present ones have handled.
    pub(super) fn raised(&self, partitions: u32, handled: Vec<u64>) -> Result<Self> {
        let mut raised = Self::new(partitions, self.tag.clone())?;
        raised.before.clone_from(&self.before);
        raised.before.push(Layout { handled, is_begin: false });
        Ok(raised)
    }

    /// Whether there were fewer partitions once.
    pub(in crate::service) fn was_raised(&self) -> bool {
        self.before.iter().any(|layout| !layout.is_begin)
    }

    /// The partition of a key, by its hash.
    pub(in crate::service) fn number_of(&self, hash: u64) -> u32 {
        (hash % u64::from(self.partitions)) as u32
    }

    /// Whether an event belongs to a partition, and was not handled before the partitions were
    /// other ones.
    pub fn has(&self, number: u32, event: EventRef<'_>) -> Result<bool> {
        Ok(self.has_key(number, self.hash(event)?, event.head.position))
    }

    /// The same, for an event of which the hash of its key and the position are known.
    pub(super) fn has_key(&self, number: u32, hash: u64, position: u64) -> bool {
        let handled = |layout: &Layout| {
            let index = (hash % layout.handled.len().max(1) as u64) as usize;
            layout.handled.get(index).is_some_and(|handled| position <= *handled)
        };
        self.number_of(hash) == number && !self.before.iter().any(handled)
    }

    /// Whether its one partition has every event.
    pub(super) fn is_whole(&self) -> bool {
        self.partitions == 1 && self.before.is_empty()
    }

    /// The hashes of the keys of the events of a page.
    pub(super) fn hashes(&self, page: &EventPage) -> Result<Vec<u64>> {
        page.iter().map(|event| self.hash(event)).collect()
    }

    /// Where a partition begins that nobody has handled yet: all before it was handled by others.
    pub(super) fn start(&self) -> u64 {
        let least = self.before.last().and_then(|layout| layout.handled.iter().min());
        least.copied().unwrap_or(0)
    }

    /// A number that stays the same for a key, whatever the version of this library.
    pub(super) fn hash(&self, event: EventRef<'_>) -> Result<u64> {
        if let Some(name) = &self.tag
            && let Some(key) = event.tags()?.iter().find_map(|tag| value_of(tag, name))
        {
            return Ok(mixed(&[key.as_bytes()]));
        }
        let stream = &event.head.stream;
        if stream.is_none() {
            return Ok(mixed(&[event.head.event_id.as_bytes()]));
        }
        Ok(mixed(&[stream.aggregate_type.as_bytes(), stream.aggregate_id.as_bytes()]))
    }
}

/// What stands behind the name in a tag such as `name:value`.
fn value_of<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    tag.strip_prefix(name)?.strip_prefix(':')
}

/// FNV-1a (64 bits) over the parts, each behind its length, and the last step of `MurmurHash3`,
/// without which the low bits of similar keys are alike.
fn mixed(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for part in parts {
        add(part.len() as u8); // a name has at most 255 bytes
        part.iter().for_each(|byte| add(*byte));
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::event::{EventHead, EventKind, Metadata};
    use crate::stream::StreamId;

    fn page(streams: &[(&str, &str)], tags: &[&str]) -> EventPage {
        let mut page = EventPage::default();
        let tags = tags.iter().map(ToString::to_string).collect();
        let metadata = Metadata { tags, ..Metadata::default() }.encode().expect("it is encoded");
        for (index, (kind, id)) in streams.iter().enumerate() {
            let head = EventHead {
                position: index as u64 + 1,
                event_id: Uuid::from_u128(index as u128 + 1),
                stream: Arc::new(StreamId::new(*kind, *id)),
                version: 1,
                kind: Arc::new(EventKind::json("Opened", 1)),
                timestamp: 1,
                recorded_at: 1,
            };
            page.push(head, &metadata, b"{}");
        }
        page
    }

    #[test]
    fn each_event_belongs_to_one_partition_and_they_are_alike() {
        let ids: Vec<String> = (0..8000).map(|number| format!("acc-{number}")).collect();
        let streams: Vec<_> = ids.iter().map(|id| ("Account", id.as_str())).collect();
        let page = page(&streams, &[]);
        let divided = Partitioning::new(8, None).expect("it is valid");
        let mut counts = [0; 8];
        for event in page.iter() {
            let of: Vec<u32> =
                (0..8).filter(|number| divided.has(*number, event).expect("it is read")).collect();
            assert_eq!(of.len(), 1);
            counts[of[0] as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_key_has_the_number_that_it_always_had() {
        let page = page(&[("Account", "acc-1"), ("", "")], &[]);
        let divided = Partitioning::new(MAX_PARTITIONS, None).expect("it is valid");
        let found: Vec<u64> =
            page.iter().map(|event| divided.hash(event).expect("it is read")).collect();
        assert_eq!(found, [0x2dca_7341_eb78_611f, 0xf872_3603_0ee9_ffe7]);
    }

    #[test]
    fn a_tag_of_the_name_is_the_key() {
        let streams = [("Account", "a"), ("Account", "b"), ("Order", "c")];
        let page = page(&streams, &["other:7", "customer:42"]);
        let divided = Partitioning::new(256, Some("customer".into())).expect("it is valid");
        let found: Vec<u64> =
            page.iter().map(|event| divided.hash(event).expect("it is read")).collect();
        assert!(found.iter().all(|hash| *hash == mixed(&[b"42"])));
        let by_stream = Partitioning::new(256, Some("cust".into())).expect("it is valid");
        let first = by_stream.hash(page.get(0)).expect("it is read");
        assert_ne!(first, by_stream.hash(page.get(1)).expect("it is read"));
    }

    #[test]
    fn what_was_handled_under_other_partitions_is_not_again() {
        let page = page(&[("Account", "a"), ("Account", "b"), ("Account", "c")], &[]);
        let before = vec![Layout { handled: vec![2], is_begin: false }];
        let divided = Partitioning { before, ..Partitioning::new(2, None).expect("it is valid") };
        let left: Vec<u64> = page
            .iter()
            .filter(|event| (0..2).any(|number| divided.has(number, *event).unwrap_or(false)))
            .map(|event| event.head.position)
            .collect();
        assert_eq!((left, divided.start()), (vec![3], 2));
    }

    #[test]
    fn no_other_number_of_partitions_is_valid() {
        for partitions in [0, MAX_PARTITIONS + 1] {
            Partitioning::new(partitions, None).expect_err("it is refused");
        }
    }
}
