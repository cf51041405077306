//! Clauses about statements in a commit, where the backend has SQL.
//!
//! The port reads no tables of the user's. What is in one is told by a statement that fails unless it
//! is as expected.

use std::sync::Arc;
use std::thread;

use uuid::Uuid;

use super::given::{
    Store, deposits, done, events, expecting, log, loose, open, picture, put, record, refused,
    reopen, together,
};
use super::{Fixture, block_on};
use crate::commit::{Commit, Committed};
use crate::error::{Error, ErrorKind, Result};
use crate::query::Query;
use crate::statement::{Statement, Value};
use crate::stream::ExpectedVersion::{Exact, NoStream};

pub async fn a_store_without_sql_refuses_them(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    if store.capabilities().sql {
        return;
    }
    done(&store, deposits("1", 1)).await;
    let before = picture(&store).await;
    let commit = with(deposits("1", 1), vec![plain("SELECT 1")]);
    assert_eq!(refused(&store, commit).await, ErrorKind::Invalid { field: "statements" });
    assert_eq!(picture(&store).await, before);
    done(&store, deposits("1", 1)).await;
}

pub async fn they_are_carried_out_with_the_commit(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let commit = together([deposits("1", 2), Commit::change(vec![put("a", "b")])]);
    lines.commit(with(commit, vec![lines.insert(1), lines.insert(2)])).await.expect("it commits");
    lines.commit(with(Commit::change(vec![put("a", "c")]), vec![lines.insert(3)])).await.expect("");
    lines.has(3, "n IN (1, 2, 3)").await;
    assert_eq!(record(&lines.store, "a").await.expect("it is there").value.bytes, b"c");
    lines.end().await;
}

pub async fn they_survive_reopening(fixture: &dyn Fixture) {
    let Some(mut lines) = Lines::of(fixture).await else { return };
    if lines.store.capabilities().durable {
        lines.execute(vec![lines.insert(1)]).await.expect("it commits");
        lines.store = reopen(fixture, lines.store).await;
        lines.has(1, "n = 1").await;
    }
    lines.end().await;
}

pub async fn they_are_carried_out_in_their_order(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let name = &lines.name;
    let double = plain(format!("UPDATE {name} SET n = n * 2"));
    let all = vec![lines.insert(1), double.clone(), lines.insert(10), double.clone(), double];
    lines.execute(all).await.expect("it commits");
    lines.has(1, "n = 8").await;
    lines.has(1, "n = 40").await;
    lines.end().await;
}

pub async fn many_are_one_commit(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let limit = lines.store.capabilities().limits.commit_statements;
    let some = |count: usize| (0..count).map(|n| lines.insert(n as i64)).collect::<Vec<_>>();
    lines.execute(some(limit)).await.expect("it commits");
    lines.has(limit as i64, "n >= 0").await;
    let error = lines.execute(some(limit + 1)).await.expect_err("it is one too many");
    let too_large = ErrorKind::TooLarge { what: "statements", size: limit + 1, limit };
    assert_eq!(*error.kind(), too_large);
    lines.has(limit as i64, "n >= 0").await;
    lines.end().await;
}

pub async fn they_count_among_the_bytes(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let limit = lines.store.capabilities().limits.commit_bytes;
    let commit = |extra: usize| {
        let event = deposits("1", 1);
        let (size, sql) = (event.size(), format!("INSERT INTO {} (word) VALUES ($1)", lines.name));
        let word = "w".repeat(limit - size - sql.len() + extra);
        with(event, vec![Statement::new(sql, vec![Value::Text(word)])])
    };
    lines.commit(commit(0)).await.expect("it commits");
    let error = lines.commit(commit(1)).await.expect_err("it is one too many");
    assert_eq!(*error.kind(), ErrorKind::TooLarge { what: "commit", size: limit + 1, limit });
    lines.has(1, "word IS NOT NULL").await;
    lines.end().await;
}

pub async fn one_that_fails_writes_nothing(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    lines.execute(vec![lines.insert(1)]).await.expect("it commits");
    for (bad, sql) in lines.failing().into_iter().map(|bad| (bad.clone(), bad.sql)) {
        let before = picture(&lines.store).await;
        let commit = together([deposits("new", 2), Commit::change(vec![put("new", "x")])]);
        let all = vec![lines.insert(7), lines.insert(8), bad, lines.insert(9)];
        let error = lines.commit(with(commit, all)).await.expect_err(&sql);
        assert_eq!(*error.kind(), ErrorKind::Statement { index: Some(2), sql }, "{error}");
        assert_eq!(picture(&lines.store).await, before, "{error}");
        lines.has(1, "n > 0").await;
    }
    let committed = lines.commit(expecting("new", NoStream, 1)).await.expect("it goes on");
    assert_eq!(committed.versions, [1]);
    lines.end().await;
}

pub async fn one_that_fails_fails_only_its_own_commit(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let lines = Arc::new(lines);
    let answers: Vec<_> = (0..24)
        .map(|number| {
            let statements = match number % 3 {
                0 => vec![lines.insert(number), lines.failing().remove(0)],
                1 => vec![lines.insert(number)],
                _ => Vec::new(),
            };
            let commit = with(deposits(&format!("s{number}"), 2), statements);
            (number, lines.store.commit(commit))
        })
        .collect();
    for (number, answer) in answers {
        match answer.await {
            Ok(committed) => assert!(number % 3 > 0 && committed.versions == [2], "{number}"),
            Err(error) => {
                let is_own = matches!(error.kind(), ErrorKind::Statement { index: Some(1), .. });
                assert!(is_own && number % 3 == 0, "{number}: {error}");
            }
        }
    }
    lines.has(8, "n >= 0").await;
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let lines = Arc::clone(&lines);
            thread::spawn(move || {
                for turn in 0..10 {
                    let bad = (turn + number) % 2 == 0;
                    let mut all = vec![lines.insert(1000 + number)];
                    all.extend(bad.then(|| lines.failing().remove(0)));
                    let answer = block_on(lines.commit(with(deposits("t", 1), all)));
                    assert_eq!(answer.is_err(), bad);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    lines.has(20, "n >= 1000").await;
    let all = log(&lines.store).await;
    assert_eq!(all.iter().filter(|e| e.head.stream.aggregate_id == "t").count(), 20);
    lines.end().await;
}

pub async fn a_refused_commit_carries_nothing_out(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let insert = || vec![lines.insert(1)];
    let error = lines.commit(with(expecting("1", Exact(7), 1), insert())).await.expect_err("");
    assert!(matches!(error.kind(), ErrorKind::Conflict { .. }), "{error}");
    done(&lines.store, deposits("1", 1)).await;
    let late = deposits("1", 1).on_condition(Query::default(), 0);
    let error = lines.commit(with(late, insert())).await.expect_err("it is late");
    assert!(matches!(error.kind(), ErrorKind::ConditionFailed { .. }), "{error}");
    lines.has(0, "n = 1").await;
    lines.end().await;
}

pub async fn a_repetition_carries_nothing_out(fixture: &dyn Fixture) {
    let Some(mut lines) = Lines::of(fixture).await else { return };
    let of_events = with(deposits("1", 2), vec![lines.insert(1)]);
    let of_records = with(Commit::change(vec![put("a", "b")]), vec![lines.insert(1)]);
    for commit in [of_events, of_records] {
        let first = lines.commit(commit.clone()).await.expect("it commits");
        assert_eq!(lines.commit(commit.clone()).await.expect("it is repeated"), first);
        let answers: Vec<_> = (0..8).map(|_| lines.store.commit(commit.clone())).collect();
        for answer in answers {
            assert_eq!(answer.await.expect("it is repeated"), first);
        }
        if lines.store.capabilities().durable {
            lines.store = reopen(fixture, lines.store).await;
            assert_eq!(lines.commit(commit).await.expect("it is repeated"), first);
        }
    }
    lines.has(2, "n = 1").await;
    lines.end().await;
}

pub async fn their_commit_may_say_its_time(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    for number in 0..6 {
        let at = (10_000 + number) * 86_400_000_000;
        let statements = if number % 3 == 0 { vec![lines.insert(1)] } else { Vec::new() };
        let commit = Commit { at: Some(at), ..with(deposits("1", 1), statements) };
        assert_eq!(done(&lines.store, commit).await.recorded_at, at);
    }
    lines.has(2, "n = 1").await;
    lines.end().await;
}

pub async fn others_are_another_commit(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let commit = with(deposits("1", 1), vec![lines.insert(1)]);
    done(&lines.store, commit.clone()).await;
    let given = commit.event_ids();
    for other in [Vec::new(), vec![lines.insert(2)], vec![lines.insert(1), lines.insert(1)]] {
        let kind = refused(&lines.store, Commit { statements: other, ..commit.clone() }).await;
        assert_eq!(kind, ErrorKind::IdempotencyConflict { event_ids: given.clone() });
    }
    let plain = deposits("1", 1);
    done(&lines.store, plain.clone()).await;
    let given = plain.event_ids();
    let kind = refused(&lines.store, with(plain, vec![lines.insert(2)])).await;
    assert_eq!(kind, ErrorKind::IdempotencyConflict { event_ids: given });
    lines.has(1, "n > 0").await;
    lines.end().await;
}

pub async fn values_are_what_they_were(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let name = &lines.name;
    let mut all = Vec::new();
    for number in [0, 1, -1, 255, i64::MAX, i64::MIN] {
        all.push(lines.insert(number));
        let same =
            format!("INSERT INTO {name}_off SELECT count(*) - 1 FROM {name} WHERE n = {number}");
        // The smallest number can be written in no other way in SQLite.
        all.push(plain(same.replace(&i64::MIN.to_string(), "(-9223372036854775807 - 1)")));
    }
    let words =
        ["", "it's", "\\", "\\'; COMMIT; --", "ünï ☃ 🦀", "$1 ? %s :a", "\n\r\t\u{1}", "E'\\x'"];
    for word in words {
        let text = || Value::Text(word.to_owned());
        let sql = format!("INSERT INTO {name} (word) VALUES ($1)");
        all.push(Statement::new(sql, vec![text()]));
        let length = word.chars().count();
        let same = format!(
            "INSERT INTO {name}_off SELECT count(*) - 1 FROM {name} WHERE word = $1 AND \
             length(word) = {length}"
        );
        all.push(Statement::new(same, vec![text()]));
    }
    lines.execute(all).await.expect("they are what they were");
    let parts = format!("INSERT INTO {name} (n, word, part, raw) VALUES ($1, $2, $3, $4)");
    let bytes: Vec<u8> = (0..=255).collect();
    let values = vec![Value::Null, Value::Null, Value::Real(0.1), Value::Bytes(bytes)];
    lines.execute(vec![Statement::new(parts, values)]).await.expect("it commits");
    let hex = (0..=255).fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
    lines.has(1, "n IS NULL AND word IS NULL AND part = 0.1 AND length(raw) = 256").await;
    if lines.store.capabilities().backend == "sqlite" {
        lines.has(1, &format!("hex(raw) = '{hex}'")).await;
    } else {
        lines.has(1, &format!("upper(encode(raw, 'hex')) = '{hex}'")).await;
    }
    lines.end().await;
}

pub async fn parameters_are_numbered(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let name = &lines.name;
    let sql = format!("INSERT INTO {name} (word, n) VALUES ($2, $1)");
    let text = || Value::Text("two".to_owned());
    lines.execute(vec![Statement::new(&sql, vec![Value::Int(1), text()])]).await.expect("");
    lines.has(1, "n = 1 AND word = 'two'").await;
    for values in [vec![], vec![Value::Int(1)], vec![Value::Int(1), text(), text()]] {
        let error = lines.execute(vec![Statement::new(&sql, values)]).await.expect_err("");
        let kind = ErrorKind::Statement { index: Some(0), sql: sql.clone() };
        assert_eq!(*error.kind(), kind, "{error}");
    }
    lines.has(1, "n = 1").await;
    lines.end().await;
}

pub async fn they_make_and_change_tables(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let name = &lines.name;
    for round in 0..3 {
        let sort = ["BIGINT", "TEXT", "DOUBLE PRECISION"][round];
        let more = format!("INSERT INTO {name}_more (a, b) VALUES ($1, $2)");
        let value = [Value::Int(1), Value::Text("1".to_owned()), Value::Real(1.0)][round].clone();
        let all = vec![
            plain(format!("CREATE TABLE {name}_more (a {sort})")),
            plain(format!("ALTER TABLE {name}_more ADD COLUMN b {sort}")),
            plain(format!("CREATE INDEX {name}_index ON {name}_more (a, b)")),
            Statement::new(&more, vec![value.clone(), value.clone()]),
            Statement::new(more, vec![value.clone(), value]),
            plain(format!("INSERT INTO {name} (n) SELECT count(*) FROM {name}_more")),
            plain(format!("DROP TABLE {name}_more")),
        ];
        lines.execute(all).await.expect("it commits");
        lines.has(round as i64 + 1, "n = 2").await;
    }
    let made = plain(format!("CREATE TABLE {name}_more (a BIGINT)"));
    let error = lines.execute(vec![made.clone(), lines.failing().remove(0)]).await;
    error.expect_err("it fails");
    let gone = plain(format!("DROP TABLE {name}_more"));
    lines.execute(vec![gone.clone()]).await.expect_err("it was never made");
    lines.execute(vec![made, gone]).await.expect("it commits");
    lines.end().await;
}

pub async fn they_need_an_event_or_a_record(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let none = with(Commit::default(), vec![lines.insert(1)]);
    let condition = with(expecting("1", NoStream, 0), vec![lines.insert(1)]);
    for commit in [none, condition] {
        let error = lines.commit(commit).await.expect_err("nobody would know it again");
        assert_eq!(*error.kind(), ErrorKind::Invalid { field: "statements" });
    }
    lines.has(0, "n = 1").await;
    lines.end().await;
}

pub async fn bad_ones_are_refused(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    for sql in ["", " \n", "-- SELECT 1", "/* SELECT 1 */", "SELECT 1\0", "SELECT '\0'"] {
        let error = lines.execute(vec![plain(sql)]).await.expect_err(sql);
        assert_eq!(*error.kind(), ErrorKind::Invalid { field: "statements" }, "{sql:?}");
    }
    let nan = Statement::new("SELECT $1", vec![Value::Real(f64::NAN)]);
    let error = lines.execute(vec![nan]).await.expect_err("it would be NULL");
    assert_eq!(*error.kind(), ErrorKind::Invalid { field: "statements" });
    lines.end().await;
}

pub async fn none_ends_the_transaction(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    for sql in [
        "COMMIT",
        "commit;",
        "/* */ COMMIT",
        "END",
        "ROLLBACK",
        "ROLLBACK TO SAVEPOINT a",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "RELEASE a",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "PRAGMA synchronous = OFF",
        "VACUUM",
        "SET synchronous_commit = off",
        "RESET ALL",
        "PREPARE TRANSACTION 'a'",
        "PREPARE a AS SELECT 1",
        "DEALLOCATE ALL",
        "DISCARD ALL",
        "DO $$ BEGIN COMMIT; END $$",
        "LISTEN a",
        "; COMMIT",
        "SELECT 1; COMMIT",
        "SELECT 1; SELECT 2",
        "SELECT 1;; COMMIT; SELECT 1",
    ] {
        let all = vec![lines.insert(1), plain(sql), lines.insert(1)];
        let commit = with(loose(events(1)), all);
        let error = lines.commit(commit).await.expect_err(sql);
        let refused = ErrorKind::Statement { index: Some(1), sql: sql.to_owned() };
        assert_eq!(*error.kind(), refused, "{error}");
        lines.has(0, "n = 1").await;
    }
    assert_eq!(log(&lines.store).await, []);
    lines.execute(vec![lines.insert(1)]).await.expect("it goes on");
    lines.has(1, "n = 1").await;
    lines.end().await;
}

pub async fn a_tenant_has_none(fixture: &dyn Fixture) {
    let Some(lines) = Lines::of(fixture).await else { return };
    let tenant = crate::layer::tenant::Tenant::new(Arc::clone(&lines.store), "other");
    let tenant: Store = Arc::new(tenant.expect("it is a name"));
    assert!(!tenant.capabilities().sql);
    for commit in [deposits("1", 1), Commit::change(vec![put("a", "b")])] {
        let commit = with(commit, vec![lines.insert(1)]);
        let here = block_on(tenant.commit_here(commit.clone())).expect_err("it is a tenant's");
        assert_eq!(*here.kind(), ErrorKind::Invalid { field: "statements" });
        assert_eq!(refused(&tenant, commit).await, *here.kind());
    }
    lines.has(0, "n = 1").await;
    lines.end().await;
}

/// A table of one clause, which is not read but asked.
struct Lines {
    store: Store,
    name: String,
}

impl Lines {
    /// Makes the table; none where the store has no SQL.
    async fn of(fixture: &dyn Fixture) -> Option<Self> {
        let store = open(fixture).await;
        if !store.capabilities().sql {
            return None;
        }
        let lines = Self { store, name: format!("contract_{}", Uuid::now_v7().simple()) };
        let (name, bytes) = (&lines.name, lines.type_of_bytes());
        let columns = format!("n BIGINT, word TEXT, part DOUBLE PRECISION, raw {bytes}");
        let tables = vec![
            plain(format!("CREATE TABLE {name} ({columns})")),
            plain(format!("CREATE TABLE {name}_off (off BIGINT CHECK (off = 0))")),
            plain(format!("CREATE TABLE {name}_once (n BIGINT PRIMARY KEY)")),
            plain(format!("INSERT INTO {name}_once VALUES (1)")),
        ];
        lines.execute(tables).await.expect("the tables are made");
        Some(lines)
    }

    fn type_of_bytes(&self) -> &'static str {
        if self.store.capabilities().backend == "sqlite" { "BLOB" } else { "BYTEA" }
    }

    fn insert(&self, number: i64) -> Statement {
        let sql = format!("INSERT INTO {} (n) VALUES ($1)", self.name);
        Statement::new(sql, vec![Value::Int(number)])
    }

    /// Statements that the database refuses.
    fn failing(&self) -> Vec<Statement> {
        let name = &self.name;
        vec![
            Statement::new(format!("INSERT INTO {name}_once VALUES ($1)"), vec![Value::Int(1)]),
            plain(format!("INSERT INTO {name}_off VALUES (1)")),
            plain(format!("INSERT INTO {name}_nowhere VALUES (1)")),
            plain(format!("INSERT INTO {name} (nothing) VALUES (1)")),
            plain("INSERT nonsense"),
            plain("nonsense"),
            plain("é"),
        ]
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        self.store.commit(commit).await
    }

    async fn execute(&self, statements: Vec<Statement>) -> Result<Committed, Error> {
        self.commit(with(Commit::change(vec![put("lines", "x")]), statements)).await
    }

    /// Asserts that so many rows fulfil a condition.
    async fn has(&self, count: i64, condition: &str) {
        let name = &self.name;
        let sql =
            format!("INSERT INTO {name}_off SELECT count(*) - $1 FROM {name} WHERE {condition}");
        let asked = self.execute(vec![Statement::new(sql, vec![Value::Int(count)])]).await;
        asked.unwrap_or_else(|error| panic!("not {count} rows with {condition}: {error}"));
    }

    async fn end(&self) {
        let drop = |suffix: &str| plain(format!("DROP TABLE {}{suffix}", self.name));
        self.execute(["", "_off", "_once"].map(drop).to_vec()).await.expect("they are dropped");
    }
}

fn plain(sql: impl Into<String>) -> Statement {
    Statement::new(sql, Vec::new())
}

fn with(commit: Commit, statements: Vec<Statement>) -> Commit {
    Commit { statements, ..commit }
}
