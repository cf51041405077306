//! Store URLs: which backend, and where.

mod postgres;

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

pub use self::postgres::PostgresUrl;
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
    /// has. A bare path is taken as it is, unless it looks like something else: a URL or a
    /// connection string that is not quite right, or a variable that nobody has set.
    pub fn parse(url: &str) -> Result<Self> {
        if url.contains('\0') || url.is_empty() {
            return Err(refuse("the store URL is empty or contains a NUL character"));
        }
        if url.trim_ascii() != url {
            return Err(refuse("the store URL begins or ends with white space; remove it"));
        }
        if url.starts_with(['"', '\'']) {
            return Err(refuse("the store URL begins with a quote; write it without quotes"));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return bare(url);
        };
        match scheme.to_ascii_lowercase().as_str() {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(refuse("nothing may follow memory://")),
            "sqlite" => sqlite(rest),
            "postgres" | "postgresql" => PostgresUrl::parse(url).map(Self::Postgres),
            other => Err(unknown_scheme(other)),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::SqliteMemory => f.write_str("sqlite://:memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:///{}", encoded(path)),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// What would mean something else in a URL, or nothing: see `check_filled`.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'$')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'{')
    .add(b'}');

/// A path as it stands in a URL, so that reading that gives the same path.
fn encoded(path: &Path) -> String {
    // Whatever was opened by a URL or a text is UTF-8.
    utf8_percent_encode(&path.to_string_lossy(), ENCODED).to_string()
}

/// Names in the connection strings of libpq and of ODBC.
const KEYWORDS: [&str; 14] = [
    "database", "dbname", "dsn", "host", "hostaddr", "password", "port", "pwd", "server",
    "service", "sslmode", "uid", "user", "username",
];

fn bare(path: &str) -> Result<Location> {
    if path == ":memory:" {
        return Ok(Location::SqliteMemory);
    }
    // None of these texts is repeated, for it may hold a password.
    let plain = path.replace(" =", "=");
    let mut words = plain.split([' ', ';', '\n']).filter_map(|word| word.split_once('='));
    if words.any(|(name, _)| KEYWORDS.contains(&name.trim().to_ascii_lowercase().as_str())) {
        return Err(refuse(
            "this looks like a connection string; write it as a URL: \
             postgresql://user:password@host:5432/database",
        ));
    }
    let first = path.split(['/', '\\']).next().unwrap_or(path);
    let is_login =
        |part: &str| part.split_once(':').is_some_and(|(_, behind)| behind.contains('@'));
    if path.split(['/', '\\']).any(is_login) {
        return Err(refuse(
            "this looks like the address of a database without a scheme; begin it with \
             postgresql://, or write sqlite:///… for a file of that name",
        ));
    }
    if let Some((scheme, _)) = first.split_once(':').filter(|(scheme, _)| scheme.len() != 1) {
        let scheme = scheme.to_ascii_lowercase();
        if ["sqlite", "memory", "postgresql", "postgres"].contains(&scheme.as_str()) {
            let rest = if scheme == "memory" { "" } else { "…" };
            return Err(refuse(format!(
                "'://' is missing after the scheme; write {scheme}://{rest}"
            )));
        }
        return Err(unknown_scheme(&scheme));
    }
    let word = path.trim_end_matches('/').to_ascii_lowercase();
    if ["sqlite", "memory", "postgresql", "postgres"].contains(&word.as_str()) {
        let rest = if word == "memory" { "" } else { "…" };
        return Err(refuse(format!("this is only the scheme of a URL; write {word}://{rest}")));
    }
    if let Some((_, option)) = path.rsplit_once('?')
        && option.contains('=')
    {
        return Err(refuse(
            "SQLite files take no ?options; write a '?' in a name as in sqlite:///a%3Fb.db",
        ));
    }
    check_filled(path)?;
    file(path)
}

/// A file, unless the path is what is left of something else.
fn file(path: &str) -> Result<Location> {
    check_set(path)?;
    if path.starts_with("~/") || path.starts_with("~\\") {
        return Err(refuse("'~' is not expanded to a home directory; use os.path.expanduser"));
    }
    if path.chars().any(char::is_control) {
        return Err(refuse("the path contains a control character"));
    }
    Ok(Location::Sqlite(PathBuf::from(path)))
}

/// Refuses what a program writes where it has no value.
fn check_set(text: &str) -> Result<()> {
    if ["none", "null", "nil", "undefined"].contains(&text.to_ascii_lowercase().as_str()) {
        return Err(refuse(format!(
            "{text:?} looks like the value of an unset variable; set the one with the store's URL, \
             or write ./{text} for a file of that name"
        )));
    }
    Ok(())
}

/// Refuses a text in which something was to be filled in. In a URL, `%24` stands for a `$` that
/// begins nothing.
fn check_filled(text: &str) -> Result<()> {
    let opened = ["${", "$(", "{{", "#{", "%("];
    let named = |text: &str, begin: char, end: char| {
        let name = text.strip_prefix(begin).and_then(|rest| rest.split_once(end));
        // %C3%A4 is an ä.
        name.is_some_and(|(name, _)| is_variable(name) && !(begin == '%' && name.len() == 2))
    };
    let is_left = opened.iter().any(|mark| text.contains(mark))
        || text.split(['/', '\\', ':', '@']).any(|part| {
            part.strip_prefix('$').is_some_and(is_variable)
                || named(part, '%', '%')
                || named(part, '{', '}')
                || named(part, '<', '>')
        });
    if is_left {
        return Err(refuse(
            "the store URL contains a placeholder, such as ${DATABASE_URL}, that was not replaced",
        ));
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|one| one.is_ascii_alphanumeric() || "_-. ".contains(one))
}

/// What is behind the scheme may hold a password, so it stays unsaid.
fn unknown_scheme(scheme: &str) -> Error {
    let shown: String = scheme.chars().take(20).collect();
    let like = |begin: &str| scheme.starts_with(begin);
    let cure = if like("sqlite") || like("file") {
        "use sqlite:///events.db, or the path alone"
    } else if scheme.contains("pos") || like("pg") || like("psql") {
        "use postgresql://user:password@host/database"
    } else {
        "use memory://, sqlite://, postgresql:// or a file name; write ./… for a file whose name \
         begins like this"
    };
    refuse(format!("the scheme {shown:?} is unknown; {cure}"))
}

fn sqlite(rest: &str) -> Result<Location> {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    if !options.is_empty() {
        return Err(refuse("sqlite:// URLs take no options"));
    }
    check_filled(path)?;
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|e| refuse("the path is not UTF-8").with_source(e))?;
    // sqlite:///x is relative and sqlite:////x absolute, as SQLAlchemy reads them.
    let path = path.strip_prefix('/').unwrap_or(&path);
    match path {
        "" => Err(refuse("sqlite:// needs a file, or ':memory:'")),
        ":memory:" => Ok(Location::SqliteMemory),
        path if path.contains('\0') => Err(refuse("the path contains a NUL character")),
        path => file(path),
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
            ("./a:b.db", file("./a:b.db")),
            ("sqlite://a:b.db", file("a:b.db")),
            ("a%20b.db", file("a%20b.db")),
            ("sqlite:///%24%7BX%7D.db", file("${X}.db")),
            ("sqlite:///%C3%A4.db", file("ä.db")),
        ] {
            let location = Location::parse(url).expect(url);
            assert_eq!(location, expected, "{url}");
            assert_eq!(Location::parse(&location.to_string()).expect(url), expected, "{url}");
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
            "postgres://u:p%40ss@h:99999/db",
            "postgresql://u:p%40ss@/db?nonsense=1",
            "postgresql://u:p%40ss%00@h/db",
            "postgresql://u:p%40ss@h/db%00options%00-c",
            "postgres:u:p%40ss@h/db",
            "host=h user=u password=p%40ss",
            "Server=h;Uid=u;Pwd=p%40ss",
            "postgresql//u:p%40ss@h/db",
            "u:p%40ss@h:5432/db",
            "postgressql://u:p%40ss@h/db",
            "postgresql://u:p%40ss@${HOST}/db",
            "${DATABASE_URL}",
            "%DATABASE_URL%",
            "/data/{{ name }}.db",
            "sqlite:///<name>.db",
            "None",
            "sqlite:///null",
            "postgresql",
            "file:events.db?mode=ro",
            "events.db?mode=ro",
            " events.db",
            "events.db\n",
            "\"events.db\"",
            "~/events.db",
        ] {
            let error = Location::parse(url).expect_err(url);
            assert_eq!(*error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("p%40ss"), "{url}");
        }
    }
}
