//! The statements of a store, with the names of its relations filled in.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Postgres};

use super::schema::Relations;

/// A statement on its way, to which values are bound.
pub(super) type Asked<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

macro_rules! statements {
    (reads { $($read:ident)+ } others { $($other:ident)+ }) => {
        /// One statement a file of `sql/`.
        pub(super) struct Statements {
            $(pub(super) $read: Statement,)+
            $(pub(super) $other: Statement,)+
        }

        impl Statements {
            pub(super) fn new(relations: &Relations) -> Self {
                let fill = |template: &str| Statement(relations.fill(template).into());
                let read = |template| {
                    // One look at the beginning: what is read are the tables that are remembered.
                    fill(&format!("SELECT * FROM (\n{template}\n) AS asked WHERE {{same}}()"))
                };
                Self {
                    $($read: read(include_str!(concat!("sql/", stringify!($read), ".sql"))),)+
                    $($other: fill(include_str!(concat!("sql/", stringify!($other), ".sql"))),)+
                }
            }
        }
    };
}

statements! {
    reads {
        aggregate_types events_at_backward events_at_forward events_backward events_forward horizon
        kind_spans_backward kind_spans_forward kinds kinds_by_name kinds_of_type last_position loose
        position_before records_by_index records_by_keys records_by_prefix records_due runs_of_ids
        runs_of_streams sift sift_events_backward sift_events_forward sift_names sift_streams
        spans_backward spans_forward stream stream_events_backward stream_events_forward
        stream_names stream_runs_backward stream_runs_forward streams_of_id streams_of_item
        streams_of_type tag_events_backward tag_events_forward tags_backward tags_forward tail
        verify_events verify_kinds verify_record_index verify_records verify_runs verify_streams
        verify_tagged verify_tags verify_total writers
    }
    others { announce append insert_kinds insert_loose keep listen look remember }
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
