//! The server's clock, as a test sets it.
//!
//! What the statements and functions of a store ask is `clock_timestamp()`. Where a commit says a
//! time, its session finds another function of that name first, which tells that time. Sessions
//! that were never told one know nothing of it, and no function of a store does.

use sqlx::PgConnection;

use super::connection::Session;
use super::error::timed_out;
use super::options::PostgresOptions;
use super::schema::run;
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};

/// Has SQL of the user's find what it finds anywhere else, until the end of the transaction.
pub(super) async fn step_aside(session: &mut Session) -> Result<()> {
    if session.known.is_told_time {
        let sql =
            "SELECT set_config('search_path', current_setting('eventuali.search_path'), true)";
        run(&mut session.conn, sql).await?;
    }
    Ok(())
}

/// How the schemas begin that [`drop_test_schema`] drops.
const TEST_SCHEMA: &str = "eventuali_test_";

/// Has the session go by the latest time that a commit of the group says, or by the real one again.
pub(super) async fn tell(session: &mut Session, commits: &[&Commit]) -> Result<()> {
    let at = commits.iter().filter_map(|commit| commit.at).max();
    if at.is_none() && !session.known.is_told_time {
        return Ok(());
    }
    if !session.known.is_told_time {
        install(&mut session.conn).await?;
        session.known.is_told_time = true;
    }
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('eventuali.test_clock', $1, false)")
        .bind(at)
        .fetch_one(&mut session.conn)
        .await?;
    Ok(())
}

/// Makes the function where it is missing, and has the session find it first.
async fn install(conn: &mut PgConnection) -> Result<()> {
    run(conn, include_str!("sql/test_clock.sql")).await.map_err(|error| {
        let text = "PostgreSQL: a clock that a test sets needs the schema eventuali_test_clock, \
                    which can't be made; let the user of the tests CREATE in the database";
        Error::new(ErrorKind::Configuration, text).with_source(error)
    })
}

/// Drops a schema that was made for a test, with all that it holds. Blocks while it does.
///
/// Its name begins with `eventuali_test_`; any other one is refused.
pub fn drop_test_schema(options: &PostgresOptions) -> Result<()> {
    options.check()?;
    if !options.schema.starts_with(TEST_SCHEMA) {
        let text = format!("{} was not made for a test, and is not dropped", options.schema);
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(super::no_thread)?;
    let server = options.servers()?.remove(0);
    let work = async {
        let mut conn = super::bridge::connect(&server).await?;
        // Whoever still holds a lock has left something behind.
        run(&mut conn, "SET lock_timeout = '5s'; SET client_min_messages = warning").await?;
        let schema = &options.schema;
        run(&mut conn, &format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE")).await?;
        drop(sqlx::Connection::close(conn).await);
        Ok(())
    };
    let limit = options.connect_timeout + options.statement_timeout;
    runtime.block_on(async {
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(timed_out("dropping the schema of a test")))
    })
}
