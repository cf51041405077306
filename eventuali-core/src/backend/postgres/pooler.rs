//! Poolers that give a session to somebody else between two transactions.
//!
//! Statements are prepared, and settings made, once a connection. With such a pooler a statement may
//! be run on a session on which another store prepared one of the same name: on other tables.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tokio::time::timeout;

use super::bridge;
use crate::error::{Error, ErrorKind, Result};

/// How long a second connection may take. One that does not come, where only one is allowed for
/// instance, tells nothing.
const SECOND: Duration = Duration::from_secs(1);
/// How often both are asked, in an order that no rotation repeats. A pooler lends the session that
/// came back last, or the next one in turn; others who take sessions make them change all the sooner.
const ROUNDS: usize = 3;

/// Connects, and refuses a server behind such a pooler: two connections that are open at the same
/// time have two sessions, and each keeps its own.
pub(super) async fn connect_apart(server: &PgConnectOptions) -> Result<PgConnection> {
    // Both at once, so that a store opens as fast as with one.
    let second = tokio::spawn({
        let server = server.clone();
        async move { timeout(SECOND, bridge::connect(&server)).await }
    });
    let mut conn = bridge::connect(server).await?;
    let Ok(Ok(Ok(mut second))) = second.await else { return Ok(conn) };
    let own = session(&mut conn).await?;
    let mut kept = true;
    for _ in 0..ROUNDS {
        let twice = async { Ok((session(&mut second).await?, session(&mut second).await?)) };
        // A session that does not come, because all are lent, tells nothing.
        let Ok(Ok::<_, Error>((other, again))) = timeout(SECOND, twice).await else {
            return Ok(conn);
        };
        kept &= other != own && again == other;
        kept &= session(&mut conn).await? == own && session(&mut conn).await? == own;
    }
    // A server that is gone needs no goodbye.
    drop(timeout(SECOND, second.close()).await);
    if kept {
        return Ok(conn);
    }
    let text = "PostgreSQL: a connection pooler gives the store's sessions to other clients \
                between transactions; set it to session mode";
    Err(Error::new(ErrorKind::Configuration, text))
}

/// The process that serves a connection. Not prepared: that is what does not work there.
async fn session(conn: &mut PgConnection) -> Result<i32> {
    Ok(sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(conn).await?.try_get(0)?)
}
