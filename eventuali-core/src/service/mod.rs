//! What stands above a store and uses nothing else of it.

pub mod checkpoint;
pub mod checkpoints;
pub mod dead_letter;
pub mod documents;
pub mod group;
pub mod inline;
mod place;
pub mod projection;
pub mod snapshot;
pub mod subscription;
pub mod tracking;
