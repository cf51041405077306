//! What a database holds: names, format, and migrations.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::options::PostgresOptions;
use crate::error::{Error, ErrorKind, Result};

/// Migrations in order; a database at format N has the first N of them.
const MIGRATIONS: &[&str] = &[
    include_str!("sql/0001_schema.sql"),
    include_str!("sql/0002_store.sql"),
    include_str!("sql/0003_words.sql"),
    include_str!("sql/0004_users.sql"),
];
/// Everything whose name begins with that of the table.
const RELATIONS: [&str; 43] = [
    "append",
    "append_as",
    "clock",
    "documents",
    "draw",
    "enter",
    "format",
    "horizon",
    "horizon_as",
    "ids",
    "keep",
    "keep_texts",
    "kind_spans",
    "kinds",
    "last_as",
    "log",
    "look",
    "look_as",
    "loose_as",
    "may",
    "may_as",
    "moment",
    "narrow",
    "own",
    "pass",
    "position",
    "readable",
    "record_index",
    "records",
    "refuse",
    "roles",
    "runs",
    "runs_as",
    "same",
    "stamp",
    "store",
    "streams",
    "tags",
    "tail",
    "tail_as",
    "user",
    "version_at",
    "whose",
];

/// The names of a store's relations.
#[derive(Debug, Clone)]
pub(super) struct Relations {
    schema: String,
    table: String,
}

impl Relations {
    pub(super) fn of(options: &PostgresOptions) -> Self {
        Self { schema: options.schema.clone(), table: options.table_name.clone() }
    }

    /// The full name of the relation that a template calls `{relation}`.
    fn name(&self, relation: &str) -> String {
        format!("\"{}\".\"{}_{relation}\"", self.schema, self.table)
    }

    /// The channel on which commits are announced.
    pub(super) fn channel(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// `template`, with names in the place of `{relation}`.
    pub(super) fn fill(&self, template: &str) -> String {
        let view = format!("\"{}\".\"{}\"", self.schema, self.table);
        let template = template.to_owned();
        #[cfg(feature = "faults")]
        let template = fault::applied(template);
        let mut filled = template.replace("{events}", &view);
        for relation in RELATIONS {
            filled = filled.replace(&format!("{{{relation}}}"), &self.name(relation));
        }
        filled
    }

    /// What differs from store to store, for the lock of its migrations.
    fn lock(&self) -> i64 {
        let name = self.name("format");
        i64::from(crc32c::crc32c(name.as_bytes())) | (0x4576_746c << 32)
    }
}

/// The SQL that makes a store of `options`, for people who run it themselves.
pub fn schema_sql(options: &PostgresOptions) -> Result<String> {
    options.check()?;
    Ok(script(&Relations::of(options), 0))
}

/// What is missing from format `from` on.
fn script(relations: &Relations, from: usize) -> String {
    let mut script = String::new();
    let format = relations.name("format");
    if from == 0 {
        let made = "INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now()";
        writeln!(script, "CREATE TABLE {format} (version {made});\n").expect("a string takes it");
    }
    for (version, migration) in (1..).zip(MIGRATIONS).skip(from) {
        let note = format!("INSERT INTO {format} (version) VALUES ({version});");
        let filled = relations.fill(migration);
        writeln!(script, "{filled}\n{note}").expect("a string takes it");
    }
    script
}

/// Sees to it that the database holds the newest format; safe when many processes start at once. Whether
/// row-level security was made.
pub(super) async fn prepare(conn: &mut PgConnection, options: &PostgresOptions) -> Result<bool> {
    let relations = Relations::of(options);
    let format = format_of(conn, &relations).await?;
    if format == MIGRATIONS.len() {
        refuse_a_copy(conn, &relations).await?;
        let (own, secured) = found(conn, &relations).await?;
        if own {
            return Ok(secured);
        }
        if !options.migrate {
            let text = format!(
                "PostgreSQL: the schema of {} was renamed, its functions still use the old name, \
                 and migrations are off; open it once with migrations on to update them",
                relations.channel()
            );
            return Err(Error::new(ErrorKind::SchemaMismatch, text));
        }
    } else if !options.migrate {
        let text = format!(
            "{} has format {format} and needs {}, but migrations are off; open it with them on",
            relations.channel(),
            MIGRATIONS.len()
        );
        return Err(Error::new(ErrorKind::SchemaMismatch, text));
    }
    run(conn, "BEGIN").await?;
    migrate(conn, &relations).await?;
    run(conn, "COMMIT").await?;
    Ok(false)
}

/// Refuses a log that logical replication feeds: it inserts in the order of commits and publishes no
/// bounds, so that a reader would step over what comes late.
async fn refuse_a_copy(conn: &mut PgConnection, relations: &Relations) -> Result<()> {
    let fed =
        sqlx::query("SELECT EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = $1::regclass)")
            .bind(relations.name("log"))
            .fetch_one(conn)
            .await?
            .try_get::<bool, _>(0)?;
    if fed {
        let text = "PostgreSQL: logical replication writes to this log, and a reader would skip \
                    what arrives late; drop the subscription first";
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    Ok(())
}

/// Whether the functions work on these tables, and whether row-level security was made. They name what
/// they work on in their text: where the schema was renamed since, that is nothing, or another store.
async fn found(conn: &mut PgConnection, relations: &Relations) -> Result<(bool, bool)> {
    let asked = sqlx::query(
        "SELECT strpos(prosrc, $2) > 0, to_regclass($3) IS NOT NULL FROM pg_proc WHERE oid = $1::regproc",
    );
    let asked = asked.bind(relations.name("append")).bind(relations.name("log"));
    let row = asked.bind(relations.name("roles")).fetch_one(conn).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The functions of all formats, with names to be filled in, in the order in which they were made.
pub(super) fn functions_of_all() -> impl DoubleEndedIterator<Item = String> {
    functions(&MIGRATIONS.concat()).collect::<Vec<_>>().into_iter()
}

/// The functions of a script, each in place of one that is there.
fn functions(script: &str) -> impl Iterator<Item = String> {
    const MADE: [&str; 2] = ["CREATE FUNCTION ", "CREATE OR REPLACE FUNCTION "];
    let mut rest = script;
    std::iter::from_fn(move || {
        let (at, made) = MADE.iter().filter_map(|made| Some((rest.find(made)?, made))).min()?;
        let (function, after) = rest[at + made.len()..].split_once("$$;")?;
        rest = after;
        Some(format!("{}{function}$$;\n", MADE[1]))
    })
}

async fn migrate(conn: &mut PgConnection, relations: &Relations) -> Result<()> {
    // Whoever comes first may need a while.
    run(conn, "SET LOCAL lock_timeout = 0").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(relations.lock())
        .execute(&mut *conn)
        .await?;
    let schema = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1")
        .bind(&relations.schema)
        .fetch_optional(&mut *conn)
        .await?;
    if schema.is_none() {
        run(conn, &format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", relations.schema)).await?;
    }
    let format = format_of(conn, relations).await?;
    if format < MIGRATIONS.len() {
        run(conn, &script(relations, format)).await?;
    }
    if format > 0 && !found(conn, relations).await?.0 {
        let script = relations.fill(&MIGRATIONS.concat());
        run(conn, &functions(&script).collect::<String>()).await?;
    }
    Ok(())
}

/// The format of what is there; 0 where nothing is. A newer one is refused.
async fn format_of(conn: &mut PgConnection, relations: &Relations) -> Result<usize> {
    let name = relations.name("format");
    let found = sqlx::query("SELECT to_regclass($1) IS NOT NULL")
        .bind(&name)
        .fetch_one(&mut *conn)
        .await?
        .try_get::<bool, _>(0)?;
    if !found {
        return Ok(0);
    }
    let sql = AssertSqlSafe(format!("SELECT coalesce(max(version), 0) FROM {name}"));
    let format: i32 = sqlx::query(sql).fetch_one(conn).await?.try_get(0)?;
    let newest = MIGRATIONS.len();
    usize::try_from(format).ok().filter(|format| *format <= newest).ok_or_else(|| {
        let text =
            format!("the database has format {format}; this version of Eventuali knows {newest}");
        Error::new(ErrorKind::SchemaMismatch, text)
    })
}

/// Runs statements without parameters.
pub(super) async fn run(conn: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

/// What the tests of the order must catch.
#[cfg(feature = "faults")]
pub(super) mod fault {
    pub(in crate::backend::postgres) fn chosen(name: &str) -> bool {
        std::env::var("EVENTUALI_FAULT").is_ok_and(|chosen| chosen == name)
    }

    /// `sql` with the fault that was chosen: without the step `--<step>` … `--</step>`, or with
    /// steps that have changed places, on a machine that takes its time.
    pub(super) fn applied(sql: String) -> String {
        for step in ["bound", "lowest", "families"] {
            if chosen(step) {
                return split(&sql, step).map_or(sql, |(before, _, after)| before + &after);
            }
        }
        match split(&sql, "bound") {
            Some((before, bound, after)) if chosen("late-bound") => {
                let late = format!("PERFORM pg_sleep(0.01);{bound}\n--<drawn>");
                before + &after.replace("--<drawn>", &late)
            }
            _ if chosen("late-look") => {
                let look = "PERFORM pg_sleep(0.02);
                    SELECT coalesce(max(e.position), 0) INTO last FROM {log} AS e;";
                sql.replace("--<looked>", look)
            }
            _ => sql,
        }
    }

    /// What stands before a step, the step, and what stands behind it.
    fn split(sql: &str, step: &str) -> Option<(String, String, String)> {
        let (before, rest) = sql.split_once(&format!("--<{step}>"))?;
        let (inside, after) = rest.split_once(&format!("--</{step}>"))?;
        Some((before.to_owned(), inside.to_owned(), after.to_owned()))
    }
}
