//! Row-level security: roles of PostgreSQL that are given a tenant, and what a store says as one.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::options::{PostgresOptions, check_identifier};
use super::schema::{Relations, functions_of_all};
use crate::error::{Error, ErrorKind, Result};
use crate::name::check_tenant;

/// Statements that a role with a tenant makes in another way.
const STATEMENTS: [(&str, &str); 3] = [
    (include_str!("sql/insert_loose.sql"), "SELECT {loose_as}($1)"),
    (include_str!("sql/last_position.sql"), "SELECT {last_as}()"),
    (
        include_str!("sql/runs_of_ids.sql"),
        "SELECT r.first_id, r.last_id, r.position, r.records FROM {runs_as}($1::uuid[]) AS r",
    ),
];
/// Functions that it calls in the place of others.
const FUNCTIONS: [&str; 5] = ["append", "horizon", "look", "may", "tail"];

/// A statement as a role with a tenant makes it.
pub(super) fn as_tenant(statement: &str) -> String {
    let mut said = statement.to_owned();
    for (usual, own) in STATEMENTS {
        said = said.replace(usual, own);
    }
    for function in FUNCTIONS {
        said = said.replace(&format!("{{{function}}}("), &format!("{{{function}_as}}("));
    }
    said
}

/// The SQL with which the owner of a store turns row-level security on; it may be run again.
pub fn row_security_sql(options: &PostgresOptions) -> Result<String> {
    options.check()?;
    let tail = functions_of_all().rev().find(|function| function.contains("{tail}("));
    let tail = tail.as_deref().map(as_tenant).unwrap_or_default();
    let script = format!("BEGIN;\n{}\n{tail}COMMIT;\n", include_str!("sql/row_security.sql"));
    Ok(Relations::of(options).fill(&script))
}

/// The SQL with which the owner of a store gives a tenant to a role.
pub fn tenant_role_sql(options: &PostgresOptions, role: &str, tenant: &str) -> Result<String> {
    options.check()?;
    check_identifier("role", role)?;
    check_tenant(tenant)?;
    if tenant.is_empty() {
        return Err(Error::invalid("tenant", "a role is given a tenant that has a name"));
    }
    // Neither has a character that would need more than quotes.
    let script = include_str!("sql/tenant_role.sql")
        .replace("{role_text}", &format!("'{role}'"))
        .replace("{tenant_text}", &format!("'{tenant}'"))
        .replace("{schema}", &format!("\"{}\"", options.schema))
        .replace("{role}", &format!("\"{role}\""));
    Ok(format!("BEGIN;\n{}COMMIT;\n", Relations::of(options).fill(&script)))
}

/// The tenant that the role of a connection is restricted to; none where it sees everything.
pub(super) async fn tenant_of(
    conn: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<Option<String>> {
    let relations = Relations::of(options);
    let asked = relations.fill("SELECT row_security_active('{log}'), {whose}(), current_user");
    let row = sqlx::query(AssertSqlSafe(asked)).fetch_one(conn).await?;
    if !row.try_get::<bool, _>(0)? {
        return Ok(None);
    }
    if let Some(tenant) = row.try_get(1)? {
        return Ok(Some(tenant));
    }
    let role: String = row.try_get(2)?;
    let text = format!(
        "PostgreSQL: row-level security is on, and role {role:?} has no tenant, so that it sees \
         nothing; run the SQL of tenant_role_sql, or use the owner of the tables"
    );
    Err(Error::new(ErrorKind::Configuration, text))
}
