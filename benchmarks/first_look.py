"""A first look at speed: each operation beside what bounds it, on this machine.

    make bench                     five rounds, about half a minute
    make bench ARGS="--rounds 9"

Every round measures every row once, so that a busy moment hits all of them; the table shows
medians. Durability is full: every commit is flushed to the device.
"""

import argparse
import asyncio
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

import eventuali
from eventuali import Aggregate, Event, EventStore
from eventuali.sync import EventStore as SyncEventStore

EVENTS = 20_000
COMMITS = 100
SAVERS = 64


class Added(Event):
    """An event of two fields."""

    amount: int
    note: str


class Bare(BaseModel):
    """The same fields, nothing else."""

    amount: int
    note: str


class Counter(Aggregate):
    """Adds up."""

    total: int = 0

    def apply_added(self, event: Added) -> None:
        """Adds."""
        self.total += event.amount


def counter(events: int) -> Counter:
    """Returns a new aggregate with events to save."""
    aggregate = Counter()
    for amount in range(events):
        aggregate.apply(Added(amount=amount, note="x"))
    return aggregate


class Rows:
    """What is measured: name -> µs an operation, a value each round."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    @contextmanager
    def measure(self, name: str, operations: int) -> Iterator[None]:
        """Times what is inside."""
        begun = time.perf_counter()
        yield
        micros = (time.perf_counter() - begun) / operations * 1e6
        self.values.setdefault(name, []).append(micros)

    def median(self, name: str) -> float:
        """Returns the median over the rounds."""
        return statistics.median(self.values[name])


def bounds(rows: Rows, folder: Path) -> None:
    """Measures what nobody can be faster than: a model, a flush, a bare insert."""
    with rows.measure("bare model", EVENTS):
        for amount in range(EVENTS):
            Bare(amount=amount, note="x")
    descriptor = os.open(folder / "flush", os.O_CREAT | os.O_RDWR)
    with rows.measure("flush", COMMITS):
        for block in range(COMMITS):
            os.pwrite(descriptor, b"x" * 4096, 4096 * block)
            os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
    os.close(descriptor)
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS event (position INTEGER PRIMARY KEY, id BLOB, stream INTEGER, "
        "version INTEGER, kind INTEGER, time INTEGER, payload BLOB, UNIQUE (stream, version))"
    )
    insert = (
        "INSERT INTO event (id, stream, version, kind, time, payload) VALUES (?, ?, ?, 1, 1, ?)"
    )
    for name, commits, events in (("raw 1", COMMITS, 1), ("raw 1000", 3, 1000)):
        with rows.measure(name, commits * events):
            for _ in range(commits):
                stream = time.perf_counter_ns()
                payload = b'{"amount":1,"note":"x"}'
                given = [(uuid4().bytes, stream, version, payload) for version in range(events)]
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(insert, given)
                connection.execute("COMMIT")
    connection.close()


def blocking(rows: Rows, folder: Path) -> None:
    """Measures the blocking store."""
    with rows.measure("create", EVENTS):
        for amount in range(EVENTS):
            Added(amount=amount, note="x")
    with rows.measure("create and apply", EVENTS):
        counter(EVENTS)
    with SyncEventStore.create(folder / "sync.db") as store:
        for events, commits in ((1, COMMITS), (100, 20), (1000, 3)):
            prepared = [counter(events) for _ in range(commits)]
            with rows.measure(f"save {events}", commits * events):
                for aggregate in prepared:
                    store.save(aggregate)
        key = prepared[0].id
        with rows.measure("load 1000", 1000):
            store.load(Counter, key)


async def concurrent(rows: Rows, folder: Path) -> None:
    """Measures the asynchronous store."""
    async with EventStore.create(folder / "async.db") as store:
        prepared = [counter(1) for _ in range(COMMITS)]
        with rows.measure("save 1, async", COMMITS):
            for aggregate in prepared:
                await store.save(aggregate)

        async def saver() -> None:
            for aggregate in [counter(1) for _ in range(20)]:
                await store.save(aggregate)

        with rows.measure("64 savers", SAVERS * 20):
            await asyncio.gather(*(saver() for _ in range(SAVERS)))


TABLE = [
    ("create an event", "create", "a bare Pydantic model", "bare model"),
    ("create and apply", "create and apply", "a bare Pydantic model", "bare model"),
    ("save 1 event a commit, blocking", "save 1", "sqlite3 insert and commit", "raw 1"),
    ("save 1 event a commit, async", "save 1, async", "sqlite3 insert and commit", "raw 1"),
    ("save 100 events a commit", "save 100", "sqlite3 insert, 1,000 a commit", "raw 1000"),
    ("save 1,000 events a commit", "save 1000", "sqlite3 insert, 1,000 a commit", "raw 1000"),
    ("64 tasks, 1 event a commit", "64 savers", "one flush a commit", "flush"),
    ("load an aggregate of 1,000", "load 1000", "a bare Pydantic model", "bare model"),
]


def show(rows: Rows, rounds: int) -> None:
    """Prints the table."""
    print(f"eventuali {eventuali.__version__}, Python {platform.python_version()}, ", end="")
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; ", end="")
    print(f"SQLite, WAL, synchronous=FULL; medians of {rounds} rounds")
    print(f"\n{'':32} {'µs/event':>9} {'events/s':>10}   bounded by")
    for name, row, bound, bound_row in TABLE:
        micros, limit = rows.median(row), rows.median(bound_row)
        line = f"{name:32} {micros:9.2f} {1e6 / micros:10,.0f}   "
        print(f"{line}{bound}: {limit:.2f} µs, {micros / limit:.2f}x of it")


def progress(done: int, rounds: int) -> None:
    """Shows how far it is, where somebody watches."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // rounds)
        print(f"\r[{bar:30}] round {done} of {rounds}", end="", file=sys.stderr, flush=True)
        if done == rounds:
            print(file=sys.stderr)


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    rounds = max(parser.parse_args().rounds, 1)
    rows = Rows()
    steps: list[Callable[[Path], None]] = [
        lambda folder: bounds(rows, folder),
        lambda folder: blocking(rows, folder),
        lambda folder: asyncio.run(concurrent(rows, folder)),
    ]
    progress(0, rounds)
    for done in range(rounds):
        # Beside this file rather than in /tmp, which is often no disk.
        with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
            for step in steps:
                step(Path(folder))
        progress(done + 1, rounds)
    show(rows, rounds)


if __name__ == "__main__":
    main()
