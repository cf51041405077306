//! Opening: many at once, and all that can be wrong.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use eventuali_core::backend::postgres::{Postgres, PostgresOptions, schema_sql};
use eventuali_core::commit::Commit;
use eventuali_core::contract::block_on;
use eventuali_core::error::ErrorKind;
use eventuali_core::query::{Query, ReadRange};
use eventuali_core::record::{RecordChange, RecordKey};
use eventuali_core::storage::Storage;
use eventuali_core::store::{EventStore, Options};
use eventuali_core::stream::{ExpectedVersion, StreamId};
use eventuali_core::url::PostgresUrl;

use crate::fixtures::{PostgresTable, server_for};
use crate::given::{deposits, log, open};

#[test]
fn ten_open_a_fresh_database_at_once() {
    let table = PostgresTable::new();
    let stores: Vec<Postgres> = thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(|| open(&table))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it opens")).collect()
    });
    for store in &stores {
        block_on(store.commit(deposits("1", 1))).expect("it commits");
    }
    assert_eq!(log(&stores[0]).len(), 10);
}

#[test]
fn a_copy_that_is_fed_is_refused() {
    let table = PostgresTable::new();
    drop(open(&table));
    let feed = "INSERT INTO pg_subscription_rel VALUES (1, '{s}.events_log'::regclass, 'r', NULL)";
    let stop = "DELETE FROM pg_subscription_rel WHERE srrelid = '{s}.events_log'::regclass";
    table.run(feed).expect("a superuser may");
    let refused = Postgres::open(table.options.clone()).map(drop).expect_err("it is a copy");
    table.run(stop).expect("a superuser may");
    assert_eq!(*refused.kind(), ErrorKind::Configuration, "{refused}");
    drop(open(&table));
}

#[test]
fn tables_of_other_names_are_other_stores() {
    let table = PostgresTable::new();
    let other = table.options.clone().with_table_name("custom_events");
    let stores = [open(&table), Postgres::open(other).expect("it opens")];
    for (store, count) in stores.iter().zip([1, 2]) {
        block_on(store.commit(deposits("1", count))).expect("it commits");
        assert_eq!(log(store).len(), count);
    }
}

#[test]
fn without_migrations_a_database_must_be_up_to_date() {
    let table = PostgresTable::new();
    let strict = PostgresOptions { migrate: false, ..table.options.clone() };
    assert_eq!(refusal(strict.clone()), ErrorKind::SchemaMismatch);
    table.run("CREATE SCHEMA {s}").expect("a schema is made");
    assert_eq!(refusal(strict.clone()), ErrorKind::SchemaMismatch);
    let sql = schema_sql(&table.options).expect("it is printed");
    table.run(&sql).expect("a person runs what was printed");
    let store = Postgres::open(strict.clone()).expect("it opens");
    block_on(store.commit(deposits("1", 1))).expect("it commits");
    table.run("INSERT INTO {s}.events_format (version) VALUES (99)").expect("it is newer");
    assert_eq!(refusal(strict), ErrorKind::SchemaMismatch);
}

#[test]
fn what_is_not_ours_is_refused() {
    let table = PostgresTable::new();
    table.run("CREATE SCHEMA {s}; CREATE TABLE {s}.events (x INTEGER)").expect("it is made");
    assert_eq!(refusal(table.options.clone()), ErrorKind::SchemaMismatch);
    table.run("SELECT x FROM {s}.events").expect("theirs is left as it was");
}

#[test]
fn names_are_checked() {
    let table = PostgresTable::new();
    let evil = table.options.clone().with_table_name("x\"; DROP SCHEMA public CASCADE;--");
    assert_eq!(refusal(evil), ErrorKind::Configuration);
}

#[test]
fn a_wrong_password_or_database_is_configuration() {
    let table = PostgresTable::new();
    table.run("CREATE SCHEMA {s}").expect("a schema is made");
    let missing = server_for(None, Some("no_such_database"));
    assert_eq!(refusal(PostgresOptions::new(missing)), ErrorKind::Configuration);
    let missing = server_for(Some("no_such_user:hunter2"), None);
    assert_eq!(refusal(PostgresOptions::new(missing)), ErrorKind::Configuration);
}

#[test]
fn a_host_that_does_not_answer_is_unavailable_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed_port = closed.local_addr().expect("an address").port();
    drop(closed);
    for place in [
        format!("127.0.0.1:{silent_port}"),
        format!("127.0.0.1:{closed_port}"),
        "no-such-host.invalid".to_owned(),
    ] {
        let url = format!("postgresql://u:hunter2@{place}/db");
        let url = PostgresUrl::parse(&url).expect("it is a URL");
        let limit = Duration::from_secs(1);
        let options = PostgresOptions { connect_timeout: limit, ..PostgresOptions::new(url) };
        let begun = Instant::now();
        assert_eq!(refusal(options), ErrorKind::Unavailable, "{place}");
        assert!(begun.elapsed() < limit * 5, "{place}");
    }
}

#[test]
fn who_may_not_write_is_told_so() {
    let table = PostgresTable::new();
    block_on(open(&table).commit(deposits("1", 2))).expect("it commits");
    let role = format!("reader_{}", table.options.schema);
    let run = |sql: &str| table.run(&sql.replace("{r}", &role));
    run("CREATE ROLE {r} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA {s} TO {r};
         GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r};
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA {s} TO {r};")
    .expect("a role is made");
    let options = PostgresOptions {
        url: server_for(Some(&format!("{role}:secret")), None),
        ..table.options.clone()
    };
    let outcome = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let store = Postgres::open(options.clone()).expect("it opens");
            assert_eq!(log(&store).len(), 2);
            block_on(store.commit(deposits("1", 1))).expect_err("it may not write").kind().clone()
        });
        reader.join()
    });
    run("DROP OWNED BY {r}; DROP ROLE {r}").expect("the role goes");
    assert_eq!(outcome.expect("it ends"), ErrorKind::Configuration);
}

/// What a role needs that writes and reads, and can neither change nor delete an event.
const GRANTS: &str = "
    CREATE ROLE {r} LOGIN PASSWORD 'secret';
    GRANT USAGE ON SCHEMA {s} TO {r};
    GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r};
    GRANT INSERT ON {s}.events_log, {s}.events_runs, {s}.events_kind_spans, {s}.events_tags,
        {s}.events_kinds, {s}.events_streams, {s}.events_records, {s}.events_record_index TO {r};
    GRANT UPDATE ON {s}.events_streams, {s}.events_records TO {r};
    GRANT DELETE ON {s}.events_record_index TO {r};
    GRANT USAGE, SELECT, UPDATE ON {s}.events_position, {s}.events_clock TO {r};";

#[test]
fn a_role_that_may_only_append_is_enough() {
    let table = PostgresTable::new();
    drop(open(&table));
    let role = format!("writer_{}", table.options.schema);
    let run = |sql: &str| table.run(&sql.replace("{r}", &role));
    run(GRANTS).expect("a role is made");
    let url = server_for(Some(&format!("{role}:secret")), None);
    let options = PostgresOptions { url, migrate: false, ..table.options.clone() };
    let outcome = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let store = Postgres::open(options.clone()).expect("it opens");
            let record = RecordChange::put(RecordKey::new("doc", "a"), "x");
            let commit = Commit { records: vec![record], ..deposits("1", 2) };
            block_on(store.commit(commit.on_condition(Query::default(), 0))).expect("it commits");
            block_on(store.commit(deposits("2", 1))).expect("it commits");
            assert_eq!(log(&store).len(), 3);
            block_on(store.close()).expect("it closes");
        });
        writer.join()
    });
    run("DROP OWNED BY {r}; DROP ROLE {r}").expect("the role goes");
    outcome.expect("it ends");
}

#[test]
fn a_statement_may_take_so_long() {
    let table = PostgresTable::new();
    let statement_timeout = Duration::from_millis(300);
    let store = PostgresOptions { statement_timeout, ..table.options.clone() };
    let store = Postgres::open(store).expect("it opens");
    table
        .run(
            "CREATE FUNCTION {s}.slow() RETURNS TRIGGER LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep(30); RETURN NEW; END';
         CREATE TRIGGER slow AFTER INSERT ON {s}.events_log EXECUTE FUNCTION {s}.slow();",
        )
        .expect("a trigger is made");
    let begun = Instant::now();
    let error = block_on(store.commit(deposits("1", 1))).expect_err("it takes too long");
    assert_eq!(*error.kind(), ErrorKind::Busy);
    assert!(begun.elapsed() < Duration::from_secs(10));
    table.run("DROP TRIGGER slow ON {s}.events_log").expect("the trigger goes");
    block_on(store.commit(deposits("1", 1))).expect("the store goes on");
}

#[test]
fn relaxed_does_not_wait_for_the_flush() {
    for relaxed in [false, true] {
        let table = PostgresTable::new();
        let store = PostgresOptions { relaxed, ..table.options.clone() };
        let store = Postgres::open(store).expect("it opens");
        table
            .run(
                "CREATE FUNCTION {s}.strict() RETURNS TRIGGER LANGUAGE plpgsql AS
                'BEGIN ASSERT current_setting(''synchronous_commit'') = ''off''; RETURN NEW; END';
             CREATE TRIGGER strict AFTER INSERT ON {s}.events_log EXECUTE FUNCTION {s}.strict();",
            )
            .expect("a trigger is made");
        assert_eq!(block_on(store.commit(deposits("1", 1))).is_ok(), relaxed);
    }
}

#[test]
fn there_are_no_more_connections_than_allowed() {
    let table = PostgresTable::new().named();
    let options = PostgresOptions { max_connections: 3, ..table.options.clone() };
    let store = Postgres::open(options).expect("it opens");
    let answers: Vec<_> =
        (0..50).map(|_| store.read(Query::default(), ReadRange::default())).collect();
    for answer in answers {
        block_on(answer).expect("it reads");
    }
    table
        .run(
            "DO $$ BEGIN ASSERT (
            SELECT count(*) = 3 FROM pg_stat_activity WHERE application_name = '{s}'
        ); END $$",
        )
        .expect("three, all of which are used");
}

#[test]
fn other_isolation_levels_are_set_right() {
    let table = PostgresTable::new();
    let role = format!("strict_{}", table.options.schema);
    let run = |sql: &str| table.run(&sql.replace("{r}", &role));
    run("CREATE ROLE {r} LOGIN SUPERUSER PASSWORD 'secret';
         ALTER ROLE {r} SET default_transaction_isolation = 'repeatable read'")
    .expect("a role is made");
    let options = PostgresOptions {
        url: server_for(Some(&format!("{role}:secret")), None),
        ..table.options.clone()
    };
    let store = Postgres::open(options).expect("it opens");
    let outcome = block_on(store.commit(deposits("1", 1)));
    block_on(store.close()).expect("it closes");
    run("DROP OWNED BY {r} CASCADE; DROP ROLE {r}").expect("the role goes");
    outcome.expect("it commits");
}

/// On a server that encrypts under a certificate of its own making, or on one that does not.
#[test]
fn the_mode_of_encryption_is_kept() {
    let table = PostgresTable::new();
    let with = |mode: &str| {
        let url = server_for(None, None);
        let separator = if url.secret().contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}sslmode={mode}", url.secret());
        let url = PostgresUrl::parse(&url).expect("it is a URL");
        PostgresOptions { url, ..table.options.clone() }
    };
    let encrypts = table.run("DO $$ BEGIN ASSERT current_setting('ssl') = 'on'; END $$").is_ok();
    assert_eq!(refusal(with("verify-full")), ErrorKind::Unavailable);
    if encrypts {
        let store = Postgres::open(with("require")).expect("it opens");
        let events =
            (0..1000).map(|_| deposits("1", 1).writes.remove(0).events.remove(0)).collect();
        let large = Commit::append(StreamId::new("Account", "1"), ExpectedVersion::Any, events);
        block_on(store.commit(large)).expect("it commits");
    } else {
        assert_eq!(refusal(with("require")), ErrorKind::Unavailable);
    }
    let store = Postgres::open(with("disable")).expect("it opens");
    block_on(store.commit(deposits("2", 1))).expect("it commits");
}

#[test]
fn a_url_is_enough() {
    let table = PostgresTable::new();
    let database = &table.options.schema;
    table.run("CREATE DATABASE {s}").expect("a database is made");
    let outcome = thread::scope(|scope| {
        let user = scope.spawn(|| {
            let url = server_for(None, Some(database));
            let store = EventStore::open(url.secret(), &Options::default()).expect("it opens");
            assert_eq!(store.url(), url.to_string());
            block_on(store.commit(deposits("1", 1))).expect("it commits");
            block_on(store.close()).expect("it closes");
            let options = PostgresOptions::new(url.clone()).with_table_name("others");
            let other = EventStore::postgres(options, "acme").expect("it opens");
            assert_eq!((other.url(), other.tenant()), (store.url(), "acme"));
            block_on(other.close()).expect("it closes");
        });
        user.join()
    });
    table.run("DROP DATABASE {s} WITH (FORCE)").expect("the database goes");
    outcome.expect("it ends");
}

/// The kind of error with which a store does not open; no text of it holds the password.
fn refusal(options: PostgresOptions) -> ErrorKind {
    match Postgres::open(options) {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            error.kind().clone()
        }
    }
}
