//! The statements of a store, with the names of its relations filled in.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Postgres};

use super::schema::Relations;

/// A statement on its way, to which values are bound.
pub(super) type Asked<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

macro_rules! statements {
    ($($name:ident)+) => {
        /// One statement a file of `sql/`.
        pub(super) struct Statements {
            $(pub(super) $name: Statement,)+
        }

        impl Statements {
            pub(super) fn new(relations: &Relations) -> Self {
                let fill = |template| Statement(relations.fill(template).into());
                Self { $($name: fill(include_str!(concat!("sql/", stringify!($name), ".sql"))),)+ }
            }
        }
    };
}

statements! {
    aggregate_types announce append events_at_backward events_at_forward events_backward
    events_forward horizon insert_kinds insert_loose keep kind_spans_backward kind_spans_forward
    kinds kinds_by_name kinds_of_type last_position listen look loose position_before
    records_by_index records_by_keys records_by_prefix records_due runs_of_ids runs_of_streams sift
    sift_events_backward sift_events_forward sift_names sift_streams spans_backward spans_forward
    stream stream_events_backward stream_events_forward stream_names stream_runs_backward
    stream_runs_forward streams_of_id streams_of_item streams_of_type tag_events_backward
    tag_events_forward tags_backward tags_forward tail writers
}

/// A statement, prepared once a connection.
pub(super) struct Statement(Arc<str>);

impl Statement {
    /// The statement, for values to be bound to it.
    pub(super) fn query<'q>(&self) -> Asked<'q> {
        // Written by us, but for the names of relations, which `PostgresOptions::check` has seen.
        sqlx::query(AssertSqlSafe(Arc::clone(&self.0)))
    }
}
