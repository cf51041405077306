//! What stands above a store and uses nothing else of it.

pub mod checkpoint;
pub mod documents;
pub mod inline;
pub mod projection;
pub mod subscription;
