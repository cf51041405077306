"""Projections into tables of the user's, through SQLAlchemy: each event counts once in them."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from lines import (
    CHECKPOINTS,
    WAYS,
    Base,
    Child,
    Line,
    Once,
    Own,
    Sum,
    check,
    make_tables,
    owned,
    write_line,
    writing,
)
from pots import SAFETY, Gate, Poured, caught_up, end_of, pour, running, until, until_status
from sqlalchemy import Column, Integer, MetaData, Table, delete, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker
from stores import SHARED, each_shared, gathered, opened, schema_of, url_of
from support import script

from eventuali import Projection, Retry, sync
from eventuali._engine import projecting
from eventuali.errors import CheckpointMismatchError, InvalidEventError, ProjectionError
from eventuali.projection import Checkpoint, OwnTables, Placed
from eventuali.sqlalchemy import AsyncSessions, Sessions, checkpoints

each_way = pytest.mark.parametrize("way", WAYS)
each_pair = pytest.mark.parametrize(
    ("way", "kind"), [(way, kind) for way in WAYS for kind in SHARED]
)
each_place = pytest.mark.parametrize(
    ("way", "kind"),
    [("blocking", "sqlite"), ("threads", "postgres"), ("async", "sqlite"), ("async", "postgres")],
)


def api_of(way: str) -> str:
    return "sync" if way == "blocking" else "async"


def run(way, kind, folder, test, events: str | None = None):
    """Runs a test with a store of one kind and tables of the same, or of another one."""

    async def main():
        async with (
            asyncio.timeout(4 * SAFETY),
            owned(way, kind, folder) as own,
            opened(api_of(way), url_of(events or kind, folder)) as store,
        ):
            await test(store, own)

    asyncio.run(main())


def failing(*bad: int, error: type[Exception] = ZeroDivisionError):
    """Fails at amounts, after it has written half of what it should."""

    def write(event: Poured, session: Session) -> None:
        write_line(event, session)
        if event.amount in bad:
            session.flush()
            raise error(event.amount)

    return write


# --- exactly once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("events", "kind"),
    [("sqlite", "sqlite"), ("postgres", "postgres"), ("sqlite", "postgres")],
)
def test_each_event_counts_once(way, events, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(1200))
        await caught_up(store, own.into())
        await check(store, own)
        async with running(store, own.into()) as found:
            for amount in range(10):
                committed = await pour(store, amount, amount)
                await found.wait_for(committed, timeout=SAFETY)
                assert own.lines()[-1] == (committed.position, amount)
            status = await until_status(found, "live")
            assert (status.name, status.version, status.rebuilding) == ("Lines", 1, False)
            assert (status.position, status.lag) == (committed.position, 0)
            assert (status.handled, status.error, status.failed_at) == (20, None, None)
        await check(store, own)
        stored = own.checkpoint()
        (last,) = await gathered(store.read(backwards=True, limit=1))
        assert (stored["version"], stored["position"], stored["attempts"]) == (1, 1220, 0)
        assert (stored["event_position"], stored["event_id"]) == (1220, str(last.meta.event_id))

    run(way, kind, tmp_path, test, events)


def test_the_tables_may_be_in_the_file_of_the_store(tmp_path):
    (tmp_path / "own.db").symlink_to(tmp_path / "events.db")

    async def test(store, own):
        await pour(store, *range(100))
        async with running(store, own.into()) as found:
            for amount in range(50):
                await pour(store, amount)
            await found.wait_for(await pour(store, 1), timeout=SAFETY)
        await check(store, own)

    async def main():
        async with (
            opened("sync", url_of("sqlite", tmp_path)) as store,
            owned("blocking", "sqlite", tmp_path) as own,
        ):
            await test(store, own)

    asyncio.run(main())


@each_pair
def test_two_runners_on_the_same_tables(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(300))
        async with opened(api_of(way), url_of(kind, tmp_path)) as other:
            other_own = Own(way, kind, tmp_path)
            async with (
                running(store, own.into()) as one,
                running(other, other_own.into()) as two,
            ):
                for amount in range(30):
                    await pour((store, other)[amount % 2], *range(amount))
                last = await pour(store, 7)
                for each in (one, two):
                    await each.wait_for(last, timeout=SAFETY)
                    assert each.status()[0].state != "faulted"
            await other_own.close()
        await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_two_first_starts_at_once(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(50))
        for _ in range(5):
            own.run(delete(CHECKPOINTS))
            own.run(delete(Line))
            own.run(delete(Sum))
            others = [Own(way, kind, tmp_path) for _ in range(2)]
            found = await asyncio.gather(*(caught_up(store, each.into()) for each in others))
            assert "faulted" not in [status.state for (status,) in found]
            for each in others:
                await each.close()
            await check(store, own)

    run(way, kind, tmp_path, test)


KILLED = """
import os, random, signal, sys
from contextlib import contextmanager
from pathlib import Path
from time import sleep
import lines
from eventuali import sync
from lines import *

place, kind, folder, how, schema = sys.argv[1:]
lines.schema_of = lambda _: schema

def work(turn):
    chance = random.Random(f"{kind} {how} {turn}")
    by = chance.choice(["commit", "event"])
    left = {"commit": chance.randrange(3, 30), "event": chance.randrange(1, 900)}[by]

    def count(which):
        nonlocal left
        left -= which == by
        if left == 0 and turn != "to the end":
            os.kill(os.getpid(), signal.SIGKILL)

    class Counted(Sessions):
        @contextmanager
        def _transaction(self):
            with super()._transaction() as session:
                yield session
                count("commit")
            count("commit")

        def move(self, session, name, checkpoint):
            if how == "together":
                return super().move(session, name, checkpoint)
            with super()._transaction() as another:
                return super().move(another, name, checkpoint)

    def write(event, session):
        count("event")
        write_line(event, session)

    own = Own("blocking", kind, Path(folder))
    with sync.EventStore.create(place) as store:
        last = list(store.read(backwards=True, limit=1))[0].meta.position
        placed = writing("blocking", write).into(Counted(own.sessions))
        with store.run(placed) as running:
            running.wait_for(last, timeout=60)
            while running.status()[0].state == "catching up":
                sleep(0.002)

for turn in [*range(6), "to the end"]:  # each in a process that has imported everything
    child = os.fork()
    if child == 0:
        work(turn)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@each_shared
@pytest.mark.parametrize("how", ["together", "apart"])
def test_killed_at_any_moment_each_event_counts_once(kind, how, tmp_path):
    """The control moves the checkpoint in a transaction of its own, and is caught."""
    place = url_of(kind, tmp_path)

    async def main():
        async with opened("async", place) as store, owned("blocking", kind, tmp_path) as own:
            for _ in range(3):
                await pour(store, *range(700))
            arguments = (place, kind, tmp_path, how, schema_of(tmp_path / "own"))
            done = await asyncio.to_thread(script, KILLED, *arguments)
            ends = [int(line) for line in done.stdout.split()]
            assert {*ends} == {0, -signal.SIGKILL}, done.stderr
            assert ends[-1] == 0, done.stderr
            if how == "together":
                await check(store, own)
            else:
                with pytest.raises(AssertionError):
                    await check(store, own)

    asyncio.run(main())


# --- a handler fails ------------------------------------------------------------------------------


@each_pair
@pytest.mark.parametrize("at", [0, 1203])
def test_of_an_event_that_fails_nothing_remains_and_all_before_it(way, kind, at, tmp_path):
    async def test(store, own):
        await pour(store, *range(at))
        poison = await pour(store, 12345)
        await pour(store, *range(20))
        before = [(n, n - 1) for n in range(1, at + 1)]
        async with running(store, own.into(failing(12345)), on_error=Retry(1, 0.001)) as found:
            status = await until_status(found, "faulted")
            with pytest.raises(ProjectionError) as told:
                await found.wait_for(poison, timeout=SAFETY)
        assert isinstance(told.value.__cause__, ZeroDivisionError)
        assert isinstance(status.error, ZeroDivisionError)
        assert (status.failed_at, status.handled) == (poison.position, at)
        assert own.lines() == before
        assert own.checkpoint()["attempts"] == 0
        await caught_up(store, own.into())
        await check(store, own)

    run(way, kind, tmp_path, test)


def once(event: Poured, session: Session) -> None:
    write_line(event, session)
    session.add(Once(amount=event.amount))


def once_flushed(event: Poured, session: Session) -> None:
    once(event, session)
    session.flush()


def orphans(event: Poured, session: Session) -> None:
    write_line(event, session)
    if event.amount == 5:
        session.add(Child(line=10**6))


@each_place
@pytest.mark.parametrize("write", [once, once_flushed, orphans])
def test_a_refusal_of_the_database_is_of_the_event_that_wrote_it(way, kind, write, tmp_path):
    """At a flush, at the query of another event that flushes, or at the commit of the page."""

    async def test(store, own):
        first = await pour(store, *range(100), 200, 201)
        await caught_up(store, own.into(write if write is not orphans else None))
        poison = await pour(store, 300, 5, 301, 302, 303)
        async with running(store, own.into(write)) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, IntegrityError), status.error
        assert status.failed_at == poison.positions[1]
        assert [at for at, _ in own.lines()] == [*first.positions, poison.positions[0]]
        await caught_up(store, own.into())
        await check(store, own)

    run(way, kind, tmp_path, test)


def swallowing(event: Poured, session: Session) -> None:
    write_line(event, session)
    if event.amount == 5:
        session.add_all([Once(amount=1), Once(amount=1)])
        with suppress(IntegrityError):
            session.flush()


def committing(event: Poured, session: Session) -> None:
    write_line(event, session)
    if event.amount == 5:
        session.commit()


def rolling_back(event: Poured, session: Session) -> None:
    write_line(event, session)
    if event.amount == 5:
        session.rollback()


def closing_it(event: Poured, session: Session) -> None:
    write_line(event, session)
    if event.amount == 5:
        session.close()


@each_place
@pytest.mark.parametrize("write", [swallowing, committing, rolling_back, closing_it])
def test_a_handler_that_ends_the_transaction_loses_nothing(way, kind, write, tmp_path):
    async def test(store, own):
        poison = await pour(store, 1, 2, 5, 3, 4)
        async with running(store, own.into(write)) as found:
            status = await until_status(found, "faulted")
        assert status.failed_at == poison.positions[2], status.error
        assert own.lines() == [(1, 1), (2, 2)]
        last = await pour(store, 5)
        async with running(store, own.into(write)) as found:  # the last of its page
            assert (await until_status(found, "faulted")).failed_at == poison.positions[2]
        await caught_up(store, own.into())
        await check(store, own)
        again = await pour(store, 5)
        async with running(store, own.into(write)) as found:
            assert (await until_status(found, "faulted")).failed_at == again.position
        assert own.lines()[-1] == (last.position, 5)

    run(way, kind, tmp_path, test)


@each_place
def test_a_handler_may_have_savepoints_and_leave_the_session_dirty(way, kind, tmp_path):
    def write(event: Poured, session: Session) -> None:
        with suppress(ZeroDivisionError), session.begin_nested():
            session.add(Line(position=0, amount=0))
            session.flush()
            raise ZeroDivisionError
        with session.begin_nested():
            write_line(event, session)
        if event.amount % 2:
            session.begin_nested()

    async def test(store, own):
        await pour(store, *range(100))
        await caught_up(store, own.into(write))
        await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_a_handler_that_returns_something_is_a_fault_there(way, kind, tmp_path):
    class Lazy(Projection):
        def on_poured(self, event: Poured, session: Any) -> Any:
            return session.execute(select(1))  # a coroutine where it must be awaited

    async def test(store, own):
        committed = await pour(store, 1)
        async with running(store, Lazy().into(own.tables)) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, TypeError)
        assert "write to the tables" in str(status.error)
        assert status.failed_at == committed.position

    run(way, kind, tmp_path, test)


# --- the database is not there --------------------------------------------------------------------

STATES = ["40P01", "53300", "55P03", "57014", "57P01"]


@pytest.mark.parametrize(
    ("way", "state"),
    [*((way, state) for way in WAYS for state in ("lost", "40001")),
     *(("blocking", state) for state in STATES)],
)  # fmt: skip
def test_what_postgresql_says_that_passes_is_tried_again(way, state, tmp_path):
    refused = []
    seen: list[Any] = []

    def write(event: Poured, session: Session) -> None:
        write_line(event, session)
        if event.amount == 5 and len(refused) < 3:
            refused.append(1)
            seen.extend(found.status())
            if state == "lost":
                session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            raised = f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$"
            session.execute(text(raised))

    found: Any = None

    async def test(store, own):
        nonlocal found
        await pour(store, *range(10))
        async with running(store, own.into(write)) as found:
            await found.wait_for(10, timeout=SAFETY)
            status = await until_status(found, "live")
            assert status.error is None
        assert len(refused) == 3
        assert [each.state for each in seen] == ["catching up"] * 3
        assert all(isinstance(each.error, DBAPIError) for each in seen[1:])
        await check(store, own)

    run(way, "postgres", tmp_path, test)


@each_way
def test_a_sqlite_database_that_is_locked_is_tried_again(way, tmp_path):
    async def test(store, own):
        async with running(store, own.into()) as found:
            await until_status(found, "live")
            with closing(sqlite3.connect(tmp_path / "own.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                committed = await pour(store, 1)
                await until(lambda: found.status()[0].error is not None)
                (status,) = found.status()
                assert status.state == "catching up"
                assert "locked" in str(status.error)
                other.execute("ROLLBACK")
            await found.wait_for(committed, timeout=SAFETY)
            status = await until_status(found, "live")
            assert status.error is None
        await check(store, own)

    run(way, "sqlite", tmp_path, test)


@each_way
def test_a_database_that_is_not_there_yet_is_waited_for(way, tmp_path):
    later = tmp_path / "later"

    async def test(store, _):
        own = Own(way, "sqlite", later)
        await pour(store, 1, 2)
        async with running(store, own.into()) as found:
            await until(lambda: found.status()[0].error is not None)
            assert found.status()[0].state == "catching up"
            later.mkdir()
            make_tables("sqlite", tmp_path)
            (tmp_path / "own.db").rename(later / "own.db")
            await found.wait_for(2, timeout=SAFETY)
        await check(store, own)
        await own.close()

    run(way, "sqlite", tmp_path, test)


@each_way
def test_a_server_that_does_not_listen_is_waited_for(way, tmp_path):
    async def test(store, own):
        tables = own.tables
        begin, refused = tables.transaction, []

        def transaction():
            refused.append(1)
            if len(refused) < 4:
                raise ConnectionRefusedError
            return begin()

        tables.transaction = transaction
        await pour(store, 1)
        async with running(store, writing(way).into(tables)) as found:
            await found.wait_for(1, timeout=SAFETY)
        await check(store, own)

    run(way, "sqlite", tmp_path, test)


def test_tables_may_judge_errors_themselves(tmp_path):
    class Stubborn(Sessions):
        def is_unavailable(self, error: Exception) -> bool:
            return isinstance(error, ZeroDivisionError) and len(refused) < 3

    refused = []

    def write(event: Poured, session: Session) -> None:
        write_line(event, session)
        refused.append(1)
        raise ZeroDivisionError

    async def test(store, own):
        committed = await pour(store, 1)
        async with running(store, writing("blocking", write).into(Stubborn(own.sessions))) as found:
            status = await until_status(found, "faulted")
        assert (status.failed_at, len(refused)) == (committed.position, 3)

    run("blocking", "sqlite", tmp_path, test)


def test_after_days_of_failures_it_still_tries(tmp_path, monkeypatch):
    monkeypatch.setattr(projecting, "_LONGEST", 0.0)
    refused = []

    async def test(store, own):
        class Down(Sessions):
            def transaction(self):
                refused.append(1)
                if len(refused) < 1100:
                    raise ConnectionRefusedError
                return super().transaction()

        await pour(store, 1)
        async with running(store, writing("blocking").into(Down(own.sessions))) as found:
            await found.wait_for(1, timeout=SAFETY)
        await check(store, own)

    run("blocking", "sqlite", tmp_path, test)


# --- what is missing ------------------------------------------------------------------------------


@each_place
def test_a_missing_table_of_checkpoints_is_told(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, 1)
        CHECKPOINTS.drop(own.engine)
        async with running(store, own.into()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ProjectionError)
        assert "from the table eventuali_checkpoints" in str(status.error)
        assert "create_all" in str(status.error)
        assert status.failed_at is None

    run(way, kind, tmp_path, test)


@each_place
def test_a_missing_table_of_a_handler_is_a_fault_there(way, kind, tmp_path):
    """SQLite says `OperationalError`, as it does when it is locked."""

    async def test(store, own):
        committed = await pour(store, 1)
        own.run(text("DROP TABLE sums"))
        async with running(store, own.into()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, DBAPIError)
        assert status.failed_at == committed.position
        Base.metadata.create_all(own.engine)
        await caught_up(store, own.into())
        await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_a_table_of_checkpoints_that_takes_no_row_is_told(way, kind, tmp_path):
    async def test(store, own):
        metadata = MetaData()
        table = checkpoints(metadata, "mine")
        table.append_column(Column("mandatory", Integer, nullable=False))
        metadata.create_all(own.engine)
        tables: Any = type(own.tables)(own.tables._sessions, table)
        await pour(store, 1)
        async with running(store, writing(way).into(tables)) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, IntegrityError)

    run(way, kind, tmp_path, test)


def test_what_the_table_of_checkpoints_refuses_is_of_no_event(tmp_path):
    async def test(store, own):
        await pour(store, 1, 2)
        await caught_up(store, own.into())
        await pour(store, 3)
        own.run(
            text(
                "CREATE TRIGGER no BEFORE UPDATE ON eventuali_checkpoints WHEN new.attempts = 0 "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        )
        async with running(store, own.into()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, IntegrityError)
        assert status.failed_at is None
        own.run(text("DROP TRIGGER no"))
        await caught_up(store, own.into())
        await check(store, own)

    run("blocking", "sqlite", tmp_path, test)


@each_place
def test_a_table_of_checkpoints_of_ones_own(way, kind, tmp_path):
    async def test(store, own):
        metadata = MetaData()
        table = checkpoints(metadata, "mine")
        table.append_column(Column("remark", Integer))
        metadata.create_all(own.engine)
        CHECKPOINTS.drop(own.engine)
        tables: Any = type(own.tables)(own.tables._sessions, table)
        await pour(store, 1, 2)
        await caught_up(store, writing(way).into(tables))
        await check(store, own)
        with own.sessions() as session:
            assert session.execute(select(table.c.position)).scalar_one() == 2

    run(way, kind, tmp_path, test)


def test_the_table_of_checkpoints_may_be_in_another_schema(tmp_path):
    async def test(store, own):
        schema = schema_of(tmp_path / "elsewhere")
        own.run(text(f"CREATE SCHEMA {schema}"))
        metadata = MetaData()
        table = checkpoints(metadata, schema=schema)
        metadata.create_all(own.engine)
        CHECKPOINTS.drop(own.engine)
        await pour(store, 1, 2)
        await caught_up(store, writing("blocking").into(Sessions(own.sessions, table)))
        await check(store, own)
        with own.sessions() as session:
            found = session.execute(text(f"SELECT position FROM {schema}.eventuali_checkpoints"))
            assert found.scalar_one() == 2

    run("blocking", "postgres", tmp_path, test)


# --- versions, other logs, tenants ----------------------------------------------------------------


def doubled(event: Poured, session: Session) -> None:
    session.add(Line(position=event.meta.position, amount=2 * event.amount))


@each_place
def test_a_newer_version_empties_the_tables_and_fills_them(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(1100))
        await caught_up(store, own.into())
        async with running(store, own.into(), waits=False) as older:
            await until_status(older, "live")
            (status,) = await caught_up(store, own.into(doubled, version=2))
            assert (status.version, status.handled) == (2, 1100)
            assert own.lines() == [(n + 1, 2 * n) for n in range(1100)]
            assert own.sum() == (0, 0)
            # The older one is told, and writes nothing any more.
            await pour(store, 7)
            status = await until_status(older, "faulted")
            assert "version 2" in str(status.error)
        async with running(store, own.into(), waits=False) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ProjectionError)
        await caught_up(store, own.into(doubled, version=2))
        assert own.lines() == [*((n + 1, 2 * n) for n in range(1100)), (1101, 14)]
        # Its code can take the tables back by a rebuild.
        await store.rebuild(own.into())
        await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_a_newer_version_without_reset_is_told_and_leaves_the_tables(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, 1, 2)
        await caught_up(store, own.into(empties=None))
        before = own.checkpoint()
        async with running(store, own.into(version=2, empties=None)) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ProjectionError)
        assert "reset(self, session)" in str(status.error)
        with pytest.raises(ProjectionError) as told:
            await store.rebuild(own.into(empties=None))
        assert "reset(self, session)" in str(told.value.__cause__)
        assert own.checkpoint() == before
        await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_another_log_is_refused_and_nothing_is_emptied(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, 1, 2)
        await caught_up(store, own.into())
        before = own.lines(), own.checkpoint()
        for amounts in ((), (8, 9)):
            async with opened(api_of(way), "memory://") as other:
                await pour(other, *amounts)
                for version in (1, 2):
                    async with running(other, own.into(version=version)) as found:
                        status = await until_status(found, "faulted")
                    assert isinstance(status.error, CheckpointMismatchError), status.error
                    assert (status.error.name, status.error.position) == ("Lines", 2)
        assert (own.lines(), own.checkpoint()) == before
        async with opened(api_of(way), "memory://") as other:
            await pour(other, 8)
            await other.rebuild(own.into())
            await check(other, own)

    run(way, kind, tmp_path, test)


@each_place
def test_tenants_have_checkpoints_of_their_own(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, 1)
        await caught_up(store, own.into())
        for tenant in ("a", "b"):
            theirs = store.for_tenant(tenant)
            await pour(theirs, 2, 3)
            (status,) = await caught_up(theirs, own.into())
            assert (status.name, status.handled) == ("Lines", 2)
            assert own.checkpoint(f"{tenant}/Lines")["position"]
        assert own.checkpoint()["position"] == 1
        assert [amount for _, amount in own.lines()] == [1, 2, 3, 2, 3]

    run(way, kind, tmp_path, test)


# --- rebuilding -----------------------------------------------------------------------------------


@each_place
def test_a_rebuild_empties_the_tables_and_fills_them(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(1200))
        await caught_up(store, own.into(doubled))
        told: list[tuple[int, int]] = []
        status = await store.rebuild(own.into(), progress=lambda *at: told.append(at))
        assert (status.state, status.handled, status.error) == ("stopped", 1200, None)
        assert told[-1] == (1200, 1200)
        await check(store, own)
        (status,) = await caught_up(store, own.into())
        assert status.handled == 0
        # Whatever is in the tables: the checkpoint may be lost.
        own.run(delete(CHECKPOINTS))
        await store.rebuild(own.into())
        await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_a_rebuild_that_fails_leaves_the_tables_filled_up_to_there(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(1500))
        await caught_up(store, own.into(doubled))
        with pytest.raises(ProjectionError, match="1301; its tables are filled up to there"):
            await store.rebuild(own.into(failing(1300)))
        assert own.lines() == [(n + 1, n) for n in range(1300)]
        (status,) = await caught_up(store, own.into())
        assert status.handled == 200
        await check(store, own)

        def fails(session: Session) -> None:
            session.execute(delete(Line))
            raise ZeroDivisionError

        with pytest.raises(ProjectionError) as told:
            await store.rebuild(own.into(empties=fails))
        assert isinstance(told.value.__cause__, ZeroDivisionError)
        await check(store, own)

    run(way, kind, tmp_path, test)


@pytest.mark.parametrize("way", ["threads", "async"])
@each_shared
def test_a_rebuild_that_is_cancelled_is_continued(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(1500))
        for amount in (0, 1300):
            gate = Gate()
            rebuilding = asyncio.create_task(store.rebuild(own.into(gates={amount: gate})))
            await gate.reached()
            rebuilding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rebuilding
            gate.open()
            assert len(own.lines()) <= amount or way == "threads"
            await caught_up(store, own.into())
            await check(store, own)

    run(way, kind, tmp_path, test)


@each_place
def test_rebuilds_beside_a_runner_and_beside_each_other(way, kind, tmp_path):
    async def test(store, own):
        await pour(store, *range(1200))
        others = [Own(way, kind, tmp_path) for _ in range(2)]
        async with running(store, own.into()) as found:
            await asyncio.gather(*(store.rebuild(each.into()) for each in others))
            committed = await pour(store, 1)
            await found.wait_for(committed, timeout=SAFETY)
        await check(store, own)
        for each in others:
            await each.close()

    run(way, kind, tmp_path, test)


@each_place
def test_a_rebuild_by_older_code_beside_newer_ends(way, kind, tmp_path):
    """The two don't take the tables from each other for ever, and never write them both."""
    gate = Gate()

    async def test(store, own):
        await pour(store, *range(1200))
        await caught_up(store, own.into(doubled, version=2))
        other = Own(way, kind, tmp_path)
        rebuilding = asyncio.create_task(store.rebuild(other.into(gates={1100: gate})))
        if kind == "sqlite":  # which has one writer: nobody else comes in between
            gate.open()
            await rebuilding
        else:
            await gate.reached()
        async with running(store, own.into(doubled, version=2)) as found:
            if kind == "postgres":
                await asyncio.sleep(0.1)
                gate.open()
            with suppress(ProjectionError):
                await rebuilding
            await found.wait_for(await pour(store, 7), timeout=SAFETY)
        assert own.lines() == [*((n + 1, 2 * n) for n in range(1200)), (1201, 14)]
        await other.close()

    run(way, kind, tmp_path, test)


# --- starts that were cut short -------------------------------------------------------------------


@pytest.mark.parametrize("way", ["threads", "async"])
@each_shared
def test_cancelled_starts_are_no_crashes(way, kind, tmp_path):
    async def test(store, own):
        for amount in range(8):
            gate = Gate()
            await pour(store, amount)

            async def work(gates={amount: gate}):  # noqa: B006
                async with store.run(own.into(gates=gates)) as found:
                    await until(lambda: found.status()[0].state == "faulted")
                    return found.status()[0].error

            task = asyncio.create_task(work())
            started = asyncio.create_task(gate.reached())
            await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
            assert not task.done(), task.result()
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
            gate.open()
            async with asyncio.timeout(SAFETY):
                await until(lambda: own.checkpoint()["attempts"] == 0)
        await caught_up(store, own.into())
        await check(store, own)

    run(way, kind, tmp_path, test)


DIES = """
import os, sys
from pathlib import Path
from eventuali import sync
from lines import *

def write(event, session):
    if event.amount == 12345:
        os._exit(9)
    write_line(event, session)

def work():
    own = Own("blocking", "sqlite", Path(sys.argv[2]))
    with sync.EventStore.create(sys.argv[1]) as store, store.run(own.into(write)) as running:
        try:
            running.wait_for(52, timeout=60)
        except Exception:
            (status,) = running.status()
            print(status.state, status.failed_at, status.error, flush=True)

for turn in range(12):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_handler_that_ends_the_process_is_counted(tmp_path):
    place = url_of("sqlite", tmp_path)

    async def write():
        async with opened("sync", place) as store:
            await pour(store, *range(50), 12345, 1)

    async def finish():
        async with owned("blocking", "sqlite", tmp_path) as own, opened("sync", place) as store:
            assert len(own.lines()) == 50
            await caught_up(store, own.into())
            await check(store, own)

    asyncio.run(write())
    make_tables("sqlite", tmp_path)
    done = script(DIES, place, tmp_path)
    said = done.stdout.splitlines()
    tried = said.index("0") - 1
    assert said[:tried] == ["9"] * tried, done.stderr
    assert 2 < tried < 12
    assert said[tried].startswith("faulted 51 the process ended"), said
    asyncio.run(finish())


# --- what is refused ------------------------------------------------------------------------------


class Loop(Projection):
    async def on_poured(self, event: Poured, session: AsyncSession) -> None: ...


class Threads(Projection):
    def on_poured(self, event: Poured, session: Session) -> None: ...


class LazyReset(Threads):
    async def reset(self, session: AsyncSession) -> None: ...


class HastyReset(Loop):
    def reset(self, session: Session) -> None: ...


def test_what_does_not_fit_is_refused_at_once(tmp_path):
    blocking, loop = Sessions(sessionmaker()), AsyncSessions(async_sessionmaker())
    with pytest.raises(TypeError, match=r"Loop\.on_poured is a coroutine function"):
        Loop().into(blocking)
    with pytest.raises(TypeError, match=r"LazyReset\.reset must be a plain `def`"):
        LazyReset().into(blocking)
    with pytest.raises(TypeError, match=r"HastyReset\.reset must be a coroutine function"):
        HastyReset().into(loop)
    assert Threads().into(loop).tables is loop, "session.add need not be awaited"
    for wrong in (None, sessionmaker(), object()):
        with pytest.raises(TypeError, match="must be OwnTables"):
            Threads().into(wrong)
    for wrong in (None, "sqlite://", async_sessionmaker()):
        with pytest.raises(TypeError, match="must be a sessionmaker"):
            Sessions(wrong)
    for wrong in (None, "sqlite://", sessionmaker()):
        with pytest.raises(TypeError, match="must be an async_sessionmaker"):
            AsyncSessions(wrong)
    for sessions in (Sessions, AsyncSessions):
        with pytest.raises(ValueError, match="has no column 'attempts'"):
            sessions(lambda: None, Table("mine", MetaData(), Column("name", Integer)))
    with sync.EventStore.create("memory://") as store:
        for verb in (store.run, store.rebuild):
            with pytest.raises(TypeError, match="needs an event loop"):
                verb(Loop().into(loop))
            with pytest.raises(TypeError, match="an object"):
                verb(Placed(Threads, blocking))
        with pytest.raises(ValueError, match="two projections have the name"):
            store.run(Threads().into(blocking), Threads())
        with pytest.raises(InvalidEventError, match="at most 100 bytes"):
            store.run(writing("blocking", name="a/b").into(blocking))


def test_a_name_may_be_as_long_as_in_the_store(tmp_path):
    async def test(store, own):
        theirs = store.for_tenant("t" * 64)
        await pour(theirs, 1)
        await caught_up(theirs, own.into(name="n" * 100))
        assert own.checkpoint(f"{'t' * 64}/{'n' * 100}")["moves"]

    run("blocking", "postgres", tmp_path, test)


# --- another library ------------------------------------------------------------------------------


class Drawer(OwnTables[sqlite3.Connection]):
    """Tables of `sqlite3`, without a library."""

    def __init__(self, path) -> None:
        self.path = path

    def transaction(self):
        return self._transaction()

    @contextmanager
    def _transaction(self):
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=0.1)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def load(self, session, name):
        row = session.execute("SELECT * FROM checkpoint WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        _, version, position, at, event_id, attempts, moves = row
        event = None if at is None else (at, UUID(event_id))
        return Checkpoint(version, position, event, attempts, moves)

    def create(self, session, name, checkpoint):
        row = (name, *self._row(checkpoint))
        session.execute("INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def move(self, session, name, checkpoint):
        columns = "version = ?, position = ?, at = ?, event_id = ?, attempts = ?, moves = ?"
        done = session.execute(
            f"UPDATE checkpoint SET {columns} WHERE name = ? AND moves = ?",
            (*self._row(checkpoint), name, checkpoint.moves - 1),
        )
        return done.rowcount == 1

    def _row(self, checkpoint):
        at, event_id = checkpoint.event or (None, None)
        event_id = event_id and str(event_id)
        start = (checkpoint.version, checkpoint.position, at, event_id)
        return (*start, checkpoint.attempts, checkpoint.moves)


class Drawn(Projection):
    def on_poured(self, event: Poured, session: sqlite3.Connection) -> None:
        session.execute("INSERT INTO drawn VALUES (?)", (event.amount,))


def test_tables_through_another_library_are_as_exact(tmp_path):
    path = tmp_path / "drawer.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE checkpoint (name PRIMARY KEY, version, position, at, event_id, "
                     "attempts, moves)")  # fmt: skip
        made.execute("CREATE TABLE drawn (amount UNIQUE)")

    async def main():
        async with opened("sync", "memory://") as store, asyncio.timeout(4 * SAFETY):
            await pour(store, *range(1100))
            async with running(store, Drawn().into(Drawer(path))) as found:
                await found.wait_for(await end_of(store), timeout=SAFETY)
                with closing(sqlite3.connect(path, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    committed = await pour(store, 2000)
                    await until(lambda: found.status()[0].error is not None)
                    assert found.status()[0].state == "catching up"
                    other.execute("ROLLBACK")
                await found.wait_for(committed, timeout=SAFETY)
                poison = await pour(store, 3000, 5, 3001)
                status = await until_status(found, "faulted")
                assert isinstance(status.error, sqlite3.IntegrityError)
                assert status.failed_at == poison.positions[1]
            with closing(sqlite3.connect(path)) as made:
                rows = [row for (row,) in made.execute("SELECT amount FROM drawn ORDER BY rowid")]
            assert rows == [*range(1100), 2000, 3000]

    asyncio.run(main())
