//! The statements of a store, with the names of its relations filled in.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Postgres};

use super::row_security::as_tenant;
use super::schema::Relations;
use crate::backend::sql::backward;
use crate::record::RecordQuery;

/// A statement on its way, to which values are bound.
pub(super) type Asked<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

macro_rules! statements {
    (both_ways { $($both:ident)+ } records { $($records:ident)+ } reads { $($read:ident)+ } others { $($other:ident)+ }) => {
        /// One statement a file of `sql/`. A `call_` calls a function, which a migration defines.
        pub(super) struct Statements {
            $(pub(super) $both: BothWays,)+
            $(pub(super) $records: OfRecords,)+
            $(pub(super) $read: Statement,)+
            $(pub(super) $other: Statement,)+
        }

        impl Statements {
            /// As whoever sees everything says them, or a role that is restricted to a tenant.
            pub(super) fn new(relations: &Relations, restricted: bool) -> Self {
                let fill = |template: &str| {
                    let said = if restricted { as_tenant(template) } else { template.to_owned() };
                    Statement(relations.fill(&said).into())
                };
                let read = |template: &str| {
                    // One look at the beginning: what is read are the tables that are remembered.
                    fill(&format!("SELECT * FROM (\n{template}\n) AS asked WHERE {{same}}()"))
                };
                let both = |template: &str| {
                    BothWays { forward: read(template), backward: read(&backward(template)) }
                };
                let records = |template: &str| OfRecords {
                    with: both(template),
                    without: both(&template.replace("{documents}", WITHOUT_ENTRIES)),
                };
                Self {
                    $($records: records(include_str!(concat!("sql/", stringify!($records), ".sql"))),)+
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
        user_events users
    }
    records { records_by_index records_by_keys records_by_prefix records_by_words records_due }
    reads {
        aggregate_types call_horizon call_tail count_events count_records_by_index count_records_by_keys
        count_records_by_prefix count_records_by_words count_records_due count_stream
        count_tag
        kinds kinds_by_name kinds_of_type last_position loose position_before runs_of_ids
        runs_of_streams sift sift_names sift_streams stream stream_names streams_of_id
        streams_of_item streams_of_type usage
        verify_events verify_kinds verify_record_index verify_records verify_runs verify_streams
        verify_tagged verify_tags verify_texts verify_total verify_words writers
    }
    others { announce call_append call_keep call_keep_texts call_look check_records record_bytes
        delete_record_entries insert_kinds insert_loose insert_record_entries listen
        purge_records put_records put_texts record_entries remember touched }
}

/// Stands for the records with their entries where nobody wants those.
const WITHOUT_ENTRIES: &str = "(
    SELECT
        b.*, NULL::text[] AS names, NULL::smallint[] AS ranks, NULL::bigint[] AS wholes,
        NULL::double precision[] AS fractions, NULL::bytea[] AS words
    FROM {records} AS b WHERE b.bytes IS NOT NULL
)";

/// A statement of records, with their entries in the index or without.
pub(super) struct OfRecords {
    with: BothWays,
    without: BothWays,
}

impl OfRecords {
    /// The statement for a query, for values to be bound to it.
    pub(super) fn query<'q>(&self, query: &RecordQuery) -> Asked<'q> {
        let ways = if query.entries { &self.with } else { &self.without };
        ways.query(query.backwards)
    }
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
