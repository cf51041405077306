//! Announcements: commits are announced to whoever listens, and only then.

use std::time::Duration;

use eventuali_core::contract::block_on;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::storage::Storage;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::{sleep, timeout};

use crate::fixtures::{PostgresTable, beside, server};
use crate::given::{deposits, log, open};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_commit_is_announced_only_where_somebody_listens() {
    let table = PostgresTable::new();
    let store = open(&table);
    let schema = &table.options.schema;
    let listening = format!(
        "SELECT pg_advisory_lock_shared('{schema}.events_log'::regclass::oid::bigint::bit(32)::integer, 2)"
    );
    let mark = format!("SELECT pg_notify('{schema}.events', 'mark')");
    let heard = beside(async |conn| {
        let mut listener = PgListener::connect(&server()).await?;
        listener.listen(&format!("{schema}.events")).await?;
        let mut heard = Vec::new();
        for hold in [false, true] {
            if hold {
                conn.execute(AssertSqlSafe(listening.as_str())).await?;
            }
            store.commit(deposits("1", 1)).await.expect("it commits");
            sleep(Duration::from_millis(100)).await;
            conn.execute(AssertSqlSafe(mark.as_str())).await?;
            while let Ok(next) = timeout(PATIENCE, listener.recv()).await {
                let payload = next?.payload().to_owned();
                heard.push(payload.clone());
                if payload == "mark" {
                    break;
                }
            }
        }
        Ok(heard)
    });
    assert_eq!(heard.expect("the server answers"), ["mark", "", "mark"]);
}

#[test]
fn who_waits_says_that_they_listen_until_they_stop() {
    let table = PostgresTable::new();
    let (store, other) = (open(&table), open(&table));
    let schema = &table.options.schema;
    let count = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND objid = 2
         AND mode = 'ShareLock' AND granted AND classid = '{schema}.events_log'::regclass"
    );
    let listeners = async |wanted: i64| {
        let found = beside(async |conn| {
            for _ in 0..200 {
                let sql = AssertSqlSafe(count.as_str());
                if sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *conn).await? == wanted {
                    return Ok(true);
                }
                sleep(PATIENCE / 200).await;
            }
            Ok(false)
        });
        assert!(found.expect("the server answers"), "{wanted} are listening");
    };
    block_on(listeners(0));
    let mut receiver = other.appended();
    block_on(listeners(1));
    receiver.mark_unchanged();
    let committed = block_on(store.commit(deposits("1", 1))).expect("it commits");
    block_on(async {
        while *receiver.borrow_and_update() < committed.positions[0] {
            receiver.changed().await.expect("the store is open");
        }
    });
    drop(receiver);
    // Looked after at the next news.
    block_on(other.commit(deposits("2", 1))).expect("it commits");
    block_on(listeners(0));
}

#[test]
fn what_was_committed_here_is_followed_without_the_server() {
    let table = PostgresTable::new();
    let store = open(&table);
    let _follows = store.appended();
    block_on(store.commit(deposits("1", 3))).expect("it commits");
    assert_eq!(log(&store).len(), 3);
    let lock = format!("BEGIN; LOCK {}.events_log IN ACCESS EXCLUSIVE MODE", table.options.schema);
    let found = beside(async |conn| {
        // A listener that is new looks for the horizon now and then, each time anew.
        for _ in 0..20 {
            let committed = store.commit(deposits("1", 2)).await.expect("it commits");
            sqlx::raw_sql(AssertSqlSafe(lock.as_str())).execute(&mut *conn).await?;
            let after = committed.positions[0] - 1;
            let range = ReadRange { after, prompt: true, ..ReadRange::default() };
            let page = timeout(PATIENCE / 20, store.read(Query::default(), range)).await;
            conn.execute("ROLLBACK").await?;
            if let Ok(page) = page {
                let page = page.expect("it reads");
                return Ok(page.iter().map(|event| event.head.position).eq(committed.positions));
            }
        }
        Ok(false)
    });
    assert!(found.expect("the server answers"), "the server was asked");
}
