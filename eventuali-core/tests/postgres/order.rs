//! What one caller sends to a stream is carried out in the order of sending.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::event::{EventKind, NewEvent};
use eventuali_core::storage::Storage;
use eventuali_core::stream::{ExpectedVersion, StreamId};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::fixtures::{PostgresTable, beside};
use crate::given::{deposits, log, open};

/// The commit that comes after `version` events of a stream.
fn next(stream: &str, version: u64) -> Commit {
    let mut commit = deposits(stream, 1);
    commit.writes[0].expected = ExpectedVersion::Exact(version);
    commit
}

/// Those behind the 4,096th wait for room, while others are sent that find some.
#[test]
fn more_commits_than_may_wait_keep_their_order() {
    let table = PostgresTable::new();
    let store = open(&table);
    let answers: Vec<_> = (0..20_000).map(|version| store.commit(next("a", version))).collect();
    for answer in answers {
        block_on(answer).expect("it is in its order");
    }
    assert_eq!(log(&store).len(), 20_000);
}

/// Whoever inserts "slow" sleeps, so that those behind it make one group.
const SLOW: &str = "
    CREATE FUNCTION {s}.slow() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN IF NEW.payload = 'slow' THEN PERFORM pg_sleep(0.5); END IF; RETURN NEW; END $$;
    CREATE TRIGGER slow AFTER INSERT ON {s}.events_log FOR EACH ROW EXECUTE FUNCTION {s}.slow();";

/// Two commits of one group wait for a stream that somebody else holds. The second one would have it
/// first when it is free: the first one waits beside the writer by then.
#[test]
fn nobody_overtakes_one_that_its_own_group_has_set_apart() {
    let table = PostgresTable::new();
    let store = open(&table);
    table.run(SLOW).expect("the trigger is made");
    block_on(store.commit(next("a", 0))).expect("it commits");
    let lock = "BEGIN; SELECT FROM {s}.events_streams WHERE aggregate_id = 'a' FOR UPDATE";
    let lock = lock.replace("{s}", &table.options.schema);
    let answers = beside(async |conn| {
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *conn).await?;
        let slow = NewEvent::new(Arc::new(EventKind::json("Slow", 1)), "slow");
        let slow = Commit::append(StreamId::new("Account", "b"), ExpectedVersion::Any, vec![slow]);
        let mut answers = vec![store.commit(slow)];
        tokio::time::sleep(Duration::from_millis(200)).await;
        answers.extend([1, 2].map(|version| store.commit(next("a", version))));
        let patience = Instant::now() + Duration::from_secs(4);
        while Instant::now() < patience && !two_wait(conn, &table).await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sqlx::raw_sql("COMMIT").execute(&mut *conn).await?;
        Ok(answers)
    });
    for answer in answers.expect("the session ends") {
        block_on(answer).expect("it is in its order");
    }
}

/// Whether two sessions wait for a stream: one for who holds it, one behind that one.
async fn two_wait(conn: &mut PgConnection, table: &PostgresTable) -> sqlx::Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_locks
        WHERE NOT granted AND locktype = 'tuple' AND relation = '{s}.events_streams'::regclass)";
    let query = AssertSqlSafe(query.replace("{s}", &table.options.schema));
    sqlx::query(query).fetch_one(conn).await?.try_get(0)
}
