//! Store URLs: which backend, and where.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `memory://`: this process, until the store is closed.
    Memory,
    /// `sqlite://:memory:`: SQLite without a file.
    SqliteMemory,
    /// `sqlite://events.db` and its like: SQLite in a file.
    Sqlite(PathBuf),
    /// `postgresql://user@host/database`: a PostgreSQL server.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL database. Its text may hold a password, which is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    secret: String,
    shown: String,
}

/// What may stand behind the `?` of a PostgreSQL URL.
const POSTGRES_OPTIONS: [&str; 10] = [
    "application_name",
    "dbname",
    "host",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
/// What `sslmode` may be.
const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

impl PostgresUrl {
    /// Reads `postgresql://user:password@host:port/database?sslmode=verify-full`, of which every
    /// part may be missing, as libpq reads it.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refuse("a PostgreSQL URL begins with postgresql://"));
        };
        if !["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(refuse("a PostgreSQL URL begins with postgresql://"));
        }
        // It would end a field of PostgreSQL's protocol, and begin another one.
        if rest.contains('\0') || rest.contains("%00") {
            return Err(refuse("a PostgreSQL URL has no NUL"));
        }
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        options.split('&').filter(|option| !option.is_empty()).try_for_each(postgres_option)?;
        let (authority, database) = match place.split_once('/') {
            Some((authority, database)) => (authority, format!("/{database}")),
            None => (place, String::new()),
        };
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        if port.is_some_and(|(_, port)| !port.is_empty() && port.parse::<u16>().is_err()) {
            return Err(refuse("the port of a PostgreSQL URL is a number up to 65535"));
        }
        let user = user.split(':').next().filter(|user| !user.is_empty());
        let user = user.map_or(String::new(), |user| format!("{user}@"));
        let options = if options.is_empty() { String::new() } else { format!("?{options}") };
        let shown = format!("postgresql://{user}{host}{database}{options}");
        Ok(Self { secret: format!("postgresql://{rest}"), shown })
    }

    /// The whole of it, for those who connect.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl std::fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresUrl({:?})", self.shown)
    }
}

fn postgres_option(option: &str) -> Result<()> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    // The name may be a password that was not encoded, so it stays unsaid.
    if !POSTGRES_OPTIONS.contains(&name) {
        let known = POSTGRES_OPTIONS.join(", ");
        return Err(refuse(format!("a PostgreSQL URL takes these options: {known}")));
    }
    if name == "sslmode" && !SSL_MODES.contains(&value) {
        return Err(refuse(format!("sslmode is one of {}", SSL_MODES.join(", "))));
    }
    Ok(())
}

impl Location {
    /// Reads a URL, or a bare path of a file.
    ///
    /// | form | what it opens |
    /// |---|---|
    /// | `memory://` | a store in this process |
    /// | `sqlite://:memory:`, `sqlite:///:memory:` | SQLite without a file |
    /// | `events.db`, `sqlite://events.db`, `sqlite:///events.db` | a file, relative |
    /// | `/abs/events.db`, `sqlite:////abs/events.db` | a file, absolute |
    /// | `postgresql://user:password@host/database`, `postgres://…` | a PostgreSQL database |
    ///
    /// Within a URL `%20` and its like are decoded, and a `?` begins options, which only PostgreSQL
    /// has. A bare path is taken as it is.
    pub fn parse(url: &str) -> Result<Self> {
        if url.contains('\0') || url.is_empty() {
            return Err(refuse("a store URL is not empty and has no NUL"));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return bare(url);
        };
        match scheme.to_ascii_lowercase().as_str() {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(refuse("memory:// takes nothing behind it")),
            "sqlite" => sqlite(rest),
            "postgres" | "postgresql" => PostgresUrl::parse(url).map(Self::Postgres),
            // The rest may hold a password, so it stays unsaid.
            other => Err(refuse(format!(
                "the scheme {:?} is unknown; use memory://, sqlite://, postgresql:// or a file name",
                other.chars().take(20).collect::<String>()
            ))),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::SqliteMemory => f.write_str("sqlite://:memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:///{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

fn bare(path: &str) -> Result<Location> {
    if path == ":memory:" {
        return Ok(Location::SqliteMemory);
    }
    let scheme = path.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if scheme.is_some_and(|scheme| {
        ["sqlite", "memory", "postgresql", "postgres"].contains(&scheme.as_str())
    }) {
        return Err(refuse("a store URL has '://' behind its scheme"));
    }
    Ok(Location::Sqlite(PathBuf::from(path)))
}

fn sqlite(rest: &str) -> Result<Location> {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    if !options.is_empty() {
        return Err(refuse("sqlite:// URLs take no options"));
    }
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|e| refuse("the path is not UTF-8").with_source(e))?;
    // sqlite:///x is relative and sqlite:////x absolute, as SQLAlchemy reads them.
    let path = path.strip_prefix('/').unwrap_or(&path);
    match path {
        "" => Err(refuse("sqlite:// needs a file, or ':memory:'")),
        ":memory:" => Ok(Location::SqliteMemory),
        path if path.contains('\0') => Err(refuse("a path has no NUL")),
        path => Ok(Location::Sqlite(PathBuf::from(path))),
    }
}

fn refuse(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_means_what_the_table_says() {
        let file = |path: &str| Location::Sqlite(PathBuf::from(path));
        for (url, expected) in [
            ("memory://", Location::Memory),
            ("sqlite://:memory:", Location::SqliteMemory),
            ("sqlite:///:memory:", Location::SqliteMemory),
            (":memory:", Location::SqliteMemory),
            ("events.db", file("events.db")),
            ("./a/events.db", file("./a/events.db")),
            ("/abs/events.db", file("/abs/events.db")),
            ("sqlite://events.db", file("events.db")),
            ("sqlite:///events.db", file("events.db")),
            ("sqlite:////abs/events.db", file("/abs/events.db")),
            ("SQLite://a%20b%3F.db", file("a b?.db")),
            ("C:\\data\\events.db", file("C:\\data\\events.db")),
        ] {
            assert_eq!(Location::parse(url).expect(url), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://u:p%40ss@h:5433/db", "postgresql://u@h:5433/db"),
            ("PostgreSQL://u:p%40ss@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
            ("postgresql://u:p@ss@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require"),
            ("postgresql://", "postgresql://"),
            ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
        ] {
            let location = Location::parse(url).expect(url);
            assert_eq!(location.to_string(), shown, "{url}");
            assert!(!format!("{location:?}").contains("ss@"), "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_without_its_password() {
        for url in [
            "",
            "sqlite://",
            "sqlite:///",
            "sqlite:events.db",
            "sqlite://a.db?mode=ro",
            "sqlite://%ff",
            "sqlite://a%00b",
            "memory://x",
            "file:///etc/passwd",
            "http://169.254.169.254",
            "postgres://u:p%40ss@h/db?sslmode=bogus",
            "postgres://u:p%40ss@h/db?options=-c%20search_path%3Dx",
            "postgres://u:p%40ss@h:99999/db",
            "postgresql://u:p%40ss@/db?nonsense=1",
            "postgresql://u:p%40ss%00@h/db",
            "postgresql://u:p%40ss@h/db%00options%00-c",
            "postgres:u:p%40ss@h/db",
        ] {
            let error = Location::parse(url).expect_err(url);
            assert_eq!(*error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("p%40ss"), "{url}");
        }
    }
}
