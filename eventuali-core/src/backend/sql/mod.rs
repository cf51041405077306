//! What both SQL backends do alike.

mod both_ways;
pub(in crate::backend) mod candidates;
pub(in crate::backend) mod pages;
pub(in crate::backend) mod words;

pub(in crate::backend) use both_ways::backward;
