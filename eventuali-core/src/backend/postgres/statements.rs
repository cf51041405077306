//! The statements of a store, with the names of its relations filled in.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Postgres};

use super::schema::Relations;
use crate::backend::sql::backward;

/// A statement on its way, to which values are bound.
pub(super) type Asked<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

macro_rules! statements {
    (both_ways { $($both:ident)+ } reads { $($read:ident)+ } others { $($other:ident)+ }) => {
        /// One statement a file of `sql/`. A `call_` calls a function, which a migration defines.
        pub(super) struct Statements {
            $(pub(super) $both: BothWays,)+
            $(pub(super) $read: Statement,)+
            $(pub(super) $other: Statement,)+
        }

        impl Statements {
            pub(super) fn new(relations: &Relations) -> Self {
                let fill = |template: &str| Statement(relations.fill(template).into());
                let read = |template: &str| {
                    // One look at the beginning: what is read are the tables that are remembered.
                    fill(&format!("SELECT * FROM (\n{template}\n) AS asked WHERE {{same}}()"))
                };
                let both = |template| {
                    BothWays { forward: read(template), backward: read(&backward(template)) }
                };
                Self {
                    $($both: both(include_str!(concat!("sql/", stringify!($both), ".sql"))),)+
                    $($read: read(include_str!(concat!("sql/", stringify!($read), ".sql"))),)+
                    $($other: fill(include_str!(concat!("sql/", stringify!($other), ".sql"))),)+
                }
            }
        }
    };
}

statements! {
    both_ways {
        events events_at kind_spans sift_events spans stream_events stream_runs tag_events tags
    }
    reads {
        aggregate_types call_horizon call_tail kinds kinds_by_name kinds_of_type last_position loose
        position_before records_by_index records_by_keys records_by_prefix records_due runs_of_ids
        runs_of_streams sift sift_names sift_streams stream stream_names streams_of_id
        streams_of_item streams_of_type
        verify_events verify_kinds verify_record_index verify_records verify_runs verify_streams
        verify_tagged verify_tags verify_total writers
    }
    others { announce call_append call_keep call_look delete_record_entries insert_kinds insert_loose
        insert_record_entries listen
        purge_records put_records record_entries remember }
}

/// A statement that is read in either direction.
pub(super) struct BothWays {
    forward: Statement,
    backward: Statement,
}

impl BothWays {
    /// The statement for a direction, for values to be bound to it.
    pub(super) fn query<'q>(&self, backwards: bool) -> Asked<'q> {
        if backwards { self.backward.query() } else { self.forward.query() }
    }
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
