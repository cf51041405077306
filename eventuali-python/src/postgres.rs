//! How a store in PostgreSQL is opened, as Python says it.

use std::time::Duration;

use eventuali_core::backend::postgres::{
    PostgresOptions, drop_test_schema, row_security_sql, schema_sql, tenant_role_sql,
};
use eventuali_core::url::PostgresUrl;
use pyo3::prelude::*;

use crate::error::to_python;

/// What `EventStoreConfig` says, checked.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Postgres {
    pub(crate) options: PostgresOptions,
}

#[pymethods]
impl Postgres {
    #[new]
    #[pyo3(signature = (
        url, *, schema, table_name, max_connections, connect_timeout, statement_timeout, migrations
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are the fields of PostgresOptions")]
    fn new(
        py: Python<'_>,
        url: &str,
        schema: String,
        table_name: String,
        max_connections: u32,
        connect_timeout: f64,
        statement_timeout: f64,
        migrations: bool,
    ) -> PyResult<Self> {
        let url = PostgresUrl::parse(url).map_err(|e| to_python(py, &e))?;
        let options = PostgresOptions {
            schema,
            table_name,
            max_connections,
            connect_timeout: seconds(connect_timeout),
            statement_timeout: seconds(statement_timeout),
            migrate: migrations,
            ..PostgresOptions::new(url)
        };
        options.check().map_err(|e| to_python(py, &e))?;
        Ok(Self { options })
    }

    /// What would be opened, without a password.
    #[getter]
    fn url(&self) -> String {
        self.options.url.to_string()
    }

    /// What the URL says of how long to wait for a connection, in seconds.
    #[getter]
    fn connect_timeout_of_url(&self) -> Option<f64> {
        self.options.url.connect_timeout().map(|limit| limit.as_secs_f64())
    }

    /// Drops the schema, which was made for a test, as its name says, with all that it holds.
    fn drop_test_schema(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| drop_test_schema(&self.options)).map_err(|e| to_python(py, &e))
    }

    /// The SQL that makes the schema.
    fn schema_sql(&self, py: Python<'_>) -> PyResult<String> {
        schema_sql(&self.options).map_err(|e| to_python(py, &e))
    }

    /// The SQL that turns row-level security on.
    fn row_security_sql(&self, py: Python<'_>) -> PyResult<String> {
        row_security_sql(&self.options).map_err(|e| to_python(py, &e))
    }

    /// The SQL that gives a tenant to a role.
    fn tenant_role_sql(&self, py: Python<'_>, role: &str, tenant: &str) -> PyResult<String> {
        tenant_role_sql(&self.options, role, tenant).map_err(|e| to_python(py, &e))
    }
}

/// What is no time at all becomes none, which the core refuses.
fn seconds(given: f64) -> Duration {
    Duration::try_from_secs_f64(given).unwrap_or_default()
}
