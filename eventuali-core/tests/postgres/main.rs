//! What is particular to a store in PostgreSQL, each module by the risk that it is about.
//!
//! The server is the one of `EVENTUALI_TEST_POSTGRES_URL`, else one on 127.0.0.1:5432.

mod announcements;
mod by_hand;
mod doubt;
#[allow(dead_code)]
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod given;
mod judging;
mod late_commit;
mod older_format;
mod opening;
mod order;
mod outage;
mod refused;
mod replaced;
mod silence;
mod taken_over;
#[cfg(feature = "faults")]
mod variants;
mod waiting;
mod way;
