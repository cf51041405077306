"""Processes that end between a save and its snapshot, and several that write the same one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading

import psycopg
import pytest
from postgres_server import server_url
from snapshot_cases import Jar, Put, kept_of, newest, replayed, settled, stats, version_of
from stores import each_api, each_shared, opened, schema_of, url_of
from support import TESTS, UNPACK, packed, script, tree

from eventuali import SnapshotPolicy, sync
from eventuali._engine.snapshot_record import form_of

EVERY = SnapshotPolicy(every=5)
OF = ("SnapshotsJar", "a")
LIMIT = 120
"""After so many seconds a test has failed; none passes or fails by it otherwise."""
HELD = 30
"""How long a lock is held from which the test wants to come back before."""

DYING = """
import os, sys
import eventuali._engine.snapshots as module
from eventuali import SnapshotPolicy, sync
from snapshot_cases import Jar, Put

def die(*_):
    os._exit(7)

store = sync.EventStore.create(sys.argv[1], snapshots=SnapshotPolicy(every=5))
jar = store.load(Jar, "a") or Jar(id="a")
setattr(module.Snapshots, sys.argv[2], die)
for amount in range(5):
    jar.apply(Put(amount=amount))
store.save(jar)
if sys.argv[2] in ("_put", "written"):
    store.close()
"""

LEAVING = """
import asyncio, sys
from eventuali import EventStore, SnapshotPolicy, sync
from snapshot_cases import Jar, Put

def changed():
    jar = Jar(id="a")
    for amount in range(5):
        jar.apply(Put(amount=amount))
    return jar

async def main():
    store = await EventStore.create(sys.argv[1], snapshots=SnapshotPolicy(every=5))
    await store.save(changed())
    await store.close()

if sys.argv[2] == "async":
    asyncio.run(main())
else:
    store = sync.EventStore.create(sys.argv[1], snapshots=SnapshotPolicy(every=5))
    store.save(changed())
    store.close()
"""

WRITING = """
import sys
from eventuali import SnapshotPolicy, sync
from snapshot_cases import Jar, Put

def change(work):
    jar = work.load(Jar, "a")
    if jar is None:
        work.add(jar := Jar(id="a"))
    jar.apply(Put(amount=1))

with sync.EventStore.create(sys.argv[1], snapshots=SnapshotPolicy(every=5, keep=2)) as store:
    for _ in range(60):
        store.transact(change, attempts=500)
print(store._snapshots.stats("")["SnapshotsJar"].failed)
"""

FORKED = """
import os, sys
from eventuali import SnapshotPolicy, sync
from eventuali.errors import ForkedProcessError
from snapshot_cases import Jar, Put

store = sync.EventStore.create(sys.argv[1], snapshots=SnapshotPolicy(every=5))
jar = Jar(id="a")
for amount in range(5):
    jar.apply(Put(amount=amount))
store.save(jar)
child = os.fork()
if not child:
    try:
        store.load(Jar, "a")
    except ForkedProcessError:
        store._snapshots.stats("")
        os._exit(10)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10
store.close()
assert store._snapshots.stats("")["SnapshotsJar"].written == 1
"""


@each_shared
@pytest.mark.parametrize("where", ["begin", "written", "settle", "_go_on"])
def test_a_crash_between_a_save_and_its_snapshot(kind, where, tmp_path):
    async def main():
        for n in range(1, 4):
            done = script(DYING, url_of(kind, tmp_path), where)
            assert (done.returncode, done.stderr) == (7, "")
            async with opened("async", url_of(kind, tmp_path), snapshots=EVERY) as store:
                found = await store.load(Jar, "a")
                assert (found.version, found.total) == (5 * n, 10 * n), "the save is there"
                assert tree(found) == tree(replayed(store, Jar, "a"))
                await settled(store)
                assert version_of(store, Jar, "a") == 5 * n, "the load has written it"

    asyncio.run(main())


@each_shared
@pytest.mark.parametrize("api", ["async", "sync"])
def test_a_program_that_closes_at_once_has_written_it(kind, api, tmp_path):
    done = script(LEAVING, url_of(kind, tmp_path), api)
    assert (done.returncode, done.stderr) == (0, "")
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        assert version_of(store, Jar, "a") == 5


@each_shared
def test_processes_that_write_the_same_ones(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url):
        pass
    given = [sys.executable, "-c", UNPACK + WRITING, packed(url)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    writers = [
        subprocess.Popen(given, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    failed = [writer.communicate(timeout=LIMIT)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert failed == ["0\n"] * 3

    async def main():
        async with opened("async", url, snapshots=EVERY) as store:
            for at_most in (10**9, 179, 174):
                found = newest(store, Jar, "a", at_most)
                if found is not None:
                    taken = form_of(Jar).taken("a", at_most, found).aggregate
                    assert tree(taken) == tree(replayed(store, Jar, "a", taken.version))
            assert version_of(store, Jar, "a") is not None
            found = await store.load(Jar, "a")
            assert (found.version, found.total) == (180, 180)
            assert (await stats(store)).used == 1

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@each_shared
def test_a_fork_takes_no_snapshots_along(kind, tmp_path):
    done = script(FORKED, url_of(kind, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


class Lock:
    """Keeps all others from writing snapshots, until it is let go; for `HELD` s at most."""

    def __init__(self, kind: str, folder) -> None:
        self.is_held = True
        if kind == "sqlite":
            self._connection = sqlite3.connect(folder / "events.db", check_same_thread=False)
            self._connection.execute("BEGIN IMMEDIATE")
        else:
            self._connection = psycopg.connect(server_url())
            table = f"{schema_of(folder)}.events_records"
            self._connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        self._timer = threading.Timer(HELD, self.let_go)
        self._timer.start()

    def let_go(self) -> None:
        self.is_held = False
        self._connection.rollback()

    def end(self) -> None:
        self._timer.cancel()
        self._timer.join()
        self._connection.close()


@each_shared
@each_api
def test_closing_waits_for_no_lock_of_another_process(kind, api, tmp_path):
    """A snapshot that waits for it is dropped, and counted."""

    async def main():
        place = url_of(kind, tmp_path)
        if kind == "postgres":
            place = place.with_connect_timeout(2 * HELD)
        async with opened(api, place) as store:
            await store.append([Put(amount=n) for n in range(7)], stream=OF)
        async with opened(api, place, snapshots=EVERY) as store:
            lock = Lock(kind, tmp_path)
            try:
                assert (await store.load(Jar, "a")).version == 7
                assert kept_of(store)._under_way
                await store.close()
                assert lock.is_held
            finally:
                lock.end()
            assert not kept_of(store)._under_way
            seen = kept_of(store).stats("")["SnapshotsJar"]
            assert (seen.written, seen.failed + seen.skipped) == (0, 1)
        async with opened(api, place, snapshots=EVERY) as store:
            assert version_of(store, Jar, "a") is None
            await store.load(Jar, "a")
            await settled(store)
            assert version_of(store, Jar, "a") == 7

    asyncio.run(main())


@each_shared
def test_two_stores_take_turns(kind, tmp_path):
    async def main():
        url = url_of(kind, tmp_path)
        async with (
            opened("async", url, snapshots=EVERY) as one,
            opened("sync", url, snapshots=EVERY) as other,
        ):
            jar = Jar(id="a")
            for n in range(40):
                store = (one, other)[n % 2]
                jar.apply(Put(amount=n))
                await store.save(jar)
                jar = await store.load(Jar, "a")
                await settled(store)
                assert tree(jar) == tree(replayed(store, Jar, "a"))
            assert version_of(one, Jar, "a") == 40
            assert (await stats(one)).failed == (await stats(other)).failed == 0

    asyncio.run(main())
