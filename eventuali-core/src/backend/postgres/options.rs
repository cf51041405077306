//! How a store in PostgreSQL is opened.

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::error::{Error, ErrorKind, Result};
use crate::url::PostgresUrl;

/// The most bytes of a schema or table name: what is derived from it still fits PostgreSQL's 63.
const MAX_IDENTIFIER: usize = 48;
/// The most connections that a PostgreSQL server can be set to take.
const MAX_CONNECTIONS: u32 = 262_143;

/// How a store in PostgreSQL is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The server and the database.
    pub url: PostgresUrl,
    /// The schema that holds the relations; made where it is missing and may be.
    pub schema: String,
    /// The relation that shows the events; every other one begins with its name.
    pub table_name: String,
    /// The most connections that read and write; one more listens, once somebody waits.
    pub max_connections: u32,
    /// How long to wait for a connection, and how long to go on through an outage.
    pub connect_timeout: Duration,
    /// How long the server may take for one statement.
    pub statement_timeout: Duration,
    /// Whether to make or bring up to date what the database holds. Without it, a database that
    /// is not up to date is refused.
    pub migrate: bool,
    /// Whether a commit may be acknowledged before it is flushed (`synchronous_commit=off`): a
    /// crash of the server can take the last ones.
    pub relaxed: bool,
}

impl PostgresOptions {
    /// The defaults for the database at `url`.
    #[must_use]
    pub fn new(url: PostgresUrl) -> Self {
        let connect_timeout = url.connect_timeout().unwrap_or(Duration::from_secs(10));
        Self {
            url,
            schema: "public".to_owned(),
            table_name: "events".to_owned(),
            max_connections: 10,
            connect_timeout,
            statement_timeout: Duration::from_secs(30),
            migrate: true,
            relaxed: false,
        }
    }

    /// The same, with the relations in `schema`.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The same, with the events in `table_name`.
    #[must_use]
    pub fn with_table_name(mut self, table_name: impl Into<String>) -> Self {
        self.table_name = table_name.into();
        self
    }

    /// Checks everything that can be checked without a server.
    pub fn check(&self) -> Result<()> {
        check_identifier("schema", &self.schema)?;
        check_identifier("table_name", &self.table_name)?;
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            return Err(refuse(format!("max_connections must be from 1 to {MAX_CONNECTIONS}")));
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("statement_timeout", self.statement_timeout),
        ] {
            // PostgreSQL counts milliseconds, and takes none for no limit at all.
            if time < Duration::from_millis(1) || time > Duration::from_hours(24) {
                return Err(refuse(format!("{name} must be from 1 ms to 24 hours")));
            }
        }
        self.servers().map(drop)
    }

    /// The servers as sqlx knows them: one for each host.
    pub(super) fn servers(&self) -> Result<Vec<PgConnectOptions>> {
        for (name, path) in self.url.files() {
            check_file(name, path)?;
        }
        for variable in ["PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"] {
            let parameter = variable[2..].to_lowercase();
            if self.url.files().iter().all(|(name, _)| *name != parameter)
                && let Some(path) = std::env::var_os(variable)
            {
                check_file(variable, Path::new(&path))?;
            }
        }
        self.url.servers().iter().map(|url| self.server(url)).collect()
    }

    fn server(&self, url: &str) -> Result<PgConnectOptions> {
        // The cause stays unsaid: its text may quote the URL.
        let mut options = PgConnectOptions::from_str(url)
            .map_err(|_| refuse(format!("{} is not a valid PostgreSQL URL", self.url)))?;
        // Numbers come in binary form, so that no setting takes digits from them; and a PgBouncer
        // refuses whoever asks for this one.
        options = options.extra_float_digits(None);
        if options.get_application_name().is_none() {
            options = options.application_name("eventuali");
        }
        Ok(options)
    }
}

/// Refuses a file that can't be read. Who connects would hear of that without its name.
fn check_file(name: &str, path: &Path) -> Result<()> {
    let opened = File::open(path).and_then(|file| file.metadata());
    match opened {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(refuse(format!("{name}: {} is not a file", path.display()))),
        Err(cause) => {
            Err(refuse(format!("{name}: cannot read {}: {cause}", path.display()))
                .with_source(cause))
        }
    }
}

/// Refuses what would need more than quotes to be taken as a name.
pub(super) fn check_identifier(option: &str, name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    let begins_well = !name.starts_with(|first: char| first.is_ascii_digit());
    if (1..=MAX_IDENTIFIER).contains(&name.len()) && begins_well && name.bytes().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(refuse(format!(
        "{option} {shown:?} must be 1 to {MAX_IDENTIFIER} of a-z, 0-9 and '_', and must not begin \
         with a digit"
    )))
}

fn refuse(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> PostgresOptions {
        PostgresOptions::new(PostgresUrl::parse("postgres://u:secret@h/db").expect("it is a URL"))
    }

    #[test]
    fn names_that_need_quotes_are_refused() {
        options().check().expect("the defaults are fine");
        for name in ["x\"; DROP SCHEMA public CASCADE;--", "", "1x", "Events", "a b", "é", "a'b"] {
            for options in [options().with_schema(name), options().with_table_name(name)] {
                let error = options.check().expect_err(name);
                assert_eq!(*error.kind(), ErrorKind::Configuration, "{name}");
            }
        }
        assert!(options().with_table_name("x".repeat(49)).check().is_err());
        options().with_table_name("x".repeat(48)).check().expect("48 bytes");
    }

    #[test]
    fn an_address_loses_its_brackets() {
        for (url, host) in [("postgres://[::1]:5/db", "::1"), ("postgres://h/db", "h")] {
            let url = PostgresUrl::parse(url).expect("it is a URL");
            let servers = PostgresOptions::new(url).servers().expect("they are read");
            assert_eq!(servers[0].get_host(), host);
        }
    }

    #[test]
    fn a_time_out_of_the_url_counts() {
        let options = |url| PostgresOptions::new(PostgresUrl::parse(url).expect("it is a URL"));
        assert_eq!(options("postgres://h").connect_timeout, Duration::from_secs(10));
        let short = options("postgres://h?connect_timeout=3");
        assert_eq!(short.connect_timeout, Duration::from_secs(3));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        for name in ["sslrootcert", "sslcert", "sslkey"] {
            for path in ["/no/such.pem", "/"] {
                let url = format!("postgres://h/db?sslmode=verify-full&{name}={path}");
                let url = PostgresUrl::parse(&url).expect("it is a URL");
                let error = PostgresOptions::new(url).check().expect_err(name).to_string();
                assert!(error.contains(name) && error.contains(path), "{error}");
            }
        }
    }

    #[test]
    fn no_text_holds_the_password() {
        assert!(!format!("{:?}", options()).contains("secret"));
    }

    #[test]
    fn options_that_cannot_be_are_refused() {
        let zero = PostgresOptions { max_connections: 0, ..options() };
        let never = PostgresOptions { connect_timeout: Duration::ZERO, ..options() };
        let always = PostgresOptions { statement_timeout: Duration::MAX, ..options() };
        let many = PostgresOptions { max_connections: MAX_CONNECTIONS + 1, ..options() };
        let short = Duration::from_micros(999);
        let short = PostgresOptions { statement_timeout: short, ..options() };
        for options in [zero, many, never, short, always] {
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
