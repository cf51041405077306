//! The URL of a PostgreSQL database, as libpq reads it.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{check_filled, check_set, refuse};
use crate::error::Result;

/// The URL of a PostgreSQL database. Its text may hold a password, which is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    secret: String,
    shown: String,
    servers: Vec<String>,
    files: Vec<(&'static str, PathBuf)>,
    connect_timeout: Option<Duration>,
}

/// Decoded parts, by the names that libpq has for them; of several, the last one counts.
type Parts = Vec<(&'static str, String)>;

/// What is done with a parameter.
#[derive(Clone, Copy)]
enum Parameter {
    /// The driver, or this module, knows it.
    Known,
    /// These values ask for what happens anyway.
    OneOf(&'static [&'static str]),
    /// It can't be done; this can.
    Instead(&'static str),
}

use Parameter::{Instead, Known, OneOf};

/// What may stand behind the `?`, and what people put there.
const PARAMETERS: [(&str, Parameter); 52] = [
    ("application_name", Known),
    ("channel_binding", OneOf(&["disable", "prefer", "require"])),
    ("client_encoding", OneOf(&["utf8", "utf-8", "unicode", "auto"])),
    ("connect_timeout", Known),
    ("dbname", Known),
    ("fallback_application_name", Known),
    ("gssencmode", OneOf(&["disable", "prefer"])),
    ("host", Known),
    // A store has time-outs of its own for a server that falls silent.
    ("keepalives", OneOf(&["0", "1"])),
    ("keepalives_count", Known),
    ("keepalives_idle", Known),
    ("keepalives_interval", Known),
    // There is one primary, whatever the order in which it is looked for.
    ("load_balance_hosts", OneOf(&["disable", "random"])),
    ("options", Known),
    ("password", Known),
    ("port", Known),
    ("ssl", OneOf(&["true", "1"])),
    ("sslcert", Known),
    ("sslcompression", OneOf(&["0"])),
    ("sslkey", Known),
    ("sslmode", OneOf(&["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])),
    ("ssl_min_protocol_version", OneOf(&["TLSv1", "TLSv1.1", "TLSv1.2"])),
    ("sslnegotiation", OneOf(&["postgres"])),
    ("sslrootcert", Known),
    ("sslsni", OneOf(&["1"])),
    ("statement-cache-capacity", Known),
    ("target_session_attrs", OneOf(&["any", "read-write", "primary"])),
    ("tcp_user_timeout", Known),
    ("user", Known),
    ("connection_limit", Instead("use EventStoreConfig.with_max_connections")),
    ("currentSchema", Instead("use EventStoreConfig.with_schema")),
    ("gssdelegation", Instead("GSSAPI is not supported: leave it out")),
    ("gsslib", Instead("GSSAPI is not supported: leave it out")),
    ("hostaddr", Instead("write the address as the host")),
    ("krbsrvname", Instead("GSSAPI is not supported: leave it out")),
    ("oauth_client_id", Instead("OAuth is not supported: use a password")),
    ("oauth_issuer", Instead("OAuth is not supported: use a password")),
    ("passfile", Instead("set the variable PGPASSFILE")),
    ("pgbouncer", Instead("leave it out; a PgBouncer has to be in session mode")),
    ("pool_timeout", Instead("use EventStoreConfig.with_connect_timeout")),
    ("replication", Instead("leave it out: a store needs no replication connection")),
    ("require_auth", Instead("use sslmode=verify-full, which verifies the server")),
    ("requirepeer", Instead("use sslmode=verify-full, which verifies the server")),
    ("schema", Instead("use EventStoreConfig.with_schema")),
    ("search_path", Instead("use EventStoreConfig.with_schema")),
    ("service", Instead("write what the service file says into the URL")),
    ("servicefile", Instead("write what the service file says into the URL")),
    ("sslcrl", Instead("revocation lists are not read: leave it out")),
    ("sslcrldir", Instead("revocation lists are not read: leave it out")),
    ("sslpassword", Instead("give an unencrypted key as sslkey")),
    ("ssl_max_protocol_version", Instead("leave it out: TLS 1.2 and 1.3 are supported")),
    ("statement_timeout", Instead("use EventStoreConfig.with_statement_timeout")),
];

/// What is passed on to the driver as it is.
const PASSED_ON: [&str; 8] = [
    "dbname",
    "options",
    "password",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

impl PostgresUrl {
    /// Reads `postgresql://user:password@host:port/database?sslmode=verify-full`, of which every
    /// part may be missing, as libpq reads it. Several hosts stand side by side with commas.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refuse("a PostgreSQL URL must begin with postgresql://"));
        };
        if !["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(refuse("a PostgreSQL URL must begin with postgresql://"));
        }
        // It would end a field of PostgreSQL's protocol, and begin another one.
        if rest.contains('\0') || rest.contains("%00") {
            return Err(refuse("the PostgreSQL URL contains a NUL character"));
        }
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));

        let options: Vec<_> = options.split('&').filter(|option| !option.is_empty()).collect();
        let mut parts = Parts::new();
        for (name, text) in [("user", user), ("password", password), ("dbname", database)] {
            if !text.is_empty() {
                parts.push((name, decoded(text)?));
            }
        }
        let (names, numbers) = hosts_and_ports(hosts)?;
        parts.extend([("host", names), ("port", numbers)]);
        for option in &options {
            parts.push(parameter(option)?);
        }

        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let shown = format!("{user}{}", &place[authority.len() - hosts.len()..]);
        check_filled(&shown)?;
        for part in ["user", "host", "dbname"] {
            check_set(value(&parts, part))?;
        }
        let is_secret = |option: &&&str| option.split('=').next() == Some("password");
        let options: Vec<_> = options.iter().filter(|option| !is_secret(option)).copied().collect();
        let mark = if options.is_empty() { "" } else { "?" };
        Ok(Self {
            secret: format!("postgresql://{rest}"),
            shown: format!("postgresql://{shown}{mark}{}", options.join("&")),
            servers: servers(&parts)?,
            files: ["sslrootcert", "sslcert", "sslkey"]
                .map(|name| (name, PathBuf::from(value(&parts, name))))
                .into_iter()
                .filter(|(_, path)| !path.as_os_str().is_empty() && !is_system(path))
                .collect(),
            connect_timeout: seconds(value(&parts, "connect_timeout"))?,
        })
    }

    /// The whole of it, as it was given.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// For each host a URL that the driver knows.
    pub(crate) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// The files that are named, by parameter.
    pub(crate) fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }

    /// What `connect_timeout` says; none where it says nothing, or "without an end".
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
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

fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| refuse("the PostgreSQL URL is not valid UTF-8"))
}

/// What was last said of a part; empty where nothing was.
fn value<'parts>(parts: &'parts Parts, name: &str) -> &'parts str {
    parts.iter().rfind(|(part, _)| *part == name).map_or("", |(_, value)| value)
}

/// Hosts and ports of `one:5432,[::1]:5433`, each with commas between them.
fn hosts_and_ports(text: &str) -> Result<(String, String)> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for one in text.split(',') {
        let port = one.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = port.unwrap_or((one, ""));
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        hosts.push(decoded(address.unwrap_or(host))?);
        ports.push(port);
    }
    Ok((hosts.join(","), ports.join(",")))
}

fn parameter(option: &str) -> Result<(&'static str, String)> {
    let (name, text) = option.split_once('=').unwrap_or((option, ""));
    let known = PARAMETERS.iter().find(|(known, _)| *known == name);
    // The name may be a part of a password that was not encoded, so it stays unsaid.
    let Some((name, treatment)) = known else {
        let taken = PARAMETERS.iter().filter(|(_, treatment)| !matches!(treatment, Instead(_)));
        let names: Vec<_> = taken.map(|(name, _)| *name).collect();
        return Err(refuse(format!(
            "the PostgreSQL URL has an unknown option; known are {}. In a password, write '?', \
             '/', '&' and '@' as %3F, %2F, %26 and %40",
            names.join(", ")
        )));
    };
    let value = decoded(text)?;
    match treatment {
        Known => {}
        OneOf(values) => {
            if !values.iter().any(|one| one.eq_ignore_ascii_case(&value)) {
                return Err(refuse(format!(
                    "{name} must be one of {}{}",
                    values.join(", "),
                    why(name)
                )));
            }
        }
        Instead(cure) => return Err(refuse(format!("{name} is not accepted; {cure}"))),
    }
    Ok((name, value))
}

/// Why other values of a parameter are refused.
fn why(name: &str) -> &'static str {
    match name {
        "target_session_attrs" => ": a store needs the primary",
        "gssencmode" => ": GSSAPI is not supported",
        "client_encoding" => ": a store uses UTF-8",
        "sslnegotiation" => ": a connection begins without encryption and asks for it",
        _ => "",
    }
}

fn seconds(text: &str) -> Result<Option<Duration>> {
    if text.is_empty() {
        return Ok(None);
    }
    // Zero and less mean no limit to libpq, as nothing does; a store always has one.
    match text.trim().parse::<i64>() {
        Ok(seconds) => Ok(u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs)),
        Err(_) => Err(refuse("connect_timeout must be a whole number of seconds")),
    }
}

/// A URL for each host.
fn servers(parts: &Parts) -> Result<Vec<String>> {
    for name in ["keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout"] {
        let value = value(parts, name);
        if !value.is_empty() && value.parse::<i64>().is_err() {
            return Err(refuse(format!("{name} must be a whole number")));
        }
    }
    let capacity = value(parts, "statement-cache-capacity");
    if !capacity.is_empty() && capacity.parse::<u32>().is_err() {
        return Err(refuse("statement-cache-capacity must be a whole number"));
    }
    let mut common: Vec<_> = PASSED_ON.map(|name| (name, value(parts, name))).into();
    common.push(("sslmode", ssl_mode(parts)?));
    let named = value(parts, "application_name");
    let fallback = value(parts, "fallback_application_name");
    common.push(("application_name", if named.is_empty() { fallback } else { named }));
    common
        .retain(|(name, value)| !(value.is_empty() || *name == "sslrootcert" && *value == SYSTEM));

    let hosts: Vec<_> = value(parts, "host").split(',').collect();
    let numbers: Vec<_> = value(parts, "port").split(',').collect();
    if numbers.len() > 1 && numbers.len() != hosts.len() {
        return Err(refuse("a PostgreSQL URL must have one port, or one for each host"));
    }
    let server = |(index, host): (usize, &&str)| {
        let port = numbers.get(index).unwrap_or(&numbers[0]);
        if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(refuse("the port of a PostgreSQL URL must be a number from 1 to 65535"));
        }
        let mut own = common.clone();
        own.extend([("host", *host), ("port", *port)].into_iter().filter(|one| !one.1.is_empty()));
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let own: Vec<_> =
            own.iter().map(|(name, text)| format!("{name}={}", encode(text))).collect();
        Ok(format!("postgresql:///?{}", own.join("&")))
    };
    hosts.iter().enumerate().map(server).collect()
}

/// The certificates that this machine trusts; here those that Mozilla does.
const SYSTEM: &str = "system";

fn is_system(path: &std::path::Path) -> bool {
    path.as_os_str() == SYSTEM
}

/// The mode that does what all parameters together ask for; empty where nothing is said.
fn ssl_mode(parts: &Parts) -> Result<&'static str> {
    let given = match value(parts, "sslmode").to_ascii_lowercase().as_str() {
        "" if !value(parts, "ssl").is_empty() => "require",
        "" => "",
        "disable" => "disable",
        // A server that refuses what is not encrypted would be asked again.
        "allow" | "prefer" => "prefer",
        "require" => "require",
        "verify-ca" => "verify-ca",
        _ => "verify-full",
    };
    let roots = value(parts, "sslrootcert");
    let binding = value(parts, "channel_binding").eq_ignore_ascii_case("require");
    match given {
        "disable" | "prefer" if binding => {
            Err(refuse("channel_binding=require needs sslmode=require or verify-full"))
        }
        // The driver binds no channel. That the certificate is the server's own keeps away the
        // same third party.
        _ if binding => Ok("verify-full"),
        "verify-full" | "" if roots == SYSTEM => Ok("verify-full"),
        _ if roots == SYSTEM => Err(refuse("sslrootcert=system needs sslmode=verify-full")),
        "require" if !roots.is_empty() => Ok("verify-ca"),
        given => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> PostgresUrl {
        PostgresUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The parts of a driver's URL.
    fn part(server: &str, name: &str) -> Option<String> {
        let (_, options) = server.split_once('?').expect("it has parts");
        let parts = options.split('&').filter_map(|part| part.split_once('='));
        let mut found = parts.filter(|(part, _)| *part == name).map(|(_, text)| decoded(text));
        found.next_back().map(|text| text.expect("it is UTF-8"))
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://u:p%40ss@h:5433/db", "postgresql://u@h:5433/db"),
            ("PostgreSQL://u:p%40ss@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
            ("postgresql://u:p@ss@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require"),
            ("postgresql://", "postgresql://"),
            ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
            ("postgresql://u@h/db?password=p%40ss&port=1", "postgresql://u@h/db?port=1"),
            ("postgresql://u@h/db?password=p%40ss", "postgresql://u@h/db"),
            ("postgresql://u:p@ss@a:1,b:2/db", "postgresql://u@a:1,b:2/db"),
            ("postgresql://u%40tenant:p%40ss@h/", "postgresql://u%40tenant@h/"),
        ] {
            let url = parsed(url);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("ss@"), "{url}");
            assert_eq!(parsed(shown).to_string(), shown);
        }
    }

    #[test]
    fn the_driver_gets_what_libpq_would_use() {
        let server = |url: &str| parsed(url).servers()[0].clone();
        for (url, name, expected) in [
            ("postgres://u:p%40s%2Bs@h/db", "password", Some("p@s+s")),
            ("postgres://u:a:b@h/db", "password", Some("a:b")),
            ("postgres://u%40h:p@[::1]:7/d%20b", "user", Some("u@h")),
            ("postgres://u:p@[::1]:7/d%20b", "host", Some("::1")),
            ("postgres://u:p@[::1]:7/d%20b", "port", Some("7")),
            ("postgres://u:p@[::1]:7/d%20b", "dbname", Some("d b")),
            ("postgres://%2Frun%2Fpg/db", "host", Some("/run/pg")),
            ("postgres://h/db?host=other&host=last", "host", Some("last")),
            ("postgres://h/db?application_name=a+b%20c", "application_name", Some("a+b c")),
            ("postgres://h/db?fallback_application_name=a", "application_name", Some("a")),
            ("postgres://h/?options=-c%20x%3D1", "options", Some("-c x=1")),
            ("postgres://h/db", "sslmode", None),
            ("postgres://h/db?ssl=true", "sslmode", Some("require")),
            ("postgres://h/db?sslmode=allow", "sslmode", Some("prefer")),
            ("postgres://h/db?sslmode=require&sslrootcert=ca", "sslmode", Some("verify-ca")),
            ("postgres://h/db?sslrootcert=system", "sslmode", Some("verify-full")),
            ("postgres://h/db?sslrootcert=system", "sslrootcert", None),
            (
                "postgres://h/db?sslmode=require&channel_binding=require",
                "sslmode",
                Some("verify-full"),
            ),
        ] {
            assert_eq!(part(&server(url), name).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn each_of_several_hosts_has_its_port() {
        let ports = |url: &str| -> Vec<_> {
            let url = parsed(url);
            let parts = url.servers().iter().map(|one| (part(one, "host"), part(one, "port")));
            parts.map(|(host, port)| (host.unwrap_or_default(), port.unwrap_or_default())).collect()
        };
        let pair = |host: &str, port: &str| (host.to_owned(), port.to_owned());
        assert_eq!(
            ports("postgres://a:1,b,[::1]:3/db"),
            [pair("a", "1"), pair("b", ""), pair("::1", "3")]
        );
        assert_eq!(ports("postgres:///db?host=a,b&port=5,6"), [pair("a", "5"), pair("b", "6")]);
        assert_eq!(ports("postgres:///db?host=a,b&port=5"), [pair("a", "5"), pair("b", "5")]);
        assert!(PostgresUrl::parse("postgres:///db?host=a,b,c&port=5,6").is_err());
    }

    #[test]
    fn a_time_out_is_libpqs() {
        let limit =
            |text: &str| parsed(&format!("postgres://h?connect_timeout={text}")).connect_timeout();
        assert_eq!(limit("10"), Some(Duration::from_secs(10)));
        assert_eq!([limit("0"), limit("-1"), limit("")], [None; 3]);
        assert!(PostgresUrl::parse("postgres://h?connect_timeout=soon").is_err());
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_can() {
        for (option, cure) in [
            ("service=x", "into the URL"),
            ("passfile=x", "PGPASSFILE"),
            ("hostaddr=10.0.0.1", "as the host"),
            ("gssencmode=require", "disable, prefer"),
            ("sslnegotiation=direct", "postgres"),
            ("target_session_attrs=read-only", "primary"),
            ("target_session_attrs=prefer-standby", "primary"),
            ("sslmode=bogus", "verify-full"),
            ("sslmode=disable&channel_binding=require", "sslmode=require"),
            ("sslmode=require&sslrootcert=system", "verify-full"),
            ("client_encoding=latin1", "UTF-8"),
            ("keepalives_idle=x", "number"),
            ("ssl_max_protocol_version=TLSv1.1", "1.2"),
            ("nonsense=1", "application_name"),
        ] {
            let url = format!("postgres://u:p%40ss@h/db?{option}");
            let error = PostgresUrl::parse(&url).expect_err(option).to_string();
            assert!(error.contains(cure), "{option}: {error}");
            assert!(!error.contains("p%40ss") && !error.contains("nonsense"), "{error}");
        }
    }
}
