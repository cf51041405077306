//! Consumer groups: several members, in one process or in many, handle the events of a log together.
//!
//! A group divides the log into partitions by a key of each event, its stream for instance. A
//! partition has one owner at a time, which handles its events one after the other, in order, and
//! writes down how far it has come. Both are records: the version of a lease's record is the
//! generation of the partition, and a checkpoint is written on condition of it, so that whoever was
//! taken for dead, and is not, writes nothing any more.
//!
//! No clocks are compared. A member changes its record again and again; whoever sees it unchanged
//! for the length of a lease, by a clock of its own that only counts, takes over what it owned, in a
//! commit that fails if the record has changed after all. The member itself stops as long after it
//! began its last change, which is earlier.

mod held;
mod member;
pub(super) mod pages;
pub mod partition;
pub(super) mod records;
mod repartition;
mod round;

use std::time::Duration;

pub use held::{Held, Status};
pub use member::Member;
pub use partition::{MAX_PARTITIONS, Partitioning};
pub use repartition::repartition;

pub use super::checkpoint::First;

/// The number of partitions of a group that doesn't say.
pub const PARTITIONS: u32 = 8;

/// What a group is, as each of its members says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its name.
    pub name: String,
    /// How many partitions it has; none is as many as it has, or [`PARTITIONS`] where it is new.
    pub partitions: Option<u32>,
    /// See [`Partitioning::tag`].
    pub tag: Option<String>,
    /// What this member can take, where the partitions are something of their own each, such as a
    /// projection, and no part of the log; empty where they are. Names that are new are added.
    pub names: Vec<String>,
    /// Where it begins, where it is new.
    pub first: First,
    /// How long a member that says nothing keeps its partitions.
    pub lease: Duration,
    /// How long an event is handled before its partition is given away; none is as long as it takes.
    pub deadline: Option<Duration>,
}
