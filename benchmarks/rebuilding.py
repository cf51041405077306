"""A rebuild, how well it foretells its end, and readers in another process meanwhile."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Self

from benchmarks.folding import Place, names
from benchmarks.report import percentile
from benchmarks.subjects.ours import Added
from benchmarks.workers import ROOT
from eventuali import EventStore, EventStoreConfig, Projection, ReadModel
from eventuali._engine.progress import Pace
from eventuali.sync import EventStore as SyncEventStore

PAUSE = 0.002
"""Seconds between two reads of a reader."""
PAGE = 20


class Bucket(ReadModel, index=("bucket",)):
    """A document a name; a hundredth of them is found together."""

    bucket: str
    events: int = 0
    amount: int = 0


class Buckets(Projection[Bucket]):
    """Adds up by name."""

    def key(self, event: Added) -> str:
        """Returns the name."""
        return event.note

    def on_added(self, event: Added, doc: Bucket | None) -> Bucket:
        """Adds."""
        doc = doc or Bucket(bucket=event.note[-2:])
        doc.events += 1
        doc.amount += event.amount
        return doc


class Readers:
    """A process that gets and finds documents, one read after another."""

    def __init__(self, place: str, table: str, keys: int) -> None:
        """Starts it, and waits until it reads."""
        command = [sys.executable, "-m", "benchmarks.rebuilding", place, table, str(keys)]
        self._child = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.taken()

    def taken(self) -> dict[str, list[float]]:
        """Returns how long each read took since this was asked last, in seconds."""
        assert self._child.stdin is not None  # noqa: S101
        assert self._child.stdout is not None  # noqa: S101
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        found: dict[str, list[float]] = json.loads(self._child.stdout.readline())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=60)


async def rebuild(
    store: EventStore, place: str, table: str, keys: int, quiet: float
) -> dict[str, float]:
    """Returns what a rebuild took, what was foretold of its rest, and what reads took."""
    pace = Pace()
    foretold: tuple[float, float] | None = None

    def progress(done: int, total: int) -> None:
        nonlocal foretold
        left = pace.left(done, total)
        if foretold is None and done >= total / 10:
            foretold = None if left is None else (time.monotonic(), left)

    with Readers(place, table, keys) as readers:
        time.sleep(quiet)
        alone = readers.taken()
        with busy():
            time.sleep(quiet)
            crowded = readers.taken()
        gc.collect()
        started = time.monotonic()
        await store.rebuild(Buckets(), progress=progress)
        ended = time.monotonic()
        meanwhile = readers.taken()
    assert foretold is not None  # noqa: S101
    since, left = foretold
    found = {"rebuild": ended - started, "foretold": left, "rest": ended - since}
    for kind in ("get", "find"):
        found[f"{kind} alone"] = percentile(alone[kind], 0.99)
        found[f"{kind} crowded"] = percentile(crowded[kind], 0.99)
        found[f"{kind} meanwhile"] = percentile(meanwhile[kind], 0.99)
    return found


@contextmanager
def busy() -> Iterator[None]:
    """Keeps every processor busy with programs that touch no store."""
    spin = [sys.executable, "-c", "while True: pass"]
    spinning = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]  # noqa: S603
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.wait()


def read(place: Place, keys: int) -> None:
    """Gets and finds until nobody asks any more; tells what each read took when asked."""
    wanted = sorted(set(names(keys, keys)))
    draw = random.Random(2)  # noqa: S311
    found: dict[str, list[float]] = {"get": [], "find": []}
    with SyncEventStore.create(place) as store:
        while True:
            key = draw.choice(wanted)
            begun = time.perf_counter()
            document = store.get(Bucket, key)
            between = time.perf_counter()
            page = store.find(Bucket, bucket=key[-2:], limit=PAGE)
            found["get"].append(between - begun)
            found["find"].append(time.perf_counter() - between)
            assert document is not None  # noqa: S101
            assert page  # noqa: S101
            if select([sys.stdin], [], [], PAUSE)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps(found), flush=True)
                found = {"get": [], "find": []}


if __name__ == "__main__":
    where, table, count = sys.argv[1:]
    config = EventStoreConfig.postgres(where).with_table_name(table) if table else Path(where)
    read(config, int(count))
