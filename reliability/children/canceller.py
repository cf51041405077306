"""Cuts saves off at any moment, repeats them, and says what is left behind.

    python -m reliability.children.canceller PATH OTHER SEED SAVES HOW

OTHER is a second database, opened once before anything is counted. HOW is empty where a save is
repeated as it is; `new-events` is the wrong way: its facts are saved as new events. The history
goes to stdout, complaints of the loop to stderr.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from random import Random
from time import sleep
from typing import Any

import psycopg

import eventuali
from eventuali import EventStore, OptimisticConcurrencyError
from reliability.history import Recorder, Write
from reliability.workload import Notebook, applied, events_of, recorded, writes_from

WORKERS = 50
LOOPS = 20
"""Loops that end, and close, while saves are under way."""
_HELD = """
SELECT
    count(DISTINCT pid) FILTER (WHERE state LIKE 'idle in transaction%'), count(l.locktype),
    count(DISTINCT pid)
FROM pg_stat_activity LEFT JOIN pg_locks AS l USING (pid)
WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'eventuali'
"""


class Worker:
    """One aggregate that is saved over and over, and what of it is in doubt."""

    def __init__(self, name: str, base: int, chance: Random, recorder: Recorder) -> None:
        self.chance = chance
        self.make = writes_from(base, chance)
        self.notebook = Notebook(id=name)
        self.recorder = recorder
        self.doubt: list[Write] = []

    async def cut(self, store: EventStore) -> bool:
        """Saves for 0 to 20 ms; returns whether that was too short."""
        write = self.make(self.notebook.id, 4)
        for event in events_of(write):
            self.notebook.apply(event)
        self.doubt.append(write)
        task = asyncio.ensure_future(self._save(store))
        if self.chance.random() < 0.1:  # before its first step, or a few steps of the loop later
            for _ in range(self.chance.randrange(4)):
                await asyncio.sleep(0)
        else:
            await asyncio.wait([task], timeout=self.chance.uniform(0, 0.02))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    async def settle(self, store: EventStore, how: str) -> None:
        """Repeats what is in doubt."""
        if how == "new-events":
            await self._save_as_new(store)
        elif self.chance.random() < 0.8:  # else the next save does it
            await self._save(store)

    async def _save(self, store: EventStore) -> None:
        tokens = [self.recorder.begun(write) for write in self.doubt]
        await store.save(self.notebook)
        for token in tokens:
            self.recorder.acked(token, (), ())
        self.doubt.clear()

    async def _save_as_new(self, store: EventStore) -> None:
        while True:
            found = await store.load(Notebook, self.notebook.id)
            self.notebook = found or Notebook(id=self.notebook.id)
            for event in (event for write in self.doubt for event in events_of(write)):
                self.notebook.apply(event)
            try:
                await self._save(store)
            except OptimisticConcurrencyError:
                continue  # the one that was cancelled came to its end meanwhile
            return


def held() -> tuple[int, int]:
    """Returns how many descriptors and threads the process has."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def main() -> None:
    """Runs it in loops of their own, and looks at what is left."""
    logging.basicConfig(level=logging.WARNING)
    path, other, seed, saves, how = sys.argv[1:]
    recorder = Recorder(sys.stdout.buffer.write)
    asyncio.run(_once(other))
    sleep(0.5)  # what a store lets go of when it is closed may take a moment
    before = held()
    store = asyncio.run(_open(path))
    for number in range(LOOPS):
        asyncio.run(_cut_by_the_end(store, Random(f"{seed}/{number}"), number, recorder))
    cut, tasks = asyncio.run(_storm(store, path, seed, recorder, int(saves), how))
    del store
    gc.collect()
    for _ in range(100):
        if held() <= before:
            break
        sleep(0.03)
    recorder.line("left", before=before, after=held(), cut=cut, tasks=tasks)
    sys.stdout.flush()


async def _once(path: str) -> None:
    """Opens what is opened once and for all."""
    make = writes_from(0, Random(1))
    async with EventStore.create(path) as store:
        await asyncio.gather(*(store.append(events_of(make("s", 3))) for _ in range(50)))


async def _open(path: str) -> EventStore:
    return await EventStore.create(small(path))


def small(path: str) -> Any:
    """Returns what opens a store on PostgreSQL with two connections, if this package has that."""
    config = getattr(eventuali, "EventStoreConfig", None)
    if "://" not in path or config is None:
        return path
    return config.postgres(path).with_max_connections(2)


async def _cut_by_the_end(
    store: EventStore, chance: Random, number: int, recorder: Recorder
) -> None:
    make = writes_from(number, chance)

    async def save(write: Write) -> None:
        with recorded(recorder, write) as told:
            told(await store.save(applied(write)))

    running = {asyncio.ensure_future(save(make(f"end-{number}-{n}", 5))) for n in range(10)}
    await asyncio.wait(running, timeout=chance.uniform(0, 0.01))


async def _look(url: str, recorder: Recorder) -> None:
    """Says what the connections of the store hold while nothing is asked of it."""
    with psycopg.connect(url, autocommit=True) as beside:
        for _ in range(100):  # the last save may still be announced, or the horizon be looked at
            idle, locks, connections = beside.execute(_HELD).fetchone() or (0, 0, 0)
            if not idle and not locks:
                break
            await asyncio.sleep(0.03)
    pool = None if small(url) is url else 2
    recorder.line("server", idle=idle, locks=locks, connections=connections, pool=pool)


async def _storm(
    store: EventStore, path: str, seed: str, recorder: Recorder, saves: int, how: str
) -> tuple[int, int]:
    """Returns how many saves were cut off, and how many tasks are left."""
    cut = 0

    async def work(number: int) -> None:
        nonlocal cut
        chance = Random(f"{seed}/w{number}")
        worker = Worker(f"w-{number}", LOOPS + number, chance, recorder)
        while cut < saves:
            if await worker.cut(store):
                cut += 1
                await worker.settle(store, how)
        await worker._save(store)

    await asyncio.gather(*map(work, range(WORKERS)))
    tasks = len(asyncio.all_tasks()) - 1
    if "://" in path:
        await _look(path, recorder)
    await store.close()
    return cut, tasks


if __name__ == "__main__":
    main()
