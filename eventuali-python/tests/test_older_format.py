"""A store of the format before: it is upgraded, by two at once, and though one is killed."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from time import monotonic, sleep

import pytest
from stores import administrator, each_api, each_shared, opened, schema_of, url_of
from support import TESTS
from test_golden import GOLDEN, expected, placed

from eventuali import Event, Query, sync

FOLDER = GOLDEN / "v0.3.0-format5"
LIMIT = 60
"""Seconds after which a test has failed that would otherwise hang."""

OPEN = f"""
import asyncio, json, pickle, sys
sys.path[:0] = [{str(TESTS)!r}, {str(GOLDEN)!r}]
from shop import picture
from stores import opened

async def main():
    async with opened("sync", pickle.loads(bytes.fromhex(sys.argv[1]))) as store:
        print(json.dumps(await picture(store)))

sys.stdin.readline()
asyncio.run(main())
"""


class Written(Event, name="older_format.written"):
    number: int


def older_sqlite(path):
    """Takes from a file what format 5 added to format 4: entries of users, and a comment."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            """
            BEGIN;
            DELETE FROM tags WHERE tag LIKE '$user:%';
            DELETE FROM tag_ends WHERE tag LIKE '$user:%';
            DROP TRIGGER tag_begins;
            CREATE TRIGGER tag_begins AFTER INSERT ON tag_ends
            BEGIN INSERT INTO tags (tenant, tag, position)
            VALUES (new.tenant, new.tag, new.position); END;
            PRAGMA user_version = 4;
            COMMIT;
            """
        )


def older_postgres(schema):
    """Takes from a schema what format 4 added to format 3: a function and an index."""
    with administrator() as connection:
        connection.execute(f"DROP FUNCTION {schema}.events_user CASCADE")
        connection.execute(f"DELETE FROM {schema}.events_format WHERE version = 4")


def older(kind, folder):
    """Puts a golden store of the format before, and says what opens it."""
    place = placed(FOLDER, kind, folder)
    if kind == "sqlite":
        older_sqlite(folder / "events.db")
    else:
        older_postgres(schema_of(folder))
    assert format_of(kind, folder) == OLDER[kind]
    return place


OLDER = {"sqlite": 4, "postgres": 3}


def format_of(kind, folder):
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "events.db")) as connection:
            return connection.execute("PRAGMA user_version").fetchone()[0]
    with administrator() as connection:
        query = f"SELECT max(version) FROM {schema_of(folder)}.events_format"
        return connection.execute(query).fetchone()[0]


def process(place):
    """Starts a process that opens a place once it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, pickle.dumps(place).hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(started):
    for each in started:
        each.stdin.write("\n")
        each.stdin.flush()


@each_shared
@each_api
def test_it_is_upgraded_and_everything_is_there(kind, api, tmp_path):
    place = older(kind, tmp_path)

    async def main():
        async with opened(api, place) as store:
            from shop import picture

            assert await picture(store) == expected(FOLDER)
            assert (await store.verify()).ok

    asyncio.run(main())
    assert format_of(kind, tmp_path) == OLDER[kind] + 1


@each_shared
def test_two_processes_upgrade_it_at_once(kind, tmp_path):
    place = older(kind, tmp_path)
    started = [process(place) for _ in range(2)]
    told(started)
    seen = [each.communicate(timeout=LIMIT)[0] for each in started]
    assert [json.loads(text) for text in seen] == [expected(FOLDER)] * 2
    with sync.EventStore.create(place) as store:
        assert store.verify().ok


def test_postgresql_is_as_before_if_who_upgrades_is_killed_in_the_middle(tmp_path):
    place = older("postgres", tmp_path)
    schema = schema_of(tmp_path)
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
        f"'{schema}.events_log'::regclass"
    )
    with administrator() as other, administrator() as connection:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {schema}.events_log IN ROW EXCLUSIVE MODE")
        killed = process(place)
        told([killed])
        end = monotonic() + LIMIT
        # It has made the function, and waits to make the index.
        while not connection.execute(waiting).fetchone()[0]:
            assert monotonic() < end
            assert killed.poll() is None
            sleep(0.01)
        killed.kill()
        killed.communicate(timeout=LIMIT)
        other.execute("ROLLBACK")
        # The server hears of that when it next says something.
        while connection.execute(waiting).fetchone()[0]:
            assert monotonic() < end
            sleep(0.01)
    (again,) = started = [process(place)]
    told(started)
    assert json.loads(again.communicate(timeout=LIMIT)[0]) == expected(FOLDER)
    assert format_of("postgres", tmp_path) == 4


def test_sqlite_is_as_before_if_who_upgrades_is_killed_in_the_middle(tmp_path):
    path, place = tmp_path / "events.db", url_of("sqlite", tmp_path)
    with sync.EventStore.create(place, durability="relaxed") as store:
        for start in range(0, 60_000, 1000):
            store.append(
                [Written(number=n, user_id=f"user-{n % 50}") for n in range(start, start + 1000)]
            )
    older_sqlite(path)
    for _ in range(20):
        if killed_while_it_writes(place, path):
            break
        older_sqlite(path)
    else:
        pytest.fail("no process was killed in the middle")
    assert format_of("sqlite", tmp_path) == 4
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT count(*) FROM tags WHERE tag LIKE '$user:%'").fetchone()
    assert found == (0,)
    with sync.EventStore.create(place) as store:
        numbers = [event.number for event in store.read(Query(user_id="user-7"))]
        assert numbers == list(range(7, 60_000, 50))
        assert store.verify().ok
    assert format_of("sqlite", tmp_path) == 5


def killed_while_it_writes(place, path):
    """Kills a process while it upgrades; False if it was too late for that."""
    started = process(place)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        told([started])
        end = monotonic() + LIMIT
        while monotonic() < end:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(started.pid, signal.SIGKILL)
                started.communicate(timeout=LIMIT)
                return connection.execute("PRAGMA user_version").fetchone()[0] == 4
            connection.execute("ROLLBACK")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 5:
                break
    started.kill()
    started.communicate(timeout=LIMIT)
    return False
