"""Projections that write with SQL in the store's database: each event counts once in the tables."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from labels import label
from postgres_server import server_url
from pots import SAFETY, Poured, caught_up, end_of, pour, running, until, until_status
from stores import (
    SHARED,
    administrator,
    each_api,
    each_shared,
    gathered,
    opened,
    schema_of,
    url_of,
)
from support import script

from eventuali import Projection, ReadModel, Retry, Statements
from eventuali._engine import in_sql, projecting
from eventuali.errors import (
    CheckpointMismatchError,
    EventStoreError,
    ProjectionError,
    StatementError,
    StorageBusyError,
)
from eventuali.projection import InSql

each_store = pytest.mark.parametrize(
    ("kind", "api"), [(kind, api) for kind in SHARED for api in ("async", "sync")]
)


class Tables:
    """The user's own look at the database of the store."""

    def __init__(self, kind: str, folder) -> None:
        self.kind = kind
        self.folder = folder
        self.schema = schema_of(folder) if kind == "postgres" else "main"

    @contextmanager
    def connected(self):
        if self.kind == "postgres":
            with administrator() as connection:
                yield connection
        else:
            place = self.folder / "events.db"
            with closing(sqlite3.connect(place, isolation_level=None)) as connection:
                yield connection

    def sql(self, text: str) -> str:
        """Fills in where the tables are."""
        types = ("BYTEA", "DOUBLE PRECISION") if self.kind == "postgres" else ("BLOB", "REAL")
        return text.format(s=self.schema, bytes=types[0], real=types[1])

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            cursor = connection.execute(self.sql(text))
            return cursor.fetchall() if cursor.description else []

    def lines(self) -> list[tuple[int, int]]:
        return self.ask("SELECT position, amount FROM {s}.lines ORDER BY number")

    def make(self) -> None:
        number = "BIGSERIAL" if self.kind == "postgres" else "INTEGER"
        self.ask(
            f"CREATE TABLE {{s}}.lines (number {number} PRIMARY KEY, position BIGINT NOT NULL, "
            "amount BIGINT NOT NULL CHECK (amount < 1000000))"
        )

    def into(self, *, write: Callable[..., None] | None = None, version: int = 1, **names) -> InSql:
        return lines_of(self, write or self.insert, version, **names).in_sql()

    def insert(self, event: Poured, sql: Statements) -> None:
        sql.execute(
            self.sql("INSERT INTO {s}.lines (position, amount) VALUES ($1, $2)"),
            event.meta.position,
            event.amount,
        )


def lines_of(tables: Tables, write, version: int = 1, name: str = "Lines") -> Projection:
    class Lines(Projection, version=version, name=name):
        def on_poured(self, event: Poured, sql: Statements) -> None:
            write(event, sql)

        def reset(self, sql: Statements) -> None:
            sql.execute(tables.sql("DELETE FROM {s}.lines"))

    return Lines()


def run(api, kind, folder, test):
    async def main():
        async with asyncio.timeout(6 * SAFETY), opened(api, url_of(kind, folder)) as store:
            tables = Tables(kind, folder)
            tables.make()
            await test(store, tables)

    asyncio.run(main())


async def check(store, tables) -> None:
    """Compares the lines with the log."""
    events = await gathered(store.read())
    wanted = [(each.meta.position, each.amount) for each in events if isinstance(each, Poured)]
    assert tables.lines() == wanted


async def fault_of(store, projection, **options):
    async with running(store, projection, waits=False, **options) as found:
        return await until_status(found, "faulted")


# --- exactly once ---------------------------------------------------------------------------------


@each_store
def test_each_event_counts_once(kind, api, tmp_path):
    async def test(store, tables):
        await pour(store, *range(2500))
        (status,) = await caught_up(store, tables.into())
        assert (status.position, status.handled, status.error) == (2500, 2500, None)
        await check(store, tables)
        async with running(store, tables.into()) as found:
            for amount in range(10):
                committed = await pour(store, amount, amount)
                await found.wait_for(committed, timeout=SAFETY)
                assert tables.lines()[-1] == (committed.position, amount)
            status = await until_status(found, "live")
        assert (status.name, status.version, status.rebuilding) == ("Lines", 1, False)
        assert (status.position, status.lag, status.failed_at) == (2520, 0, None)
        await check(store, tables)

    run(api, kind, tmp_path, test)


@each_shared
def test_what_a_handler_says_is_carried_out_in_its_order(kind, tmp_path):
    def write(event, sql):
        tables = Tables(kind, tmp_path)
        tables.insert(event, sql)
        sql.execute(tables.sql("UPDATE {s}.lines SET amount = amount + 1"))

    async def test(store, tables):
        await pour(store, 0, 10, 20)
        await caught_up(store, tables.into(write=write))
        assert [amount for _, amount in tables.lines()] == [3, 12, 21]

    run("async", kind, tmp_path, test)


@each_shared
def test_events_that_say_nothing_move_the_checkpoint(kind, tmp_path):
    async def test(store, tables):
        await pour(store, *range(10))
        (status,) = await caught_up(store, tables.into(write=lambda event, sql: None))
        assert (status.position, status.handled) == (10, 10)
        (status,) = await caught_up(store, tables.into())
        assert status.handled == 0
        assert tables.lines() == []

    run("async", kind, tmp_path, test)


@each_store
def test_two_runners_on_the_same_tables(kind, api, tmp_path):
    async def test(store, tables):
        await pour(store, *range(300))
        async with (
            opened(api, url_of(kind, tmp_path)) as other,
            running(store, tables.into()) as one,
            running(other, tables.into()) as two,
        ):
            for amount in range(30):
                await pour(store, amount)
            end = await end_of(store)
            for each in (one, two):
                await each.wait_for(end, timeout=SAFETY)
        await check(store, tables)

    run(api, kind, tmp_path, test)


KILLED = """
import os, signal, sys
from pots import Poured
from eventuali import EventStoreConfig, Projection, Statements, sync

place, schema, at, way = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
if schema != "main":
    place = EventStoreConfig.postgres(place).with_schema(schema)

class Lines(Projection):
    def on_poured(self, event: Poured, sql: Statements) -> None:
        sql.execute(f"INSERT INTO {schema}.lines (position, amount) VALUES ($1, $2)",
                    event.meta.position, event.amount)
        if event.amount == at:
            if way == "handler":
                os.kill(os.getpid(), signal.SIGKILL)
            import threading
            threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGKILL)).start()

with sync.EventStore.create(place) as store, store.run(Lines().in_sql()) as running:
    running.caught_up(timeout=30)
    print("done")
    import time
    time.sleep(1)
"""


@pytest.mark.parametrize("way", ["handler", "timer"])
@each_shared
def test_a_process_that_is_killed_leaves_whole_pages(kind, way, tmp_path):
    place = server_url() if kind == "postgres" else f"sqlite:///{tmp_path / 'events.db'}"

    async def test(store, tables):
        await pour(store, *range(3000))
        for at in (1500, 1700, 2900):
            done = await asyncio.to_thread(script, KILLED, place, tables.schema, str(at), way)
            # A timer may come when everything is done.
            in_time = way == "handler" or len(tables.lines()) < 3000
            assert done.returncode == -signal.SIGKILL or not in_time, done.stderr
            found = tables.lines()
            assert found == [(amount + 1, amount) for amount in range(len(found))]
        await caught_up(store, tables.into())
        await check(store, tables)

    run("async", kind, tmp_path, test)


# --- anew -----------------------------------------------------------------------------------------


@each_store
def test_a_rebuild_empties_and_fills(kind, api, tmp_path):
    async def test(store, tables):
        await pour(store, *range(1200))
        await caught_up(store, tables.into())
        tables.ask("UPDATE {s}.lines SET amount = 7")
        status = await store.rebuild(tables.into())
        assert (status.handled, status.position, status.rebuilding) == (1200, 1200, False)
        await check(store, tables)
        (status,) = await caught_up(store, tables.into())
        assert status.handled == 0

    run(api, kind, tmp_path, test)


@each_store
def test_a_newer_version_empties_and_fills(kind, api, tmp_path):
    def doubled(event, sql):
        sql.execute(
            Tables(kind, tmp_path).sql("INSERT INTO {s}.lines (position, amount) VALUES ($1, $2)"),
            event.meta.position,
            2 * event.amount,
        )

    async def test(store, tables):
        await pour(store, *range(100))
        old = tables.into()
        async with running(store, old) as found:
            await found.wait_for(await end_of(store), timeout=SAFETY)
            await caught_up(store, tables.into(write=doubled, version=2))
            await pour(store, 1000)
            status = await until_status(found, "faulted")
            assert isinstance(status.error, ProjectionError), "it is too old"
        await caught_up(store, tables.into(write=doubled, version=2))
        assert [amount for _, amount in tables.lines()] == [*range(0, 200, 2), 2000]
        assert isinstance((await fault_of(store, tables.into())).error, ProjectionError)
        status = await store.rebuild(tables.into())
        assert status.handled == 101
        await check(store, tables)

    run(api, kind, tmp_path, test)


@each_shared
def test_a_rebuild_beside_a_runner(kind, tmp_path):
    async def test(store, tables):
        await pour(store, *range(500))
        async with running(store, tables.into()) as found:
            await found.wait_for(await end_of(store), timeout=SAFETY)
            await asyncio.gather(store.rebuild(tables.into()), pour(store, *range(50)))
            await found.wait_for(await end_of(store), timeout=SAFETY)
        await check(store, tables)

    run("async", kind, tmp_path, test)


@each_shared
def test_a_reset_that_fails_changes_nothing(kind, tmp_path):
    class Bad(Projection, name="Lines", version=2):
        def on_poured(self, event: Poured, sql: Statements) -> None: ...

        def reset(self, sql: Statements) -> None:
            sql.execute(Tables(kind, tmp_path).sql("DELETE FROM {s}.lines"))
            sql.execute("DELETE FROM nowhere")

    class Undefined(Projection, name="Lines", version=2):
        def on_poured(self, event: Poured, sql: Statements) -> None: ...

    class Answers(Projection, name="Lines", version=2):
        def on_poured(self, event: Poured, sql: Statements) -> None: ...

        def reset(self, sql: Statements) -> Any:
            return "done"

    async def test(store, tables):
        await pour(store, *range(10))
        await caught_up(store, tables.into())
        for bad, cause in ((Bad(), StatementError), (Undefined(), type(None))):
            status = await fault_of(store, bad.in_sql())
            assert isinstance(status.error, ProjectionError)
            assert isinstance(status.error.__cause__, cause)
            await check(store, tables)
        assert isinstance((await fault_of(store, Answers().in_sql())).error, TypeError)
        (status,) = await caught_up(store, tables.into())
        assert status.handled == 0

    run("async", kind, tmp_path, test)


@each_shared
def test_another_log_is_refused(kind, tmp_path):
    async def test(store, tables):
        await pour(store, *range(10))
        core = store._store.projection("Lines", 1, "sql")
        await caught_up(store, tables.into())
        _, (number, _, cursor) = await store._driver.answer(core.live(False))
        strange = (10, (10, UUID(int=7)), 0, 0)
        await store._driver.answer(core.advance(number, cursor, strange, [], []))
        status = await fault_of(store, tables.into())
        assert isinstance(status.error, CheckpointMismatchError)
        await store.rebuild(tables.into())
        await check(store, tables)

    run("async", kind, tmp_path, test)


# --- failures -------------------------------------------------------------------------------------


@each_store
@pytest.mark.parametrize("first_page", [True, False])
def test_a_statement_that_fails_is_a_failure_of_its_event(kind, api, first_page, tmp_path):
    async def test(store, tables):
        if not first_page:
            await caught_up(store, tables.into())
            await pour(store, *range(1500))
        bad = 2_000_000
        before = await end_of(store)
        await pour(store, *range(700), bad, *range(700))
        status = await fault_of(store, tables.into())
        assert status.failed_at == status.position + 1 == before + 701
        error = status.error
        assert isinstance(error, StatementError)
        assert isinstance(error, EventStoreError)
        assert "lines" in error.statement
        assert type(error.index) is int
        assert "CHECK" in str(error) or "check" in str(error)
        assert len(tables.lines()) == before + 700
        tables.ask(
            "ALTER TABLE {s}.lines DROP CONSTRAINT lines_amount_check"
            if kind == "postgres"
            else "PRAGMA ignore_check_constraints = 1"
        )
        if kind == "postgres":
            await caught_up(store, tables.into())
            await check(store, tables)

    run(api, kind, tmp_path, test)


@each_shared
def test_of_several_statements_of_an_event_none_is_kept(kind, tmp_path):
    def write(event, sql):
        tables = Tables(kind, tmp_path)
        for _ in range(event.amount % 3):
            tables.insert(event, sql)
        if event.amount == 50:
            sql.execute("INSERT INTO nowhere VALUES (1)")

    async def test(store, tables):
        await pour(store, *range(100))
        status = await fault_of(store, tables.into(write=write))
        assert (status.failed_at, status.position) == (51, 50)
        assert status.error.statement == "INSERT INTO nowhere VALUES (1)"
        assert len(tables.lines()) == sum(amount % 3 for amount in range(50))

    run("async", kind, tmp_path, test)


@each_store
def test_it_is_tried_again(kind, api, tmp_path):
    async def test(store, tables):
        tables.ask("CREATE TABLE {s}.gate (open BIGINT PRIMARY KEY)")
        tables.ask("INSERT INTO {s}.gate VALUES (50)")

        def write(event, sql):
            if event.amount == 50:
                sql.execute(tables.sql("INSERT INTO {s}.gate VALUES ($1)"), 50)
            tables.insert(event, sql)

        await pour(store, *range(100))
        retry = Retry(times=1000, backoff=0.001)
        async with running(store, tables.into(write=write), on_error=retry, waits=False) as found:
            async with asyncio.timeout(SAFETY):
                await until(lambda: found.status()[0].error is not None)
            assert isinstance(found.status()[0].error, StatementError)
            assert len(tables.lines()) == 50
            tables.ask("DELETE FROM {s}.gate")
            await found.wait_for(await end_of(store), timeout=SAFETY)
        await check(store, tables)

    run(api, kind, tmp_path, test)


@each_store
def test_a_handler_that_raises_has_said_nothing(kind, api, tmp_path):
    def write(event, sql):
        Tables(kind, tmp_path).insert(event, sql)
        if event.amount == 30:
            raise ZeroDivisionError

    async def test(store, tables):
        await pour(store, *range(60))
        status = await fault_of(store, tables.into(write=write))
        assert (status.failed_at, type(status.error)) == (31, ZeroDivisionError)
        assert len(tables.lines()) == 30

    run(api, kind, tmp_path, test)


def test_a_constraint_that_is_checked_at_the_end_is_found(tmp_path):
    async def test(store, tables):
        tables.ask("ALTER TABLE {s}.lines ADD UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED")
        await pour(store, *range(100), 5, *range(100, 150))
        status = await fault_of(store, tables.into())
        assert (status.failed_at, status.position) == (101, 100)
        assert isinstance(status.error, StatementError)
        assert (status.error.index, status.error.statement) == (None, "")
        assert "amount" in str(status.error)
        assert len(tables.lines()) == 100

    run("async", "postgres", tmp_path, test)


@each_store
def test_a_lock_of_somebody_else_is_waited_for(kind, api, tmp_path, monkeypatch):
    monkeypatch.setattr(projecting, "_LONGEST", 0.1)

    async def test(store, tables):
        await pour(store, *range(20))
        with tables.connected() as other:
            if kind == "postgres":
                other.execute("BEGIN")
                other.execute(tables.sql("LOCK TABLE {s}.lines IN ACCESS EXCLUSIVE MODE"))
            else:
                other.execute("BEGIN IMMEDIATE")
            async with running(store, tables.into(), waits=False) as found:
                await asyncio.sleep(1)
                status = found.status()[0]
                assert status.state != "faulted"
                assert isinstance(status.error, StorageBusyError | None)
                other.execute("ROLLBACK")
                await found.wait_for(await end_of(store), timeout=2 * SAFETY)
        await check(store, tables)

    run(api, kind, tmp_path, test)


@each_shared
def test_many_statements_are_several_commits(kind, tmp_path, monkeypatch):
    async def test(store, tables):
        def write(event, sql):
            for _ in range(150):
                tables.insert(event, sql)

        await pour(store, *range(200))  # 30,000 statements
        await caught_up(store, tables.into(write=write))
        assert len(tables.lines()) == 200 * 150

    run("async", kind, tmp_path, test)


@each_shared
def test_more_statements_of_one_event_than_a_commit_holds(kind, tmp_path):
    async def test(store, tables):
        def write(event, sql):
            for _ in range(in_sql.MOST_STATEMENTS + 1 if event.amount == 7 else 1):
                tables.insert(event, sql)

        await pour(store, *range(10))
        status = await fault_of(store, tables.into(write=write))
        assert (status.failed_at, type(status.error)) == (8, ProjectionError)
        assert len(tables.lines()) == 7

    run("async", kind, tmp_path, test)


@each_shared
def test_more_bytes_than_a_commit_holds(kind, tmp_path):
    async def test(store, tables):
        tables.ask("CREATE TABLE {s}.words (word TEXT)")

        def write(event, sql):
            sql.execute(tables.sql("INSERT INTO {s}.words VALUES ($1)"), "ü" * event.amount)

        large = 3 << 20
        await pour(store, 1, large, large, large, 2, 9 << 20, 3)
        status = await fault_of(store, tables.into(write=write))
        assert (status.failed_at, type(status.error)) == (6, ProjectionError)
        assert len(tables.ask("SELECT length(word) FROM {s}.words")) == 5

    run("async", kind, tmp_path, test)


# --- what statements may not do -------------------------------------------------------------------

NEVER = [
    "COMMIT",
    "/* */ ROLLBACK",
    "SAVEPOINT a",
    "BEGIN",
    "ATTACH ':memory:' AS other",
    "PRAGMA user_version = 9",
    "VACUUM",
    "SET synchronous_commit = off",
    "SELECT 1; COMMIT",
    "INSERT INTO {s}.lines (position, amount) VALUES (7, 7); COMMIT",
    "DO $$ BEGIN COMMIT; END $$",
    "CALL nothing()",
]
OF_THE_STORE = {
    "sqlite": [
        "DELETE FROM records",
        "UPDATE main.records SET version = 7",
        "INSERT INTO RECORDS (tenant, space, key, version, commit_id) VALUES ('', 'a', '', 1, '')",
        'INSERT OR REPLACE INTO "event_log" SELECT * FROM event_log',
        "UPDATE stream_runs SET count = 7",
        "DELETE FROM id_runs",
        "WITH a AS (SELECT 1) UPDATE streams SET aggregate_id = 'x'",
        "DROP TABLE tags",
        "DROP INDEX records_due",
        "DROP TRIGGER event_log_keeps",
        "DROP VIEW events",
        "ALTER TABLE records ADD COLUMN more TEXT",
        "ALTER TABLE records RENAME TO others",
        "CREATE INDEX mine ON event_log (timestamp)",
        "CREATE TRIGGER mine AFTER INSERT ON event_log BEGIN SELECT 1; END",
        "CREATE TRIGGER mine INSTEAD OF INSERT ON events BEGIN SELECT 1; END",
        "CREATE TEMP TABLE records (a)",
        "CREATE TEMP VIEW records AS SELECT 1",
        "CREATE TEMP TRIGGER mine AFTER INSERT ON event_log BEGIN SELECT 1; END",
        "ANALYZE",
        "SELECT * FROM pragma_journal_mode('delete')",
        "UPDATE sqlite_schema SET sql = ''",
        "INSERT INTO bait VALUES (1)",
    ],
    "postgres": [
        "DELETE FROM {s}.events_records",
        "UPDATE {s}.events_records SET version = 7",
        "WITH a AS (DELETE FROM {s}.events_records RETURNING 1) SELECT * FROM a",
        "INSERT INTO {s}.events_store DEFAULT VALUES",
        "UPDATE {s}.events_log SET payload = ''",
        "SELECT {s}.wipe()",
        "TRUNCATE {s}.events_records",
        "DROP TABLE {s}.events_records CASCADE",
        "DROP VIEW {s}.events",
        "DROP TRIGGER stays ON {s}.events_log",
        "ALTER TABLE {s}.events_records ADD COLUMN more TEXT",
        "ALTER TABLE {s}.events_log DISABLE TRIGGER stays",
        "ALTER TABLE {s}.events_log SET (fillfactor = 50)",
        "CREATE INDEX mine ON {s}.events_log (timestamp)",
        "CREATE TRIGGER mine AFTER INSERT ON {s}.events_log EXECUTE FUNCTION {s}.bait()",
        "CREATE RULE mine AS ON INSERT TO {s}.events_tags DO INSTEAD NOTHING",
        "CREATE OR REPLACE FUNCTION {s}.events_stamp() RETURNS TEXT LANGUAGE sql AS 'SELECT 1'",
        "ALTER SCHEMA {s} RENAME TO {s}_b",
        "INSERT INTO {s}.bait VALUES (1)",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind in SHARED for text in (*NEVER, *OF_THE_STORE[kind])],
)
def test_what_a_statement_must_not_do(kind, text, tmp_path):
    """It refuses the commit, and what came before it in the page is kept."""

    async def test(store, tables):
        if kind == "sqlite":
            tables.ask("CREATE TABLE bait (a)")
            tables.ask(
                "CREATE TRIGGER bait_taken AFTER INSERT ON bait BEGIN DELETE FROM records; END"
            )
        else:
            tables.ask("CREATE TABLE {s}.bait (a INTEGER)")
            body = tables.sql(
                "$$ BEGIN UPDATE {s}.events_records SET due = 1; RETURN NULL; END $$ "
                "LANGUAGE plpgsql"
            )
            tables.ask("CREATE FUNCTION {s}.bait() RETURNS TRIGGER AS " + body)
            tables.ask(
                "CREATE TRIGGER taken AFTER INSERT ON {s}.bait FOR EACH ROW "
                "EXECUTE FUNCTION {s}.bait()"
            )
            tables.ask(
                "CREATE FUNCTION {s}.wipe() RETURNS VOID LANGUAGE sql AS 'DELETE FROM "
                + tables.sql("{s}.events_records'")
            )

        def write(event, sql):
            if event.amount == 5:
                sql.execute(tables.sql(text))
            tables.insert(event, sql)

        await pour(store, *range(10))
        status = await fault_of(store, tables.into(write=write))
        assert isinstance(status.error, StatementError), status.error
        assert (status.failed_at, status.position) == (6, 5)
        assert len(tables.lines()) == 5
        await pour(store, 11)
        await caught_up(store, tables.into())
        await check(store, tables)
        assert not (await store.verify()).damage

    run("async", kind, tmp_path, test)


@pytest.mark.parametrize(
    "text", ["INSERT OR ROLLBACK INTO once VALUES (1)", "INSERT INTO twice VALUES (1)"]
)
def test_a_statement_that_makes_sqlite_roll_back(text, tmp_path):
    async def test(store, tables):
        tables.ask("CREATE TABLE once (a PRIMARY KEY)")
        tables.ask("INSERT INTO once VALUES (1)")
        tables.ask("CREATE TABLE twice (a)")
        tables.ask(
            "CREATE TRIGGER never BEFORE INSERT ON twice BEGIN SELECT RAISE(ROLLBACK, 'never'); END"
        )

        def write(event, sql):
            tables.insert(event, sql)
            if event.amount == 5:
                sql.execute(text)

        await pour(store, *range(10))
        many = [pour(store, 100 + each, stream=f"s{each}") for each in range(20)]
        status, *_ = await asyncio.gather(fault_of(store, tables.into(write=write)), *many)
        assert isinstance(status.error, StatementError)
        assert (status.failed_at, status.position) == (6, 5)
        assert len(tables.lines()) == 5
        await caught_up(store, tables.into())
        await check(store, tables)
        assert not (await store.verify()).damage

    run("async", "sqlite", tmp_path, test)


def test_the_session_is_as_before(tmp_path):
    """A function may change settings, and may leave locks and tables: the next commit has none."""

    async def test(store, tables):
        tables.ask(
            "CREATE FUNCTION {s}.turn() RETURNS VOID LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM set_config('search_path', 'nowhere', false); "
            "PERFORM set_config('statement_timeout', '1', false); "
            "PERFORM set_config('synchronous_commit', 'off', false); "
            "PERFORM pg_advisory_lock(4711); CREATE TEMP TABLE left_over (a INTEGER); "
            "EXECUTE 'LISTEN nobody'; END $$"
        )
        tables.ask("CREATE TABLE {s}.seen (name TEXT, value TEXT)")

        def write(event, sql):
            if event.amount == 1:
                sql.execute(tables.sql("SELECT {s}.turn()"))
            for name in ("search_path", "statement_timeout", "synchronous_commit"):
                text = tables.sql("INSERT INTO {s}.seen SELECT $1, current_setting($1)")
                sql.execute(text, name)
            count = (
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711",
                "SELECT count(*) FROM pg_class WHERE relname = 'left_over'",
                "SELECT count(*) FROM pg_listening_channels() AS c WHERE c = 'nobody'",
            )
            for text in count:
                sql.execute(tables.sql("INSERT INTO {s}.seen SELECT 'left', (" + text + ")::text"))

        async with running(store, tables.into(write=write)) as found:
            for amount in (0, 1, 2, 3, 4, 5):
                await found.wait_for(await pour(store, amount), timeout=SAFETY)
        seen = tables.ask("SELECT value FROM {s}.seen")
        events = [seen[first : first + 6] for first in range(0, 36, 6)]
        assert events[1] != events[0]
        assert all(each == events[0] for each in (events[2], events[3], events[4], events[5]))

    run("async", "postgres", tmp_path, test)


# --- values ---------------------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"


EAST = timezone(timedelta(hours=2))
VALUES = [
    None,
    True,
    False,
    0,
    -(2**63),
    2**63 - 1,
    0.1,
    -1e300,
    float("inf"),
    "",
    "it's \\ ünï ☃ 🦀 $1 ? '; COMMIT; --\n",
    Colour.RED,
    b"",
    bytes(range(256)),
    Decimal("0.10"),
    Decimal("123456789012345678901234567890.123456789"),
    datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, tzinfo=EAST),
    datetime(2026, 3, 29, 1, 30, 0, 1),
    date(1, 1, 1),
    date(9999, 12, 31),
    UUID(int=7),
]


def type_of(value: object) -> str:
    types = {
        type(None): "INTEGER",
        bool: "BOOLEAN",
        int: "BIGINT",
        float: "DOUBLE PRECISION",
        bytes: "BYTEA",
        Decimal: "NUMERIC",
        date: "DATE",
        UUID: "UUID",
    }
    if isinstance(value, datetime):
        return "TIMESTAMP" if value.tzinfo is None else "TIMESTAMPTZ"
    return types.get(type(value), "TEXT")


@pytest.mark.parametrize("value", VALUES, ids=label)
def test_a_value_comes_back_from_postgres_as_it_was(value, tmp_path):
    async def test(store, tables):
        tables.ask(f"CREATE TABLE {{s}}.kept (a {type_of(value)})")

        def write(event, sql):
            sql.execute(tables.sql("INSERT INTO {s}.kept VALUES ($1)"), value)

        await pour(store, 1)
        await caught_up(store, tables.into(write=write))
        ((found,),) = tables.ask("SELECT a FROM {s}.kept")
        assert found == value
        assert type(found) is type(value) or isinstance(value, Colour)

    run("async", "postgres", tmp_path, test)


@pytest.mark.parametrize("value", VALUES, ids=label)
def test_a_value_comes_back_from_sqlite_as_it_was_or_as_text(value, tmp_path):
    async def test(store, tables):
        tables.ask("CREATE TABLE kept (a)")

        def write(event, sql):
            sql.execute("INSERT INTO kept VALUES (?)", value)

        await pour(store, 1)
        await caught_up(store, tables.into(write=write))
        ((found,),) = tables.ask("SELECT a FROM kept")
        match value:
            case datetime():
                assert datetime.fromisoformat(found) == value
            case date():
                assert date.fromisoformat(found) == value
            case Decimal() | UUID():
                assert type(value)(found) == value
                assert found == str(value)
            case _:
                assert found == value

    run("async", "sqlite", tmp_path, test)


@pytest.mark.parametrize(
    ("declared", "given", "wanted"),
    [
        ("SMALLINT", 7, 7),
        ("REAL", 0.5, 0.5),
        ("NUMERIC(10, 2)", 7, Decimal("7.00")),
        ("NUMERIC", 0.1, Decimal("0.1")),
        ("VARCHAR(5)", "abc", "abc"),
        ("TEXT", 5, "5"),
        ("TEXT", b"a", "\\x61"),
        ("JSONB", '{"a": [1]}', {"a": [1]}),
        ("JSON", '{"a": [1]}', {"a": [1]}),
        ("TEXT[]", '{a,"b c"}', ["a", "b c"]),
        ("INTERVAL", "1 day", timedelta(days=1)),
        ("{s}.colour", "red", "red"),
        ("TIMESTAMP", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)),
        ("TIMESTAMP", datetime(2026, 1, 1, 2, tzinfo=EAST), datetime(2026, 1, 1)),
        ("DATE", "2026-01-01", date(2026, 1, 1)),
        ("UUID", str(UUID(int=7)), UUID(int=7)),
    ],
)  # fmt: skip
def test_postgres_reads_a_value_as_the_type_of_the_parameter(declared, given, wanted, tmp_path):
    async def test(store, tables):
        tables.ask("CREATE TYPE {s}.colour AS ENUM ('red', 'blue')")
        tables.ask(f"CREATE TABLE {{s}}.kept (a {declared})")

        def write(event, sql):
            sql.execute(tables.sql("INSERT INTO {s}.kept VALUES ($1)"), given)

        await pour(store, 1)
        await caught_up(store, tables.into(write=write))
        ((found,),) = tables.ask("SELECT a FROM {s}.kept")
        assert found == wanted

    run("async", "postgres", tmp_path, test)


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ("SMALLINT", 2**15),
        ("INTEGER", 0.5),
        ("BOOLEAN", 1),
        ("INTEGER", True),
        ("BYTEA", 1),
        ("UUID", "a"),
        ("TEXT", "a\0b"),
    ],
)
def test_postgres_refuses_what_is_no_value_of_the_type(declared, given, tmp_path):
    async def test(store, tables):
        tables.ask(f"CREATE TABLE {{s}}.kept (a {declared})")

        def write(event, sql):
            sql.execute(tables.sql("INSERT INTO {s}.kept VALUES ($1)"), given)

        await pour(store, 1)
        status = await fault_of(store, tables.into(write=write))
        assert isinstance(status.error, StatementError), status.error
        assert status.failed_at == 1

    run("async", "postgres", tmp_path, test)


def test_sqlite_keeps_a_nul_and_takes_both_sorts_of_parameters(tmp_path):
    async def test(store, tables):
        tables.ask("CREATE TABLE kept (a, b)")

        def write(event, sql):
            sql.execute("INSERT INTO kept VALUES (?, ?)", "a\0b", 1)
            sql.execute("INSERT INTO kept VALUES (?2, ?1)", 2, "second")
            sql.execute("INSERT INTO kept VALUES ($2, $1)", 3, "third")

        await pour(store, 1)
        await caught_up(store, tables.into(write=write))
        assert tables.ask("SELECT a, b FROM kept") == [("a\0b", 1), ("second", 2), ("third", 3)]

    run("async", "sqlite", tmp_path, test)


def test_a_full_text_index_can_be_kept(tmp_path):
    async def test(store, tables):
        tables.ask("CREATE VIRTUAL TABLE words USING fts5 (word)")

        def write(event, sql):
            sql.execute("INSERT INTO words (rowid, word) VALUES (?, ?)", event.amount, "so much")
            sql.execute("DELETE FROM words WHERE rowid = ?", event.amount - 2)

        await pour(store, *range(1, 50))
        await caught_up(store, tables.into(write=write))
        assert len(tables.ask("SELECT rowid FROM words WHERE words MATCH 'much'")) == 2

    run("async", "sqlite", tmp_path, test)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), TypeError),
        ((7,), TypeError),
        (("",), ValueError),
        ((" ",), ValueError),
        (("SELECT '\0'",), ValueError),
        (("SELECT '\ud800'",), ValueError),
        (("SELECT ?", "\ud800"), ValueError),
        (("SELECT ?", float("nan")), ValueError),
        (("SELECT ?", 2**63), ValueError),
        (("SELECT ?", -(2**63) - 1), ValueError),
        (("SELECT ?", [1]), TypeError),
        (("SELECT ?", {"a": 1}), TypeError),
        (("SELECT ?", object()), TypeError),
    ],
)
def test_what_execute_refuses(arguments, error):
    sql = Statements()
    with pytest.raises(error):
        sql.execute(*arguments)
    assert repr(sql) == "<Statements, 0 of them>"


# --- who can have it ------------------------------------------------------------------------------


@each_api
def test_a_store_in_memory_and_a_tenants_have_none(api, tmp_path):
    async def test(store):
        for each in (store,) if store.url == "memory://" else (store.for_tenant("acme"),):
            with pytest.raises(ProjectionError, match="SQL"):
                async with running(each, lines_of(Tables("sqlite", tmp_path), print).in_sql()):
                    raise AssertionError("it runs")

    async def main():
        for kind in ("memory", "sqlite", "postgres"):
            async with opened(api, url_of(kind, tmp_path)) as store:
                await test(store)

    asyncio.run(main())


def test_coroutines_and_models_are_refused_at_once():
    from pots import Pots

    class Handler(Projection):
        async def on_poured(self, event: Poured, sql: Statements) -> None: ...

    class Reset(Projection):
        def on_poured(self, event: Poured, sql: Statements) -> None: ...

        async def reset(self, sql: Statements) -> None: ...

    for projection, text in ((Handler(), "on_poured"), (Reset(), "reset"), (Pots(), "model")):
        with pytest.raises(TypeError, match=text):
            projection.in_sql()


@each_shared
def test_a_handler_that_returns_something_is_refused(kind, tmp_path):
    class Returns(Projection):
        def on_poured(self, event: Poured, sql: Statements) -> Any:
            return "SELECT 1"

    async def test(store, tables):
        await pour(store, 1)
        status = await fault_of(store, Returns().in_sql())
        assert isinstance(status.error, TypeError)
        assert "sql.execute" in str(status.error)

    run("sync", kind, tmp_path, test)


@each_shared
@each_api
def test_a_projection_of_documents_does_not_go_on_in_sql(kind, api, tmp_path):
    """Its cursor says nothing of the tables: what it has passed would be missing there."""

    class Amount(ReadModel):
        amount: int = 0

    class InDocuments(Projection, name="Lines", version=1):
        def on_poured(self, event: Poured, docs: Any) -> None:
            docs.put("last", Amount(amount=event.amount))

    class AsLines(Projection, name="Lines", version=1):
        def on_poured(self, event: Poured, sql: Statements) -> None:
            sql.execute("SELECT 1")

    async def test(store, _tables):
        await pour(store, 1, 2)
        await caught_up(store, InDocuments())
        async with running(store, AsLines().in_sql(), waits=False) as found:
            with pytest.raises(ProjectionError) as at:
                await found.caught_up(timeout=SAFETY)
            assert "kept in documents, and here in tables by SQL" in str(at.value.__cause__)

    run(api, kind, tmp_path, test)
