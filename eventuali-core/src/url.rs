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
    ///
    /// Within a URL `%20` and its like are decoded, and a `?` begins options, of which there are
    /// none yet. A bare path is taken as it is.
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
            "postgres" | "postgresql" => {
                Err(refuse("this version of Eventuali has no PostgreSQL backend"))
            }
            // The rest may hold a password, so it stays unsaid.
            other => Err(refuse(format!(
                "the scheme {:?} is unknown; use memory://, sqlite:// or a file name",
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
            "postgres://u:p%40ss@h/db",
        ] {
            let error = Location::parse(url).expect_err(url);
            assert_eq!(*error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("p%40ss"), "{url}");
        }
    }
}
