"""A save that is cancelled has an unknown outcome; saving again settles it, and stores once."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
from ledger import Counted, Ledger, check_log
from postgres_server import server_url
from stores import (
    SHARED,
    administrator,
    each_backend,
    each_shared,
    gathered,
    schema_of,
    url_of,
)
from support import open_files, settled, threads

from eventuali import EventStore, EventStoreConfig, OptimisticConcurrencyError

SAVES = 2_000
WORKERS = 40


class Noise:
    """What the event loop complains about."""

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict) -> None:
        self.complaints.append(str(context))


# Another process, not a thread: two copies of SQLite in one process undo each other's locks.
HOLD = """
import random, sqlite3, sys, time
path, seed = sys.argv[1:]
chance = random.Random(int(seed))
connection = sqlite3.connect(path, isolation_level=None, timeout=0)
print("ready", flush=True)
while True:
    time.sleep(chance.uniform(0, 0.001))
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        continue  # the store writes just now
    time.sleep(chance.uniform(0.01, 0.05))
    connection.execute("ROLLBACK")
"""


HOLD_TABLE = """
import psycopg, random, sys, time
url, table, seed = sys.argv[1:]
chance = random.Random(int(seed))
connection = psycopg.connect(url, autocommit=True)
print("ready", flush=True)
while True:
    time.sleep(chance.uniform(0, 0.001))
    with connection.transaction():
        connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        time.sleep(chance.uniform(0.01, 0.05))
"""


@contextmanager
def a_busy_store(kind: str, folder: Path, seed: int):
    """Somebody else takes the write lock now and then, so that saves take their time."""
    if kind == "memory":
        yield
        return
    command = [sys.executable, "-c"]
    if kind == "postgres":
        command += [HOLD_TABLE, server_url(), f"{schema_of(folder)}.events_log", str(seed)]
    else:
        command += [HOLD, str(folder / "events.db"), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.kill()


async def cancelled(save, delay: float, how: int) -> bool:
    """Waits for a save no longer than that; returns whether it was cut off."""
    if how == 0:
        try:
            await asyncio.wait_for(save, delay)
        except TimeoutError:
            return True
        return False
    task = asyncio.ensure_future(save)
    if how == 1 and delay < 0.003:  # before its first step, or a few steps of the loop later
        for _ in range(int(delay * 1000)):
            await asyncio.sleep(0)
    else:
        await asyncio.wait([task], timeout=delay)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


async def repeat_same(store: EventStore, ledger: Ledger) -> Ledger:
    await store.save(ledger)
    return ledger


async def repeat_with_new_objects(store: EventStore, ledger: Ledger) -> Ledger:
    """The wrong way: new event objects, so that nothing tells the store it has them already."""
    numbers = [event.number for event in ledger.get_uncommitted_events()]
    while True:
        fresh = await store.load(Ledger, ledger.id) or Ledger(id=ledger.id)
        for number in numbers:
            fresh.apply(Counted(number=number))
        try:
            await store.save(fresh)
        except OptimisticConcurrencyError:
            continue  # the one that was cancelled came to its end meanwhile
        return fresh


async def cancel_many(store, seed: int, saves: int, repeat) -> tuple[list[int], int]:
    wanted: list[int] = []
    cut = 0

    async def work(worker: int) -> None:
        nonlocal cut
        chance = random.Random(seed * 1_000 + worker)
        ledger = Ledger(id=f"w-{worker}")
        for turn in range(saves // WORKERS):
            number = worker * 100_000 + turn * 2
            ledger.apply(Counted(number=number))
            wanted.append(number)
            was_cut = await cancelled(
                store.save(ledger), chance.uniform(0, 0.015), chance.randrange(3)
            )
            cut += was_cut
            if turn % 2:
                ledger.apply(Counted(number=number + 1))
                wanted.append(number + 1)
            if was_cut or ledger.has_uncommitted_events():
                ledger = await repeat(store, ledger)
            assert not ledger.has_uncommitted_events()

    await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
    return wanted, cut


def with_pool_of_2(place):
    return place.with_max_connections(2) if isinstance(place, EventStoreConfig) else place


STUCK = """
SELECT activity.pid, activity.state, activity.query FROM pg_stat_activity AS activity
    WHERE activity.state LIKE 'idle in transaction%%'
        AND activity.pid IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'eventuali')
UNION ALL
SELECT locks.pid, locks.locktype || ' ' || locks.mode, relation::regclass::text
    FROM pg_locks AS locks LEFT JOIN pg_class ON pg_class.oid = locks.relation
    WHERE pg_class.relnamespace = to_regnamespace(%s) AND locks.pid <> pg_backend_pid()
"""


def nothing_is_held(folder: Path) -> None:
    """No transaction is left open, and no lock on a relation of the store is held."""
    end = monotonic() + 3
    with administrator() as connection:
        while stuck := connection.execute(STUCK, [schema_of(folder)]).fetchall():
            assert monotonic() < end, stuck
            sleep(0.02)


@each_backend
def test_a_cancelled_save_is_stored_once(kind, tmp_path, capfd, caplog):
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    print(f"SEED={seed}")
    noise = Noise()

    async def main():
        asyncio.get_running_loop().set_exception_handler(noise)
        async with EventStore.create(with_pool_of_2(url_of(kind, tmp_path))) as store:
            with a_busy_store(kind, tmp_path, seed):
                wanted, cut = await cancel_many(store, seed, SAVES, repeat_same)
            if kind == "postgres":
                nothing_is_held(tmp_path)
            check_log(await gathered(store.read()), wanted)
            for worker in range(WORKERS):
                ledger = await store.load(Ledger, f"w-{worker}")
                assert ledger.numbers == sorted(ledger.numbers)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        gc.collect()
        await asyncio.sleep(0)
        return cut, left

    with caplog.at_level(logging.WARNING):
        asyncio.run(main_once(tmp_path, kind))  # what is opened once and for all is open now
        files, running = open_files(), threads()
        cut, left = asyncio.run(main())
        gc.collect()
    print(f"cut off: {cut}")
    assert cut > (SAVES // 50 if kind == "memory" else SAVES // 8), f"only {cut} were cancelled"
    assert left == set()
    assert settled(open_files, files) <= files
    assert settled(threads, running) <= running
    assert noise.complaints == []
    assert caplog.records == []
    assert capfd.readouterr().err == ""


async def main_once(folder: Path, kind: str) -> None:
    (folder / "first").mkdir()
    async with EventStore.create(url_of(kind, folder / "first")) as store:
        await asyncio.gather(*(store.append([Counted(number=n)]) for n in range(50)))


@each_shared
def test_the_check_finds_a_wrong_repetition(kind, tmp_path):
    """The positive control: were the repetition not the same batch, the same check would say so."""

    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            with a_busy_store(kind, tmp_path, 1):
                wanted, cut = await cancel_many(store, 1, 800, repeat_with_new_objects)
            assert cut > 0
            with pytest.raises(AssertionError, match="stored more than once"):
                check_log(await gathered(store.read()), wanted)

    asyncio.run(main())


@each_backend
def test_a_new_event_after_a_cancelled_save_is_a_second_commit(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            ledger = Ledger(id="a")
            ledger.apply(Counted(number=1))
            task = asyncio.ensure_future(store.save(ledger))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (ledger.version, len(ledger.get_uncommitted_events())) == (1, 1)
            ledger.apply(Counted(number=2))
            committed = await store.save(ledger)
            assert committed.versions[-1] == 2
            assert not ledger.has_uncommitted_events()
            check_log(await gathered(store.read()), [1, 2])

    asyncio.run(main())


@each_backend
def test_closing_waits_for_a_save_that_was_cancelled(kind, tmp_path):
    async def main():
        url = url_of(kind, tmp_path)
        store = await EventStore.create(url)
        for n in range(50):
            task = asyncio.ensure_future(store.append([Counted(number=n)], stream=("L", str(n))))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.wait_for(store.close(), 10)
        if kind in SHARED:  # begun before the close, so all ran to their end
            async with EventStore.create(url) as again:
                check_log(await gathered(again.read()), range(50))

    asyncio.run(main())


@each_backend
def test_a_cancelled_read_leaves_nothing_behind(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await store.append([Counted(number=n) for n in range(5_000)])
            chance = random.Random(5)
            for _ in range(100):
                await cancelled(gathered(store.read()), chance.uniform(0, 0.01), 2)
            assert len(await gathered(store.read())) == 5_000
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
